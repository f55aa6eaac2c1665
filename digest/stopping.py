"""Ctrl-C and SIGTERM as an event: the first asks for a tidy end, a second Ctrl-C interrupts at once.

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

    for number in SIGNALS:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
