"""What is particular to PostgreSQL. That the store does there what it does on SQLite, its own tests prove on both."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from unittest import mock

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from digest.errors import StoreError
from digest.store import Database, migrate_database, open_database, schema
from tests.databases import Databases
from tests.servers.postgres import PostgresServer, missing

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(missing()), reason=missing() or "")]


@pytest.fixture
def server(databases: Databases) -> PostgresServer:
    return databases.server()


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    """An empty database."""
    with server.new() as made:
        yield made


@pytest.fixture
def database(databases: Databases, tmp_path: Path) -> Iterator[Database]:
    with ExitStack() as stack:
        opened = open_database(databases.url("postgresql", tmp_path, stack))
        stack.callback(opened.close)
        yield opened


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


def test_the_tables_are_those_of_the_schema(database: Database) -> None:
    """But for the ledger: it is partitioned, and nothing refers to it by a foreign key. The queue's are beside them."""

    def is_ours(_object: object, name: str, *_more: object) -> bool:
        return not name.startswith("procrastinate_")

    with database.read() as connection:
        ours = MigrationContext.configure(connection, opts={"include_object": is_ours})
        changes = compare_metadata(ours, schema.metadata)
        partitioned = connection.exec_driver_sql("SELECT partstrat FROM pg_partitioned_table").scalars().all()
    assert [(change[0], change[1].table.name) for change in changes] == [("add_fk", "bounces")]
    assert partitioned == ["r"]


def test_every_commit_is_durable(server: PostgresServer, url: str) -> None:
    """Also on a server that would rather be quick."""
    migrate_database(url)
    server.psql(f"ALTER DATABASE {name_of(url)} SET synchronous_commit = off")
    with closing(open_database(url)) as database, database.write() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"


def test_nothing_is_migrated_by_itself(server: PostgresServer, url: str) -> None:
    """An empty database, or an older one, is refused with the command that helps."""
    with pytest.raises(StoreError, match=r"has no tables yet: run `digest migrate` once"):
        open_database(url)
    assert migrate_database(url)[1:] == (0, schema.SCHEMA_VERSION)
    assert migrate_database(url)[1:] == (schema.SCHEMA_VERSION, schema.SCHEMA_VERSION)
    open_database(url).close()
    server.psql(f"UPDATE alembic_version SET version_num = '{schema.SCHEMA_VERSION - 1:04}'", name_of(url))
    with pytest.raises(StoreError, match=rf"has schema {schema.SCHEMA_VERSION - 1}, .*run `digest migrate` once"):
        open_database(url)


def test_what_is_not_ours_is_refused(server: PostgresServer, url: str) -> None:
    """Another program's tables, and a newer digest's, are left alone, by `digest migrate` too."""
    server.psql("CREATE TABLE theirs (x int)", name_of(url))
    for act in (open_database, migrate_database):
        with pytest.raises(StoreError, match="another program's tables: give digest a database of its own"):
            act(url)
    server.psql("DROP TABLE theirs", name_of(url))
    migrate_database(url)
    server.psql(f"UPDATE alembic_version SET version_num = '{schema.SCHEMA_VERSION + 1:04}'", name_of(url))
    for act in (open_database, migrate_database):
        with pytest.raises(StoreError, match=r"newer digest.*upgrade"):
            act(url)


def test_two_that_migrate_at_once_make_one_schema(url: str) -> None:
    """The second waits for the first and finds its work done."""
    both = threading.Barrier(2)

    def migrate() -> tuple[int, int]:
        both.wait()
        return migrate_database(url)[1:]

    with ThreadPoolExecutor(2) as pool:
        made = sorted(done.result() for done in [pool.submit(migrate) for _ in range(2)])
    assert made == [(0, schema.SCHEMA_VERSION), (schema.SCHEMA_VERSION, schema.SCHEMA_VERSION)]


def test_no_server_is_one_clear_line() -> None:
    """Where it was looked for, and what to look at; never the password."""
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/lab: .*check that the server runs") as raised:
        open_database("postgresql://digest:secret@127.0.0.1:1/lab")
    assert "secret" not in str(raised.value)


def test_without_the_extra_the_error_names_it() -> None:
    """Psycopg is no part of the base install."""
    with mock.patch.dict(sys.modules, {"psycopg": None}), pytest.raises(StoreError, match=r"papers-digest\[postgres\]"):
        open_database("postgresql://digest@127.0.0.1:1/lab")


def test_a_transaction_that_is_alone_waits_for_the_other(database: Database) -> None:
    """Two blocks that read and then write never overtake each other; one that is not alone goes on beside them."""
    order: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def first() -> None:
        with database.write():
            inside.set()
            go_on.wait(30)
            order.append("first")

    def second() -> None:
        with database.write():
            order.append("second")

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        assert inside.wait(30)
        other = pool.submit(second)
        with database.write(alone=False):
            order.append("beside")
        go_on.set()
        one.result(30)
        other.result(30)
    assert order == ["beside", "first", "second"]


def test_a_view_stays_as_it_was(database: Database) -> None:
    """What is committed meanwhile is not seen in a `read()` that has begun, and nothing is written in one."""
    counted = sa.select(sa.func.count()).select_from(schema.pauses)
    with database.read() as connection:
        before = connection.execute(counted).scalar_one()
        with database.write() as writer:
            row = {"list_id": "lab", "since": "2026-06-09", "by": "me", "reason": ""}
            writer.exec_driver_sql("INSERT INTO pauses VALUES (%(list_id)s, %(since)s, %(by)s, %(reason)s)", row)
        assert connection.execute(counted).scalar_one() == before == 0
    with pytest.raises(sa.exc.DBAPIError, match="read-only"), database.read() as connection:
        connection.execute(sa.delete(schema.pauses))
