"""Copies of a database file, made while others use it, and put in its place while nobody does.

All through SQLite's backup API (sqlite.org/backup.html): never by copying files, as what is in the `-wal` would be
missing. `open_database` calls this before it migrates; `commands/backups.py` for a person. A copy is one file, in no
WAL mode, readable for its owner alone.

Who uses a database is known by SQLite's own locks: in WAL mode every open connection holds one for as long as it is
open, so leaving WAL mode succeeds only where there is no other (sqlite.org/wal.html). A lock ends with its process.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from digest import durable
from digest.errors import StoreError
from digest.store.schema import APPLICATION_ID, SCHEMA_VERSION

OnPages = Callable[[int, int], None]
"""Told how many pages of how many are copied."""
AT_ONCE = 2000
"""Pages copied between two looks at the clock: 8 MB."""
PATIENCE = 5.0
"""Seconds in which others, who may be about to end, let go of a database."""
FOLDER = "backups"
STAMP = "%Y%m%dT%H%M%SZ"
"""The time in a copy's name, in UTC: without colons, which Windows does not allow."""
PARTIAL = ".partial"
STALE = 24 * 3600.0
"""Seconds after which what a killed program left half-made is removed."""


def place_of(database: Path, now: datetime, note: str = "") -> Path:
    """Where a copy goes by itself: `backups/NAME-TIME.db` beside the database, in a name that every system allows."""
    return database.parent / FOLDER / f"{database.stem}-{now:{STAMP}}{note}.db"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a database file says of itself."""

    schema: int
    size: int
    """Bytes."""


def examine(path: Path) -> Facts:
    """Reads the whole file. Raises StoreError if it is damaged or not ours; a newer schema is for others to judge."""
    if not path.is_file():
        raise StoreError(f"{path}: there is no such file")
    try:
        with closing(_connected(path)) as connection:
            schema = _schema(connection, path)
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError as error:  # locked, no permission, no room: nothing wrong with the file
        raise StoreError(f"{path}: cannot be read: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} is no digest database, or a damaged one ({error})") from error
    if found != "ok":
        raise StoreError(f"{path} is damaged: {found}")
    return Facts(schema, path.stat().st_size)


def refuse_newer(path: Path, facts: Facts) -> None:
    """Raises StoreError for a schema that this program does not know."""
    if facts.schema > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer digest (schema {facts.schema}, this one knows up to {SCHEMA_VERSION}): "
            "upgrade with `pip install --upgrade papers-digest`"
        )


def back_up(source: Path, target: Path, on_pages: OnPages | None = None) -> Facts:
    """Copies the database as it is at one moment, whoever writes meanwhile; checked, synced, and there when complete.

    Raises StoreError; nothing is left then. A kill leaves a file that ends in `.partial`, and no target.
    """
    try:
        with partial(target) as made, closing(_connected(source)) as connection:
            schema = _schema(connection, source)
            # A snapshot: without it every write of somebody else would begin the copy anew.
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            _copy(connection, made, on_pages)
            facts = examine(made)
            if facts.schema != schema:
                raise StoreError(f"{target}: the copy has schema {facts.schema} instead of {schema}")
            _publish(made, target)
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{source}: cannot be copied to {target}: {error}") from error
    except OSError as error:
        raise StoreError(f"{target}: {error.strerror or error}: name another place, or free some space") from error
    return facts


def copy(source: Path, made: Path, on_pages: OnPages | None = None) -> None:
    """Copies a database that nobody writes to into an empty file. Raises sqlite3.Error."""
    with closing(_connected(source)) as connection:
        _copy(connection, made, on_pages)


def leave_wal(path: Path) -> None:
    """Makes one file of a closed database. Raises sqlite3.Error."""
    with closing(_connected(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def room(path: Path) -> tuple[int, int]:
    """How many bytes the file has, and how many of them are free for what is to come."""
    with closing(_connected(path)) as connection:
        size, pages, free = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_size", "page_count", "freelist_count")
        )
    return size * pages, size * free


def vacuum(path: Path) -> None:
    """Gives free pages back to the system: takes as much room again while it works. Raises StoreError."""
    try:
        with closing(_connected(path)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}: it was left as it is; try again while nothing is sent") from error


@contextmanager
def partial(target: Path) -> Iterator[Path]:
    """A private file beside `target` to be made into it; gone after the block. Raises OSError."""
    durable.private_folder(target.parent)
    for left in target.parent.glob(f".*{PARTIAL}*"):
        if left.stat().st_mtime < time.time() - STALE:
            durable.remove(left)
    made = target.with_name(f".{target.name}.{os.getpid()}{PARTIAL}")
    durable.remove(made)  # of a process that had our number
    durable.private_file(made)
    try:
        yield made
    finally:
        for ending in ("", "-journal", "-wal", "-shm"):
            durable.remove(Path(f"{made}{ending}"))


class Held:
    """A database that nobody else can read or write, for as long as the block of `hold` lasts."""

    def __init__(self, path: Path, connection: sqlite3.Connection):
        self._path = path
        self._connection = connection

    def copy_to(self, target: Path, on_pages: OnPages | None = None) -> None:
        """Copies it as it is, damaged or not, synced. Raises sqlite3.Error, OSError."""
        with partial(target) as made:
            _copy(self._connection, made, on_pages)
            _publish(made, target)

    def become(self, source: Path, on_pages: OnPages | None = None) -> None:
        """Takes the content of another database, in one transaction of SQLite's. Raises sqlite3.Error."""
        with closing(_connected(source)) as connection:
            connection.backup(self._connection, pages=AT_ONCE, progress=_progress(on_pages))


