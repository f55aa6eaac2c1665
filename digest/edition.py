"""The life of one edition: pull, freeze, rank, enqueue. What happens in which order, and what a crash leaves behind.

Declares the narrow protocols that it needs; `app.py` brings the adapters. Sending is apart (`send/outbox.py`): it
works from the frozen deliveries alone.

    pull       nothing is kept until the edition is frozen            a crash: the pull is done again
    freeze     one transaction: edition, candidates, used marks       a crash: all of it or nothing
    enqueue    one transaction a shard of recipients                  a crash: the shards that are missing are done
    close      the set of recipients is final                         a crash: nobody is enqueued twice
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Protocol

from digest.followups import chosen, follow_ups
from digest.garbage import left_alone
from digest.model import (
    Announcement,
    AnnounceType,
    Candidate,
    Edition,
    EditionId,
    FollowUp,
    Frequency,
    ListId,
    MailingList,
    Paper,
    PaperId,
    Profile,
    Selection,
    Signal,
    Source,
    SourceReport,
    SourceSummary,
    Subscriber,
    SubscriberId,
    WhenEmpty,
    Window,
)
from digest.rank import Ranker, near_duplicates, select
from digest.rank.embedding import Embed
from digest.rank.profile import votes
from digest.render import message_id
from digest.roundup import NOTHING, Material, coarser, combined
from digest.stopping import BrokenOff, breakable
from digest.timing import leaves_at

FIRST_DAYS = {Frequency.DAILY: 1, Frequency.WEEKLY: 7, Frequency.MONTHLY: 31}
"""How far a list's first edition looks back in sources that answer by date."""
BACKGROUND_PAPERS = 5000
"""How many papers of earlier days tell the ranking what is common and what is rare, and what has been before."""
TRENDING_ASKED = 50
"""How many of the trending papers are looked through for what a subscriber does not have."""
RANKED = 200
"""How far down a ranking picks are looked for: room for what was sent before, and for a place for every topic."""

Merge = Callable[[Sequence[Announcement], Sequence[Signal]], Sequence[Candidate]]
Duplicates = Mapping[PaperId, Sequence[Paper]]
"""For each candidate that has any, its near-duplicates: candidates, papers of earlier days, papers of the library."""


class PaperStore(Protocol):
    """What an edition asks of the papers seen so far."""

    def pending(self, list_id: ListId) -> tuple[tuple[Announcement, ...], tuple[Signal, ...]]: ...
    def unseen(self, list_id: ListId, announcements: Iterable[Announcement]) -> tuple[Announcement, ...]: ...
    def known(self, ids: Collection[PaperId]) -> dict[PaperId, Paper]: ...
    def history(
        self, list_id: ListId, ids: Collection[PaperId]
    ) -> tuple[tuple[Announcement, EditionId | None], ...]: ...
    def background(self, until: datetime, limit: int) -> tuple[Paper, ...]: ...


