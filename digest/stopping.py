"""Ctrl-C, SIGTERM and a closed terminal as an event: the first asks for a tidy end, a second Ctrl-C interrupts at once.

What computes for seconds and leaves nothing behind, such as a ranking, is broken off by the first (`breakable`).
On Windows Ctrl-Break does the same: it is what another program can send there.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

SIGNALS: tuple[signal.Signals, ...] = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)
_HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
_is_breakable = _was_asked = False


class BrokenOff(BaseException):
    """Somebody asked to stop. No `Exception`: nothing on its way is to take it for a failure."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, but that the first Ctrl-C cancels the work between two steps of the loop, a second one within.

    A step that is broken off may leave a future half resolved, and asyncio then logs an InvalidStateError. Raises
    KeyboardInterrupt.
    """
    interrupted = False

    async def interruptible() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def handle(_number: int, _frame: FrameType | None) -> None:
            nonlocal interrupted
            interrupted = True
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)

        signal.signal(signal.SIGINT, handle)
        try:
            return await work
        finally:
            if signal.getsignal(signal.SIGINT) is handle:
                signal.signal(signal.SIGINT, signal.default_int_handler)

    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, say, under nohup
        return asyncio.run(work)
    try:
        return asyncio.run(interruptible())
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise


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


def was_asked() -> bool:
    """Whether somebody asked to stop in the last block of `stop_on_signals`: then nothing more is to be begun."""
    return _was_asked


@contextmanager
def stop_on_signals(stop: asyncio.Event, say: Callable[[str], None]) -> Iterator[None]:
    """Within the block the first signal sets `stop` and says so; after it, the signals mean what they meant before.

    But a closed terminal is told of by the system and by the shell, so SIGHUP never counts as a second one; under nohup
    it counts as none. Must be entered in the main thread, inside the running loop.
    """
    global _was_asked  # noqa: PLW0603 - signals are the whole process's
    _was_asked = False
    loop = asyncio.get_running_loop()
    previous = {number: signal.getsignal(number) for number in SIGNALS}
    if _HANGUP is not None and previous[_HANGUP] is signal.SIG_IGN:
        del previous[_HANGUP]

    def handle(number: int, _frame: FrameType | None) -> None:
        global _was_asked  # noqa: PLW0603 - signals are the whole process's
        _was_asked = True
        for each, handler in previous.items():
            signal.signal(each, handler if each is not _HANGUP else signal.SIG_IGN)
        say(f"stopping on {signal.Signals(number).name}: open conversations are finished first; once more to break off")
        # Set at once, for work that keeps the loop from turning and looks at it; then the loop is woken.
        stop.set()
        loop.call_soon_threadsafe(stop.set)
        if _is_breakable:
            raise BrokenOff

    for number in previous:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
