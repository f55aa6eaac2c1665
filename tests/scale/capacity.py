"""Does the arithmetic of docs/deploy/capacity.md hold? A small run gives the figures, a larger one is foretold by them.

    python -m tests.scale.capacity                                   100,000 readers: 1 % of ten million
    python -m tests.scale.capacity --deliveries 10000 --workers 2
    python -m tests.scale.capacity --deliveries 4000 --round-trip 0.02     a relay that is 20 ms away

Real `digest worker`s, a real PostgreSQL, and smtp-sink as the relay. Prints what the model said of the larger run, what
came, what ten million in four hours would take by that run's figures, and whether a worker's memory grew as the larger
run went on. Seconds mean little where other programs share the processors; processor time and bytes do. Needs the
Debian packages postgresql and postfix.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import psutil
import sqlalchemy as sa

from digest.dispatch.among_workers import wake
from digest.dispatch.procrastinate import ProcrastinateQueue
from digest.model import DeliveryStatus, Edition, ListId, SourceReport
from digest.pull.dedupe import merge
from digest.store import Database, Editions, schema
from digest.store.shards import SIZE, cut
from tests.bench.ledger import processor_time
from tests.bench.send_sinks import distant_sink, postfix_sink
from tests.factories import announcement, paper
from tests.lists import write_list
from tests.scale.storm import Plan, prepared
from tests.servers.postgres import PostgresServer

LAB = ListId("lab")
TEN_MILLION, FOUR_HOURS = 10_000_000, 4 * 3600.0
ROUND_TRIPS = 2
"""Of a message on a connection that stands: MAIL, RCPT and DATA at once, then the message and its dot.

It waits for two durable commits as well, of its intent and of its result; how long they take is not in the model.
"""
PAPERS, PICKS = 40, 12
ABSTRACT = 1300
"""Characters, as arXiv's have."""
LOOK_AGAIN = 10.0
"""Seconds after which the queue is woken once more."""
PATIENCE = 120.0
"""Seconds for the workers to start."""


@dataclass(frozen=True)
class Figures:
    """What one run took, for each delivery where nothing else is said."""

    worker_ms: float
    """Processor time in the workers."""
    server_ms: float
    """Processor time in PostgreSQL."""
    wal_bytes: float
    table_bytes: float
    """In the edition's part of `deliveries`, with its indexes."""
    message_bytes: float
    """What smtp-sink reads, commands and all; 0 with another relay, whose reading nobody counts."""
    start_ms: float
    """Processor time of a worker until it waits for work."""


@dataclass(frozen=True)
class Run:
    """One edition, all of it sent."""

    deliveries: int
    figures: Figures
    seconds: float
    """From the edition's making to its end."""
    processors: float
    """Processor time of workers, PostgreSQL and relay for each second of that."""
    load: float
    memory: tuple[int, ...]
    """Bytes that the largest worker held, by tenths of the time; what it shares with others (its libraries) as well."""


@dataclass(frozen=True)
class Needs:
    """What so many deliveries in so many seconds take."""

    a_second: float
    worker_processors: float
    server_processors: float
    wal_megabytes_a_second: float
    wal_gigabytes: float
    table_gigabytes: float
    megabits_a_second: float
    connections_at_20_ms: float
    connections_at_50_ms: float


def needs(figures: Figures, deliveries: int, seconds: float) -> Needs:
    """The model: everything grows with the number of deliveries, and nothing with its square."""
    rate = deliveries / seconds
    return Needs(
        a_second=rate,
        worker_processors=rate * figures.worker_ms / 1000,
        server_processors=rate * figures.server_ms / 1000,
        wal_megabytes_a_second=rate * figures.wal_bytes / 1e6,
        wal_gigabytes=deliveries * figures.wal_bytes / 1e9,
        table_gigabytes=deliveries * figures.table_bytes / 1e9,
        megabits_a_second=rate * figures.message_bytes * 8 / 1e6,
        connections_at_20_ms=rate * ROUND_TRIPS * 0.020,
        connections_at_50_ms=rate * ROUND_TRIPS * 0.050,
    )


