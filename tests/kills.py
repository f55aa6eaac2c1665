"""Kills `digest send` with SIGKILL again and again, starts it anew each time, and counts what arrived.

`storms` is what `test_kills.py` and `bench/crash.py` share. The judge is the server, which writes down every message
before it says that it has it, and which no kill touches. What the kill interrupted is read from the database that was
left behind: see `Window`.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from digest.ledger import Entry
from digest.model import DeliveryStatus, OnUnknown
from digest.store import DeliveryLedger
from tests.lists import DAY_ONE, write_list
from tests.nursery import Nursery, folder_in_memory
from tests.servers.smtp import CollectingServer, answers_554_banner

SOURCES = ("huggingface",)
READERS = 30
PAUSE = timedelta(minutes=6)
"""From one start to the next, on the program's clock: what is sent again is due by then."""
STAGES = ("mail", "rcpt", "data", "dot", "accepted")
MESSAGES = 5
"""How many messages a process gets through at most before it is killed, over all its connections."""
LONGEST_DELAY = 0.006
"""Seconds from the moment that a kill waits for to the kill; a message takes some milliseconds."""
TO_START = 0.2
"""Seconds that a process takes to its first message, about."""


class Window(StrEnum):
    """Where in the life of a delivery a kill has struck."""

    BETWEEN = "nothing claimed"
    CLAIMED = "claimed, no intent"
    INTENT = "intent, not accepted"
    ACCEPTED = "accepted, not recorded"


@dataclass(frozen=True)
class Kill:
    """So many seconds after the `nth` time (from 1) that a stage begins, over all connections; 0: after the start."""

    stage: str = "accepted"
    nth: int = 0
    delay: float = 0.0


class Struck(NamedTuple):
    """What a kill left: Message-IDs of the deliveries in each window."""

    kill: Kill
    windows: dict[Window, set[str]]


@dataclass(frozen=True)
class Weather:
    """How a storm goes: the policy, and what is open between program and server."""

    on_unknown: OnUnknown
    connections: int
    pipelining: bool
    seed: int
    journal: bool = False
    """Whether the program keeps one, `[store] journal`."""
    commit_takes: float = 0.0
    """Seconds that the disk takes for a commit of the ledger, beside what it takes here."""


@dataclass
class Storm:
    """What became of some editions under so many kills."""

    weather: Weather
    struck: list[Struck] = field(default_factory=list)
    starts: int = 0
    recipients: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    """Of all deliveries, in the end."""
    lost: list[str] = field(default_factory=list)
    """Message-IDs that the server never had, though they are not in doubt."""
    doubled: Counter[str] = field(default_factory=Counter)
    """How many copies too many the server has had, by Message-ID."""
    untold: list[str] = field(default_factory=list)
    """Message-IDs that the server has had more often than `digest deliveries` tells of tries, or that it never told."""

    @property
    def windows(self) -> Counter[Window]:
        """How many kills struck in each window; over several connections one kill strikes in several."""
        return Counter(window for _, windows in self.struck for window in windows)

    def most(self, *windows: Window) -> int:
        """The most deliveries that one kill found in these windows."""
        return max(sum(len(found.get(window, ())) for window in windows) for _, found in self.struck)

    def total(self, window: Window) -> int:
        """All deliveries that kills found in that window."""
        return sum(len(found.get(window, ())) for _, found in self.struck)


class _Trap:
    """Kills a process when the server gets where `Kill` says. The server calls `watch`, from its own thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kill: Kill | None = None
        self._pid, self._seen = 0, 0

    def set(self, kill: Kill | None) -> None:
        """For a process that is about to be started."""
        with self._lock:
            self._kill, self._pid, self._seen = kill, 0, 0

    def spring(self, pid: int) -> None:
        """The process has this id."""
        with self._lock:
            self._pid = pid
            if self._kill and self._seen >= self._kill.nth:
                self._strike(self._kill)

    def release(self) -> None:
        """The process has been waited for: its id may be another's from now on."""
        self.set(None)

    def watch(self, stage: str) -> None:
        """The server begins a stage."""
        with self._lock:
            if self._kill and stage == self._kill.stage:
                self._seen += 1
                if self._pid and self._seen == self._kill.nth:
                    self._strike(self._kill)

    def _strike(self, kill: Kill) -> None:
        if kill.delay:
            threading.Timer(kill.delay, self._later, (self._pid,)).start()
        else:
            os.kill(self._pid, signal.SIGKILL)

    def _later(self, pid: int) -> None:
        with self._lock:
            if self._pid == pid:
                os.kill(pid, signal.SIGKILL)


def _plan(chance: random.Random) -> Kill:
    """Half of the kills come at a stage, half at any time; some of these before the first message."""
    if chance.random() < 0.5:
        return Kill(chance.choice(STAGES), chance.randint(1, MESSAGES))
    if chance.random() < 0.2:
        return Kill(delay=chance.choice((0.0, chance.uniform(0, TO_START))))
    return Kill("accepted", chance.randint(1, MESSAGES), chance.uniform(0, LONGEST_DELAY))


WEATHERS = (
    Weather(OnUnknown.HOLD, 4, True, 1),
    Weather(OnUnknown.RESEND, 4, True, 2),
    Weather(OnUnknown.HOLD, 2, False, 3),
    Weather(OnUnknown.RESEND, 1, False, 4),
)


