"""How fast a relay, and each recipient domain, may be given messages.

Here lives the pacing of a send and nothing else: no SMTP, no ledger. The clock and the sleep are given, so that tests
need neither. `outbox.drain` asks before each conversation.

Messages are paced evenly: a rate of 600 a minute lets one pass every 100 ms, so that no window of a minute ever sees
more than 600, and a relay sees no bursts. A turn that was not used is not saved up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from digest.model import Rate


class Pace:
    """One rate and the moment at which its next message may go; decides, never waits."""

    def __init__(self, rate: Rate):
        self._interval = rate.seconds / rate.count
        self._free_at = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds from `now` until a message may go; 0 or less when it may."""
        return self._free_at - now

    def take(self, now: float) -> None:
        """A message goes `now`."""
        self._free_at = now + self._interval


class Limiter:
    """Holds back conversations so that neither `rate` nor a domain's own rate is exceeded.

    `clock` gives seconds that never go backwards. Any number of tasks may wait at once; one that is cancelled while it
    waits has taken nothing.
    """

    def __init__(
        self,
        rate: Rate | None = None,
        per_domain: Mapping[str, Rate] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ):
        self._everyone = Pace(rate) if rate else None
        self._domains = {domain.lower(): Pace(domain_rate) for domain, domain_rate in (per_domain or {}).items()}
        self._clock = clock
        self._sleep = sleep

    def limits(self, domain: str) -> bool:
        """Whether a message to `domain` could ever have to wait."""
        return bool(self._paces(domain))

    async def acquire(self, domain: str) -> None:
        """Returns when a message to `domain` may go, and counts it."""
        paces = self._paces(domain)
        # Nothing is reserved while waiting: a domain that must wait long does not hold up the others.
        while (wait := max((pace.wait(self._clock()) for pace in paces), default=0.0)) > 0:
            await self._sleep(wait)
        now = self._clock()
        for pace in paces:
            pace.take(now)

    def _paces(self, domain: str) -> list[Pace]:
        return [pace for pace in (self._everyone, self._domains.get(domain.lower())) if pace is not None]
