"""How many messages each relay is given on each day, where that is limited: counted before they leave.

Messages are reserved in one transaction that looks at the limit too, so any number of processes and of lists together
never exceed it; what was reserved and not used is given back. A crash leaves its reservation counted: it may cost a
few messages of that day, never one too many. Days are those of the list that sends.
"""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from digest.store import schema
from digest.store.database import Database
from digest.store.statements import insert

table = schema.relay_days


class RelayDays:
    """The counts of all relays of one database."""

    def __init__(self, database: Database):
        self._database = database

    def messages(self, relay: str, day: date) -> int:
        """How many messages are counted for the relay on that day."""
        with self._database.read() as connection:
            return _messages(connection, relay, day)

    def reserve(self, relay: str, day: date, wanted: int, cap: int) -> int:
        """Counts up to `wanted` messages more, as far as the day's `cap` allows; how many that is."""
        with self._database.write() as connection:
            granted = max(min(wanted, cap - _messages(connection, relay, day)), 0)
            if granted:
                row = {"relay": relay, "day": day, "messages": granted}
                more = {"messages": table.c.messages + granted}
                counted = insert(table).values(row).on_conflict_do_update(index_elements=["relay", "day"], set_=more)
                connection.execute(counted)
        return granted

    def give_back(self, relay: str, day: date, unused: int) -> None:
        """Takes back what was reserved and did not leave."""
        with self._database.write() as connection:
            which = sa.and_(table.c.relay == relay, table.c.day == day)
            connection.execute(sa.update(table).where(which).values(messages=table.c.messages - unused))


def _messages(connection: sa.Connection, relay: str, day: date) -> int:
    query = sa.select(table.c.messages).where(table.c.relay == relay, table.c.day == day)
    return connection.execute(query).scalar() or 0
