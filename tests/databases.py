"""The two databases that digest runs on, new and empty for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from digest.store import Database, migrate_database, open_database
from digest.store import database as store
from tests.servers.postgres import PostgresServer, missing


def copy_the_first() -> None:
    """Has this process make one new database of SQLite by the migrations; the others are what those have made of it.

    Alembic takes longer than most tests. Processes that tests start, and files of older schemas, are migrated as ever.
    """
    migrate = store._migrate
    made: list[str] = []

    def migrated(database: Database, name: str, *, keep_a_copy: bool) -> None:
        with database.rebuild() as connection:
            is_new = not connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
            for statement in made if is_new else ():
                connection.exec_driver_sql(statement)
        migrate(database, name, keep_a_copy=keep_a_copy)
        if is_new and not made:
            with database.read() as connection:
                made.extend(_script(connection))

    store._migrate = migrated


def _script(connection: sa.Connection) -> Iterator[str]:
    """What makes a database like this one, which has no rows but the migrations' own."""
    for (statement,) in connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql NOT NULL").all():
        yield statement
    (version,) = connection.exec_driver_sql("SELECT version_num FROM alembic_version").one()
    yield f"INSERT INTO alembic_version VALUES ('{version}')"
    for pragma in ("application_id", "user_version"):
        yield f"PRAGMA {pragma} = {connection.exec_driver_sql(f'PRAGMA {pragma}').scalar_one()}"


BOTH = [
    "sqlite",
    pytest.param("postgresql", marks=[pytest.mark.system, pytest.mark.skipif(bool(missing()), reason=missing() or "")]),
]


class Databases:
    """Makes databases; a PostgreSQL server is started for the first that needs one."""

    def __init__(self, running: ExitStack):
        self._running = running
        self._server: PostgresServer | None = None
        self._template = ""

    def server(self) -> PostgresServer:
        """The server, which is the same for all."""
        if self._server is None:
            # Nothing here is about a power cut; tests that are have a server of their own.
            self._server = self._running.enter_context(PostgresServer(fsync="off", full_page_writes="off"))
            url = self._running.enter_context(self._server.new())
            migrate_database(url)
            self._template = url.rpartition("/")[2]
        return self._server

    def url(self, kind: str, folder: Path, stack: ExitStack) -> str:
        """The address of a new one, which has its tables, until the stack ends."""
        if kind == "sqlite":
            return f"sqlite:///{folder}/digest.db"
        server = self.server()
        return stack.enter_context(server.new(self._template))


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Where new databases come from."""
    with ExitStack() as running:
        yield Databases(running)


@pytest.fixture(params=BOTH)
def database(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[Database]:
    """A new database: the test is run on each kind."""
    with ExitStack() as stack:
        opened = open_database(databases.url(request.param, tmp_path, stack))
        stack.callback(opened.close)
        yield opened
