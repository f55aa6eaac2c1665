"""What past editions would have brought each reader under other settings; `app.py`'s counterpart for `digest replay`.

An edition is frozen: its papers and their figures are as they were, and so is all that is known of a reader as of its
cutoff: what earlier editions brought her, and which votes she had cast by then. What she voted afterwards is only what
the selections are judged by. From the config come the topics, the profiles of its people, and every setting of the
ranking; profiles that are kept in the store are as they are now, since no older ones are. A vote that was changed later
counts from the change on.

Each edition stands alone: what was sent before it is what was really sent. Nothing is kept but sentence vectors.
`digest/commands/replaying.py` shows what this yields.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from digest import edition as life
from digest.errors import ConfigError
from digest.meaning import CachedEmbed, Embedded, is_semantic
from digest.membership import Membership, as_sent_to
from digest.model import (
    NOBODY,
    Address,
    Candidate,
    Edition,
    MailingList,
    Paper,
    PaperId,
    Profile,
    Subscriber,
    SubscriberId,
    Vote,
)
from digest.rank.embedding import Embed, Embedder
from digest.rank.evaluation import Liked
from digest.rank.profile import votes
from digest.roundup import is_for
from digest.settings import ListConfig
from digest.store import Editions, Papers, Past, Subscribers, Vectors, open_database

AT_ONCE = 1000
"""Readers who are ranked together."""

Picks = tuple[PaperId, ...]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one reader was sent in an edition, and what each config would have had for her."""

    address: Address
    sent: Picks | None
    """None: the edition was not made for her."""
    now: tuple[Picks | None, ...]
    """In the order of the configs; None: the config has no such reader."""
    liked: Liked
    """What she said of the edition's papers after it was made."""
    knew: int
    """How many votes the ranking knew of."""
    votes: bool
    """Whether she has voted at all, at whatever time."""


@dataclass(frozen=True, slots=True)
class ReplayedEdition:
    """An edition, with each reader's replay; they are made as they are asked for."""

    edition: Edition
    candidates: Mapping[PaperId, Candidate]
    readers: Iterator[Replayed]
    recipients: int
    """For how many it was made; some of them may have left."""


@dataclass(frozen=True, slots=True)
class _Variant:
    """One config, as far as it has a say in what is selected."""

    list: MailingList
    library: Mapping[PaperId, Paper]
    embed: Embed | None
    people: Mapping[str, Subscriber]
    """Its own, by the folded address."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A reader, and how each config would have her sent to; None: not at all."""

    subscriber: Subscriber
    listed: tuple[Subscriber | None, ...]


