"""What all workers of a database share of a relay: turns by its rates, and places for connections. PostgreSQL only.

Turns are kept by the database's clock, so those of the hosts do not count. A place is a lock of a session
(`pg_try_advisory_lock`): it is free as soon as its holder is gone, however that ended.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import sqlalchemy as sa

from digest.store import schema
from digest.store.database import Database
from digest.store.statements import insert
from digest.store.workers import alive

table = schema.relay_turns
_PLACES = 0x44475000
"""Keeps our locks apart from others': with a relay's name it makes the first of a lock's two numbers."""


class RelayTurns:
    """The turns at the relays of one database."""

    def __init__(self, database: Database):
        self._database = database

    def reserve(self, relay: str, domain: str, interval: float, count: int) -> float:
        """Takes so many turns, `interval` seconds apart: in how many seconds the first one is, 0 or more.

        `domain` is empty for all recipients of the relay.
        """
        now = sa.func.extract("epoch", sa.func.clock_timestamp())
        taken = interval * count
        first = insert(table).values(relay=relay, domain=domain, free_at=now + taken)
        turn = first.on_conflict_do_update(
            index_elements=["relay", "domain"], set_={"free_at": sa.func.greatest(table.c.free_at, now) + taken}
        ).returning(table.c.free_at - taken - now)
        with self._database.write(alone=False) as connection:
            return max(float(connection.execute(turn).scalar_one()), 0.0)


@dataclass(frozen=True, slots=True)
class InUse:
    """How much of their relays the workers of a database use together."""

    locks: Mapping[int, int] = field(default_factory=dict)
    ahead: Mapping[str, float] = field(default_factory=dict)
    """How many seconds ahead the turns of each relay with a rate are taken."""

    def places(self, relay: str) -> int:
        """How many of the relay's connections somebody has a place for."""
        return self.locks.get(_key(relay), 0)


def in_use(connection: sa.Connection) -> InUse:
    """What of relays is in use; nothing on SQLite."""
    if connection.dialect.name != "postgresql":
        return InUse()
    held = connection.exec_driver_sql(
        "SELECT classid::bigint, count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY classid"
    )
    locks = {key: count for key, count in held}  # noqa: C416 - rows are no pairs to mypy
    ahead = table.c.free_at - sa.func.extract("epoch", sa.func.clock_timestamp())
    taken = connection.execute(sa.select(table.c.relay, ahead).where(table.c.domain == ""))
    return InUse(locks, {relay: max(float(seconds), 0.0) for relay, seconds in taken})


def _key(relay: str) -> int:
    return (_PLACES ^ zlib.crc32(relay.encode())) & 0x7FFFFFFF


@contextmanager
def places(database: Database, connections: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """A fair share of the connections that each relay allows, as many of these as are free, until the block ends."""
    with database.session() as session:
        workers = max(alive(session), 1)
        taken: dict[str, int] = {}
        for relay, total in connections.items():
            share, key = -(-total // workers), _key(relay)
            taken[relay] = 0
            for place in range(total):
                if taken[relay] == share:
                    break
                lock = sa.select(sa.func.pg_try_advisory_lock(sa.cast(key, sa.Integer), sa.cast(place, sa.Integer)))
                taken[relay] += bool(session.execute(lock).scalar_one())
        try:
            yield taken
        finally:
            with suppress(sa.exc.DBAPIError):  # a session that is gone has none
                session.execute(sa.select(sa.func.pg_advisory_unlock_all()))
