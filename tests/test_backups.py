"""`digest backup` and `digest restore`, while others use the database and while the program is killed."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import stat
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from digest.app import App
from digest.members import Subscription
from digest.model import Address, DeliveryStatus, ListId
from digest.settings import load
from digest.store import Subscribers, copies, open_database, schema
from digest.store.decisions import Decisions
from digest.store.editions import Editions
from digest.store.received import unpacked
from tests.factories import NOW
from tests.lists import DAY_ONE, DAY_TWO, write_list
from tests.nursery import Nursery, folder_in_memory
from tests.servers.smtp import CollectingServer
from tests.test_cli import jsons, run
from tests.test_processes import start
from tests.waiting import PATIENCE, until

LATER = "2026-06-10T12:00:00+00:00"
AUTUMN = "2026-10-01T06:00:00+00:00"
DAY_THREE = "2026-06-11T06:00:00+00:00"


def ask(path: Path, question: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(question, values).fetchall()


def content(path: Path) -> list[str]:
    """All that is in a database, as text."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def backed_up(config: Path, *more: str, now: str = DAY_ONE) -> Path:
    answer = run("backup", *more, "--config", str(config), "--now", now, "--json")
    assert answer.returncode == 0, answer
    (told,) = jsons(answer.stdout)
    return Path(told["backup"])


# --- backup ---------------------------------------------------------------------------------------------------------


def test_a_backup_is_the_database_as_it_was_in_one_private_file(tmp_path: Path) -> None:
    """Its content is the database's, it needs no file beside it, its owner alone reads it, its name has the time."""
    config = write_list(tmp_path)
    assert run("send", "--config", str(config), "--now", DAY_ONE).returncode == 0
    answer = run("backup", "--config", str(config), "--now", DAY_ONE)
    (copy,) = (tmp_path / "backups").iterdir()
    assert copy.name == "digest-20260609T060000Z.db"
    assert content(copy) == content(tmp_path / "digest.db")
    assert copy.read_bytes()[18:20] == b"\1\1", "it is in no WAL mode"
    assert answer.stdout.startswith(f"{copy}: ")
    assert re.search(rf"MB, schema {schema.SCHEMA_VERSION}, of lab; copied and read through\n", answer.stdout)
    assert "everybody's address and the key" in answer.stdout
    if sys.platform != "win32":
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700


def test_old_backups_are_kept_by_count(tmp_path: Path) -> None:
    """`--keep 2` leaves the newest two of ours, and whatever else is in the folder."""
    config = write_list(tmp_path)
    run("send", "--config", str(config), "--now", DAY_ONE)
    folder = tmp_path / "copies"
    folder.mkdir()
    others = {"digest-of-mine.db", "digest-20200101T000000Z-schema-3.db", "other-20200101T000000Z.db"}
    for name in others:
        (folder / name).touch()
    made = [backed_up(config, str(folder), "--keep", "2", now=f"2026-06-{day:02}T06:00Z").name for day in (9, 10, 11)]
    assert {path.name for path in folder.iterdir()} == others | set(made[1:])


def test_a_file_can_be_named_and_is_never_overwritten(tmp_path: Path) -> None:
    """A second backup to the same file is refused with exit code 2, and the first is left as it was."""
    config = write_list(tmp_path)
    run("send", "--config", str(config), "--now", DAY_ONE)
    file = tmp_path / "elsewhere" / "mine.db"
    assert backed_up(config, str(file)) == file
    before = file.read_bytes()
    answer = run("backup", str(file), "--config", str(config))
    assert (answer.returncode, file.read_bytes()) == (1, before)
    assert f"{file}: is there already" in answer.stderr


