"""Who works on shards, how late they are, and how much gets done: what operators see of many hosts. Reads only.

On SQLite there are no workers, and nothing of this. Workers are procrastinate's, which keeps when it heard of each;
what they are called is in `queue.py`'s table beside. That a worker lives is decided here, for all who ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from digest.model import Aside, DeliveryStatus, InHand, ListId, ShardState, SharedWork, SubscriberId, Worker
from digest.store import queue, schema
from digest.store.times import UtcTime

SILENT = timedelta(seconds=30)
"""A worker that has said for so long nothing lives no more: it says so every 10 s."""
LATELY = timedelta(minutes=2)
"""Over which it is counted how much gets done: shorter than a person waits, and each delivery in it is looked at."""

shards, editions, deliveries = schema.shards, schema.editions, schema.deliveries
_heard = sa.table("procrastinate_workers", sa.column("id"), sa.column("last_heartbeat", sa.DateTime(timezone=True)))
_lives = _heard.c.last_heartbeat > sa.func.clock_timestamp() - SILENT
OPEN = (ShardState.WAITING, ShardState.RANKED)
"""Shards that somebody still has to do something about."""
_unfinished = editions.c.finished_at.is_(None)
_begun = sa.and_(shards.c.begun_at.is_not(None), shards.c.ended_at.is_(None))


def alive(connection: sa.Connection, list_id: ListId | None = None) -> int:
    """How many workers live, of a list or of all; on SQLite there are none.

    One that has come back after an outage counts once.
    """
    if connection.dialect.name != "postgresql":
        return 0
    # One without a name is about to say what it is called, and what lists it has.
    name = sa.func.coalesce(queue.workers.c.name, sa.cast(_heard.c.id, sa.String))
    query = sa.select(sa.func.count(sa.distinct(name))).select_from(
        sa.outerjoin(_heard, queue.workers, queue.workers.c.worker_id == _heard.c.id)
    )
    if list_id is not None:
        query = query.where(sa.or_(queue.workers.c.name.is_(None), _has(list_id)))
    return connection.execute(query.where(_lives)).scalar_one()


def shared_work(connection: sa.Connection, list_id: ListId, now: datetime) -> SharedWork | None:
    """How the list's shards are, and who works; None on SQLite."""
    if connection.dialect.name != "postgresql":
        return None
    workers = workers_of(connection, list_id)
    of_list = sa.and_(editions.c.list_id == list_id, _unfinished)
    joined = sa.join(shards, editions, shards.c.edition_id == editions.c.id)
    counted = sa.select(shards.c.state, sa.func.count()).select_from(joined).where(of_list).group_by(shards.c.state)
    counts = {ShardState(state): count for state, count in connection.execute(counted)}
    is_due = sa.or_(shards.c.due_at.is_(None), shards.c.due_at <= now)
    is_in_hand = sa.and_(_begun, shards.c.worker.in_([worker.name for worker in workers]))
    since = sa.func.min(sa.func.coalesce(shards.c.due_at, editions.c.cutoff), type_=UtcTime())
    oldest = sa.select(since).select_from(joined).where(of_list, shards.c.state.in_(OPEN), is_due, ~is_in_hand)
    aside = (
        sa.select(editions.c.number, sa.func.count(), sa.func.min(shards.c.ended_at, type_=UtcTime()))
        .select_from(joined)
        .where(of_list, shards.c.state == ShardState.ASIDE)
        .group_by(editions.c.number)
        .order_by(editions.c.number)
    )
    return SharedWork(
        workers=workers,
        shards={state: counts[state] for state in ShardState if state in counts},
        due_since=connection.execute(oldest).scalar(),
        aside=tuple(Aside(*row) for row in connection.execute(aside)),
        trouble=trouble(connection, list_id),
    )


def trouble(connection: sa.Connection, list_id: ListId) -> str:
    """What the list's shard that a worker put down last could not be brought to its end for; empty if it could.

    All others may have been looked at before the relay, or whatever it was, got well.
    """
    query = (
        sa.select(shards.c.error)
        .join_from(shards, editions, shards.c.edition_id == editions.c.id)
        .where(editions.c.list_id == list_id, _unfinished)
        .where(shards.c.state != ShardState.ASIDE, shards.c.ended_at.is_not(None))
        .order_by(shards.c.ended_at.desc())
        .limit(1)
    )
    return connection.execute(query).scalar() or ""


def workers_of(connection: sa.Connection, list_id: ListId) -> tuple[Worker, ...]:
    """The workers of the list that live, by name, each with the shards that it has in hand, whatever list's."""
    known = _alive(connection, list_id)
    query = (
        sa.select(shards.c.worker, editions.c.list_id, editions.c.number, shards.c.first, shards.c.last)
        .add_columns(shards.c.begun_at)
        .join_from(shards, editions, shards.c.edition_id == editions.c.id)
        .where(_begun, shards.c.worker.in_([name for name, _, _ in known]))
        .order_by(shards.c.begun_at)
    )
    held: dict[str, list[InHand]] = {}
    for name, its, number, first, last, begun_at in connection.execute(query):
        in_hand = InHand(ListId(its), number, SubscriberId(first), SubscriberId(last), begun_at)
        held.setdefault(name, []).append(in_hand)
    return tuple(Worker(name, since, silent, tuple(held.get(name, ()))) for name, since, silent in known)


def sent_lately(connection: sa.Connection, now: datetime) -> dict[ListId, int]:
    """How many deliveries of each list workers have sent `LATELY`; looks into no more shards than were worked on."""
    if connection.dialect.name != "postgresql":
        return {}
    since = now - LATELY
    sent = (  # shard by shard, by the index on readers: joined, PostgreSQL reads all that was ever sent of the edition
        sa.select(sa.func.count())
        .where(deliveries.c.edition_id == shards.c.edition_id)
        .where(deliveries.c.subscriber_id.between(shards.c.first, shards.c.last))
        .where(deliveries.c.status == DeliveryStatus.SENT, deliveries.c.settled_at >= since)
        .scalar_subquery()
    )
    query = (
        sa.select(editions.c.list_id, sa.func.sum(sent, type_=sa.BigInteger()))
        .join_from(shards, editions, shards.c.edition_id == editions.c.id)
        .where(sa.or_(_begun, shards.c.ended_at >= since))
        .group_by(editions.c.list_id)
    )
    return {ListId(list_id): int(count) for list_id, count in connection.execute(query)}


def _has(list_id: ListId) -> sa.ColumnElement[bool]:
    """That a worker has the list in its config: others leave its shards alone."""
    return sa.literal(list_id) == sa.any_(queue.workers.c.lists)


def _alive(connection: sa.Connection, list_id: ListId) -> Sequence[tuple[str, datetime, timedelta]]:
    """Name, since when, and for how long silent. Who has come back after an outage is there twice, and one worker."""
    silent = sa.func.clock_timestamp() - sa.func.max(_heard.c.last_heartbeat)
    query = (
        sa.select(queue.workers.c.name, sa.func.min(queue.workers.c.since, type_=UtcTime()), silent)
        .join_from(_heard, queue.workers, queue.workers.c.worker_id == _heard.c.id)
        .where(_lives, _has(list_id))
        .group_by(queue.workers.c.name)
        .order_by(queue.workers.c.name)
    )
    return [(name, since, max(age, timedelta())) for name, since, age in connection.execute(query)]
