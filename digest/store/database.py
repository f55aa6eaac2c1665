"""Opening the database, one transaction a `write()`. SQLite is in WAL mode, and migrated to our schema by itself.

`application_id` tells our file from another program's, `user_version` tells the schema. A file of a newer schema is
refused, never guessed at; one of an older schema is copied (`copies.py`) before it is migrated. Commits are durable
(`synchronous=FULL`): the outbox relies on it. `postgres.py` opens the other kind.
Sources: sqlite.org/pragma.html, sqlite.org/wal.html; the transaction recipe is that of SQLAlchemy's pysqlite page.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from digest.errors import StoreError
from digest.store import copies
from digest.store.schema import APPLICATION_ID, SCHEMA_VERSION

if TYPE_CHECKING:
    from alembic.config import Config

log = logging.getLogger("digest.store")

POSTGRESQL = "postgresql"
BUSY_SECONDS = 30
"""How long a statement waits for another process's transaction before it gives up."""


_ONE: dict[str, Any] = {"poolclass": sa.QueuePool, "pool_size": 1, "max_overflow": 0}
"""In memory every connection is a database of its own: all threads take turns with one."""


class Database:
    """An open database. `read()` and `write()` each hold one transaction for the length of a `with` block."""

    def __init__(self, engine: sa.Engine, name: str, advice: Callable[[BaseException | None], str] | None = None):
        self._engine = engine
        self.name = name
        self._advice = advice or _advice

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent view; other writers go on."""
        with self._explained(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self, *, alone: bool = True) -> Iterator[sa.Connection]:
        """One transaction, durable when the block ends, undone if it raises. Raises StoreError.

        No other is in such a block meanwhile, so what it reads stays true until it ends. SQLite has it no other way;
        with `alone=False` PostgreSQL lets others in, and the block locks the rows that it has read.
        """
        with self._explained(), self._engine.connect() as connection:
            writer = connection.execution_options(digest_write=True, digest_alone=alone)
            with writer.begin():
                yield writer

    @property
    def path(self) -> Path | None:
        """SQLite's file; None where there is none."""
        url = self._engine.url
        return Path(url.database) if url.database and url.get_backend_name() != POSTGRESQL else None

    @contextmanager
    def rebuild(self) -> Iterator[sa.Connection]:
        """A `write` to a file of SQLite in which tables are made anew; who refers to whom is checked at its end.

        SQLite turns that check off between transactions only (sqlite.org/lang_altertable.html, section 7). Raises
        StoreError.
        """
        with self._explained(), self._engine.connect() as connection:
            driver = connection.connection.cursor()
            driver.execute("PRAGMA foreign_keys=OFF")
            try:
                writer = connection.execution_options(digest_write=True)
                with writer.begin():
                    yield writer
                    if lost := writer.exec_driver_sql("PRAGMA foreign_key_check").all():
                        raise StoreError(f"{self.name}: {len(lost)} rows refer to nothing; restore it from a backup")
            finally:
                driver.execute("PRAGMA foreign_keys=ON")

    @contextmanager
    def session(self) -> Iterator[sa.Connection]:
        """A connection of one's own, without a transaction: for locks that last as long as the block."""
        with self._explained(), self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT", digest_write=True)

    def close(self) -> None:
        """Lets go of the file."""
        self._engine.dispose()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.OperationalError as error:
            raise StoreError(f"{self.name}: {_said(error.orig)}; {self._advice(error.orig)}") from error
        except sa.exc.TimeoutError as error:  # each of the pool's connections waits for its own
            raise StoreError(f"{self.name}: no connection was free in time; {self._advice(None)}") from error
        except sa.exc.DBAPIError as error:
            if error.connection_invalidated:
                raise StoreError(f"{self.name}: {_said(error.orig)}; {self._advice(error.orig)}") from error
            if "malformed" not in str(error.orig):
                raise
            raise StoreError(f"{self.name}: {error.orig}: the file is damaged, restore it from a backup") from error


def _said(error: BaseException | None) -> str:
    """What the database said, in one line: PostgreSQL takes several, and asks a question that our advice is about."""
    lines = (" ".join(line.split()) for line in str(error).splitlines())
    return "; ".join(line for line in lines if line and not line.startswith("Is the server running"))


def _advice(error: BaseException | None) -> str:
    message, kind = str(error), getattr(error, "sqlite_errorname", "")
    if "locked" in message:
        return f"another program has held it for over {BUSY_SECONDS} s: close it, then try again"
    if "full" in message or kind == "SQLITE_IOERR_SHMSIZE":  # no room for the file that processes share
        return "free some space, then run the same command again: nothing was lost"
    if "readonly" in message or "unable to open" in message:
        return "check that the file and its folder exist and may be written by this user"
    return "run the same command again; if it stays, restore the file from a backup"


