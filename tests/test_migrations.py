"""Databases of every released schema, brought up to the present one."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from digest.errors import StoreError
from digest.model import DeliveryStatus, ListId, SourceSummary
from digest.store import Archive, Editions, Papers, Subscribers, copies, open_database, schema
from digest.store.database import alembic
from tests import schemas
from tests.test_backups import content

RELEASED = sorted(int(path.stem.removeprefix("schema_")) for path in schemas.FOLDER.glob("schema_*.sql"))
LAB = ListId("lab")


def database_of(version: int, folder: Path) -> Path:
    path = folder / "digest.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((schemas.FOLDER / f"schema_{version}.sql").read_text(encoding="utf-8"))
    return path


def test_there_is_a_database_of_every_schema_before_the_present_one() -> None:
    """Whoever adds a migration freezes the schema before it: `python -m tests.schemas`."""
    assert list(range(1, RELEASED[-1] + 1)) == RELEASED
    assert RELEASED[-1] >= schema.SCHEMA_VERSION - 1


@pytest.mark.parametrize("version", RELEASED)
def test_a_released_migration_is_never_changed(tmp_path: Path, version: int) -> None:
    """The migrations make today what they made when the schema was released."""
    today = tmp_path / "today.db"
    with closing(sqlite3.connect(today)) as connection:
        connection.executescript(schemas.script(version))
    assert content(today) == content(database_of(version, tmp_path))


@pytest.mark.parametrize("version", RELEASED)
def test_every_row_of_an_earlier_schema_is_there_afterwards(tmp_path: Path, version: int) -> None:
    """Opened, it has the present schema; each value of each row is what it was, and the program reads it."""
    path = database_of(version, tmp_path)
    before: dict[str, list[dict[str, object]]] = {}
    with closing(sqlite3.connect(path)) as raw:
        for table in schemas.tables(raw):
            before[table] = list(map(dict, schemas.rows(raw, table)))
    database = open_database(f"sqlite:///{path}")
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        assert connection.exec_driver_sql("PRAGMA user_version").scalar() == schema.SCHEMA_VERSION
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        for table, rows in before.items():
            found = [dict(row._mapping) for row in connection.exec_driver_sql(f"SELECT * FROM {table}")]
            assert len(found) == len(rows), table
            for row, was in zip(found, rows, strict=True):
                assert {name: row[name] for name in was} == was, table
    edition = Editions(database).latest(LAB)
    assert edition
    overview = Editions(database).overview(edition)
    assert overview.sources == (SourceSummary("arxiv", 3, 1),), "what it does not know any more is passed over"
    assert overview.adds_up
    assert overview.counts == {DeliveryStatus.SENT: 1, DeliveryStatus.DEFERRED: 1, DeliveryStatus.UNKNOWN: 1}
    (delivery, *_) = Editions(database).deliveries(edition)
    assert [pick.reasons[0].remark.names for pick in delivery.picks] == [("video: diffusion",)]
    assert [person.name for person in Subscribers(database).reachable(LAB)] == ["Reader 1", "Reader 2"]
    assert [a.paper.title for a in Papers(database).pending(LAB)[0]] == ["Invented paper number 2"]
    assert Archive(database, LAB).days() == (edition.due_on,)
    database.close()


def test_a_copy_of_the_first_database_is_what_the_migrations_make(tmp_path: Path) -> None:
    """Of new databases only a test process's first is made by the migrations (`tests/databases.py`): none differs."""
    for name in ("first", "second"):
        open_database(f"sqlite:///{tmp_path}/{name}.db").close()
    made = tmp_path / "made.db"
    engine = sa.create_engine(f"sqlite:///{made}")
    with engine.begin() as connection:
        command.upgrade(alembic(connection), "head")
    engine.dispose()
    assert content(tmp_path / "first.db") == content(tmp_path / "second.db") == content(made)


def test_before_it_is_migrated_a_database_is_copied(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The copy is of the old schema, with all that was in it, and the log says where; a new database has none."""
    path = database_of(3, tmp_path)
    before = content(path)
    open_database(f"sqlite:///{path}").close()
    (copy,) = (tmp_path / copies.FOLDER).iterdir()
    assert re.fullmatch(r"digest-\d{8}T\d{6}Z-schema-3\.db", copy.name)
    assert content(copy) == before
    assert f"schema 3 becomes {schema.SCHEMA_VERSION}; as it was it is kept in {copy}" in caplog.text
    open_database(f"sqlite:///{path}").close()
    open_database(f"sqlite:///{tmp_path}/new.db").close()
    assert len(list((tmp_path / copies.FOLDER).iterdir())) == 1


def test_without_a_copy_nothing_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room for it, opening fails, and the old program can go on with its database."""
    path = database_of(3, tmp_path)
    before = content(path)

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("digest.durable.sync_file", no_room)
    with pytest.raises(StoreError, match="No space left on device"):
        open_database(f"sqlite:///{path}")
    assert content(path) == before
    assert not list((tmp_path / copies.FOLDER).iterdir())
    monkeypatch.undo()
    open_database(f"sqlite:///{path}").close()
