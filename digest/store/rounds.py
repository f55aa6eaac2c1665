"""Round-ups, and how an edition comes into the database: what `digest/roundup.py` decides, read and written.

Every function works inside somebody's transaction: an edition and the round-ups that are due with it are frozen
together, or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from digest.ids import keys_of
from digest.model import (
    Candidate,
    Edition,
    EditionId,
    Frequency,
    ListId,
    SourceSummary,
)
from digest.roundup import Material, combined, covered_until, opens
from digest.store import papers as paper_store
from digest.store import schema
from digest.store.codec import encode
from digest.store.damaged import sources_of
from digest.store.postgres import add_partition
from digest.store.statements import insert
from digest.store.subscribers import reachable

if TYPE_CHECKING:
    from digest.edition import Merge

OWN = ""
"""The `frequency` of a list's own editions."""

table = schema.editions


def edition_of(row: sa.Row[Any]) -> Edition:
    """A row of `editions` as a value."""
    frequency = Frequency(row.frequency) if row.frequency else None
    return Edition(EditionId(row.id), ListId(row.list_id), row.number, row.due_on, row.since, row.cutoff, frequency)


def edition_on(
    connection: sa.Connection, list_id: ListId, due_on: date, frequency: Frequency | None = None
) -> Edition | None:
    """The list's own edition of a day, or its round-up."""
    row = connection.execute(
        sa.select(table).where(
            table.c.list_id == list_id, table.c.due_on == due_on, table.c.frequency == (frequency or OWN)
        )
    ).one_or_none()
    return edition_of(row) if row else None


def insert_edition(
    connection: sa.Connection,
    draft: Edition,
    summaries: Sequence[SourceSummary],
    candidates: Sequence[Candidate],
) -> Edition:
    """Writes an edition with its candidates; its id and number are given here."""
    highest = connection.execute(sa.select(sa.func.max(table.c.number)).where(table.c.list_id == draft.list_id))
    number = (highest.scalar_one() or 0) + 1
    inserted = connection.execute(
        sa.insert(table)
        .values(
            list_id=draft.list_id,
            number=number,
            due_on=draft.due_on,
            since=draft.since,
            cutoff=draft.cutoff,
            frequency=draft.frequency or OWN,
            sources=encode(tuple(summaries)),
        )
        .returning(table.c.id)
    )
    edition_id = EditionId(inserted.scalar_one())
    add_partition(connection, edition_id)
    if candidates:
        connection.execute(
            sa.insert(schema.edition_papers),
            [
                {"edition_id": edition_id, "position": n, "paper_id": c.paper.id, "candidate": encode(c)}
                for n, c in enumerate(candidates)
            ],
        )
        keys = [{"key": key, "paper_id": c.paper.id} for c in candidates for key in sorted(keys_of(c.paper))]
        connection.execute(insert(schema.paper_keys).on_conflict_do_nothing(), keys)
    return Edition(edition_id, draft.list_id, number, draft.due_on, draft.since, draft.cutoff, draft.frequency)


def wanted(connection: sa.Connection, list_id: ListId, apart: Collection[Frequency]) -> tuple[Frequency, ...]:
    """Those of the frequencies that somebody reachable has."""
    people = schema.subscribers
    asked = reachable(list_id).with_only_columns(people.c.frequency).where(people.c.frequency.in_(apart)).distinct()
    found = set(connection.execute(asked).scalars())
    return tuple(frequency for frequency in apart if frequency in found)


def due(connection: sa.Connection, list_id: ListId, apart: Collection[Frequency], day: date) -> tuple[Frequency, ...]:
    """The frequencies of which the run of a day makes a round-up."""
    return tuple(
        frequency
        for frequency in wanted(connection, list_id, apart)
        if opens(frequency, day, *_history(connection, list_id, frequency, day))
    )


def make_due(
    connection: sa.Connection,
    list_id: ListId,
    day: date,
    cutoff: datetime,
    merge: Merge,
    apart: Collection[Frequency],
    *,
    even_empty: bool,
) -> tuple[Edition, ...]:
    """Freezes the round-ups that are due with the run of a day, after the list's own edition if there is one."""
    made = []
    for frequency in due(connection, list_id, apart, day):
        found = material(connection, list_id, frequency, day)
        if (candidates := merge(found.announcements, found.signals)) or even_empty:
            draft = Edition(EditionId(0), list_id, 0, day, found.since, cutoff, frequency)
            made.append(insert_edition(connection, draft, found.sources, candidates))
    return tuple(made)


def material(connection: sa.Connection, list_id: ListId, frequency: Frequency, day: date) -> Material:
    """What a round-up of a day is made of: announcements again, not candidates, so that papers that met under two ids
    on two days become one, and figures are the newest.
    """
    covered = covered_until(frequency, *_history(connection, list_id, frequency, day))
    own = sa.select(table.c.id, table.c.cutoff, table.c.due_on, table.c.sources).where(
        table.c.list_id == list_id, table.c.frequency == OWN, table.c.due_on <= day
    )
    rows = connection.execute(own.order_by(table.c.due_on)).all()
    parts = [row for row in rows if covered is None or row.due_on > covered]
    ids = frozenset(EditionId(row.id) for row in parts)
    announced = paper_store.announced_in(connection, list_id, ids)
    return Material(
        since=max((row.cutoff for row in rows if covered is not None and row.due_on <= covered), default=None),
        parts=ids,
        announcements=announced,
        signals=paper_store.signals_of(connection, {a.paper.id for a in announced}),
        sources=combined(sources_of(row.id, row.sources) for row in parts),
    )


def parts_of(connection: sa.Connection, edition: Edition) -> frozenset[EditionId]:
    """What an edition is made of: a round-up of the list's own editions between its two moments; others of itself."""
    if edition.frequency is None:
        return frozenset({edition.id})
    own = sa.select(table.c.id).where(
        table.c.list_id == edition.list_id, table.c.frequency == OWN, table.c.cutoff <= edition.cutoff
    )
    if edition.since is not None:
        own = own.where(table.c.cutoff > edition.since)
    return frozenset(map(EditionId, connection.execute(own).scalars()))


def _history(
    connection: sa.Connection, list_id: ListId, frequency: Frequency, day: date
) -> tuple[tuple[date, ...], date | None]:
    """The days of the list's own editions before one, and of the last round-up of the frequency until then."""
    own = sa.select(table.c.due_on).where(table.c.list_id == list_id, table.c.frequency == OWN, table.c.due_on < day)
    last = sa.select(sa.func.max(table.c.due_on)).where(
        table.c.list_id == list_id, table.c.frequency == frequency, table.c.due_on <= day
    )
    return tuple(connection.execute(own).scalars()), connection.execute(last).scalar_one()
