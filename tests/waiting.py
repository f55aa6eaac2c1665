"""One way to wait in tests: look again and again until it is so.

No test passes only because the machine is quick. Patience is spent by the looks, not by the clock: a machine that stood
still for a minute, or a clock that jumped, has cost one look, and whoever is waited for still has all the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds for what is not itself measured: a process to end, a server to answer. Far more than anything takes."""
_SHORTEST, _LONGEST = 0.001, 0.02
"""Seconds of a nap between two looks: the first ones are short, since much takes only milliseconds."""
_MOST = 5.0
"""Seconds of patience that one look and its nap cost at most, however long ago the clock says it was."""


def until(look: Callable[[], T | None], otherwise: str | Callable[[], str], patience: float = PATIENCE) -> T:
    """What `look` returns, once that is true. Raises AssertionError with `otherwise` when patience has ended."""
    for nap in _naps(patience):
        if seen := look():
            return seen
        time.sleep(nap)
    raise AssertionError(_said(otherwise))


async def until_async(look: Callable[[], T | None], otherwise: str | Callable[[], str]) -> T:
    """The same while an event loop runs."""
    for nap in _naps(PATIENCE):
        if seen := look():
            return seen
        await asyncio.sleep(nap)
    raise AssertionError(_said(otherwise))


def _naps(patience: float) -> Iterator[float]:
    nap, looked = _SHORTEST, time.monotonic()
    while patience > 0:
        yield nap
        nap, now = min(1.5 * nap, _LONGEST), time.monotonic()
        patience -= min(now - looked, _MOST)
        looked = now


def _said(otherwise: str | Callable[[], str]) -> str:
    return otherwise if isinstance(otherwise, str) else otherwise()
