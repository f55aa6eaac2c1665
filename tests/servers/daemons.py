"""What the real servers that run as children of this process have in common: how they are waited for, and ended."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

from tests.waiting import PATIENCE, until

Child = subprocess.Popen[bytes]


def await_daemons(
    condition: Callable[[], bool], complaint: str, children: Sequence[Child], logs: Sequence[Path]
) -> None:
    """Returns when the condition holds. Raises AssertionError, with all that explains it, also once a child ends."""

    def ended() -> bool:
        return any(child.poll() is not None for child in children)

    def told() -> str:
        states = [line for child in children for line in _states(child)]
        return "\n".join([complaint, *states, *map(end_of, logs)])

    until(lambda: condition() or ended(), told)
    if ended():  # then it is perhaps another's server that the condition has seen
        raise AssertionError(told())


def end(children: Sequence[Child]) -> None:
    """Asks them to end, the last one first, and kills those that do not, and what any of them leaves behind."""
    theirs = [process for child in children for process in _below(child)]
    for child in reversed(children):
        child.terminate()
    for child in children:
        try:
            child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    for process in theirs:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _below(child: Child) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        if child.poll() is None:
            return list(psutil.Process(child.pid).children(recursive=True))
    return []


def _states(child: Child) -> Iterator[str]:
    """A line for the child and for each of its own: whether it lives, and where in the kernel it waits."""
    if child.poll() is not None:
        yield f"process {child.pid} ended with {child.returncode}: {child.args!r}"
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(child.pid)
        for each in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                yield f"process {each.pid} is {each.status()}, waits in {_waits_in(each.pid)}: {each.name()}"


def _waits_in(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/wchan").read_text(encoding="ascii")
    except OSError:
        return "?"


def end_of(log: Path) -> str:
    """What it says last, after its name."""
    return f"{log.name}: {log.read_text(errors='replace')[-3000:] if log.exists() else 'not there'}"
