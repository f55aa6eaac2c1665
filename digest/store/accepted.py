"""Which deliveries a host's journal speaks of (`send/journal.py`). Reads; what follows is the ledger's to write."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from digest.ledger import Accepted
from digest.model import Claim, ListId, Subscriber
from digest.store import schema
from digest.store.database import Database
from digest.store.papers import in_groups
from digest.store.received import let_go
from digest.store.rows import delivery_of
from digest.store.subscribers import subscriber_of

table = schema.deliveries


def claims_of(database: Database, list_id: ListId, facts: Collection[Accepted]) -> dict[Accepted, Claim]:
    """The claims that the list's facts are about. Not of deliveries that a restore has lost, or that are let go of.

    A database that was restored may even have given a number anew, but never a Message-ID.
    """
    editions = {fact.delivery_id: fact.edition_id for fact in facts}
    rows: dict[tuple[int, str], sa.Row[Any]] = {}
    people: dict[int, Subscriber] = {}
    with database.read() as connection:
        for some in in_groups(sorted(editions)):
            query = (
                sa.select(table)
                .join_from(table, schema.editions, table.c.edition_id == schema.editions.c.id)
                .where(
                    schema.editions.c.list_id == list_id,
                    ~let_go(),
                    table.c.id.in_(some),
                    table.c.edition_id.in_({editions[number] for number in some}),
                )
            )
            group = connection.execute(query).all()
            rows |= {(row.id, row.message_id): row for row in group}
            readers = schema.subscribers.c.id.in_({row.subscriber_id for row in group})
            for row in connection.execute(sa.select(schema.subscribers).where(readers)):
                people[row.id] = subscriber_of(row)
    found = {}
    for fact in facts:
        if (key := (fact.delivery_id, fact.message_id)) in rows and (row := rows[key]).subscriber_id in people:
            found[fact] = Claim(delivery_of(row), people[row.subscriber_id], fact.token, fact.relay)
    return found
