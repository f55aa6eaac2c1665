"""Secrets that digest makes for itself: random, once, kept as long as the database.

So a new list signs its links without any config. `App` asks for them; nothing shows them, and whoever can read the
database can: it holds everybody's address as well.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

import sqlalchemy as sa

from digest.store import schema
from digest.store.database import Database
from digest.store.statements import insert

SIGNING_KEY = "signing key"
"""What signs links and envelope senders."""
ERASURE_KEY = "erasure key"
"""Under what the addresses of those who were erased are hashed."""
_BYTES = 32


class Secrets:
    """The secrets of one database."""

    def __init__(self, database: Database, now: Callable[[], datetime], *, keep: bool = True):
        """`keep=False` for commands that record nothing."""
        self._database = database
        self._now = now
        self._keep = keep

    def signing_keys(self, configured: Sequence[bytes] = ()) -> tuple[bytes, ...]:
        """The keys of links and envelope senders, of which the first signs. Raises StoreError.

        What the config has comes first. Our own key is made only where it has none, but goes on verifying: it may have
        signed links in emails, and a way to unsubscribe must not end with a change of the config. Where nothing is
        kept and there is no key, it is one that holds until the program ends.
        """
        own = self.get(SIGNING_KEY) if configured or not self._keep else self.get_or_create(SIGNING_KEY)
        known = (*configured, *([own] if own else []))
        return known or (secrets.token_bytes(_BYTES),)

    def get(self, name: str) -> bytes | None:
        """The secret, if it was ever made. Raises StoreError."""
        with self._database.read() as connection:
            return _value(connection, name)

    def get_or_create(self, name: str) -> bytes:
        """The secret, made now if it never was. Processes that ask at once get the same one. Raises StoreError."""
        if found := self.get(name):
            return found
        row = {"name": name, "value": secrets.token_bytes(_BYTES), "created_at": self._now()}
        with self._database.write() as connection:
            # Another process may have been quicker since we looked: its secret is the one.
            connection.execute(insert(schema.secrets).on_conflict_do_nothing(), row)
            found = _value(connection, name)
        assert found is not None  # noqa: S101 - it is there: inserted by us or by another
        return found


def _value(connection: sa.Connection, name: str) -> bytes | None:
    table = schema.secrets
    found: bytes | None = connection.execute(sa.select(table.c.value).where(table.c.name == name)).scalar()
    return found