def test_lists_that_share_a_database_are_backed_up_once(tmp_path: Path) -> None:
    """Two lists in one file: one copy, which names both; two of the same name cannot go into one folder."""
    folder = tmp_path / "lists"
    folder.mkdir()
    text = write_list(tmp_path).read_text(encoding="utf-8")
    for name in ("one", "two"):
        (folder / f"{name}.toml").write_text(text.replace('id = "lab"', f'id = "{name}"'), encoding="utf-8")
    assert run("send", "--config", str(folder), "--now", DAY_ONE).returncode == 0
    (told,) = jsons(run("backup", "--config", str(folder), "--json").stdout)
    assert told["lists"] == ["one", "two"]
    other = tmp_path / "other"
    other.mkdir()
    elsewhere = write_list(other)
    both = run("backup", str(tmp_path / "x"), "--config", str(folder), "--config", str(elsewhere))
    assert (both.returncode, (tmp_path / "x").exists()) == (2, False)
    assert "several databases have the same name" in both.stderr


def test_without_a_database_there_is_nothing_to_copy(tmp_path: Path) -> None:
    """Exit code 3, a line, and no folder."""
    answer = run("backup", "--config", str(write_list(tmp_path)))
    assert (answer.returncode, (tmp_path / "backups").exists()) == (3, False)
    assert "there is no database yet" in answer.stderr


def test_a_backup_during_a_send_is_one_moment_of_it(tmp_path: Path) -> None:
    """While another process sends: each copy adds up, and knows of no message that the server has not had."""
    copied: list[int] = []
    """How many messages are sent in each copy."""
    enough = threading.Event()

    def watch(stage: str) -> None:
        if stage == "accepted" and len(server.messages) == 39:
            enough.wait(PATIENCE)

    with CollectingServer(watch=watch) as server:
        config = write_list(tmp_path, readers=40, port=server.port, extra='rate = "40/second"\n')
        sending = start(config)
        while sending.poll() is None:
            until(lambda: server.messages or sending.poll() is not None, "nothing is sent")
            copy = backed_up(config, str(tmp_path / f"copy-{len(copied)}.db"))
            accepted = set(server.message_ids)
            found = ask(copy, "SELECT recipients, (SELECT count(*) FROM deliveries) FROM editions")
            assert found == [(40, 40)]
            sent = {found for (found,) in ask(copy, "SELECT message_id FROM deliveries WHERE status = 'sent'")}
            assert sent <= accepted
            copied.append(len(sent))
            if len(copied) > 3 and copied[-1]:
                enough.set()
        out, err = sending.communicate()
    assert sending.returncode == 0, (out, err)
    assert len(server.messages) == 40
    assert len(set(server.message_ids)) == 40, "the copying has cost nobody a message, and doubled none"
    assert copied == sorted(copied)
    assert any(0 < count < 40 for count in copied), "one was made in the middle"


posix = pytest.mark.skipif(sys.platform == "win32", reason="kills by SIGKILL")


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as running:
        yield running


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_in_memory() as made:
        yield made


def die_at_page(at: int, count_in: Path | None = None) -> None:
    """Has this process killed when it has copied so many pages, over all its copies; or writes down how many it has."""
    pages = 0

    def progress(_: object) -> Any:
        def copied(status: int, remaining: int, total: int) -> None:
            nonlocal pages
            pages += 1
            if count_in:
                count_in.write_text(str(pages), encoding="utf-8")
            if pages == at:
                os.kill(os.getpid(), signal.SIGKILL)

        return copied

    copies.AT_ONCE = 1
    copies._progress = progress  # type: ignore[assignment]


@posix
@pytest.mark.parametrize("at", [1, 20, 60])
def test_a_backup_that_is_killed_leaves_none(nursery: Nursery, folder: Path, at: int) -> None:
    """Killed in the middle: no file looks like a backup, the database is as it was, and the next backup works."""
    config = write_list(folder)
    run("send", "--config", str(config), "--now", DAY_ONE)
    before = content(folder / "digest.db")
    arguments = ("backup", "--config", str(config), "--now", DAY_ONE)
    assert nursery.run(*arguments, first=partial(die_at_page, at)).returncode == -signal.SIGKILL
    assert [path.suffix for path in (folder / "backups").iterdir() if "journal" not in path.name] == [".partial"]
    assert content(folder / "digest.db") == before
    assert content(backed_up(config)) == before
    (left,) = (folder / "backups").glob(".*.partial")
    os.utime(left, (0, 0))
    backed_up(config, now=DAY_TWO)
    assert not left.exists(), "what was left for a day is removed"


