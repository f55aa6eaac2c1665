"""The little that tells whether a list does what it should: no more is looked at than that takes. Reads only.

`figures.py` gives it; `status/lists.py` decides what it means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from digest.model import DeliveryStatus, ListId, SharedWork
from digest.store import schema
from digest.store.subscribers import is_reachable
from digest.store.workers import shared_work

TO_BE_SENT = (DeliveryStatus.QUEUED, DeliveryStatus.ACTIVE, DeliveryStatus.SENDING)
"""Deliveries that nobody's refusal keeps waiting."""
NEWEST_SENT = 1000
"""Among so many of the deliveries sent last it is looked for an edition's newest."""

editions, deliveries, people = schema.editions, schema.deliveries, schema.subscribers


@dataclass(frozen=True, slots=True)
class Unsent:
    """An edition of which something is still to be sent, refusals apart."""

    number: int
    due_on: date
    cutoff: datetime
    is_frozen: bool
    due_at: datetime | None
    """Since when the first of them is due; None: since the edition was made."""
    last_sent_at: datetime | None
    """When its newest message left, as far as that is known without looking at all."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """What tells whether a list does what it should."""

    newest: tuple[date, datetime] | None
    """Day and cutoff of the newest edition."""
    unsent: tuple[Unsent, ...]
    """Oldest first."""
    done_until: datetime | None
    """Up to when its runs have been dealt with, also those that had nothing new."""
    is_paused: bool
    has_readers: bool
    relay_days: Mapping[tuple[str, date], int]
    work: SharedWork | None = None
    """None on SQLite, where one process does all."""


def pulse(connection: sa.Connection, list_id: ListId, now: datetime) -> Pulse:
    """The list's, as it is now."""
    newest = connection.execute(
        sa.select(editions.c.due_on, editions.c.cutoff)
        .where(editions.c.list_id == list_id)
        .order_by(editions.c.number.desc())
        .limit(1)
    ).one_or_none()
    done_until = sa.select(schema.runs.c.done_until).where(schema.runs.c.list_id == list_id)
    pause = sa.select(schema.pauses.c.since).where(schema.pauses.c.list_id == list_id)
    readers = sa.select(people.c.id).where(people.c.list_id == list_id, is_reachable()).limit(1)
    return Pulse(
        newest=(newest.due_on, newest.cutoff) if newest else None,
        unsent=_unsent(connection, list_id, now),
        done_until=connection.execute(done_until).scalar_one_or_none(),
        is_paused=connection.execute(pause).first() is not None,
        has_readers=connection.execute(readers).first() is not None,
        relay_days=relay_days(connection, now.date()),
        work=shared_work(connection, list_id, now),
    )


def relay_days(connection: sa.Connection, today: date) -> dict[tuple[str, date], int]:
    """Messages of relays with a limit on the days since yesterday (UTC), which are today's everywhere."""
    table = schema.relay_days
    rows = connection.execute(sa.select(table).where(table.c.day >= today - timedelta(days=1)))
    return {(row.relay, row.day): row.messages for row in rows if row.day}


def _unsent(connection: sa.Connection, list_id: ListId, now: datetime) -> tuple[Unsent, ...]:
    found = []
    unfinished = sa.select(editions).where(editions.c.list_id == list_id, editions.c.finished_at.is_(None))
    for row in connection.execute(unfinished.order_by(editions.c.number)).all():
        is_frozen = row.recipients_frozen_at is not None
        due = connection.execute(_due(row.id, now)).scalars().all()
        if is_frozen and not due:
            continue
        sent_at = connection.execute(_last_sent(row.id, connection.dialect.name)).scalar()
        due_at = None if None in due else min(due, default=None)
        found.append(Unsent(row.number, row.due_on, row.cutoff, is_frozen, due_at, sent_at))
    return tuple(found)


def _last_sent(edition_id: int, dialect: str) -> sa.Select[Any]:
    """When the newest of those of an edition's messages was sent that come last in the index on status and time."""
    newest = sa.select(deliveries.c.edition_id, deliveries.c.settled_at).where(
        deliveries.c.status == DeliveryStatus.SENT, deliveries.c.next_attempt_at.is_(None)
    )
    if dialect == "postgresql":  # by where rows lie, in the edition's own part; by id it would read what is queued, too
        newest = newest.where(deliveries.c.edition_id == edition_id).order_by(deliveries.c.next_attempt_at.desc())
    else:
        newest = newest.order_by(deliveries.c.id.desc())
    last = newest.limit(NEWEST_SENT).subquery()
    return sa.select(sa.func.max(last.c.settled_at)).where(last.c.edition_id == edition_id)


def _due(edition_id: int, now: datetime) -> sa.CompoundSelect[Any]:
    """Since when the first of an edition's deliveries is due, of each status; None: at once.

    Each is the first of a part of the index on status and time. Asked all at once, a database reads all that is queued.
    """
    due_at = deliveries.c.next_attempt_at
    firsts = [
        sa.select(due_at)
        .where(deliveries.c.status == status, deliveries.c.edition_id == edition_id, is_due)
        .order_by(due_at)
        .limit(1)
        .subquery()
        for status in TO_BE_SENT
        for is_due in (due_at.is_(None), due_at <= now)
    ]
    return sa.union_all(*map(sa.select, firsts))
