"""Several relays: whose turn it is, how many messages a day has room for, and who takes over where one has trouble."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.model import DeliveryId, DeliveryStatus, Outcome, Relay, Security, WarmUp
from digest.send.drain import drain
from digest.send.outbox import DrainReport
from digest.send.rate import Limiter
from digest.send.routes import PLENTY, Allowance, Lanes, Route, Shares, cap
from tests.test_outbox import (
    ACCEPTED,
    BUSY,
    QUEUED,
    SENT,
    SPAM,
    WRONG_PASSWORD,
    FakeLedger,
    FakeRelay,
    Sleeps,
    compose,
    people,
)

FIRST = date(2026, 11, 1)


def relay(**limits: Any) -> Relay:
    return Relay("smtp.example.org", 25, Security.NONE, name="a", **limits)


# Turns


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 200))
def test_turns_are_in_proportion_to_weights(weights: Sequence[int], turns: int) -> None:
    """After any number of turns each has had its share, give or take one turn for each of the others."""
    shares = Shares(weights)
    everybody = range(len(weights))
    taken: Counter[int] = Counter()
    for _ in range(turns):
        taker = next(n for n in everybody if shares.is_next(n, everybody))
        shares.take(taker)
        taken[taker] += 1
    for n, weight in enumerate(weights):
        assert abs(taken[n] - turns * weight / sum(weights)) <= len(weights)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.lists(st.integers(0, 3), max_size=50))
def test_somebody_is_always_next(weights: Sequence[int], history: Sequence[int]) -> None:
    """Whoever took turns before, and whoever is waited for: among them is one whose turn it is."""
    shares = Shares(weights)
    for taker in history:
        shares.take(taker % len(weights))
    assert any(shares.is_next(n, range(len(weights))) for n in range(len(weights)))


def test_missed_turns_are_not_saved_up() -> None:
    """One that took no part for a hundred turns has its share of the next ones, and not a hundred before."""
    shares = Shares([1, 1])
    for _ in range(100):
        shares.take(0)
    taken = []
    for _ in range(10):
        taken.append(next(n for n in (1, 0) if shares.is_next(n, (0, 1))))
        shares.take(taken[-1])
    assert 4 <= taken.count(1) <= 6


# The day's limit


@pytest.mark.parametrize(
    ("limits", "days", "expected"),
    [
        ({"per_day": 70}, 0, 70),
        ({"warm_up": WarmUp(FIRST, 50, 1.3)}, -9, 50),
        ({"warm_up": WarmUp(FIRST, 50, 1.3)}, 0, 50),
        ({"warm_up": WarmUp(FIRST, 50, 1.3)}, 1, 65),
        ({"warm_up": WarmUp(FIRST, 50, 1.3)}, 2, 84),
        ({"warm_up": WarmUp(FIRST, 50, 1.3), "per_day": 80}, 2, 80),
        ({"warm_up": WarmUp(FIRST, 50, 1.3), "per_day": 20}, 0, 20),
        ({"warm_up": WarmUp(FIRST, 50, 10.0)}, 36_500, PLENTY),
        ({"warm_up": WarmUp(FIRST, 50, 1.0)}, 36_500, 50),
    ],
)
def test_the_limit_of_a_day(limits: dict[str, Any], days: int, expected: int) -> None:
    """The first day's, grown by each day since, and never more than `per_day`."""
    assert cap(relay(**limits), FIRST + timedelta(days=days)) == expected


@given(st.integers(1, 1_000_000), st.floats(1, 10), st.integers(0, 4000), st.none() | st.integers(1, 10_000_000))
def test_the_limit_never_shrinks(first: int, growth: float, days: int, per_day: int | None) -> None:
    """A day has room for at least what the day before had, and for at most `per_day`."""
    warming = relay(warm_up=WarmUp(FIRST, first, growth), per_day=per_day)
    today, tomorrow = (cap(warming, FIRST + timedelta(days=n)) for n in (days, days + 1))
    assert 1 <= today <= tomorrow <= min(per_day or PLENTY, PLENTY)


