"""The ledger of deliveries: claims, leases, results. It implements `digest.send.outbox.Ledger`.

A claim is a lease: `owner` and `lease_until` say who holds the delivery, `token` grows with every claim, and a result
is accepted only with the token of the present claim; `sent` alone is always accepted, for it has happened. A lease
ends when its time is over, or at once when its owner was a process of this machine that is no longer there.
Every method is one durable transaction.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import count

import sqlalchemy as sa

from digest.errors import LeaseLostError
from digest.model import Address, Claim, DeliveryStatus, ListId, OnUnknown, Outcome
from digest.store import schema
from digest.store.database import Database
from digest.store.editions import delivery_of
from digest.store.subscribers import address_key, is_reachable, subscriber_of, suppress

LEASE = timedelta(minutes=30)
"""Longer than the slowest conversation that RFC 5321's time-outs allow between claim and final reply."""
RESEND_AFTER = timedelta(minutes=5)
"""Under `on_unknown = "resend"`: a relay that breaks off after every message is not asked again at once."""
REOPEN_WITHIN = timedelta(days=5)
"""Under `on_unknown = "resend"`: how old a held delivery may be to be sent after all."""
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
    ):
        self._database = database
        self._now = now
        self._on_unknown = on_unknown
        self._owner = f"{_identity()}/{next(_LEDGERS)}"
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
        due = sa.and_(
            *self._scope,
            table.c.status.in_([DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED]),
            sa.or_(table.c.next_attempt_at.is_(None), table.c.next_attempt_at <= now),
        )
        with self._database.write() as connection:
            self._end_dead_leases(connection, now)
            gone = sa.select(schema.subscribers.c.id).where(~is_reachable())
            self._cancel(connection, sa.and_(due, table.c.subscriber_id.in_(gone)))
            chosen = sa.select(table.c.id).where(due).order_by(table.c.edition_id, table.c.id).limit(limit)
            ids = connection.execute(chosen).scalars().all()
            if not ids:
                return ()
            connection.execute(
                sa.update(table)
                .where(table.c.id.in_(ids))
                .values(
                    status=DeliveryStatus.ACTIVE, owner=self._owner, lease_until=now + LEASE, token=table.c.token + 1
                )
            )
            rows = connection.execute(sa.select(table).where(table.c.id.in_(ids)).order_by(table.c.id)).all()
            people = {
                row.id: subscriber_of(row)
                for row in connection.execute(
                    sa.select(schema.subscribers).where(schema.subscribers.c.id.in_([r.subscriber_id for r in rows]))
                )
            }
        return tuple(Claim(delivery_of(row), people[row.subscriber_id], row.token) for row in rows)

    def reopen(self) -> None:
        """Under `on_unknown = "resend"`, makes what is held due again, and its edition unfinished."""
        if self._on_unknown is OnUnknown.RESEND:
            with self._database.write() as connection:
                self._reopen(connection, self._now())

    def mark_sending(self, claim: Claim) -> None:
        """Commits that the message is about to be handed over. Raises LeaseLostError if the claim is not ours now."""
        mine = sa.and_(*_held(claim), table.c.status == DeliveryStatus.ACTIVE)
        gone = sa.select(schema.subscribers.c.id).where(
            schema.subscribers.c.id == claim.delivery.subscriber_id, ~is_reachable()
        )
        with self._database.write() as connection:
            self._cancel(connection, sa.and_(mine, table.c.subscriber_id.in_(gone)))
            marked = connection.execute(
                sa.update(table).where(mine).values(status=DeliveryStatus.SENDING, lease_until=self._now() + LEASE)
            )
        if not marked.rowcount:
            raise LeaseLostError(f"{claim.delivery.message_id} has another holder, or its reader has left")

    def take_back(self, claim: Claim) -> None:
        """Commits that nothing of the message was handed over after all; the claim is kept."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(table)
                .where(*_held(claim), table.c.status == DeliveryStatus.SENDING)
                .values(status=DeliveryStatus.ACTIVE)
            )

    def release(self, claim: Claim) -> None:
        """Gives the delivery back as it was before the claim; no attempt is charged."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(table)
                .where(*_held(claim), table.c.status == DeliveryStatus.ACTIVE)
                .values(status=_waiting(), owner=None, lease_until=None)
            )

    def record(self, claim: Claim, outcome: Outcome, next_attempt_at: datetime | None) -> None:
        """Commits what became of a try. Raises LeaseLostError for a late result, save for `sent`: that is a fact."""
        status, now = outcome.status, self._now()
        if status is DeliveryStatus.UNKNOWN and self._on_unknown is OnUnknown.RESEND:
            status, next_attempt_at = DeliveryStatus.DEFERRED, now + RESEND_AFTER
        rightful = [table.c.id == claim.delivery.id] if status is DeliveryStatus.SENT else _held(claim)
        with self._database.write() as connection:
            changed = connection.execute(
                sa.update(table)
                .where(*rightful, table.c.status != DeliveryStatus.SENT)
                .values(
                    status=status,
                    attempts=table.c.attempts + 1,
                    next_attempt_at=next_attempt_at,
                    enhanced_code=outcome.enhanced_code,
                    reply=outcome.reply,
                    settled_at=None if status is DeliveryStatus.DEFERRED else now,
                    owner=None,
                    lease_until=None,
                )
            )
            if not changed.rowcount:
                raise LeaseLostError(f"{claim.delivery.message_id} has another holder, or was sent already")
            if outcome.suppress:
                suppress(connection, claim.delivery.address, outcome.reply, now)

    def _cancel(self, connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
        connection.execute(
            sa.update(table)
            .where(which)
            .values(
                status=DeliveryStatus.CANCELLED,
                reply="unsubscribed, suppressed or removed since the freeze",
                settled_at=self._now(),
                owner=None,
                lease_until=None,
            )
        )

    def _end_dead_leases(self, connection: sa.Connection, now: datetime) -> None:
        held = table.c.status.in_([DeliveryStatus.ACTIVE, DeliveryStatus.SENDING])
        owners = connection.execute(sa.select(table.c.owner).where(*self._scope, held).distinct()).scalars().all()
        dead = [owner for owner in owners if not _may_live(owner)]
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
        held = sa.and_(*self._scope, table.c.status == DeliveryStatus.UNKNOWN, table.c.queued_at > now - REOPEN_WITHIN)
        editions = sa.select(table.c.edition_id).where(held)
        connection.execute(
            sa.update(schema.editions).where(schema.editions.c.id.in_(editions)).values(finished_at=None)
        )
        connection.execute(
            sa.update(table).where(held).values(status=DeliveryStatus.DEFERRED, next_attempt_at=now, settled_at=None)
        )


def _held(claim: Claim) -> list[sa.ColumnElement[bool]]:
    return [table.c.id == claim.delivery.id, table.c.token == claim.token]


def _waiting() -> sa.ColumnElement[str]:
    """The state before the claim: `queued` until a first attempt has been charged."""
    return sa.case((table.c.attempts > 0, DeliveryStatus.DEFERRED), else_=DeliveryStatus.QUEUED)


@cache
def _host() -> str:
    return socket.gethostname()


def _identity() -> str:
    """`host/pid/start time` of this process: a process id alone comes round again. A ledger adds its number."""
    import psutil

    return f"{_host()}/{os.getpid()}/{psutil.Process().create_time():.2f}"


def _may_live(owner: str) -> bool:
    """False only for a process of this host that is certainly gone."""
    import psutil

    host, pid, started = owner.split("/")[:3]
    if host != _host():
        return True
    try:
        return bool(abs(psutil.Process(int(pid)).create_time() - float(started)) < CLOCK_STEP)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
