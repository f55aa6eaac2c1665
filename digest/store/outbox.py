"""The ledger of deliveries: claims, leases, results. It implements `digest.send.outbox.Ledger`.

A claim is a lease: `owner` and `lease_until` say who holds the delivery, `token` grows with every claim, and a result
is accepted only with the token of the present claim; `sent` alone is always accepted, for it has happened. A lease
ends when its time is over, or at once when its owner was a process of this machine that is no longer there.
Every method is one durable transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

import sqlalchemy as sa

from digest.ledger import Entry, Intent, Release, Result, Row, after
from digest.model import Address, Claim, Delivery, DeliveryId, DeliveryStatus, ListId, OnUnknown, Shard, Subscriber
from digest.owners import identity, may_live
from digest.store import numbered, schema
from digest.store.database import Database
from digest.store.rows import delivery_of
from digest.store.subscribers import PERSON, address_key, is_reachable, subscriber_of, suppress
from digest.store.times import UtcTime

LEASE = timedelta(minutes=30)
"""Longer than the slowest conversation that RFC 5321's time-outs allow between claim and final reply."""
RENEWED_LEASE = timedelta(minutes=5)
"""Where leases are renewed while their holder lives: an outage of the database of some minutes is survived, and what a
host that is gone had in hand is sent by others soon after. No longer than that: readers wait."""
REOPEN_WITHIN = timedelta(days=5)
"""Under `on_unknown = "resend"`: how old a held delivery may be to be sent after all."""
LOOK_EVERY = timedelta(seconds=1)
"""How often the ledger of a shard looks for leases that have ended, as long as there is something else to claim."""
_LEDGERS = count()

table = schema.deliveries
_CLAIMED = [c for c in table.c if c.name not in ("enhanced_code", "settled_at", "owner", "lease_until")]
"""What is read of a delivery that is claimed."""
_HELD = [DeliveryStatus.ACTIVE, DeliveryStatus.SENDING]


