"""Up to when each list's runs have been dealt with: what tells a run that was missed from one that had nothing new."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from digest.model import ListId
from digest.store import schema
from digest.store.database import Database
from digest.store.statements import insert

table = schema.runs


class Runs:
    """The runs of one list."""

    def __init__(self, database: Database, list_id: ListId):
        self._database = database
        self._list_id = list_id

    def done_until(self) -> datetime | None:
        """No run up to then is owed any more; None: the list has never run."""
        with self._database.read() as connection:
            return connection.execute(
                sa.select(table.c.done_until).where(table.c.list_id == self._list_id)
            ).scalar_one_or_none()

    def settle(self, now: datetime) -> None:
        """All runs up to now have been dealt with."""
        statement = insert(table).values(list_id=self._list_id, done_until=now)
        with self._database.write() as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[table.c.list_id], set_={"done_until": statement.excluded.done_until}
                )
            )
