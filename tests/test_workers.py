"""What operators see of a list that many hosts work on: workers, shards, what is late, what is done, what is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from lxml import html
from prometheus_client.parser import text_string_to_metric_families

from digest.app import App
from digest.check.findings import Level, worst
from digest.check.server import of_clock, of_database, of_queue, server
from digest.dispatch.among_workers import AmongWorkers
from digest.dispatch.procrastinate import ProcrastinateQueue
from digest.dispatch.shard import HELD_UP
from digest.errors import StoreError
from digest.ledger import Intent, Result
from digest.model import DeliveryStatus, ListId, Outcome, Pause, Shard
from digest.pull.dedupe import merge
from digest.results import QUIET
from digest.send.outbox import DrainReport
from digest.settings import load
from digest.store import DeliveryLedger, Editions, Pauses, Shards, Subscribers, open_database
from digest.store.relay_turns import RelayTurns, places
from digest.store.rows import rows_of
from digest.store.server import ServerFacts
from digest.store.shards import TRIES, cut
from digest.worker import Worker
from tests.databases import Databases
from tests.factories import NOW, TODAY, report, selection, subscriber
from tests.lists import write_list
from tests.servers.postgres import missing
from tests.servers.smtp import CollectingServer, rejects_mail_from
from tests.test_cli import Answer, run
from tests.test_operators import Served
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(missing()), reason=missing() or "")]

LAB = ListId("lab")
RELAY = '\n[smtp]\nhost = "localhost"\nname = "main"\nconnections = 8\nrate = "600/minute"\n'
SENT = Outcome(DeliveryStatus.SENT, "2.0.0", "250 2.0.0 Ok")
BEGAN = "2026-06-09T06:00:00.000000+00:00"


class World:
    """A list on PostgreSQL: an edition of seven readers in three shards, of which nothing has been done."""

    def __init__(self, url: str, folder: Path):
        self.url = url
        self.config = write_list(folder, extra=f'[store]\nurl = "{url}"\n{RELAY}\n[web]\nstatus_public = true\n')
        self.database = open_database(url)
        Subscribers(self.database).synchronise(LAB, [subscriber(n) for n in range(1, 8)])
        self.editions, self.shards = Editions(self.database), Shards(self.database)
        self.edition = self.editions.freeze(LAB, TODAY, NOW, [report(1)], merge, ())
        with self.database.write() as connection:
            self.cut = cut(connection, self.edition, 3)

    def hear(self, worker: str, seconds_ago: float = 3, lists: Sequence[str] = (LAB,)) -> None:
        """A worker says that it lives."""
        with self.database.write() as connection:
            heard = "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - %(ago)s * interval '1 s')"
            name = "INSERT INTO queue_workers SELECT id, %(name)s, %(began)s, %(lists)s FROM heard"
            said = f"WITH heard AS ({heard} RETURNING id) {name}"
            facts = {"ago": seconds_ago, "name": worker, "began": BEGAN, "lists": list(lists)}
            connection.exec_driver_sql(said, facts)

    def begin(self, shard: Shard, worker: str) -> None:
        """The worker takes the shard, and gives its readers their deliveries."""
        self.shards.begin(shard, worker, NOW)
        people = self.editions.shard(self.edition, (), shard.first, shard.last)
        chosen = [(person, selection(1), f"<{person.id}@example.org>") for person in people]
        self.shards.ranked(shard, rows_of(self.edition, chosen, NOW, None, {}), self.edition, NOW)

    def send(self, shard: Shard, after: timedelta, outcome: Outcome = SENT) -> None:
        """All of the shard leaves, so long after the edition was made."""
        ledger = DeliveryLedger(self.database, LAB, lambda: NOW + after, within=shard)
        claims = ledger.claim(9)
        ledger.commit([Intent(claim) for claim in claims])
        ledger.commit([Result(claim, outcome) for claim in claims])
        self.shards.end(shard, NOW + after)
        self.shards.settle(self.edition, NOW + after)

    def set_aside(self, shard: Shard, after: timedelta) -> None:
        """It fails as often as it may."""
        for _ in range(TRIES):
            self.shards.begin(shard, "host-a/1", NOW + after)
            self.shards.failed(shard, "ValueError: poison", NOW + after, timedelta(0))

    def ask(self, *arguments: str, after: timedelta = timedelta(0)) -> Answer:
        return run("status", *arguments, "--config", str(self.config), "--now", (NOW + after).isoformat())

    def told(self, *arguments: str, after: timedelta = timedelta(0)) -> Any:
        return json.loads(self.ask(*arguments, "--json", after=after).stdout)

    def pages(self, after: timedelta) -> Served:
        """As `digest web` serves them."""
        return Served([self.config], NOW + after)


@pytest.fixture
def world(databases: Databases, tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        made = World(databases.url("postgresql", tmp_path, stack), tmp_path)
        stack.callback(made.database.close)
        yield made


def text_of(page: str) -> str:
    return " ".join(" ".join(html.fromstring(page).itertext()).split())


def figures(exposed: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(exposed)
        for sample in family.samples
    }


MINUTES = timedelta(minutes=1)


def test_status_shows_who_works_on_what_and_how_fast(world: World) -> None:
    """Each worker that lives with its shard, what is late, and what gets done: on the terminal, and as data."""
    first, second, _ = world.cut
    world.hear("host-a/1")
    world.hear("host-b/2", seconds_ago=12)
    world.hear("host-c/3", seconds_ago=40)
    world.begin(first, "host-a/1")
    world.send(first, MINUTES)
    world.begin(second, "host-b/2")
    RelayTurns(world.database).reserve("main", "", 0.1, 300)
    with places(world.database, {"main": 8}) as taken:
        assert taken == {"main": 4}
        lines = world.ask(after=2 * MINUTES).stdout.splitlines()
        told = world.told(after=2 * MINUTES)["crew"]
    shown = [line.strip() for line in lines]
    (idle,) = (line for line in shown if line.startswith("worker host-a/1"))
    assert re.fullmatch(r"worker host-a/1: since 2026-06-09 06:00 UTC, heard of \d+ s ago; waits for work", idle)
    (busy,) = (line for line in shown if line.startswith("worker host-b/2"))
    assert busy.endswith("; edition 1, readers 4-6, for 2 min")
    assert "late: the oldest due shard by 2 min, the oldest due delivery by 2 min" in shown
    assert "rate: 0.0 deliveries a second, over the last 2 min" in shown
    (used,) = (line for line in shown if line.startswith("relay main: "))
    assert used.startswith("relay main: 4 of 8 connections in use; the next turn of its rate is free in ")
    assert not any("host-c" in line for line in shown)
    assert [(w["worker"], len(w["in_hand"])) for w in told["workers"]] == [("host-a/1", 0), ("host-b/2", 1)]
    assert told["workers"][1]["in_hand"][0] == {
        "list": "lab", "edition": 1, "first": 4, "last": 6, "begun_at": NOW.isoformat(),
    }  # fmt: skip
    assert told["shards"] == {"waiting": 1, "ranked": 1, "done": 1, "aside": 0}
    assert (told["shard_lag_seconds"], told["delivery_lag_seconds"]) == (120, 120)
    assert told["deliveries_per_second"] == round(3 / 120, 2)
    (relay,) = told["relays"]
    assert relay["connections_in_use"] == 4
    assert 20 < relay["turns_taken_seconds"] <= 30


def test_what_a_relay_says_to_workers_is_shown(world: World) -> None:
    """Until a shard is put down without: others may not have been looked at since. It may be one worker's alone."""
    first, second, _ = world.cut
    among = AmongWorkers(ProcrastinateQueue(world.url), world.database, LAB, lambda: NOW)
    world.hear("host-a/1")
    world.begin(first, "host-a/1")
    world.shards.end(first, NOW, NOW + MINUTES, "535 5.7.8 Wrong password")
    world.begin(second, "host-a/1")
    assert "workers cannot send: 535 5.7.8 Wrong password" in world.ask().stdout
    assert world.told()["crew"]["trouble"] == "535 5.7.8 Wrong password"
    assert queued(among).held == "workers cannot send: 535 5.7.8 Wrong password"
    ledger = DeliveryLedger(world.database, LAB, lambda: NOW + 2 * MINUTES, within=second)
    (claim,) = ledger.claim(1)
    ledger.commit([Intent(claim)])
    ledger.commit([Result(claim, SENT)])
    said = "a worker could not send: 535 5.7.8 Wrong password; messages leave: others can, or it is over"
    assert said in world.ask(after=2 * MINUTES).stdout
    world.send(second, 3 * MINUTES)
    assert queued(among).held is None
    assert "not send:" not in world.ask(after=30 * MINUTES).stdout


