"""An edition that is ranked in several processes is the same edition, and leaves no process behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import psutil
import pytest

from digest import edition as life
from digest.dispatch import processes
from digest.errors import SendError, StoreError
from digest.meaning import CachedEmbed
from digest.model import Delivery, Edition, Frequency, Paper, PaperId, Profile, Subscriber, SubscriberId, Topic
from digest.pull.dedupe import merge
from digest.rank.embedding import Embedder, available
from digest.stopping import stop_on_signals
from digest.store import Database, Editions, Papers, Subscribers, Vectors, open_database
from tests.factories import NOW, TODAY, mailing_list, report, subscriber
from tests.waiting import PATIENCE, until, until_async

LAB = mailing_list(min_relevance=0.0)
READERS = 20


class SmallShards(Editions):
    """Shards of seven readers."""

    def recipients(
        self, edition: Edition, apart: Collection[Frequency] = (), shard: int = 7
    ) -> Iterator[tuple[Subscriber, ...]]:
        return super().recipients(edition, apart, shard)

    def shards(
        self, edition: Edition, apart: Collection[Frequency] = (), shard: int = 7
    ) -> list[tuple[SubscriberId, SubscriberId]]:
        return super().shards(edition, apart, shard)


@dataclass
class Frozen:
    """A store with readers of three minds, and an edition for them."""

    url: str
    database: Database
    edition: Edition

    @property
    def editions(self) -> SmallShards:
        return SmallShards(self.database)

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        return self.editions.deliveries(self.edition)

    async def enqueue(self, count: int, stopped: Callable[[], bool] = lambda: False, *, semantic: bool = False) -> None:
        """Ranks in so many processes; with none, here."""
        embed = CachedEmbed(Embedder().embed, Vectors(self.database, lambda: NOW)) if semantic else None
        common = (LAB, self.edition, Papers(self.database), self.editions, dict[PaperId, Paper](), embed, NOW, stopped)
        if count:
            await processes.enqueue_all(self.url, *common, count, at_once=False)
        else:
            await life.enqueue_all(*common, at_once=False)


@contextmanager
def frozen(folder: Path) -> Iterator[Frozen]:
    """In a new store."""
    folder.mkdir(exist_ok=True)
    url = f"sqlite:///{folder / 'digest.db'}"
    database = open_database(url)
    topics = [Topic(f"topic {n}", f"papers that generate number {n}") for n in range(3)]
    people = [subscriber(n, profile=Profile((topics[n % 3],)), hour=20 if n % 4 else None) for n in range(READERS)]
    Subscribers(database).synchronise(LAB.id, people)
    yield Frozen(url, database, Editions(database).freeze(LAB.id, TODAY, NOW, [report(*range(12))], merge, ()))
    database.close()


def workers(of: psutil.Process) -> list[psutil.Process]:
    """The processes of a pool."""
    found = []
    for child in of.children():
        with contextlib.suppress(psutil.Error):  # it ends just now
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def new_workers(earlier: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those that this process has started since."""
    return [worker for worker in workers(psutil.Process()) if worker not in earlier]


@pytest.mark.parametrize(
    "semantic",
    [False, pytest.param(True, marks=pytest.mark.skipif(not available(), reason="needs the extra semantic"))],
)
def test_any_number_of_processes_makes_the_same_deliveries(semantic: bool, tmp_path: Path) -> None:
    """With none, one and two beside this one: the same picks, Message-IDs and delivery ids, and nobody is left out."""
    made = []
    for count in (0, 1, 2):
        with frozen(tmp_path / str(count)) as each:
            asyncio.run(each.enqueue(count, semantic=semantic))
            assert each.editions.recipients_are_frozen(each.edition)
            made.append(each.deliveries)
    assert len(made[0]) == READERS
    assert len({each.next_attempt_at for each in made[0]}) == 2
    assert made[1] == made[0]
    assert made[2] == made[0]


def test_a_stop_leaves_the_rest_for_the_next_run(tmp_path: Path) -> None:
    """Whole shards are queued, the set stays open, and the next run makes it whole."""
    with frozen(tmp_path) as each:
        asyncio.run(each.enqueue(1, lambda: len(each.deliveries) == 7))
        assert len(each.deliveries) == 7
        assert not each.editions.recipients_are_frozen(each.edition)
        asyncio.run(each.enqueue(2))
        assert [d.subscriber_id for d in each.deliveries] == list(range(1, READERS + 1))


