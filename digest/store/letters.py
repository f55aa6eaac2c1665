"""Messages to single people, kept until the relay has taken them. Beside the ledger of deliveries, and simpler.

A letter that is being sent is not due again for `LEASE`: a crash in between may send it twice, never lose it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from digest.members import Letter
from digest.model import Address, ListId
from digest.store import schema
from digest.store.database import Database
from digest.store.subscribers import address_key
from digest.store.times import UtcTime

LEASE = timedelta(minutes=30)

table = schema.letters


class Letters:
    """The letters of one list."""

    def __init__(self, database: Database, list_id: ListId):
        self._database = database
        self._list_id = list_id

    def put(self, kind: str, address: Address, message: bytes, now: datetime, every: timedelta | None = None) -> bool:
        """Keeps a letter to be sent; with `every`, unless the address had one of this kind within that time."""
        to = sa.and_(table.c.list_id == self._list_id, table.c.address_key == address_key(address))
        with self._database.write() as connection:
            if every is not None:
                recent = sa.select(table.c.id).where(to, table.c.kind == kind, table.c.written_at > now - every)
                if connection.execute(recent.limit(1)).first():
                    return False
            connection.execute(
                sa.insert(table).values(
                    list_id=self._list_id,
                    kind=kind,
                    address=address,
                    address_key=address_key(address),
                    message=message,
                    written_at=now,
                    next_attempt_at=now,
                )
            )
        return True

    def written(self, since: datetime, address: Address | None = None, kind: str | None = None) -> int:
        """How many letters were put after a moment: for one address, of one kind, or all."""
        query = sa.select(sa.func.count()).select_from(table)
        query = query.where(table.c.list_id == self._list_id, table.c.written_at > since)
        if address is not None:
            query = query.where(table.c.address_key == address_key(address))
        if kind is not None:
            query = query.where(table.c.kind == kind)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def newest(self, kinds: str) -> dict[str, datetime]:
        """Each kind that begins with these words, and when the newest letter of it was written."""
        query = sa.select(table.c.kind, sa.func.max(table.c.written_at, type_=UtcTime))
        query = query.where(table.c.list_id == self._list_id, table.c.kind.startswith(kinds, autoescape=True))
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query.group_by(table.c.kind))}

    def is_due(self, now: datetime) -> bool:
        """Whether there is one to be sent; looking takes no lock."""
        due = sa.select(table.c.id).where(table.c.list_id == self._list_id, table.c.next_attempt_at <= now)
        with self._database.read() as connection:
            return connection.execute(due.limit(1)).first() is not None

    def claim(self, now: datetime, limit: int = 100) -> Sequence[Letter]:
        """Letters that are due, oldest first; they are not due again before `LEASE` is over."""
        due = sa.and_(table.c.list_id == self._list_id, table.c.next_attempt_at <= now)
        with self._database.write() as connection:
            rows = connection.execute(sa.select(table).where(due).order_by(table.c.id).limit(limit)).all()
            if rows:
                ids = [row.id for row in rows]
                connection.execute(sa.update(table).where(table.c.id.in_(ids)).values(next_attempt_at=now + LEASE))
        return [Letter(row.id, Address(row.address), row.message, row.written_at, row.attempts) for row in rows]

    def settle(self, letter: Letter, reply: str, next_attempt_at: datetime | None) -> None:
        """What became of a try. Without a next one the text is let go, it may hold a token."""
        kept = {} if next_attempt_at else {"message": b""}
        with self._database.write() as connection:
            connection.execute(
                sa.update(table)
                .where(table.c.id == letter.id)
                .values(attempts=letter.attempts + 1, next_attempt_at=next_attempt_at, reply=reply, **kept)
            )

    def put_back(self, letter: Letter, now: datetime) -> None:
        """It was not tried after all: the relay had trouble of its own."""
        with self._database.write() as connection:
            connection.execute(sa.update(table).where(table.c.id == letter.id).values(next_attempt_at=now))
