"""What `digest check` makes of what it sees of this machine and of the sources; and that no check can stop another."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from digest.check import local
from digest.check.doctor import Check, _done, in_thread
from digest.check.findings import Finding, Level, ok, warning, worst
from digest.check.sources import describe
from digest.check.speaking import Told, told_in
from digest.errors import StoreError
from digest.model import Coverage, Rejection, SourceReport
from digest.store import open_database
from digest.store.inspection import inspect
from digest.store.schema import SCHEMA_VERSION
from tests.factories import report
from tests.waiting import PATIENCE

NOW = datetime(2026, 6, 11, 8, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where there is a database of ours."""
    file = tmp_path / "digest.db"
    open_database(f"sqlite:///{file}").close()
    return file


def changed(path: Path, statement: str) -> Finding:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()
    return local.of_database(inspect(path))


def test_a_database_is_looked_at_and_left_as_it_is(path: Path) -> None:
    """Whole, of our schema, and not a byte is changed."""
    before = path.read_bytes()
    found = local.of_database(inspect(path))
    assert (found.level, found.says.startswith(f"whole, schema {SCHEMA_VERSION}, ")) == (Level.OK, True)
    assert path.read_bytes() == before


def test_a_journal_that_cannot_be_kept_is_told_of(tmp_path: Path) -> None:
    """A folder that is there, one that is made by the first send, one where a file is in the way; none is made here."""
    (tmp_path / "file").touch()
    assert local.journal(None) == []
    there, later, wrong = (local.journal(tmp_path / name)[0] for name in (".", "new/journal", "file/journal"))
    assert (there.level, later.level, wrong.level) == (Level.OK, Level.OK, Level.FAILED)
    assert later.says.endswith("which the first send makes")
    assert wrong.says == f"{tmp_path / 'file'} is no folder"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_maildir_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    """Without a relay mail goes to a folder: nobody is told that all is well where it cannot get there."""
    (tmp_path / "file").touch()
    later, wrong = (local.maildir(tmp_path / name) for name in ("outbox", "file"))
    assert (later.level, later.says) == (Level.OK, f"none: messages go to the Maildir {tmp_path / 'outbox'}")
    assert wrong.level is Level.FAILED
    assert wrong.says.endswith(f"but {tmp_path / 'file'} is no folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("statement", "level", "says"),
    [
        (f"PRAGMA user_version = {SCHEMA_VERSION - 1}", Level.WARNING, f"schema {SCHEMA_VERSION - 1} of"),
        (f"PRAGMA user_version = {SCHEMA_VERSION + 1}", Level.FAILED, "written by a newer digest"),
        ("PRAGMA application_id = 7", Level.FAILED, "another program's"),
    ],
)
def test_a_database_of_another_kind_or_age(path: Path, statement: str, level: Level, says: str) -> None:
    """Older: it will be migrated; newer or foreign: it cannot be used."""
    found = changed(path, statement)
    assert (found.level, says in found.says, bool(found.todo)) == (level, True, True), found
    assert inspect(path).version in (SCHEMA_VERSION - 1, SCHEMA_VERSION + 1, 0), "looking migrates nothing"


