"""How many deliveries a second go through the ledger: claim, intent, result; no message is made.

    python -m tests.bench.ledger --deliveries 20000 --workers 1 2 4
    python -m tests.bench.ledger --deliveries 20000 --sqlite --batch 50 100 500

On PostgreSQL each worker is a process with shards of its own, as `digest worker` has; on SQLite there is one, without,
as `digest send` is, and only `MEASURED` of those that are queued are sent. Groups are of `--batch` deliveries, as when
so many connections commit together; a durable commit each. Ratios count, and processor time: wall time is the
machine's. A claim reads what is to be sent as well, 12 picks each, as text: it is decoded when a message is composed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from itertools import product
from typing import Any

import psutil
import sqlalchemy as sa

from digest.ledger import Intent, Result
from digest.model import DeliveryStatus, Edition, ListId, Outcome, Shard
from digest.pull.dedupe import merge
from digest.store import Database, DeliveryLedger, Editions, Shards, Subscribers, migrate_database, open_database
from digest.store.rows import rows_of
from digest.store.shards import cut
from tests.factories import report, selection, subscriber
from tests.servers.postgres import PostgresServer

LAB = ListId("lab")
MEASURED = 4000
"""Deliveries of each batch size on SQLite."""
SENT = Outcome(DeliveryStatus.SENT, "2.0.0", "250 2.0.0 Ok: queued as 4B2C1D")


def now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Spent:
    """Processor time of this process by what the ledger was asked for, in seconds."""

    def __init__(self) -> None:
        self.claim = self.intent = self.result = 0.0
        self.deliveries = 0

    def send(self, ledger: DeliveryLedger, batch: int) -> bool:
        """One group from claim to result; False when there is none."""
        begun = time.process_time()
        claims = ledger.claim(batch)
        claimed = time.process_time()
        self.claim += claimed - begun
        if not claims:
            return False
        ledger.commit([Intent(claim) for claim in claims])
        intended = time.process_time()
        ledger.commit([Result(claim, SENT) for claim in claims])
        self.result += time.process_time() - intended
        self.intent += intended - claimed
        self.deliveries += len(claims)
        return True

    def each(self) -> dict[str, int]:
        """In microseconds for each delivery."""
        spent = {"claim": self.claim, "intent": self.intent, "result": self.result}
        return {f"{name}_us": round(seconds / self.deliveries * 1e6) for name, seconds in spent.items()}


def work(url: str, shards: Sequence[Shard], batch: int, out: Any, ready: Any) -> None:
    """One worker's shards; sends back what they took."""
    database = open_database(url)
    ready.wait()
    spent = Spent()
    for shard in shards:
        ledger = DeliveryLedger(database, LAB, now, within=shard)
        while spent.send(ledger, batch):
            pass
    out.put(spent)
    database.close()


def edition_of(database: Database, deliveries: int, day: int) -> tuple[Edition, list[Shard]]:
    """An edition with so many queued deliveries."""
    made: list[Shard] = []
    moment = datetime(2026, 1, day, tzinfo=UTC)
    editions = Editions(database, lambda connection, edition: made.extend(cut(connection, edition)))
    edition = editions.freeze(LAB, moment.date(), moment, [report(day)], merge, ())
    for shard in made:
        people = editions.shard(edition, (), shard.first, shard.last)
        chosen = [(person, selection(*range(12)), f"<{edition.id}.{person.id}@example.org>") for person in people]
        Shards(database).ranked(shard, rows_of(edition, chosen, moment, None, {}), edition, moment)
    assert sum(shard.last - shard.first + 1 for shard in made) == deliveries
    return edition, made


def measured(
    server: PostgresServer, url: str, database: Database, deliveries: int, workers: int, batch: int, day: int
) -> dict[str, Any]:
    """One edition through the ledger."""
    edition, shards = edition_of(database, deliveries, day)
    context = multiprocessing.get_context("spawn")
    out, ready = context.Queue(), context.Barrier(workers + 1)
    processes = [
        context.Process(target=work, args=(url, shards[n::workers], batch, out, ready)) for n in range(workers)
    ]
    for process in processes:
        process.start()
    ready.wait()
    with database.read() as connection:
        before = connection.exec_driver_sql("SELECT pg_current_wal_insert_lsn()::text").scalar_one()
    served, began = processor_time(server.pid), time.monotonic()
    told: list[Spent] = [out.get() for _ in processes]
    wall = time.monotonic() - began
    for process in processes:
        process.join()
    with database.read() as connection:
        wal = connection.execute(
            sa.text("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), CAST(:b AS pg_lsn))"), {"b": before}
        ).scalar_one()
        size = connection.exec_driver_sql(f"SELECT pg_total_relation_size('deliveries_{edition.id:d}')").scalar_one()
    done = sum(spent.deliveries for spent in told)
    assert done == deliveries
    cpu = sum(spent.claim + spent.intent + spent.result for spent in told)
    return {
        "workers": workers,
        "batch": batch,
        "deliveries": done,
        "a_second": round(done / wall),
        "worker_cpu_us_each": round(cpu / done * 1e6),
        "server_cpu_us_each": round((processor_time(server.pid) - served) / done * 1e6),
        "wal_bytes_each": round(float(wal) / done),
        "table_bytes_each": round(size / done),
        "load": round(os.getloadavg()[0], 1),
    }


def processor_time(pid: int) -> float:
    """Seconds that a process and its children have taken."""
    process = psutil.Process(pid)
    own = process.cpu_times()
    spent: float = own.user + own.system + own.children_user + own.children_system
    for child in process.children():
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            spent += times.user + times.system
    return spent


def on_sqlite(database: Database, batch: int, queued: int) -> dict[str, Any]:
    """Some of what is queued through the ledger."""
    ledger, spent = DeliveryLedger(database, LAB, now), Spent()
    while spent.deliveries < MEASURED and spent.send(ledger, batch):
        pass
    load = round(os.getloadavg()[0], 1)
    return {"batch": batch, "queued": queued, "deliveries": spent.deliveries, **spent.each(), "load": load}


def main(arguments: Sequence[str]) -> None:
    """Prints a JSON object for each number of workers, or size of groups."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deliveries", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--batch", type=int, nargs="+", default=[100])
    parser.add_argument("--sqlite", action="store_true")
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        if given.sqlite:
            url = f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory(prefix='digest-bench-'))}/digest.db"
        else:
            server = stack.enter_context(PostgresServer(shared_buffers="256MB", max_wal_size="2GB"))
            url = stack.enter_context(server.new())
            migrate_database(url)
        database = open_database(url)
        stack.callback(database.close)
        Subscribers(database).synchronise(LAB, [subscriber(n) for n in range(1, given.deliveries + 1)])
        if given.sqlite:
            edition_of(database, given.deliveries, 1)
            for n, batch in enumerate(given.batch):
                print(json.dumps(on_sqlite(database, batch, given.deliveries - n * MEASURED)), flush=True)
            return
        for day, (workers, batch) in enumerate(product(given.workers, given.batch), 1):
            print(json.dumps(measured(server, url, database, given.deliveries, workers, batch, day)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
