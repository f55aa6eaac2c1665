"""An edition sent by several workers that are killed, over a database that is restarted; a server's log is the judge.

    python -m tests.scale.storm                      100 shards of 1,000, 4 workers, a kill every 3 s on average
    python -m tests.scale.storm --shards 5 --size 40 --on-unknown resend
    python -m tests.scale.storm --journal            with `[store] journal`: compare what is in doubt

Prints what became of the deliveries, and what the server had, as one JSON object. `test_scale.py` runs small ones.
Two schedulers make the edition at once, and wake workers as `digest run` does. POSIX; needs the package postgresql.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from digest.dispatch.among_workers import wake
from digest.dispatch.procrastinate import ProcrastinateQueue
from digest.model import Address, DeliveryStatus, Edition, ListId, OnUnknown, Profile, ShardState, Topic
from digest.pull.dedupe import merge
from digest.store import Database, Decisions, Editions, Shards, Subscribers, migrate_database, open_database, schema
from digest.store.shards import cut
from tests.factories import report, subscriber
from tests.lists import write_list
from tests.scale.fleet import Fleet
from tests.servers.postgres import PostgresServer
from tests.servers.sink import Sink

LAB = ListId("lab")
LONG = ("lost", "never", "untold")


@dataclass(frozen=True)
class Plan:
    """What is sent, by whom, and what befalls them."""

    shards: int = 100
    size: int = 1000
    workers: int = 4
    kill_every: float = 3.0
    """Seconds, on average; 0: nobody is killed."""
    strikes: int = 1_000_000
    """At most."""
    restarts: tuple[str, ...] = ("fast", "immediate")
    """How the database is stopped, each once."""
    deferrals: float = 0.005
    """How many of the recipients are answered 451 at first."""
    on_unknown: OnUnknown = OnUnknown.HOLD
    how: str = "kill"
    """"kill", "term", or "stop": past the lease, and on again."""
    beats: tuple[float, float] = (2.0, 6.0)
    lease: float = 300.0
    connections: int = 4
    seed: int = 1
    patience: float = 3600.0
    journal: bool = False
    """Whether workers keep one, `[store] journal`."""


@dataclass
class Storm:
    """What became of it."""

    seconds: float = 0.0
    cpu_ms_each: float = 0.0
    """Processor time of all workers for each recipient, their start included; what is killed counts too."""
    struck: int = 0
    recipients: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    editions: int = 0
    jobs_left: int = 0
    finished: bool = False
    aside: int = 0
    """Shards that were set aside, and taken up again as an operator does."""
    lost: list[str] = field(default_factory=list)
    """Message-IDs that the server never had, though they are not in doubt."""
    never: list[str] = field(default_factory=list)
    """Those of them that are recorded as sent."""
    doubled: int = 0
    """Copies too many."""
    untold: list[str] = field(default_factory=list)
    """Message-IDs that came more often than the ledger tells of tries."""
    open_shards: list[str] = field(default_factory=list)

    def is_bad(self, plan: Plan) -> bool:
        """Whether a promise has been broken."""
        in_doubt = self.doubled + self.statuses.get(DeliveryStatus.UNKNOWN, 0)
        allowed = plan.connections * self.struck if plan.how != "term" else 0
        doubles_held = plan.on_unknown == OnUnknown.HOLD and self.doubled
        return bool(self.lost or self.never or self.untold or not self.finished or doubles_held or in_doubt > allowed)


def address(number: int) -> str:
    """A reader's."""
    return f"reader{number}@example.org"


@contextmanager
def prepared(plan: Plan, beside: str = "") -> Iterator[tuple[PostgresServer, str, Database]]:
    """A database with readers in it; `beside`: as the server has it."""
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer(beside))
        url = stack.enter_context(server.new())
        migrate_database(url)
        database = open_database(url)
        stack.callback(database.close)
        profile = Profile((Topic("video", "papers that generate video by diffusion"),))
        readers = [
            subscriber(n, address=Address(address(n)), profile=profile) for n in range(1, plan.shards * plan.size + 1)
        ]
        Subscribers(database).synchronise(LAB, readers)
        yield server, url, database


def make_edition(database: Database, url: str, size: int, now: datetime) -> Edition:
    """As a scheduler does: the edition and its jobs in one transaction."""
    queue = ProcrastinateQueue(url)

    def on_made(connection: sa.Connection, edition: Edition) -> None:
        queue.enqueue(connection, cut(connection, edition, size))

    return Editions(database, on_made).freeze(LAB, now.date(), now, [report(*range(12))], merge, ())


def storm(plan: Plan) -> Storm:
    """Sends an edition through it all, until nothing is left to do."""
    result, chance = Storm(), random.Random(plan.seed)
    greylisted = [address(n) for n in range(1, plan.shards * plan.size + 1) if chance.random() < plan.deferrals]
    with (
        prepared(plan) as (server, url, database),
        Sink(greylisted) as sink,
        tempfile.TemporaryDirectory(prefix="digest-scale-") as folder,
    ):
        kept = 'journal = "journal"\n' if plan.journal else ""
        extra = f'on_unknown = "{plan.on_unknown}"\n[store]\nurl = "{url}"\n{kept}'
        config = write_list(Path(folder), 0, port=sink.port, connections=plan.connections, extra=extra)
        config.write_text(config.read_text().replace("papers = 3", "papers = 3\nmin_relevance = 0.0"))
        now = datetime.now(UTC)
        with ThreadPoolExecutor(2) as pool:  # two schedulers
            made = list(pool.map(lambda _: make_edition(database, url, plan.size, now), range(2)))
        log = os.environ.get("DIGEST_SCALE_LOG")
        begun, before = time.monotonic(), os.times()
        with Fleet(config, plan.workers, plan.beats, plan.lease, Path(log) if log else None) as fleet:
            _weather(plan, result, chance, server, url, database, fleet, made[0])
            result.seconds = round(time.monotonic() - begun, 1)
        spent = os.times()  # of children that have been waited for: the database is not, unless it was restarted
        cpu = spent.children_user + spent.children_system - before.children_user - before.children_system
        result.cpu_ms_each = round(1000 * cpu / (plan.shards * plan.size), 2)
        sink.settle()
        judge(result, database, made[0], Counter(sink.ids))
        with database.read() as connection:
            result.editions = connection.execute(sa.select(sa.func.count()).select_from(schema.editions)).scalar_one()
            result.jobs_left = connection.exec_driver_sql(
                "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'shard'"
            ).scalar_one()
    return result


