"""A bad network between workers and their database loses nothing, doubles nothing, and nobody hangs on it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from digest.model import DeliveryStatus
from digest.store import Subscribers, migrate_database, open_database, schema
from tests.factories import subscriber
from tests.scale.partition import Scenario, run
from tests.scale.storm import LAB, Plan
from tests.servers import network, postgres

MISSING = postgres.missing() or network.missing()
pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(MISSING), reason=MISSING or "")]

SMALL = Plan(shards=3, size=20, connections=2, beats=(1.0, 4.0), patience=120.0)


def test_a_cut_that_outlasts_the_lease(tmp_path: Path) -> None:
    """Its deliveries go to others meanwhile; mended, the worker is back, and what it knew is written."""
    found = run(Scenario(loss=0.05, cut_for=7, lease=5, near=1, hurry=True), SMALL, tmp_path / "log")
    assert found.is_good, found
    assert found.storm.recipients == 60
    assert found.settled_at_cut < 60
    assert found.packets_lost
    assert set(found.storm.statuses) <= {DeliveryStatus.SENT, DeliveryStatus.UNKNOWN}
    assert found.storm.statuses.get(DeliveryStatus.UNKNOWN, 0) <= SMALL.connections


def test_a_cut_for_good(tmp_path: Path) -> None:
    """Another worker finishes the edition; the one that is cut off ends when it is asked to."""
    found = run(Scenario(cut_for=60, mended=False, lease=5, near=1, hurry=True), SMALL, tmp_path / "log")
    assert found.is_good, found
    assert (found.storm.recipients, found.settled_at_mending) == (60, 60)
    assert found.storm.statuses.get(DeliveryStatus.UNKNOWN, 0) <= SMALL.connections


HOLDS = """
import sys, time
from digest.store import open_database, postgres, schema
postgres.SILENCE = 3
with open_database(sys.argv[1]).write(alone=False) as connection:
    connection.execute(schema.subscribers.delete())
    print("held", flush=True)
    time.sleep(300)
"""


def test_a_vanished_program_holds_nobody_up() -> None:
    """The server ends its transaction, and others have the rows before they give up waiting."""
    with ExitStack() as stack:
        host = stack.enter_context(network.Host())
        server = stack.enter_context(postgres.PostgresServer(host.here))
        host.port = server.port
        url = stack.enter_context(server.new())
        migrate_database(url)
        database = stack.enter_context(closing(open_database(url)))
        Subscribers(database).synchronise(LAB, [subscriber(1)])
        far = url.replace("127.0.0.1", host.here)
        holder = subprocess.Popen(host.command(sys.executable, "-c", HOLDS, far), stdout=subprocess.PIPE, text=True)
        stack.callback(holder.wait)
        stack.callback(holder.kill)
        assert holder.stdout is not None
        stack.enter_context(holder.stdout)
        assert holder.stdout.readline() == "held\n"
        host.cut = True
        with database.write(alone=False) as connection:  # raises where it waits too long
            assert connection.execute(sa.delete(schema.subscribers)).rowcount == 1
