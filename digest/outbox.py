"""A list's outbox as one process drains it: what it needs to claim, compose and send. The steps are `send/drain.py`'s.

`app.py` makes one of its list, and each process that drains beside it (`draining.py`) makes one for itself.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from digest.composing import Compose, Composer
from digest.holding import Hold
from digest.model import Address, Claim, OnUnknown, Outcome, Shard
from digest.results import OnResult, Settled
from digest.send.drain import drain
from digest.send.outbox import DrainReport
from digest.settings import ListConfig
from digest.store import Database, DeliveryLedger, Editions
from digest.store.outbox import LEASE
from digest.ways_out import routes


@dataclass(frozen=True)
class Outbox:
    """One list's deliveries, and what a process needs to send them."""

    config: ListConfig
    database: Database
    composer: Composer
    hold: Hold
    now: Callable[[], datetime]

    def ledger(
        self, only: Collection[Address] = (), within: Shard | None = None, lease: timedelta = LEASE
    ) -> DeliveryLedger:
        """The deliveries, or those of some readers, or of one shard."""
        # A Maildir knows its own copy of a message again, so there is never a doubt to hold.
        on_unknown = self.config.relays[0].on_unknown if self.config.relays else OnUnknown.RESEND
        list_id = self.config.mailing_list.id
        return DeliveryLedger(
            self.database, list_id, self.now, on_unknown=on_unknown, only=only, within=within, lease=lease
        )

    def composing(self) -> Compose:
        """Made before the first claim: a broken template is found before anything is sent."""
        return self.composer.composing(Editions(self.database).unfinished(self.config.mailing_list.id))

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

        ways = routes(self.config, self.database, self.now)
        if connections is not None:
            ways = tuple(replace(way, connections=connections) for way in ways)
        gc.freeze()  # a fifth of composing went into looking for garbage among what an edition holds
        try:
            return await drain(ledger, ways, compose, now=self.now, stop=stop, hold=self.hold.wait, on_result=told)
        finally:
            gc.unfreeze()