class DeliveryLedger:
    """The deliveries of one list, or of the given addresses on it, as one sending process sees them."""

    def __init__(
        self,
        database: Database,
        list_id: ListId,
        now: Callable[[], datetime],
        *,
        on_unknown: OnUnknown = OnUnknown.HOLD,
        only: Collection[Address] = (),
        within: Shard | None = None,
        lease: timedelta = LEASE,
    ):
        """`within`: of this shard alone, whether or not all recipients of its edition are known."""
        self._database = database
        self.lease = lease
        self._within = within
        self._looked_at: datetime | None = None
        self._now = now
        self._on_unknown = on_unknown
        self._owner = f"{identity()}/{next(_LEDGERS)}"
        # In the order of an index and by nothing else, so that a claim costs the same however many are queued.
        self._order: tuple[sa.Column[Any], ...] = (table.c.status, table.c.next_attempt_at)
        if within:
            self._scope = [
                table.c.edition_id == within.edition_id,
                table.c.subscriber_id.between(within.first, within.last),
            ]
            self._order = (table.c.subscriber_id,)
        else:
            editions = sa.select(schema.editions.c.id).where(
                schema.editions.c.list_id == list_id, schema.editions.c.recipients_frozen_at.is_not(None)
            )
            self._scope = [table.c.edition_id.in_(editions)]
        if only:
            subscribers = sa.select(schema.subscribers.c.id).where(
                schema.subscribers.c.list_id == list_id,
                schema.subscribers.c.address_key.in_([address_key(a) for a in only]),
            )
            self._scope.append(table.c.subscriber_id.in_(subscribers))
        due = sa.and_(*self._scope, _is_due(sa.bindparam("now", type_=UtcTime)))
        chosen = sa.select(*_CLAIMED).where(due).order_by(*self._order).limit(sa.bindparam("most", type_=sa.Integer))
        self._chosen = chosen.with_for_update(skip_locked=True)
        held = sa.and_(*self._scope, table.c.status.in_(_HELD))
        first = sa.func.min(table.c.lease_until, type_=UtcTime())
        self._owners = sa.select(table.c.owner, first).where(held).group_by(table.c.owner)

    def claim(self, limit: int) -> Sequence[Claim]:
        """Up to `limit` due deliveries become `active` under our lease; what its reader has left is `cancelled`."""
        now = self._now()
        with self._database.write(alone=False) as connection:
            looked = self._look_for_dead(connection, now)
            while (rows := connection.execute(self._chosen, {"now": now, "most": limit}).all()) or not looked:
                if not rows:
                    self._end_dead_leases(connection, now)
                    looked = True
                    continue
                people = _people(connection, [row.subscriber_id for row in rows])
                held = [row for row in rows if row.subscriber_id in people]
                self._cancel(connection, [row.id for row in rows if row.subscriber_id not in people])
                if held:
                    break
            else:
                return ()
            dialect = connection.dialect.name
            lease = {"owner": self._owner, "lease_until": now + self.lease}
            for edition, ids in numbered.by_edition((row.edition_id, row.id) for row in held):
                which = {"ids": numbered.numbers(dialect, ids), "of": edition}
                connection.execute(_hold(dialect), {**which, **lease})
        return tuple(Claim(delivery_of(row), people[row.subscriber_id], row.token + 1) for row in held)

    def is_idle(self) -> bool:
        """Whether there is nothing to claim now: all is settled, or waits for its hour or its next try."""
        now = self._now()
        query = sa.select(table.c.id).where(*self._scope, sa.or_(table.c.status.in_(_HELD), _is_due(now))).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).first() is None

    def has_due(self, count: int) -> bool:
        """Whether so many are due now."""
        query = sa.select(table.c.id).where(*self._scope, _is_due(self._now())).limit(1).offset(count - 1)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def hurry(self) -> None:
        """Lets go at once what waits for its reader's hour; it counts as queued now, and is dated so."""
        now = self._now()
        waiting = sa.and_(table.c.status == DeliveryStatus.QUEUED, table.c.next_attempt_at > now)
        with self._database.write() as connection:
            connection.execute(
                sa.update(table).where(*self._scope, waiting).values(next_attempt_at=None, queued_at=now)
            )

    def renew(self) -> None:
        """Lengthens our leases: they are for the others to see that we live.

        Not those of deliveries of which something is just being written: it would wait for that, and that for it.
        """
        ours = sa.and_(*self._scope, table.c.status.in_(_HELD), table.c.owner == self._owner)
        free = sa.select(table.c.id).where(ours).with_for_update(skip_locked=True)
        with self._database.write(alone=False) as connection:
            connection.execute(
                sa.update(table).where(ours, table.c.id.in_(free)).values(lease_until=self._now() + self.lease)
            )

    def reopen(self) -> None:
        """Under `on_unknown = "resend"`, makes what is held due again, and its edition unfinished."""
        if self._on_unknown is OnUnknown.RESEND:
            with self._database.write(alone=False) as connection:
                self._reopen(connection, self._now())

    def commit(self, entries: Sequence[Entry]) -> Sequence[bool]:
        """Writes the entries in their order, in one durable transaction; whether each was ours to make.

        It is not where another has the claim by now, nor for an intent whose reader has left. Raises StoreError, and
        has then written none of them.
        """
        now = self._now()
        made: list[bool] = []
        changes: dict[DeliveryId, tuple[Delivery, dict[str, object]]] = {}
        with self._database.write(alone=False) as connection:
            rows = _rows(connection, entries)
            for entry in map(self._by_policy, entries):
                delivery = entry.claim.delivery
                row = after(entry, rows[delivery.id]) if delivery.id in rows else None
                made.append(row is not None and row.status is not DeliveryStatus.CANCELLED)
                if row is None:
                    continue
                rows[delivery.id] = row
                changes.setdefault(delivery.id, (delivery, {}))[1].update(_columns(entry, row, now, self.lease))
                if isinstance(entry, Result) and entry.outcome.suppress:
                    suppress(connection, delivery.address, entry.outcome.reply, now)
            numbered.change(connection, changes)
        return made

    def _by_policy(self, entry: Entry) -> Entry:
        """Under `on_unknown = "resend"`, what is in doubt is deferred as long as there is a next try, then held."""
        if (
            self._on_unknown is OnUnknown.RESEND
            and isinstance(entry, Result)
            and entry.outcome.status is DeliveryStatus.UNKNOWN
            and entry.next_attempt_at is not None
        ):
            return replace(entry, outcome=replace(entry.outcome, status=DeliveryStatus.DEFERRED))
        return entry

    def _cancel(self, connection: sa.Connection, ids: Sequence[int]) -> None:
        if ids:
            connection.execute(sa.update(table).where(table.c.id.in_(ids)).values(_cancelled(self._now())))

    def _look_for_dead(self, connection: sa.Connection, now: datetime) -> bool:
        """Ends dead leases, unless that was done a moment ago: in a shard it takes longer than to claim."""
        if self._within and self._looked_at is not None and abs(now - self._looked_at) < LOOK_EVERY:
            return False
        self._end_dead_leases(connection, now)
        return True

    def _end_dead_leases(self, connection: sa.Connection, now: datetime) -> None:
        self._looked_at = now
        owners = connection.execute(self._owners).all()
        is_shared = connection.dialect.name != "sqlite"
        others = [(owner, first) for owner, first in owners if owner != self._owner]
        dead = [owner for owner, _ in others if owner is None or not may_live(owner, is_shared=is_shared)]
        if dead or any(first and first < now for _, first in others):
            self._end_leases(connection, dead, now)
        if self._on_unknown is OnUnknown.RESEND:
            self._reopen(connection, now)

    def _end_leases(self, connection: sa.Connection, dead: Sequence[str | None], now: datetime) -> None:
        # Our own claims may wait long for their turn; as long as we live they are ours.
        late = sa.and_(table.c.lease_until < now, table.c.owner != self._owner)
        # By their status, of which there is an index: else all deliveries are read, once for each of them.
        gone = sa.or_(late, table.c.owner.in_(dead), table.c.owner.is_(None))  # None: somebody's hand was at it
        due = sa.and_(*self._scope, table.c.status.in_(_HELD), gone)
        # Not those that somebody is just writing: he lives, and may wait for what is locked here.
        ended = sa.and_(due, table.c.id.in_(sa.select(table.c.id).where(due).with_for_update(skip_locked=True)))
        free = {"owner": None, "lease_until": None}
        connection.execute(
            sa.update(table).where(ended, table.c.status == DeliveryStatus.ACTIVE).values(status=_waiting(), **free)
        )
        connection.execute(
            sa.update(table)
            .where(ended, table.c.status == DeliveryStatus.SENDING)
            .values(
                status=DeliveryStatus.UNKNOWN,
                attempts=table.c.attempts + 1,
                reply="the program stopped while the server had the message: it may or may not have been delivered",
                settled_at=now,
                **free,
            )
        )

    def _reopen(self, connection: sa.Connection, now: datetime) -> None:
        held = sa.and_(
            *self._scope,
            table.c.status == DeliveryStatus.UNKNOWN,
            table.c.queued_at > now - REOPEN_WITHIN,
            table.c.owner.is_(None),  # what a restore holds (`restored.py`) is for a person to decide
        )
        editions = sa.select(table.c.edition_id).where(held)
        connection.execute(
            sa.update(schema.editions).where(schema.editions.c.id.in_(editions)).values(finished_at=None)
        )
        connection.execute(
            sa.update(table).where(held).values(status=DeliveryStatus.DEFERRED, next_attempt_at=now, settled_at=None)
        )


