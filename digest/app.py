"""Wires the adapters together; the only place where they meet.

An `App` is one list with its store, its sources and its way out. `cli.py`, `scheduler.py` and `demo/` call it; it
prints nothing and decides nothing about exit codes.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import secrets
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from email.utils import parseaddr
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TypeVar

from digest import edition as life
from digest import processes
from digest.edition import Draft
from digest.errors import SendError
from digest.holding import Hold
from digest.meaning import CachedEmbed, EmbeddingStopped
from digest.membership import Membership
from digest.model import (
    Address,
    Announcement,
    Candidate,
    Claim,
    DeliveryId,
    DeliveryStatus,
    Edition,
    EditionId,
    Envelope,
    OnUnknown,
    Outcome,
    Paper,
    PaperId,
    Pick,
    Profile,
    Signal,
    SourceSummary,
    Subscriber,
    SubscriberId,
    WhenEmpty,
)
from digest.pull.dedupe import merge
from digest.pulling import gather
from digest.rank import Ranker
from digest.rank.embedding import Embed, Embedder, available
from digest.render import EditionRenderer
from digest.results import (
    QUIET,
    Progress,
    Proof,
    Pulled,
    Sent,
    nobody_gets_a_paper,
    why_nothing_is_due,
)
from digest.sampling import Borrowed, Sampler
from digest.send.drain import drain
from digest.send.letters import Posted, post
from digest.send.outbox import DrainReport
from digest.settings import ListConfig
from digest.store import (
    Archive,
    Bounces,
    Decisions,
    DeliveryLedger,
    EditionOverview,
    Editions,
    Fetches,
    Figures,
    Papers,
    Pauses,
    Secrets,
    Sources,
    Subscribers,
    Vectors,
    database_exists,
    open_database,
)
from digest.subscribe.links import list_links
from digest.subscribe.tokens import Tokens
from digest.ways_out import routes, signer

T = TypeVar("T")
NAMED = 5
"""How many of the subscribers an error names, where it is told of one that there is not."""


class App:
    """One list, ready to work. Use as a context manager: it holds the store open."""

    def __init__(self, config: ListConfig, now: Callable[[], datetime], *, keep: bool = True):
        """`keep=False` for commands that record nothing: they do not even create the database.

        Where there is one, they keep in it what is only work saved: sentence vectors.
        """
        self.config = config
        self.semantic = available() if config.semantic is None else config.semantic
        self.list = config.mailing_list
        self.now = self._now = now
        in_memory = not keep and not database_exists(config.store_url)
        self._database = open_database("sqlite://" if in_memory else config.store_url)
        self.papers = Papers(self._database)
        self.editions = Editions(self._database)
        self.bounces = Bounces(self._database, self.list.id)
        self.archive = Archive(self._database, self.list.id)
        self.sources = Sources(self._database)
        self.figures = Figures(self._database)
        self._fetches = Fetches(self._database, now, keep=keep)
        self._vectors = Vectors(self._database, now)
        self._secrets = Secrets(self._database, now, keep=keep)
        self.subscribers = Subscribers(self._database)
        self.membership = Membership(config, self._database, now)
        self.pauses = Pauses(self._database, self.list.id)
        self.hold = Hold(self.list, self.pauses, now)
        self._sign = signer(config)
        self._links = list_links(self.list, lambda: self._tokens, config.mailbox)
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
        found = await gather(self.config, self.papers, self._fetches, window, now, progress.on_report)
        unseen = self.papers.unseen(self.list.id, (a for report in found.reports for a in report.announcements))
        return Pulled(found.reports, life.summarise(found.reports, unseen), found.figures)

    async def pull(self, progress: Progress = QUIET) -> Pulled:
        """Fetches every source and keeps what they gave for the next edition."""
        pulled = await self.fetch(progress)
        self.sources.record(self.list.id, pulled.health, self._now())
        self.papers.record(self.list.id, pulled.all_reports, self._now())
        return pulled

    async def proof(self, only: Collection[str] = (), progress: Progress = QUIET) -> Proof:
        """Today's edition: as frozen if it is, else as it would be made now. Nothing is kept."""
        frozen = self.editions.on(self.list.id, life.due_on(self.list, self._now()))
        people = self.membership.people(only)
        if frozen:
            made = Draft(frozen, self.editions.candidates(frozen), self.editions.sources(frozen))
        else:
            made = await self._draft(progress)
        by_id = {candidate.paper.id: candidate for candidate in made.candidates}
        duplicates = life.duplicates_for(self.papers, made.candidates, made.edition.cutoff, self._library)
        sent = self.editions.already_sent(people, made.candidates, duplicates, made.edition)
        ranker = self._ranker(made.candidates, people, made.edition.cutoff, progress)
        news = life.news_for(self.papers, made.edition, [person.profile for person in people], made.announcements)
        chosen = life.select_for(self.list, made.edition, ranker, by_id, people, sent, duplicates, news)
        selections = tuple(chosen)
        if frozen:
            kept = {d.address: d for d in self.editions.deliveries(frozen)}
            selections = tuple(
                (who, kept[who.address].selection if who.address in kept else selection)
                for who, selection in selections
            )
        named = frozenset[PaperId]().union(*(life.named_papers(s.profile) for s in people))
        unknown = named - self.papers.known(named).keys() - by_id.keys() - self._library.keys()
        renderer = self._rendering(made.edition, by_id, made.summaries)
        return Proof(
            made.edition, frozen is not None, by_id, made.summaries, selections, renderer, self.semantic, unknown
        )

    async def rankings(
        self, only: Collection[str], top: int, progress: Progress = QUIET
    ) -> tuple[Proof, tuple[tuple[Subscriber, tuple[Pick, ...]], ...]]:
        """The proof, and beside each selection the ranking that it was made from."""
        proof = await self.proof(only, progress)
        people = [subscriber for subscriber, _ in proof.selections]
        ranker = self._ranker(tuple(proof.candidates.values()), people, proof.edition.cutoff, progress)
        rankings = ranker.rank([s.profile for s in people], top)
        return proof, tuple(zip(people, rankings, strict=True))

    async def test(self, address: Address, to: Collection[str], progress: Progress = QUIET) -> Outcome:
        """Sends one subscriber's edition to another address through the first real way out; records nothing."""
        proof = await self.proof(to, progress)
        for subscriber, selection in proof.selections:
            # Nobody's id: whoever gets the test must not unsubscribe her, or vote for her, with its links.
            nobody = SubscriberId(0)
            addressed = replace(subscriber, id=nobody, address=address)
            message = proof.compose(addressed, selection, self.list, salt=secrets.token_hex(8))
            transport = routes(self.config, self._database, self._now)[0].new_transport()
            try:
                return await transport.submit(self._envelope(address), message, _no_intent)
            finally:
                await transport.close()
        raise SendError(f"{self.config.path}: there is no subscriber whose edition could be sent")

    async def send(
        self,
        only: Collection[str] = (),
        *,
        due_on: date | None = None,
        stop: asyncio.Event | None = None,
        progress: Progress = QUIET,
    ) -> Sent:
        """Makes the edition of the day `due_on`, today's by default, unless it is made, and sends whatever is due.

        Earlier editions that are not finished are finished first.

        With `only`, everybody's delivery is queued and only those subscribers' are sent now. Raises SendError for a
        list that is paused. While its hours are over, the edition is made and waits.
        """
        if paused := self.hold.pause():
            raise SendError(f"{self.list.id}: {paused}")
        stop = stop or asyncio.Event()
        self.membership.synchronise()
        named = self.membership.addresses(only)
        anybody = bool(named or self.subscribers.some_reachable(self.list.id, 1))
        day = due_on or life.due_on(self.list, self._now())
        today = self.editions.on(self.list.id, day)
        pulled: Pulled | None = None
        reason: str | None = None
        semantic: bool | None = None
        if not anybody:
            reason = f"{self.config.path} has no subscriber who may be sent to: add a [[subscribers]] table"
        elif today is None:
            pulled = await _unless_stopped(self.fetch(progress), stop)
            if pulled:
                self.sources.record(self.list.id, pulled.health, self._now())
            today, reason = self._freeze(pulled, day) if pulled else (None, "stopped while the sources were fetched")
            semantic = self.semantic if today else None
        latest = self.editions.latest(self.list.id)
        self._ledger().reopen()
        waiting = self.editions.unfinished(self.list.id)
        drained: DrainReport | None = None
        if waiting:
            drained = await self.resume(named, stop=stop, progress=progress)
        elif today and not reason:
            reason = self._complete(self.editions.overview(today))
        shown = {e.id: e for e in (*waiting, *([today] if today else []))}
        overviews = tuple(self.editions.overview(e) for e in shown.values())
        if drained and not (drained.counts or drained.paused or drained.held or stop.is_set()):
            reason = why_nothing_is_due(overviews)
        expected = reason is not None and (latest is None or not anybody or nobody_gets_a_paper(overviews))
        return Sent(
            pulled,
            overviews,
            drained,
            reason,
            expected_something=expected,
            stopped=stop.is_set(),
            semantic=semantic,
        )

    async def resume(
        self, only: Collection[Address] = (), *, stop: asyncio.Event, progress: Progress = QUIET
    ) -> DrainReport:
        """Finishes what earlier runs left: recipients without a delivery, then deliveries that are due."""
        embed = self._embed(progress, stop.is_set)
        for edition in self.editions.unfinished(self.list.id):
            if progress.on_edition:
                progress.on_edition(edition)
            with contextlib.suppress(EmbeddingStopped):  # recipients without a delivery are left for the next run
                await self._enqueue(edition, embed, stop)
        return await self._drain(only, stop, progress)

    async def _enqueue(self, edition: Edition, embed: Embed | None, stop: asyncio.Event) -> None:
        """Queues everybody's delivery; for a large list, in several processes."""
        common = (self.list, edition, self.papers, self.editions, self._library, embed, self._now(), stop.is_set)
        if (
            (count := processes.usable()) > 1
            and database_exists(self.config.store_url)
            and self.subscribers.how_many(self.list.id) >= processes.MANY
            and not self.editions.recipients_are_frozen(edition)
        ):
            await processes.enqueue_all(self.config.store_url, *common, count)
        else:
            await life.enqueue_all(*common)

    async def _drain(self, only: Collection[Address], stop: asyncio.Event, progress: Progress) -> DrainReport:
        """Sends every due delivery of the list, and finishes the editions that are done."""
        if held := self.hold.reason():  # every minute by `digest run`: nothing needs to be made ready
            return DrainReport({}, held=held)
        ledger = self._ledger(only)
        # Made before the first claim: a broken template is found before anything is sent.
        renderers = {e.id: self._renderer(e) for e in self.editions.unfinished(self.list.id)}
        gc.freeze()  # a fifth of composing went into looking for garbage among what an edition holds
        try:
            report = await drain(
                ledger,
                routes(self.config, self._database, self._now),
                lambda claim: self._compose(claim, renderers),
                now=self._now,
                stop=stop,
                hold=self.hold.wait,
                on_result=progress.on_result,
            )
        finally:
            gc.unfreeze()
        for edition in self.editions.unfinished(self.list.id):
            self.editions.finish(edition, self._now())
        return report

    async def post(self) -> Posted:
        """Sends the letters to single people that are due, whatever the list's pause or hours."""
        return await post(self.membership.letters, routes(self.config, self._database, self._now), self._now)

    def sampler(self, edition: Edition, candidates: Sequence[Candidate]) -> Sampler:
        """What a frozen edition would have brought others; nothing is kept. Takes seconds."""
        memory = Borrowed(self._vectors)
        embed = CachedEmbed(Embedder().embed, memory) if self.semantic else None
        made = Sampler(self.list, edition, candidates, self.papers, embed)
        made.picks(Profile(self.config.topics))  # what is asked first is slow: it is asked now
        memory.return_it()
        return made

    def _ledger(self, only: Collection[Address] = ()) -> DeliveryLedger:
        # A Maildir knows its own copy of a message again, so there is never a doubt to hold.
        on_unknown = self.config.relays[0].on_unknown if self.config.relays else OnUnknown.RESEND
        return DeliveryLedger(self._database, self.list.id, self._now, on_unknown=on_unknown, only=only)

    def _freeze(self, pulled: Pulled, day: date) -> tuple[Edition | None, str | None]:
        """The day's edition of what was pulled, or why there is none."""
        if pulled.reports and all(report.error and not report.announcements for report in pulled.reports):
            kept = "no edition was made, the next run tries again"
            raise SendError(f"every source of {self.config.path} failed: {kept}")
        made = self._drafted(pulled, day)
        if not made.candidates and self.list.when_empty is WhenEmpty.SKIP:
            self.papers.record(self.list.id, pulled.all_reports, self._now())
            since = made.edition.since
            after = f" since {since:%Y-%m-%d %H:%M} UTC" if since else ""
            return None, f'no new paper{after}, and when_empty = "skip"'
        return (
            self.editions.freeze(
                self.list.id, made.edition.due_on, made.edition.cutoff, pulled.all_reports, self._merge, made.summaries
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

    async def _draft(self, progress: Progress) -> Draft:
        pulled = await self.fetch(progress)
        return self._drafted(pulled, life.due_on(self.list, self._now()))

    def _drafted(self, pulled: Pulled, day: date) -> Draft:
        latest = self.editions.latest(self.list.id)
        return life.draft(self.list, self.papers, latest, pulled.reports, pulled.figures, self._merge, day, self._now())

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

    def _renderer(self, edition: Edition) -> EditionRenderer:
        candidates = {c.paper.id: c for c in self.editions.candidates(edition)}
        sources = self.editions.sources(edition)
        return self._rendering(edition, candidates, sources)

    def _rendering(
        self, edition: Edition, candidates: Mapping[PaperId, Candidate], sources: Sequence[SourceSummary]
    ) -> EditionRenderer:
        in_use = dict.fromkeys(subscriber.language for subscriber in self.config.subscribers)
        return EditionRenderer(self.list, edition, candidates, sources, self._links, self._sign, in_use)

    def _compose(self, claim: Claim, renderers: dict[EditionId, EditionRenderer]) -> tuple[Envelope, bytes]:
        edition_id = claim.delivery.edition_id
        if edition_id not in renderers:  # an edition that was finished, and has a held delivery reopened
            renderers[edition_id] = self._renderer(self.editions.get(edition_id))
        message = renderers[edition_id].compose(claim.subscriber, claim.delivery)
        return self._envelope(claim.delivery.address, claim.delivery.id), message

    def _envelope(self, recipient: Address, delivery_id: DeliveryId | None = None) -> Envelope:
        """A delivery's bounces carry its tag (VERP); a test, which is no delivery, has the plain address."""
        sender = self.list.bounces or parseaddr(self.list.from_)[1]
        if self.list.bounces and delivery_id is not None:
            local, _, domain = sender.rpartition("@")
            sender = f"{local}+{self._tokens.bounce_tag(delivery_id)}@{domain}"
        return Envelope(sender, recipient)

    @cached_property
    def _tokens(self) -> Tokens:
        """The list's signatures; their key is made by the first command that needs one and keeps something."""
        return Tokens(self._secrets.signing_keys(self.config.keys), self.list.id)


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
