"""One request at a time to a host, with a pause between two, and no sooner than a host asks for.

Called by `http.py` around every request. Held for the whole process, so that several lists that are pulled at once are
one visitor to a host. All of arXiv's hosts are one: "no more than one request every three seconds", over "a single
connection at a time", https://info.arxiv.org/help/api/tou.html.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from weakref import WeakKeyDictionary

from digest.errors import SourceError

ARXIV_SECONDS = 3.0
USUAL_SECONDS = 1.0
"""From the end of one request to a host to the start of the next."""
PATIENCE = 60.0
"""Seconds that a host's own wish to wait is waited for; a longer one is told."""


class NotYetError(SourceError):
    """A host has asked not to be asked again so soon."""


class Manners:
    """Who may be asked when. One for a process; what it knows outlives its event loops."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ):
        """`clock` counts seconds and `sleep` waits for them."""
        self._clock = clock
        self._sleep = sleep
        self._next: dict[str, float] = {}
        self._asked_to_wait: dict[str, float] = {}
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = WeakKeyDictionary()

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Wait for the turn to ask a host, and hold it. Raises `NotYetError` where that would be too long."""
        party = party_of(host)
        turns = self._turns.setdefault(asyncio.get_running_loop(), {})
        async with turns.setdefault(party, asyncio.Lock()):
            wait = max(self._next.get(party, 0.0), self._asked_to_wait.get(party, 0.0)) - self._clock()
            if wait > PATIENCE:
                until = datetime.now(UTC) + timedelta(seconds=wait)
                raise NotYetError(f"{party} asked us to wait: it is not asked again before {until:%H:%M:%S} UTC")
            if wait > 0:
                await self._sleep(wait)
            try:
                yield
            finally:
                self._next[party] = self._clock() + spacing(party)

    def hold_off(self, host: str, seconds: float) -> None:
        """Remember that a host wants to be left alone for so long."""
        party = party_of(host)
        self._asked_to_wait[party] = max(self._asked_to_wait.get(party, 0.0), self._clock() + seconds)


def party_of(host: str) -> str:
    """Return the name under which hosts are one: `arxiv.org` for all of arXiv's, else the host itself."""
    host = host.lower().rstrip(".")
    return "arxiv.org" if host == "arxiv.org" or host.endswith(".arxiv.org") else host


def spacing(party: str) -> float:
    """Return the seconds between two requests; one's own machine needs no pause."""
    if party == "arxiv.org":
        return ARXIV_SECONDS
    try:
        return 0.0 if ipaddress.ip_address(party.strip("[]")).is_private else USUAL_SECONDS
    except ValueError:
        return 0.0 if party == "localhost" else USUAL_SECONDS
