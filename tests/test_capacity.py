"""The arithmetic of docs/deploy/capacity.md, and the run that holds it against a real one."""

from __future__ import annotations

import shutil

import pytest

from tests.scale.capacity import TEN_MILLION, Figures, by_tenths, least_seconds, needs, run
from tests.servers.postgres import missing

FIGURES = Figures(worker_ms=4.0, server_ms=1.0, wal_bytes=2000, table_bytes=4000, message_bytes=50_000, start_ms=1000)


def test_what_ten_million_need_follows_from_the_figures() -> None:
    """Ten million in 10,000 seconds are a thousand a second: each figure in the unit that somebody would buy."""
    found = needs(FIGURES, TEN_MILLION, 10_000.0)
    assert found.a_second == 1000
    assert (found.worker_processors, found.server_processors) == (4.0, 1.0)
    assert (found.wal_megabytes_a_second, found.wal_gigabytes, found.table_gigabytes) == (2.0, 20.0, 40.0)
    assert found.megabits_a_second == 400
    assert (found.connections_at_20_ms, found.connections_at_50_ms) == (40, 100)


def test_a_run_takes_as_long_as_what_is_slowest_in_it() -> None:
    """The processors where the relay is near; its distance where it is far."""
    assert least_seconds(FIGURES, 1000, connections=10, round_trip=0.0, processors=2) == 2.5
    assert least_seconds(FIGURES, 1000, connections=10, round_trip=0.05, processors=2) == 10


def test_memory_that_grows_as_a_run_goes_on_shows() -> None:
    """The most of each tenth of the looks, all of which count; a short run has fewer looks than ten."""
    assert by_tenths([*range(23), 5]) == (1, 3, 6, 8, 11, 13, 15, 18, 20, 22)
    assert by_tenths([7, 9]) == (7, 9)


@pytest.mark.system
@pytest.mark.skipif(bool(missing()), reason=missing() or "")
@pytest.mark.skipif(shutil.which("smtp-sink") is None, reason="Postfix is not installed: apt-get install postfix")
def test_a_small_run_measures_every_figure() -> None:
    """Workers, PostgreSQL and relay are real; a message holds twelve papers, a row their picks and its indexes."""
    came = run(40, workers=1, connections=2, round_trip=0.0)
    assert came.deliveries == 40
    assert 20_000 < came.figures.message_bytes < 100_000
    assert came.figures.table_bytes > 1000
    assert came.figures.wal_bytes > 1000
    assert all(20e6 < held < 1e9 for held in came.memory)
    assert min(came.figures.worker_ms, came.figures.server_ms, came.figures.start_ms) > 0