def test_a_worker_says_once_what_a_relay_says(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Of each edition, to who reads no events; the shards of it would all say the same."""
    with CollectingServer(rejects_mail_from) as server, mock.patch("digest.dispatch.shard.REST", timedelta(0)):
        there = f'host = "127.0.0.1"\nport = {server.port}\nsecurity = "none"'
        world.config.write_text(world.config.read_text().replace('host = "localhost"', there))
        (config,) = load([world.config]).lists

        async def worked() -> None:
            with Worker([config], lambda: NOW, asyncio.Event()) as worker:
                for shard in world.cut:
                    await worker.run(shard)

        asyncio.run(worked())
    lines = [record.getMessage() for record in caplog.records if not hasattr(record, "facts")]
    said = "550 5.7.1 Sender not allowed (in reply to MAIL FROM)"
    assert lines == [f"lab: edition 1 cannot be sent, it is tried again every minute: {said}"]
    assert world.told()["crew"]["trouble"] == said


def test_what_is_left_to_workers_is_not_called_nothing(world: World) -> None:
    """Although the process that has queued it sends nothing, and others have some of it in hand."""
    world.hear("host-a/1")
    (config,) = load([world.config]).lists
    world.begin(world.cut[0], "host-a/1")
    DeliveryLedger(world.database, LAB, lambda: NOW, within=world.cut[0]).claim(2)
    with App(config, lambda: NOW, queue=ProcrastinateQueue(world.url)) as app:
        sent = asyncio.run(app.send())
    assert sent.overviews
    assert sent.nothing_because is None


def test_a_worker_looks_again_by_the_clock_of_the_queue(world: World) -> None:
    """Which `--now` does not set: a shard of the past would be due again at once, for ever."""
    Pauses(world.database, LAB).begin(Pause(NOW, "ada@host", ""))
    (config,) = load([world.config]).lists

    async def looked() -> datetime | None:
        with Worker([config], lambda: NOW, asyncio.Event()) as worker:
            return await worker.run(world.cut[0])

    before = datetime.now(UTC)
    again = asyncio.run(looked())
    assert again is not None
    assert before + HELD_UP <= again <= datetime.now(UTC) + HELD_UP


def queued(among: AmongWorkers) -> DrainReport:
    return asyncio.run(among.run((), asyncio.Event(), QUIET, at_once=False))


def test_what_a_dead_worker_has_in_hand_waits(world: World) -> None:
    """The shard is late since it was due, and nobody is shown with it."""
    for shard in world.cut:
        world.begin(shard, "host-a/1")
    world.hear("host-a/1", seconds_ago=31)
    told = world.told(after=MINUTES)["crew"]
    assert told["workers"] == []
    assert told["shard_lag_seconds"] == 60
    world.hear("host-b/2")
    assert world.told(after=MINUTES)["crew"]["shard_lag_seconds"] == 60
    world.hear("host-a/1")
    assert world.told(after=MINUTES)["crew"]["shard_lag_seconds"] == 0


def test_a_worker_that_has_come_back_is_one(world: World) -> None:
    """After an outage it is known by a second number, until the first is forgotten."""
    world.hear("host-a/1", seconds_ago=20)
    world.hear("host-a/1", seconds_ago=1)
    (worker,) = world.told()["crew"]["workers"]
    assert worker["silent_seconds"] < 20
    assert world.shards.workers(LAB) == 1


def test_a_worker_of_other_lists_is_none_of_this_one(world: World) -> None:
    """It never looks at the list's shards, so they wait as if it were not there; one that has both lists counts."""
    world.hear("host-a/1", lists=["gazette", "labour"])
    told = world.told("--check", after=2 * MINUTES)
    assert told["unattended"]["why"] == "shards wait, and no worker of this list lives"
    assert world.told()["crew"]["workers"] == []
    assert (world.shards.workers(LAB), world.shards.workers(ListId("gazette"))) == (0, 1)
    world.hear("host-b/2", lists=["gazette", "lab"])
    assert world.told("--check", after=2 * MINUTES)["unattended"] is None
    assert [worker["worker"] for worker in world.told()["crew"]["workers"]] == ["host-b/2"]
    assert world.shards.workers(LAB) == 1


def test_a_retried_edition_is_late_from_then_on(world: World) -> None:
    """Not since it was made, which may be days ago."""
    for shard in world.cut:
        world.begin(shard, "host-a/1")
        world.send(shard, MINUTES, Outcome(DeliveryStatus.BOUNCED, "5.7.1", "550 5.7.1 no"))
    assert world.told(after=80 * MINUTES)["crew"]["shards"] == {"waiting": 0, "ranked": 0, "done": 0, "aside": 0}
    answer = run("retry", "1", "--config", str(world.config), "--now", (NOW + 90 * MINUTES).isoformat())
    assert "sends what is due (7 now), and so does `digest worker`" in answer.stdout
    told = world.told(after=91 * MINUTES)["crew"]
    assert (told["shards"]["ranked"], told["shard_lag_seconds"]) == (3, 60)


def test_who_sends_by_itself_is_told_when_the_list_is_resumed(world: World) -> None:
    """Workers, as `digest run` sends no edition of theirs."""
    Pauses(world.database, LAB).begin(Pause(NOW, "me", ""))
    assert (
        "`digest send` sends what is due, and so does `digest worker`"
        in run("resume", "--config", str(world.config)).stdout
    )


def test_an_edition_of_which_no_shard_is_ranked_says_what_is_missing(world: World) -> None:
    """And says so once some are."""
    assert f"of {TODAY}: its recipients are not chosen yet;" in world.ask().stdout
    world.begin(world.cut[0], "host-a/1")
    assert "3 queued; its recipients are not all chosen yet;" in world.ask().stdout


def test_a_list_that_may_not_send_is_not_late(world: World) -> None:
    """While it is paused."""
    assert world.told(after=MINUTES)["crew"]["shard_lag_seconds"] == 60
    Pauses(world.database, LAB).begin(Pause(NOW, "me", ""))
    told = world.told(after=9 * MINUTES)
    assert (told["crew"]["shard_lag_seconds"], told["crew"]["delivery_lag_seconds"]) == (0, 0)
    assert told["unattended"] is None


def test_shards_that_nobody_works_on_are_a_trouble(world: World) -> None:
    """Two minutes after they were due, wherever one asks; not before, and no longer when a worker lives."""
    assert world.ask("--check", after=1.9 * MINUTES).stdout == "lab: fine\n"
    answer = world.ask("--check", after=2 * MINUTES)
    assert (
        answer.stdout == "lab: unattended since 2026-06-09 07:00 UTC: shards wait, and no worker of this list lives\n"
    )
    assert answer.returncode == 1
    assert world.told("--check", after=2 * MINUTES)["unattended"]["since"] == NOW.isoformat()
    shown = world.ask(after=2 * MINUTES).stdout
    assert "no worker of this list lives: start `digest worker`" in shown
    pages = world.pages(2 * MINUTES)
    with pages.hall:
        health = pages.get("/healthz")
        assert (health.status, json.loads(health.text)) == (503, {"status": "unattended", "lists": ["lab"]})
        page = text_of(pages.get("/status").text)
        assert "Unattended since 2026-06-09 07:00 UTC: shards wait, and no worker of this list lives." in page
        assert "No worker of this list lives." in page
        assert figures(pages.get("/metrics").text)["digest_workers", "lab"] == 0
    world.hear("host-a/1")
    assert world.ask("--check", after=9 * MINUTES).returncode == 0


def test_what_was_set_aside_is_a_trouble(world: World) -> None:
    """At once: its readers get nothing until somebody decides."""
    world.hear("host-a/1")
    world.set_aside(world.cut[0], MINUTES)
    answer = world.ask("--check", after=MINUTES)
    why = "1 shard of edition 1 failed again and again: `digest status` says why"
    assert answer.stdout == f"lab: set aside since 2026-06-09 07:01 UTC: {why}\n"
    assert answer.returncode == 1
    told = world.told("--check", after=MINUTES)
    assert (told["overdue"], told["unattended"]) == (None, None)
    assert told["set_aside"]["why"] == why
    pages = world.pages(MINUTES)
    with pages.hall:
        assert json.loads(pages.get("/healthz").text)["status"] == "set aside"
    run("retry", "1", "--config", str(world.config), "--now", (NOW + 2 * MINUTES).isoformat())
    assert world.ask("--check", after=2 * MINUTES).returncode == 0


def test_the_page_and_the_metrics_show_the_same(world: World) -> None:
    """Workers by name and with what they have in hand; counts, lag and rate."""
    first, second, _ = world.cut
    world.hear("host-a/1")
    world.hear("host-b/2")
    world.begin(first, "host-a/1")
    world.send(first, MINUTES)
    world.begin(second, "host-b/2")
    pages = world.pages(2 * MINUTES)
    with pages.hall, places(world.database, {"main": 8}):
        page = text_of(pages.get("/status").text)
        found = figures(pages.get("/metrics").text)
    assert re.search(r"host-a/1 waits for work \d+ s ago 2026-06-09 06:00", page)
    assert re.search(r"host-b/2 1 4–6 2 min \d+ s ago 2026-06-09 06:00", page)
    assert "Shards 1 waiting, 1 ranked, 1 done" in page
    assert "Late the oldest due shard by 2 min, the oldest due delivery by 2 min" in page
    assert "4 of 8 connections in use; the next turn of its rate is free now" in page
    assert found["digest_workers", "lab"] == 2
    assert [found["digest_shards", "lab", state] for state in ("waiting", "ranked", "done", "aside")] == [1, 1, 1, 0]
    assert found["digest_shard_lag_seconds", "lab"] == found["digest_delivery_lag_seconds", "lab"] == 120
    assert found["digest_deliveries_per_second", "lab"] == pytest.approx(3 / 120)
    assert found["digest_relay_connections_in_use", "lab", "main"] == 4
    assert found["digest_relay_connections_limit", "lab", "main"] == 8
    assert found["digest_relay_turns_taken_seconds", "lab", "main"] == 0


def test_a_worker_says_who_it_is_while_it_lives(world: World) -> None:
    """`digest worker` is in the status by host and process, and gone when it has been asked to stop."""
    command = [sys.executable, "-m", "digest", "worker", "--config", str(world.config), "--now", NOW.isoformat()]
    with subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            (worker,) = until(lambda: world.told()["crew"]["workers"], "no worker is in the status")
            assert worker["worker"] == f"{socket.gethostname()}/{running.pid}"
            assert abs(datetime.fromisoformat(worker["since"]) - datetime.now(UTC)) < 2 * MINUTES
        finally:
            running.terminate()
        assert running.wait(PATIENCE) == 0
    assert world.told()["crew"]["workers"] == []


# --- digest check ---------------------------------------------------------------------------------------------------

FACTS = ServerFacts("15.10", "UTF8", 100, 3, "03.04.00_50", 2, timedelta(seconds=0.02))


def test_check_looks_at_server_queue_and_clock(world: World) -> None:
    """A line each: what the database is and lets in, how the queue is and who lives, and whose clock is off."""
    world.hear("host-a/1")
    database, queued, clock = server(world.url, 1)
    assert worst((database, queued, clock)) is Level.OK
    assert re.match(
        r"PostgreSQL \d+\.\d+, UTF8, schema \d+; connections: \d+ in use, 200 allowed, up to 9 ", database.says
    )
    assert queued.says == "its tables are those of procrastinate's migration 03.04.00_50; 1 worker lives"
    assert (clock.level, clock.subject) == (Level.OK, "database clock")


@pytest.mark.parametrize(
    ("changes", "level", "says"),
    [
        ({"encoding": "SQL_ASCII"}, Level.FAILED, "make it anew with ENCODING 'UTF8'"),
        ({"workers": 11}, Level.WARNING, "to 109, or run fewer workers"),
        ({"workers": 10}, Level.OK, "100 allowed, up to 9 for each worker of a list and 10 for `digest send`"),
        ({"allowed": 9, "workers": 0}, Level.WARNING, "to 10, or lower `connections` of the relay"),
        ({"workers": 0}, Level.WARNING, "0 workers live; start `digest worker`"),
        ({"ahead": timedelta(seconds=-6)}, Level.WARNING, "this host is 6 s behind the server"),
        ({"ahead": timedelta(seconds=31)}, Level.FAILED, "this host is 31 s ahead of the server"),
    ],
)
def test_what_is_not_well_is_told_with_what_to_do(changes: dict[str, Any], level: Level, says: str) -> None:
    """The worst of the three lines."""
    facts = replace(FACTS, **changes)
    found = (of_database("127.0.0.1:5432/lab", facts, processes=2), of_queue(facts), of_clock(facts))
    assert worst(found) is level
    assert says in "\n".join(f"{each.says}; {each.todo}" for each in found)


def test_check_says_when_the_queue_must_be_migrated(world: World) -> None:
    """As every command does."""
    with world.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM queue_migrations WHERE name > '03.04'")
    with pytest.raises(StoreError, match=r"its queue lacks 03\.04\.00_01 .*run `digest migrate` once"):
        server(world.url, 1)
