"""Ctrl-C and SIGTERM as an event: the first asks for a tidy end, a second Ctrl-C interrupts at once.

What computes for seconds and leaves nothing behind, such as a ranking, is broken off by the first (`breakable`).
On Windows Ctrl-Break does the same: it is what another program can send there.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS: tuple[signal.Signals, ...] = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)
_is_breakable = False


class BrokenOff(BaseException):
    """Somebody asked to stop. No `Exception`: nothing on its way is to take it for a failure."""


@contextmanager
def breakable(stopped: Callable[[], bool]) -> Iterator[None]:
    """What the first signal that `stop_on_signals` hears breaks off, with BrokenOff; it is not begun once `stopped`.

    For the main thread, around what changes nothing and awaits nothing.
    """
    global _is_breakable  # noqa: PLW0603 - signals are the whole process's
    try:
        _is_breakable = True
        if stopped():
            raise BrokenOff
        yield
    finally:
        _is_breakable = False


@contextmanager
def stop_on_signals(stop: asyncio.Event, say: Callable[[str], None]) -> Iterator[None]:
    """Within the block the first signal sets `stop` and says so; after it, the signals mean what they meant before.

    Must be entered in the main thread, inside the running loop.
    """
    loop = asyncio.get_running_loop()
    previous = {number: signal.getsignal(number) for number in SIGNALS}

    def handle(number: int, _frame: FrameType | None) -> None:
        for each, handler in previous.items():
            signal.signal(each, handler)
        say(f"stopping on {signal.Signals(number).name}: open conversations are finished first; once more to break off")
        # Set at once, for work that keeps the loop from turning and looks at it; then the loop is woken.
        stop.set()
        loop.call_soon_threadsafe(stop.set)
        if _is_breakable:
            raise BrokenOff

    for number in SIGNALS:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
