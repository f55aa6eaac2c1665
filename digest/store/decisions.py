"""What a person decides about an edition's deliveries: to try them again, or what became of those in doubt.

Beside the ledger (`outbox.py`), which only the sending process writes. A delivery that somebody holds, `active` or
`sending`, is never touched here, nor is one that is let go of. Every method is one durable transaction, and gives the
deliveries it changed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa

from digest.model import Address, DeliveryStatus, Edition
from digest.store import schema, shards
from digest.store.database import Database
from digest.store.received import is_let_go
from digest.store.subscribers import address_key

RETRIED = (DeliveryStatus.DEFERRED, DeliveryStatus.BOUNCED, DeliveryStatus.EXPIRED)
"""What `retry` makes due: all that certainly did not arrive. Who has left, or is in doubt, is not among them."""

table = schema.deliveries


class Decisions:
    """The deliveries of one edition, or of the given addresses in it, in a person's hands."""

    def __init__(self, database: Database, edition: Edition, only: Collection[Address] = ()):
        self._database = database
        self._edition = edition
        self._scope = [table.c.edition_id == edition.id]
        if only:
            people = sa.select(schema.subscribers.c.id).where(
                schema.subscribers.c.address_key.in_([address_key(address) for address in only])
            )
            self._scope.append(table.c.subscriber_id.in_(people))

    def retry(self, now: datetime) -> Sequence[Address]:
        """Makes due what failed. The next send tries it, unless its reader has left or is suppressed."""
        return self._make_due(RETRIED, now)

    def resend(self, now: datetime) -> Sequence[Address]:
        """Makes due what is in doubt: it goes out with the Message-ID it had, and may arrive twice."""
        return self._make_due((DeliveryStatus.UNKNOWN,), now)

    def delivered(self, now: datetime) -> Sequence[Address]:
        """Takes for sent what is in doubt."""
        with self._database.write() as connection:
            values = {
                "status": DeliveryStatus.SENT,
                "reply": "taken for delivered, by hand",
                "settled_at": now,
                "owner": None,
            }
            return self._change(connection, (DeliveryStatus.UNKNOWN,), values)

    def _make_due(self, statuses: Sequence[DeliveryStatus], now: datetime) -> Sequence[Address]:
        with self._database.write() as connection:
            if is_let_go(connection, self._edition.id):
                return ()
            values = {"status": DeliveryStatus.DEFERRED, "next_attempt_at": now, "settled_at": None, "owner": None}
            changed = self._change(connection, statuses, values)
            if changed:
                edition = schema.editions.c.id == self._edition.id
                connection.execute(sa.update(schema.editions).where(edition).values(finished_at=None))
            shards.reopen(connection, self._edition.id, now)  # those that were set aside may have no deliveries yet
        return changed

    def _change(
        self, connection: sa.Connection, statuses: Sequence[DeliveryStatus], values: dict[str, object]
    ) -> Sequence[Address]:
        which = sa.and_(*self._scope, table.c.status.in_(statuses))
        addresses = connection.execute(sa.select(table.c.address).where(which).order_by(table.c.subscriber_id))
        changed = tuple(map(Address, addresses.scalars()))
        connection.execute(sa.update(table).where(which).values(values))
        return changed
