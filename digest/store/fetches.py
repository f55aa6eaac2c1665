"""The last answer of every address that sources are read from, so that a server need not send it again.

The whole answer is kept, compressed, not only its validators: what an unchanged feed says is then known to every list
and after every crash. Answers that nobody asked for in a month are dropped. `app.py` gives this to the fetcher.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa

from digest.errors import StoreError
from digest.model import Remembered
from digest.store import schema
from digest.store.database import Database
from digest.store.statements import insert

KEPT = timedelta(days=31)


class Fetches:
    """The answers of one database. With `keep=False` they are read, and nothing is added."""

    def __init__(self, database: Database, now: Callable[[], datetime], *, keep: bool = True):
        self._database = database
        self._now = now
        self._keep = keep

    def recall(self, url: str) -> Remembered | None:
        """The last answer of this address, if there was one that can be asked for conditionally. Raises StoreError."""
        table = schema.fetches
        with self._database.read() as connection:
            row = connection.execute(sa.select(table).where(table.c.url == url)).one_or_none()
        if row is None:
            return None
        try:
            body = zlib.decompress(row.body)
        except zlib.error as error:
            raise StoreError(f"{self._database.name}: it is damaged ({error}); the next takes its place") from error
        return Remembered(row.etag, row.last_modified, body, row.content_type, row.fetched_at)

    def remember(self, url: str, remembered: Remembered) -> None:
        """Keeps an answer in the place of the one before."""
        if not self._keep:
            return
        now, table = self._now(), schema.fetches
        values = {
            "etag": remembered.etag,
            "last_modified": remembered.last_modified,
            "content_type": remembered.content_type,
            "body": zlib.compress(remembered.body),
            "fetched_at": remembered.fetched_at,
            "used_at": now,
        }
        with self._database.write() as connection:
            statement = insert(table).values(url=url, **values)
            connection.execute(statement.on_conflict_do_update(index_elements=["url"], set_=values))
            connection.execute(sa.delete(table).where(table.c.used_at < now - KEPT))
