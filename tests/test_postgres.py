"""What is particular to PostgreSQL. That the store does there what it does on SQLite, its own tests prove on both."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from digest.errors import StoreError
from digest.ledger import Intent, Result
from digest.model import SOFT_BOUNCES, DeliveryStatus, Outcome, ShardState
from digest.send.patience import PatientLedger
from digest.store import (
    Database,
    DeliveryLedger,
    Editions,
    Figures,
    migrate_database,
    open_database,
    postgres,
    pulse,
    queue,
    schema,
)
from tests.databases import Databases
from tests.ledgers import LAB, fill
from tests.servers.postgres import PostgresServer, missing
from tests.test_letting_go import READERS, World
from tests.waiting import PATIENCE

NOW, HOUR = datetime(2026, 6, 10, 6, tzinfo=UTC), timedelta(hours=1)

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
        all_of_ours: Any = [schema.metadata, queue.tables]  # alembic takes several; its types know of one
        changes = compare_metadata(ours, all_of_ours)
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
    assert migrate_database(url)[1:] == (0, schema.SCHEMA_VERSION, (), "tables")
    assert migrate_database(url)[1:] == (schema.SCHEMA_VERSION, schema.SCHEMA_VERSION, (), "")
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
        return migrate_database(url)[1:3]

    with ThreadPoolExecutor(2) as pool:
        made = sorted(done.result() for done in [pool.submit(migrate) for _ in range(2)])
    assert made == [(0, schema.SCHEMA_VERSION), (schema.SCHEMA_VERSION, schema.SCHEMA_VERSION)]


def test_no_server_is_one_clear_line() -> None:
    """Where it was looked for, and what to look at; never the password."""
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/lab: .*check that the server runs") as raised:
        open_database("postgresql://digest:secret@127.0.0.1:1/lab")
    assert "secret" not in str(raised.value)
    assert "Is the server running" not in str(raised.value)


def test_a_database_that_nobody_has_made_is_told_of_with_how(server: PostgresServer) -> None:
    """PostgreSQL makes none by itself; that the server runs is plain."""
    with pytest.raises(StoreError, match=r'database "nobodys" does not exist; make it with `createdb'):
        migrate_database(server.url("nobodys"))


@pytest.mark.parametrize("library", ["psycopg", "procrastinate"])
def test_without_the_extra_the_error_names_it(library: str) -> None:
    """Neither the driver nor the queue is a part of the base install, and either may be missing."""
    for act in (open_database, migrate_database):
        with mock.patch.dict(sys.modules, {library: None}), pytest.raises(StoreError) as raised:
            act("postgresql://digest@127.0.0.1:1/lab")
        assert "needs an extra: pip install 'papers-digest[postgres]'" in str(raised.value)


# --- the queue's own tables -----------------------------------------------------------------------------------------

NEXT = "09.00.00_01_pre_add_a_column.sql"
STATEMENTS = "ALTER TABLE procrastinate_jobs ADD COLUMN taste text DEFAULT '100%';\nSELECT 1;"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Path]:
    """The folder of the migrations of a procrastinate of our own, the schema beside it: as it is, to begin with."""
    folder = tmp_path / "procrastinate" / "sql" / "migrations"
    shutil.copytree(queue._folder().parent, folder.parent)
    with mock.patch.object(queue, "_folder", return_value=folder):
        yield folder


def queue_of(server: PostgresServer, url: str) -> list[str]:
    """All that is procrastinate's in a database, with the names of its constraints but not their order."""
    return sorted(
        server.psql(
            """
            SELECT format('%s.%s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                          pg_get_expr(d.adbin, d.adrelid))
              FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
              LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
             WHERE c.relname LIKE '%procrastinate%' AND c.relkind = 'r'
            UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid::regclass::text LIKE '%procr%'
            UNION ALL SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint
                       WHERE conrelid::regclass::text LIKE '%procr%'
            UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname LIKE 'procrastinate%'
            UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
            UNION ALL SELECT typname || '.' || enumlabel FROM pg_enum JOIN pg_type t ON t.oid = enumtypid
            """,
            name_of(url),
        ).split("\n")
    )


def test_an_older_queue_is_brought_up_to_what_the_library_needs(
    server: PostgresServer, url: str, library: Path, tmp_path: Path
) -> None:
    """By the migrations that it has not had, in order; then it is as a new one, and each is on record."""
    with server.new() as new:
        migrate_database(new)
        wanted = queue_of(server, new)
    names = queue.shipped()
    first, *later = names
    (library.parent / "schema.sql").write_text((library / first).read_text())
    for name in later:
        (library / name).rename(tmp_path / name)
    migrate_database(url)
    assert queue_of(server, url) != wanted
    for name in later:
        (tmp_path / name).rename(library / name)
    with pytest.raises(StoreError, match=rf"its queue lacks {queue.label(later[0])} .*: run `digest migrate` once"):
        open_database(url)
    assert list(migrate_database(url).queue) == later
    assert queue_of(server, url) == wanted
    assert server.psql("SELECT name FROM queue_migrations ORDER BY 1", name_of(url)).split() == list(names)
    open_database(url).close()


