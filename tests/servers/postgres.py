"""A real PostgreSQL on loopback, in a folder of its own; a child of this process, ended by its process id.

Needs the Debian package postgresql. As root it runs as the package's user `postgres`, since it refuses to run as root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers.daemons import await_daemons
from tests.servers.ports import free_port
from tests.waiting import PATIENCE

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
OWNER = "digest"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "log_min_messages": "fatal",
    "log_min_error_statement": "fatal",
}


def missing() -> str | None:
    """Why a PostgreSQL cannot be started here; None when it can."""
    return None if PROGRAMS else "PostgreSQL is not installed: apt-get install postgresql"


class PostgresServer:
    """A running server with a superuser `digest`, whom it trusts."""

    def __init__(self, beside: str = "", **settings: str):
        """`beside`: one more address of this machine at which it listens, for others of that network."""
        self._beside = beside
        self._folder = Path(tempfile.mkdtemp(prefix="digest-postgres-"))
        self._settings = {**_SETTINGS, **settings}
        self._settings["listen_addresses"] += f",{beside}" if beside else ""
        self._numbers = count(1)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")
        self._run("initdb", "-D", str(self._data), "-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        if self._beside:
            with (self._data / "pg_hba.conf").open("a") as access:
                access.write(f"host all all {self._beside}/30 trust\n")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Starts it, again after `stop`, and waits until it answers."""
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = [self._program("postgres"), "-D", str(self._data), "-p", str(self.port), "-k", str(self._folder)]
        path = self._folder / "log"
        with path.open("ab") as log:
            self._process = subprocess.Popen([*command, *options], stdout=log, stderr=log, **self._as_owner())
        await_daemons(self._answers, "PostgreSQL does not answer", [self._process], [path])

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends it: SIGINT breaks connections and is tidy ("fast"), SIGQUIT is as a crash ("immediate")."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def url(self, name: str) -> str:
        """The address of one of its databases."""
        return f"postgresql://{OWNER}@127.0.0.1:{self.port}/{name}"

    @contextmanager
    def new(self, template: str = "template0") -> Iterator[str]:
        """The URL of a fresh database, a copy of another, which is dropped at the end."""
        name = f"digest_{os.getpid()}_{next(self._numbers)}"
        self.psql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield self.url(name)
        finally:
            self.psql(f'DROP DATABASE "{name}" WITH (FORCE)')

    def psql(self, statement: str, name: str = "postgres") -> str:
        """The answer to one statement, without a heading."""
        command = [self._program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, self.url(name)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    @property
    def pid(self) -> int:
        """The process whose children serve the connections."""
        if self._process is None:
            raise RuntimeError("PostgreSQL is not running")
        return self._process.pid

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _answers(self) -> bool:
        ask = [self._program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ask, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        command = [self._program(program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._as_owner())
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")

    def _program(self, name: str) -> str:
        return str(PROGRAMS[-1] / name)

    def _as_owner(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        user = pwd.getpwnam("postgres")
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": self._folder}
