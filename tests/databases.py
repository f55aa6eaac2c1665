"""The two databases that digest runs on, new and empty for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from digest.store import Database, migrate_database, open_database
from tests.servers.postgres import PostgresServer, missing

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
