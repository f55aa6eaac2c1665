"""What a relay has taken is not in doubt after a kill, on either database: `[store] journal`."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from digest.dispatch.journalling import Journals
from digest.ledger import Intent, Result
from digest.model import Claim, DeliveryStatus, ListId, OnUnknown
from digest.send import journal
from digest.send.journal import Journal
from digest.store import Database
from tests.databases import BOTH, Databases
from tests.factories import claim
from tests.kills import JOURNALLED, PAUSE, Window, storms
from tests.lists import DAY_ONE, write_list
from tests.nursery import Nursery
from tests.servers.smtp import CollectingServer
from tests.test_cli import jsons, run
from tests.test_ledger import LAB, SENT, World, dead_owner
from tests.waiting import until

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="kills by SIGKILL")
READERS = 3


@pytest.fixture
def world(database: Database) -> World:
    return World(database, readers=READERS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def left_by(owner: str, claims: Sequence[Claim], folder: Path, list_id: ListId = LAB) -> Path:
    """The file in which that process has noted that all of them were taken."""
    before = set(folder.glob("*"))
    kept = Journal(folder, list_id)
    for each in claims:
        kept.note(each, SENT)
    (path,) = set(folder.glob("*")) - before
    text = path.read_bytes()
    kept.forget([Result(each, SENT) for each in claims])
    kept.close()
    host, pid, start = owner.split("/")
    path = folder / f"{list_id}@{host}@{pid}@{start}@0.journal"
    path.write_bytes(text)
    return path


def in_hand(world: World) -> list[Claim]:
    """All deliveries, each with its intent committed, as a process has them that is dead by now."""
    ledger = world.ledger()
    claims = list(ledger.claim(READERS))
    ledger.commit([Intent(each) for each in claims])
    world.disown(dead_owner())
    return claims


def next_send(world: World, folder: Path, on_unknown: OnUnknown = OnUnknown.HOLD) -> Sequence[Claim]:
    """What the next process that keeps a journal there may send."""
    ledger = world.ledger(on_unknown)
    with Journals(folder, LAB, world.database).keeping(ledger) as (kept, _):
        return kept.claim(READERS)


@pytest.mark.parametrize("on_unknown", list(OnUnknown))
def test_what_the_dead_have_noted_is_sent(on_unknown: OnUnknown, world: World, folder: Path) -> None:
    """With the relay's words; what they have not noted is in doubt as ever. Their file is gone."""
    first, second, _ = in_hand(world)
    left_by(dead_owner(), [replace(first, relay="second-relay"), second], folder)
    again = next_send(world, folder, on_unknown)
    told = world.deliveries()
    assert [(d.reply, d.relay, d.attempts) for d in told[:1]] == [(SENT.reply, "second-relay", 1)]
    expected = "unknown" if on_unknown is OnUnknown.HOLD else "active"
    assert [d.status for d in told] == ["sent", "sent", expected]
    assert len(again) == (expected == "active")
    assert list(folder.iterdir()) == []


def test_what_was_in_doubt_before_somebody_looked_is_sent(world: World, folder: Path) -> None:
    """Another host may have ended the leases: `sent` is a fact, and always accepted."""
    claims = in_hand(world)
    world.ledger().claim(READERS)
    assert set(world.statuses()) == {"unknown"}
    left_by(dead_owner(), claims, folder)
    next_send(world, folder)
    assert set(world.statuses()) == {"sent"}


def test_half_a_line_is_nothing(world: World, folder: Path) -> None:
    """Who was killed while writing it has not said it; the lines before count."""
    claims = in_hand(world)
    path = left_by(dead_owner(), claims[:2], folder)
    path.write_bytes(path.read_bytes()[:-1])
    next_send(world, folder)
    assert world.statuses() == ["sent", "unknown", "unknown"]
    assert not path.exists()


def test_the_living_keep_their_file(world: World, folder: Path) -> None:
    """It is read when they are gone; and it is theirs alone to remove."""
    claims = in_hand(world)
    kept = Journal(folder, LAB)
    kept.note(claims[0], SENT)
    next_send(world, folder)
    assert set(world.statuses()) == {"unknown"}
    kept.close()  # without having written it: an outage was too long, and its process lives
    next_send(world, folder)
    assert world.statuses() == ["sent", "unknown", "unknown"]
    assert list(folder.iterdir()) == []


