"""Looks at a database without changing it: `digest check`. Opening it by `open_database` would create or migrate it.

One file of SQLite, by its own functions: the rest of the package works on a database that is known to be right.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from digest.store.schema import APPLICATION_ID, SCHEMA_VERSION

LOCK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found. `fault` is SQLite's own word for what is wrong; the rest counts only without one."""

    path: Path
    exists: bool
    version: int = 0
    newest: int = SCHEMA_VERSION
    """The schema that this program writes."""
    size: int = 0
    """In bytes."""
    in_use: bool = False
    """Another process is writing at this moment."""
    foreign: bool = False
    """It is another program's."""
    fault: str = ""


def inspect(path: Path) -> Inspection:
    """Looks at a database's file, the whole of it: a gigabyte takes seconds."""
    if not path.exists():
        return Inspection(path, exists=False)
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=LOCK_SECONDS)) as connection:
            connection.isolation_level = None
            return _inspected(path, connection)
    except sqlite3.Error as error:
        return Inspection(path, exists=True, fault=str(error))


def _inspected(path: Path, connection: sqlite3.Connection) -> Inspection:
    def one(statement: str) -> object:
        return connection.execute(statement).fetchone()[0]

    version, application = int(str(one("PRAGMA user_version"))), one("PRAGMA application_id")
    if application != APPLICATION_ID and one("SELECT count(*) FROM sqlite_master"):
        return Inspection(path, exists=True, foreign=True)
    damage = str(one("PRAGMA quick_check(1)"))
    in_use = False
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA user_version = {version}")  # a file that may not be written says so only now
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        in_use = True
    fault = "" if damage == "ok" else f"it is damaged: {damage}"
    return Inspection(path, exists=True, version=version, size=path.stat().st_size, in_use=in_use, fault=fault)
