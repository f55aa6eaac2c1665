"""`tests/waiting.py`, and what the real servers' complaints say: a test that waits fails for no clock's sake."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import waiting
from tests.servers.daemons import await_daemons
from tests.servers.ports import free_port
from tests.waiting import PATIENCE, until, until_async


@dataclass
class Clock:
    """Stands for the machine's; each nap is as long as it is asked for, and however long the machine stands still."""

    stands_still: float = 0.0
    now: float = 0.0
    naps: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds + self.stands_still

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(waiting, "time", made)
    monkeypatch.setattr(waiting, "asyncio", SimpleNamespace(sleep=made.sleep_async))
    return made


def wait(look: Callable[[], object]) -> object:
    return until(look, "it is not so")


def wait_async(look: Callable[[], object]) -> object:
    return asyncio.run(until_async(look, "it is not so"))


BOTH = pytest.mark.parametrize("waits", [wait, wait_async])


@BOTH
def test_a_machine_that_stood_still_has_cost_one_look(clock: Clock, waits: Callable[..., object]) -> None:
    """An hour each time, and what is waited for comes with the fifth look: that is returned."""
    clock.stands_still = 3600.0
    looks = iter(["", "", "", "", "it"])
    assert waits(lambda: next(looks)) == "it"


@BOTH
def test_patience_ends(clock: Clock, waits: Callable[..., object]) -> None:
    """After a minute of naps that the clock agrees with; none is longer than what a person does not notice."""
    with pytest.raises(AssertionError, match="it is not so"):
        waits(lambda: False)
    assert PATIENCE <= sum(clock.naps) < PATIENCE + 1
    assert max(clock.naps) <= 0.02


def test_looks_that_take_long_are_counted(clock: Clock) -> None:
    """One that asks a server that does not answer is not made thousands of times."""
    looks = 0

    def look() -> bool:
        nonlocal looks
        clock.now += 30
        looks += 1
        return False

    with pytest.raises(AssertionError):
        until(look, "it is not so")
    assert 2 <= looks < 30


def test_the_complaint_is_made_when_it_is_needed(clock: Clock) -> None:
    """A log is read then, and not when the waiting begins."""
    said: list[str] = []
    with pytest.raises(AssertionError, match="after 3 looks"):
        until(lambda: said.append("look"), lambda: f"after {len(said)} looks", patience=0.004)


def test_a_complaint_about_a_server_says_how_it_is(clock: Clock, tmp_path: Path) -> None:
    """Which processes live, in what state; what the logs say, and which are not there."""
    (tmp_path / "start.log").write_text("starting\n")
    logs = [tmp_path / "start.log", tmp_path / "mail.log"]
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        with pytest.raises(AssertionError) as lives:
            await_daemons(lambda: False, "it does not answer", [child], logs)
        child.kill()
    told = str(lives.value)
    assert told.startswith(f"it does not answer\nprocess {child.pid} is ")
    assert told.endswith("start.log: starting\n\nmail.log: not there")


def test_a_server_that_has_ended_is_waited_for_no_longer(clock: Clock) -> None:
    """Nor is it another's server taken for it, which answers at the same port."""
    with subprocess.Popen([sys.executable, "-c", "exit(3)"]) as child:
        child.wait(PATIENCE)
        for answers in (False, True):
            with pytest.raises(AssertionError, match=rf"^it does not answer\nprocess {child.pid} ended with 3: "):
                await_daemons(partial(bool, answers), "it does not answer", [child], [])
    assert clock.naps == []


def test_a_free_port_is_another_each_time() -> None:
    """And none that the system gives to somebody else meanwhile."""
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    assert all(20_000 <= port < 32_768 for port in ports)
