"""Sends letters: messages to single people, such as confirmations, which belong to no edition.

Beside the outbox, with the same transports and verdicts. There are few of them, so they go one after the other. The
envelope has no sender (RFC 3834 section 3.3): what comes back of a letter is answered by nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from digest.members import Letter
from digest.model import DeliveryStatus, Envelope
from digest.send.outbox import next_attempt
from digest.send.routes import Route


class LetterBox(Protocol):
    """The letters' durable state."""

    def claim(self, now: datetime) -> Sequence[Letter]:
        """Letters that are due, and not again for a while."""
        ...

    def settle(self, letter: Letter, reply: str, next_attempt_at: datetime | None) -> None:
        """Writes what became of a try, and when the next one is due, if there is one."""
        ...

    def put_back(self, letter: Letter, now: datetime) -> None:
        """It was not tried after all."""
        ...


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of the letters that were due."""

    counts: Mapping[DeliveryStatus, int]
    trouble: str | None = None
    """The relays' own trouble, for which some were put back."""


async def post(box: LetterBox, routes: Sequence[Route], now: Callable[[], datetime]) -> Posted:
    """Sends all letters that are due, each over the first route that takes it."""
    transports = [route.new_transport() for route in routes]
    counts: Counter[DeliveryStatus] = Counter()
    trouble: str | None = None
    try:
        while trouble is None and (letters := box.claim(now())):
            for letter in letters:
                outcome = None
                for transport in transports if trouble is None else ():
                    outcome = await transport.submit(Envelope("", letter.address), letter.message, _no_intent)
                    if not outcome.relay_trouble:
                        break
                if outcome is None or outcome.relay_trouble:
                    trouble = outcome.reply if outcome else trouble
                    box.put_back(letter, now())
                    continue
                deferred = outcome.status is DeliveryStatus.DEFERRED
                due = next_attempt(letter.attempts + 1, now(), letter.written_at) if deferred else None
                box.settle(letter, outcome.reply, due)
                counts[outcome.status] += 1
    finally:
        for transport in transports:
            await transport.close()
    return Posted(counts, trouble)


async def _no_intent() -> None:
    """A letter that is in doubt is not sent again: whoever misses it asks once more."""
