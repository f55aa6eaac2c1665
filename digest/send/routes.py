"""The ways out of one drain: whose turn it is, how many messages each relay may be given today, and who is in trouble.

Decides, and waits for turns; it opens no connection and records nothing. `outbox.drain` asks before every message.

Relays share the messages in proportion to their weights, as long as each keeps up: whoever is ahead waits for the
others, but not for one that is in trouble, held back by its own rate, full for the day, or slower than `PATIENCE`. What
such a one misses is not saved up for it. A relay of weight 0 takes messages only while no other one takes any.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Protocol

from digest.model import DeliveryId, DeliveryStatus, Outcome, Relay
from digest.send.outcome import fingerprint
from digest.send.rate import Limiter, SharedLimiter

if TYPE_CHECKING:
    from digest.send.outbox import Transport

EQUAL_REFUSALS = 5
PATIENCE = 2.0
"""Seconds for which a relay that is ahead of its share waits for one that is behind."""
RESERVED = 20
"""Messages of a day that are reserved at once: each reservation is a transaction."""
PLENTY = 10_000_000
"""Messages a day from which on a relay is warm."""


def is_limited(relay: Relay) -> bool:
    """Whether there is a limit to the messages of a day."""
    return relay.per_day is not None or relay.warm_up is not None


def cap(relay: Relay, day: date) -> int:
    """How many messages a relay with `per_day` or `warm_up` may be given on that day."""
    limit = min(relay.per_day or PLENTY, PLENTY)
    if relay.warm_up is None:
        return limit
    first, growth = relay.warm_up.first, relay.warm_up.growth
    days = max((day - relay.warm_up.start).days, 0)
    # As logarithms: some months of growth are more than a float can hold.
    is_warm = math.log(first) + days * math.log(growth) >= math.log(limit)
    return limit if is_warm else min(int(first * growth**days), limit)


class DayCounts(Protocol):
    """How many messages each relay was given on each day, for all processes. Calls are committed when they return."""

    def reserve(self, relay: str, day: date, wanted: int, cap: int) -> int:
        """Counts up to `wanted` messages more, as far as `cap` allows; how many that is."""
        ...

    def give_back(self, relay: str, day: date, unused: int) -> None:
        """Takes back what was reserved and did not leave."""
        ...


class Allowance:
    """The messages that one relay may still be given today, as one drain sees them."""

    def __init__(self, relay: Relay, counts: DayCounts, today: Callable[[], date]):
        self._relay = relay
        self._counts = counts
        self._today = today
        self._day = today()
        self._left = 0
        self._taken: dict[DeliveryId, date] = {}
        self._one_at_a_time = asyncio.Lock()

    async def take(self, delivery_id: DeliveryId) -> bool:
        """Takes one message of today for the delivery, if there is one left."""
        async with self._one_at_a_time:
            if (day := self._today()) != self._day:
                await self._give_back({self._day: self._left})
                self._day, self._left = day, 0
            if self._taken.get(delivery_id) == day:
                return True
            if not self._left:
                limit = cap(self._relay, day)
                self._left = await asyncio.to_thread(self._counts.reserve, self._relay.name, day, RESERVED, limit)
            if not self._left:
                return False
            self._left -= 1
            self._taken[delivery_id] = day
            return True

    def use(self, delivery_id: DeliveryId) -> None:
        """The relay was given the delivery's message."""
        self._taken.pop(delivery_id, None)

    async def close(self) -> None:
        """Gives back what was not used."""
        await self._give_back(Counter({self._day: self._left}) + Counter(self._taken.values()))

    async def _give_back(self, unused: Mapping[date, int]) -> None:
        for day, count in unused.items():
            if count:
                await asyncio.to_thread(self._counts.give_back, self._relay.name, day, count)

    def __str__(self) -> str:
        return f"{self._relay.name} has had its {cap(self._relay, self._day):,} messages of {self._day}"


@dataclass(frozen=True, slots=True)
class Route:
    """One relay as a drain uses it. `allowance` is None where no day has a limit."""

    new_transport: Callable[[], Transport]
    connections: int = 1
    limiter: Limiter | SharedLimiter | None = None
    name: str = ""
    weight: int = 1
    allowance: Allowance | None = None