@contextmanager
def hold(path: Path) -> Iterator[Held]:
    """Holds a database that nobody uses.

    Raises StoreError if somebody does or it is another program's, and sqlite3.DatabaseError if it is damaged.
    """
    with closing(_connected(path, timeout=0)) as connection:
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                _schema(connection, path)
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("PRAGMA fullfsync=ON")
                connection.execute("PRAGMA locking_mode=EXCLUSIVE")
                connection.execute("PRAGMA journal_mode=DELETE")
                connection.execute("BEGIN EXCLUSIVE")  # in no WAL mode already: the lock is still to be had
                connection.execute("COMMIT")
                break
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                connection.execute("PRAGMA locking_mode=NORMAL")
                if time.monotonic() > give_up:
                    raise StoreError(
                        f"{path} is in use by another digest: end what runs (`digest run`, `digest web`, "
                        "`digest send`), then give the same command again"
                    ) from None
                time.sleep(0.1)
        yield Held(path, connection)


def _connected(path: Path, timeout: float = 30.0) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=timeout)


def _schema(connection: sqlite3.Connection, path: Path) -> int:
    """The schema of a database of ours. Raises StoreError."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    schema = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if application != APPLICATION_ID or not schema:
        raise StoreError(f"{path} is no database of digest")
    return schema


def _copy(source: sqlite3.Connection, target: Path, on_pages: OnPages | None) -> None:
    with closing(_connected(target)) as copy:
        # Nobody has use for half a copy: it needs no journal, and is synced once, at its end.
        copy.execute("PRAGMA journal_mode=OFF")
        copy.execute("PRAGMA synchronous=OFF")
        source.backup(copy, pages=AT_ONCE, progress=_progress(on_pages))
        copy.execute("PRAGMA journal_mode=DELETE")


def _progress(on_pages: OnPages | None) -> Callable[[int, int, int], None]:
    def told(_status: int, remaining: int, total: int) -> None:
        if on_pages:
            on_pages(total - remaining, total)

    return told


def _publish(made: Path, target: Path) -> None:
    durable.sync_file(made)
    durable.replace(made, target)