def _weather(
    plan: Plan,
    result: Storm,
    chance: random.Random,
    server: PostgresServer,
    url: str,
    database: Database,
    fleet: Fleet,
    edition: Edition,
) -> None:
    """Kills and restarts, until the edition is done."""
    total, deadline = plan.shards * plan.size, time.monotonic() + plan.patience
    restarts = [(share, how) for share, how in zip((0.3, 0.6), plan.restarts, strict=False)]
    next_strike = time.monotonic() + (chance.expovariate(1 / plan.kill_every) if plan.kill_every else 1e9)
    next_wake = next_look = 0.0
    queues = [ProcrastinateQueue(url), ProcrastinateQueue(url)]
    while time.monotonic() < deadline:
        fleet.fill()
        time.sleep(0.1)
        if time.monotonic() > next_strike and result.struck < plan.strikes:
            _strike(plan, chance, fleet)
            result.struck += 1
            next_strike = time.monotonic() + chance.expovariate(1 / plan.kill_every)
        if time.monotonic() > next_wake:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda queue: wake(queue, database, LAB, datetime.now(UTC)), queues))
            next_wake = time.monotonic() + 3
        if time.monotonic() < next_look:
            continue
        began = time.monotonic()
        overview = Editions(database).overview(edition)
        next_look = time.monotonic() + 20 * (time.monotonic() - began)  # to count them all takes its time
        if overview.finished_at:
            return
        counts = overview.counts
        settled = sum(counts.get(status, 0) for status in (DeliveryStatus.SENT, DeliveryStatus.UNKNOWN))
        if restarts and settled >= restarts[0][0] * total:
            server.stop(signal.SIGQUIT if restarts[0][1] == "immediate" else signal.SIGINT)
            time.sleep(1)
            server.start()
            restarts.pop(0)
        deferred = counts.get(DeliveryStatus.DEFERRED, 0)
        shards = Shards(database).overview(edition)
        aside = shards.counts.get(ShardState.ASIDE, 0) if shards else 0
        result.aside += aside
        if aside or (deferred and settled + deferred == total):
            Decisions(database, edition).retry(datetime.now(UTC))
            next_wake = 0.0


def _strike(plan: Plan, chance: random.Random, fleet: Fleet) -> None:
    if plan.how == "stop":
        fleet.strike(chance, signal.SIGSTOP, wake_after=plan.lease * 1.5)
    else:
        fleet.strike(chance, signal.SIGTERM if plan.how == "term" else signal.SIGKILL)


def judge(result: Storm, database: Database, edition: Edition, copies: Counter[str]) -> None:
    """Puts into `result` what the ledger has, and what the server had: how many copies, by Message-ID."""
    deliveries = schema.deliveries
    columns = (deliveries.c.message_id, deliveries.c.status, deliveries.c.attempts, deliveries.c.reply)
    with database.read() as connection:
        rows = connection.execute(sa.select(*columns).where(deliveries.c.edition_id == edition.id)).all()
    result.recipients = len(rows)
    result.statuses = dict(Counter(row.status for row in rows))
    for row in rows:
        count = copies.pop(row.message_id, 0)
        result.doubled += max(count - 1, 0)
        if not count and row.status != DeliveryStatus.UNKNOWN:
            result.lost.append(row.message_id)
        if not count and row.status == DeliveryStatus.SENT:
            result.never.append(row.message_id)
        if row.attempts < count or not row.reply:
            result.untold.append(row.message_id)
    result.untold += list(copies)
    overview = Editions(database).overview(edition)
    result.finished = overview.finished_at is not None and overview.adds_up
    shards = Shards(database).overview(edition)
    if shards and not result.finished:
        result.open_shards = [f"{state}: {count}" for state, count in shards.counts.items()]
        result.open_shards += [f"{shard}: {error}" for shard, error in shards.errors]


def main(arguments: Sequence[str]) -> int:
    """The command line: each field of `Plan`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = asdict(Plan())
    for name, value in defaults.items():
        kind = type(value) if not isinstance(value, tuple) else None
        nargs = "*" if isinstance(value, tuple) else None
        of = (float if name == "beats" else str) if kind is None else kind
        how: dict[str, Any] = (
            {"action": "store_true"} if value is False else {"type": of, "nargs": nargs, "default": value}
        )
        parser.add_argument(f"--{name.replace('_', '-')}", **how)
    given = vars(parser.parse_args(arguments))
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    plan = Plan(**values)
    result = storm(plan)
    shown = {name: len(value) if name in LONG else value for name, value in asdict(result).items()}
    print(json.dumps(shown))
    return 1 if result.is_bad(plan) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