class Replay:
    """One list's past, under one config or several. Use as a context manager: it holds the store open."""

    def __init__(self, configs: Sequence[ListConfig], now: Callable[[], datetime], on_embedded: Embedded | None = None):
        """The first config's store has the past. Raises ConfigError where another is not of the same list."""
        first = configs[0]
        for other in configs[1:]:
            if other.mailing_list.id != first.mailing_list.id:
                raise ConfigError(
                    f"{other.path}: is the list {other.mailing_list.id}, not {first.mailing_list.id}: "
                    "copy the list's own file and change what you want to compare"
                )
        self._path: Path = first.path
        self._database = open_database(first.store_url)
        self._past = Past(self._database, first.mailing_list.id)
        self._editions = Editions(self._database)
        self._papers = Papers(self._database)
        self._list_id = first.mailing_list.id
        self._subscribers = Subscribers(self._database)
        self._departed = self._subscribers.departed(self._list_id)
        vectors = Vectors(self._database, now)
        self._variants = tuple(
            _Variant(
                config.mailing_list,
                {paper.id: paper for subscriber in config.subscribers for paper in subscriber.library},
                CachedEmbed(Embedder().embed, vectors, on_embedded) if is_semantic(config) else None,
                {s.address.casefold(): s for s in Membership(config, self._database, now).configured()},
            )
            for config in configs
        )
        self._written = {
            s.address.casefold(): s.address
            for config, variant in zip(configs, self._variants, strict=True)
            for s in config.subscribers
            if s.address.casefold() in variant.people
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def editions(self, since: date, until: date, only: Collection[str] = ()) -> Iterator[ReplayedEdition]:
        """The editions of these days, oldest first; of these readers, or all. Raises ConfigError for a stranger."""
        chosen = frozenset(address.casefold() for address in only)
        if chosen:
            found = {reader.subscriber.address.casefold() for some in self._readers(chosen) for reader in some}
            if strangers := sorted(chosen - found):
                raise ConfigError(f"{self._path}: {', '.join(strangers)} is not a subscriber who may be sent to")
        for edition in self._past.editions(since, until):
            candidates = {candidate.paper.id: candidate for candidate in self._editions.candidates(edition)}
            readers = self._replayed(edition, candidates, chosen)
            yield ReplayedEdition(edition, candidates, readers, self._past.recipients(edition))

    def _replayed(
        self, edition: Edition, candidates: Mapping[PaperId, Candidate], only: Collection[str]
    ) -> Iterator[Replayed]:
        papers, cutoff = tuple(candidates.values()), edition.cutoff
        duplicates = [life.duplicates_for(self._papers, papers, cutoff, v.library) for v in self._variants]
        rankers = [
            life.rank_for(
                variant.list,
                self._papers,
                papers,
                (as_of(who.profile, cutoff) for some in self._readers(only) for r in some if (who := r.listed[n])),
                cutoff,
                variant.library,
                variant.embed,
            )
            for n, variant in enumerate(self._variants)
        ]
        for group in self._readers(only):
            sent = self._past.sent(edition, {reader.subscriber.id for reader in group})
            some = [r for r in group if any(self._is_for(edition, n, r, sent) for n in range(len(self._variants)))]
            people = [reader.subscriber for reader in some]
            selected: list[dict[Address, Picks]] = []
            for n, variant in enumerate(self._variants):
                asked = [
                    replace(reader.subscriber, profile=as_of(who.profile, cutoff))
                    for reader in some
                    if (who := reader.listed[n]) and self._is_for(edition, n, reader, sent)
                ]
                before = self._editions.already_sent(asked, papers, duplicates[n], edition, in_the_past=True)
                chosen = life.select_for(
                    variant.list, edition, rankers[n], candidates, asked, before, duplicates[n], {}
                )
                selected.append({who.address: tuple(p.paper_id for p in selection.picks) for who, selection in chosen})
            for person in people:
                cast = votes(person.profile)
                yield Replayed(
                    person.address,
                    sent.get(person.id),
                    tuple(each.get(person.address) for each in selected),
                    judgements(person.profile, candidates, cutoff),
                    sum(1 for each in cast for vote in each if _was_known(vote, cutoff)),
                    any(cast),
                )

    def _is_for(self, edition: Edition, n: int, reader: _Known, sent: Collection[SubscriberId]) -> bool:
        """Whether she was sent it and is still listed, or would be sent such an edition, as often as she wants them."""
        who, own = reader.listed[n], self._variants[n].list.frequency
        return who is not None and (who.id in sent or is_for(edition.frequency, own, who.frequency))

    def _readers(self, only: Collection[str]) -> Iterator[tuple[_Known, ...]]:
        """Whoever would get the list's next edition under one of the configs, in groups."""
        new = set(self._written) - self._departed
        for some in self._subscribers.readers(self._list_id, only):
            known = []
            for reader in some:
                key = reader.subscriber.address.casefold()
                new.discard(key)
                listed = tuple(as_sent_to(reader, variant.people.get(key)) for variant in self._variants)
                if any(listed):
                    known.append(_Known(reader.subscriber, listed))
            if known:
                yield tuple(known)
        unknown = sorted(key for key in new if not only or key in only)
        for start in range(0, len(unknown), AT_ONCE):
            yield tuple(self._never_sent_to(key) for key in unknown[start : start + AT_ONCE])

    def _never_sent_to(self, key: str) -> _Known:
        person = Subscriber(NOBODY, self._written[key])
        return _Known(person, tuple(variant.people.get(key) for variant in self._variants))


def as_of(profile: Profile, cutoff: datetime) -> Profile:
    """The profile with those votes alone that were cast by then."""

    def known(cast: Sequence[Vote]) -> tuple[Vote, ...]:
        return tuple(vote for vote in cast if _was_known(vote, cutoff))

    return replace(profile, liked=known(profile.liked), disliked=known(profile.disliked))


def judgements(profile: Profile, papers: Collection[PaperId], cutoff: datetime) -> dict[PaperId, bool]:
    """What she said of the papers after the cutoff: whether she liked each."""
    liked, disliked = votes(profile)
    return {
        vote.paper_id: likes
        for cast, likes in ((liked, True), (disliked, False))
        for vote in cast
        if vote.paper_id in papers and not _was_known(vote, cutoff)
    }


def _was_known(vote: Vote, cutoff: datetime) -> bool:
    return vote.at is None or vote.at <= cutoff