class FakeCounts(Counter[tuple[str, date]]):
    """The days' counts in memory."""

    def reserve(self, relay: str, day: date, wanted: int, cap: int) -> int:
        granted = max(min(wanted, cap - self[relay, day]), 0)
        self[relay, day] += granted
        return granted

    def give_back(self, relay: str, day: date, unused: int) -> None:
        self[relay, day] -= unused


def test_a_day_has_its_limit_and_the_next_day_its_own() -> None:
    """What was not used of what was taken counts for the day it was taken on."""
    counts, today = FakeCounts(), [FIRST]

    async def main() -> list[bool]:
        allowance = Allowance(relay(per_day=2), counts, lambda: today[0])
        taken = [await allowance.take(DeliveryId(n)) for n in (1, 2, 3)]
        today[0] += timedelta(days=1)
        taken.append(await allowance.take(DeliveryId(4)))
        allowance.use(DeliveryId(1))
        allowance.use(DeliveryId(4))
        await allowance.close()
        return taken

    assert asyncio.run(main()) == [True, True, False, True]
    assert counts == {("a", FIRST): 1, ("a", FIRST + timedelta(days=1)): 1}


# Whole drains


def run(ledger: FakeLedger, *routes: Route, **options: Any) -> DrainReport:
    async def main() -> DrainReport:
        settings: dict[str, Any] = {"now": lambda: ledger.now, "stop": asyncio.Event(), "sleep": Sleeps()} | options
        async with asyncio.timeout(60):  # one that waits for ever fails
            return await drain(ledger, routes, compose, **settings)

    return asyncio.run(main())


def always(outcome: Outcome) -> FakeRelay:
    return FakeRelay(lambda recipient, count: outcome)


def dies_after(messages: int) -> FakeRelay:
    return FakeRelay(lambda recipient, count: ACCEPTED if count < messages else BUSY)


def copies(*relays: FakeRelay) -> Counter[str]:
    return Counter(address for each in relays for address in each.submitted)


@pytest.mark.parametrize("connections", [1, 4])
def test_relays_share_by_weight(connections: int) -> None:
    """Three to one, however many connections each has; everybody gets one copy."""
    ledger, a, b = FakeLedger(*people(80)), FakeRelay(), FakeRelay()
    run(ledger, Route(a, connections, name="a", weight=3), Route(b, connections, name="b"))
    assert copies(a, b) == dict.fromkeys(people(80), 1)
    assert 56 <= len(a.submitted) <= 64
    assert Counter(row.delivery.relay for row in ledger.rows.values()) == {
        "a": len(a.submitted), "b": len(b.submitted),
    }  # fmt: skip


def test_a_relay_that_dies_leaves_its_messages_to_the_other() -> None:
    """Everybody gets one copy, nobody is charged twice, and the send does not pause."""
    ledger, a, b = FakeLedger(*people(40)), dies_after(5), FakeRelay()
    report = run(ledger, Route(a, 3, name="a"), Route(b, 3, name="b"))
    assert ledger.statuses == [SENT] * 40
    assert ledger.attempts == [1] * 40
    assert (report.counts, report.paused, report.held) == ({SENT: 40}, None, None)


def test_a_wrong_password_at_one_relay_is_tried_once() -> None:
    """The relay that refuses is asked by one connection alone; the others' messages go on at once."""
    ledger, a, b = FakeLedger(*people(20)), always(WRONG_PASSWORD), FakeRelay()
    report = run(ledger, Route(a, 8, name="a", weight=9), Route(b, 2, name="b"))
    assert len(a.submitted) == 1
    assert (ledger.statuses, report.paused) == ([SENT] * 20, None)


def test_when_every_relay_has_trouble_each_is_named_with_its_own() -> None:
    """The send pauses, nobody is charged, and both replies are told."""
    ledger = FakeLedger(*people(6))
    report = run(ledger, Route(always(WRONG_PASSWORD), 2, name="a"), Route(always(BUSY), 2, name="b"))
    assert (ledger.statuses, ledger.attempts) == ([QUEUED] * 6, [0] * 6)
    assert report.paused == f"a: {WRONG_PASSWORD.reply}; b: {BUSY.reply}"