# --- restore --------------------------------------------------------------------------------------------------------


def restored(config: Path, file: Path, now: str = LATER) -> dict[str, Any]:
    answer = run("restore", str(file), "--config", str(config), "--now", now, "--json")
    assert answer.returncode == 0, answer
    (told,) = jsons(answer.stdout)
    return told


def test_after_a_restore_nothing_is_sent_until_somebody_says_what_was(tmp_path: Path) -> None:
    """The day after the backup was sent, and is not sent again: neither by itself, nor after `resume --sent`."""
    with CollectingServer() as server:
        config = write_list(tmp_path, port=server.port)
        common = ("--config", str(config))
        run("send", *common, "--now", DAY_ONE)
        copy = backed_up(config)
        run("send", *common, "--now", DAY_TWO)
        had = Counter(server.message_ids)
        assert len(had) == 4
        told = restored(config, copy)
        assert (told["paused"], told["held"]) == (["lab"], [])
        assert ask(tmp_path / "digest.db", "SELECT number FROM editions WHERE list_id = 'lab'") == [(1,)]
        refused = run("send", *common, "--now", LATER)
        assert refused.returncode == 1
        assert (
            "paused since 2026-06-10 12:00 UTC by digest restore: restored from a backup of 2026-06-09"
            in refused.stderr
        )
        assert refused.stderr.endswith("; `digest resume lab --sent` or `--unsent` ends it\n")
        asked = run("resume", *common, "--now", LATER)
        assert asked.returncode == 2
        assert "`digest resume lab --sent`" in asked.stderr
        assert run("send", *common, "--now", LATER).returncode == 1, "it is still paused"
        resumed = run("resume", "--sent", *common, "--now", LATER)
        assert resumed.returncode == 0, resumed
        assert "edition 2 of 2026-06-10 stands for what was sent: " in resumed.stdout
        for now in (LATER, DAY_THREE):
            run("send", *common, "--now", now)
        assert Counter(server.message_ids) == had


def test_papers_of_an_edition_that_stands_in_do_not_come_by_another_source(tmp_path: Path) -> None:
    """After `resume --sent`, what a second source announces of the same papers the day after is not sent either."""
    with CollectingServer() as server:
        config = write_list(tmp_path, port=server.port, sources=["arxiv"])
        run("send", "--config", str(config), "--now", DAY_ONE)
        copy = backed_up(config)
        run("send", "--config", str(config), "--now", DAY_TWO)
        restored(config, copy)
        assert run("resume", "--sent", "--config", str(config), "--now", LATER).returncode == 0
        had = len(server.messages)
        again = config.read_text(encoding="utf-8").replace('kind = "arxiv"', 'kind = "arxiv"\nname = "a second"')
        config.write_text(again, encoding="utf-8")
        answer = run("send", "--config", str(config), "--now", "2026-06-10T20:00Z")
        run("send", "--config", str(config), "--now", DAY_THREE)
        candidates = ask(tmp_path / "digest.db", "SELECT count(*) FROM edition_papers WHERE edition_id > 2")
        assert len(server.messages) == had, (answer, candidates)


def test_where_nothing_was_sent_the_missed_day_is_made_up(tmp_path: Path) -> None:
    """After `resume --unsent` the next send makes the edition that the backup knows nothing of."""
    with CollectingServer() as server:
        config = write_list(tmp_path, port=server.port)
        run("send", "--config", str(config), "--now", DAY_ONE)
        copy = backed_up(config)
        restored(config, copy)
        assert run("resume", "--unsent", "--config", str(config), "--now", LATER).returncode == 0
        assert run("send", "--config", str(config), "--now", LATER).returncode == 0
        assert len(server.messages) == 4