JOURNALLED = (
    Weather(OnUnknown.HOLD, 4, True, 1, journal=True, commit_takes=0.005),
    Weather(OnUnknown.RESEND, 4, True, 2, journal=True, commit_takes=0.005),
)


def storms(kills: int, weathers: Sequence[Weather] = WEATHERS) -> list[Storm]:
    """So many kills in all, in each weather as many; two storms at a time."""
    each = -(-kills // len(weathers))
    with Nursery() as nursery, folder_in_memory() as folder, ThreadPoolExecutor(2) as pool:
        frozen = freeze(nursery, folder, READERS)
        return list(pool.map(lambda weather: _storm(nursery, frozen, weather, each), weathers))


def _storm(nursery: Nursery, frozen: Path, weather: Weather, kills: int) -> Storm:
    """Edition after edition, killed until all of it is sent, until there have been so many kills."""
    result, chance = Storm(weather), random.Random(weather.seed)
    while (left := kills - len(result.struck)) > 0:
        with folder_in_memory() as folder:
            shutil.copy(frozen, folder)
            _edition(nursery, folder, result, chance, left)
    return result


def _edition(nursery: Nursery, folder: Path, result: Storm, chance: random.Random, kills: int) -> None:
    trap, weather = _Trap(), result.weather
    with CollectingServer(pipelining=weather.pipelining, watch=trap.watch) as server:
        kept = '[store]\njournal = "journal"\n' if weather.journal else ""
        extra = f'on_unknown = "{weather.on_unknown}"\n{kept}'
        config = write_list(
            folder, READERS, port=server.port, connections=weather.connections, extra=extra, sources=SOURCES
        )
        clock = datetime.fromisoformat(DAY_ONE)
        while not query(folder, "SELECT 1 FROM editions WHERE finished_at IS NOT NULL"):
            clock += PAUSE
            kill = _plan(chance) if kills > 0 else None
            trap.set(kill)
            before = len(server.message_ids)
            send = ("send", "--config", str(config), "--now", clock.isoformat(), "--json")
            child = nursery.start(*send, first=partial(take_longer, weather.commit_takes))
            trap.spring(child.pid)
            answer = child.wait()
            trap.release()
            server.settle()
            result.starts += 1
            if kill and answer.returncode == -signal.SIGKILL:
                kills -= 1
                result.struck.append(Struck(kill, _windows(folder, child.pid, set(server.message_ids[before:]))))
            elif answer.returncode not in (0, 1):
                raise AssertionError(answer)
        told = nursery.run("deliveries", "--config", str(config), "--json")
        assert told.returncode == 0, told
        _judge(result, [json.loads(line) for line in told.stdout.splitlines()], Counter(server.message_ids))


def take_longer(seconds: float) -> None:
    """Has each commit of the ledger take so much longer in this process."""
    original = DeliveryLedger.commit

    def commit(self: DeliveryLedger, entries: Sequence[Entry]) -> Sequence[bool]:
        time.sleep(seconds)
        return original(self, entries)

    DeliveryLedger.commit = commit  # type: ignore[method-assign]


def _windows(folder: Path, pid: int, accepted: set[str]) -> dict[Window, set[str]]:
    """What the process held when it died."""
    found: dict[Window, set[str]] = {}
    for message_id, status in query(folder, f"SELECT message_id, status FROM deliveries WHERE owner LIKE '%/{pid}/%'"):
        if status == DeliveryStatus.ACTIVE:
            window = Window.CLAIMED
        else:
            window = Window.ACCEPTED if message_id in accepted else Window.INTENT
        found.setdefault(window, set()).add(message_id)
    return found or {Window.BETWEEN: set()}


def _judge(result: Storm, deliveries: Sequence[dict[str, Any]], copies: Counter[str]) -> None:
    result.recipients += READERS
    result.statuses.update(delivery["status"] for delivery in deliveries)
    for delivery in deliveries:
        message_id = delivery["message_id"]
        count = copies.pop(message_id, 0)
        if count > 1:
            result.doubled[message_id] += count - 1
        if not count and delivery["status"] != DeliveryStatus.UNKNOWN:
            result.lost.append(message_id)
        if delivery["attempts"] < max(count, 1) or not delivery["reply"]:
            result.untold.append(message_id)
    result.untold += copies


def freeze(nursery: Nursery, folder: Path, readers: int) -> Path:
    """The database of an edition of which nothing has been sent yet, everybody's delivery being queued."""
    with CollectingServer(answers_554_banner) as server:
        config = write_list(folder, readers, port=server.port, sources=SOURCES)
        refused = nursery.run("send", "--config", str(config), "--now", DAY_ONE)
    assert f"{readers} queued = {readers} recipients" in refused.stdout, refused
    nursery.keep_renderers("--config", str(config), "--now", DAY_ONE, "--out", str(folder / "preview"))
    return folder / "digest.db"


def query(folder: Path, question: str) -> list[tuple[Any, ...]]:
    """What the database in `folder` answers."""
    with closing(sqlite3.connect(folder / "digest.db")) as connection:
        return connection.execute(question).fetchall()