def test_a_queue_that_an_older_library_finds_is_left_alone(url: str, library: Path) -> None:
    """Some hosts are upgraded and some are not: those say what to upgrade."""
    (library / NEXT).write_text(STATEMENTS)
    migrate_database(url)
    (library / NEXT).unlink()
    for act in (open_database, migrate_database):
        with pytest.raises(StoreError, match=r"by a newer procrastinate \(09\.00\.00_01, .*upgrade with"):
            act(url)


def test_a_queue_without_a_record_had_what_there_was_then(server: PostgresServer, url: str, library: Path) -> None:
    """A database of the first digest on PostgreSQL: it is refused, and migrated from there on."""
    migrate_database(url)
    server.psql("DROP TABLE queue_migrations, queue_workers", name_of(url))
    with pytest.raises(StoreError, match=r"its queue has no record of migrations: run `digest migrate` once"):
        open_database(url)
    (library / NEXT).write_text(STATEMENTS)
    assert migrate_database(url)[3:] == ((NEXT,), "record of migrations")
    assert migrate_database(url)[3:] == ((), "")
    open_database(url).close()
    columns = "SELECT column_default FROM information_schema.columns WHERE column_name = 'taste'"
    assert "100%" in server.psql(columns, name_of(url))


def test_a_queue_that_knows_no_lists_of_its_workers_learns_them(server: PostgresServer, url: str) -> None:
    """A database of a digest from before: it is refused until it is migrated."""
    migrate_database(url)
    server.psql("ALTER TABLE queue_workers DROP COLUMN lists", name_of(url))
    with pytest.raises(StoreError, match=r"its queue has no record of workers' lists: run `digest migrate` once"):
        open_database(url)
    assert migrate_database(url)[3:] == ((), "record of workers' lists")
    assert migrate_database(url)[3:] == ((), "")
    open_database(url).close()


def test_a_migration_that_fails_leaves_nothing_and_is_tried_again(
    server: PostgresServer, url: str, library: Path
) -> None:
    """Those before it stay; the error names it."""
    migrate_database(url)
    broken = library / "09.00.00_02_pre_break.sql"
    (library / NEXT).write_text(STATEMENTS)
    broken.write_text("CREATE TABLE procrastinate_half (x int);\nSELECT 1 / 0;")
    with pytest.raises(StoreError, match=rf"{broken.name}.*division by zero"):
        migrate_database(url)
    assert server.psql("SELECT to_regclass('procrastinate_half')", name_of(url)) == ""
    broken.write_text("CREATE TABLE procrastinate_half (x int);")
    assert migrate_database(url).queue == (broken.name,)


