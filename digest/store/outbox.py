"""The ledger of deliveries: claims, leases, results. It implements `digest.send.outbox.Ledger`.

A claim is a lease: `owner` and `lease_until` say who holds the delivery, `token` grows with every claim, and a result
is accepted only with the token of the present claim; `sent` alone is always accepted, for it has happened. A lease
ends when its time is over, or at once when its owner was a process of this machine that is no longer there.
Every method is one durable transaction.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from digest.ledger import Entry, Intent, Release, Result, Row, after
from digest.model import Address, Claim, Delivery, DeliveryId, DeliveryStatus, ListId, OnUnknown, Shard, Subscriber
from digest.store import schema
from digest.store.database import Database
from digest.store.editions import delivery_of
from digest.store.papers import in_groups
from digest.store.subscribers import address_key, is_reachable, subscriber_of, suppress

LEASE = timedelta(minutes=30)
"""Longer than the slowest conversation that RFC 5321's time-outs allow between claim and final reply."""
RENEWED_LEASE = timedelta(minutes=5)
"""Where leases are renewed while their holder lives: an outage of the database of some minutes is survived, and what a
host that is gone had in hand is sent by others soon after. No longer than that: readers wait."""
RESEND_AFTER = timedelta(minutes=5)
"""Under `on_unknown = "resend"`: a relay that breaks off after every message is not asked again at once."""
REOPEN_WITHIN = timedelta(days=5)
"""Under `on_unknown = "resend"`: how old a held delivery may be to be sent after all."""
LOOK_EVERY = timedelta(seconds=1)
"""How often the ledger of a shard looks for leases that have ended, as long as there is something else to claim."""
_LEDGERS = count()
CLOCK_STEP = 2.0
"""Seconds by which a process's start time may seem to move when the system clock is corrected."""

