"""What letting an edition's deliveries go takes, and what stays of each.

    python -m tests.bench.letting_go --deliveries 100000
    python -m tests.bench.letting_go --deliveries 100000 --sqlite

One edition of 300 papers, a dozen for each reader: of those that few read and those that many do. Times are without the
pauses between transactions. PostgreSQL's write-ahead log has all that was written to it. Needs the Debian package
postgresql.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from contextlib import ExitStack
from datetime import timedelta
from itertools import pairwise

import sqlalchemy as sa

from digest.model import DeliveryStatus, Edition, ListId, Pick, Retention, Selection
from digest.pull.dedupe import merge
from digest.store import (
    Database,
    Editions,
    Pruning,
    Subscribers,
    copies,
    migrate_database,
    open_database,
    postgres,
    schema,
)
from tests.factories import NOW, TODAY, report, selection, subscriber
from tests.servers.postgres import PostgresServer

LAB = ListId("lab")
PAPERS, PICKS = 300, 12


def fill(database: Database, count: int) -> Edition:
    """An edition that was sent to so many."""
    dice, editions = random.Random(1), Editions(database)
    Subscribers(database).synchronise(LAB, [subscriber(n) for n in range(1, count + 1)])
    edition = editions.freeze(LAB, TODAY, NOW, [report(*range(PAPERS))], merge, ())
    picks = selection(*range(PAPERS)).picks

    def chosen() -> Selection:
        found: dict[int, Pick] = {}
        while len(found) < PICKS:
            place = min(int(dice.expovariate(5 / PAPERS)), PAPERS - 1)
            found[place] = picks[place]
        return Selection(tuple(found.values()))

    for shard in editions.recipients(edition):
        rows = [(person, chosen(), f"<{edition.number}.{person.id}@example.org>") for person in shard]
        editions.enqueue(edition, rows, NOW, None)
    editions.close_recipients(edition, NOW)
    with database.write() as connection:
        values = {"status": DeliveryStatus.SENT, "settled_at": NOW, "reply": "250 2.0.0 Ok: queued as 4XyZ"}
        connection.execute(sa.update(schema.deliveries).values(values))
    editions.finish(edition, NOW)
    return edition


def log_of(database: Database) -> int:
    """Bytes of PostgreSQL's log so far."""
    if database.path:
        return 0
    with database.session() as connection:
        return int(connection.exec_driver_sql("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").scalar_one())


def size_of(database: Database, edition: Edition) -> int:
    """Bytes that the deliveries take; of SQLite, that the whole file does."""
    if database.path:
        return copies.room(database.path)[0]
    with database.session() as connection:
        part = postgres.partition(edition.id)
        return int(connection.exec_driver_sql(f"SELECT pg_total_relation_size('{part}')").scalar_one())


def main() -> None:
    """Fills, lets go, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deliveries", type=int, default=100_000)
    parser.add_argument("--sqlite", action="store_true")
    given = parser.parse_args()
    with ExitStack() as stack:
        if given.sqlite:
            url = f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/digest.db"
        else:
            url = stack.enter_context(stack.enter_context(PostgresServer()).new())
            migrate_database(url)
        database = open_database(url)
        stack.callback(database.close)
        edition = fill(database, given.deliveries)
        print(f"{size_of(database, edition) / given.deliveries:,.0f} bytes a delivery before")
        log = log_of(database)
        kept = Retention(None, timedelta(days=365), None)
        steps = Pruning(database, {LAB: kept}, PAPERS, NOW + timedelta(days=400)).batches()
        moments, count = [time.perf_counter()], 0
        for _, gone in steps:
            moments.append(time.perf_counter())
            count += gone
        moments.append(time.perf_counter())
        longest, took = max(after - before for before, after in pairwise(moments)), moments[-1] - moments[0]
        written = (log_of(database) - log) / 1e6
        print(f"{count:,} let go of in {took:.1f} s, {len(moments) - 2:,} transactions, the longest {longest:.2f} s")
        print(f"{written:,.1f} MB of log")
        with database.read() as connection:
            papers = sa.select(sa.func.sum(sa.func.length(schema.received.c.papers)))
            print(f"{connection.execute(papers).scalar_one() / given.deliveries:.1f} bytes a delivery stay")


if __name__ == "__main__":
    main()