def least_seconds(figures: Figures, deliveries: int, connections: int, round_trip: float, processors: int) -> float:
    """How long it takes if these processors are ours: what is slowest, they or the relay's distance."""
    computed = deliveries * (figures.worker_ms + figures.server_ms) / 1000 / processors
    waited = deliveries * ROUND_TRIPS * round_trip / connections
    return max(computed, waited)


def by_tenths(looks: Sequence[int]) -> tuple[int, ...]:
    """The most of each tenth of what was seen at even intervals; fewer where there are not ten looks."""
    count = min(len(looks), 10)
    ends = [len(looks) * n // count for n in range(count + 1)]
    return tuple(max(looks[begin:end]) for begin, end in pairwise(ends))


def run(deliveries: int, workers: int, connections: int, round_trip: float) -> Run:
    """Sends one edition to so many readers."""
    shards = max(deliveries // SIZE, 1)
    plan = Plan(shards=shards, size=deliveries // shards)
    with ExitStack() as stack:
        server, url, database = stack.enter_context(prepared(plan))
        sink = distant_sink(round_trip) if round_trip else postfix_sink()
        before = {child.pid for child in psutil.Process().children()}
        port = stack.enter_context(sink)
        (relay,) = (child for child in psutil.Process().children() if child.pid not in before)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="digest-capacity-")))
        config = write_list(folder, 0, port=port, connections=connections * workers, extra=f'[store]\nurl = "{url}"\n')
        config.write_text(config.read_text().replace("papers = 3", f"papers = {PICKS}\nmin_relevance = 0.0"))
        fleet = stack.enter_context(started(config, workers))
        return _measured(server, url, database, fleet, relay, plan)


@contextmanager
def started(config: Path, workers: int) -> Iterator[list[int]]:
    """The process ids of `digest worker`s that wait for work."""
    log = config.with_name("log")
    command = [sys.executable, "-m", "digest", "worker", "--config", str(config)]
    with log.open("ab") as out:
        running = [subprocess.Popen(command, stdout=out, stderr=out) for _ in range(workers)]
    try:
        deadline = time.monotonic() + PATIENCE
        while log.read_text().count("waiting for work") < workers:
            if time.monotonic() > deadline or any(each.poll() is not None for each in running):
                raise RuntimeError(f"the workers did not start: {log.read_text()}")
            time.sleep(0.1)
        yield [each.pid for each in running]
    finally:
        for each in running:
            each.terminate()
        for each in running:
            each.wait()


def _measured(
    server: PostgresServer, url: str, database: Database, fleet: Sequence[int], relay: psutil.Process, plan: Plan
) -> Run:
    deliveries = plan.shards * plan.size
    start = sum(map(processor_time, fleet))
    worked, served, relayed = start, processor_time(server.pid), processor_time(relay.pid)
    wal, read = _wal(server, url), relay.io_counters().read_chars
    begun, now = time.monotonic(), datetime.now(UTC)
    edition = _edition(database, url, plan.size, now)
    memory = by_tenths(_until_end(database, url, edition, fleet))
    seconds = time.monotonic() - begun
    worked = sum(map(processor_time, fleet)) - worked
    served, relayed = processor_time(server.pid) - served, processor_time(relay.pid) - relayed
    counts = Editions(database).overview(edition).counts
    if counts != {DeliveryStatus.SENT: deliveries}:
        raise RuntimeError(f"not all were sent: {counts}")
    size = server.psql(f"SELECT pg_total_relation_size('deliveries_{edition.id:d}')", url.rpartition("/")[2])
    figures = Figures(
        worker_ms=1000 * worked / deliveries,
        server_ms=1000 * served / deliveries,
        wal_bytes=(_wal(server, url) - wal) / deliveries,
        table_bytes=int(size) / deliveries,
        message_bytes=(relay.io_counters().read_chars - read) / deliveries,
        start_ms=1000 * start / len(fleet),
    )
    return Run(deliveries, figures, seconds, (worked + served + relayed) / seconds, os.getloadavg()[0], memory)


