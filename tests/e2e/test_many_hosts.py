"""`digest run` twice and `digest worker` twice on one PostgreSQL, as processes: what many hosts do, the whole way."""

from __future__ import annotations

import os
import signal
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from digest.store import Editions, open_database
from tests.databases import Databases, databases  # noqa: F401 - a fixture
from tests.lists import write_list
from tests.nursery import Nursery, patch
from tests.scale.fleet import IMPORTED
from tests.servers.postgres import missing
from tests.servers.smtp import CollectingServer
from tests.test_scale import LAB
from tests.waiting import until

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(missing()), reason=missing() or "")]

READERS = 12
BEFORE = "2026-06-09T05:59:57+00:00"
SCHEDULE = 'papers = 3\nschedule = "0 6 * * *"\ntimezone = "UTC"'


def test_a_scheduled_edition_arrives_once_however_many_hosts_there_are(databases: Databases, tmp_path: Path) -> None:  # noqa: F811
    """Made by one of two schedulers, sent by two workers; each program ends tidily when it is asked to."""
    often = partial(patch, {"digest.scheduler.TEND_EVERY": timedelta(seconds=1)})
    with ExitStack() as stack:
        url = databases.url("postgresql", tmp_path, stack)
        server = stack.enter_context(CollectingServer(pipelining=True))
        nursery = stack.enter_context(Nursery(*IMPORTED))
        path = write_list(tmp_path, READERS, port=server.port, connections=4, extra=f'[store]\nurl = "{url}"\n')
        path.write_text(path.read_text().replace("papers = 3", SCHEDULE))
        common = ("--config", str(path), "--now", BEFORE, "-v")
        running = [nursery.start(command, *common, first=often) for command in ("worker", "worker", "run", "run")]
        database = open_database(url)
        stack.callback(database.close)
        editions = Editions(database)
        latest = until(lambda: editions.latest(LAB), "no edition was made", patience=120)
        until(lambda: not editions.unfinished(LAB), "the edition is not finished", patience=120)
        for each, is_up in zip(running, ["waiting for work"] * 2 + ["next run"] * 2, strict=True):
            each.until_it_says(is_up)  # who is only starting knows nothing of signals
            os.kill(each.pid, signal.SIGTERM)
        answers = [each.wait() for each in running]
        assert [answer.returncode for answer in answers] == [0] * 4, [answer.stderr for answer in answers]
        arrived = Counter(message.recipients[0] for message in server.messages)
        assert arrived == {f"reader{n}@example.org": 1 for n in range(READERS)}
        overview = editions.overview(latest)
        assert (latest.number, overview.counts, overview.recipients) == (1, {"sent": READERS}, READERS)
        told = "".join(answer.stderr for answer in answers)
        assert told.count('event="edition made"') == told.count('event="edition finished"') == 1
