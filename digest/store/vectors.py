"""Sentence vectors of texts, so that each text goes through the network once, whichever list or edition it is for.

Papers' and topics' texts alike: a vector hangs on the model's name and the text's digest, so a changed abstract is
another text. Vectors that nobody asked for in a season are dropped. `digest.meaning` calls this, and knows their form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from digest.store import schema
from digest.store.database import Database
from digest.store.papers import in_groups
from digest.store.statements import insert

KEPT = timedelta(days=92)
"""Longer than the newest papers that the ranking compares with are new; a vector that was dropped is made again."""
NOTED_AFTER = timedelta(days=7)
"""How much later a use is noted: not every reading is to be a writing."""


class Vectors:
    """The vectors of one database."""

    def __init__(self, database: Database, now: Callable[[], datetime]):
        self._database = database
        self._now = now

    def get(self, model: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Those of the keys that have a vector."""
        table, today = schema.vectors, self._now().date()
        found: dict[bytes, bytes] = {}
        stale: list[bytes] = []
        with self._database.read() as connection:
            for some in in_groups(keys):
                rows = connection.execute(sa.select(table).where(table.c.model == model, table.c.text_key.in_(some)))
                for row in rows:
                    found[row.text_key] = row.vector
                    if row.used_on < today - NOTED_AFTER:
                        stale.append(row.text_key)
        if stale:
            self._note_use(model, stale, today)
        return found

    def put(self, model: str, vectors: Mapping[bytes, bytes]) -> None:
        """Keeps vectors in one transaction, and drops those that have not been used for long. The first one stays."""
        table, today = schema.vectors, self._now().date()
        rows = [{"model": model, "text_key": k, "vector": v, "used_on": today} for k, v in vectors.items()]
        with self._database.write() as connection:
            if rows:
                connection.execute(insert(table).on_conflict_do_nothing(), rows)
            connection.execute(sa.delete(table).where(table.c.used_on < today - KEPT))

    def _note_use(self, model: str, keys: Sequence[bytes], today: date) -> None:
        table = schema.vectors
        with self._database.write() as connection:
            for some in in_groups(keys):
                of_these = (table.c.model == model, table.c.text_key.in_(some))
                connection.execute(sa.update(table).where(*of_these).values(used_on=today))
