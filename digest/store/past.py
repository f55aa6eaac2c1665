"""Past editions as they were sent: what `digest replay` compares with. Reads alone."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import sqlalchemy as sa

from digest.model import Edition, ListId, PaperId, SubscriberId
from digest.store import schema
from digest.store.codec import paper_ids
from digest.store.database import Database
from digest.store.papers import in_groups
from digest.store.received import final_counts, had, ids_at, is_let_go
from digest.store.rounds import edition_of


class Past:
    """What one list has sent."""

    def __init__(self, database: Database, list_id: ListId):
        self._database = database
        self._list_id = list_id

    def editions(self, since: date, until: date) -> tuple[Edition, ...]:
        """The editions of these days, both included, oldest first."""
        table = schema.editions
        query = sa.select(table).where(table.c.list_id == self._list_id, table.c.due_on.between(since, until))
        with self._database.read() as connection:
            return tuple(map(edition_of, connection.execute(query.order_by(table.c.number))))

    def sent(self, edition: Edition, people: Collection[SubscriberId]) -> dict[SubscriberId, tuple[PaperId, ...]]:
        """The papers that the edition had for each of these people, best first; nobody without a delivery is in it."""
        table = schema.deliveries
        found: dict[SubscriberId, tuple[PaperId, ...]] = {}
        with self._database.read() as connection:
            if is_let_go(connection, edition.id):
                held = ids_at(connection, edition.id)
                every = had(connection, [edition.id], list(people))
                return {reader: tuple(map(held, of_her.papers)) for _, reader, of_her in every if of_her}
            for some in in_groups(sorted(people)):
                query = sa.select(table.c.subscriber_id, table.c.picks)
                query = query.where(table.c.edition_id == edition.id, table.c.subscriber_id.in_(some))
                for row in connection.execute(query):
                    found[SubscriberId(row.subscriber_id)] = tuple(paper_ids(row.picks))
        return found

    def recipients(self, edition: Edition) -> int:
        """For how many people the edition was made."""
        final = sa.select(schema.editions.c.final_counts).where(schema.editions.c.id == edition.id)
        query = sa.select(sa.func.count()).where(schema.deliveries.c.edition_id == edition.id)
        with self._database.read() as connection:
            if (counts := final_counts(edition.id, connection.execute(final).scalar_one())) is not None:
                return sum(counts.deliveries.values())
            return connection.execute(query).scalar_one()
