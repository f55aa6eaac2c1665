"""A bad network between workers and their database: lost packets, or none at all; a server's log is the judge.

    python -m tests.scale.partition                       every scenario, some minutes
    python -m tests.scale.partition "20 s" --shards 20    one of them, larger

Workers run on a host of their own (`tests/servers/network.py`), whose wire is bad for the database's port alone: what
relays say goes on coming. Prints for each scenario what became of the deliveries, and how long a worker took to be back
after the wire was mended, or to end when it was asked to. `test_partition.py` runs small ones. Needs root and the
packages postgresql and iproute2.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from digest.dispatch.among_workers import wake
from digest.dispatch.procrastinate import ProcrastinateQueue
from digest.model import DeliveryStatus, Edition
from digest.store import Database, Editions, schema
from tests.lists import write_list
from tests.scale.fleet import FarFleet
from tests.scale.storm import LAB, LONG, Plan, Storm, judge, make_edition, prepared
from tests.servers.network import Host
from tests.servers.smtp import CollectingServer, Misbehaviour

MOST = 60.0
"""Seconds in which a worker must be back when the wire is mended, and have ended when it is asked to."""


OVER = (DeliveryStatus.SENT, DeliveryStatus.UNKNOWN)
LATE = 10.0
"""Seconds for results that came too late for the edition's end. An intent whose answer was lost stays in doubt."""


@dataclass(frozen=True)
class Scenario:
    """What befalls the wire between the far workers and the database; a near one, if there is one, is spared."""

    loss: float = 0.0
    """Of the packets, each way."""
    cut_for: float = 0.0
    """Seconds; from when a quarter of the deliveries is settled. 0: never."""
    mended: bool = True
    near: int = 0
    """Workers on this host."""
    lease: float = 300.0
    hurry: bool = False
    """Time-outs of seconds, for a test that has no minutes."""


SCENARIOS = {
    "5 %": Scenario(loss=0.05),
    "20 %": Scenario(loss=0.2),
    "20 s": Scenario(cut_for=20),
    "20 s, two hosts": Scenario(cut_for=20, near=1),
    "longer than the lease": Scenario(cut_for=50, lease=30, near=1),
    "longer than the lease, all": Scenario(cut_for=50, lease=30),
    "for good": Scenario(cut_for=90, mended=False, lease=30, near=1),
}
_IN_A_HURRY = """
from datetime import timedelta
from digest.dispatch import procrastinate
from digest.send import patience
from digest.store import postgres
postgres.SILENCE, patience.LAST_PATIENCE, procrastinate.PATIENCE = 3, timedelta(seconds=2), 2.0
"""


@dataclass
class Outcome:
    """What became of it."""

    storm: Storm = field(default_factory=Storm)
    settled_at_cut: int = 0
    settled_at_mending: int = 0
    back: float | None = None
    """Seconds from the mending until the far worker spoke with the database again."""
    finished_after: float = 0.0
    """Seconds from the mending, or the cut that is not mended, until the edition was finished."""
    ended: list[float] = field(default_factory=list)
    """Seconds that each worker took to end when it was asked to; the far one first."""
    packets_lost: int = 0
    longest_pause: float = 0.0
    """Seconds without one more delivery settled, from the first to the last, while the wire was not cut."""

    @property
    def is_good(self) -> bool:
        """Whether it is as it must be."""
        storm = self.storm
        nothing = not (storm.lost or storm.never or storm.untold or storm.doubled)
        return nothing and storm.finished and max((*self.ended, self.back or 0.0, self.longest_pause)) <= MOST


class Sink(CollectingServer):
    """Keeps only Message-IDs, in the order in which they came."""

    def __init__(self, *misbehaviours: Misbehaviour, **how: Any):
        super().__init__(*misbehaviours, pipelining=True, **how)
        self.messages = _Ids()

    @property
    def ids(self) -> list[str]:
        return self.messages.ids  # type: ignore[attr-defined, no-any-return]


