"""Lets go of what is not needed any more, in small transactions: whoever sends meanwhile waits for none of them long.

What stays for ever, as something hangs on it:

- every edition and announcement as a row, and what an edition's deliveries came to: counts add up
- which papers each reader had, in a few bytes (`received.py`): none is sent or announced twice, however old it is
- votes, and all of the papers that votes and profiles name: the ranking learns from their texts
- titles, authors, categories and links of the archive; the newest papers whole, with which the ranking compares
- who unsubscribed, was suppressed or erased; of whoever never confirmed, that there was somebody

The deliveries of the newest few editions stay as long as soft bounces are counted by them. An edition is left alone as
long as it is not finished or holds a delivery in doubt: what may still be sent must be the message that was frozen.
`digest/commands/pruning.py` calls this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

import sqlalchemy as sa

from digest.members import Subscription
from digest.model import SOFT_BOUNCES, EditionId, ListId, PaperId, Retention
from digest.store import condensing, fetches, schema, vectors
from digest.store.codec import named_in, without_abstract
from digest.store.condensing import is_over
from digest.store.damaged import readable
from digest.store.database import Database
from digest.store.members import nobody_left
from digest.store.papers import NO_NEWS, in_groups
from digest.store.received import let_go
from digest.store.statements import overwrite
from digest.store.subscribers import not_suppressed

ENOUGH = 31
"""So many editions in a row, from the newest, that are pruned already: those before them are, too."""

T = TypeVar("T")

editions, announcements = schema.editions, schema.announcements
held, papers, signals = schema.edition_papers, schema.papers, schema.signals


class Kind(StrEnum):
    """What is let go of."""

    ABSTRACTS = "abstracts"
    """Of announcements, and of candidates in the archive."""
    PAPERS = "papers"
    FIGURES = "figures"
    DELIVERIES = "deliveries"
    """Whole, with what came back of them; counted when they do not count any more, removed in the batches after it."""
    LETTERS = "letters"
    UNCONFIRMED = "unconfirmed"
    """Addresses that were asked, and never confirmed: as long as a letter that may have asked."""
    RELAY_DAYS = "relay days"
    ANSWERS = "answers"
    """Of sources, to ask again conditionally: these are let go of after a month without use whenever one is added."""
    VECTORS = "vectors"
    """The same after a season."""


Batch = tuple[Kind, int]


class Pruning:
    """What the lists of one database let go of now."""

    def __init__(
        self,
        database: Database,
        retentions: Mapping[ListId, Retention],
        newest: int,
        now: datetime,
        *,
        dry_run: bool = False,
    ):
        """Lists that are not among `retentions` keep what is their own. So many of the `newest` papers stay.

        With `dry_run` nothing is changed.
        """
        self._database = database
        self._retentions = retentions
        self._newest = newest
        self._now = now
        self._dry_run = dry_run

    def batches(self) -> Iterator[Batch]:
        """Does one transaction at each step, and tells what it let go of, and of how many rows."""
        for list_id, retention in self._retentions.items():
            if retention.papers is not None:
                yield from self._abstracts(list_id, self._now - retention.papers)
            if retention.deliveries is not None:
                yield from self._deliveries(list_id, self._now - retention.deliveries)
            if retention.letters is not None:
                yield from self._letters(list_id, self._now - retention.letters)
                yield from self._unconfirmed(list_id, self._now - retention.letters)
        # What lists share is kept as long as the one of them wants it that wants it longest.
        if (age := _longest([retention.papers for retention in self._retentions.values()])) is not None:
            yield from self._papers(self._now - age)
            yield from self._figures(self._now - age)
        if (age := _longest([retention.deliveries for retention in self._retentions.values()])) is not None:
            days = schema.relay_days
            yield from self._rows(Kind.RELAY_DAYS, days, days.c.day < (self._now - age).date())
        answers, kept = schema.fetches, schema.vectors
        yield from self._rows(Kind.ANSWERS, answers, answers.c.used_at < self._now - fetches.KEPT)
        yield from self._rows(Kind.VECTORS, kept, kept.c.used_on < (self._now - vectors.KEPT).date())

    def _abstracts(self, list_id: ListId, before: datetime) -> Iterator[Batch]:
        for edition_id in self._due(list_id, before):
            with self._opened() as connection:
                if not is_over(connection, edition_id):
                    continue
                count = 0
                for table, column, keys in (
                    (held, held.c.candidate, (held.c.edition_id, held.c.position)),
                    (announcements, announcements.c.paper, (announcements.c.id,)),
                ):
                    there = sa.and_(table.c.edition_id == edition_id, _with_abstract(column))
                    found = connection.execute(sa.select(*keys, column.label("text")).where(there)).all()
                    less = list(readable(f"a text of {table.name}", found, _less_of))
                    count += len(less)
                    if less and not self._dry_run:
                        update = sa.update(table).values({column.name: sa.bindparam("less")})
                        for number, key in enumerate(keys):
                            update = update.where(key == sa.bindparam(f"key{number}"))
                        connection.execute(update, less)
            yield Kind.ABSTRACTS, count

    def _deliveries(self, list_id: ListId, before: datetime) -> Iterator[Batch]:
        if not self._dry_run:
            with self._database.read() as connection:
                left = condensing.left(connection, list_id)
            for edition_id in left:
                yield from self._remove(edition_id)
        query = sa.select(editions.c.id, editions.c.frequency, editions.c.cutoff).where(
            editions.c.list_id == list_id, ~let_go()
        )
        with self._database.read() as connection:
            old = _old(connection.execute(query.order_by(editions.c.number.desc())).all(), before)
            due = [edition_id for edition_id in old if is_over(connection, edition_id)]
        for edition_id in due:
            if self._dry_run:
                counted = sa.select(sa.func.count()).where(schema.deliveries.c.edition_id == edition_id)
                with self._database.read() as connection:
                    count = connection.execute(counted).scalar_one()
                yield Kind.DELIVERIES, count
            else:
                yield from self._let_go(edition_id)

    def _let_go(self, edition_id: EditionId) -> Iterator[Batch]:
        """The three steps of `condensing.py`."""
        while self._step(condensing.condense, edition_id):
            yield Kind.DELIVERIES, 0
        if (count := self._step(condensing.close, edition_id)) is not None:
            yield Kind.DELIVERIES, count
            yield from self._remove(edition_id)

    def _remove(self, edition_id: EditionId) -> Iterator[Batch]:
        while self._step(condensing.remove, edition_id):
            yield Kind.DELIVERIES, 0

    def _step(self, step: Callable[[sa.Connection, EditionId], T], edition_id: EditionId) -> T:
        with self._opened(alone=True) as connection:
            return step(connection, edition_id)

    def _letters(self, list_id: ListId, before: datetime) -> Iterator[Batch]:
        table = schema.letters
        settled = (table.c.list_id == list_id, table.c.next_attempt_at.is_(None), table.c.written_at < before)
        yield from self._by_id(Kind.LETTERS, table, table.c.id, sa.and_(*settled))

    def _unconfirmed(self, list_id: ListId, before: datetime) -> Iterator[Batch]:
        table = schema.subscribers
        asked = (table.c.subscription == Subscription.UNCONFIRMED, table.c.created_at < before)
        gone = sa.and_(table.c.list_id == list_id, *asked, not_suppressed())
        yield from self._by_id(Kind.UNCONFIRMED, table, table.c.id, gone, left=nobody_left())

    def _papers(self, before: datetime) -> Iterator[Batch]:
        newest = sa.select(papers.c.first_seen_at).order_by(papers.c.first_seen_at.desc())
        votes = schema.votes
        voted = sa.select(votes.c.paper_id).where(votes.c.paper_id == papers.c.id).exists()
        with self._database.read() as connection:
            oldest_used = connection.execute(newest.limit(1).offset(self._newest - 1)).scalar()
            named = _named(connection)
        if oldest_used is None:
            return
        # What was never announced is of somebody's library, and there before her profile names it.
        old = sa.and_(papers.c.first_seen_at < min(before, oldest_used), papers.c.first_seen_at > NO_NEWS)
        gone = sa.and_(old, ~voted, ~_waits(papers.c.id))
        yield from self._by_id(Kind.PAPERS, papers, papers.c.id, gone, named)

    def _figures(self, before: datetime) -> Iterator[Batch]:
        old = sa.and_(signals.c.observed_at < before, ~_waits(signals.c.paper_id))
        yield from self._by_id(Kind.FIGURES, signals, signals.c.paper_id, old)

    def _by_id(
        self,
        kind: Kind,
        table: sa.Table,
        key: sa.Column[str] | sa.Column[int],
        gone: sa.ColumnElement[bool],
        kept: frozenset[PaperId] = frozenset(),
        left: Mapping[str, Any] | None = None,
    ) -> Iterator[Batch]:
        """Deletes the rows that are gone, those of so many keys at a time, or has only this `left` in them."""
        with self._database.read() as connection:
            found = connection.execute(sa.select(key).where(gone).distinct()).scalars()
            keys = [each for each in found if each not in kept]
        for some in in_groups(keys):
            yield from self._rows(kind, table, sa.and_(key.in_(some), gone), left)

    def _rows(
        self, kind: Kind, table: sa.Table, gone: sa.ColumnElement[bool], left: Mapping[str, Any] | None = None
    ) -> Iterator[Batch]:
        """Does so in one transaction; what is looked for is looked at once more in it."""
        with self._opened() as connection:
            if self._dry_run:
                count = connection.execute(sa.select(sa.func.count()).select_from(table).where(gone)).scalar_one()
            else:
                statement = sa.update(table).values(left) if left else sa.delete(table)
                count = connection.execute(statement.where(gone)).rowcount
        if count:
            yield kind, count

    @contextmanager
    def _opened(self, *, alone: bool = False) -> Iterator[sa.Connection]:
        with self._database.read() if self._dry_run else self._database.write(alone=alone) as connection:
            overwrite(connection)
            yield connection

    def _due(self, list_id: ListId, before: datetime) -> Sequence[EditionId]:
        """The list's editions that are over and old enough, and have an abstract to let go of, oldest first.

        They are pruned in this order, so not all have to be looked at each time: the oldest were pruned before.
        """
        query = (
            sa.select(editions.c.id)
            .where(editions.c.list_id == list_id, editions.c.finished_at.is_not(None), editions.c.cutoff < before)
            .order_by(editions.c.number.desc())
        )
        due: list[EditionId] = []
        pruned = 0
        with self._database.read() as connection:
            for edition_id in connection.execute(query).scalars().all():
                if not _has_abstract(connection, EditionId(edition_id)):
                    pruned += 1
                elif is_over(connection, EditionId(edition_id)):
                    due.append(EditionId(edition_id))
                    pruned = 0
                if pruned >= ENOUGH:
                    break
        return due[::-1]


def _longest(ages: Sequence[timedelta | None]) -> timedelta | None:
    """None where one of them is for ever, or there is none."""
    some = [age for age in ages if age is not None]
    return max(some) if some and len(some) == len(ages) else None


def _old(rows: Sequence[sa.Row[*tuple[Any, ...]]], before: datetime) -> list[EditionId]:
    """The editions, given newest first, that are old enough, oldest first.

    By the newest five soft bounces are counted, of the list's own and of the round-ups of each frequency: while there
    is a young one, they stay. Of what comes no more, nothing comes back either.
    """
    newer: dict[str, list[datetime]] = {}
    old: list[EditionId] = []
    for row in rows:
        alike = newer.setdefault(row.frequency, [])
        still_counts = len(alike) < SOFT_BOUNCES and bool(alike) and alike[0] >= before
        if row.cutoff < before and not still_counts:
            old.append(EditionId(row.id))
        alike.append(row.cutoff)
    return old[::-1]


def _with_abstract(column: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return column.like('%"abstract":"%')


def _has_abstract(connection: sa.Connection, edition_id: EditionId) -> bool:
    query = sa.select(held.c.position).where(held.c.edition_id == edition_id, _with_abstract(held.c.candidate))
    also = sa.select(announcements.c.id).where(
        announcements.c.edition_id == edition_id, _with_abstract(announcements.c.paper)
    )
    return any(connection.execute(each.limit(1)).first() is not None for each in (query, also))


def _less_of(row: sa.Row[*tuple[Any, ...]]) -> dict[str, object]:
    """A row's text, which stands behind its keys, without the abstract."""
    *keys, text = row
    return {"less": without_abstract(text)} | {f"key{number}": key for number, key in enumerate(keys)}


def _waits(paper_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether a paper is in an announcement that no edition has used yet."""
    pending = sa.and_(announcements.c.edition_id.is_(None), announcements.c.paper_id == paper_id)
    return sa.select(announcements.c.id).where(pending).exists()


def _named(connection: sa.Connection) -> frozenset[PaperId]:
    """The papers that profiles name; votes are looked at in the statement that deletes."""
    people = schema.subscribers
    names = sa.or_(
        *(people.c.profile.contains(f'"{key}":', autoescape=True) for key in ("examples", "liked", "disliked"))
    )
    rows = connection.execute(sa.select(people.c.id, people.c.profile).where(names))
    named = readable("the profile of subscriber", rows, lambda row: named_in(row.profile))
    return frozenset(paper_id for paper_ids in named for paper_id in paper_ids)
