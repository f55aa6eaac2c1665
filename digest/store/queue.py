"""The queue's own tables beside ours, on PostgreSQL alone: procrastinate's, and which of its migrations they have had.

procrastinate ships its schema, and SQL files that bring an older one up to it, and leaves it to us to know which of
them a database has had. `queue_migrations` is that record; `queue_workers` says of its workers, which are numbers to
it, what they are called and which lists they have in their config. Both are made, as its own tables are, by `digest
migrate` (`postgres.py`).

Source: procrastinate.readthedocs.io, "Migrate the Procrastinate schema": with everything stopped, all files in order.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from digest.errors import StoreError
from digest.store.times import UtcTime

BASELINE = "03.04.00_50_post_add_retry_failed_job_procedure.sql"
"""The last of those that were in the oldest schema which a digest ever made: it kept no record."""

tables = sa.MetaData()

migrations = sa.Table(
    "queue_migrations",
    tables,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
)

workers = sa.Table(
    "queue_workers",
    tables,
    sa.Column("worker_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("since", UtcTime, nullable=False),
    sa.Column("lists", sa.ARRAY(sa.String), nullable=False, server_default="{}"),
)


def is_installed() -> bool:
    """Whether the library is there."""
    return find_spec("procrastinate") is not None


def shipped() -> tuple[str, ...]:
    """The migrations that the installed library knows, in the order in which they are applied."""
    return tuple(sorted(path.name for path in _folder().glob("*.sql")))


def applied(connection: sa.Connection) -> tuple[str, ...]:
    """Those that the database has had, in order."""
    if sa.inspect(connection).has_table(migrations.name):
        return tuple(connection.execute(sa.select(migrations.c.name).order_by(migrations.c.name)).scalars())
    if sa.inspect(connection).has_table("procrastinate_jobs"):
        return tuple(name for name in shipped() if name <= BASELINE)
    return ()


def install(connection: sa.Connection) -> str:
    """Makes what is not there: of procrastinate's tables all, in their newest form, or none.

    Returns what it made: "tables", "record of migrations", "record of workers' lists", or nothing.
    """
    is_new = not sa.inspect(connection).has_table("procrastinate_jobs")
    if is_new:
        _run(connection, (_folder().parent / "schema.sql").read_text(encoding="utf-8"))
    names = shipped() if is_new else applied(connection)
    if sa.inspect(connection).has_table(migrations.name):
        return "tables" if is_new else _add_lists(connection)
    tables.create_all(connection)
    connection.execute(sa.insert(migrations), [{"name": name} for name in names])
    return "tables" if is_new else "record of migrations"


def _add_lists(connection: sa.Connection) -> str:
    if _has_lists(connection):
        return ""
    connection.exec_driver_sql("ALTER TABLE queue_workers ADD COLUMN lists varchar[] NOT NULL DEFAULT '{}'")
    return "record of workers' lists"


def _has_lists(connection: sa.Connection) -> bool:
    """A digest without it may have made the table."""
    return any(column["name"] == workers.c.lists.name for column in sa.inspect(connection).get_columns(workers.name))


def apply_next(connection: sa.Connection) -> str | None:
    """Applies the first migration that is missing, and records it; None if none is.

    Each wants a transaction of its own: what one adds to a type, the next may use only when that is committed.
    """
    had = set(applied(connection))
    name = next((name for name in shipped() if name not in had), None)
    if name:
        import psycopg

        try:
            _run(connection, (_folder() / name).read_text(encoding="utf-8"))
        except psycopg.Error as error:
            raise StoreError(f"{name} of procrastinate's migrations failed, and left nothing: {error}") from error
        connection.execute(sa.insert(migrations), {"name": name})
    return name


def refuse_other(connection: sa.Connection, database: str) -> None:
    """Raises StoreError for tables that the installed library does not work with."""
    had, known = applied(connection), shipped()
    if had and had[-1] > known[-1]:
        raise StoreError(
            f"{database}: its queue was migrated by a newer procrastinate ({label(had[-1])}, this one knows up to "
            f"{label(known[-1])}): upgrade with `pip install --upgrade 'papers-digest[postgres]'`"
        )
    missing = [name for name in known if name not in set(had)]
    what = f"lacks {label(missing[0])} of procrastinate's migrations" if missing else ""
    if not what and not sa.inspect(connection).has_table(migrations.name):
        what = "has no record of migrations"
    if not what and not _has_lists(connection):
        what = "has no record of workers' lists"
    if what:
        raise StoreError(f"{database}: its queue {what}: run `digest migrate` once, while no other digest is running")


def label(name: str) -> str:
    """What tells a migration from all others: "03.04.00_50"."""
    return "_".join(name.split("_")[:2])


def _folder() -> Path:
    """Where the library's migrations lie, without the half second that importing it takes."""
    spec = find_spec("procrastinate")
    if spec is None or not spec.submodule_search_locations:
        raise StoreError("procrastinate is not installed")
    return Path(next(iter(spec.submodule_search_locations))) / "sql" / "migrations"


def _run(connection: sa.Connection, statements: str) -> None:
    driver: Any = connection.connection.driver_connection
    driver.execute(statements)  # past SQLAlchemy: many statements at once