def database_exists(url: str) -> bool:
    """Whether there is a file at a `sqlite:///` URL; a PostgreSQL database is made by somebody, and is there."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == POSTGRESQL:
        return True
    return bool(parsed.database) and Path(str(parsed.database)).exists()


def database_file(url: str) -> Path | None:
    """The file at a `sqlite:///` URL; None for a PostgreSQL database."""
    parsed = sa.make_url(url)
    return None if parsed.get_backend_name() == POSTGRESQL else Path(str(parsed.database))


def open_database(url: str, *, keep_a_copy: bool = True) -> Database:
    """Opens the database at a URL; a file of SQLite is created and migrated where needed. Raises StoreError.

    What is migrated is copied before, except without `keep_a_copy`: for what is a copy itself.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == POSTGRESQL:
        from digest.store import postgres

        return postgres.open_database(parsed)
    name = parsed.database or ":memory:"
    if parsed.database:
        parent = Path(parsed.database).parent
        if not parent.is_dir():
            raise StoreError(f"{name}: there is no folder {parent}: create it, or change `url` of [store]")
        _make_private(Path(parsed.database))
    engine = sa.create_engine(
        parsed,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        hide_parameters=True,  # an error's text would show addresses, and the key that signs
        **({} if parsed.database else _ONE),
    )
    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", _begin)
    database = Database(engine, name)
    try:
        with database.read() as connection:
            version = _version_of(connection, name)
        if version < SCHEMA_VERSION:
            _migrate(database, name, keep_a_copy=keep_a_copy)
    except sa.exc.DatabaseError as error:
        engine.dispose()
        raise StoreError(
            f"{name} is not a digest database ({error.orig}): move it away or change `url` of [store]"
        ) from error
    except BaseException:
        engine.dispose()
        raise
    return database


class Migrated(NamedTuple):
    """What was done to a database: its name, the schema that it had (0: none) and has, what was done to its queue."""

    name: str
    before: int
    schema: int
    queue: tuple[str, ...] = ()
    """The migrations that were applied to it."""
    queue_made: str = ""
    """"tables" or "record of migrations", if it lacked them; else empty."""


def migrate_database(url: str) -> Migrated:
    """Brings the database at a URL up to date."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == POSTGRESQL:
        from digest.store import postgres

        return postgres.migrate(parsed)
    before = 0
    if database_exists(url):
        with closing(sqlite3.connect(str(parsed.database))) as file:
            before = int(file.execute("PRAGMA user_version").fetchone()[0])
    database = open_database(url)
    database.close()
    return Migrated(database.name, before, SCHEMA_VERSION)


def _make_private(path: Path) -> None:
    """A new file is its owner's alone: it holds addresses, and the key that signs. One that is there keeps its mode.

    SQLite gives the files beside it (-wal, -shm) the mode that it has. What cannot be made here SQLite explains.
    """
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _configure(connection: sa.engine.interfaces.DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: sqlite3's own rules begin too late
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    # Of macOS alone, where `fsync` leaves commits in the drive's cache.
    cursor.execute("PRAGMA fullfsync=ON")
    cursor.execute("PRAGMA checkpoint_fullfsync=ON")
    cursor.execute("PRAGMA foreign_keys=ON")
    application = cursor.execute("PRAGMA application_id").fetchone()[0]
    # WAL is a property of the file: another program's file is left as it is, `open_database` refuses it in a moment.
    if application == APPLICATION_ID or not cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        _switch_to_wal(cursor)
    cursor.close()


def _switch_to_wal(cursor: sa.engine.interfaces.DBAPICursor) -> None:
    """SQLite's own waiting does not count here: two processes that open a new file at once collide."""
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.02)
        else:
            return


def _begin(connection: sa.Connection) -> None:
    # IMMEDIATE takes the write lock at once: a transaction that reads first and writes later cannot be overtaken.
    write = connection.get_execution_options().get("digest_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _version_of(connection: sa.Connection, name: str) -> int:
    application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
    if tables and application != APPLICATION_ID:
        raise StoreError(f"{name} is another program's database: move it away or change `url` of [store]")
    return not_newer(version, name)


def not_newer(version: int, name: str) -> int:
    """The version. Raises StoreError for a schema that this program does not know yet."""
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{name} was written by a newer digest (schema {version}, this one knows up to {SCHEMA_VERSION}): "
            "upgrade with `pip install --upgrade papers-digest`, or restore the backup made before the upgrade"
        )
    return version


def alembic(connection: sa.Connection) -> Config:
    """Alembic over our migrations, on a connection and in its transaction."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _migrate(database: Database, name: str, *, keep_a_copy: bool) -> None:
    from alembic import command

    with database.rebuild() as connection:
        version = _version_of(connection, name)
        if version == SCHEMA_VERSION:
            return  # another process was quicker
        if version and keep_a_copy:
            _keep_a_copy(Path(name), version)
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        command.upgrade(alembic(connection), "head")
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _keep_a_copy(path: Path, version: int) -> None:
    """The database as the digest before had it, which cannot read it any more in a moment: the way back."""
    copy = copies.place_of(path, datetime.now(UTC), f"-schema-{version}")
    copies.back_up(path, copy)
    log.warning("%s: schema %d becomes %d; as it was it is kept in %s", path, version, SCHEMA_VERSION, copy)