class _Ids(list[Any]):
    """A list that takes messages and keeps what they are called."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []

    def append(self, message: Any) -> None:
        self.ids.append(message.message_id)


def run(scenario: Scenario, plan: Plan, log: Path | None = None) -> Outcome:
    """Sends an edition over that wire."""
    found = Outcome()
    plan = replace(plan, lease=scenario.lease, workers=1)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="digest-partition-")))
        host = stack.enter_context(Host())
        gate = _Gate(plan)
        sink = stack.enter_context(Sink(host=host.here, watch=gate.watch))
        server, near_url, database = stack.enter_context(prepared(plan, host.here))
        url = near_url.replace("127.0.0.1", host.here)
        config = write_list(folder, 0, port=sink.port, connections=plan.connections, extra=f'[store]\nurl = "{url}"\n')
        text = config.read_text().replace("papers = 3", "papers = 3\nmin_relevance = 0.0")
        config.write_text(text.replace('host = "127.0.0.1"', f'host = "{host.here}"'))
        log = log or folder / "log"
        host.port, host.loss = server.port, scenario.loss
        first = _IN_A_HURRY if scenario.hurry else ""
        far = FarFleet(config, 1, plan.beats, plan.lease, log, host.command(sys.executable), first)
        near = FarFleet(config, scenario.near, plan.beats, plan.lease, log, first=first)
        begun = time.monotonic()
        try:
            for fleet in (far, near):
                fleet.fill()
            # The near ones would have done all before a far one is up, which must have something to lose.
            while log.read_text().count("waiting for work") < 1 + scenario.near and time.monotonic() < begun + MOST:
                time.sleep(0.1)
            edition = make_edition(database, near_url, plan.size, datetime.now(UTC))
            watch = _Watch(database, edition, near_url, plan, host)
            if scenario.cut_for:
                _cut(scenario, watch, found, gate)
            else:
                gate.open()
            mended = time.monotonic()
            watch.until(watch.finished)
            found.finished_after = round(time.monotonic() - mended, 1)
            if scenario.mended and scenario.cut_for:  # what relays have said meanwhile is written late
                late = time.monotonic() + LATE
                watch.until(lambda: watch.settled(DeliveryStatus.SENT) == watch.total or time.monotonic() > late)
        finally:
            gate.open()
            for fleet in (far, near):
                found.ended += [round(seconds, 1) for seconds in fleet.end()]
        found.storm.seconds = round(time.monotonic() - begun, 1)
        found.packets_lost = host.lost
        found.longest_pause = round(watch.longest_pause, 1)
        host.cut = False
        sink.settle()
        judge(found.storm, database, edition, Counter(sink.ids))
    return found


class _Gate:
    """Holds up a relay in the middle of the edition until the wire is cut: something is under way then."""

    def __init__(self, plan: Plan):
        self._left = plan.shards * plan.size // 2
        self._open = threading.Event()

    def watch(self, stage: str) -> None:
        """A stage of a conversation begins, in the server's thread."""
        if stage == "accepted":
            time.sleep(0.01)
            self._left -= 1
            if self._left < 0:
                self._open.wait(MOST)

    def open(self) -> None:
        """All go on."""
        self._open.set()


class _Watch:
    """Looks at the edition, and wakes workers as `digest run` does."""

    def __init__(self, database: Database, edition: Edition, url: str, plan: Plan, host: Host):
        self.total = plan.shards * plan.size
        self.host = host
        self._database, self._edition, self._queue = database, edition, ProcrastinateQueue(url)
        self._patience, self._next_wake = plan.patience, 0.0
        self._settled, self._since, self.longest_pause = 0, time.monotonic(), 0.0

    def until(self, holds: Callable[[], bool]) -> None:
        """Returns when it holds, or patience has ended: then it is for the judge to say."""
        deadline = time.monotonic() + self._patience
        while not holds() and time.monotonic() < deadline:
            self._look()
            if time.monotonic() > self._next_wake:
                wake(self._queue, self._database, LAB, datetime.now(UTC))
                self._next_wake = time.monotonic() + 3
            time.sleep(0.1)

    def _look(self) -> None:
        now, settled = time.monotonic(), self.settled(*OVER)
        if settled != self._settled or self.host.cut or not settled or settled == self.total:
            self._settled, self._since = settled, now
        self.longest_pause = max(self.longest_pause, now - self._since)

    def settled(self, *statuses: DeliveryStatus) -> int:
        """How many deliveries are in one of the states."""
        counts = Editions(self._database).overview(self._edition).counts
        return sum(counts.get(status, 0) for status in statuses)

    def finished(self) -> bool:
        """Whether the edition is."""
        query = sa.select(schema.editions.c.finished_at).where(schema.editions.c.id == self._edition.id)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one() is not None

    def has_spoken(self, since: datetime) -> bool:
        """Whether a far worker has had an answer of the database since then."""
        query = sa.text("SELECT count(*) FROM pg_stat_activity WHERE client_addr = :there AND state_change > :since")
        with self._database.read() as connection:
            return bool(connection.execute(query, {"there": self.host.there, "since": since}).scalar_one())


def _cut(scenario: Scenario, watch: _Watch, found: Outcome, gate: _Gate) -> None:
    watch.until(lambda: watch.settled(*OVER) >= watch.total / 4)
    watch.host.cut = True
    gate.open()
    found.settled_at_cut = watch.settled(*OVER)
    mending = time.monotonic() + scenario.cut_for
    watch.until(lambda: time.monotonic() > mending or (not scenario.mended and watch.finished()))
    found.settled_at_mending = watch.settled(*OVER)
    if scenario.mended:
        since = datetime.now(UTC)
        watch.host.cut = False
        mended = time.monotonic()
        watch.until(lambda: watch.has_spoken(since))
        found.back = round(time.monotonic() - mended, 1)


def main(arguments: Sequence[str]) -> int:
    """The command line: which scenarios, and how much is sent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", choices=[[], *SCENARIOS], default=[])
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--size", type=int, default=25)
    given = parser.parse_args(arguments)
    plan = Plan(shards=given.shards, size=given.size, beats=(10.0, 30.0), patience=900.0)
    bad = 0
    for name in given.scenarios or SCENARIOS:
        found = run(SCENARIOS[name], plan)
        shown = asdict(found)
        shown["storm"] |= {each: len(shown["storm"][each]) for each in LONG}
        print(json.dumps({"scenario": name, "good": found.is_good} | shown), flush=True)
        bad += not found.is_good
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
