"""How an edition's deliveries are let go of, in three steps; a program may end between any two transactions.

| step         | does                                                                    | and the next prune       |
|--------------|-------------------------------------------------------------------------|--------------------------|
| 1 `condense` | who had which papers into `received`, a range of readers a transaction  | goes on after the ranges |
| 2 `close`    | what deliveries came to into `editions.final_counts`: rows do not count | removes them             |
| 3 `remove`   | drops the part of the table (PostgreSQL), or deletes batches (SQLite)   | goes on with what is left|

`close` looks whether as many arrived as `received` says: none that arrived ever changes, so these are the same. Where a
retry has run meanwhile, it begins anew. A `write()` that is alone keeps retries, erasures and bounces out of each step.

SQLite gives a delivery the number after the highest that it has. So that row stays until there is a higher one, with
nothing in it: a bounce names its delivery by the number. `pruning.py` calls this.
"""

from __future__ import annotations

import logging
from typing import Any

import sqlalchemy as sa

from digest.model import DeliveryStatus, EditionId, ListId, PaperId, SubscriberId
from digest.store import postgres, schema
from digest.store.already_sent import NEVER_ARRIVED
from digest.store.bounces import bounces_of
from digest.store.codec import encode, paper_ids
from digest.store.damaged import tell
from digest.store.database import POSTGRESQL
from digest.store.editions import UNDECIDED
from digest.store.papers import IN_A_STATEMENT
from digest.store.received import FinalCounts, Had, Place, is_let_go, let_go, packed

log = logging.getLogger(__name__)

RANGE = 1000
"""Readers of a row of `received`."""

editions, deliveries, bounces, received = schema.editions, schema.deliveries, schema.bounces, schema.received
NOTHING = {"address": "", "message_id": "", "picks": "[]", "beside": "{}", "enhanced_code": "", "reply": ""}
"""What is in a row that only holds a number."""


def is_over(connection: sa.Connection, edition_id: EditionId) -> bool:
    """Whether nothing of the edition may still be sent, but by a person's `digest retry`."""
    left = sa.select(deliveries.c.id).where(deliveries.c.edition_id == edition_id, deliveries.c.status.in_(UNDECIDED))
    return _is_finished(connection, edition_id) and connection.execute(left.limit(1)).first() is None


def _is_finished(connection: sa.Connection, edition_id: EditionId) -> bool:
    finished = sa.select(editions.c.finished_at.is_not(None)).where(editions.c.id == edition_id)
    return connection.execute(finished).scalar_one()


def condense(connection: sa.Connection, edition_id: EditionId) -> bool:
    """Step 1 for the next range of readers; False where there is none left, or the edition is not over."""
    if is_let_go(connection, edition_id) or not _is_finished(connection, edition_id):
        return False
    done = sa.select(sa.func.coalesce(sa.func.max(received.c.last), 0)).where(received.c.edition_id == edition_id)
    rows = connection.execute(
        sa.select(deliveries.c.subscriber_id, deliveries.c.status, deliveries.c.picks)
        .where(deliveries.c.edition_id == edition_id, deliveries.c.subscriber_id > connection.execute(done).scalar())
        .order_by(deliveries.c.subscriber_id)
        .limit(RANGE)
    ).all()
    if not rows or any(row.status in UNDECIDED for row in rows):
        return False
    held = schema.edition_papers
    candidates = sa.select(held.c.paper_id, held.c.position).where(held.c.edition_id == edition_id)
    places = {PaperId(paper_id): place for paper_id, place in connection.execute(candidates.order_by(held.c.position))}
    readers = {SubscriberId(row.subscriber_id): _had(edition_id, row, places) for row in rows}
    connection.execute(
        sa.insert(received).values(
            edition_id=edition_id,
            first=rows[0].subscriber_id,
            last=rows[-1].subscriber_id,
            readers=len(readers),
            arrived=sum(had.arrived for had in readers.values()),
            papers=packed(readers),
        )
    )
    return True