@contextmanager
def halfway(folder: Path, policy: str) -> Iterator[tuple[CollectingServer, Path, Path]]:
    """A list of which a backup was made in the middle of an edition that then went out to its end.

    The server, which has taken a fifth message and not said so yet when the backup is made; the config; the backup.
    """
    reached, copied = threading.Event(), threading.Event()

    def watch(stage: str) -> None:
        if stage == "accepted" and len(server.messages) == 5:
            reached.set()
            copied.wait(PATIENCE)

    with CollectingServer(watch=watch) as server:
        config = write_list(folder, readers=20, port=server.port, extra=f'on_unknown = "{policy}"\n')
        sending = start(config)
        try:
            until(lambda: reached.is_set() or sending.poll() is not None, "nothing is sent")
            copy = backed_up(config)
        finally:
            copied.set()
            out, err = sending.communicate(timeout=PATIENCE)
        assert sending.returncode == 0, (out, err)
        assert len(server.messages) == 20
        yield server, config, copy


@pytest.mark.parametrize("policy", ["hold", "resend"])
def test_what_was_not_settled_is_held_whatever_the_policy(tmp_path: Path, policy: str) -> None:
    """A backup out of the middle of a send: what it had queued is held, also under `on_unknown = "resend"`."""
    with halfway(tmp_path, policy) as (server, config, copy):
        common = ("--config", str(config), "--now", LATER)
        # The server had one already whose delivery was not yet recorded: it is in doubt as well.
        ((unsettled,),) = ask(copy, "SELECT count(*) FROM deliveries WHERE status != 'sent'")
        (held,) = restored(config, copy)["held"]
        assert (held["list"], held["edition"]) == ("lab", 1)
        assert 0 < held["deliveries"] == unsettled < 20
        assert run("resume", "--sent", *common).returncode == 0
        run("send", *common)
        assert len(server.messages) == 20
        shown = run("resolve", "1", "--config", str(config))
        assert "restored from a" in shown.stdout
        assert run("resolve", "1", "--delivered", *common).returncode == 0
        (status,) = jsons(run("status", "--config", str(config), "--json").stdout)
        first = next(edition for edition in status["editions"] if edition["edition"]["number"] == 1)
        assert (first["counts"], first["adds_up"]) == ({"sent": 20}, True)
        run("send", *common)
        assert len(server.messages) == 20


def test_what_a_person_resends_after_a_restore_keeps_its_message_id(tmp_path: Path) -> None:
    """`digest resolve --resend` sends the held ones once more, as the same messages, and then they are done."""
    with halfway(tmp_path, "hold") as (server, config, copy):
        common = ("--config", str(config), "--now", LATER)
        (held,) = restored(config, copy)["held"]
        run("resume", "--sent", *common)
        assert run("resolve", "1", "--resend", *common).returncode == 0
        assert run("send", *common).returncode in (0, 1)
        copied = Counter(server.message_ids)
        assert len(copied) == 20
        assert sum(copied.values()) == 20 + held["deliveries"]


