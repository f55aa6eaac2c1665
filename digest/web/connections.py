"""A connection to the pages, with an end: who opens many, or takes long over one, keeps nobody else out.

Uvicorn ends none but those that are idle after an answer: one that never asks, or asks or reads a byte a minute, would
stay for ever. Every one is a file, of which a process has a thousand or so, for its database and its relays too. What
one request may be is limited elsewhere: its head by h11 (16 kB), its form by `gate.py`. `serving.py` serves with this.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

MOST = 500
"""Connections at once."""
AT_ONCE = 100
"""Newcomers that asyncio takes at once. Those who make room for them are gone some turns of its loop later: meanwhile
there are some three times as many more."""
REQUESTS = 2 * MOST
"""Under way at once; who asks for one more is answered 503. Who has gone before the answer keeps no connection, but the
work for it may still wait for a thread."""
IDLE = 20
"""Seconds that one may stay without a word, before its first request as after an answer."""
SLOWEST = 120.0
"""Seconds for a request and its answer: the largest form, 2 MB, takes so long at 130 kbit/s."""


class Connection(H11Protocol):
    """Uvicorn's, with an end."""

    _end: asyncio.TimerHandle
    _since: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Makes room for itself: where there are too many, the one that has kept us waiting for the longest goes."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        self._begin()
        if len(self.connections) > MOST:
            waiting = (each for each in self.connections if isinstance(each, Connection) and each._is_waited_for)
            oldest = min(waiting, key=lambda each: each._since)  # it may be this one, if all others are being answered
            self.connections.discard(oldest)
            oldest.transport.abort()

    def on_response_complete(self) -> None:
        """The next request has as much time again."""
        self._end.cancel()
        self._begin()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to be ended, nor held until it would have been."""
        self._end.cancel()
        if self.timeout_keep_alive_task is not None:  # which uvicorn leaves there when a connection breaks
            self.timeout_keep_alive_task.cancel()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._since = self.loop.time()
        self._end = self.loop.call_later(SLOWEST, self.transport.abort)

    @property
    def _is_waited_for(self) -> bool:
        """Whether its client is to say something, or has not taken all that was said."""
        asked: RequestResponseCycle | None = vars(self).get("cycle")  # which uvicorn declares to be never None
        return asked is None or asked.response_complete or asked.more_body
