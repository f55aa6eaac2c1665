"""One request at a time to a host, spaced; nobody waits in earnest here."""

from __future__ import annotations

import asyncio

import pytest

from digest.pull.manners import Manners, NotYetError, party_of, spacing


class Clock:
    """Seconds that pass only in sleep, and by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        await asyncio.sleep(0)
        self.now += seconds


def visits(manners: Manners, clock: Clock, *hosts: str, takes: float = 0.0) -> list[tuple[str, str, float]]:
    """Ask all hosts at once; what began and ended, in order, with its time."""
    happened: list[tuple[str, str, float]] = []

    async def one(host: str) -> None:
        async with manners.turn(host):
            happened.append(("begins", host, clock.now))
            await asyncio.sleep(0)
            clock.now += takes
            happened.append(("ends", host, clock.now))

    async def all_of_them() -> None:
        await asyncio.gather(*map(one, hosts))

    asyncio.run(all_of_them())
    return happened


def test_one_request_at_a_time_and_a_second_between() -> None:
    """Requests to one host that are asked for at once follow one another."""
    clock = Clock()
    happened = visits(Manners(clock=clock, sleep=clock.sleep), clock, "a.example", "a.example", "a.example", takes=5)
    assert [what for what, _, _ in happened] == ["begins", "ends"] * 3
    assert [when for what, _, when in happened if what == "begins"] == [100, 106, 112]


def test_all_of_arxiv_is_one_visitor_s_host() -> None:
    """Feed and search API are never asked at once, and three seconds lie between."""
    clock = Clock()
    happened = visits(Manners(clock=clock, sleep=clock.sleep), clock, "rss.arxiv.org", "export.arxiv.org", "ArXiv.org.")
    assert [when for what, _, when in happened if what == "begins"] == [100, 103, 106]
    assert party_of("notarxiv.org") == "notarxiv.org"


def test_hosts_do_not_wait_for_each_other() -> None:
    """Two hosts are asked at the same time."""
    clock = Clock()
    happened = visits(Manners(clock=clock, sleep=clock.sleep), clock, "a.example", "b.example")
    assert [what for what, _, _ in happened] == ["begins", "begins", "ends", "ends"]
    assert clock.slept == []


def test_manners_outlive_an_event_loop() -> None:
    """What the first list's pull did is known to the second's, in a loop of its own."""
    clock = Clock()
    manners = Manners(clock=clock, sleep=clock.sleep)
    visits(manners, clock, "a.example")
    assert visits(manners, clock, "a.example")[0] == ("begins", "a.example", 101)


def test_a_failed_request_counts_too() -> None:
    """Whoever fails has been a visitor."""
    clock = Clock()
    manners = Manners(clock=clock, sleep=clock.sleep)

    async def fails() -> None:
        async with manners.turn("a.example"):
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        asyncio.run(fails())
    assert visits(manners, clock, "a.example")[0] == ("begins", "a.example", 101)


def test_a_hosts_wish_to_wait_holds_for_all_of_it() -> None:
    """What export.arxiv.org asks for, rss.arxiv.org gets."""
    clock = Clock()
    manners = Manners(clock=clock, sleep=clock.sleep)
    manners.hold_off("export.arxiv.org", 20)
    manners.hold_off("export.arxiv.org", 5)
    assert visits(manners, clock, "rss.arxiv.org")[0] == ("begins", "rss.arxiv.org", 120)


def test_a_long_wish_is_told_and_not_waited_for() -> None:
    """An hour is not waited for, and nobody is asked before it is over."""
    clock = Clock()
    manners = Manners(clock=clock, sleep=clock.sleep)
    manners.hold_off("a.example", 3600)
    with pytest.raises(NotYetError, match=r"^a\.example asked us to wait: it is not asked again before [\d:]{8} UTC$"):
        visits(manners, clock, "a.example")
    assert clock.slept == []
    clock.now += 3600
    assert visits(manners, clock, "a.example")


@pytest.mark.parametrize(
    ("party", "seconds"),
    [
        ("arxiv.org", 3),
        ("api.github.com", 1),
        ("8.8.8.8", 1),
        ("127.0.0.1", 0),
        ("localhost", 0),
        ("::1", 0),
        ("10.0.0.7", 0),
    ],
)
def test_how_long_between_two(party: str, seconds: float) -> None:
    """Three seconds for arXiv, one for everybody, none at home."""
    assert spacing(party) == seconds
