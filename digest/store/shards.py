"""Shards: which parts of an edition are done, which wait, and which have failed too often.

A row here is only about the work: what becomes of deliveries is the ledger's (`outbox.py`), and a shard that two
workers take on at once comes to no harm. `digest/dispatch` has the shards done. Every method is one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from digest.model import DeliveryStatus, Edition, EditionId, ListId, Shard, ShardsOverview, ShardState, SubscriberId
from digest.store import schema
from digest.store.database import Database
from digest.store.editions import UNSETTLED, Editions
from digest.store.statements import insert
from digest.store.times import UtcTime
from digest.store.workers import OPEN, alive, trouble

TRIES = 5
"""How often a shard may end in an error without one more delivery settled."""
ENDS = 10
"""How often its worker may end over it, or lose its database, without one more settled: that says less of the shard."""
SIZE = 1000
"""Readers of a shard: some seconds of ranking and sending, and what a worker has in hand when it is killed."""
OTHERS_LOOK = timedelta(seconds=30)
"""When a shard that is in another worker's hands is looked at again."""

table = schema.shards
deliveries = schema.deliveries


def cut(connection: sa.Connection, edition: Edition, size: int = SIZE) -> list[Shard]:
    """Cuts an edition, inside a transaction of another's: all who are on the list now. Nothing if it has been cut.

    Of nobody there is one shard, so that such an edition is finished like any other.
    """
    if connection.execute(sa.select(sa.literal(1)).where(table.c.edition_id == edition.id).limit(1)).first():
        return []
    people = schema.subscribers
    place = sa.func.row_number().over(order_by=people.c.id) - 1
    placed = sa.select(people.c.id, place.label("place")).where(people.c.list_id == edition.list_id).subquery()
    part = placed.c.place // size
    ends = sa.select(sa.func.min(placed.c.id), sa.func.max(placed.c.id)).group_by(part).order_by(part)
    ranges = [(first, last) for first, last in connection.execute(ends)] or [(0, 0)]
    made = [_shard(edition.list_id, edition.id, first, last) for first, last in ranges]
    rows = [{"edition_id": s.edition_id, "first": s.first, "last": s.last, "state": ShardState.WAITING} for s in made]
    connection.execute(insert(table), rows)
    return made


