"""A database that is locked, full or read-only, at each moment of a send; the server's log is the judge.

`EXPECTED` is the table: what the command answers, how many messages have left by then, and what becomes of the three
deliveries when the fault is over and the same command is run again. The full disk is a real one, small and in memory.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.kills import SOURCES, freeze
from tests.lists import DAY_ONE, write_list
from tests.nursery import Nursery, patch
from tests.servers.smtp import CollectingServer, rejects_rcpt_550
from tests.test_cli import jsons

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="POSIX signals; mounts a tmpfs")

READERS = 3
BUSY, LATE = "digest.store.database.BUSY_SECONDS", "digest.send.recording.RECORD_AFTER"
PATIENCE: dict[str, dict[str, object]] = {
    "for a moment": {},
    "for good": {BUSY: 0.2, LATE: (0.0,)},
    "until it is told": {
        BUSY: 0.2,
        LATE: (0.0, *[0.1] * 200),
    },
}
"""The program's, by how long the fault lasts: its own, none, and for what has left until it can be recorded."""


class Cell(NamedTuple):
    """What a fault comes to."""

    code: int
    says: str
    accepted: int
    """Messages that have left when the command ends."""
    finally_: dict[str, int]


ALL_SENT = {"sent": READERS}
REFUSED = {"sent": READERS - 1, "bounced": 1}
IN_DOUBT = {"sent": READERS - 1, "unknown": 1}
HELD, FULL = "another program has held it", "free some space"
EXPECTED = {
    # A lock that ends in time is waited out.
    ("locked", "start", "for a moment"): Cell(0, "", READERS, ALL_SENT),
    ("locked", "intent", "for a moment"): Cell(0, "", READERS, ALL_SENT),
    ("locked", "result", "for a moment"): Cell(0, "", READERS, ALL_SENT),
    # Before the intent nothing leaves, and nobody is charged.
    ("locked", "start", "for good"): Cell(1, HELD, 0, ALL_SENT),
    ("locked", "intent", "for good"): Cell(1, HELD, 0, ALL_SENT),
    ("full", "start", "for good"): Cell(1, FULL, 0, ALL_SENT),
    ("full", "intent", "for good"): Cell(1, FULL, 0, ALL_SENT),
    ("read-only", "start", "for good"): Cell(1, "may be written by this user", 0, ALL_SENT),
    # After the 250 it is tried again; what could not be recorded is in doubt when the process has ended.
    ("locked", "result", "until it is told"): Cell(1, HELD, 1, ALL_SENT),
    ("locked", "result", "for good"): Cell(1, HELD, 1, IN_DOUBT),
    ("full", "result", "until it is told"): Cell(1, FULL, 1, ALL_SENT),
    ("full", "result", "for good"): Cell(1, FULL, 1, IN_DOUBT),
    # So is a refusal, of which it is known that nothing was delivered; with pipelining its intent is committed.
    ("locked", "refusal", "until it is told"): Cell(1, HELD, 0, REFUSED),
    ("full", "refusal", "until it is told"): Cell(1, FULL, 0, REFUSED),
}
STAGE = {"intent": "ehlo", "result": "accepted", "refusal": "rcpt"}
"""When the server brings about what is wrong at that commit."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as running:
        yield running


@pytest.fixture(scope="module")
def frozen(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return freeze(nursery, tmp_path_factory.mktemp("frozen"), READERS)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.splitlines()[0]}")
    yield place
    subprocess.run(["umount", place], check=True)


class Fault:
    """Something that is wrong with the database in `folder`, between `begin` and `end`."""

    def __init__(self, kind: str, folder: Path, seconds: float):
        self._begin, self._end = {
            "locked": (self._lock, self._unlock),
            "full": (self._fill, self._empty),
            "read-only": (lambda: self._remount("ro"), lambda: self._remount("rw")),
        }[kind]
        self._folder = folder
        self._seconds = seconds
        self.begun = False

    def begin(self) -> None:
        """Once, however often it is called; ends by itself `seconds` later, if that is set."""
        if not self.begun:
            self.begun = True
            self._begin()
            if self._seconds:
                threading.Timer(self._seconds, self.end).start()

    def end(self) -> None:
        """Ends it."""
        self._end()

    def _lock(self) -> None:
        self._other = sqlite3.connect(self._folder / "digest.db", isolation_level=None, check_same_thread=False)
        self._other.execute("BEGIN IMMEDIATE")

    def _unlock(self) -> None:
        self._other.execute("ROLLBACK")
        self._other.close()

    def _fill(self) -> None:
        with (self._folder / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))

    def _empty(self) -> None:
        (self._folder / "filler").unlink()

    def _remount(self, mode: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{mode}", self._folder], check=True)


@pytest.mark.parametrize("pipelining", [False, True], ids=["in turn", "at once"])
@pytest.mark.parametrize(("what", "expected"), EXPECTED.items(), ids=[", ".join(what) for what in EXPECTED])
def test_every_fault_of_the_store(
    what: Sequence[str],
    expected: Cell,
    pipelining: bool,
    nursery: Nursery,
    frozen: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Nothing is lost, nothing comes twice, and the command says what to do and does the rest when that is done."""
    kind, moment, lasts = what
    folder = tmp_path if kind == "locked" else request.getfixturevalue("disk")
    shutil.copy(frozen, folder)
    fault = Fault(kind, folder, 0.3 if lasts == "for a moment" else 0)

    def watch(stage: str) -> None:
        if stage == STAGE.get(moment):
            fault.begin()

    refusal = replace(rejects_rcpt_550, times=1, over_all=True)
    misbehaviours = [refusal] if moment == "refusal" else []
    with CollectingServer(*misbehaviours, pipelining=pipelining, watch=watch) as server:
        config = write_list(folder, READERS, port=server.port, sources=SOURCES)
        send = ("send", "--config", str(config), "--now", DAY_ONE)
        if moment == "start":
            fault.begin()
        child = nursery.start(*send, first=partial(patch, PATIENCE[lasts]))
        if lasts == "until it is told":
            child.until_it_says("cannot be recorded")
            fault.end()
        answer = child.wait()
        assert fault.begun
        if lasts == "for good":
            fault.end()
        assert (answer.returncode, len(server.messages)) == (expected.code, expected.accepted), answer
        assert expected.says in answer.stderr
        again = nursery.run(*send)
        assert again.returncode == (0 if expected.finally_ == ALL_SENT else 1), again
        deliveries = jsons(nursery.run("deliveries", "--config", str(config), "--json").stdout)
        assert Counter(delivery["status"] for delivery in deliveries) == expected.finally_
        assert [delivery["attempts"] for delivery in deliveries] == [1] * READERS
        delivered = [d["message_id"] for d in deliveries if d["status"] != "bounced"]
        assert sorted(server.message_ids) == sorted(delivered)
