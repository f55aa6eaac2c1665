"""What `digest check` wants to know of a PostgreSQL server: a look that changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from digest.store import queue
from digest.store.database import Database
from digest.store.workers import alive


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server, our database on it, and the queue in that."""

    version: str
    encoding: str
    allowed: int
    """Connections that our user may have to our database, when nobody else has any."""
    in_use: int
    """Of all the server's."""
    migrated_to: str
    """The last of procrastinate's migrations that the queue has had."""
    workers: int
    ahead: timedelta
    """How far this host's clock is before the server's."""


def look(database: Database) -> ServerFacts:
    """Asks the server. Raises StoreError."""
    with database.read() as connection:
        asked = datetime.now(UTC)
        theirs = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        ours = asked + (datetime.now(UTC) - asked) / 2
        row = connection.exec_driver_sql(
            """
            SELECT current_setting('server_version') AS version, pg_encoding_to_char(d.encoding) AS encoding,
                   least(
                       current_setting('max_connections')::int
                         - CASE WHEN r.rolsuper THEN 0 ELSE current_setting('superuser_reserved_connections')::int END,
                       nullif(d.datconnlimit, -1),
                       nullif(r.rolconnlimit, -1)
                   ) AS allowed,
                   (SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL) AS in_use
              FROM pg_database d, pg_roles r
             WHERE d.datname = current_database() AND r.rolname = current_user
            """
        ).one()
        had = queue.applied(connection)
        return ServerFacts(
            version=row.version.split()[0],
            encoding=row.encoding,
            allowed=row.allowed,
            in_use=row.in_use,
            migrated_to=queue.label(had[-1]),
            workers=alive(connection),
            ahead=ours - theirs,
        )
