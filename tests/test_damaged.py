"""One damaged row in the database keeps nobody else waiting: whatever it is, the others get their edition."""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from digest.model import Claim, DeliveryStatus, Envelope, Profile
from digest.pull.dedupe import merge
from digest.send.drain import drain
from digest.send.outbox import DrainReport
from digest.send.routes import Route
from digest.store import Database, Editions, Kind, Members, Subscribers, schema
from digest.store.times import UtcTime
from tests.factories import NOW, TODAY, paper, report, selection, subscriber
from tests.lists import DAY_TWO
from tests.servers.smtp import CollectingServer
from tests.test_deliveries import GREYLISTS, digest, send_again, sent, statuses
from tests.test_ledger import LAB, World
from tests.test_outbox import FakeRelay, compose
from tests.test_pruning import History, prune


def damage(config: Path, statement: str) -> None:
    """Changes one row of the list's database, as a bad disk or a hand might."""
    with closing(sqlite3.connect(config.parent / "digest.db")) as database, database:
        assert database.execute(statement).rowcount == 1


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE subscribers SET profile = '[{', has_chosen = 1 WHERE id = 1", "what subscriber 1 wants"),
        ("UPDATE deliveries SET picks = '[{' WHERE id = 1", "what edition 1 brought subscriber 1"),
        ("UPDATE papers SET paper = '{' WHERE rowid = 1", "paper arxiv:"),
        ("UPDATE announcements SET paper = '{', edition_id = NULL WHERE id = 1", "announcement 1"),
        ("UPDATE source_health SET summary = '{' WHERE source = 'arxiv'", "how it went with source arxiv"),
        ("UPDATE source_health SET good_at = 'once' WHERE source = 'arxiv'", "a time"),
        ("UPDATE subscribers SET created_at = 'yesterday' WHERE id = 1", "a time"),
        ("UPDATE subscribers SET frequency = 'often', has_chosen = 1 WHERE id = 1", "how often subscriber 1 wants it"),
        ("UPDATE subscribers SET hour = 77, has_chosen = 1 WHERE id = 1", "the hour of subscriber 1"),
        ("UPDATE subscribers SET paused_until = 2026-07-01 WHERE id = 1", "a day"),  # a number: 2018
        ("UPDATE announcements SET announced_on = 'one day', edition_id = NULL WHERE id = 1", "a day"),
        ("INSERT INTO votes SELECT 1, id, 'more', 'yesterday' FROM papers LIMIT 1", "a time"),
    ],
)
def test_the_next_edition_goes_out_all_the_same(tmp_path: Path, statement: str, told: str) -> None:
    """To both readers; what is damaged is named."""
    config, _ = sent(tmp_path)
    damage(config, statement)
    with CollectingServer() as server:
        config.write_text(re.sub(r"(?m)^port = \d+", f"port = {server.port}", config.read_text()))
        answer = digest(config, "send", "--at-their-hour", now=DAY_TWO)
        assert (answer.returncode, len(server.message_ids)) == (0, 2)
    assert len(re.findall(rf"{told}\S* cannot be read in the database", answer.stderr)) == 1


