"""Papers, their announcements and their signals: what every pull has seen.

An announcement is kept once per list, source, paper, type and version, and is handed to one edition of that list.
Called by `app.py` (after a pull) and by `editions.py` (inside the transaction that freezes an edition).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from digest.model import Announcement, AnnounceType, EditionId, ListId, Paper, PaperId, Signal, SourceReport
from digest.store import schema
from digest.store.codec import decode, encode
from digest.store.damaged import readable
from digest.store.database import Database
from digest.store.statements import insert
from digest.store.times import LONG_AGO

T = TypeVar("T")

IN_A_STATEMENT = 500
"""Values bound in one IN list; SQLite's limit is 32,766, its planner likes them short."""

NO_NEWS = LONG_AGO
"""When a paper was first seen that is no news: a whole library must not crowd the newest ones out of `background`."""

AnnouncementKey = tuple[str, PaperId, AnnounceType, int]
"""source, paper, type, version: two announcements with the same key are one."""


def key_of(announcement: Announcement) -> AnnouncementKey:
    """What makes an announcement the same one when it is met again."""
    paper = announcement.paper
    return announcement.source, paper.id, announcement.announce_type, paper.version or 0


class Papers:
    """The papers of one database."""

    def __init__(self, database: Database):
        self._database = database

    def record(self, list_id: ListId, reports: Sequence[SourceReport], now: datetime) -> None:
        """Keeps what a pull gave; what was known already stays as it was."""
        with self._database.write() as connection:
            record(connection, list_id, reports, now)

    def keep(self, papers: Collection[Paper]) -> None:
        """Keeps papers that no source announced, such as those of a person's library; what was known stays."""
        rows = [{"id": paper.id, "paper": encode(paper), "first_seen_at": NO_NEWS} for paper in papers]
        if rows:
            with self._database.write() as connection:
                connection.execute(insert(schema.papers).on_conflict_do_nothing(), rows)

    def unseen(self, list_id: ListId, announcements: Iterable[Announcement]) -> tuple[Announcement, ...]:
        """Those that no earlier pull for this list recorded, each once."""
        distinct = {key_of(a): a for a in reversed(tuple(announcements))}
        with self._database.read() as connection:
            known = _known_keys(connection, list_id, {key[1] for key in distinct})
        return tuple(a for key, a in reversed(distinct.items()) if key not in known)

    def announced(self, list_id: ListId, since: datetime) -> dict[str, dict[PaperId, date | None]]:
        """What pulls since then had from each source, by its name: papers with their latest day of announcement."""
        table = schema.announcements
        query = (
            sa.select(table.c.source, table.c.paper_id, sa.func.max(table.c.announced_on))
            .where(table.c.list_id == list_id, table.c.first_seen_at >= since)
            .group_by(table.c.source, table.c.paper_id)
        )
        known: dict[str, dict[PaperId, date | None]] = {}
        with self._database.read() as connection:
            for source, paper_id, day in connection.execute(query):
                known.setdefault(source, {})[PaperId(paper_id)] = day
        return known

    def signals(self, ids: Collection[PaperId]) -> tuple[Signal, ...]:
        """All observations of the papers, oldest first."""
        with self._database.read() as connection:
            return signals_of(connection, ids)

    def pending(self, list_id: ListId) -> tuple[tuple[Announcement, ...], tuple[Signal, ...]]:
        """The announcements that no edition of the list has used yet, with all signals known of their papers."""
        with self._database.read() as connection:
            return pending(connection, list_id)

    def known(self, ids: Collection[PaperId]) -> dict[PaperId, Paper]:
        """Those of the papers that were ever seen."""
        found: dict[PaperId, Paper] = {}
        with self._database.read() as connection:
            for some in in_groups(sorted(ids)):
                query = sa.select(schema.papers.c.id, schema.papers.c.paper).where(schema.papers.c.id.in_(some))
                found |= {paper.id: paper for paper in readable("paper", connection.execute(query), _paper)}
        return found

    def history(self, list_id: ListId, ids: Collection[PaperId]) -> tuple[tuple[Announcement, EditionId | None], ...]:
        """All announcements of the papers, each with the edition that it is in; None: it waits for the next."""
        table = schema.announcements
        found: list[tuple[Announcement, EditionId | None]] = []
        with self._database.read() as connection:
            for some in in_groups(sorted(ids)):
                query = sa.select(table).where(table.c.list_id == list_id, table.c.paper_id.in_(some))
                rows = connection.execute(query.order_by(table.c.id))
                found += readable("announcement", rows, lambda row: (_announcement(row), row.edition_id))
        return tuple(found)

    def background(self, until: datetime, limit: int) -> tuple[Paper, ...]:
        """The newest papers first seen up to `until`: what is common and what is rare, for the ranking.

        Each is of the day on which it was first seen: arXiv's feed says none, and others that of the first draft.
        """
        table = schema.papers
        query = (
            sa.select(table.c.id, table.c.paper, table.c.first_seen_at)
            .where(table.c.first_seen_at <= until)
            .order_by(table.c.first_seen_at.desc(), table.c.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(query)
            return tuple(readable("paper", rows, lambda row: replace(_paper(row), published=row.first_seen_at)))


def record(connection: sa.Connection, list_id: ListId, reports: Sequence[SourceReport], now: datetime) -> None:
    """`Papers.record` inside somebody's transaction."""
    announced = [a for report in reports for a in report.announcements]
    if announced:
        papers = [{"id": a.paper.id, "paper": encode(a.paper), "first_seen_at": now} for a in announced]
        connection.execute(insert(schema.papers).on_conflict_do_nothing(), papers)
        rows = [
            {
                "list_id": list_id,
                "source": a.source,
                "paper_id": a.paper.id,
                "announce_type": a.announce_type,
                "version": a.paper.version or 0,
                "announced_on": a.announced_on,
                "paper": encode(a.paper),
                "first_seen_at": now,
            }
            for a in announced
        ]
        connection.execute(insert(schema.announcements).on_conflict_do_nothing(), rows)
    observed = [
        {"paper_id": s.paper_id, "name": s.name, "observed_at": s.observed_at, "value": s.value}
        for report in reports
        for s in report.signals
    ]
    if observed:
        connection.execute(insert(schema.signals).on_conflict_do_nothing(), observed)


def pending(connection: sa.Connection, list_id: ListId) -> tuple[tuple[Announcement, ...], tuple[Signal, ...]]:
    """`Papers.pending` inside somebody's transaction."""
    table = schema.announcements
    query = sa.select(table).where(table.c.list_id == list_id, table.c.edition_id.is_(None)).order_by(table.c.id)
    announced = tuple(readable("announcement", connection.execute(query), _announcement))
    return announced, signals_of(connection, {a.paper.id for a in announced})


def announced_in(
    connection: sa.Connection, list_id: ListId, editions: Collection[EditionId]
) -> tuple[Announcement, ...]:
    """The announcements that these editions were made of, in the order in which they came."""
    table = schema.announcements
    found: list[sa.Row[Any]] = []
    for some in in_groups(sorted(editions)):
        found += connection.execute(sa.select(table).where(table.c.list_id == list_id, table.c.edition_id.in_(some)))
    return tuple(readable("announcement", sorted(found, key=lambda row: row.id), _announcement))


def signals_of(connection: sa.Connection, ids: Collection[PaperId]) -> tuple[Signal, ...]:
    """All observations of the papers, oldest first."""
    table = schema.signals
    found: list[Signal] = []
    for some in in_groups(sorted(ids)):
        rows = connection.execute(sa.select(table).where(table.c.paper_id.in_(some)).order_by(table.c.observed_at))
        found += (Signal(PaperId(r.paper_id), r.name, r.value, r.observed_at) for r in rows)
    return tuple(found)


def in_groups(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in slices that one statement can bind."""
    for start in range(0, len(values), IN_A_STATEMENT):
        yield values[start : start + IN_A_STATEMENT]


def _paper(row: sa.Row[*tuple[Any, ...]]) -> Paper:
    return decode(row.paper, Paper)


def _announcement(row: sa.Row[Any]) -> Announcement:
    return Announcement(decode(row.paper, Paper), AnnounceType(row.announce_type), row.announced_on, row.source)


def _known_keys(connection: sa.Connection, list_id: ListId, ids: Collection[PaperId]) -> set[AnnouncementKey]:
    table = schema.announcements
    columns = (table.c.source, table.c.paper_id, table.c.announce_type, table.c.version)
    known: set[AnnouncementKey] = set()
    for some in in_groups(sorted(ids)):
        rows = connection.execute(sa.select(*columns).where(table.c.list_id == list_id, table.c.paper_id.in_(some)))
        known |= {(r.source, PaperId(r.paper_id), AnnounceType(r.announce_type), r.version) for r in rows}
    return known
