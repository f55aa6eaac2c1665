"""How far an edition has come: its counts, what servers said, and who waits for what. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import sqlalchemy as sa

from digest.model import BounceKind, DeliveryStatus, Edition, SourceSummary
from digest.store import schema
from digest.store.bounces import bounces_of
from digest.store.damaged import sources_of
from digest.store.postgres import deliveries_of
from digest.store.received import final_counts

_TOLD = [status for status in DeliveryStatus if status not in (DeliveryStatus.QUEUED, DeliveryStatus.SENT)]
"""What is in these statuses has been told something; of the others there may be millions."""


@dataclass(frozen=True, slots=True)
class EditionOverview:
    """One edition and how far it has come. `recipients` is None until all of them are frozen."""

    edition: Edition
    sources: tuple[SourceSummary, ...]
    candidates: int
    recipients: int | None
    finished_at: datetime | None
    counts: Mapping[DeliveryStatus, int] = field(default_factory=dict)
    replies: tuple[tuple[DeliveryStatus, str, int], ...] = ()
    """Per status, what the deliveries that were tried and not sent were told, and how many were told so."""
    next_attempt_at: datetime | None = None
    """When the first of the deferred deliveries is due again."""
    came_back: Mapping[BounceKind, int] = field(default_factory=dict)
    """How many deliveries came back after a server had taken them, or were complained of."""
    hours: Mapping[datetime, int] = field(default_factory=dict)
    """How many of the queued deliveries leave at which time, in the order of time; the others leave at once."""
    let_go: bool = False
    """Its deliveries are gone: the counts, and what came back, are as they were when they went."""

    @property
    def adds_up(self) -> bool:
        """The invariant: every frozen recipient has exactly one delivery."""
        return self.recipients == sum(self.counts.values())

    def waiting(self, now: datetime) -> tuple[int, datetime | None]:
        """How many deliveries wait for their reader's hour, and when the first of them leaves."""
        ahead = {at: count for at, count in self.hours.items() if at > now}
        return sum(ahead.values()), min(ahead, default=None)


def overview_of(connection: sa.Connection, edition: Edition) -> EditionOverview:
    """How far the edition has come."""
    editions, papers = schema.editions, schema.edition_papers
    row = connection.execute(sa.select(editions).where(editions.c.id == edition.id)).one()
    candidates = connection.execute(sa.select(sa.func.count()).where(papers.c.edition_id == edition.id)).scalar_one()
    frozen = EditionOverview(
        edition=edition,
        sources=sources_of(row.id, row.sources),
        candidates=candidates,
        recipients=row.recipients,
        finished_at=row.finished_at,
    )
    if (final := final_counts(row.id, row.final_counts)) is not None:
        return replace(frozen, counts=final.deliveries, came_back=final.came_back, let_go=True)
    deliveries = deliveries_of(connection, edition.id)
    counted = connection.execute(sa.select(deliveries.c.status, sa.func.count()).group_by(deliveries.c.status)).all()
    told = connection.execute(
        sa.select(deliveries.c.status, deliveries.c.reply, sa.func.count())
        .where(deliveries.c.status.in_(_TOLD), deliveries.c.reply != "")
        .group_by(deliveries.c.status, deliveries.c.reply)
        .order_by(deliveries.c.status, deliveries.c.reply)
    ).all()
    hours = (
        sa.select(deliveries.c.next_attempt_at, sa.func.count().label("deliveries"))
        .where(deliveries.c.status == DeliveryStatus.QUEUED, deliveries.c.next_attempt_at.is_not(None))
        .group_by(deliveries.c.next_attempt_at)
        .order_by(deliveries.c.next_attempt_at)
    )
    return replace(
        frozen,
        counts={DeliveryStatus(status): count for status, count in counted},
        next_attempt_at=connection.execute(
            sa.select(sa.func.min(deliveries.c.next_attempt_at)).where(deliveries.c.status == DeliveryStatus.DEFERRED)
        ).scalar_one(),
        replies=tuple((DeliveryStatus(status), reply, count) for status, reply, count in told),
        came_back=bounces_of(connection, edition.id),
        hours={row.next_attempt_at: row.deliveries for row in connection.execute(hours)},
    )