class Shards:
    """The shards of one database's editions."""

    def __init__(self, database: Database):
        self._database = database

    def uncut(self, list_id: ListId) -> tuple[EditionId, ...]:
        """Unfinished editions of the list that have no shards: made by a command, or before there were any."""
        editions = schema.editions
        query = sa.select(editions.c.id).where(
            editions.c.list_id == list_id,
            editions.c.finished_at.is_(None),
            ~sa.exists().where(table.c.edition_id == editions.c.id),
        )
        with self._database.read() as connection:
            return tuple(EditionId(number) for number in connection.execute(query).scalars())

    def due(self, connection: sa.Connection, list_id: ListId, now: datetime) -> list[Shard]:
        """Those of the list that somebody should look at."""
        editions = schema.editions
        query = (
            sa.select(table.c.edition_id, table.c.first, table.c.last)
            .join_from(table, editions, table.c.edition_id == editions.c.id)
            .where(
                editions.c.list_id == list_id,
                editions.c.finished_at.is_(None),
                table.c.state.in_([ShardState.WAITING, ShardState.RANKED]),
                sa.or_(table.c.due_at.is_(None), table.c.due_at <= now),
            )
            .order_by(table.c.edition_id, table.c.first)
        )
        return [_shard(list_id, *row) for row in connection.execute(query).all()]

    def begin(self, shard: Shard, worker: str, now: datetime) -> ShardState:
        """Counts one more try, unless the last one has settled something; the state, `aside` after too many."""
        with self._database.write(alone=False) as connection:
            row = connection.execute(sa.select(table).where(_is(shard)).with_for_update()).one_or_none()
            if row is None:  # its edition is gone
                return ShardState.DONE
            if row.state in (ShardState.DONE, ShardState.ASIDE):
                return ShardState(row.state)
            left = _unsettled(connection, shard) if row.state == ShardState.RANKED else None
            tries = row.tries + 1 if left == row.unsettled else 1
            state = ShardState.ASIDE if tries > ENDS else ShardState(row.state)
            error = row.error or "each try ended without a word, for want of memory perhaps, or of the database"
            values = {"tries": tries, "unsettled": left, "worker": worker, "begun_at": now, "ended_at": None}
            aside = {"state": state, "error": error, "ended_at": now, "worker": worker}
            connection.execute(
                sa.update(table).where(_is(shard)).values(aside if state is ShardState.ASIDE else values)
            )
        return state

    def ranked(self, shard: Shard, rows: Sequence[Mapping[str, object]], edition: Edition, now: datetime) -> None:
        """Gives the shard's readers their deliveries; with the last shard, the edition's recipients are frozen."""
        editions = Editions(self._database)
        if not editions.recipients_are_frozen(edition):
            editions.enqueue_rows(edition, rows)
        with self._database.write(alone=False) as connection:
            waits = sa.and_(_is(shard), table.c.state == ShardState.WAITING)
            connection.execute(sa.update(table).where(waits).values(state=ShardState.RANKED, ranked_at=now))
        self.settle(edition, now)

    def end(
        self, shard: Shard, now: datetime, not_before: datetime | None = None, trouble: str = ""
    ) -> datetime | None:
        """The shard has been worked through: when to look at it again, None if it is done.

        `not_before`: what keeps the rest waiting will last until then. `trouble`: what that is, where it is a relay's.
        """
        with self._database.write(alone=False) as connection:
            again = _next(connection, shard, now)
            again = max(again, not_before) if again and not_before else again
            values = {"state": ShardState.RANKED, "due_at": again, "ended_at": now, "error": trouble, "tries": 0}
            if again is None:
                values |= {"state": ShardState.DONE, "unsettled": 0, "error": ""}
            connection.execute(sa.update(table).where(_is(shard)).values(values))
        return again

    def settle(self, edition: Edition, now: datetime) -> bool:
        """Freezes the edition's recipients once each shard is ranked, and finishes it once each is done.

        Whether this call has finished it. For whoever has brought a shard forward, and from time to time for
        schedulers: who came last may have been killed before.
        """
        # In transactions of their own: whoever comes last sees what all others have done.
        of_it = table.c.edition_id == edition.id
        unranked = sa.func.count().filter(table.c.ranked_at.is_(None))
        still_open = sa.func.count().filter(table.c.state != ShardState.DONE)
        with self._database.read() as connection:
            total, to_rank, to_do = connection.execute(
                sa.select(sa.func.count(), unranked, still_open).where(of_it)
            ).one()
        if not total or to_rank:
            return False
        editions = Editions(self._database)
        if not editions.recipients_are_frozen(edition):
            editions.close_recipients(edition, now)
        return not to_do and editions.finish(edition, now)

    def failed(self, shard: Shard, error: str, now: datetime, again: timedelta) -> datetime | None:
        """The shard ended in an error: when to try again, None if it has been set aside."""
        with self._database.write(alone=False) as connection:
            row = connection.execute(sa.select(table).where(_is(shard)).with_for_update()).one()
            aside = row.tries >= TRIES
            state = ShardState.ASIDE if aside else row.state
            due_at = None if aside else now + again * row.tries
            values = {"state": state, "error": error, "ended_at": now, "due_at": due_at}
            connection.execute(sa.update(table).where(_is(shard)).values(values))
        return due_at

    def put_off(self, shard: Shard, trouble: str, now: datetime, again: timedelta) -> datetime:
        """It could not be begun, or gone on with, for what is no trouble of its own: when to try again."""
        due_at = now + again
        with self._database.write(alone=False) as connection:
            values = {"error": trouble, "ended_at": now, "due_at": due_at, "tries": 0}
            connection.execute(sa.update(table).where(_is(shard)).values(values))
        return due_at

    def workers(self, list_id: ListId) -> int:
        """How many workers live that have the list in their config."""
        with self._database.read() as connection:
            return alive(connection, list_id)

    def trouble(self, list_id: ListId) -> str:
        """What kept the list's shard that was put down last from its end; empty where nothing did."""
        with self._database.read() as connection:
            return trouble(connection, list_id)

    def overview(self, edition: Edition) -> ShardsOverview | None:
        """How far the edition's shards are; None if it has none."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(table).where(table.c.edition_id == edition.id)).all()
        if not rows:
            return None
        counts = {state: sum(1 for row in rows if row.state == state) for state in ShardState}
        at_work = {row.worker for row in rows if row.begun_at and row.ended_at is None}
        errors = [
            (_shard(edition.list_id, row.edition_id, row.first, row.last), row.error)
            for row in rows
            if row.state == ShardState.ASIDE
        ]
        waiting = [row.due_at or edition.cutoff for row in rows if row.state in OPEN and row.ended_at is not None]
        waiting += [edition.cutoff for row in rows if row.state == ShardState.WAITING and row.begun_at is None]
        present = {state: count for state, count in counts.items() if count}
        return ShardsOverview(present, tuple(sorted(at_work)), tuple(errors), min(waiting, default=None))


def reopen(connection: sa.Connection, edition_id: EditionId, now: datetime) -> None:
    """All shards of an edition are due now, also those that were set aside."""
    state = sa.case((table.c.ranked_at.is_(None), ShardState.WAITING), else_=ShardState.RANKED)
    again = {"state": state, "due_at": now, "tries": 0, "error": ""}
    connection.execute(sa.update(table).where(table.c.edition_id == edition_id).values(again))


def _is(shard: Shard) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.edition_id == shard.edition_id, table.c.first == shard.first)


def _shard(list_id: ListId, edition_id: int, first: int, last: int) -> Shard:
    return Shard(list_id, EditionId(edition_id), SubscriberId(first), SubscriberId(last))


def _open(shard: Shard) -> sa.ColumnElement[bool]:
    """Its deliveries that somebody still has to do something about."""
    return sa.and_(
        deliveries.c.edition_id == shard.edition_id,
        deliveries.c.subscriber_id.between(shard.first, shard.last),
        deliveries.c.status.in_(UNSETTLED),
    )


def _unsettled(connection: sa.Connection, shard: Shard) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(deliveries).where(_open(shard))).scalar_one()


def _next(connection: sa.Connection, shard: Shard, now: datetime) -> datetime | None:
    """When to look at its unsettled deliveries again: at once, unless each waits for its time or is in others' hands.

    Whoever has them may let them go long before the lease ends, and knows nothing of who has looked meanwhile.
    """
    held = deliveries.c.status.in_([DeliveryStatus.ACTIVE, DeliveryStatus.SENDING])
    ends = sa.func.min(sa.case((held, deliveries.c.lease_until)), type_=UtcTime())
    waits = sa.case((~held, deliveries.c.next_attempt_at))
    timed = sa.func.count().filter(sa.or_(held, waits.is_not(None)))
    due = sa.func.min(waits, type_=UtcTime())
    unsettled, with_time, lease, attempt = connection.execute(
        sa.select(sa.func.count(), timed, ends, due).where(_open(shard))
    ).one()
    if not unsettled:
        return None
    if with_time < unsettled:
        return now
    times: list[datetime] = [attempt] if attempt else []
    times += [min(lease, now + OTHERS_LOOK)] if lease else []
    return max(min(times), now)
