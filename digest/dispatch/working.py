"""What a worker needs of one edition.

`ListEdition` is `shard.py`'s `EditionWork` over a list's adapters; what all shards of an edition share is made with the
first one that needs it. `app.py` makes it, `worker.py` runs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

from digest.dispatch.outbox import Outbox
from digest.edition import ShardRunner, hours_of, named_by_recipients, nothing_for
from digest.errors import StoreError
from digest.garbage import left_alone, spare_what_lives
from digest.holding import LOOK_EVERY
from digest.logs import Event, tell
from digest.model import Edition, EditionId, Shard
from digest.render import EditionRenderer
from digest.results import QUIET
from digest.roundup import coarser
from digest.send.drain import drain
from digest.send.outbox import DrainReport
from digest.send.patience import PatientLedger
from digest.send.routes import Route
from digest.store import DeliveryLedger, Editions, Papers
from digest.store.outbox import RENEWED_LEASE
from digest.store.relay_turns import RelayTurns, places
from digest.store.rows import rows_of

log = logging.getLogger(__name__)

LEAVES_WITHIN = 0.8
"""Of a lease: the rest is for clocks that differ between hosts."""
RENEWED = 0.2
"""Of a lease: how often it is renewed; some renewals may fail."""


class ListEdition:
    """One edition of a list, as one worker has it. Threads may ask for ranks, one at a time."""

    def __init__(self, outbox: Outbox, edition: Edition):
        self.edition = edition
        self._outbox, self._list = outbox, outbox.config.mailing_list
        self._editions = Editions(outbox.database)
        self._renderers: dict[EditionId, EditionRenderer] = {}
        self._runner: ShardRunner | None = None
        self._making = threading.Lock()
        self._paused: str | None = None

    def rank(self, shard: Shard) -> Sequence[Mapping[str, object]]:
        """The deliveries of its readers who have none."""
        people = self._editions.shard(self.edition, coarser(self._list.frequency), shard.first, shard.last)
        if not people:
            return ()
        with self._making:
            if self._runner is None:
                self._runner = self._new_runner()
                spare_what_lives()  # what an edition holds is no garbage: to look at it again and again takes long
        now = self._outbox.now()
        hours = hours_of(self._list, self.edition, people, now)
        with left_alone():
            return rows_of(self.edition, self._runner.run(people), now, nothing_for(self._list), hours)

    async def drain(self, shard: Shard, stop: asyncio.Event) -> DrainReport:
        """Sends what is due of the shard, under leases that are renewed as long as this lasts."""
        if held := await asyncio.to_thread(self._outbox.hold.reason):
            return DrainReport({}, held=held)
        await asyncio.to_thread(self._make_ready)
        ledger = await asyncio.to_thread(self._outbox.ledger, within=shard, lease=RENEWED_LEASE)
        renewing = asyncio.create_task(_renewed(ledger))
        try:
            async with self._connections(stop) as routes:
                with self._outbox.journals.keeping(ledger) as (kept, on_sent):
                    report = await drain(
                        PatientLedger(kept, stop.is_set),
                        routes,
                        lambda claim: self._outbox.making.compose(claim, self._renderers),
                        now=self._outbox.now,
                        stop=stop,
                        hold=self._outbox.hold.wait,
                        on_sent=on_sent,
                        leave_within=LEAVES_WITHIN * ledger.lease.total_seconds(),
                    )
            if report.counts:
                tell(Event.DELIVERIES_SETTLED, list=self._list.id, counts=dict(report.counts))
            self._tell_paused(report.paused)
            return report
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing

    def _tell_paused(self, why: str | None) -> None:
        """What the relays say to all shards alike is an event each time, and a line for people once."""
        if why:
            tell(Event.SENDING_PAUSED, level=logging.WARNING, list=self._list.id, why=why)
        if why and why != self._paused:
            number = self.edition.number
            log.warning("%s: edition %d cannot be sent, it is tried again every minute: %s", self._list.id, number, why)
        self._paused = why

    def _new_runner(self) -> ShardRunner:
        making = self._outbox.making
        named = named_by_recipients(self._list, self._editions, self.edition)
        papers, embed = Papers(self._outbox.database), making.embed(QUIET)
        return ShardRunner(self._list, self.edition, papers, self._editions, making.library, named, embed)

    def _make_ready(self) -> None:
        """Asks the database for what composing needs."""
        if self.edition.id not in self._renderers:
            self._renderers[self.edition.id] = self._outbox.making.renderer(self.edition)

    @contextlib.asynccontextmanager
    async def _connections(self, stop: asyncio.Event) -> AsyncIterator[Sequence[Route]]:
        """The ways out, each with a share of its connections; waits while others have all of them."""
        database = self._outbox.database
        routes = self._outbox.routes(RelayTurns(database))
        limits = {route.name: route.connections for route in routes if route.name}
        while True:
            with contextlib.ExitStack() as stack:
                taken = await asyncio.to_thread(stack.enter_context, places(database, limits))
                shared = [replace(r, connections=taken.get(r.name, r.connections)) for r in routes]
                if (usable := [route for route in shared if route.connections]) or stop.is_set():
                    yield usable
                    return
            await asyncio.sleep(LOOK_EVERY.total_seconds())


async def _renewed(ledger: DeliveryLedger) -> None:
    while True:
        await asyncio.sleep(RENEWED * ledger.lease.total_seconds())
        try:
            await asyncio.to_thread(ledger.renew)
        except StoreError as error:
            log.warning("leases could not be renewed: %s", error)
