"""How many deliveries a second go through the ledger on PostgreSQL: claim, intent, result; no message is made.

    python -m tests.bench.ledger --deliveries 20000 --workers 1 2 4

Each worker is a process with shards of its own, as `digest worker` has. Groups are of `--batch` deliveries, as when so
many connections commit together; a durable commit each. Ratios count, and processor time: wall time is the machine's.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from digest.ledger import Intent, Result
from digest.model import DeliveryStatus, Edition, ListId, Outcome, Shard
from digest.pull.dedupe import merge
from digest.store import Database, DeliveryLedger, Editions, Shards, Subscribers, migrate_database, open_database
from digest.store.editions import rows_of
from digest.store.shards import cut
from tests.factories import report, selection, subscriber
from tests.servers.postgres import PostgresServer

LAB = ListId("lab")
SENT = Outcome(DeliveryStatus.SENT, "2.0.0", "250 2.0.0 Ok: queued as 4B2C1D")


def now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def work(url: str, shards: Sequence[Shard], batch: int, out: Any, ready: Any) -> None:
    """One worker's shards; sends back how many deliveries and how much processor time."""
    database = open_database(url)
    ready.wait()
    began, done = time.process_time(), 0
    for shard in shards:
        ledger = DeliveryLedger(database, LAB, now, within=shard)
        while claims := ledger.claim(batch):
            ledger.commit([Intent(claim) for claim in claims])
            ledger.commit([Result(claim, SENT) for claim in claims])
            done += len(claims)
    out.put((done, time.process_time() - began))
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


def measured(url: str, database: Database, deliveries: int, workers: int, batch: int, day: int) -> dict[str, Any]:
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
    began = time.monotonic()
    told = [out.get() for _ in processes]
    wall = time.monotonic() - began
    for process in processes:
        process.join()
    with database.read() as connection:
        wal = connection.execute(
            sa.text("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), CAST(:b AS pg_lsn))"), {"b": before}
        ).scalar_one()
        size = connection.exec_driver_sql(f"SELECT pg_total_relation_size('deliveries_{edition.id:d}')").scalar_one()
    done = sum(count for count, _ in told)
    assert done == deliveries
    cpu = sum(seconds for _, seconds in told)
    return {
        "workers": workers,
        "batch": batch,
        "deliveries": done,
        "a_second": round(done / wall),
        "worker_cpu_us_each": round(cpu / done * 1e6),
        "wal_bytes_each": round(float(wal) / done),
        "table_bytes_each": round(size / done),
        "load": round(os.getloadavg()[0], 1),
    }


def main(arguments: Sequence[str]) -> None:
    """Prints a JSON object for each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--batch", type=int, default=100)
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer(shared_buffers="256MB", max_wal_size="2GB"))
        url = stack.enter_context(server.new())
        migrate_database(url)
        database = open_database(url)
        stack.callback(database.close)
        Subscribers(database).synchronise(LAB, [subscriber(n) for n in range(1, given.deliveries + 1)])
        for day, workers in enumerate(given.workers, 1):
            print(json.dumps(measured(url, database, given.deliveries, workers, given.batch, day)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
