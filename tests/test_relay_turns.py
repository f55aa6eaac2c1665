"""What workers share of a relay: its rates and its connections hold over all of them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from digest.model import Rate
from digest.send.rate import SharedLimiter
from digest.store import Database, open_database
from digest.store.relay_turns import RelayTurns, places
from tests.databases import Databases
from tests.servers.postgres import missing

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(missing()), reason=missing() or "")]


@pytest.fixture
def hosts(databases: Databases, tmp_path: Path) -> Iterator[list[Database]]:
    """One database, as three hosts have it."""
    with ExitStack() as stack:
        url = databases.url("postgresql", tmp_path, stack)
        opened = [open_database(url) for _ in range(3)]
        for each in opened:
            stack.callback(each.close)
        yield opened


def test_turns_follow_each_other(hosts: list[Database]) -> None:
    """Whoever takes turns gets those after the others'; each relay and domain has its own."""
    first, second, third = (RelayTurns(host).reserve for host in hosts)
    assert first("relay", "", 100.0, 3) == 0.0
    assert 299 < second("relay", "", 100.0, 1) <= 300
    assert 399 < third("relay", "", 100.0, 1) <= 400
    assert third("relay", "gmail.com", 100.0, 1) == third("other", "", 100.0, 1) == 0.0


class _Board:
    """Turns of one relay, by a clock that only sleeping moves."""

    def __init__(self) -> None:
        self.time = 0.0
        self.free_at: dict[str, float] = {}
        self.reservations = 0

    def reserve(self, relay: str, domain: str, interval: float, count: int) -> float:
        self.reservations += 1
        start = max(self.free_at.get(domain, 0.0), self.time)
        self.free_at[domain] = start + interval * count
        return start - self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds

    def limiter(self, rate: Rate | None, per_domain: dict[str, Rate]) -> SharedLimiter:
        return SharedLimiter("relay", self, rate, per_domain, lambda: self.time, self.sleep)


def test_two_hosts_together_keep_the_rate() -> None:
    """And ask the database less often than there are messages."""
    board = _Board()
    both = [board.limiter(Rate(600, 60.0), {}) for _ in range(2)]

    async def send() -> None:
        for n in range(200):
            await both[n % 2].acquire("example.org")

    asyncio.run(send())
    assert board.time >= 199 * 0.1 - 1e-6 - 5 * 0.1  # what is reserved at once may be another's turn
    assert board.free_at[""] >= 20.0 - 1e-6
    assert board.reservations < 100


def test_a_late_turn_is_dropped() -> None:
    """A host that was busy does not make up for it in a burst."""
    board = _Board()
    limiter = board.limiter(Rate(600, 60.0), {})

    async def send() -> list[float]:
        times = []
        for n in range(6):
            board.time += 10.0 if n == 1 else 0.0
            await limiter.acquire("example.org")
            times.append(board.time)
        return times

    times = asyncio.run(send())
    assert min(later - sooner for sooner, later in itertools.pairwise(times)) >= 0.1 - 1e-6


def test_a_domain_has_its_own_rate_beside_the_relays() -> None:
    """Others do not wait for it."""
    board = _Board()
    limiter = board.limiter(None, {"gmail.com": Rate(60, 60.0)})
    assert limiter.limits("GMAIL.com")
    assert not limiter.limits("example.org")

    async def send() -> None:
        for _ in range(5):
            await limiter.acquire("Gmail.com")
            await limiter.acquire("example.org")

    asyncio.run(send())
    assert board.time == pytest.approx(4.0)


def test_connections_are_bounded_over_all_hosts(hosts: list[Database]) -> None:
    """Nobody has a place that another has; whose block ends, or whose session is gone, gives it back."""
    with places(hosts[0], {"relay": 4}) as first, places(hosts[1], {"relay": 4, "other": 2}) as second:
        assert (first, second) == ({"relay": 4}, {"relay": 0, "other": 2})
    with places(hosts[1], {"relay": 4}) as second:
        assert second == {"relay": 4}


def test_places_are_shared_among_the_living(hosts: list[Database]) -> None:
    """Two workers have half of the connections each; the odd one is whoever's comes first."""
    with hosts[0].write() as connection:
        for _ in range(2):
            connection.exec_driver_sql("SELECT procrastinate_register_worker_v1()")
    with places(hosts[0], {"relay": 5}) as first, places(hosts[1], {"relay": 5}) as second:
        assert (first, second) == ({"relay": 3}, {"relay": 2})