def test_a_damaged_database_is_told_of(path: Path) -> None:
    """Pages that are overwritten, and a file that is none."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * (size - 4096 * 3))
    found = local.of_database(inspect(path))
    assert (found.level, found.todo) == (Level.FAILED, "restore it from a backup"), found
    path.write_bytes(b"no database at all, but long enough" * 100)
    assert local.of_database(inspect(path)).level is Level.FAILED


def test_a_database_in_use_is_fine(path: Path) -> None:
    """A writer at work is no trouble."""
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        found = local.of_database(inspect(path))
    assert (found.level, "another process is writing" in found.says) == (Level.OK, True)


def test_a_folder_that_is_missing_is_told_of(tmp_path: Path) -> None:
    """Without a file all is well if the folder is there."""
    assert local.of_database(inspect(tmp_path / "new.db")).level is Level.OK
    found = local.of_database(inspect(tmp_path / "none" / "new.db"))
    assert (found.level, "--fix" in found.todo) == (Level.FAILED, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("free", "level"), [(2_000_000_000, Level.OK), (500_000_000, Level.WARNING), (1_000_000, Level.FAILED)]
)
def test_a_disk_that_fills_is_told_of_in_time(free: int, level: Level) -> None:
    """A warning under a gigabyte, a failure where a send would stop."""
    assert local.of_disk(Path("/data"), free).level is level


@pytest.mark.parametrize(
    ("off", "level"),
    [
        (timedelta(seconds=30), Level.OK),
        (timedelta(minutes=-2), Level.WARNING),
        (timedelta(hours=1), Level.FAILED),
    ],
)
def test_a_clock_that_is_off(off: timedelta, level: Level) -> None:
    """By so much that it is seen, or that mail looks forged."""
    found = local.clock([Told("a.example", NOW, NOW + off)])
    assert found.level is level
    if level is not Level.OK:
        assert ("fast" if off > timedelta() else "slow") in found.says


def test_one_right_clock_is_enough() -> None:
    """Where one server is wrong and another agrees, ours is right."""
    assert local.clock([Told("wrong", NOW - timedelta(days=1), NOW), Told("right", NOW, NOW)]).level is Level.OK


@pytest.mark.parametrize(
    ("greeting", "told"),
    [
        ("220 mx.example.org Microsoft ESMTP MAIL Service ready at Thu, 11 Jun 2026 10:00:00 +0200", True),
        ("220 mx.example.org ESMTP Sendmail 8.17; Thu, 11 Jun 2026 08:00:00 GMT", True),
        ("220 mx.example.org ESMTP Postfix", False),
        ("220 mx.example.org Thu, 99 Jun 2026 08:00:00 GMT", False),
    ],
)
def test_some_greetings_tell_the_time(greeting: str, told: bool) -> None:
    """Those of Exchange and Sendmail do."""
    found = told_in(greeting, "mx", NOW)
    assert [t.time for t in found] == ([NOW] if told else [])


def test_rules_of_time_zones_grow_old() -> None:
    """Three years on, countries have changed theirs; without a version nothing is said of it."""
    today = date(2026, 6, 11)
    assert local.of_zones("UTC", "08:00 UTC", ("2025b", 2025), today).level is Level.OK
    assert local.of_zones("UTC", "08:00 UTC", ("2021a", 2021), today).level is Level.WARNING
    assert local.of_zones("UTC", "08:00 UTC", None, today).level is Level.OK
    found = local.zone_data()
    assert found is None or found[1] >= 2020


THURSDAY = (date(2026, 6, 11),)


@pytest.mark.parametrize(
    ("source", "level", "says"),
    [
        (
            report(1, coverage=(Coverage("cs.CV", 239, 239), Coverage("cs.LG", 8, 9)), announced=THURSDAY),
            Level.OK,
            "cs.CV: 239, cs.LG: 8 of 9 announced Thursday 2026-06-11, feed fresh",
        ),
        (report(1, 2), Level.OK, "2 papers, feed fresh"),
        (report(), Level.WARNING, "it answers, and has nothing"),
        (report(1, notes=("feed is of Wednesday",)), Level.WARNING, "1 paper; feed is of Wednesday"),
        (report(error="answered 404"), Level.FAILED, "answered 404"),
        (report(1, error="answered 404"), Level.WARNING, "1 paper; then: answered 404"),
        (
            report(rejected=(Rejection("entry 1", "it has no title"),)),
            Level.WARNING,
            "0 papers; 1 rejected, the first: entry 1: it has no title",
        ),
    ],
)
def test_a_source_is_described(source: SourceReport, level: Level, says: str) -> None:
    """How many, of which day, and whether that is all; else what is wrong."""
    found = describe(replace(source, source="arxiv"))
    assert (found.subject, found.level, found.says) == ("source arxiv", level, says)
    assert bool(found.todo) is (level is not Level.OK)


def test_a_check_that_hangs_fails_or_has_a_bug_is_a_line() -> None:
    """After its time, by its error, or by the bug's own words; the others are not kept waiting for it."""
    done: list[str] = []
    over = threading.Event()

    class StandsStill(asyncio.SelectorEventLoop):
        """Its time goes on when the others are done."""

        def time(self) -> float:
            return super().time() if len(done) >= 3 else 0.0

    def hang() -> list[Finding]:
        over.wait(PATIENCE)
        return []

    async def hangs() -> list[Finding]:
        return await in_thread(hang)

    async def fails() -> list[Finding]:
        raise StoreError("the file is gone")

    async def has_a_bug() -> list[Finding]:
        return await in_thread(lambda: {"other": [ok("it", "works")]}["key"])

    async def works() -> list[Finding]:
        return [ok("it", "works")]

    async def all_of_them() -> list[str]:
        checks = [Check("a", hangs, 0.05), Check("b", fails), Check("c", has_a_bug), Check("d", works)]
        found = await asyncio.gather(*(_done(check, done.append) for check in checks))
        return [finding.says for findings in found for finding in findings]

    with asyncio.Runner(loop_factory=StandsStill) as runner:
        said = runner.run(all_of_them())
    over.set()
    assert said == [
        "not done within 0 s",
        "the file is gone",
        "the check itself failed (KeyError: 'key')",
        "works",
    ]
    assert done[-1] == "a", "the one that hangs is the last"
    assert sorted(done) == ["a", "b", "c", "d"]


def test_the_worst_counts() -> None:
    """Of nothing, all is well."""
    assert worst([]) is Level.OK
    assert worst([ok("a", "b"), warning("a", "b", "c")]) is Level.WARNING
    assert worst([warning("a", "b", "c"), Finding("a", Level.FAILED, "b")]) is Level.FAILED