def test_what_is_none_of_ours_is_told_and_left(world: World, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A stranger's file, lines nobody can read, deliveries of another database: told once. Good lines count."""
    claims = in_hand(world)
    stranger = folder / "diary.journal"
    folder.mkdir()
    stranger.write_text("Dear diary\n")
    garbled = left_by(dead_owner(), claims[:1], folder)
    garbled.write_bytes(b"\x00" * 50 + b'\n[1, 2]\n["1", 2, 3, "", "", "", ""]\n' + garbled.read_bytes())
    elsewhere = replace(claims[1], delivery=replace(claims[1].delivery, message_id="<another@example.org>"))
    foreign = left_by(dead_owner(), [elsewhere], folder)
    with caplog.at_level(logging.WARNING):
        next_send(world, folder)
        next_send(world, folder)
    assert world.statuses() == ["sent", "unknown", "unknown"]
    assert {path.name for path in folder.iterdir()} == {stranger.name, garbled.name, foreign.name}
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 3
    for path, words in (
        (stranger, "is no journal of digest"),
        (garbled, "has 3 lines that nobody can read"),
        (foreign, "tells of 1 deliveries that this database does not have"),
    ):
        assert [f"{path} {words}" in line for line in told].count(True) == 1, words


def test_each_list_reads_its_own(world: World, folder: Path) -> None:
    """Another list in the same folder may be in another database."""
    claims = in_hand(world)
    path = left_by(dead_owner(), claims, folder, ListId("lab@other"))
    next_send(world, folder)
    assert set(world.statuses()) == {"unknown"}
    assert path.exists()


def test_a_file_does_not_grow_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the ledger has is left out of it now and then; what it does not have stays."""
    monkeypatch.setattr(journal, "LARGE", 1000)
    kept = Journal(folder, LAB)
    one = claim()
    open_one = replace(one, delivery=replace(one.delivery, message_id="<open@example.org>"))
    kept.note(open_one, SENT)
    (path,) = folder.iterdir()
    for n in range(100):
        each = replace(one, delivery=replace(one.delivery, id=type(one.delivery.id)(1000 + n)))
        kept.note(each, SENT)
        kept.forget([Result(each, SENT)])
    text = path.read_text()
    assert "<open@example.org>" in text
    assert len(text) < 1500
    assert text.endswith("\n")
    kept.close()


FULL = """
import resource, sys
from pathlib import Path
from digest.model import DeliveryStatus, Outcome
from digest.send.journal import Journal
from tests.factories import claim
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
kept = Journal(Path(sys.argv[1]), "lab")
for n in range(5):
    kept.note(claim(), Outcome(DeliveryStatus.SENT, "2.0.0", "250 2.0.0 Ok"))
kept.close()
"""


@POSIX
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_file_that_was_written_anew_is_its_owners_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the first was: what a relay said may name a reader."""
    monkeypatch.setattr(journal, "LARGE", 0)
    kept = Journal(folder, LAB)
    first, second = claim(1), claim(2)
    kept.note(first, SENT)
    kept.note(second, SENT)
    kept.forget([Result(first, SENT)])
    (path,) = folder.glob("*")
    assert (path.stat().st_mode & 0o777, len(path.read_bytes().splitlines())) == (0o600, 1)
    kept.forget([Result(second, SENT)])
    kept.close()


def test_a_file_that_cannot_be_opened_anew_ends_the_journal_and_not_the_send(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number may be another file's by then: that is not closed in its place."""
    monkeypatch.setattr(journal, "LARGE", 0)
    kept = Journal(folder, LAB)
    kept.note(claim(1), SENT)

    def no_more_files(_: Journal) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Journal, "_opened", no_more_files)
    kept.forget([])
    other = os.open(folder, os.O_RDONLY) if os.name != "nt" else None
    kept.note(claim(2), SENT)
    kept.close()
    if other is not None:
        os.fstat(other)
        os.close(other)


def test_a_folder_that_cannot_be_written_is_told_of_before_anything_is_pulled(tmp_path: Path) -> None:
    """No source is asked and no edition is made; `digest check` names it too, and mended, all goes as it would have."""
    (tmp_path / "taken").write_text("a file")
    journal_of = '[store]\njournal = "taken"\n'
    config = write_list(tmp_path, extra=journal_of)
    answer = run("send", "--config", str(config), "--now", DAY_ONE)
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"`journal` of [store] cannot be kept in {tmp_path / 'taken'}: ")
    assert "received" not in answer.stdout
    (status,) = jsons(run("status", "--config", str(config), "--json").stdout)
    assert (status["editions"], status["sources"]) == ([], [])
    checked = jsons(run("check", "--config", str(config), "--json").stdout)
    (finding,) = (each for each in checked if each["subject"] == "journal")
    assert (finding["level"], "is no folder" in finding["says"]) == ("failed", True)
    (tmp_path / "taken").unlink()
    assert run("send", "--config", str(config), "--now", DAY_ONE).returncode == 0


