"""How far each mailbox has been read. The position moves when what was read is done with, never before."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from digest.model import ListId, Position
from digest.store import schema
from digest.store.database import Database
from digest.store.statements import insert

table = schema.mailboxes


class Mailboxes:
    """The mailboxes that one list reads."""

    def __init__(self, database: Database, list_id: ListId):
        self._database = database
        self._list_id = list_id

    def position(self, name: str) -> Position | None:
        """How far the mailbox has been read; None: never."""
        query = sa.select(table.c.uid_validity, table.c.uid).where(
            table.c.list_id == self._list_id, table.c.name == name
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return Position(row.uid_validity, row.uid) if row else None

    def move(self, name: str, to: Position, now: datetime) -> None:
        """Moves on, never back: another process may have read further."""
        statement = insert(table).values(
            list_id=self._list_id, name=name, uid_validity=to.uid_validity, uid=to.uid, read_at=now
        )
        new = statement.excluded
        is_ahead = sa.or_(table.c.uid_validity != new.uid_validity, table.c.uid <= new.uid)
        with self._database.write() as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[table.c.list_id, table.c.name],
                    set_={"uid_validity": new.uid_validity, "uid": new.uid, "read_at": new.read_at},
                    where=is_ahead,
                )
            )
