"""Several workers on one PostgreSQL: nothing is lost and nothing comes twice, whatever befalls them."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict

from digest.app import App
from digest.dispatch.among_workers import open_queue, wake
from digest.dispatch.procrastinate import Connection, ProcrastinateQueue, _conninfo
from digest.model import Edition, ListId, OnUnknown, ShardState
from digest.pull.dedupe import merge
from digest.settings import load
from digest.store import Database, Editions, Shards, Subscribers, open_database, schema
from digest.store.shards import TRIES, cut
from digest.worker import Worker
from tests.databases import Databases
from tests.factories import NOW, TODAY, report, subscriber
from tests.lists import DAY_ONE, write_list
from tests.nursery import Nursery
from tests.scale.fleet import IMPORTED
from tests.scale.storm import Plan, storm
from tests.servers.postgres import missing
from tests.servers.smtp import CollectingServer
from tests.test_cli import run
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(missing()), reason=missing() or "")]

LAB = ListId("lab")
DATE = re.compile(rb"^Date: [^\r]*\r\n", re.M)
READERS = 60
SECRET = "invented-for-this-test-alone-0123456789"


@pytest.fixture
def url(databases: Databases, tmp_path: Path) -> Iterator[str]:
    with ExitStack() as stack:
        yield databases.url("postgresql", tmp_path, stack)


@pytest.fixture
def store(url: str) -> Iterator[Database]:
    """With seven readers."""
    opened = open_database(url)
    Subscribers(opened).synchronise(LAB, [subscriber(n) for n in range(1, 8)])
    yield opened
    opened.close()


def jobs(store: Database) -> list[str]:
    with store.read() as connection:
        return list(connection.exec_driver_sql("SELECT queueing_lock FROM procrastinate_jobs ORDER BY 1").scalars())


def count(store: Database, table: sa.Table) -> int:
    with store.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_an_edition_and_its_jobs_are_made_together_or_not_at_all(url: str, store: Database) -> None:
    """What is undone leaves neither; what is done leaves both."""
    queue = ProcrastinateQueue(url)

    def broken(connection: sa.Connection, edition: Edition) -> None:
        queue.enqueue(connection, cut(connection, edition, 3))
        raise ValueError("the machine stops here")

    def make(on_made: object) -> None:
        Editions(store, on_made).freeze(LAB, TODAY, NOW, [report(1)], merge, ())  # type: ignore[arg-type]

    with pytest.raises(ValueError, match="stops here"):
        make(broken)
    assert (count(store, schema.editions), count(store, schema.shards), jobs(store)) == (0, 0, [])
    make(lambda connection, edition: queue.enqueue(connection, cut(connection, edition, 3)))
    assert count(store, schema.shards) == len(jobs(store)) == 3


def test_schedulers_wake_each_shard_once(url: str, store: Database) -> None:
    """Any number of them; what a job waits for that is due now, it waits for no more."""
    edition = Editions(store).freeze(LAB, TODAY, NOW, [report(1)], merge, ())
    assert wake(ProcrastinateQueue(url), store, LAB, NOW) == 1  # made by a command, without a queue
    assert wake(ProcrastinateQueue(url), store, LAB, NOW) == 1
    assert jobs(store) == [f"{edition.id}/1"]
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 day'")
    wake(ProcrastinateQueue(url), store, LAB, NOW)
    with store.read() as connection:
        assert connection.exec_driver_sql("SELECT scheduled_at FROM procrastinate_jobs").scalars().all() == [None]


def test_a_password_may_have_any_characters() -> None:
    """Those that mean something in an address too; what else the address says of the connection is kept."""
    password = "in vented,+@/% 'x\\"
    url = sa.make_url("postgresql://digest@db:5433/lab?sslmode=require").set(password=password)
    found = conninfo_to_dict(_conninfo(sa.make_url(url.render_as_string(hide_password=False))))
    assert found == {
        "user": "digest",
        "password": password,
        "host": "db",
        "port": "5433",
        "dbname": "lab",
        "sslmode": "require",
    }


def test_a_list_of_one_host_needs_no_worker(tmp_path: Path) -> None:
    """`digest worker` says which `url` it needs."""
    command = [sys.executable, "-m", "digest", "worker", "--config", str(write_list(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 2
    assert "postgresql://" in done.stderr


def test_status_tells_of_shards_and_of_what_was_set_aside(url: str, store: Database, tmp_path: Path) -> None:
    """With its error and the command that takes it up; and that nobody lives who would."""
    path = write_list(tmp_path, extra=f'[store]\nurl = "{url}"\n')
    edition = Editions(store).freeze(LAB, TODAY, NOW, [report(1)], merge, ())
    with store.write() as connection:
        first, *_ = cut(connection, edition, 3)
    for _ in range(TRIES):
        Shards(store).begin(first, "host/1", NOW)
        Shards(store).failed(first, "ValueError: poison", NOW, timedelta(0))
    shown = run("status", "--config", str(path), "--now", NOW.isoformat()).stdout
    assert "shards: 2 waiting, 1 aside; 0 in hand; 0 workers" in shown
    assert "no worker of this list lives: start `digest worker`" in shown
    assert "readers 1-3 set aside: ValueError: poison; `digest retry 1` takes it up again" in shown
    told = json.loads(run("status", "--config", str(path), "--now", NOW.isoformat(), "--json").stdout)
    assert told["shards"][0]["aside"] == [{"first": 1, "last": 3, "error": "ValueError: poison"}]
    run("retry", "1", "--config", str(path))
    assert Shards(store).begin(first, "host/1", NOW) is ShardState.WAITING


def test_every_way_of_sending_makes_the_same_messages(databases: Databases, tmp_path: Path) -> None:
    """One process on SQLite; one worker, two and four on PostgreSQL: to each reader the same bytes, its date apart.

    The date is when its delivery was queued, which is when its shard was ranked.
    """
    with Nursery(*IMPORTED) as nursery, ExitStack() as stack:
        alone = sent_by(0, "sqlite:///digest.db", tmp_path / "alone", nursery)
        assert len(alone) == READERS
        for workers in (1, 2, 4):
            url = databases.url("postgresql", tmp_path, stack)
            assert sent_by(workers, url, tmp_path / f"by {workers}", nursery) == alone


def sent_by(workers: int, store_url: str, folder: Path, nursery: Nursery) -> dict[str, bytes]:
    """The first edition of a list, by so many workers; 0: by one process alone. Fails if a message comes twice."""
    folder.mkdir()
    with CollectingServer() as server:
        extra = f'[store]\nurl = "{store_url}"\n'
        path = write_list(folder, READERS, port=server.port, connections=4, extra=extra)
        path.write_text(path.read_text().replace("papers = 3", f'papers = 3\nsecret = "{SECRET}"'))
        (config,) = load([path]).lists
        clock = datetime.fromisoformat(DAY_ONE)
        with (
            mock.patch("digest.dispatch.among_workers.cut", partial(cut, size=8)),
            App(config, lambda: clock, queue=open_queue(config.store_url)) as app,
        ):
            sent = asyncio.run(app.send())
            assert sent.drained is not None
            assert sent.drained.held == ("no worker of this list lives: start `digest worker`" if workers else None)
            command = ("worker", "--config", str(path), "--now", DAY_ONE)
            running = [nursery.start(*command) for _ in range(workers)]
            try:
                until(
                    lambda: not app.editions.unfinished(app.list.id),
                    "the workers do not finish the edition",
                    patience=120,
                )
                for each in running:
                    each.until_it_says("waiting for work")  # who is only starting knows nothing of signals
            finally:
                for each in running:
                    os.kill(each.pid, signal.SIGTERM)
                assert [each.wait().returncode for each in running] == [0] * workers
        assert len(server.messages) == READERS
        return {message.recipients[0]: DATE.sub(b"", message.data) for message in server.messages}


def test_a_worker_takes_up_a_changed_config(url: str, tmp_path: Path) -> None:
    """With its next shard, as `digest run` does with its next piece of work; while it is broken, the old one holds."""
    clock = datetime.fromisoformat(DAY_ONE)
    with CollectingServer() as server:
        path = write_list(tmp_path, 6, port=server.port, extra=f'[store]\nurl = "{url}"\n')
        (config,) = load([path]).lists
        with (
            mock.patch("digest.dispatch.among_workers.cut", partial(cut, size=2)),
            App(config, lambda: clock, queue=open_queue(config.store_url)) as app,
        ):
            asyncio.run(app.send())
        with closing(open_database(url)) as database, database.read() as connection:
            shards = Shards(database).due(connection, LAB, clock)

        async def worked() -> None:
            with Worker([config], lambda: clock, asyncio.Event()) as worker:
                assert await worker.run(shards[0]) is None
                path.write_text(path.read_text().replace("Lab <", "Other <"))
                assert await worker.run(shards[1]) is None
                path.write_text("broken")
                assert await worker.run(shards[2]) is None

        asyncio.run(worked())
        senders = [re.search(rb"^From: (\w+) <", message.data, re.M) for message in server.messages]
        assert [found and found[1] for found in senders] == [b"Lab"] * 2 + [b"Other"] * 4


def test_a_connection_that_is_broken_off_half_made_is_closed() -> None:
    """Whoever keeps the error does not keep the connection: a server that is to stop would wait a minute for it."""

    async def broken_off() -> None:
        came, gone = asyncio.Event(), asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.set()
            await reader.read()
            writer.close()
            gone.set()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            connecting = asyncio.create_task(Connection.connect(f"host=127.0.0.1 port={port} user=digest"))
            await came.wait()
            connecting.cancel()
            kept = await asyncio.gather(connecting, return_exceptions=True)
            await asyncio.wait_for(gone.wait(), PATIENCE)
            assert isinstance(kept[0], asyncio.CancelledError)

    gc.disable()
    try:
        asyncio.run(broken_off())
    finally:
        gc.enable()


SMALL = Plan(shards=4, size=50, workers=2, kill_every=1.5, strikes=4, deferrals=0.02, beats=(0.3, 2.0), patience=240.0)


@pytest.mark.parametrize("on_unknown", list(OnUnknown))
def test_kills_and_restarts_lose_nothing(on_unknown: OnUnknown) -> None:
    """Workers killed, the database stopped twice: all is sent or in doubt; copies too many only by "resend"."""
    plan = replace(SMALL, on_unknown=on_unknown)
    result = storm(plan)
    assert not result.is_bad(plan), result
    assert (result.lost, result.never, result.untold) == ([], [], [])
    assert result.finished
    assert (result.recipients, result.editions, result.aside) == (200, 1, 0)
    if on_unknown is OnUnknown.HOLD:
        assert result.doubled == 0
        assert set(result.statuses) <= {"sent", "unknown"}
    else:
        assert set(result.statuses) == {"sent"}


def test_a_worker_that_is_asked_to_stop_leaves_nothing_in_doubt() -> None:
    """SIGTERM: what is open ends and is recorded, the rest goes to others."""
    result = storm(replace(SMALL, how="term", restarts=()))
    assert (result.statuses, result.doubled, result.lost) == ({"sent": 200}, 0, [])
    assert result.finished