def _wal(server: PostgresServer, url: str) -> int:
    """Where the write-ahead log ends, in bytes."""
    return int(server.psql("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn", url.rpartition("/")[2]))


def _edition(database: Database, url: str, size: int, now: datetime) -> Edition:
    queue = ProcrastinateQueue(url)

    def on_made(connection: sa.Connection, edition: Edition) -> None:
        queue.enqueue(connection, cut(connection, edition, size))

    sentence = "We show that diffusion models generate long videos when they are told what a scene is about. "
    abstract = (sentence * (ABSTRACT // len(sentence) + 1))[:ABSTRACT]
    announced = tuple(
        announcement(n, paper=paper(n, title=f"Generating Video {n}", abstract=abstract)) for n in range(PAPERS)
    )
    return Editions(database, on_made).freeze(LAB, now.date(), now, [SourceReport("arxiv", announced)], merge, ())


def _until_end(database: Database, url: str, edition: Edition, fleet: Sequence[int]) -> list[int]:
    """Waits until the edition is finished, and wakes the queue now and then, as `digest run` does.

    Bytes that the largest worker held in memory, each time that it was looked.
    """
    queue, wake_at = ProcrastinateQueue(url), time.monotonic() + LOOK_AGAIN
    workers, course = [psutil.Process(pid) for pid in fleet], list[int]()
    finished = sa.select(schema.editions.c.finished_at).where(schema.editions.c.id == edition.id)
    while True:
        course.append(max(worker.memory_info().rss for worker in workers))
        with database.read() as connection:
            if connection.execute(finished).scalar_one():
                return course
        if time.monotonic() > wake_at:
            wake(queue, database, LAB, datetime.now(UTC))
            wake_at = time.monotonic() + LOOK_AGAIN
        time.sleep(0.2)


def _told(model: Run, came: Run) -> Iterator[str]:
    """The figures of the small run, which are the model of the larger, against what came."""
    yield f"{'for each delivery':<24}{'model':>12}{'measured':>12}{'deviation':>11}"
    measured = asdict(came.figures)
    for name, value in asdict(model.figures).items():
        deviation = f"{100 * (measured[name] / value - 1):+.0f} %" if value else ""
        yield f"{name:<24}{value:>12,.2f}{measured[name]:>12,.2f}{deviation:>11}"


def main(arguments: Sequence[str]) -> None:
    """Runs both, and prints model against measurement and what ten million would take."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deliveries", type=int, default=TEN_MILLION // 100)
    parser.add_argument("--model", type=int, help="readers of the run that gives the model; a tenth")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=8, help="of each worker")
    parser.add_argument("--round-trip", type=float, default=0.0, help="seconds to the relay; 0: Postfix's smtp-sink")
    given = parser.parse_args(arguments)
    rest = (given.workers, given.connections, given.round_trip)
    model = run(given.model or given.deliveries // 10, *rest)
    came = run(given.deliveries, *rest)
    print(f"model: {model.deliveries:,} deliveries; measured: {came.deliveries:,}, {given.workers} workers")
    print(*_told(model, came), sep="\n")
    processors = os.cpu_count() or 1
    least = least_seconds(
        model.figures, came.deliveries, given.workers * given.connections, given.round_trip, processors
    )
    print(
        f"seconds: {least:,.0f} by the model if {processors} processors are ours; measured {came.seconds:,.0f}, "
        f"{came.deliveries / came.seconds:,.0f} a second, with {came.processors:.2f} processors, load {came.load:.1f}"
    )
    print("MB of the largest worker, by tenths of the run:", *(f"{held / 1e6:,.0f}" for held in came.memory))
    print(f"{TEN_MILLION:,} in {FOUR_HOURS / 3600:.0f} hours, by what was measured:")
    for name, value in asdict(needs(came.figures, TEN_MILLION, FOUR_HOURS)).items():
        print(f"{name.replace('_', ' '):<30}{value:>10,.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
