"""An edition's deliveries made and sent by this host: in one process, and for a large list in others beside it.

`app.py` has this for a list whose database is this host's own; `among_workers.py` is its counterpart.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from logging import WARNING
from typing import TYPE_CHECKING

from digest import edition as life
from digest.dispatch import draining, processes
from digest.dispatch.outbox import Outbox
from digest.logs import Event, tell
from digest.meaning import EmbeddingStopped
from digest.model import Address, Edition
from digest.rank.embedding import Embed
from digest.results import Progress
from digest.send.outbox import DrainReport
from digest.store import Editions, Papers, Subscribers, database_exists

if TYPE_CHECKING:
    import sqlalchemy as sa


@dataclass(frozen=True)
class Inline:
    """In this process, and for a large list in others beside it that end with it."""

    outbox: Outbox

    def refuse_in_vain(self) -> None:
        """Raises StoreError where the list's journal cannot be kept."""
        self.outbox.journals.refuse_unwritable()

    def enqueue(self, connection: sa.Connection, edition: Edition) -> None:
        """Nothing: `run` finds what is left to do in the store."""

    async def run(
        self, only: Collection[Address], stop: asyncio.Event, progress: Progress, *, at_once: bool
    ) -> DrainReport:
        """Gives recipients their deliveries, then sends what is due."""
        editions, list_id = Editions(self.outbox.database), self.outbox.config.mailing_list.id
        embed = self.outbox.making.embed(progress, stop.is_set)
        for edition in editions.unfinished(list_id):
            if progress.on_edition:
                progress.on_edition(edition)
            with contextlib.suppress(EmbeddingStopped):  # recipients without a delivery are left for the next run
                await self._rank(editions, edition, embed, stop, at_once=at_once)
        if held := self.outbox.hold.reason():  # every minute by `digest run`: nothing needs to be made ready
            return DrainReport({}, held=held)
        report = await self._drain(only, stop, progress)
        for edition in editions.unfinished(list_id):
            if editions.finish(edition, self.outbox.now()):
                tell(Event.EDITION_FINISHED, list=list_id, edition=edition.number)
        return report

    async def _rank(
        self, editions: Editions, edition: Edition, embed: Embed | None, stop: asyncio.Event, *, at_once: bool
    ) -> None:
        config, database, now = self.outbox.config, self.outbox.database, self.outbox.now()
        library = self.outbox.making.library
        common = (config.mailing_list, edition, Papers(database), editions, library, embed, now, stop.is_set)
        count = processes.worth_starting(Subscribers(database).how_many(config.mailing_list.id))
        if count > 1 and database_exists(config.store_url) and not editions.recipients_are_frozen(edition):
            await processes.enqueue_all(config.store_url, *common, count, at_once=at_once)
        else:
            await life.enqueue_all(*common, at_once=at_once)

    async def _drain(self, only: Collection[Address], stop: asyncio.Event, progress: Progress) -> DrainReport:
        ledger = self.outbox.ledger(only)
        if ledger.is_idle():  # for hours, while readers' own are to come
            return DrainReport({})
        report = await draining.drain_all(self.outbox, only, ledger, stop, progress.on_result)
        list_id = self.outbox.config.mailing_list.id
        if report.counts:
            tell(Event.DELIVERIES_SETTLED, list=list_id, counts=dict(report.counts))
        if report.paused:
            tell(Event.SENDING_PAUSED, level=WARNING, list=list_id, why=report.paused)
        return report