def test_a_zone_that_is_no_more_is_the_lists(tmp_path: Path) -> None:
    """Zones come and go with the system's tzdata: who is there gets it by the list's clock, and it is told once."""
    config, _ = sent(tmp_path)
    for reader in (1, 2):
        damage(config, f"UPDATE subscribers SET timezone = 'Mars/Base', has_chosen = 1 WHERE id = {reader}")
    with CollectingServer() as server:
        config.write_text(re.sub(r"(?m)^port = \d+", f"port = {server.port}", config.read_text()))
        answer = digest(config, "send", "--at-their-hour", now=DAY_TWO)
        assert (answer.returncode, len(server.message_ids)) == (0, 2)
    assert answer.stderr.count("this machine does not know the time zone Mars/Base: ") == 1


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE subscribers SET paused_until = 'soon' WHERE id = 1", "a day"),
        ("UPDATE subscribers SET subscription = 'maybe' WHERE id = 1", "whether subscriber 1 is subscribed"),
    ],
)
def test_who_may_not_want_it_is_sent_nothing(tmp_path: Path, statement: str, told: str) -> None:
    """The other gets his; and all people can be listed, where what is damaged is named."""
    config, _ = sent(tmp_path)
    damage(config, statement)
    listed = digest(config, "subscribers", "list", now=DAY_TWO)
    assert (listed.returncode, listed.stderr.count(f"{told} cannot be read in the database")) == (0, 1)
    with CollectingServer() as server:
        config.write_text(re.sub(r"(?m)^port = \d+", f"port = {server.port}", config.read_text()))
        answer = digest(config, "send", now=DAY_TWO)
        assert (answer.returncode, len(server.message_ids)) == (0, 1)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE source_health SET summary = '{' WHERE source = 'arxiv'", "how it went with source arxiv"),
        ("UPDATE source_health SET pulled_at = 'once' WHERE source = 'arxiv'", "a time"),
        ("INSERT INTO votes SELECT 1, id, 'more', 'yesterday' FROM papers LIMIT 1", "the day of a vote"),
        ("INSERT INTO votes SELECT 1, id, 'perhaps', '2026-06-09' FROM papers LIMIT 1", "what a vote says"),
        ("INSERT INTO relay_days VALUES ('relay', 'once', 1)", "a day"),
    ],
)
def test_all_else_is_shown(tmp_path: Path, statement: str, told: str) -> None:
    """By `digest status`, which names what is damaged."""
    config, _ = sent(tmp_path)
    damage(config, statement)
    answer = digest(config, "status", now=DAY_TWO)
    assert answer.returncode == 0
    assert "2 sent = 2 recipients" in answer.stdout
    (line,) = [line for line in answer.stderr.splitlines() if "cannot be read in the database" in line]
    assert told in line


def test_a_backup_takes_the_place_of_what_is_damaged(tmp_path: Path) -> None:
    """That is what it is for; what the damaged one says of who has left since is taken over all the same."""
    config, _ = sent(tmp_path)
    backup = str(tmp_path / "backup.db")
    assert digest(config, "backup", backup).returncode == 0
    damage(config, "INSERT INTO relay_days VALUES ('relay', 'once', 1)")
    damage(config, "UPDATE subscribers SET subscription = 'unsubscribed' WHERE id = 1")
    answer = digest(config, "restore", backup, now=DAY_TWO)
    assert answer.returncode == 0, answer.stderr
    left = digest(config, "subscribers", "list", "--status", "unsubscribed", now=DAY_TWO)
    assert "reader0@example.org" in left.stdout


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("cutoff = 'once'", "time in the database cannot be read: Invalid isoformat string: 'once'"),
        ("due_on = 'once'", "day in the database cannot be read: Invalid isoformat string: 'once'"),
        ("due_on = 20260609", "day in the database cannot be read: 20260609 is no day"),
    ],
)
def test_what_much_hangs_on_is_not_guessed(tmp_path: Path, statement: str, what: str) -> None:
    """An edition's own time decides what the next one is made of: without it none is made, and it is said why."""
    config, _ = sent(tmp_path)
    damage(config, f"UPDATE editions SET {statement} WHERE id = 1")
    answer = digest(config, "send", now=DAY_TWO)
    assert answer.returncode == 1
    assert f"a {what}; a backup" in answer.stderr


def test_a_damaged_candidate_is_missed_by_whom_it_was_picked_for(tmp_path: Path) -> None:
    """Her message cannot be what was frozen, and is deferred; the other leaves, and all can be shown."""
    config, _ = sent(tmp_path, GREYLISTS)
    has = "LIKE '%' || paper_id || '%' AND address LIKE"
    damage(
        config,
        "UPDATE edition_papers SET candidate = '{' WHERE rowid = (SELECT min(rowid) FROM edition_papers WHERE "
        f"EXISTS (SELECT 1 FROM deliveries WHERE picks {has} 'reader0%') AND "
        f"NOT EXISTS (SELECT 1 FROM deliveries WHERE picks || beside {has} 'reader1%'))",
    )
    answer, (_,) = send_again(config, tmp_path)
    assert answer.returncode == 1
    assert "candidate arxiv:" in answer.stderr
    assert statuses(config) == {"reader0@example.org": "deferred", "reader1@example.org": "sent"}
    shown = digest(config, "deliveries", "--to", "reader0@example.org")
    assert (shown.returncode, shown.stdout.count("cannot be read any more")) == (0, 1)


def test_what_sources_gave_is_done_without(tmp_path: Path) -> None:
    """An edition without its sources' summaries is sent and finished, and does not stand before those after it."""
    config, _ = sent(tmp_path, GREYLISTS)
    damage(config, "UPDATE editions SET sources = '{'")
    answer, received = send_again(config, tmp_path)
    assert (answer.returncode, len(received)) == (0, 2)
    assert "what sources gave to edition 1 cannot be read" in answer.stderr


