"""`digest prune`: what goes, and what must never go with it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.commands.pruning import Housekeeper
from digest.ledger import Intent, Result
from digest.members import Ballot, CastVote, Entry, Preferences, Subscription
from digest.model import (
    NOBODY,
    SOFT_BOUNCES,
    Address,
    Bounce,
    BounceKind,
    DeliveryStatus,
    Edition,
    ListId,
    Outcome,
    Profile,
    Retention,
    Signal,
    SourceReport,
    Subscriber,
)
from digest.pull.dedupe import merge
from digest.settings import load
from digest.store import (
    Archive,
    Bounces,
    Database,
    DeliveryLedger,
    Editions,
    Figures,
    Kind,
    Letters,
    Members,
    Papers,
    Past,
    Pruning,
    Subscribers,
    condensing,
    copies,
    open_database,
)
from digest.store.already_sent import NEVER_ARRIVED
from tests.conftest import THOROUGH
from tests.factories import NOW, announcement, paper, selection, subscriber
from tests.lists import DAY_ONE, DAY_TWO, write_list
from tests.nursery import Nursery, folder_in_memory
from tests.servers.smtp import CollectingServer
from tests.test_backups import ask, content
from tests.test_cli import jsons, run

LAB = ListId("lab")
READERS = 4
AGE = timedelta(days=30)
KEPT = Retention(AGE, AGE, AGE)


def prune(database: Database, now: datetime, *, newest: int = 3, stop_after: int | None = None) -> dict[Kind, int]:
    counts: dict[Kind, int] = {}
    for number, (kind, count) in enumerate(Pruning(database, {LAB: KEPT}, newest, now).batches(), 1):
        counts[kind] = counts.get(kind, 0) + count
        if number == stop_after:
            break
    return {kind: count for kind, count in counts.items() if count}


@dataclass
class History:
    """A list whose days go by; which day does what is up to chance."""

    database: Database
    chance: random.Random
    now: datetime = NOW
    next_paper: int = 1

    def __post_init__(self) -> None:
        self.editions = Editions(self.database)
        self.papers = Papers(self.database)
        self.subscribers = Subscribers(self.database)
        self.members = Members(self.database, LAB)
        named = Profile(examples=(paper(2).id,), topics=subscriber(1).profile.topics)
        people = [subscriber(n) for n in range(1, READERS)] + [subscriber(READERS, profile=named)]
        self.subscribers.synchronise(LAB, people)
        self.people: tuple[Subscriber, ...] = self.subscribers.reachable(LAB)

    def day(self) -> None:
        """An edition of new papers and of one from before, sent to its end or not; a vote, a bounce, a letter."""
        self.now += timedelta(days=self.chance.choice((1, 1, 7)))
        numbers = range(self.next_paper, self.next_paper + self.chance.randint(1, 3))
        self.next_paper = numbers.stop
        again = self.chance.randint(1, numbers.stop)
        seen = (*(announcement(n) for n in numbers), announcement(again, "second"))
        signals = tuple(Signal(a.paper.id, "upvotes", 3.0, self.now) for a in seen)
        report = SourceReport("arxiv", seen, signals=signals)
        if self.chance.random() < 0.2:
            self.papers.record(LAB, (report,), self.now)
            return
        edition = self.editions.freeze(LAB, self.now.date(), self.now, (report,), merge, ())
        candidates = [c.paper.id for c in self.editions.candidates(edition)]
        beside = selection(*numbers).picks
        chosen = [
            (
                person,
                replace(selection(*numbers), picks=tuple(p for p in beside if self.chance.random() < 0.8)),
                f"<{edition.number}.{person.id}@example.org>",
            )
            for person in self.people
        ]
        self.editions.enqueue(edition, chosen, self.now, None)
        if self.chance.random() < 0.9:
            self.editions.close_recipients(edition, self.now)
            self._send()
        self.editions.finish(edition, self.now)
        person = self.chance.choice(self.people)
        if self.chance.random() < 0.5:
            self.members.vote(person.id, CastVote(self.chance.choice(candidates), Ballot.MORE, self.now))
        Letters(self.database, LAB).put("help", person.address, b"text", self.now)

    def _send(self) -> None:
        ledger = DeliveryLedger(self.database, LAB, lambda: self.now)
        outcomes = (DeliveryStatus.SENT,) * 8 + (
            DeliveryStatus.BOUNCED,
            DeliveryStatus.UNKNOWN,
            DeliveryStatus.DEFERRED,
        )
        for claim in ledger.claim(100):
            status = self.chance.choice(outcomes)
            again = self.now + timedelta(days=1) if status is DeliveryStatus.DEFERRED else None
            ledger.commit([Intent(claim), Result(claim, Outcome(status, reply=f"{status} it was"), again)])
            if status is DeliveryStatus.SENT and self.chance.random() < 0.2:
                bounce = Bounce(claim.delivery.id, BounceKind.SOFT, "4.2.2", "mailbox full")
                Bounces(self.database, LAB).record(bounce, lambda *_: False, self.now)

    def all_editions(self) -> list[Edition]:
        return [overview.edition for overview in reversed(self.editions.recent(LAB, 1000))]

    def invariants(self) -> dict[str, Any]:
        """What no pruning may change."""
        editions, everything = self.all_editions(), tuple(paper(n) for n in range(1, self.next_paper))
        tomorrow = Edition(editions[-1].id + 1, LAB, 9999, self.now.date(), None, self.now)  # type: ignore[arg-type]
        everybody = [announcement(n) for n in range(1, self.next_paper)]
        candidates = merge(everybody, ())
        voted = {vote.paper_id for person in self.people for vote in self.members.votes(person.id)}
        archive = Archive(self.database, LAB)
        ids = [person.id for person in self.people]
        overviews = [self.editions.overview(edition) for edition in editions]
        doubt = (DeliveryStatus.UNKNOWN, DeliveryStatus.DEFERRED, DeliveryStatus.QUEUED)
        still_open = {o.edition.id for o in overviews if o.finished_at is None or any(map(o.counts.get, doubt))}
        return {
            "already sent": self.editions.already_sent(self.people, candidates, {}, tomorrow),
            "announced": self.papers.unseen(LAB, (*everybody, announcement(9_999))),
            "counts": [
                (o.edition, o.recipients, o.counts, o.adds_up, o.came_back, o.candidates, o.finished_at)
                for o in overviews
            ],
            "replies": [o.replies for o in overviews if o.edition.id in still_open],
            "figures": Figures(self.database).read(NOW.date(), self.now).lists[LAB].editions,
            "waiting": self.papers.pending(LAB),
            "people with their votes": self.subscribers.reachable(LAB),
            "texts of what they name": self.papers.known({*voted, paper(2).id}),
            "the newest": self.papers.background(self.now, 3),
            "archive": [
                (p.id, (found := archive.paper(p.id)) and (found[0].paper.title, found[1])) for p in everything
            ],
            "open": [
                (self.editions.candidates(e), self.editions.deliveries(e)) for e in editions if e.id in still_open
            ],
            "replay": [((past := Past(self.database, LAB)).sent(e, ids), past.recipients(e)) for e in editions],
            "export": [held_of_papers(self.members.held(member)) for member in self.members.all()],
        }


def held_of_papers(held: dict[str, Any]) -> list[tuple[int, str, bool, list[str]]]:
    """Of all that is held about somebody, which edition had which papers for her, and whether it arrived."""
    rows = [
        (d["number"], d["due_on"], d["status"] not in NEVER_ARRIVED, [pick["paper_id"] for pick in d["picks"]])
        for d in held["deliveries"]
    ]
    return sorted(
        rows + [(each["number"], each["due_on"], each["arrived"], each["papers"]) for each in held["received"]]
    )


@pytest.mark.no_cover
@settings(max_examples=50 if THOROUGH else 10, deadline=None)
@given(st.integers(0, 2**32), st.integers(3, 14), st.integers(1, 400), st.integers(1, 40))
def test_whatever_has_happened_pruning_changes_nothing_that_counts(
    seed: int, days: int, later: int, stop_after: int
) -> None:
    """Any history, pruned at any time, broken off anywhere and done again: what must stay is there as it was."""
    database = open_database("sqlite://")
    history = History(database, random.Random(seed))
    try:
        for _ in range(days):
            history.day()
        history.now += timedelta(days=later)
        if not history.all_editions():
            return
        before = history.invariants()
        with mock.patch.multiple(condensing, RANGE=3, IN_A_STATEMENT=3):
            prune(database, history.now, stop_after=stop_after)
            assert history.invariants() == before
            prune(database, history.now)
        assert history.invariants() == before
        assert prune(database, history.now) == {}, "a second time there is nothing left"
        history.day()
        history.day()
    finally:
        database.close()


def test_each_kind_goes_at_its_time(database: Database) -> None:
    """Counted before and after: what is older than the config says goes, what is younger stays."""
    history = History(database, random.Random(7))
    while len(history.all_editions()) < 12:
        history.day()
    before = history.all_editions()[-SOFT_BOUNCES].cutoff
    with database.write() as connection:
        connection.execute(
            sa.text("UPDATE deliveries SET status = 'sent' WHERE status IN ('unknown', 'deferred', 'queued')")
        )
        connection.execute(
            sa.text("UPDATE editions SET recipients = 4, recipients_frozen_at = cutoff, finished_at = cutoff")
        )
        connection.execute(sa.text("UPDATE letters SET next_attempt_at = NULL"))
        connection.execute(sa.text("INSERT INTO relay_days VALUES ('one', '2020-01-01', 5), ('one', '2030-01-01', 5)"))

    def left() -> dict[str, int]:
        texts = {
            "old abstracts": "SELECT count(*) FROM edition_papers JOIN editions e ON e.id = edition_id "
            "WHERE candidate LIKE '%\"abstract\"%' AND e.cutoff < :at",
            "new abstracts": "SELECT count(*) FROM edition_papers JOIN editions e ON e.id = edition_id "
            "WHERE candidate LIKE '%\"abstract\"%' AND e.cutoff >= :at",
            "old announced abstracts": "SELECT count(*) FROM announcements JOIN editions e ON e.id = edition_id "
            "WHERE paper LIKE '%\"abstract\"%' AND e.cutoff < :at",
            "old deliveries": "SELECT count(*) FROM deliveries JOIN editions e ON e.id = edition_id "
            "WHERE e.cutoff < :at",
            "new deliveries": "SELECT count(*) FROM deliveries JOIN editions e ON e.id = edition_id "
            "WHERE e.cutoff >= :at",
            "old bounces": "SELECT count(*) FROM bounces b JOIN deliveries d ON d.id = b.delivery_id "
            "JOIN editions e ON e.id = d.edition_id WHERE e.cutoff < :at",
            "all bounces": "SELECT count(*) FROM bounces",
            "old figures": "SELECT count(*) FROM signals WHERE observed_at < :at "
            "AND paper_id NOT IN (SELECT paper_id FROM announcements WHERE edition_id IS NULL)",
            "new figures": "SELECT count(*) FROM signals WHERE observed_at >= :at",
            "old letters": "SELECT count(*) FROM letters WHERE written_at < :at",
            "new letters": "SELECT count(*) FROM letters WHERE written_at >= :at",
            "relay days": "SELECT count(*) FROM relay_days",
            "papers": "SELECT count(*) FROM papers",
        }
        at = before.isoformat(timespec="microseconds")
        with database.read() as connection:
            return {name: connection.execute(sa.text(text), {"at": at}).scalar_one() for name, text in texts.items()}

    was = left()
    counts = prune(database, before + AGE)
    now = left()
    old = [name for name in was if name.startswith("old")]
    assert all(was[name] for name in was), was
    assert [now[name] for name in old] == [0] * len(old), now
    assert {n: now[n] for n in now if n.startswith("new")} == {n: was[n] for n in was if n.startswith("new")}
    assert (was["relay days"], now["relay days"]) == (2, 1)
    assert now["papers"] == was["papers"] - counts[Kind.PAPERS]
    assert counts[Kind.ABSTRACTS] == was["old abstracts"] + was["old announced abstracts"]
    assert counts[Kind.FIGURES] == was["old figures"]
    assert counts[Kind.DELIVERIES] == was["old deliveries"]
    assert now["all bounces"] == was["all bounces"] - was["old bounces"]
    assert counts[Kind.LETTERS] == was["old letters"]


def test_a_history_is_pruned_alike_on_both_databases(database: Database) -> None:
    """What counts is untouched on PostgreSQL as well, and a second time there is nothing left."""
    history = History(database, random.Random(11))
    for _ in range(8):
        history.day()
    history.now += timedelta(days=60)
    before = history.invariants()
    went = prune(database, history.now)
    assert {Kind.ABSTRACTS, Kind.DELIVERIES, Kind.FIGURES} <= went.keys()
    assert history.invariants() == before
    assert prune(database, history.now) == {}


def test_for_ever_means_for_ever(database: Database) -> None:
    """With every kind on "forever", nothing of a list goes, however old."""
    history = History(database, random.Random(3))
    for _ in range(6):
        history.day()
    with database.read() as connection:
        before = connection.exec_driver_sql("SELECT sum(length(candidate)) FROM edition_papers").scalar()
    forever = Pruning(database, {LAB: Retention(None, None, None)}, 3, history.now + timedelta(days=9999))
    assert sum(count for _, count in forever.batches()) == 0
    shared = Pruning(
        database, {LAB: Retention(None, None, None), ListId("b"): KEPT}, 3, history.now + timedelta(days=9999)
    )
    assert sum(count for _, count in shared.batches()) == 0, "what lists share, the longest of them keeps"
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT sum(length(candidate)) FROM edition_papers").scalar() == before


def test_who_never_confirmed_is_forgotten_and_nobody_else(database: Database) -> None:
    """Once she was asked for the last time so long ago as letters are kept; all that is left is her number."""
    long_ago, lately = NOW - AGE - timedelta(seconds=1), NOW - timedelta(days=4)
    lab, other = Members(database, LAB), Members(database, ListId("b"))
    names = ("silent", "Asked.Again", "confirmed", "left", "suppressed", "configured", "added", "new")
    asked = {name: lab.add(Address(f"{name}@example.org"), Preferences(name), long_ago) for name in names[:-1]}
    lab.add(Address("new@example.org"), Preferences("new"), lately)
    other.add(Address("silent@example.org"), Preferences("silent"), long_ago)
    lab.add(Address("asked.again@example.org"), Preferences("again"), lately)
    lab.confirm(asked["confirmed"].id, long_ago)
    lab.unsubscribe(asked["left"].id)
    Subscribers(database).suppress(Address("suppressed@example.org"), "by hand", long_ago)
    Subscribers(database).synchronise(LAB, [Subscriber(NOBODY, Address("configured@example.org"))])
    Subscribers(database).synchronise(LAB, [])
    lab.enrol([Entry(Address("added@example.org"), Preferences("added"))], lambda _: False, long_ago)
    before = {member.address: member for member in lab.all()}
    dry = Pruning(database, {LAB: KEPT}, 3, NOW, dry_run=True)
    assert [count for kind, count in dry.batches() if kind is Kind.UNCONFIRMED] == [1]
    assert sum(count for _, count in Pruning(database, {LAB: Retention(AGE, AGE, None)}, 3, NOW).batches()) == 0
    assert {member.address: member for member in lab.all()} == before
    assert prune(database, NOW) == {Kind.UNCONFIRMED: 1}
    del before[Address("silent@example.org")]
    assert {member.address: member for member in lab.all()} == before
    assert [member.preferences.name for member in other.all()] == ["silent"]
    assert prune(database, NOW) == {}
    with database.read() as connection:
        people = connection.execute(sa.text("SELECT * FROM subscribers WHERE list_id = 'lab'")).all()
    assert len(people) == len(names)
    assert "silent" not in str(people)


def test_who_was_forgotten_may_ask_again_and_has_another_number(database: Database) -> None:
    """A number is given once: by it a link that somebody has knows whose it is."""
    lab, address = Members(database, LAB), Address("ada@example.org")
    first = lab.add(address, Preferences("Ada"), NOW - 2 * AGE)
    prune(database, NOW)
    assert (lab.get(first.id), lab.find(address), lab.confirm(first.id, NOW)) == (None, None, None)
    again = lab.add(address, Preferences("Ada Q."), NOW)
    assert again.id > first.id
    assert (
        lab.confirm(again.id, NOW)
        == lab.find(address)
        == replace(again, subscription=Subscription.CONFIRMED, signed_up=True, has_chosen=True, confirmed_at=NOW)
    )


# --- the command ----------------------------------------------------------------------------------------------------

YEAR_LATER = "2027-07-01T06:00:00+00:00"


def test_the_command_counts_first_and_prunes_then(tmp_path: Path) -> None:
    """`--dry-run` changes nothing and tells what then goes; a paper sent a year ago is not sent again."""
    config = write_list(tmp_path)
    path = tmp_path / "digest.db"
    for day in (DAY_ONE, DAY_TWO):
        run("send", "--config", str(config), "--now", day)
    before = content(path)
    common = ("prune", "--config", str(config), "--now", YEAR_LATER, "--json")
    (would,) = jsons(run(*common, "--dry-run").stdout)
    assert content(path) == before
    (did,) = jsons(run(*common, "--vacuum").stdout)
    assert would["removed"] == did["removed"]
    assert {"abstracts", "deliveries", "figures"} <= did["removed"].keys()
    assert (did["free"], did["bytes"] < would["bytes"]) == (0, True)
    (status,) = jsons(run("status", "--config", str(config), "--json").stdout)
    assert [edition["adds_up"] for edition in status["editions"]] == [True, True]
    for command in (["deliveries"], ["retry"], ["resolve"], ["resolve", "--delivered"]):
        told = run(*command, "1", "--to", "reader0@example.org", "--config", str(config))
        assert told.returncode == 3, told
        assert "2 sent = 2 recipients" in told.stdout
        assert "its deliveries were let go of after the time that `deliveries` of [retention] says" in told.stdout
    (told_json,) = jsons(run("deliveries", "1", "--config", str(config), "--json").stdout)
    assert (told_json["let_go"], told_json["counts"]) == (True, {"sent": 2})
    with_another = config.read_text(encoding="utf-8").replace('kind = "arxiv"', 'kind = "arxiv"\nname = "a second"')
    config.write_text(with_another, encoding="utf-8")
    outbox = len(list((tmp_path / "outbox" / "new").iterdir()))
    run("send", "--config", str(config), "--now", "2026-06-10T23:00Z")
    run("send", "--config", str(config), "--now", "2026-06-11T06:00Z")
    assert len(list((tmp_path / "outbox" / "new").iterdir())) > outbox > 0
    export = ("subscribers", "export", "--json", "--to", "reader0@example.org", "--config", str(config))
    held = held_of_papers(json.loads(run(*export).stdout))
    ids = [paper_id for _, _, _, papers in held for paper_id in papers]
    assert ([number for number, *_ in held], len(ids)) == ([1, 2, 3], len(set(ids)))


def test_what_failed_a_year_ago_can_still_be_sent(tmp_path: Path) -> None:
    """Where deliveries are kept for ever, `digest retry` of a pruned edition sends it, without the abstracts."""
    with CollectingServer() as server:
        config = write_list(tmp_path, port=server.port, extra='\n[retention]\ndeliveries = "forever"\n')
        run("send", "--config", str(config), "--now", DAY_ONE)
        ask(tmp_path / "digest.db", "UPDATE deliveries SET status = 'bounced', reply = '550 no' WHERE id = 1")
        assert run("prune", "--config", str(config), "--now", YEAR_LATER).returncode == 0
        ((mine,),) = ask(tmp_path / "digest.db", "SELECT message_id FROM deliveries WHERE id = 1")
        run("retry", "1", "--config", str(config), "--now", YEAR_LATER)
        run("send", "--config", str(config), "--now", YEAR_LATER)
        again = [message.data for message in server.messages if message.message_id == mine]
        assert len(again) == 2
        assert len(again[1]) < len(again[0])


def test_pruning_and_sending_at_once_lose_nothing(tmp_path: Path) -> None:
    """While another process sends, pruning goes on beside it: every message leaves once."""
    with CollectingServer() as server:
        config = write_list(tmp_path, readers=30, port=server.port)
        run("send", "--config", str(config), "--now", DAY_ONE)
        sending = start_at(config, DAY_TWO)
        while sending.poll() is None:
            run("prune", "--config", str(config), "--now", YEAR_LATER)
        out, err = sending.communicate()
        assert sending.returncode == 0, (out, err)
        assert len(server.message_ids) == len(set(server.message_ids)) == 60
    (status,) = jsons(run("status", "--config", str(config), "--json").stdout)
    assert [(edition["adds_up"], edition["counts"]) for edition in status["editions"]] == [(True, {"sent": 30})] * 2


def start_at(config: Path, now: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "digest", "send", "--config", str(config), "--now", now]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def die_at_write(at: int) -> None:
    """Has this process killed inside its `at`th transaction, before the commit."""
    writes = 0
    original = Database.write

    @contextmanager
    def write(self: Database, *, alone: bool = True) -> Iterator[sa.Connection]:
        nonlocal writes
        with original(self, alone=alone) as connection:
            yield connection
            writes += 1
            if writes == at:
                os.kill(os.getpid(), signal.SIGKILL)

    Database.write = write  # type: ignore[method-assign]


@pytest.mark.skipif(sys.platform == "win32", reason="kills by SIGKILL")
def test_a_prune_that_is_killed_goes_on_the_next_time() -> None:
    """Killed in any of its transactions: nothing that counts is lost, and the next one ends where one alone would."""
    with Nursery() as nursery, folder_in_memory() as folder:
        config = write_list(folder)
        path = folder / "digest.db"
        for day in (DAY_ONE, DAY_TWO):
            run("send", "--config", str(config), "--now", day)
        whole = path.read_bytes()
        prune = ("prune", "--config", str(config), "--now", YEAR_LATER)
        assert run(*prune).returncode == 0
        pruned = content(path)
        kills = 0
        # The second edition's abstracts; of the first one's deliveries each step; the next one's.
        for at in range(2, 8):
            path.write_bytes(whole)
            kills += nursery.run(*prune, first=partial(die_at_write, at)).returncode == -signal.SIGKILL
            assert ask(path, "PRAGMA quick_check") == [("ok",)]
            assert run(*prune).returncode == 0
            assert content(path) == pruned
        assert kills == 6


def test_digest_run_prunes_once_a_day_and_keeps_the_database_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pruned at its first hour, and not again before a day has gone; meanwhile nothing can be restored."""
    monkeypatch.setattr(copies, "PATIENCE", 0.2)
    config = write_list(tmp_path)
    path = tmp_path / "digest.db"
    run("send", "--config", str(config), "--now", DAY_ONE)
    copy = tmp_path / "copy.db"
    run("backup", str(copy), "--config", str(config))
    clock = datetime.fromisoformat(YEAR_LATER)
    pruned: list[datetime] = []

    async def go() -> None:
        nonlocal clock
        keeper = Housekeeper(load([config]).lists, lambda: clock, asyncio.Event(), lambda same: same)
        for _ in range(30):
            before = content(path)
            await keeper.keep()
            if content(path) != before:
                pruned.append(clock)
            with closing(sqlite3.connect(path)) as raw, raw:
                raw.execute("INSERT OR IGNORE INTO relay_days VALUES ('one', '2020-01-01', 5)")
            clock += timedelta(hours=1)
        refused = await asyncio.to_thread(run, "restore", str(copy), "--config", str(config))
        assert (refused.returncode, "is in use by another digest" in refused.stderr) == (1, True)
        await keeper.finished()

    asyncio.run(go())
    start = datetime.fromisoformat(YEAR_LATER)
    assert pruned == [start, start + timedelta(hours=24)]
    assert run("restore", str(copy), "--config", str(config)).returncode == 0
