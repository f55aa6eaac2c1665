"""Which lists send nothing, since when, and why: written by a person's command, read by every process that sends."""

from __future__ import annotations

import sqlalchemy as sa

from digest.model import ListId, Pause
from digest.store import schema
from digest.store.database import Database
from digest.store.statements import insert

RESTORE = "digest restore"
"""Who has paused a list, and holds a delivery, since an older database was put in place: see `restored.py`."""

table = schema.pauses


class Pauses:
    """The pause of one list, if there is one."""

    def __init__(self, database: Database, list_id: ListId):
        self._database = database
        self._list_id = list_id

    def current(self) -> Pause | None:
        """Why the list sends nothing now."""
        with self._database.read() as connection:
            return self._current(connection)

    def begin(self, pause: Pause) -> Pause:
        """Pauses the list, durably, and gives the pause that holds: an earlier one is kept."""
        row = {"list_id": self._list_id, "since": pause.since, "by": pause.by, "reason": pause.reason}
        with self._database.write() as connection:
            connection.execute(insert(table).values(row).on_conflict_do_nothing())
            return self._current(connection) or pause

    def end(self) -> Pause | None:
        """Lets the list send again, and gives the pause that has ended, if there was one."""
        with self._database.write() as connection:
            ended = self._current(connection)
            connection.execute(sa.delete(table).where(table.c.list_id == self._list_id))
        return ended

    def _current(self, connection: sa.Connection) -> Pause | None:
        row = connection.execute(sa.select(table).where(table.c.list_id == self._list_id)).one_or_none()
        return Pause(row.since, row.by, row.reason) if row else None
