"""Two programs on one database at once, and one that was stopped for so long that another has taken its work.

Every program is a process of its own; the server's log of what it accepted is the judge.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from digest.store.outbox import LEASE
from tests.conftest import THOROUGH
from tests.kills import SOURCES, freeze, query
from tests.lists import DAY_ONE, write_list
from tests.nursery import Child, Nursery, folder_in_memory
from tests.servers.smtp import CollectingServer
from tests.test_cli import jsons
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

READERS = 12
FROM_NOTHING, FROM_A_FROZEN_EDITION, OF_SCHEDULERS = (20, 60, 20) if THOROUGH else (4, 12, 4)
"""Races of each kind."""
STAGGER = 0.05
"""Seconds by which the second starts later, at most: a process takes some three times as long."""
FEW_AT_A_TIME = 'rate = "1000/second"\n'
"""Where there is a rate, a process claims no more than it has connections for: the other finds something to do."""
A_DAY_LATER = "2026-06-10T09:00Z"
chance = random.Random(6)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as running:
        yield running


@pytest.fixture(scope="module")
def frozen(nursery: Nursery) -> Iterator[Path]:
    """The database of an edition of which nothing has been sent yet."""
    with folder_in_memory() as folder:
        yield freeze(nursery, folder, READERS)


def start_two(nursery: Nursery, *arguments: str) -> tuple[Child, Child]:
    first = nursery.start(*arguments)
    time.sleep(chance.uniform(0, STAGGER))
    return first, nursery.start(*arguments)


def deliveries_of(folder: Path) -> list[tuple[str, str, int]]:
    """Of the newest edition: Message-ID, status and tries."""
    newest = "(SELECT max(id) FROM editions)"
    return query(folder, f"SELECT message_id, status, attempts FROM deliveries WHERE edition_id = {newest}")


def judge(server: CollectingServer, folder: Path, editions: int) -> None:
    """There are so many editions, and everybody has got the newest once."""
    numbers = [number for (number,) in query(folder, "SELECT number FROM editions WHERE finished_at IS NOT NULL")]
    assert numbers == list(range(1, editions + 1))
    deliveries = deliveries_of(folder)
    assert [(status, tries) for _, status, tries in deliveries] == [("sent", 1)] * READERS
    assert Counter(server.message_ids) == dict.fromkeys((message_id for message_id, *_ in deliveries), 1)


@pytest.mark.parametrize(("races", "from_nothing"), [(FROM_NOTHING, True), (FROM_A_FROZEN_EDITION, False)])
def test_two_sends_make_one_edition_and_one_copy_each(
    nursery: Nursery, frozen: Path, races: int, from_nothing: bool
) -> None:
    """Whichever makes the database, the edition and its deliveries, and whichever sends what of it."""
    shared = 0
    for race in range(races):
        with folder_in_memory() as folder, CollectingServer(pipelining=True) as server:
            extra = FEW_AT_A_TIME if race % 2 else ""
            config = write_list(folder, READERS, port=server.port, connections=2, extra=extra, sources=SOURCES)
            if not from_nothing:
                shutil.copy(frozen, folder)
            both = start_two(nursery, "send", "--config", str(config), "--now", DAY_ONE, "--json")
            answers = [child.wait() for child in both]
            assert [answer.returncode for answer in answers] == [0, 0], answers
            sent = [jsons(answer.stdout)[0]["sent_now"].get("sent", 0) for answer in answers]
            assert sum(sent) == READERS
            shared += all(sent)
            judge(server, folder, 1)
    assert shared or races < 10, "in some races each has sent a part"


def test_two_schedulers_make_one_edition_and_one_copy_each(nursery: Nursery) -> None:
    """Two `digest run` that both find a run that was missed."""
    with folder_in_memory() as before:
        with CollectingServer() as server:
            config = for_all(write_list(before, READERS, port=server.port, sources=SOURCES))
            assert nursery.run("send", "--config", str(config), "--now", DAY_ONE).returncode == 0
            out = str(before / "preview")
            nursery.keep_renderers("--config", str(config), "--now", A_DAY_LATER, "--out", out)
        for _ in range(OF_SCHEDULERS):
            with folder_in_memory() as folder, CollectingServer(pipelining=True) as server:
                config = for_all(write_list(folder, READERS, port=server.port, connections=2, sources=SOURCES))
                shutil.copy(before / "digest.db", folder)
                both = start_two(nursery, "run", "--config", str(config), "--now", A_DAY_LATER)
                await_finished(folder, 2)
                for child in both:
                    child.until_it_says("next run")  # who is only starting knows nothing of signals
                    os.kill(child.pid, signal.SIGTERM)
                answers = [child.wait() for child in both]
                assert [answer.returncode for answer in answers] == [0, 0], answers
                judge(server, folder, 2)


def for_all(config: Path) -> Path:
    """The same with something for everybody on every day."""
    config.write_text(config.read_text().replace("papers = 3", "papers = 3\nmin_relevance = 0"))
    return config


def await_finished(folder: Path, edition: int) -> None:
    finished = f"SELECT 1 FROM editions WHERE number = {edition} AND finished_at IS NOT NULL"
    until(lambda: query(folder, finished), f"edition {edition} is not finished")


@pytest.mark.parametrize(
    ("stage", "pipelining", "begun"),
    [
        ("ehlo", False, False),
        ("ehlo", True, False),
        ("mail", False, False),
        ("mail", True, True),
        ("data", False, True),
        ("data", True, True),
        ("accepted", False, True),
        ("accepted", True, True),
    ],
)
def test_who_was_stopped_past_the_lease_sends_no_second_copy(
    nursery: Nursery, frozen: Path, stage: str, pipelining: bool, begun: bool
) -> None:
    """SIGSTOP, then another takes over half an hour later, then SIGCONT.

    Before its intent (not `begun`) the message goes out from the other, and the stopped one finds its lease lost. After
    it the other leaves the message alone, in doubt; the stopped one ends its conversation, and so ends the doubt.
    """
    started, stopped = threading.Event(), threading.Event()
    stops: list[Child] = []

    def watch(reached: str) -> None:
        if reached == stage and not stopped.is_set():
            started.wait(PATIENCE)
            os.kill(stops[0].pid, signal.SIGSTOP)
            stopped.set()

    with folder_in_memory() as folder, CollectingServer(pipelining=pipelining, watch=watch) as server:
        shutil.copy(frozen, folder)
        config = write_list(folder, READERS, port=server.port, connections=2, sources=SOURCES)
        stops.append(nursery.start("send", "--config", str(config), "--now", DAY_ONE, "--json"))
        started.set()
        assert stopped.wait(PATIENCE)
        later = datetime.fromisoformat(DAY_ONE) + LEASE + timedelta(minutes=1)
        other = nursery.run("send", "--config", str(config), "--now", later.isoformat(), "--json")
        meanwhile = Counter(status for _, status, _ in deliveries_of(folder))
        assert meanwhile == ({"sent": READERS - 1, "unknown": 1} if begun else {"sent": READERS})
        assert other.returncode == int(begun), other
        os.kill(stops[0].pid, signal.SIGCONT)
        answer = stops[0].wait()
        assert answer.returncode == 0, answer
        assert jsons(answer.stdout)[0]["sent_now"] == ({"sent": 1} if begun else {})
        deliveries = deliveries_of(folder)
        assert [status for _, status, _ in deliveries] == ["sent"] * READERS
        assert Counter(server.message_ids) == dict.fromkeys((message_id for message_id, *_ in deliveries), 1)