def test_a_reader_whose_wishes_are_damaged_is_claimed(database: Database) -> None:
    """She counts as one who has said nothing, until she chooses anew: the others' claims are not lost with hers."""
    world = World(database, readers=3)
    with database.write() as connection:
        connection.execute(sa.update(schema.subscribers).where(schema.subscribers.c.id == 2).values(profile="{"))
    claims = world.ledger().claim(3)
    assert [claim.subscriber.id for claim in claims] == [1, 2, 3]
    assert claims[1].subscriber.profile == Profile()
    assert len(list(Members(database, LAB).all())) == 3


def test_what_she_got_and_nobody_can_read_does_not_come_twice(database: Database) -> None:
    """Of an edition whose picks for her are damaged she counts as having got all its papers; another only her own."""
    editions, people = Editions(database), Subscribers(database)
    people.synchronise(LAB, [subscriber(1), subscriber(2)])
    first = editions.freeze(LAB, TODAY, NOW, [report(1, 2)], merge, ())
    (readers,) = editions.recipients(first)
    editions.enqueue(first, [(each, selection(1), f"<{each.id}@x>") for each in readers], NOW, None)
    with database.write() as connection:
        hers = schema.deliveries.c.subscriber_id == readers[0].id
        connection.execute(sa.update(schema.deliveries).where(hers).values(picks="[{"))
    again = [report(1, 2, source="second")]
    second = editions.freeze(LAB, TODAY + timedelta(days=1), NOW + timedelta(days=1), again, merge, ())
    got = editions.already_sent(readers, editions.candidates(second), {}, second)
    assert [set(got[reader.id]) for reader in readers] == [{paper(1).id, paper(2).id}, {paper(1).id}]


def test_pruning_leaves_what_is_damaged(database: Database) -> None:
    """It stays as it is, and all the rest goes."""
    history = History(database, random.Random(7))
    while len(history.all_editions()) < 3:
        history.day()
    with database.write() as connection:
        connection.execute(sa.text("UPDATE deliveries SET status = 'sent'"))
        connection.execute(
            sa.text("UPDATE editions SET recipients = 4, recipients_frozen_at = cutoff, finished_at = cutoff")
        )
        for table, column in (("deliveries", "picks"), ("edition_papers", "candidate"), ("announcements", "paper")):
            broken = f"{column} = '{{' || {column}"
            connection.execute(sa.text(f"UPDATE {table} SET {broken} WHERE {column} LIKE '%e%' AND edition_id = 1"))
        connection.execute(sa.text("UPDATE subscribers SET profile = '{' || profile WHERE id = 1"))
    counts = prune(database, history.now + timedelta(days=400))
    assert counts[Kind.ABSTRACTS] > 0
    with database.read() as connection:
        left = connection.execute(sa.text("SELECT count(*) FROM edition_papers WHERE candidate LIKE '%abstract%'"))
        broken_ones = connection.execute(sa.text("SELECT count(*) FROM edition_papers WHERE edition_id = 1"))
        assert left.scalar_one() == broken_ones.scalar_one()
        whole = connection.execute(sa.text("SELECT picks FROM deliveries WHERE edition_id > 1")).scalars()
        assert not [picks for picks in whole if "reasons" in picks]


def test_a_reason_that_no_database_takes_is_kept_in_part(database: Database) -> None:
    """Half a character, or a NUL, in the text of an error: its delivery is deferred alone, and the other is sent."""
    world = World(database, readers=2)

    def faulty(claim: Claim) -> tuple[Envelope, bytes]:
        if claim.subscriber.id == 1:
            raise ValueError("half \ud800 and nothing \0")
        return compose(claim)

    async def send() -> DrainReport:
        return await drain(world.ledger(), [Route(FakeRelay())], faulty, now=world.clock, stop=asyncio.Event())

    assert asyncio.run(send()).counts == {DeliveryStatus.DEFERRED: 1, DeliveryStatus.SENT: 1}
    assert world.deliveries()[0].reply == "could not be composed: half ? and nothing ?"


def test_a_time_that_was_written_by_hand_without_a_zone_is_utc() -> None:
    """It is read, and not taken for damaged."""
    read = UtcTime().process_result_value("2026-06-09 07:00", sqlite.dialect())
    assert read == datetime(2026, 6, 9, 7, tzinfo=UTC)
