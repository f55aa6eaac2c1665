"""The key that signs links: made once, for all processes, and shown by nothing."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from digest.store import Secrets, open_database, schema
from tests.factories import NOW

PROCESS = """
import sys
from datetime import UTC, datetime
from digest.store import Secrets, open_database
database = open_database(sys.argv[1])
secrets = Secrets(database, lambda: datetime.now(UTC))
looked = secrets.get("key")
secrets.get = lambda name: looked  # as if all had looked before any of them wrote
print("ready", looked, flush=True)
sys.stdin.readline()
print(secrets.get_or_create("key").hex(), flush=True)
"""


def test_a_secret_is_made_when_it_is_first_asked_for(tmp_path: Path) -> None:
    """32 random bytes, the same ever after; asking whether there is one makes none; another name is another secret."""
    url = f"sqlite:///{tmp_path}/digest.db"
    database = open_database(url)
    secrets = Secrets(database, lambda: NOW)
    assert secrets.get("key") is None
    made = secrets.get_or_create("key")
    assert len(made) == 32
    assert secrets.get_or_create("other") != made
    with database.read() as connection:
        created = connection.execute(sa.select(schema.secrets.c.created_at)).scalars().all()
    assert created == [NOW, NOW]
    database.close()
    again = open_database(url)
    assert Secrets(again, lambda: NOW).get_or_create("key") == made == Secrets(again, lambda: NOW).get("key")
    again.close()


def test_processes_that_ask_at_once_get_one_key(tmp_path: Path) -> None:
    """All have looked and found none; one makes the key, and each signs with it."""
    url = f"sqlite:///{tmp_path}/digest.db"
    open_database(url).close()
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready None\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    keys = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert len(set(keys)) == 1
    database = open_database(url)
    kept = Secrets(database, lambda: NOW).get("key")
    database.close()
    assert kept is not None
    assert keys[0] == kept.hex()


def test_an_error_of_the_database_does_not_show_a_secret(tmp_path: Path) -> None:
    """A statement's values, keys or addresses, are not in the text of its error: that text goes into logs."""
    database = open_database(f"sqlite:///{tmp_path}/digest.db")
    row = {"name": "an invented name", "value": b"an invented key", "created_at": NOW}
    with pytest.raises(sa.exc.IntegrityError) as caught, database.write() as connection:  # noqa: PT012
        connection.execute(sa.insert(schema.secrets), row)
        connection.execute(sa.insert(schema.secrets), row)
    database.close()
    assert "invented" not in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_a_new_database_is_its_owners_alone(tmp_path: Path) -> None:
    """Addresses and the signing key: no other user reads them, whatever the umask, nor in WAL's files."""
    before = os.umask(0)
    try:
        database = open_database(f"sqlite:///{tmp_path}/digest.db")
        Secrets(database, lambda: NOW).get_or_create("key")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    database.close()
    assert modes == dict.fromkeys(("digest.db", "digest.db-wal", "digest.db-shm"), 0o600)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_a_database_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    """Whoever lets a group read it has done so on purpose."""
    path = tmp_path / "digest.db"
    open_database(f"sqlite:///{path}").close()
    path.chmod(0o640)
    open_database(f"sqlite:///{path}").close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
