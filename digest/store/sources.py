"""How each source of a list was when it was last pulled, so that `digest status` knows without asking again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from digest.model import ListId, SourceHealth, SourceSummary
from digest.store import schema
from digest.store.codec import decode, encode
from digest.store.damaged import readable
from digest.store.database import Database
from digest.store.statements import insert


class Sources:
    """The sources of one database."""

    def __init__(self, database: Database):
        self._database = database

    def record(self, list_id: ListId, summaries: Sequence[SourceSummary], now: datetime) -> None:
        """Keeps how a pull went; sources that the list no longer has are forgotten."""
        table = schema.source_health
        with self._database.write() as connection:
            for position, summary in enumerate(summaries):
                values = {"position": position, "pulled_at": now, "summary": encode(summary)}
                if summary.error is None:
                    values["good_at"] = now
                statement = insert(table).values(list_id=list_id, source=summary.source, **values)
                connection.execute(statement.on_conflict_do_update(index_elements=["list_id", "source"], set_=values))
            connection.execute(
                sa.delete(table).where(
                    table.c.list_id == list_id, table.c.source.not_in([summary.source for summary in summaries])
                )
            )

    def health(self, list_id: ListId) -> tuple[SourceHealth, ...]:
        """How every source of the list was, in the order of the config."""
        table = schema.source_health
        columns = (table.c.source, table.c.summary, table.c.pulled_at, table.c.good_at)
        query = sa.select(*columns).where(table.c.list_id == list_id).order_by(table.c.position)
        with self._database.read() as connection:
            return tuple(readable("how it went with source", connection.execute(query), health_of))


def health_of(row: sa.Row[*tuple[Any, ...]]) -> SourceHealth:
    """A row of `source_health` as a value. Raises ValueError where it cannot be read."""
    return SourceHealth(decode(row.summary, SourceSummary), row.pulled_at, row.good_at)
