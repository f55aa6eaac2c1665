"""A list's outbox as one process drains it: what it needs to claim, compose and send. The steps are `send/drain.py`'s.

`app.py` makes one of its list, and each process that drains beside it (`draining.py`) makes one for itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from digest.dispatch.journalling import Journals
from digest.garbage import spared
from digest.holding import Hold
from digest.making import Making
from digest.model import Address, Claim, EditionId, Envelope, OnUnknown, Outcome, Shard
from digest.render import EditionRenderer
from digest.results import OnResult, Settled
from digest.send.drain import drain
from digest.send.outbox import DrainReport
from digest.send.rate import Turns
from digest.send.routes import Route
from digest.settings import ListConfig
from digest.store import Database, DeliveryLedger, Editions
from digest.store.outbox import LEASE
from digest.ways_out import routes

Compose = Callable[[Claim], tuple[Envelope, bytes]]


@dataclass(frozen=True)
class Outbox:
    """One list's deliveries, and what a process needs to send them."""

    config: ListConfig
    database: Database
    making: Making
    journals: Journals
    hold: Hold
    now: Callable[[], datetime]

    def ledger(
        self, only: Collection[Address] = (), within: Shard | None = None, lease: timedelta = LEASE
    ) -> DeliveryLedger:
        """The deliveries, or those of some readers, or of one shard; what journals know of them is recorded first."""
        # A Maildir knows its own copy of a message again, so there is never a doubt to hold.
        on_unknown = self.config.relays[0].on_unknown if self.config.relays else OnUnknown.RESEND
        list_id = self.config.mailing_list.id
        ledger = DeliveryLedger(
            self.database, list_id, self.now, on_unknown=on_unknown, only=only, within=within, lease=lease
        )
        self.journals.recover(ledger)
        return ledger

    def routes(self, turns: Turns | None = None) -> tuple[Route, ...]:
        """The list's ways out, with nothing open yet. `turns`: their rates are shared with other hosts."""
        return routes(self.config, self.database, self.now, turns)

    def composing(self) -> Compose:
        """Made before the first claim: a broken template is found before anything is sent."""
        unfinished = Editions(self.database).unfinished(self.config.mailing_list.id)
        renderers: dict[EditionId, EditionRenderer] = {e.id: self.making.renderer(e) for e in unfinished}
        return lambda claim: self.making.compose(claim, renderers)

    async def drain(
        self,
        ledger: DeliveryLedger,
        compose: Compose,
        stop: asyncio.Event,
        on_result: OnResult | None,
        connections: int | None = None,
    ) -> DrainReport:
        """Sends what is due. `connections`: so many to each relay, instead of what the config has."""

        def told(claim: Claim, outcome: Outcome) -> None:
            if on_result is not None:
                on_result(Settled.of(claim, outcome))

        ways = self.routes()
        if connections is not None:
            ways = tuple(replace(way, connections=connections) for way in ways)
        # A fifth of composing went into looking for garbage among what an edition holds.
        with spared(), self.journals.keeping(ledger) as (kept, on_sent):
            return await drain(
                kept,
                ways,
                compose,
                now=self.now,
                stop=stop,
                hold=self.hold.wait,
                on_result=told,
                on_sent=on_sent,
            )
