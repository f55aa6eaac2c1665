"""What it costs to look: CPU time of one scrape of `/metrics` and one look at `/healthz`, over a long ledger.

    python tests/bench/status.py [--rows 200000]

A made-up ledger in a temporary folder, each delivery with a dozen picks; an edition is under way. `naive` is what a
plain `SELECT edition_id, status, count(*) … GROUP BY 1, 2` over the deliveries costs in the same run, alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import sqlalchemy as sa

from digest.model import DeliveryStatus, ListId
from digest.settings import load
from digest.status.lists import first_day, status_of
from digest.store import Figures, open_database, schema
from digest.web.metrics import exposition
from tests.ledgers import LAB, fill
from tests.lists import write_list

TIMES = 5
DAYS = 14
"""Ten editions."""


def cost(work: Callable[[], object]) -> float:
    """Seconds of CPU, the least of a few."""
    found = []
    for _ in range(TIMES):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def main() -> None:
    """Builds the ledger, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    rows = parser.parse_args().rows
    last, now = date(2026, 6, 10), datetime(2026, 6, 10, 6, tzinfo=UTC)
    readers = rows * 10 // 71  # editions grow: the ten have 7.1 times as many deliveries
    with tempfile.TemporaryDirectory() as folder:
        config = load([write_list(Path(folder), readers=1)]).lists[0]
        database = open_database(config.store_url)
        waiting = {DeliveryStatus.QUEUED: readers // 3, DeliveryStatus.DEFERRED: readers // 50}
        fill(database, last, DAYS, readers, open_counts=waiting)
        figures = Figures(database)
        with database.read() as connection:
            count = connection.execute(sa.select(sa.func.count()).select_from(schema.deliveries)).scalar_one()
        since = first_day(config.mailing_list, now, 60)

        def scrape() -> int:
            pulse = figures.pulse(LAB, now)
            return len(exposition([status_of(config, figures.read(since, now), pulse, now, 60)], "")[0])

        def naive() -> int:
            table = schema.deliveries
            query = sa.select(table.c.edition_id, table.c.status, sa.func.count()).group_by("edition_id", "status")
            with database.read() as connection:
                return len(connection.execute(query).all())

        size = Path(folder, "digest.db").stat().st_size / 1e6
        print(f"{count:,} deliveries, {readers:,} subscribers, {size:,.0f} MB, {scrape():,} bytes a scrape")
        told = {
            "a scrape of /metrics": cost(scrape),
            "a look at /healthz": cost(lambda: figures.pulse(LAB, now)),
            "naive: deliveries alone": cost(naive),
        }
        fill(database, last, 3, 20, list_id=ListId("other"), open_counts={DeliveryStatus.QUEUED: 5})
        told["a scrape, two editions under way"] = cost(scrape)
        for what, seconds in told.items():
            print(f"{what:<34} {seconds * 1000:8.1f} ms CPU")
        database.close()


if __name__ == "__main__":
    main()