table = schema.deliveries


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
        self._owner = f"{_identity()}/{next(_LEDGERS)}"
        # In the order of an index, so that a claim costs the same however many are queued.
        self._order: tuple[sa.Column[Any], ...] = (table.c.status, table.c.next_attempt_at, table.c.id)
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

    def claim(self, limit: int) -> Sequence[Claim]:
        """Up to `limit` due deliveries become `active` under our lease; what its reader has left is `cancelled`."""
        now = self._now()
        due = sa.and_(*self._scope, _is_due(now))
        chosen = sa.select(table).where(due).order_by(*self._order).limit(limit)
        chosen = chosen.with_for_update(skip_locked=True)
        with self._database.write(alone=False) as connection:
            looked = self._look_for_dead(connection, now)
            while (rows := connection.execute(chosen).all()) or not looked:
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
            connection.execute(
                sa.update(table)
                .where(
                    table.c.id.in_([row.id for row in held]),
                    table.c.edition_id.in_({row.edition_id for row in held}),  # in their partitions alone
                )
                .values(
                    status=DeliveryStatus.ACTIVE,
                    owner=self._owner,
                    lease_until=now + self.lease,
                    token=table.c.token + 1,
                )
            )
        return tuple(Claim(delivery_of(row), people[row.subscriber_id], row.token + 1) for row in held)

    def is_idle(self) -> bool:
        """Whether there is nothing to claim now: all is settled, or waits for its hour or its next try."""
        now, held = self._now(), [DeliveryStatus.ACTIVE, DeliveryStatus.SENDING]
        query = sa.select(table.c.id).where(*self._scope, sa.or_(table.c.status.in_(held), _is_due(now))).limit(1)
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
        """Lengthens our leases: they are for the others to see that we live."""
        held = table.c.status.in_([DeliveryStatus.ACTIVE, DeliveryStatus.SENDING])
        with self._database.write(alone=False) as connection:
            connection.execute(
                sa.update(table)
                .where(*self._scope, held, table.c.owner == self._owner)
                .values(lease_until=self._now() + self.lease)
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
        changes: dict[DeliveryId, dict[str, object]] = {}
        with self._database.write(alone=False) as connection:
            rows = _rows(connection, [entry.claim.delivery for entry in entries])
            for entry in map(self._by_policy, entries):
                delivery = entry.claim.delivery
                row = after(entry, rows[delivery.id]) if delivery.id in rows else None
                made.append(row is not None and row.status is not DeliveryStatus.CANCELLED)
                if row is None:
                    continue
                rows[delivery.id] = row
                columns = changes.setdefault(delivery.id, {"changed_id": delivery.id, "of": delivery.edition_id})
                columns.update(_columns(entry, row, now, self.lease))
                if isinstance(entry, Result) and entry.outcome.suppress:
                    suppress(connection, delivery.address, entry.outcome.reply, now)
            _write(connection, changes.values())
        return made

    def _by_policy(self, entry: Entry) -> Entry:
        """Under `on_unknown = "resend"`, what is in doubt is deferred."""
        if (
            self._on_unknown is OnUnknown.RESEND
            and isinstance(entry, Result)
            and entry.outcome.status is DeliveryStatus.UNKNOWN
        ):
            outcome = replace(entry.outcome, status=DeliveryStatus.DEFERRED)
            return Result(entry.claim, outcome, self._now() + RESEND_AFTER)
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
        held = table.c.status.in_([DeliveryStatus.ACTIVE, DeliveryStatus.SENDING])
        owners = connection.execute(sa.select(table.c.owner).where(*self._scope, held).distinct()).scalars().all()
        is_shared = connection.dialect.name != "sqlite"
        dead = [owner for owner in owners if not _may_live(owner, is_shared=is_shared)]
        # Our own claims may wait long for their turn; as long as we live they are ours.
        late = sa.and_(table.c.lease_until < now, table.c.owner != self._owner)
        ended = sa.and_(*self._scope, sa.or_(late, table.c.owner.in_(dead)))
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
        if self._on_unknown is OnUnknown.RESEND:
            self._reopen(connection, now)

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


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    waits = [DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED]
    return sa.and_(table.c.status.in_(waits), sa.or_(table.c.next_attempt_at.is_(None), table.c.next_attempt_at <= now))


def _people(connection: sa.Connection, ids: Sequence[int]) -> dict[int, Subscriber]:
    """Those of the subscribers to whom anything is sent, by their ids."""
    query = sa.select(schema.subscribers).where(schema.subscribers.c.id.in_(ids), is_reachable())
    return {row.id: subscriber_of(row) for row in connection.execute(query)}


def _rows(connection: sa.Connection, of: Iterable[Delivery]) -> dict[DeliveryId, Row]:
    """What the ledger has of the deliveries, held until the transaction ends."""
    people = schema.subscribers
    found: dict[DeliveryId, Row] = {}
    for some in in_groups(sorted({(delivery.id, delivery.edition_id) for delivery in of})):
        query = (
            sa.select(table.c.id, table.c.status, table.c.token, table.c.attempts, is_reachable())
            .join_from(table, people, table.c.subscriber_id == people.c.id)
            .where(table.c.id.in_([each for each, _ in some]), table.c.edition_id.in_({edition for _, edition in some}))
            .order_by(table.c.id)  # whoever holds rows takes them in one order: nobody waits for each other
            .with_for_update(of=table)
        )
        for number, status, token, attempts, reachable in connection.execute(query):
            found[DeliveryId(number)] = Row(DeliveryStatus(status), token, attempts, not reachable)
    return found


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


def _write(connection: sa.Connection, changes: Iterable[dict[str, object]]) -> None:
    """One statement for all deliveries of which the same columns change."""
    alike: dict[tuple[str, ...], list[dict[str, object]]] = {}
    for columns in changes:
        alike.setdefault(tuple(columns), []).append(columns)
    for names, rows in alike.items():
        is_it = sa.and_(table.c.id == sa.bindparam("changed_id"), table.c.edition_id == sa.bindparam("of"))
        values: dict[str, object] = {name: sa.bindparam(name) for name in names if name in table.c}
        connection.execute(sa.update(table).where(is_it).values(values), rows)


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


@cache
def _host() -> str:
    """With what tells two machines of the same name apart: since when they run."""
    since = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()}~{since.read_text()[:8]}" if since.exists() else socket.gethostname()


def _identity() -> str:
    """`host/pid/start time` of this process: a process id alone comes round again. A ledger adds its number."""
    import psutil

    return f"{_host()}/{os.getpid()}/{psutil.Process().create_time():.2f}"


def _may_live(owner: str, *, is_shared: bool) -> bool:
    """False only for a process that is certainly gone. `is_shared`: machines of one name may work on the database."""
    import psutil

    host, pid, started = owner.split("/")[:3]
    (name, _, boot), (here, _, this_boot) = host.partition("~"), _host().partition("~")
    if name != here:
        return True
    if boot and boot != this_boot:  # this machine before it was started anew; or another of its name
        return is_shared
    try:
        process = psutil.Process(int(pid))
        is_it = abs(process.create_time() - float(started)) < CLOCK_STEP
        return bool(is_it and process.status() != psutil.STATUS_ZOMBIE)  # one that nobody has waited for does nothing
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
