"""Pacing, on a clock that only moves when somebody sleeps."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from digest.model import Rate
from digest.send.rate import Limiter


class VirtualTime:
    """A clock and a sleep: time jumps to the next sleeper's wake when every task waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self._count += 1
        wake = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, self._count, wake))
        await wake

    def run(self, *tasks: Coroutine[Any, Any, None]) -> None:
        async def main() -> None:
            running = {asyncio.ensure_future(task) for task in tasks}
            while not all(task.done() for task in running):
                for _ in range(20):
                    await asyncio.sleep(0)
                if self._sleepers:
                    self.now, _, wake = heapq.heappop(self._sleepers)
                    if not wake.done():
                        wake.set_result(None)
            await asyncio.gather(*running)

        asyncio.run(main())


def passing_times(limiter: Limiter, time: VirtualTime, *domains: str, tasks: int = 1) -> list[tuple[float, str]]:
    """When each message may go, with the domains shared out over so many tasks."""
    passed: list[tuple[float, str]] = []
    waiting = list(domains)

    async def worker() -> None:
        while waiting:
            domain = waiting.pop(0)
            await limiter.acquire(domain)
            passed.append((time.now, domain))

    time.run(*(worker() for _ in range(tasks)))
    return passed


def test_messages_are_paced_evenly() -> None:
    """Six a minute lets one go every ten seconds, the first at once."""
    time = VirtualTime()
    limiter = Limiter(Rate(6, 60), clock=time.clock, sleep=time.sleep)
    assert [at for at, _ in passing_times(limiter, time, *["example.org"] * 4)] == [0, 10, 20, 30]


def test_an_unused_turn_is_not_saved() -> None:
    """After a pause the next messages are as far apart as ever."""
    time = VirtualTime()
    limiter = Limiter(Rate(6, 60), clock=time.clock, sleep=time.sleep)
    passing_times(limiter, time, "example.org")
    time.now = 1000
    assert [at for at, _ in passing_times(limiter, time, *["example.org"] * 3)] == [1000, 1010, 1020]


def test_a_slow_domain_does_not_hold_up_others() -> None:
    """A domain's own rate delays that domain alone."""
    time = VirtualTime()
    limiter = Limiter(Rate(60, 60), {"Slow.example": Rate(1, 60)}, clock=time.clock, sleep=time.sleep)
    passed = passing_times(limiter, time, *["slow.example"] * 2, *["fast.example"] * 5, tasks=2)
    assert [at for at, domain in passed if domain == "slow.example"] == [0, 60]
    assert [at for at, domain in passed if domain == "fast.example"] == [1, 2, 3, 4, 5]


def test_without_a_rate_nobody_waits() -> None:
    """No rate, or none for this domain, never sleeps."""
    limiter = Limiter(per_domain={"slow.example": Rate(1, 60)})
    assert not limiter.limits("fast.example")
    assert limiter.limits("SLOW.example")
    asyncio.run(asyncio.wait_for(limiter.acquire("fast.example"), timeout=5))


def test_who_stops_waiting_has_taken_nothing() -> None:
    """A cancelled wait leaves the turn to the next."""
    time = VirtualTime()
    limiter = Limiter(Rate(1, 60), clock=time.clock, sleep=time.sleep)

    async def main() -> None:
        await limiter.acquire("a")
        waiting = asyncio.ensure_future(limiter.acquire("a"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(main())
    time.now = 60
    assert [at for at, _ in passing_times(limiter, time, "a")] == [60]


@given(
    st.integers(1, 20), st.integers(1, 100), st.lists(st.sampled_from(["a", "b", "c"]), max_size=40), st.integers(1, 5)
)
def test_no_window_sees_more_than_the_rate(count: int, seconds: int, domains: list[str], tasks: int) -> None:
    """In any span of `seconds`, at most `count` messages go, to all domains and to a limited one."""
    time = VirtualTime()
    limiter = Limiter(Rate(count, seconds), {"a": Rate(1, seconds)}, clock=time.clock, sleep=time.sleep)
    passed = passing_times(limiter, time, *domains, tasks=tasks)
    assert len(passed) == len(domains)
    slack = 1e-6
    for start, _ in passed:
        window = [domain for at, domain in passed if start <= at < start + seconds - slack]
        assert len(window) <= count
        assert window.count("a") <= 1
