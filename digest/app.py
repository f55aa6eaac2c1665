"""Wires the adapters together; the only place where they meet.

An `App` is one list with its store, its sources and its way out. The commands, `tending.py`, `worker.py`
and the pages work through it; it prints nothing and decides nothing about exit codes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from datetime import date, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from digest import edition as life
from digest.dispatch import Dispatch, Queue
from digest.dispatch.among_workers import AmongWorkers
from digest.dispatch.inline import Inline
from digest.dispatch.journalling import Journals
from digest.dispatch.outbox import Outbox
from digest.dispatch.working import ListEdition
from digest.errors import SendError
from digest.holding import Hold
from digest.logs import Event, tell
from digest.making import Making
from digest.membership import Membership
from digest.model import (
    Address,
    DeliveryStatus,
    Edition,
    WhenEmpty,
)
from digest.pulling import gather
from digest.results import (
    QUIET,
    Progress,
    Pulled,
    Sent,
    nobody_gets_a_paper,
    why_nothing_is_due,
)
from digest.roundup import coarser
from digest.send.letters import Posted, post
from digest.send.outbox import DrainReport
from digest.settings import ListConfig
from digest.store import (
    Archive,
    Bounces,
    Decisions,
    EditionOverview,
    Editions,
    Fetches,
    Figures,
    Papers,
    Pauses,
    Runs,
    Secrets,
    Shards,
    Sources,
    Subscribers,
    Vectors,
    database_exists,
    open_database,
)
from digest.timing import Due, local_day, look_again

if TYPE_CHECKING:
    import sqlalchemy as sa

T = TypeVar("T")


class App:
    """One list, ready to work. Use as a context manager: it holds the store open."""

    def __init__(
        self, config: ListConfig, now: Callable[[], datetime], *, keep: bool = True, queue: Queue | None = None
    ):
        """`queue`: workers make and send the deliveries (`digest/dispatch`), this process only sees that they do.

        `keep=False` for commands that record nothing: they do not even create the database; in one that is there, they
        keep only what saves work, sentence vectors.
        """
        self.config = config
        self.list = config.mailing_list
        self.now = now
        in_memory = not keep and not database_exists(config.store_url)
        self._database = open_database("sqlite://" if in_memory else config.store_url)
        self.papers = Papers(self._database)
        self.shards = Shards(self._database)
        self._made: list[Edition] = []
        self.editions = Editions(self._database, self._on_made)
        self.bounces = Bounces(self._database, self.list.id)
        self.archive = Archive(self._database, self.list.id)
        self.sources = Sources(self._database)
        self.figures = Figures(self._database)
        self._fetches = Fetches(self._database, now, keep=keep)
        vectors, secrets = Vectors(self._database, now), Secrets(self._database, now, keep=keep)
        self.making = Making(config, now, self.papers, self.editions, vectors, secrets)
        self.semantic = self.making.semantic
        self.subscribers = Subscribers(self._database)
        self.membership = Membership(config, self._database, now)
        self.pauses = Pauses(self._database, self.list.id)
        self.runs = Runs(self._database, self.list.id)
        self.hold = Hold(self.list, self.pauses, now)
        journals = Journals(config.journal, self.list.id, self._database)
        self.outbox = Outbox(config, self._database, self.making, journals, self.hold, now)
        self._dispatch: Dispatch = (
            AmongWorkers(queue, self._database, self.list.id, now) if queue else Inline(self.outbox)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def decisions(self, edition: Edition, only: Collection[Address] = ()) -> Decisions:
        """The edition's deliveries, in a person's hands; what a journal knows of them is recorded first."""
        self.outbox.ledger()
        return Decisions(self._database, edition, only)

    async def fetch(self, progress: Progress = QUIET) -> Pulled:
        """Fetches every source; keeps nothing."""
        now = self.now()
        window = life.window(self.list, self.editions.latest(self.list.id), now)
        answered = {health.summary.source: health.good_at for health in self.sources.health(self.list.id)}
        found = await gather(self.config, self.papers, self._fetches, window, answered, now, progress.on_report)
        unseen = self.papers.unseen(self.list.id, (a for report in found.reports for a in report.announcements))
        return Pulled(found.reports, life.summarise(found.reports, unseen), found.figures)

    async def pull(self, progress: Progress = QUIET) -> Pulled:
        """Fetches every source and keeps what they gave for the next edition."""
        pulled = await self.fetch(progress)
        self.sources.record(self.list.id, pulled.health, self.now())
        self.papers.record(self.list.id, pulled.all_reports, self.now())
        return pulled

    async def send(
        self,
        only: Collection[str] = (),
        *,
        due: Due | None = None,
        retry_at: datetime | None = None,
        at_once: bool = False,
        stop: asyncio.Event | None = None,
        progress: Progress = QUIET,
    ) -> Sent:
        """Makes the edition of the run that is `due`, today's by default, unless it is made, and sends what is due.

        Earlier editions that are not finished are finished first. While `due` waits for its sources, what they gave is
        kept and no edition is made; `retry_at` is when one that failed is asked again.

        With `only`, everybody's delivery is queued and only those subscribers' are sent now. `at_once`: whatever
        anybody's hour. Raises SendError for a list that is paused, StoreError where its journal cannot be kept. While
        its hours are over, the edition is made and waits.
        """
        self._refuse_in_vain()
        stop = stop or asyncio.Event()
        self.membership.synchronise()
        named = self.membership.addresses(only)
        anybody = bool(named or self.subscribers.some_reachable(self.list.id, 1))
        began = self.now()
        day = due.day if due else local_day(self.list, began)
        if anybody:
            made = await self._make(day, due, retry_at or began, stop, progress)
        else:
            nobody = f"{self.config.path} has no subscriber who may be sent to: add a [[subscribers]] table"
            made = _TodaysEdition(self.editions.on(self.list.id, day), nothing_because=nobody)
        if not (made.look_again_at or stop.is_set()):
            self.runs.settle(began)
        latest = self.editions.latest(self.list.id)
        self.outbox.ledger().reopen()
        if at_once:
            self.outbox.ledger(named).hurry()
        waiting = self.editions.unfinished(self.list.id)
        drained, reason = None, made.nothing_because
        if waiting:
            drained = await self.resume(named, at_once=at_once, stop=stop, progress=progress)
        elif made.edition and not reason:
            reason = self._complete(self.editions.overview(made.edition))
        shown = {e.id: e for e in (*waiting, *([made.edition] if made.edition else []))}
        overviews = tuple(self.editions.overview(e) for e in shown.values())
        if drained and not (drained.counts or drained.paused or drained.held or drained.queued or stop.is_set()):
            reason = why_nothing_is_due(overviews, self.now()) or reason
        expected = reason is not None and (latest is None or not anybody or nobody_gets_a_paper(overviews))
        return Sent(
            made.pulled,
            overviews,
            drained,
            reason,
            expected_something=expected,
            stopped=stop.is_set(),
            semantic=self.semantic if made.pulled and made.edition else None,
            look_again_at=made.look_again_at,
        )

    async def _make(
        self, day: date, due: Due | None, retry_at: datetime, stop: asyncio.Event, progress: Progress
    ) -> _TodaysEdition:
        """The day's edition: as it was made, or of what its sources give now, unless it waits for one of them."""
        if edition := self.editions.on(self.list.id, day):
            return _TodaysEdition(edition)
        pulled = await _unless_stopped(self.fetch(progress), stop)
        if pulled is None:
            return _TodaysEdition(nothing_because="stopped while the sources were fetched")
        self.sources.record(self.list.id, pulled.health, self.now())
        if due and (again := look_again(pulled.summaries, due, retry_at, self.now())):
            self.papers.record(self.list.id, pulled.all_reports, self.now())
            return _TodaysEdition(pulled=pulled, look_again_at=again)
        self._made.clear()
        edition, reason = self._freeze(pulled, day, closing=bool(due and due.closes_at))
        self._tell_made()
        return _TodaysEdition(edition, pulled, reason)

    def _refuse_in_vain(self) -> None:
        """Raises what would end a send when all is pulled and made."""
        if paused := self.hold.pause():
            raise SendError(f"{self.list.id}: {paused}")
        self._dispatch.refuse_in_vain()

    async def resume(
        self,
        only: Collection[Address] = (),
        *,
        stop: asyncio.Event,
        at_once: bool = False,
        progress: Progress = QUIET,
    ) -> DrainReport:
        """Finishes what earlier runs left: recipients without a delivery, then deliveries that are due."""
        return await self._dispatch.run(only, stop, progress, at_once=at_once)

    def _on_made(self, connection: sa.Connection, edition: Edition) -> None:
        """In the transaction that makes it; where another process makes it, this is never called."""
        self._made.append(edition)
        self._dispatch.enqueue(connection, edition)

    def _tell_made(self) -> None:
        for edition in self._made:
            papers, day = len(self.editions.candidates(edition)), edition.due_on
            tell(Event.EDITION_MADE, list=self.list.id, edition=edition.number, due_on=day, papers=papers)

    def edition_work(self, edition: Edition) -> ListEdition:
        """The edition for a worker that does its shards."""
        return ListEdition(self.outbox, edition)

    async def post(self) -> Posted:
        """Sends the letters to single people that are due, whatever the list's pause or hours."""
        posted = await post(self.membership.letters, self.outbox.routes(), self.now)
        if posted.counts:
            tell(Event.LETTERS_SENT, list=self.list.id, counts=dict(posted.counts))
        return posted

    def _freeze(self, pulled: Pulled, day: date, *, closing: bool) -> tuple[Edition | None, str | None]:
        """The day's edition of what was pulled, or why there is none. `closing`: it has waited long enough."""
        made = self.making.draft(pulled, day)
        failed = pulled.reports and all(report.error and not report.announcements for report in pulled.reports)
        if failed and not (closing and made.candidates):
            kept = "no edition was made, the next run tries again"
            raise SendError(f"every source of {self.config.path} failed: {kept}")
        now, apart = made.edition.cutoff, coarser(self.list.frequency)
        if not made.candidates and self.list.when_empty is WhenEmpty.SKIP:
            self.papers.record(self.list.id, pulled.all_reports, now)
            self.editions.round_up(self.list.id, day, now, self.making.merge, apart)
            since = made.edition.since
            after = f" since {since:%Y-%m-%d %H:%M} UTC" if since else ""
            return None, f'no new paper{after}, and when_empty = "skip"'
        return (
            self.editions.freeze(
                self.list.id,
                day,
                now,
                pulled.all_reports,
                self.making.merge,
                made.summaries,
                apart,
                even_empty=self.list.when_empty is WhenEmpty.SEND,
            ),
            None,
        )

    def _complete(self, overview: EditionOverview) -> str:
        sent = overview.counts.get(DeliveryStatus.SENT, 0)
        edition = overview.edition
        return (
            f"edition {edition.number} of {edition.due_on} is complete: sent to {sent} of {overview.recipients}; "
            "the next edition is tomorrow's"
        )


@dataclass(frozen=True, slots=True)
class _TodaysEdition:
    """The edition of a run, if there is one, and how that came."""

    edition: Edition | None = None
    pulled: Pulled | None = None
    """None: it was made before, or nothing was."""
    nothing_because: str | None = None
    look_again_at: datetime | None = None
    """It waits for its sources until then."""


async def _unless_stopped(work: Coroutine[Any, Any, T], stop: asyncio.Event) -> T | None:
    """The work's result, or None if it was asked to stop first; the work is cancelled then."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        for task in (working, stopping):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