def test_who_has_left_since_the_backup_stays_away(tmp_path: Path) -> None:
    """Unsubscribed, suppressed, erased after the backup: they are so after the restore, whatever the backup says."""
    config = write_list(tmp_path, readers=6)
    run("send", "--config", str(config), "--now", DAY_ONE)
    copy = backed_up(config)
    run("subscribers", "remove", "reader0@example.org", "--config", str(config))
    run("suppressions", "add", "reader1@example.org", "--config", str(config))
    run("subscribers", "erase", "reader2@example.org", "--yes", "--config", str(config))
    run("subscribers", "add", "late@example.org", "--config", str(config))
    run("subscribers", "remove", "late@example.org", "--config", str(config))
    told = restored(config, copy)
    assert told["taken_over"] == {"unsubscribed": 2, "suppressed": 1, "erased": 1}
    database = open_database(f"sqlite:///{tmp_path}/digest.db")
    left = {person.address for person in Subscribers(database).reachable(ListId("lab"))}
    assert left == {Address(f"reader{n}@example.org") for n in (3, 4, 5)}
    database.close()
    assert ask(tmp_path / "digest.db", "SELECT count(*) FROM subscribers WHERE address LIKE 'reader2%'") == [(0,)]
    ((status,),) = ask(tmp_path / "digest.db", "SELECT subscription FROM subscribers WHERE address LIKE 'late%'")
    assert status == Subscription.UNSUBSCRIBED


def test_what_had_been_let_go_of_still_counts_after_a_restore(tmp_path: Path) -> None:
    """Deliveries that the backup has no more: nobody gets a paper of them again, who was erased since has none there,
    the edition still adds up, and no number of a delivery is given twice.
    """
    config = write_list(tmp_path, readers=3, extra='\n[retention]\ndeliveries = "60 days"\n')
    common = ("--config", str(config), "--now", AUTUMN)

    def received() -> dict[str, list[str]]:
        people = jsons(run("subscribers", "export", "--json", "--config", str(config)).stdout)
        return {each["subscriber"]["address"]: each["received"][0]["papers"] for each in people}

    run("send", "--config", str(config), "--now", DAY_ONE)
    run("prune", *common)
    copy, had = backed_up(config, now=AUTUMN), received()
    assert all(had.values())
    run("send", *common)
    run("subscribers", "erase", "reader2@example.org", "--yes", "--config", str(config))
    ((used,),) = ask(tmp_path / "digest.db", "SELECT max(id) FROM deliveries")
    restored(config, copy, now=AUTUMN)
    del had["reader2@example.org"]
    assert received() == had
    ((first, packed),) = ask(tmp_path / "digest.db", "SELECT first, papers FROM received")
    assert [bool(each.papers) for each in unpacked(first, packed).values()] == [True, True, False]
    # The same papers once more, as a source that is new announces them.
    text = config.read_text(encoding="utf-8").replace('kind = "arxiv"', 'kind = "arxiv"\nname = "a second"')
    config.write_text(text.replace("papers = 3", "papers = 50\nmin_relevance = 0.0"), encoding="utf-8")
    run("resume", "--unsent", *common)
    assert run("send", *common).returncode == 0
    for address, papers in had.items():
        (now,) = jsons(run("deliveries", "--to", address, "--json", "--config", str(config)).stdout)
        assert now["picks"]
        assert not {pick["id"] for pick in now["picks"]} & set(papers)
    new = ask(tmp_path / "digest.db", "SELECT min(id) FROM deliveries GROUP BY edition_id ORDER BY edition_id DESC")[0]
    assert new[0] > used
    (status,) = jsons(run("status", "--config", str(config), "--json").stdout)
    assert [(each["counts"], each["adds_up"]) for each in status["editions"]] == [
        ({"sent": 2}, True),
        ({"sent": 3}, True),
    ]


@pytest.mark.parametrize("damaged", [False, True])
def test_no_number_is_given_twice(tmp_path: Path, damaged: bool) -> None:
    """Links and bounces of what was sent since name people and deliveries that the restored database never numbers."""
    config = write_list(tmp_path)
    path = tmp_path / "digest.db"
    run("send", "--config", str(config), "--now", DAY_ONE)
    copy = backed_up(config)
    run("subscribers", "add", "late@example.org", "--config", str(config))
    run("send", "--config", str(config), "--now", DAY_TWO)
    used = {table: set(ask(path, f"SELECT id FROM {table}")) for table in ("subscribers", "deliveries", "editions")}
    if damaged:
        path.write_bytes(b"nothing that SQLite can read" * 1000)
    restored(config, copy)
    run("resume", "--unsent", "--config", str(config), "--now", LATER)
    kept = {table: set(ask(copy, f"SELECT id FROM {table}")) for table in used}
    run("subscribers", "add", "later@example.org", "--config", str(config))
    run("send", "--config", str(config), "--now", LATER)
    for table, numbers in used.items():
        new = set(ask(path, f"SELECT id FROM {table}")) - kept[table]
        assert len(new) > 1
        assert not new & numbers
    (status,) = jsons(run("status", "--config", str(config), "--json").stdout)
    assert [(edition["edition"]["number"], edition["adds_up"]) for edition in status["editions"]] == [
        (2, True),
        (1, True),
    ]
    restored(config, copy, now=DAY_THREE)  # and a second time