class Shares:
    """Turns in proportion to weights (stride scheduling): a turn moves its taker on by a step, the last is next."""

    def __init__(self, weights: Sequence[int]):
        whole = math.lcm(*(max(weight, 1) for weight in weights))
        self._steps = [whole // max(weight, 1) for weight in weights]
        self._places = [0] * len(weights)

    def is_next(self, taker: int, others: Collection[int]) -> bool:
        """Whether none of the others is behind."""
        return all(self._places[taker] <= self._places[other] for other in others)

    def take(self, taker: int) -> None:
        """One turn is taken. Who is behind was not waited for, and comes up: turns are not saved up."""
        place = self._places[taker]
        self._places = [max(place, other) for other in self._places]
        self._places[taker] += self._steps[taker]


class Refusals:
    """Watches for a relay that refuses everybody for one reason."""

    def __init__(self) -> None:
        self._last = ""
        self._count = 0
        self._anything_accepted = False
        self.verdict: str | None = None
        """The refusal that `EQUAL_REFUSALS` in a row had."""

    def note(self, outcome: Outcome) -> None:
        """Looks at what became of a message that reached its recipient."""
        if outcome.status is DeliveryStatus.SENT:
            self._anything_accepted = True
            self._count = 0
        if outcome.status is not DeliveryStatus.BOUNCED or outcome.suppress or outcome.personal:
            return
        if not outcome.data_begun and self._anything_accepted:
            return
        seen = fingerprint(outcome)
        self._count = self._count + 1 if seen == self._last else 1
        self._last = seen
        if self._count >= EQUAL_REFUSALS:
            self.verdict = seen


class Lane:
    """One route in one drain: who works on it, and why it is left alone."""

    def __init__(self, number: int, route: Route):
        self.number = number
        self.route = route
        self.through = asyncio.Event()
        """Its first worker got through to the relay, or has ended."""
        self.working = 0
        self.held_up = 0
        """Workers that wait for the relay's rate, or for its trouble to pass."""
        self.refusals = Refusals()
        self.trouble: str | None = None
        self.is_full = False
        self.closed = asyncio.Event()
        """It takes no messages any more."""

    @property
    def keeps_up(self) -> bool:
        """Whether the others wait for it to have its share."""
        return not self.closed.is_set() and self.through.is_set() and self.working > self.held_up


class Lanes:
    """The routes of one drain."""

    def __init__(self, routes: Sequence[Route]):
        self.all = [Lane(number, route) for number, route in enumerate(routes)]
        self._shares = Shares([route.weight for route in routes])
        self._moved = asyncio.Event()

    def usable(self) -> list[Lane]:
        """Those that take messages; of weight 0 only if there is no other."""
        usable = [lane for lane in self.all if not lane.closed.is_set()]
        return [lane for lane in usable if lane.route.weight] or usable

    def take(self, lane: Lane) -> bool:
        """The lane takes the next message, if it is its turn."""
        if len(self.all) == 1:
            return True
        if not self._shares.is_next(lane.number, [other.number for other in self.all if other.keeps_up]):
            return False
        self._shares.take(lane.number)
        self.moved()
        return True

    async def turn(self, lane: Lane) -> None:
        """Waits until it is the lane's turn, or the others are too slow, and takes it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not self.take(lane):
                    await self._moved.wait()
                return
        self._shares.take(lane.number)
        self.moved()

    def close(self, lane: Lane, trouble: str | None = None) -> None:
        """The lane is left alone: it is in trouble, or without that has had all its messages of the day."""
        if not lane.closed.is_set():  # what came first counts
            lane.trouble, lane.is_full = trouble, trouble is None
            lane.closed.set()
            self.moved()

    def moved(self) -> None:
        """Something has changed that somebody may wait for."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def give_back(self) -> None:
        """Gives back what the day still had for relays with a limit."""
        for lane in self.all:
            if lane.route.allowance:
                await lane.route.allowance.close()

    def why_closed(self) -> tuple[str | None, str | None]:
        """Why no lane takes messages any more: troubles, for one that pauses; else the limits of the day."""
        named = len(self.all) > 1
        troubles = [
            f"{lane.route.name}: {lane.trouble}" if named else lane.trouble
            for lane in self.all
            if lane.trouble is not None
        ]
        full = [str(lane.route.allowance) for lane in self.all if lane.is_full]
        if troubles:
            return "; ".join(troubles + full), None
        return None, "; ".join(full) or None
