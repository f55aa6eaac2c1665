"""Ctrl-C while asyncio works: between two steps of the loop, and never half-way through one."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from digest import stopping


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """As in a terminal, however the tests were started."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "what it found is put back"
    signal.signal(signal.SIGINT, before)


def test_what_it_gives_is_what_the_work_gives() -> None:
    """As `asyncio.run`; errors come out as they are."""

    async def fails() -> None:
        raise LookupError("no such thing")

    assert stopping.run(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(LookupError, match="no such thing"):
        stopping.run(fails())


def test_the_first_ends_the_work_after_its_step() -> None:
    """The step that it meets is done to its end; then the work is cancelled, and may tidy up."""
    done: list[str] = []

    async def work() -> None:
        task = asyncio.current_task()
        signal.raise_signal(signal.SIGINT)
        assert task is not None
        assert not task.cancelling(), "not within the step"
        done.append("step")
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            done.append("tidied")

    with pytest.raises(KeyboardInterrupt):
        stopping.run(work())
    assert done == ["step", "tidied"]


def test_a_second_ends_the_step_itself() -> None:
    """Whoever asks again does not want to wait."""
    done: list[str] = []

    async def work() -> None:
        signal.raise_signal(signal.SIGINT)
        done.append("first")
        signal.raise_signal(signal.SIGINT)
        done.append("second")

    with pytest.raises(KeyboardInterrupt):
        stopping.run(work())
    assert done == ["first"]


def test_a_cancellation_of_the_works_own_is_no_interrupt() -> None:
    """Nobody has pressed anything."""

    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        stopping.run(work())


def test_where_ctrl_c_is_ignored_it_stays_ignored() -> None:
    """As under nohup."""
    done: list[str] = []

    async def work() -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)
        done.append("all")

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stopping.run(work())
    assert (done, signal.signal(signal.SIGINT, signal.default_int_handler)) == (["all"], signal.SIG_IGN)
