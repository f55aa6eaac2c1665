"""Kills `digest send` at every transaction, runs it again, and counts: one delivery a subscriber, no second copy."""

from __future__ import annotations

import mailbox
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from digest.app import App
from digest.cli import _clock
from digest.console import Terminal
from digest.model import DeliveryStatus
from digest.sending import send
from digest.settings import load
from digest.store import Database, Editions, open_database
from tests.lists import DAY_ONE, write_list

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by SIGKILL")

HEAVY = ("alembic.command", "feedparser", "jinja2", "nh3", "numpy", "premailer", "psutil", "pylatexenc", "scipy.sparse")
"""Imported once by the server that forks, not by every process that is to be killed."""


def send_and_die(config: Path, at: int) -> None:
    """`digest send` that is killed at the `at`th moment, the moments being before and after each commit; 0: never."""
    moments = 0

    def moment() -> None:
        nonlocal moments
        moments += 1
        if moments == at:
            os.kill(os.getpid(), signal.SIGKILL)

    original = Database.write

    @contextmanager
    def write(self: Database) -> Iterator[sa.Connection]:
        with original(self) as connection:
            yield connection
            moment()
        moment()

    Database.write = write  # type: ignore[method-assign]
    with App(load([config], {}).lists[0], _clock(DAY_ONE)) as app:
        sys.exit(send(Terminal(as_json=True), app, ()))


def run(config: Path, at: int) -> int | None:
    """The exit code of one such process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.test_crash", *HEAVY])
    process = context.Process(target=send_and_die, args=(config, at))
    process.start()
    process.join(60)
    assert not process.is_alive()
    return process.exitcode


def test_a_kill_at_any_transaction_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Whatever the moment of death: the re-run ends with one row each, counts that add up, at most one copy each."""
    at, killed, held = 0, -signal.SIGKILL, 0
    while killed == -signal.SIGKILL:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        config = write_list(folder)
        killed = run(config, at)
        assert run(config, 0) == 0
        database = open_database(f"sqlite:///{folder}/digest.db")
        editions = Editions(database)
        edition = editions.latest(load([config], {}).lists[0].mailing_list.id)
        assert edition is not None
        overview = editions.overview(edition)
        deliveries = editions.deliveries(edition)
        database.close()
        assert overview.adds_up, f"killed at moment {at}"
        assert overview.finished_at is not None, f"killed at moment {at}"
        assert [d.address for d in deliveries] == ["reader0@example.org", "reader1@example.org"]
        copies = [message["Message-ID"] for message in mailbox.Maildir(folder / "outbox")]
        sent = [d.message_id for d in deliveries if d.status is DeliveryStatus.SENT]
        unknown = [d.message_id for d in deliveries if d.status is DeliveryStatus.UNKNOWN]
        assert set(sent) <= set(copies) <= {*sent, *unknown}, f"killed at moment {at}"
        assert len(copies) == len(set(copies)), f"killed at moment {at}"
        held += len(unknown)
        assert len(unknown) <= 1
    assert at > 20, "the send has more than ten transactions: the crash points are where we think"
    assert held, "some moment lies between the intent and the result"