@pytest.mark.parametrize("count", [0, 1])
def test_a_signal_breaks_off_what_is_found_out_for_all(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That takes seconds, and is not waited for: nothing is queued, the set stays open, and the next run makes it."""

    def hears_a_signal(*_: object) -> NoReturn:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("it went on")

    async def stopped(each: Frozen) -> None:
        stop = asyncio.Event()
        with monkeypatch.context() as patch, stop_on_signals(stop, said.append):
            patch.setattr(life, "rank_for", hears_a_signal)
            await each.enqueue(count, stop.is_set)
            assert stop.is_set()
            patch.setattr(life, "rank_for", lambda *_: pytest.fail("begun all the same"))
            await each.enqueue(count, stop.is_set)

    said: list[str] = []
    with frozen(tmp_path) as each:
        asyncio.run(stopped(each))
        assert [line.partition(":")[0] for line in said] == ["stopping on SIGTERM"]
        assert not each.deliveries
        assert not each.editions.recipients_are_frozen(each.edition)
        asyncio.run(each.enqueue(count))
        assert len(each.deliveries) == READERS


@pytest.mark.skipif(sys.platform == "win32", reason="suspends as POSIX does")
def test_a_stop_does_not_wait_for_processes(tmp_path: Path) -> None:
    """They only read: one that is far from done is ended."""

    async def stopped(each: Frozen) -> None:
        stop, earlier = asyncio.Event(), workers(psutil.Process())
        ranking = asyncio.create_task(each.enqueue(1, stop.is_set))
        found = await until_async(lambda: new_workers(earlier), "no process was started")
        found[0].suspend()
        stop.set()
        await asyncio.wait_for(ranking, PATIENCE)
        # Not waited for by psutil: it would take the end of each from the pool, whose thread then looks for ever.
        await until_async(lambda: not new_workers(earlier), "a process is left")

    with frozen(tmp_path) as each:
        asyncio.run(stopped(each))
        assert not each.deliveries
        assert not each.editions.recipients_are_frozen(each.edition)


def test_what_is_damaged_is_told_here_and_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each process finds it out; the line is this one's log's, whose form and level the command was told."""
    with frozen(tmp_path) as each:
        with each.database.write() as connection:
            connection.exec_driver_sql("UPDATE subscribers SET timezone = 'Mars/Base'")
        asyncio.run(each.enqueue(2))
        assert len(each.deliveries) == READERS
    assert [r.levelname for r in caplog.records if "Mars/Base" in r.getMessage()] == ["WARNING"]
    assert not re.search("^this machine does not know", capfd.readouterr().err, re.M)  # as who has no log writes it


def test_what_goes_wrong_in_a_process_is_told(tmp_path: Path) -> None:
    """Its error comes out here, nobody is enqueued and the set stays open."""
    with frozen(tmp_path) as each:
        with each.database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE subscribers RENAME COLUMN hour TO clock")  # which they alone read
        with pytest.raises(StoreError, match=r"no such column: subscribers\.hour"):
            asyncio.run(each.enqueue(1))
        assert each.deliveries == ()
        assert not each.editions.recipients_are_frozen(each.edition)


def test_a_process_that_is_killed_says_what_to_do(tmp_path: Path) -> None:
    """As the kernel does where memory is short: the command ends with advice, and can be run again."""

    async def kill_one(each: Frozen) -> None:
        earlier = workers(psutil.Process())
        ranking = asyncio.create_task(each.enqueue(1))
        found = await until_async(lambda: new_workers(earlier), "no process was started")
        found[0].kill()
        await ranking

    with frozen(tmp_path) as each:
        with pytest.raises(SendError, match="run the same command again"):
            asyncio.run(kill_one(each))
        asyncio.run(each.enqueue(0))
        assert len(each.deliveries) == READERS


def test_no_process_outlives_one_that_is_killed(tmp_path: Path) -> None:
    """Whatever the others wait for, it may be what the killed one held: nobody waits for them."""
    earlier = workers(psutil.Process())
    killed: list[psutil.Process] = []

    def kill_one() -> bool:
        if not killed:
            until(lambda: len(new_workers(earlier)) == 2, "two processes were not started")
            both = new_workers(earlier)
            both[0].suspend()
            both[1].kill()
            killed.append(both[1])
        return False

    with frozen(tmp_path) as each, pytest.raises(SendError, match="run the same command again"):
        asyncio.run(each.enqueue(2, kill_one))
    until(lambda: not new_workers(earlier), "a process is left")


def test_each_process_has_enough_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of some thousand readers is ranked here; a larger one in as many processes as have their share of it."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    share = processes.LEAST
    found = [processes.worth_starting(readers) for readers in (0, share, 2 * share - 1, 2 * share, 100 * share)]
    assert found == [0, 1, 1, 2, processes.MOST]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert processes.worth_starting(100 * share) == 1


WAITS = """
import multiprocessing, time
from concurrent.futures import ProcessPoolExecutor
from digest.dispatch import processes
if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=processes._begin, initargs=(None,))
    pool.submit(int).result()
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills by SIGKILL")
def test_no_process_outlives_the_one_that_started_it(tmp_path: Path) -> None:
    """Killed without a chance to say goodbye, it takes its processes with it."""
    script = tmp_path / "waits.py"
    script.write_text(WAITS)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"ready\n"
        (worker,) = workers(psutil.Process(parent.pid))
        parent.kill()
    until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, "it outlives its parent")