def _is_due(now: datetime | sa.BindParameter[datetime]) -> sa.ColumnElement[bool]:
    waits = [DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED]
    return sa.and_(table.c.status.in_(waits), sa.or_(table.c.next_attempt_at.is_(None), table.c.next_attempt_at <= now))


def _people(connection: sa.Connection, ids: Sequence[int]) -> dict[int, Subscriber]:
    """Those of the subscribers to whom anything is sent, by their ids."""
    dialect = connection.dialect.name
    found = connection.execute(_sent_to(dialect), {"ids": numbered.numbers(dialect, ids)})
    return {row.id: subscriber_of(row) for row in found.all()}  # one by one, psycopg takes long


def _rows(connection: sa.Connection, entries: Sequence[Entry]) -> dict[DeliveryId, Row]:
    """What the ledger has of the deliveries, held until the transaction ends."""
    dialect = connection.dialect.name
    found: dict[DeliveryId, Row] = {}
    deliveries = [entry.claim.delivery for entry in entries]
    for edition, ids in numbered.by_edition((delivery.edition_id, delivery.id) for delivery in deliveries):
        which = {"ids": numbered.numbers(dialect, ids), "of": edition}
        for number, status, token, attempts in connection.execute(_rows_of(dialect), which).all():
            found[DeliveryId(number)] = Row(DeliveryStatus(status), token, attempts, has_left=False)
    about_to = [entry.claim.delivery for entry in entries if isinstance(entry, Intent)]
    if about_to:  # of the others nobody asks
        to = {"ids": numbered.numbers(dialect, {delivery.subscriber_id for delivery in about_to})}
        here = set(connection.execute(_still_here(dialect), to).scalars().all())
        for delivery in about_to:
            if delivery.id in found and delivery.subscriber_id not in here:
                found[delivery.id] = found[delivery.id]._replace(has_left=True)
    return found