def close(connection: sa.Connection, edition_id: EditionId) -> int | None:
    """Step 2: how many deliveries are let go of; None where some are not in `received`, or may still be sent."""
    row = sa.select(editions.c.final_counts).where(editions.c.id == edition_id).with_for_update()
    if connection.execute(row).scalar_one() is not None or not is_over(connection, edition_id):
        return None
    of_it = postgres.deliveries_of(connection, edition_id)
    counted = connection.execute(sa.select(of_it.c.status, sa.func.count()).group_by(of_it.c.status))
    counts = {DeliveryStatus(status): count for status, count in counted}
    total: int = sum(counts.values())
    missed = sum(counts.get(status, 0) for status in NEVER_ARRIVED)
    ranges = received.c.edition_id == edition_id
    noted = sa.select(*(sa.func.coalesce(sa.func.sum(received.c[name]), 0) for name in ("readers", "arrived")))
    if connection.execute(noted.where(ranges)).one() != (total, total - missed):
        connection.execute(sa.delete(received).where(ranges))
        return None
    final = encode(FinalCounts(counts, bounces_of(connection, edition_id)))
    connection.execute(sa.update(editions).where(editions.c.id == edition_id).values(final_counts=final))
    connection.execute(sa.delete(schema.shards).where(schema.shards.c.edition_id == edition_id))
    return total


def remove(connection: sa.Connection, edition_id: EditionId) -> bool:
    """Step 3: removes some of an edition's deliveries, and what came back of them; whether there are more to remove.

    PostgreSQL removes all at once, or none now where somebody has them in use for long.
    """
    if connection.dialect.name == POSTGRESQL:
        if postgres.has_partition(connection, edition_id):
            of_it = postgres.deliveries_of(connection, edition_id)
            connection.execute(sa.delete(bounces).where(bounces.c.delivery_id.in_(sa.select(of_it.c.id))))
            if not postgres.drop_partition(connection, edition_id):
                log.info("the deliveries of edition %d are in use: they stay until the next prune", edition_id)
        return False
    highest = connection.execute(sa.select(sa.func.max(deliveries.c.id))).scalar_one()
    some = sa.select(deliveries.c.id).where(deliveries.c.edition_id == edition_id).limit(IN_A_STATEMENT)
    ids = connection.execute(some).scalars().all()
    connection.execute(sa.delete(bounces).where(bounces.c.delivery_id.in_(ids)))
    connection.execute(sa.delete(deliveries).where(deliveries.c.id.in_(ids), deliveries.c.id != highest))
    connection.execute(sa.update(deliveries).where(deliveries.c.id.in_(ids)).values(NOTHING))
    return len(ids) == IN_A_STATEMENT


def left(connection: sa.Connection, list_id: ListId) -> list[EditionId]:
    """The list's editions that are let go of, and of which there is still something to remove."""
    query = sa.select(editions.c.id).where(editions.c.list_id == list_id, let_go())
    if connection.dialect.name == POSTGRESQL:
        is_there = postgres.is_partition(sa.cast(editions.c.id, sa.String))
    else:
        highest = sa.select(sa.func.max(deliveries.alias().c.id)).scalar_subquery()
        holds_a_number = sa.and_(deliveries.c.id == highest, deliveries.c.message_id == "")
        is_there = sa.exists().where(deliveries.c.edition_id == editions.c.id, ~holds_a_number)
    return [EditionId(number) for number in connection.execute(query.where(is_there)).scalars()]


def _had(edition_id: EditionId, row: sa.Row[*tuple[Any, ...]], places: dict[PaperId, int]) -> Had:
    arrived = row.status not in NEVER_ARRIVED
    try:
        papers: tuple[Place, ...] = tuple([places.get(paper_id, paper_id) for paper_id in paper_ids(row.picks)])
    except ValueError as error:
        tell(f"what edition {edition_id} brought subscriber {row.subscriber_id}", "it counts as all it had", error)
        papers = tuple(places.values())
    return Had(papers, arrived)