def test_a_backup_is_used_only_when_no_other_relay_is_left() -> None:
    """With weight 0: not a message before, all of the rest after."""
    ledger, a, spare = FakeLedger(*people(10)), FakeRelay(), FakeRelay()
    run(ledger, Route(a, 2, name="a"), Route(spare, 2, name="spare", weight=0))
    assert (len(a.submitted), len(spare.submitted), spare.transports) == (10, 0, 0)
    ledger, a = FakeLedger(*people(10)), dies_after(4)
    report = run(ledger, Route(a, 1, name="a"), Route(spare, 2, name="spare", weight=0))
    assert (ledger.statuses, len(spare.submitted), report.paused) == ([SENT] * 10, 6, None)


def test_a_backup_takes_also_the_one_message_that_there_is() -> None:
    """What a relay in trouble hands back is never forgotten, although nothing else is due."""
    ledger, spare = FakeLedger(*people(1)), FakeRelay()
    report = run(ledger, Route(always(BUSY), 2, name="a"), Route(spare, 2, name="spare", weight=0))
    assert (ledger.statuses, report.paused) == ([SENT], None)


def test_five_equal_refusals_at_one_relay_pause_although_the_other_accepts() -> None:
    """What the other accepts does not begin the count anew: five are bounced, and then it is asked no more."""
    ledger, a, b = FakeLedger(*people(60)), always(SPAM), FakeRelay()
    report = run(ledger, Route(a, 1, name="a"), Route(b, 1, name="b"))
    assert report.counts[DeliveryStatus.BOUNCED] == 5
    assert report.paused is not None
    assert "5 recipients in a row" in report.paused


def test_a_relay_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that took messages and then answers no more is waited for a while, and then the other goes on."""
    monkeypatch.setattr("digest.send.routes.PATIENCE", 0.01)
    done = asyncio.Event()
    ledger, a, b = FakeLedger(*people(30)), FakeRelay(), FakeRelay()
    a.during = lambda recipient: done.wait() if len(a.submitted) > 2 else None
    b.during = lambda recipient: done.set() if len(b.submitted) == 20 else None
    run(ledger, Route(a, 1, name="a"), Route(b, 1, name="b"))
    assert ledger.statuses == [SENT] * 30
    assert len(b.submitted) >= 20


def test_a_relay_held_back_by_its_rate_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one takes what it can; the slow one still has its messages, one copy each."""
    monkeypatch.setattr("digest.send.routes.PATIENCE", 3600.0)
    ledger, a, b = FakeLedger(*people(30)), FakeRelay(), FakeRelay()

    enough = asyncio.Event()
    b.during = lambda recipient: enough.set() if len(b.submitted) == 25 else None

    class Slow(Limiter):
        def limits(self, domain: str) -> bool:
            return True

        async def acquire(self, domain: str) -> None:
            if len(a.submitted) >= 2:
                await enough.wait()

    run(ledger, Route(a, 1, Slow(), "a"), Route(b, 1, name="b"))
    assert copies(a, b) == dict.fromkeys(people(30), 1)
    assert len(b.submitted) >= 25


def capped(transport: FakeRelay, counts: FakeCounts, per_day: int, **options: Any) -> Route:
    return Route(transport, 2, name="a", allowance=Allowance(relay(per_day=per_day), counts, lambda: FIRST), **options)


def test_a_relay_that_is_full_for_the_day_leaves_the_rest_to_the_other() -> None:
    """It gets its limit and not one more; the send is not held."""
    ledger, counts, a, b = FakeLedger(*people(40)), FakeCounts(), FakeRelay(), FakeRelay()
    report = run(ledger, capped(a, counts, 7, weight=3), Route(b, 2, name="b"))
    assert (len(a.submitted), counts["a", FIRST]) == (7, 7)
    assert (ledger.statuses, report.held) == ([SENT] * 40, None)


def test_when_the_day_is_full_the_rest_waits() -> None:
    """Nothing is wrong: the rest stays queued, and it is said which limit is reached. The next day it goes on."""
    ledger, counts, a = FakeLedger(*people(9)), FakeCounts(), FakeRelay()
    report = run(ledger, capped(a, counts, 5))
    assert (ledger.statuses, ledger.attempts) == ([SENT] * 5 + [QUEUED] * 4, [1] * 5 + [0] * 4)
    assert (report.paused, report.held) == (None, "a has had its 5 messages of 2026-11-01")
    assert run(ledger, capped(a, counts, 5)).counts == {}


