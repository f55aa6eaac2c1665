"""What came back of deliveries: each bounce once, with its effect in the same transaction.

A delivery counts once for each kind of bounce. So neither a crash before the mailbox was told, nor a report that was
sent twice, nor a second process counts anything again. `mailroom/reading.py` calls this with bounces that are proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import sqlalchemy as sa

from digest.model import (
    Address,
    Attempt,
    Bounce,
    BounceKind,
    DeliveryId,
    DeliveryStatus,
    EditionId,
    ListId,
    SubscriberId,
)
from digest.store import schema
from digest.store.database import Database
from digest.store.received import let_go
from digest.store.statements import insert
from digest.store.subscribers import address_key, suppress

WornOut = Callable[[Iterable[Attempt], datetime], bool]
"""Whether an address's attempts, newest first, suppress it now."""
_WORST_FIRST = (BounceKind.HARD, BounceKind.SOFT, BounceKind.POLICY)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a bounce did."""

    address: Address
    is_new: bool
    """False: it was counted before, and did nothing now."""
    suppressed: bool


class Bounces:
    """The bounces of one list's deliveries, but for those that are let go of: nobody knows these any more."""

    def __init__(self, database: Database, list_id: ListId):
        self._database = database
        self._of_list = schema.deliveries.c.edition_id.in_(
            sa.select(schema.editions.c.id).where(schema.editions.c.list_id == list_id, ~let_go())
        )

    def delivery_with(self, message_id: str, subscriber_id: SubscriberId) -> DeliveryId | None:
        """The list's delivery with this Message-ID, if it was hers."""
        table = schema.deliveries
        query = sa.select(table.c.id).where(
            self._of_list, table.c.subscriber_id == subscriber_id, table.c.message_id == message_id
        )
        with self._database.read() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else DeliveryId(found)

    def of(self, edition_id: EditionId) -> dict[DeliveryId, list[Bounce]]:
        """What came back of an edition's deliveries, in the order in which it was read; of most nothing did."""
        table = schema.bounces
        query = (
            sa.select(table)
            .join(schema.deliveries, schema.deliveries.c.id == table.c.delivery_id)
            .where(self._of_list, schema.deliveries.c.edition_id == edition_id)
            .order_by(table.c.recorded_at)
        )
        found: dict[DeliveryId, list[Bounce]] = {}
        with self._database.read() as connection:
            for row in connection.execute(query):
                bounce = Bounce(row.delivery_id, BounceKind(row.kind), row.enhanced_code, row.diagnostic)
                found.setdefault(bounce.delivery_id, []).append(bounce)
        return found

    def record(self, bounce: Bounce, worn_out: WornOut, now: datetime) -> Recorded | None:
        """Counts the bounce and does what follows of it, in one transaction; None where there is no such delivery."""
        table = schema.bounces
        of = sa.select(schema.deliveries.c.address).where(self._of_list, schema.deliveries.c.id == bounce.delivery_id)
        row = {
            "delivery_id": bounce.delivery_id,
            "kind": bounce.kind,
            "enhanced_code": bounce.enhanced_code,
            "diagnostic": bounce.diagnostic,
            "recorded_at": now,
        }
        with self._database.write() as connection:
            found = connection.execute(of).scalar()
            if found is None:
                return None
            address = Address(found)
            is_new = connection.execute(insert(table).values(row).on_conflict_do_nothing()).rowcount > 0
            ends = is_new and (
                bounce.kind in (BounceKind.HARD, BounceKind.COMPLAINT)
                or (bounce.kind is BounceKind.SOFT and worn_out(_attempts(connection, address), now))
            )
            if ends:
                suppress(connection, address, _reason(bounce), now)
        return Recorded(address, is_new, ends)


def bounces_of(connection: sa.Connection, edition_id: EditionId) -> dict[BounceKind, int]:
    """How many of an edition's deliveries came back, by kind."""
    table, deliveries = schema.bounces, schema.deliveries
    query = (
        sa.select(table.c.kind, sa.func.count())
        .join(deliveries, deliveries.c.id == table.c.delivery_id)
        .where(deliveries.c.edition_id == edition_id)
        .group_by(table.c.kind)
    )
    found = {BounceKind(kind): count for kind, count in connection.execute(query)}
    return {kind: found[kind] for kind in BounceKind if kind in found}


def _attempts(connection: sa.Connection, address: Address) -> Iterator[Attempt]:
    """What servers took for the address, by any list, newest first."""
    deliveries, people, bounces = schema.deliveries, schema.subscribers, schema.bounces
    kind = bounces.c.kind
    query = (
        sa.select(deliveries.c.id, sa.func.coalesce(deliveries.c.settled_at, deliveries.c.queued_at).label("at"), kind)
        .join(people, people.c.id == deliveries.c.subscriber_id)
        .outerjoin(bounces, sa.and_(bounces.c.delivery_id == deliveries.c.id, kind != BounceKind.COMPLAINT))
        .where(
            people.c.address_key == address_key(address),
            sa.or_(deliveries.c.status == DeliveryStatus.SENT, kind.is_not(None)),
        )
        .order_by(sa.desc("at"), deliveries.c.id.desc())
    )
    for (_, at), rows in groupby(connection.execute(query), lambda row: (row.id, row.at)):
        kinds = {row.kind for row in rows}
        yield Attempt(at, next((kind for kind in _WORST_FIRST if kind in kinds), None))


def _reason(bounce: Bounce) -> str:
    if bounce.kind is BounceKind.SOFT:
        return f"soft bounces in a row, the last: {bounce.diagnostic}"
    return f"{'complaint' if bounce.kind is BounceKind.COMPLAINT else 'hard bounce'}: {bounce.diagnostic}"
