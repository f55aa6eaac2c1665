"""How fast a relay, and each recipient domain, may be given messages.

Here lives the pacing of a send and nothing else: no SMTP, no ledger. The clock and the sleep are given, so that tests
need neither. `outbox.drain` asks before each conversation.

Messages are paced evenly: a rate of 600 a minute lets one pass every 100 ms, so that no window of a minute ever sees
more than 600, and a relay sees no bursts. A turn that was not used is not saved up.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol

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


class Turns(Protocol):
    """Turns at relays that many hosts share. Calls block."""

    def reserve(self, relay: str, domain: str, interval: float, count: int) -> float:
        """Takes so many turns, `interval` seconds apart: in how many seconds the first one is."""
        ...


RESERVED_SECONDS = 0.5
"""How much of a shared rate is reserved at once: each reservation is a transaction."""


class SharedPace:
    """One rate that many hosts share: turns are reserved some at a time, and those that come too late are dropped."""

    def __init__(self, rate: Rate, reserve: Callable[[float, int], float], clock: Callable[[], float]):
        """`reserve` gives the seconds until the first of so many turns, so many seconds apart."""
        self._interval = rate.seconds / rate.count
        self._at_once = max(int(RESERVED_SECONDS / self._interval), 1)
        self._reserve = reserve
        self._clock = clock
        self._turns: deque[float] = deque()
        self._one_at_a_time = asyncio.Lock()

    async def turn(self) -> float:
        """The time of a turn that nobody else has, by the clock."""
        async with self._one_at_a_time:
            while self._turns and self._turns[0] < self._clock() - self._interval:
                self._turns.popleft()  # two late ones together would be a burst
            if not self._turns:
                wait = await asyncio.to_thread(self._reserve, self._interval, self._at_once)
                # As if it were counted from when the answer came: never too early.
                first = self._clock() + wait
                self._turns.extend(first + n * self._interval for n in range(self._at_once))
            return self._turns.popleft()


class SharedLimiter:
    """A `Limiter` whose rates hold over all hosts of a database. A turn that was taken and not used is lost."""

    def __init__(
        self,
        relay: str,
        turns: Turns,
        rate: Rate | None = None,
        per_domain: Mapping[str, Rate] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ):
        self._everyone = SharedPace(rate, partial(turns.reserve, relay, ""), clock) if rate else None
        self._domains = {
            domain.lower(): SharedPace(each, partial(turns.reserve, relay, domain.lower()), clock)
            for domain, each in (per_domain or {}).items()
        }
        self._clock = clock
        self._sleep = sleep

    def limits(self, domain: str) -> bool:
        """Whether a message to `domain` could ever have to wait."""
        return self._everyone is not None or domain.lower() in self._domains

    async def acquire(self, domain: str) -> None:
        """Returns when a message to `domain` may go, and counts it."""
        # The domain's turn first: while it is waited for, everyone's go to others.
        for pace in (self._domains.get(domain.lower()), self._everyone):
            if pace is not None and (wait := await pace.turn() - self._clock()) > 0:
                await self._sleep(wait)


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