def test_a_limit_that_is_just_enough_holds_nobody_up() -> None:
    """The last message of the day is the last one of all: nothing waits, so nothing is said."""
    ledger, counts = FakeLedger(*people(5)), FakeCounts()
    report = run(ledger, capped(FakeRelay(), counts, 5))
    assert (report.counts, report.held) == ({SENT: 5}, None)


@pytest.mark.parametrize("outcome", [BUSY, WRONG_PASSWORD])
def test_trouble_of_the_relay_uses_up_nothing_of_the_day(outcome: Outcome) -> None:
    """What was reserved and did not leave is given back."""
    counts = FakeCounts()
    assert run(FakeLedger(*people(9)), capped(always(outcome), counts, 5)).paused == outcome.reply
    assert counts["a", FIRST] == 0


def test_what_holds_the_list_ends_a_drain_under_way() -> None:
    """Open conversations end and are recorded, the rest goes back, and why is told."""
    ledger, relay_ = FakeLedger(*people(9)), FakeRelay()
    holding = asyncio.Event()
    relay_.during = lambda recipient: holding.set() if len(relay_.submitted) == 3 else None

    async def hold() -> str:
        await holding.wait()
        return "somebody said so"

    report = run(ledger, Route(relay_, 1), hold=hold)
    assert (report.held, report.paused) == ("somebody said so", None)
    assert 3 <= report.counts[SENT] < 9
    assert set(ledger.statuses) == {SENT, QUEUED}


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.sampled_from(["good", "dies", "wrong", "flaky"]), min_size=1, max_size=3),
    st.lists(st.integers(0, 4), min_size=3, max_size=3),
    st.integers(1, 3),
)
def test_nobody_gets_two_copies_and_nobody_is_lost(
    kinds: Sequence[str], weights: Sequence[int], connections: int
) -> None:
    """Whatever the relays do: one copy each as long as one of them works, and whoever waits is queued."""
    ledger = FakeLedger(*people(15))
    scripts = {
        "good": lambda recipient, count: ACCEPTED,
        "dies": lambda recipient, count: ACCEPTED if count < 4 else BUSY,
        "wrong": lambda recipient, count: WRONG_PASSWORD,
        "flaky": lambda recipient, count: BUSY if count % 3 == 1 else ACCEPTED,
    }
    routes = [
        Route(FakeRelay(scripts[kind]), connections, name=str(n), weight=weights[n]) for n, kind in enumerate(kinds)
    ]
    report = run(ledger, *routes)
    assert set(ledger.statuses) <= {SENT, QUEUED}
    assert report.counts.get(SENT, 0) == ledger.statuses.count(SENT) == sum(ledger.attempts)
    assert (QUEUED in ledger.statuses) == (report.paused is not None)
    if "good" in kinds:
        assert report.paused is None


def test_the_first_trouble_of_a_relay_is_the_one_that_is_told() -> None:
    """Its other connections may end in another way; and trouble outweighs a day that is full."""
    full = Allowance(relay(per_day=5), FakeCounts(), lambda: FIRST)
    lanes = Lanes([Route(FakeRelay(), name="a"), Route(FakeRelay(), name="b", allowance=full)])
    for trouble in ("wrong password", "busy", None):
        lanes.close(lanes.all[0], trouble)
    assert lanes.why_closed() == ("a: wrong password", None)
    lanes.close(lanes.all[1])
    assert lanes.why_closed() == ("a: wrong password; a has had its 5 messages of 2026-11-01", None)


def test_lanes_without_weight_stand_back() -> None:
    """Those of weight 0 are usable only when no other is."""
    lanes = Lanes([Route(FakeRelay(), name="a"), Route(FakeRelay(), name="spare", weight=0)])
    assert [lane.route.name for lane in lanes.usable()] == ["a"]
    lanes.close(lanes.all[0], "trouble")
    assert [lane.route.name for lane in lanes.usable()] == ["spare"]