class EditionStore(Protocol):
    """What an edition asks of the ledger."""

    def latest(self, list_id: ListId) -> Edition | None: ...
    def freeze(
        self,
        list_id: ListId,
        due_on: date,
        cutoff: datetime,
        reports: Sequence[SourceReport],
        merge: Merge,
        summaries: Sequence[SourceSummary],
        apart: Collection[Frequency],
        *,
        even_empty: bool,
    ) -> Edition: ...
    def parts(self, edition: Edition) -> frozenset[EditionId]: ...
    def candidates(self, edition: Edition) -> tuple[Candidate, ...]: ...
    def recipients(self, edition: Edition, apart: Collection[Frequency]) -> Iterator[tuple[Subscriber, ...]]: ...
    def named(self, edition: Edition, apart: Collection[Frequency]) -> frozenset[PaperId]: ...
    def already_sent(
        self,
        subscribers: Sequence[Subscriber],
        candidates: Sequence[Candidate],
        duplicates: Mapping[PaperId, Sequence[Paper]],
        until: Edition,
    ) -> dict[SubscriberId, dict[PaperId, date]]: ...
    def enqueue(
        self,
        edition: Edition,
        selected: Sequence[tuple[Subscriber, Selection, str]],
        now: datetime,
        nothing_for: str | None,
        leaves: Mapping[SubscriberId, datetime],
    ) -> None: ...
    def recipients_are_frozen(self, edition: Edition) -> bool: ...
    def close_recipients(self, edition: Edition, now: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class Draft:
    """An edition that is not frozen: what it would hold if it were made now."""

    edition: Edition
    candidates: tuple[Candidate, ...]
    summaries: tuple[SourceSummary, ...]
    announcements: tuple[Announcement, ...] = ()
    """What it is made of, candidates or not; in no edition yet."""
    parts: frozenset[EditionId] = frozenset()
    """The editions that it rounds up, or itself where it is frozen."""


def window(mailing_list: MailingList, latest: Edition | None, now: datetime) -> Window:
    """What the next edition covers: from the last one's cutoff, so that a missed run is caught up by the next."""
    return Window(latest.cutoff if latest else None, now, FIRST_DAYS[mailing_list.frequency])


def summarise(reports: Sequence[SourceReport], unseen: Sequence[Announcement]) -> tuple[SourceSummary, ...]:
    """What each source gave, in numbers."""
    return tuple(
        SourceSummary(
            source=report.source,
            received=len(report.announcements),
            fresh=sum(1 for a in unseen if a.source == report.source),
            notes=report.notes,
            error=report.error,
            coverage=report.coverage,
            announced=report.announced,
            skipped=report.skipped,
            rejected=len(report.rejected),
            figures=len(report.signals),
            look_again_at=report.look_again_at,
            unchanged_since=report.unchanged_since,
        )
        for report in reports
    )


def wanted(announcements: Iterable[Announcement], sources: Sequence[Source]) -> tuple[Announcement, ...]:
    """The announcements of the types that each source is asked for; others were seen and are not candidates."""
    kinds: dict[str, tuple[AnnounceType, ...]] = {source.name: source.kinds for source in sources}
    return tuple(a for a in announcements if a.announce_type in kinds.get(a.source, ()))


def merge_wanted(merge: Merge, sources: Sequence[Source]) -> Merge:
    """`merge` over the wanted announcements alone, with the signals of theirs; what is withdrawn is no news."""

    def merged(announcements: Sequence[Announcement], signals: Sequence[Signal]) -> Sequence[Candidate]:
        candidates = merge(wanted(announcements, sources), signals)
        return tuple(candidate for candidate in candidates if not candidate.paper.withdrawn)

    return merged


def draft(
    mailing_list: MailingList,
    papers: PaperStore,
    latest: Edition | None,
    reports: Sequence[SourceReport],
    figures: Sequence[SourceReport],
    merge: Merge,
    day: date,
    now: datetime,
    frequency: Frequency | None = None,
    rounding: Material = NOTHING,
) -> Draft:
    """What the edition of that day would hold; nothing is kept. `figures` are signals alone, of no source.

    A round-up of a `frequency` would hold what it rounds up, too.
    """
    unseen = papers.unseen(mailing_list.id, (a for report in reports for a in report.announcements))
    pending, signals = papers.pending(mailing_list.id)
    observed = tuple(s for report in (*reports, *figures) for s in report.signals)
    number = latest.number + 1 if latest else 1
    since = rounding.since if frequency else latest.cutoff if latest else None
    edition = Edition(EditionId(0), mailing_list.id, number, day, since, now, frequency)
    waiting = {(a.source, a.paper.id, a.announce_type) for a in (*pending, *unseen)}
    fresh = [
        a for report in reports for a in report.announcements if (a.source, a.paper.id, a.announce_type) in waiting
    ]
    candidates = merge(rounding.announcements + pending + unseen, rounding.signals + signals + observed)
    summaries = combined((rounding.sources, summarise(reports, fresh)))
    return Draft(edition, tuple(candidates), summaries, pending + unseen, rounding.parts)


def named_papers(profile: Profile) -> frozenset[PaperId]:
    """The papers that a profile names: its examples and votes."""
    return frozenset((*profile.examples, *(vote.paper_id for vote in profile.liked + profile.disliked)))


def dear_papers(profile: Profile) -> tuple[PaperId, ...]:
    """The papers of which a profile's owner will want news: what she liked, newest first, and her examples."""
    liked, _ = votes(profile)
    return (*(vote.paper_id for vote in liked), *profile.examples)


def rank_for(
    mailing_list: MailingList,
    papers: PaperStore,
    candidates: Sequence[Candidate],
    profiles: Iterable[Profile],
    cutoff: datetime,
    library: Mapping[PaperId, Paper],
    embed: Embed | None,
) -> Ranker:
    """The ranker for an edition's candidates, knowing the papers that the profiles name. None: by words alone."""
    named = frozenset(paper_id for profile in profiles for paper_id in named_papers(profile))
    return Ranker(
        candidates,
        known={**papers.known(named), **{paper_id: library[paper_id] for paper_id in sorted(named & library.keys())}},
        background=papers.background(cutoff, BACKGROUND_PAPERS),
        trend_weight=mailing_list.trend_weight,
        embed=embed,
        now=cutoff,
    )


def news_for(
    papers: PaperStore,
    list_id: ListId,
    parts: Collection[EditionId],
    profiles: Iterable[Profile],
    waiting: Sequence[Announcement] = (),
) -> dict[PaperId, FollowUp]:
    """What became of the papers that the profiles name. `parts`: the editions that this one is made of.

    `waiting`: announcements that a draft is made of beside them.
    """
    named = frozenset(paper_id for profile in profiles for paper_id in dear_papers(profile))
    told = papers.history(list_id, named)
    before = [a for a, edition_id in told if edition_id is not None and edition_id not in parts]
    return follow_ups(named, before, [*(a for a, edition_id in told if edition_id in parts), *waiting])


def duplicates_for(
    papers: PaperStore, candidates: Sequence[Candidate], cutoff: datetime, library: Mapping[PaperId, Paper]
) -> Duplicates:
    """The near-duplicates of an edition's candidates: among themselves, papers of earlier days, and the library."""
    earlier = papers.background(cutoff, BACKGROUND_PAPERS)
    return near_duplicates([candidate.paper for candidate in candidates], (*earlier, *library.values()))


def select_for(
    mailing_list: MailingList,
    edition: Edition,
    ranker: Ranker,
    candidates: Mapping[PaperId, Candidate],
    subscribers: Sequence[Subscriber],
    already_sent: Mapping[SubscriberId, Mapping[PaperId, date]],
    duplicates: Duplicates,
    news: Mapping[PaperId, FollowUp],
) -> Iterator[tuple[Subscriber, Selection]]:
    """Each subscriber's picks, in the order of subscribers. A paper that her own profile names is no news to her."""
    top = max(RANKED, 10 * mailing_list.papers)
    rankings = ranker.rankings([subscriber.profile for subscriber in subscribers], top)
    trending = ranker.trending(TRENDING_ASKED)
    for subscriber, ranking in zip(subscribers, rankings, strict=True):
        selection = select(
            ranking,
            candidates,
            {**dict.fromkeys(named_papers(subscriber.profile)), **already_sent.get(subscriber.id, {})},
            papers=mailing_list.papers,
            min_relevance=mailing_list.min_relevance,
            duplicates=duplicates,
            close_to=ranker.close_to,
            explore=mailing_list.explore,
            turn=edition.number,
            trending=trending,
        )
        told = chosen(news, dear_papers(subscriber.profile)) if news else ()
        yield subscriber, replace(selection, follow_ups=told) if told else selection


class ShardRunner:
    """Makes the picks of an edition's recipients, a shard at a time, from what is frozen alone.

    What all shards share is found out once, which takes seconds: when a runner is made. It keeps nothing and knows
    neither a queue nor a process: `enqueue_all` runs the shards in turn, `dispatch/processes.py` several at once.
    """

    def __init__(
        self,
        mailing_list: MailingList,
        edition: Edition,
        papers: PaperStore,
        editions: EditionStore,
        library: Mapping[PaperId, Paper],
        named: Collection[PaperId],
        embed: Embed | None,
    ):
        """`named`: the papers that the recipients' profiles name (`named_by_recipients`)."""
        self._list, self._edition, self._editions = mailing_list, edition, editions
        self._candidates = editions.candidates(edition)
        self._by_id = {candidate.paper.id: candidate for candidate in self._candidates}
        self._duplicates = duplicates_for(papers, self._candidates, edition.cutoff, library)
        everybody = Profile(examples=tuple(named))
        self._news = news_for(papers, edition.list_id, editions.parts(edition), [everybody])
        self._ranker = rank_for(mailing_list, papers, self._candidates, [everybody], edition.cutoff, library, embed)

    def prime(self) -> None:
        """Finds out now what the first shard would, for all."""
        self._ranker.prime()

    def run(self, shard: Sequence[Subscriber]) -> list[tuple[Subscriber, Selection, str]]:
        """What each of the shard gets, with the Message-ID of its delivery."""
        sent = self._editions.already_sent(shard, self._candidates, self._duplicates, self._edition)
        # One step for all before the next: what a step needs is then in the processor's cache.
        chosen = list(
            select_for(self._list, self._edition, self._ranker, self._by_id, shard, sent, self._duplicates, self._news)
        )
        return [(who, selection, message_id(self._list, self._edition, who.id)) for who, selection in chosen]


def named_by_recipients(mailing_list: MailingList, editions: EditionStore, edition: Edition) -> tuple[PaperId, ...]:
    """The papers that profiles of those without a delivery name."""
    return tuple(sorted(editions.named(edition, coarser(mailing_list.frequency))))


def hours_of(
    mailing_list: MailingList, edition: Edition, shard: Iterable[Subscriber], now: datetime
) -> dict[SubscriberId, datetime]:
    """Whose delivery waits for her hour, and until when."""
    hours = {reader.id: leaves_at(mailing_list, edition, reader) for reader in shard}
    return {reader: hour for reader, hour in hours.items() if hour and hour > now}


def nothing_for(mailing_list: MailingList) -> str | None:
    """Why somebody without a pick gets no email; None if she gets one all the same."""
    if mailing_list.when_empty is not WhenEmpty.SKIP:
        return None
    return f'no paper reached min_relevance = {mailing_list.min_relevance:g}, and when_empty = "skip"'


async def enqueue_all(
    mailing_list: MailingList,
    edition: Edition,
    papers: PaperStore,
    editions: EditionStore,
    library: Mapping[PaperId, Paper],
    embed: Embed | None,
    now: datetime,
    stopped: Callable[[], bool],
    *,
    at_once: bool,
) -> None:
    """Ranks the frozen candidates for every recipient who has no delivery yet, and closes the set of recipients.

    Each delivery leaves at its reader's hour, unless it is `at_once` that all do.
    Once `stopped`, the set is left open and the next run goes on from there; a signal breaks off a ranking.
    """
    if editions.recipients_are_frozen(edition):
        return
    runner: ShardRunner | None = None
    for shard in editions.recipients(edition, coarser(mailing_list.frequency)):
        hours = {} if at_once else hours_of(mailing_list, edition, shard, now)
        with left_alone():
            try:
                with breakable(stopped):
                    if runner is None:
                        named = named_by_recipients(mailing_list, editions, edition)
                        runner = ShardRunner(mailing_list, edition, papers, editions, library, named, embed)
                    selected = runner.run(shard)
            except BrokenOff:
                return
            editions.enqueue(edition, selected, now, nothing_for(mailing_list), hours)
        await asyncio.sleep(0)  # ranking is all CPU: others have their turn between shards
    editions.close_recipients(edition, now)