def test_a_full_disk_ends_the_journal_and_not_the_send(folder: Path) -> None:
    """It is said once; half a line stays the last one."""
    done = subprocess.run([sys.executable, "-c", FULL, str(folder)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the send goes on without it") == 1
    (path,) = folder.iterdir()
    (found,) = journal.left(folder, LAB)
    assert found.path == path
    text = path.read_bytes()
    assert (len(text), found.trouble) == (200, "")
    assert len(found.facts) == text.count(b"\n") > 0
    assert not text.endswith(b"\n")


@contextmanager
def held(url: str) -> Iterator[None]:
    """Nothing can be written to deliveries."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        on_sqlite = engine.dialect.name == "sqlite"
        connection.exec_driver_sql("BEGIN IMMEDIATE" if on_sqlite else "BEGIN")
        if not on_sqlite:
            connection.exec_driver_sql("LOCK TABLE deliveries IN EXCLUSIVE MODE")
        yield
        connection.exec_driver_sql("ROLLBACK")
    engine.dispose()


EXPECTED = {
    (OnUnknown.HOLD, True): ({"sent": READERS}, 0),
    (OnUnknown.HOLD, False): ({"sent": READERS - 1, "unknown": 1}, 0),
    (OnUnknown.RESEND, True): ({"sent": READERS}, 0),
    (OnUnknown.RESEND, False): ({"sent": READERS}, 1),
}
"""The statuses in the end, and copies too many."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as running:
        yield running


@POSIX
@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(("on_unknown", "journalled"), EXPECTED)
def test_a_kill_between_the_reply_and_its_commit(
    kind: str, on_unknown: OnUnknown, journalled: bool, nursery: Nursery, databases: Databases, tmp_path: Path
) -> None:
    """With a journal nothing is in doubt and nothing comes twice; without one, one message is or does."""
    with ExitStack() as stack:
        url = databases.url(kind, tmp_path, stack)
        locks = ExitStack()
        stack.enter_context(locks)

        def watch(stage: str) -> None:
            if stage == "accepted" and not server.messages[1:] and not pids:
                locks.enter_context(held(url))
                pids.append(child.pid)

        pids: list[int] = []
        server = stack.enter_context(CollectingServer(watch=watch))
        kept = 'journal = "journal"\n' if journalled else ""
        extra = f'on_unknown = "{on_unknown}"\n[store]\nurl = "{url}"\n{kept}'
        config = str(write_list(tmp_path, READERS, port=server.port, extra=extra))
        child = nursery.start("send", "--config", config, "--now", DAY_ONE)
        until(lambda: pids, "no message was accepted")
        if journalled:
            journal = tmp_path / "journal"
            until(lambda: any(path.stat().st_size for path in journal.iterdir()), "nothing is in the journal")
        time.sleep(0 if journalled else 0.3)
        os.kill(child.pid, 9)
        child.wait()
        locks.close()
        clock = datetime.fromisoformat(DAY_ONE) + PAUSE
        for later in range(2 if on_unknown is OnUnknown.RESEND else 1):
            nursery.run("send", "--config", config, "--now", (clock + later * PAUSE).isoformat())
        told = jsons(nursery.run("deliveries", "--config", config, "--json").stdout)
        statuses, doubled = EXPECTED[on_unknown, journalled]
        assert Counter(delivery["status"] for delivery in told) == statuses
        copies = Counter(server.message_ids)
        assert copies.keys() == {delivery["message_id"] for delivery in told}
        assert copies.total() - len(copies) == doubled
        assert not journalled or list((tmp_path / "journal").iterdir()) == []


@POSIX
def test_kills_at_random_leave_less_in_doubt() -> None:
    """On a slow disk: nothing is lost or untold, and of what kills kept from being recorded less is in doubt."""
    held, sent_again = storms(30, JOURNALLED)
    for storm in (held, sent_again):
        assert (storm.lost, storm.untold) == ([], []), storm.weather
        assert storm.statuses.total() == storm.recipients
    assert not held.doubled
    assert set(sent_again.statuses) == {DeliveryStatus.SENT}
    # Without a journal all that was accepted and not recorded is in doubt, as `test_kills.py` has it.
    in_doubt = held.statuses[DeliveryStatus.UNKNOWN] - held.total(Window.INTENT), sent_again.doubled.total()
    unrecorded = held.total(Window.ACCEPTED), sent_again.total(Window.ACCEPTED)
    assert in_doubt[0] <= unrecorded[0]
    assert in_doubt[1] <= unrecorded[1]
    assert sum(in_doubt) < sum(unrecorded)