def test_the_database_as_it_was_is_kept_beside(tmp_path: Path) -> None:
    """A restore can be undone: what was in place is a backup as well, also where no SQLite can open it."""
    config = write_list(tmp_path)
    path = tmp_path / "digest.db"
    run("send", "--config", str(config), "--now", DAY_ONE)
    copy = backed_up(config)
    run("send", "--config", str(config), "--now", DAY_TWO)
    before = content(path)
    aside = Path(restored(config, copy)["aside"])
    assert content(aside) == before
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600 or sys.platform == "win32"
    restored(config, aside, now=DAY_THREE)
    assert ask(path, "SELECT max(number) FROM editions WHERE list_id = 'lab'") == [(2,)]
    path.write_bytes(b"damaged" * 1000)
    told = restored(config, copy, now="2026-06-12T06:00Z")
    assert Path(told["aside"]).read_bytes() == b"damaged" * 1000
    assert told["taken_over"] is None
    path.unlink()
    assert restored(config, copy, now="2026-06-13T06:00Z")["aside"] is None
    assert ask(path, "SELECT max(number) FROM editions WHERE list_id = 'lab'") == [(1,)]


def test_a_restore_is_refused_while_a_database_is_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open database is one in use, though nobody reads or writes at that moment; nothing is changed."""
    monkeypatch.setattr(copies, "PATIENCE", 0.3)
    config = write_list(tmp_path)
    run("send", "--config", str(config), "--now", DAY_ONE)
    copy = backed_up(config)
    before = content(tmp_path / "digest.db")
    (only,) = load([config]).lists
    with App(only, lambda: NOW):
        answer = run("restore", str(copy), "--config", str(config))
        assert answer.returncode == 1
        assert "is in use by another digest: end what runs" in answer.stderr
        assert run("status", "--config", str(config)).returncode == 0, "who uses it goes on"
    assert content(tmp_path / "digest.db") == before
    assert {path.name for path in tmp_path.iterdir()} == {"config.toml", "outbox", "backups", "digest.db"}
    assert run("restore", str(copy), "--config", str(config)).returncode == 0


def test_what_is_no_backup_of_this_list_is_refused(tmp_path: Path) -> None:
    """Nothing there, no database, another program's, a damaged one, a newer one, other lists', the database itself."""
    config = write_list(tmp_path)
    path = tmp_path / "digest.db"
    run("send", "--config", str(config), "--now", DAY_ONE)
    copy = backed_up(config)
    before = content(path)

    def refused(file: Path, why: str) -> None:
        answer = run("restore", str(file), "--config", str(config))
        assert answer.returncode == 1
        assert re.search(why, answer.stderr), answer
        assert content(path) == before

    refused(tmp_path / "nowhere.db", "there is no such file")
    refused(config, "is no digest database, or a damaged one")
    other = tmp_path / "other.db"
    ask(other, "CREATE TABLE theirs (x)")
    refused(other, "is no database of digest")
    refused(path, "is the database itself")
    whole = copy.read_bytes()
    broken = tmp_path / "broken.db"
    broken.write_bytes(whole[:8192] + b"\xff" * 40960 + whole[49152:])
    refused(broken, "damaged")
    newer = tmp_path / "newer.db"
    newer.write_bytes(whole)
    ask(newer, "PRAGMA user_version = 999")
    refused(newer, "written by a newer digest.*pip install --upgrade")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    theirs = write_list(elsewhere)
    theirs.write_text(theirs.read_text(encoding="utf-8").replace('id = "lab"', 'id = "club"'), encoding="utf-8")
    run("send", "--config", str(theirs), "--now", DAY_ONE)
    refused(backed_up(theirs), "is a backup of other lists: of club, not of lab")


@posix
def test_a_restore_that_is_killed_has_happened_or_not(nursery: Nursery, folder: Path) -> None:
    """Killed at any page: the database is the old one or the new one, whole; and the same command then does it."""
    config = write_list(folder)
    path = folder / "digest.db"
    run("send", "--config", str(config), "--now", DAY_ONE)
    copy = backed_up(config)
    run("send", "--config", str(config), "--now", DAY_TWO)
    younger = path.read_bytes()
    again = ("restore", str(copy), "--config", str(config))
    assert nursery.run(*again, first=partial(die_at_page, 0, folder / "pages")).returncode == 0
    pages = int((folder / "pages").read_text(encoding="utf-8"))
    outcomes = Counter[int]()
    for at in (1, pages // 3, pages // 2, pages - 20, pages - 8, pages - 3, pages - 2, pages - 1, pages):
        path.write_bytes(younger)
        now = f"2026-06-10T12:{at % 60:02}:{at // 60:02}Z"
        arguments = ("restore", str(copy), "--config", str(config), "--now", now)
        killed = nursery.run(*arguments, first=partial(die_at_page, at)).returncode == -signal.SIGKILL
        database = open_database(f"sqlite:///{path}")
        editions = Editions(database)
        latest = editions.latest(ListId("lab"))
        assert latest
        assert editions.overview(latest).adds_up
        paused = ask(path, "SELECT count(*) FROM pauses") == [(1,)]
        assert ask(path, "PRAGMA quick_check") == [("ok",)]
        assert (latest.number == 1) == paused, "the restored one is never there without its pause"
        assert killed or paused
        outcomes[latest.number] += 1
        database.close()
    assert outcomes[2] >= 6, outcomes
    assert outcomes[1], outcomes
    restored(config, copy, now="2026-06-10T13:00Z")


def test_a_backup_of_an_older_schema_is_migrated_on_its_way(tmp_path: Path) -> None:
    """What an earlier digest wrote is restored in the present schema."""
    config = write_list(tmp_path)
    run("send", "--config", str(config), "--now", DAY_ONE)
    old = tmp_path / "old.db"
    script = (Path(__file__).parent / "data" / "schemas" / "schema_3.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(old)) as connection:
        connection.executescript(script)
    assert restored(config, old)["schema"] == 3
    path = tmp_path / "digest.db"
    assert ask(path, "PRAGMA user_version") == [(schema.SCHEMA_VERSION,)]
    held = ask(
        path, "SELECT DISTINCT status FROM deliveries d JOIN editions e ON e.id = edition_id WHERE list_id='lab'"
    )
    assert (DeliveryStatus.QUEUED,) not in held


def test_decisions_let_go_of_what_a_restore_held(tmp_path: Path) -> None:
    """Decided upon, a delivery has no owner any more: later doubts of it follow the list's policy again."""
    with halfway(tmp_path, "hold") as (_, config, copy):
        restored(config, copy)
        path = tmp_path / "digest.db"
        assert ask(path, "SELECT DISTINCT owner FROM deliveries WHERE status = 'unknown'") == [("digest restore",)]
        database = open_database(f"sqlite:///{path}")
        edition = Editions(database).latest(ListId("lab"))
        assert edition
        Decisions(database, edition).resend(NOW)
        database.close()
        assert ask(path, "SELECT count(*) FROM deliveries WHERE owner = 'digest restore'") == [(0,)]