def test_what_is_asked_again_and_again_reads_little_of_a_large_edition(
    database: Database, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at a list, at its workers and its counts, and a claim: each statement less than a fifth of the pages."""
    fill(database, NOW.date(), 1, 5000, open_counts={DeliveryStatus.QUEUED: 2400, DeliveryStatus.ACTIVE: 10})
    with database.write() as connection:
        lease = "UPDATE deliveries SET owner = 'gone/1/0', lease_until = queued_at WHERE status = 'active'"
        connection.exec_driver_sql(lease)
        connection.exec_driver_sql("UPDATE deliveries SET next_attempt_at = NULL WHERE status = 'queued'")
        connection.execute(
            sa.insert(schema.shards).values(edition_id=1, state=ShardState.DONE, begun_at=NOW),
            [{"first": n, "last": n + 99, "ended_at": NOW - (n - 1) * HOUR} for n in range(1, 5000, 100)],
        )
    server.psql("VACUUM ANALYZE deliveries, editions", name_of(database.name))
    all_of_it = int(server.psql("SELECT relpages FROM pg_class WHERE relname = 'deliveries_1'", name_of(database.name)))
    pages: dict[str, int] = {}

    def explain(connection: sa.Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if "deliveries" in statement:
            plan = connection.connection.cursor()
            plan.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters)
            ((found,),) = plan.fetchone()  # type: ignore[misc]
            pages[statement] = found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"]

    sa.event.listen(database._engine, "before_cursor_execute", explain)
    monkeypatch.setattr(pulse, "NEWEST_SENT", 100)
    Figures(database).pulse(LAB, NOW)
    Figures(database).read(NOW.date(), NOW)
    assert Editions(database).recent(LAB, 1)[0].counts[DeliveryStatus.QUEUED] == 2400
    ledger = DeliveryLedger(database, LAB, lambda: NOW)
    assert len(ledger.claim(20)) == 20
    assert len(pages) >= 12
    assert {statement: read for statement, read in pages.items() if read > all_of_it / 5} == {}


@pytest.mark.parametrize(
    "said", ['FATAL: password authentication failed for user "digest"', "fe_sendauth: no password supplied"]
)
def test_a_wrong_password_is_told_as_such(said: str) -> None:
    """Not with whether the server runs: it has just answered."""
    assert "`password` or `password_file` of [store]" in postgres._advice(
        sa.exc.OperationalError("", {}, OSError(said))
    )


def test_a_transaction_that_is_alone_waits_for_the_other(database: Database) -> None:
    """Two blocks that read and then write never overtake each other; one that is not alone goes on beside them."""
    order: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def first() -> None:
        with database.write():
            inside.set()
            go_on.wait(PATIENCE)
            order.append("first")

    def second() -> None:
        with database.write():
            order.append("second")

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        assert inside.wait(PATIENCE)
        other = pool.submit(second)
        with database.write(alone=False):
            order.append("beside")
        go_on.set()
        one.result(PATIENCE)
        other.result(PATIENCE)
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


def test_a_server_that_takes_no_writes_is_one_that_is_gone(database: Database, server: PostgresServer) -> None:
    """One that has become a standby, or keeps the last of its space: who writes waits for one that takes it."""
    name = name_of(database.name)

    def takes_writes(value: str) -> None:
        server.psql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}')

    ledger, waits = DeliveryLedger(database, LAB, lambda: NOW), []
    takes_writes("on")
    server.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    with pytest.raises(StoreError, match="read-only transaction; it is a standby"):
        ledger.claim(1)

    def is_back(seconds: float) -> None:
        takes_writes("off")
        waits.append(seconds)

    assert PatientLedger(ledger, lambda: False, sleep=is_back).claim(1) == ()
    assert len(waits) == 1


def test_a_part_that_is_in_use_is_dropped_the_next_time(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads in a view of before goes on as if nothing were; nobody waits for him, and nothing is an error."""
    caplog.set_level("INFO", "digest")
    world = World(database)
    before = world.facts()
    with database.read() as connection:
        connection.execute(sa.select(schema.editions.c.id)).all()  # the view is taken; no delivery has been looked at
        assert world.prune() == 2 * READERS
        assert f"deliveries of edition {world.first.id} are in use" in caplog.text
        assert world.facts() == before
        deliveries = schema.deliveries
        hers = sa.select(sa.func.count()).where(deliveries.c.edition_id == world.first.id)
        assert connection.execute(hers).scalar_one() == READERS
        assert postgres.has_partition(connection, world.first.id)
    assert world.prune() == 0
    with database.read() as connection:
        assert not postgres.has_partition(connection, world.first.id)
    assert world.facts() == before


def test_parts_are_dropped_while_others_send(database: Database) -> None:
    """Claims, results and prunes at once: all that is due is sent, and all that is old is gone in the end."""
    world = World(database)
    new = [world.edition(day, 6) for day in range(400, 400 + SOFT_BOUNCES)]  # the newest, whose bounces still count

    def send() -> int:
        ledger, count = DeliveryLedger(database, LAB, lambda: NOW + timedelta(days=500)), 0
        while claims := ledger.claim(1):
            ledger.commit([Intent(claim) for claim in claims])
            ledger.commit([Result(claim, Outcome(DeliveryStatus.SENT, "2.0.0", "250 Ok")) for claim in claims])
            count += len(claims)
        return count

    with ThreadPoolExecutor(3) as pool:
        sending = [pool.submit(send) for _ in range(2)]
        pruning = pool.submit(lambda: [world.prune() for _ in range(3)])
        assert (sum(done.result(60) for done in sending), sum(pruning.result(60))) == (
            len(new) * READERS,
            2 * READERS,
        )
    world.prune()
    assert {row.edition_id for row in world.rows(schema.deliveries)} == {edition.id for edition in new}


def test_an_older_database_is_brought_up_to_it(server: PostgresServer, url: str) -> None:
    """`digest migrate` adds what is new to a database of schema 11; until then it is refused with that advice."""
    migrate_database(url)
    server.psql("ALTER TABLE editions DROP COLUMN final_counts; DROP TABLE received", name_of(url))
    server.psql("UPDATE alembic_version SET version_num = '0011'", name_of(url))
    with pytest.raises(StoreError, match=r"has schema 11.*run `digest migrate` once"):
        open_database(url)
    assert migrate_database(url)[1:3] == (11, schema.SCHEMA_VERSION)
    with closing(open_database(url)) as database:
        test_the_tables_are_those_of_the_schema(database)
        assert World(database).prune() == 2 * READERS