@cache
def _hold(dialect: str) -> sa.Update:
    """Takes the deliveries `ids` under a lease."""
    lease: dict[str, Any] = {name: sa.bindparam(name) for name in ("owner", "lease_until")}
    held = {"status": DeliveryStatus.ACTIVE, "token": table.c.token + 1, **lease}
    return sa.update(table).where(numbered.is_in(dialect)).values(held)


@cache
def _rows_of(dialect: str) -> sa.Select[Any]:
    """The rows of the deliveries `ids`, locked in their order: nobody waits for each other."""
    query = sa.select(table.c.id, table.c.status, table.c.token, table.c.attempts).where(numbered.is_in(dialect))
    return query.order_by(table.c.id).with_for_update()


@cache
def _sent_to(dialect: str) -> sa.Select[Any]:
    """Those of the subscribers `ids` to whom anything is sent."""
    return sa.select(*PERSON).where(numbered.is_among(dialect, schema.subscribers.c.id), is_reachable())


@cache
def _still_here(dialect: str) -> sa.Select[Any]:
    """Their ids."""
    return _sent_to(dialect).with_only_columns(schema.subscribers.c.id)


def _columns(entry: Entry, row: Row, now: datetime, lease: timedelta) -> dict[str, object]:
    """What the entry writes into the delivery that has become `row`."""
    free = {"owner": None, "lease_until": None}
    if isinstance(entry, Result):
        settled = None if row.status is DeliveryStatus.DEFERRED else now
        return {
            "status": row.status,
            "attempts": row.attempts,
            "next_attempt_at": entry.next_attempt_at,
            "enhanced_code": entry.outcome.enhanced_code,
            "reply": entry.outcome.reply,
            "relay": entry.claim.relay,
            "settled_at": settled,
            **free,
        }
    if row.status is DeliveryStatus.CANCELLED:
        return _cancelled(now)
    if isinstance(entry, Intent):
        return {"status": row.status, "lease_until": now + lease, "relay": entry.claim.relay}
    return {"status": row.status, **(free if isinstance(entry, Release) else {})}


def _cancelled(now: datetime) -> dict[str, object]:
    return {
        "status": DeliveryStatus.CANCELLED,
        "reply": "unsubscribed, suppressed or removed since the freeze",
        "settled_at": now,
        "owner": None,
        "lease_until": None,
    }


def _waiting() -> sa.ColumnElement[str]:
    """The state before the claim: `queued` until a first attempt has been charged."""
    return sa.case((table.c.attempts > 0, DeliveryStatus.DEFERRED), else_=DeliveryStatus.QUEUED)
