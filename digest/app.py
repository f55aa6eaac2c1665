"""Wires the adapters together; the only place where they meet.

An `App` is one list with its store, its sources and its way out. `cli.py`, `tending.py` and `demo/` call it; it
prints nothing and decides nothing about exit codes.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from logging import WARNING
from types import TracebackType
from typing import Any, Self, TypeVar

from digest import draining, processes
from digest import edition as life
from digest.composing import Composer
from digest.dispatch import Queue
from digest.edition import Draft
from digest.errors import SendError
from digest.holding import Hold
from digest.logs import Event, tell
from digest.meaning import CachedEmbed, EmbeddingStopped
from digest.membership import Membership
from digest.model import (
    Address,
    Announcement,
    Candidate,
    DeliveryStatus,
    Edition,
    Frequency,
    Outcome,
    Paper,
    PaperId,
    Pick,
    Profile,
    Signal,
    Subscriber,
    SubscriberId,
    WhenEmpty,
)
from digest.outbox import Outbox
from digest.pull.dedupe import merge
from digest.pulling import gather
from digest.rank import Ranker
from digest.rank.embedding import Embed, Embedder, available
from digest.results import (
    QUIET,
    Progress,
    Proof,
    Pulled,
    Sent,
    nobody_gets_a_paper,
    why_nothing_is_due,
)
from digest.roundup import NOTHING, coarser
from digest.sampling import Borrowed, Sampler
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
    Shards,
    Sources,
    Subscribers,
    Vectors,
    database_exists,
    open_database,
)
from digest.store.outbox import RENEWED_LEASE
from digest.store.relay_turns import RelayTurns, places
from digest.timing import Due, look_again
from digest.ways_out import routes, signer
from digest.working import ListEdition, enqueue_shards, wake

T = TypeVar("T")


class App:
    """One list, ready to work. Use as a context manager: it holds the store open."""

    def __init__(
        self, config: ListConfig, now: Callable[[], datetime], *, keep: bool = True, queue: Queue | None = None
    ):
        """`queue`: workers make and send the deliveries (`digest/dispatch`), this process only sees that they do.

        `keep=False` for commands that record nothing: they do not even create the database.

        Where there is one, they keep in it what is only work saved: sentence vectors.
        """
        self.config = config
        self.semantic = available() if config.semantic is None else config.semantic
        self.list = config.mailing_list
        self.now = self._now = now
        in_memory = not keep and not database_exists(config.store_url)
        self._database = open_database("sqlite://" if in_memory else config.store_url)
        self.papers = Papers(self._database)
        self._queue = queue
        self.shards = Shards(self._database)
        self.editions = Editions(self._database, partial(enqueue_shards, queue) if queue else None)
        self.bounces = Bounces(self._database, self.list.id)
        self.archive = Archive(self._database, self.list.id)
        self.sources = Sources(self._database)
        self.figures = Figures(self._database)
        self._fetches = Fetches(self._database, now, keep=keep)
        self._vectors = Vectors(self._database, now)
        self.subscribers = Subscribers(self._database)
        self.membership = Membership(config, self._database, now)
        self.pauses = Pauses(self._database, self.list.id)
        self.runs = Runs(self._database, self.list.id)
        self.hold = Hold(self.list, self.pauses, now)
        self.composer = Composer(config, self._database, signer(config), now, keep=keep)
        self._outbox = Outbox(config, self._database, self.composer, self.hold, now)
        self._library: dict[PaperId, Paper] = {p.id: p for s in config.subscribers for p in s.library}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def decisions(self, edition: Edition, only: Collection[Address] = ()) -> Decisions:
        """The edition's deliveries, in a person's hands."""
        return Decisions(self._database, edition, only)

    async def fetch(self, progress: Progress = QUIET) -> Pulled:
        """Fetches every source; keeps nothing."""
        now = self._now()
        window = life.window(self.list, self.editions.latest(self.list.id), now)
        answered = {health.summary.source: health.good_at for health in self.sources.health(self.list.id)}
        found = await gather(self.config, self.papers, self._fetches, window, answered, now, progress.on_report)
        unseen = self.papers.unseen(self.list.id, (a for report in found.reports for a in report.announcements))
        return Pulled(found.reports, life.summarise(found.reports, unseen), found.figures)

    async def pull(self, progress: Progress = QUIET) -> Pulled:
        """Fetches every source and keeps what they gave for the next edition."""
        pulled = await self.fetch(progress)
        self.sources.record(self.list.id, pulled.health, self._now())
        self.papers.record(self.list.id, pulled.all_reports, self._now())
        return pulled

    async def proofs(self, only: Collection[str] = (), progress: Progress = QUIET) -> tuple[Proof, ...]:
        """Today's editions, each with the readers who get it: as frozen, else as it would be made now. Nothing is kept.

        The list's own comes first, with nobody where nobody is subscribed; then the round-ups of the readers' choice.
        """
        people = self.membership.people(only)
        apart = coarser(self.list.frequency)
        often: dict[Frequency | None, list[Subscriber]] = {None: [s for s in people if s.frequency not in apart]}
        often |= {frequency: [s for s in people if s.frequency is frequency] for frequency in apart}
        day = life.due_on(self.list, self._now())
        pulled: Pulled | None = None
        proofs = []
        for frequency, readers in often.items():
            if not readers and (people or frequency):
                continue
            if frozen := self.editions.on(self.list.id, day, frequency):
                candidates, sources = self.editions.candidates(frozen), self.editions.sources(frozen)
                made = Draft(frozen, candidates, sources, parts=self.editions.parts(frozen))
            else:
                if not (pulled or self.editions.on(self.list.id, day)):
                    pulled = await self.fetch(progress)
                made = self._drafted(pulled or Pulled((), ()), day, frequency)
            proofs.append(self._proof(made, frozen is not None, readers, progress))
        return tuple(proofs)

    def _proof(self, made: Draft, is_frozen: bool, people: Sequence[Subscriber], progress: Progress) -> Proof:
        by_id = {candidate.paper.id: candidate for candidate in made.candidates}
        duplicates = life.duplicates_for(self.papers, made.candidates, made.edition.cutoff, self._library)
        sent = self.editions.already_sent(people, made.candidates, duplicates, made.edition)
        ranker = self._ranker(made.candidates, people, made.edition.cutoff, progress)
        profiles = [person.profile for person in people]
        news = life.news_for(self.papers, self.list.id, made.parts, profiles, made.announcements)
        chosen = life.select_for(self.list, made.edition, ranker, by_id, people, sent, duplicates, news)
        selections = tuple(chosen)
        if is_frozen:
            kept = {d.address: d for d in self.editions.deliveries(made.edition)}
            selections = tuple(
                (who, kept[who.address].selection if who.address in kept else selection)
                for who, selection in selections
            )
        named = frozenset[PaperId]().union(*(life.named_papers(s.profile) for s in people))
        unknown = named - self.papers.known(named).keys() - by_id.keys() - self._library.keys()
        renderer = self.composer.renderer(made.edition, by_id, made.summaries)
        return Proof(made.edition, is_frozen, by_id, made.summaries, selections, renderer, self.semantic, unknown)

    def rankings(
        self, proof: Proof, top: int, progress: Progress = QUIET
    ) -> tuple[tuple[Subscriber, tuple[Pick, ...]], ...]:
        """Beside each selection of a proof the ranking that it was made from."""
        people = [subscriber for subscriber, _ in proof.selections]
        ranker = self._ranker(tuple(proof.candidates.values()), people, proof.edition.cutoff, progress)
        rankings = ranker.rank([s.profile for s in people], top)
        return tuple(zip(people, rankings, strict=True))

    async def test(self, address: Address, to: Collection[str], progress: Progress = QUIET) -> Outcome:
        """Sends one subscriber's edition to another address through the first real way out; records nothing."""
        proofs = await self.proofs(to, progress)
        for proof, subscriber, selection in [(p, *selected) for p in proofs for selected in p.selections]:
            # Nobody's id: whoever gets the test must not unsubscribe her, or vote for her, with its links.
            nobody = SubscriberId(0)
            addressed = replace(subscriber, id=nobody, address=address)
            message = proof.compose(addressed, selection, self.list, salt=secrets.token_hex(8))
            transport = routes(self.config, self._database, self._now)[0].new_transport()
            try:
                return await transport.submit(self.composer.envelope(address), message, _no_intent)
            finally:
                await transport.close()
        raise SendError(f"{self.config.path}: there is no subscriber whose edition could be sent")

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
        anybody's hour. Raises SendError for a list that is paused. While its hours are over, the edition is made and
        waits.
        """
        if paused := self.hold.pause():
            raise SendError(f"{self.list.id}: {paused}")
        stop = stop or asyncio.Event()
        self.membership.synchronise()
        named = self.membership.addresses(only)
        anybody = bool(named or self.subscribers.some_reachable(self.list.id, 1))
        began = self._now()
        day = due.day if due else life.due_on(self.list, began)
        today = self.editions.on(self.list.id, day)
        pulled: Pulled | None = None
        reason: str | None = None
        semantic: bool | None = None
        again: datetime | None = None
        if not anybody:
            reason = f"{self.config.path} has no subscriber who may be sent to: add a [[subscribers]] table"
        elif today is None:
            pulled = await _unless_stopped(self.fetch(progress), stop)
            if pulled is None:
                reason = "stopped while the sources were fetched"
            else:
                self.sources.record(self.list.id, pulled.health, self._now())
                again = look_again(pulled.summaries, due, retry_at or began, self._now()) if due else None
                if again:
                    self.papers.record(self.list.id, pulled.all_reports, self._now())
                else:
                    before = self.editions.unfinished(self.list.id)
                    today, reason = self._freeze(pulled, day, closing=bool(due and due.closes_at))
                    self._tell_made(before)
            semantic = self.semantic if today else None
        if not (again or stop.is_set()):
            self.runs.settle(began)
        latest = self.editions.latest(self.list.id)
        self._outbox.ledger().reopen()
        if at_once:
            self._outbox.ledger(named).hurry()
        waiting = self.editions.unfinished(self.list.id)
        drained: DrainReport | None = None
        if waiting:
            drained = await self.resume(named, at_once=at_once, stop=stop, progress=progress)
        elif today and not reason:
            reason = self._complete(self.editions.overview(today))
        shown = {e.id: e for e in (*waiting, *([today] if today else []))}
        overviews = tuple(self.editions.overview(e) for e in shown.values())
        if drained and not (drained.counts or drained.paused or drained.held or stop.is_set()):
            reason = why_nothing_is_due(overviews, self._now()) or reason
        expected = reason is not None and (latest is None or not anybody or nobody_gets_a_paper(overviews))
        return Sent(
            pulled,
            overviews,
            drained,
            reason,
            expected_something=expected,
            stopped=stop.is_set(),
            semantic=semantic,
            look_again_at=again,
        )

    async def resume(
        self,
        only: Collection[Address] = (),
        *,
        stop: asyncio.Event,
        at_once: bool = False,
        progress: Progress = QUIET,
    ) -> DrainReport:
        """Finishes what earlier runs left: recipients without a delivery, then deliveries that are due."""
        if self._queue:
            waiting = wake(self._queue, self._database, self.list.id, self._now())
            alone = waiting and not self.shards.workers()
            return DrainReport({}, held="no worker lives: start `digest worker`" if alone else None)
        embed = self._embed(progress, stop.is_set)
        for edition in self.editions.unfinished(self.list.id):
            if progress.on_edition:
                progress.on_edition(edition)
            with contextlib.suppress(EmbeddingStopped):  # recipients without a delivery are left for the next run
                await self._enqueue(edition, embed, stop, at_once=at_once)
        return await self._drain(only, stop, progress)

    async def _enqueue(self, edition: Edition, embed: Embed | None, stop: asyncio.Event, *, at_once: bool) -> None:
        """Queues everybody's delivery; for a large list, in several processes."""
        common = (self.list, edition, self.papers, self.editions, self._library, embed, self._now(), stop.is_set)
        if (
            (count := processes.usable()) > 1
            and database_exists(self.config.store_url)
            and self.subscribers.how_many(self.list.id) >= processes.MANY
            and not self.editions.recipients_are_frozen(edition)
        ):
            await processes.enqueue_all(self.config.store_url, *common, count, at_once=at_once)
        else:
            await life.enqueue_all(*common, at_once=at_once)

    async def _drain(self, only: Collection[Address], stop: asyncio.Event, progress: Progress) -> DrainReport:
        """Sends every due delivery of the list, and finishes the editions that are done."""
        if held := self.hold.reason():  # every minute by `digest run`: nothing needs to be made ready
            return DrainReport({}, held=held)
        ledger = self._outbox.ledger(only)
        if ledger.is_idle():  # for hours, while readers' own are to come
            self._finish()
            return DrainReport({})
        report = await draining.drain_all(self._outbox, ledger, stop, progress.on_result)
        if report.counts:
            tell(Event.DELIVERIES_SETTLED, list=self.list.id, counts=dict(report.counts))
        if report.paused:
            tell(Event.SENDING_PAUSED, level=WARNING, list=self.list.id, why=report.paused)
        self._finish()
        return report

    def _tell_made(self, before: Collection[Edition]) -> None:
        for edition in self.editions.unfinished(self.list.id):
            if edition not in before:
                papers, day = len(self.editions.candidates(edition)), edition.due_on
                tell(Event.EDITION_MADE, list=self.list.id, edition=edition.number, due_on=day, papers=papers)

    def _finish(self) -> None:
        for edition in self.editions.unfinished(self.list.id):
            if self.editions.finish(edition, self._now()):
                tell(Event.EDITION_FINISHED, list=self.list.id, edition=edition.number)

    def edition_work(self, edition: Edition) -> ListEdition:
        """The edition for a worker that does its shards."""

        def new_runner() -> life.ShardRunner:
            named = life.named_by_recipients(self.list, self.editions, edition)
            embed = self._embed(QUIET)
            return life.ShardRunner(self.list, edition, self.papers, self.editions, self._library, named, embed)

        return ListEdition(
            self.list,
            edition,
            self.editions,
            new_runner,
            lambda shard: self._outbox.ledger(within=shard, lease=RENEWED_LEASE),
            lambda: routes(self.config, self._database, self._now, RelayTurns(self._database)),
            partial(places, self._database),
            self.composer.composing(),
            self.hold,
            self._now,
        )

    async def post(self) -> Posted:
        """Sends the letters to single people that are due, whatever the list's pause or hours."""
        posted = await post(self.membership.letters, routes(self.config, self._database, self._now), self._now)
        if posted.counts:
            tell(Event.LETTERS_SENT, list=self.list.id, counts=dict(posted.counts))
        return posted

    def sampler(self, edition: Edition, candidates: Sequence[Candidate]) -> Sampler:
        """What a frozen edition would have brought others; nothing is kept. Takes seconds."""
        memory = Borrowed(self._vectors)
        embed = CachedEmbed(Embedder().embed, memory) if self.semantic else None
        made = Sampler(self.list, edition, candidates, self.papers, embed)
        made.picks(Profile(self.config.topics))  # what is asked first is slow: it is asked now
        memory.return_it()
        return made

    def _freeze(self, pulled: Pulled, day: date, *, closing: bool) -> tuple[Edition | None, str | None]:
        """The day's edition of what was pulled, or why there is none. `closing`: it has waited long enough."""
        made = self._drafted(pulled, day)
        failed = pulled.reports and all(report.error and not report.announcements for report in pulled.reports)
        if failed and not (closing and made.candidates):
            kept = "no edition was made, the next run tries again"
            raise SendError(f"every source of {self.config.path} failed: {kept}")
        now, apart = made.edition.cutoff, coarser(self.list.frequency)
        if not made.candidates and self.list.when_empty is WhenEmpty.SKIP:
            self.papers.record(self.list.id, pulled.all_reports, now)
            self.editions.round_up(self.list.id, day, now, self._merge, apart)
            since = made.edition.since
            after = f" since {since:%Y-%m-%d %H:%M} UTC" if since else ""
            return None, f'no new paper{after}, and when_empty = "skip"'
        return (
            self.editions.freeze(
                self.list.id,
                day,
                now,
                pulled.all_reports,
                self._merge,
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

    def _drafted(self, pulled: Pulled, day: date, frequency: Frequency | None = None) -> Draft:
        latest = self.editions.latest(self.list.id)
        rounding = self.editions.material(self.list.id, day, frequency) if frequency else NOTHING
        return life.draft(
            self.list,
            self.papers,
            latest,
            pulled.reports,
            pulled.figures,
            self._merge,
            day,
            self._now(),
            frequency,
            rounding,
        )

    def _merge(self, announcements: Sequence[Announcement], signals: Sequence[Signal]) -> Sequence[Candidate]:
        return life.merge_wanted(merge, self.config.sources)(announcements, signals)

    def _ranker(
        self, candidates: Sequence[Candidate], people: Sequence[Subscriber], cutoff: datetime, progress: Progress
    ) -> Ranker:
        profiles = [s.profile for s in people]
        embed = self._embed(progress)
        return life.rank_for(self.list, self.papers, candidates, profiles, cutoff, self._library, embed)

    def _embed(self, progress: Progress, stopped: Callable[[], bool] = lambda: False) -> Embed | None:
        """How texts become vectors, each once; None where words alone count. Costs nothing until the first text."""
        return CachedEmbed(Embedder().embed, self._vectors, progress.on_embedded, stopped) if self.semantic else None


async def _no_intent() -> None:
    """What is recorded before a test leaves."""


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
