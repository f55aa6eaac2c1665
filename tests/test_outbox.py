"""Draining the outbox: the retry schedule, the order of steps, and who is charged for what."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.errors import StoreError
from digest.ledger import Entry, Intent, Release, Result, TakeBack
from digest.model import (
    Address,
    Claim,
    Delivery,
    DeliveryId,
    DeliveryStatus,
    EditionId,
    Envelope,
    Outcome,
    Rate,
    Relay,
    Security,
)
from digest.send.drain import drain
from digest.send.outbox import DrainReport, Transport, next_attempt
from digest.send.rate import Limiter
from digest.send.routes import Route
from digest.send.smtp import Timeouts, transports
from tests.factories import NOW, subscriber
from tests.servers import smtp as servers
from tests.servers.smtp import CollectingServer, Misbehaviour
from tests.waiting import PATIENCE

QUEUED, ACTIVE, SENDING = DeliveryStatus.QUEUED, DeliveryStatus.ACTIVE, DeliveryStatus.SENDING
SENT, DEFERRED, BOUNCED = DeliveryStatus.SENT, DeliveryStatus.DEFERRED, DeliveryStatus.BOUNCED
UNKNOWN, EXPIRED, CANCELLED = DeliveryStatus.UNKNOWN, DeliveryStatus.EXPIRED, DeliveryStatus.CANCELLED

ACCEPTED = Outcome(SENT, "2.0.0", "250 2.0.0 Queued", data_begun=True)
BUSY = Outcome(DEFERRED, "4.3.2", "421 4.3.2 Busy (before the greeting)", relay_trouble=True)
WRONG_PASSWORD = Outcome(BOUNCED, "5.7.8", "535 5.7.8 Wrong password (in reply to AUTH)", relay_trouble=True)
SPAM = Outcome(BOUNCED, "5.7.1", "554 5.7.1 Spam (after the final dot)", data_begun=True)
DENIED = Outcome(BOUNCED, "5.7.1", "554 5.7.1 <x@example.org>: Access denied (in reply to RCPT TO)")
NO_SUCH_USER = Outcome(BOUNCED, "5.1.1", "550 5.1.1 No such user (in reply to RCPT TO)", suppress=True)
GREYLISTED = Outcome(DEFERRED, "4.7.1", "451 4.7.1 Greylisted (in reply to RCPT TO)")

NAMES = {Intent: "intent", TakeBack: "take_back", Release: "release", Result: "result"}


@dataclass
class Row:
    delivery: Delivery
    token: int = 0
    before: DeliveryStatus = QUEUED


class FakeLedger:
    """A ledger in memory that refuses every step that is out of order."""

    def __init__(self, *addresses: str, queued_at: datetime = NOW):
        self.now = NOW
        self.rows = {
            number: Row(_delivery(number, address, queued_at)) for number, address in enumerate(addresses, start=1)
        }
        self.steps: list[tuple[str, int]] = []
        self.left: set[int] = set()
        """Deliveries whose reader leaves between claim and DATA."""
        self.broken: dict[str, Exception] = {}
        """What `claim`, or the commit of an entry, raises the next time, by its name."""
        self.at_step: Callable[[str], None] = lambda name: None
        self.groups: list[int] = []
        """How many entries each commit had."""

    def claim(self, limit: int) -> Sequence[Claim]:
        self._may_fail("claim")
        due = [row for row in self.rows.values() if self._is_due(row)][:limit]
        for row in due:
            row.before = row.delivery.status
            row.token += 1
            self._step(row, "claim", ACTIVE)
        return tuple(Claim(row.delivery, subscriber(row.delivery.id), row.token) for row in due)

    def commit(self, entries: Sequence[Entry]) -> Sequence[bool]:
        for entry in entries:
            self._may_fail(NAMES[type(entry)])
        self.groups.append(len(entries))
        return [self._written(entry) for entry in entries]

    def _written(self, entry: Entry) -> bool:
        claim, name = entry.claim, NAMES[type(entry)]
        row = self.rows[claim.delivery.id]
        status = row.delivery.status
        if row.token != claim.token and not (isinstance(entry, Result) and entry.outcome.status is SENT):
            return False
        if isinstance(entry, Intent):
            assert status is ACTIVE, f"{name} of a delivery that is {status}"
            if claim.delivery.id in self.left:
                return False
            self._step(row, name, SENDING)
        elif isinstance(entry, TakeBack):
            assert status is SENDING, f"{name} of a delivery that is {status}"
            self._step(row, name, ACTIVE)
        elif isinstance(entry, Release):
            assert status is ACTIVE, f"{name} of a delivery that is {status}"
            self._step(row, name, CANCELLED if claim.delivery.id in self.left else row.before)
        else:
            self._record(row, entry)
        return True

    def _record(self, row: Row, result: Result) -> None:
        outcome = result.outcome
        assert row.delivery.status in (ACTIVE, SENDING), f"result of a delivery that is {row.delivery.status}"
        if outcome.status in (SENT, UNKNOWN):
            assert row.delivery.status is SENDING, f"{outcome.status} without an intent"
        assert (result.next_attempt_at is not None) or outcome.status not in (DEFERRED,)
        self._step(row, "result", outcome.status)
        row.delivery = replace(
            row.delivery,
            attempts=row.delivery.attempts + 1,
            next_attempt_at=result.next_attempt_at if outcome.status is DEFERRED else None,
            reply=outcome.reply,
            relay=result.claim.relay,
        )

    def take_over(self, number: int) -> None:
        """Another process claims the delivery."""
        self.rows[number].token += 1

    @property
    def statuses(self) -> list[DeliveryStatus]:
        return [row.delivery.status for row in self.rows.values()]

    @property
    def attempts(self) -> list[int]:
        return [row.delivery.attempts for row in self.rows.values()]

    @property
    def replies(self) -> list[str]:
        return [row.delivery.reply for row in self.rows.values()]

    def _is_due(self, row: Row) -> bool:
        due_at = row.delivery.next_attempt_at
        return row.delivery.status in (QUEUED, DEFERRED) and (due_at is None or due_at <= self.now)

    def _step(self, row: Row, name: str, status: DeliveryStatus) -> None:
        self.steps.append((name, row.delivery.id))
        row.delivery = replace(row.delivery, status=status)

    def _may_fail(self, name: str) -> None:
        self.at_step(name)
        if (error := self.broken.pop(name, None)) is not None:
            raise error


def _delivery(number: int, address: str, queued_at: datetime) -> Delivery:
    return Delivery(
        id=DeliveryId(number),
        edition_id=EditionId(1),
        subscriber_id=subscriber(number).id,
        address=Address(address),
        status=QUEUED,
        message_id=f"<{number}@example.org>",
        queued_at=queued_at,
    )


Script = Callable[[str, int], Outcome | Exception]
"""From a recipient and how many submissions came before this one, to what the transport does."""


@dataclass
class FakeRelay:
    """Makes transports that follow a script. Outcomes at or after DATA call `before_data` first."""

    script: Script = lambda recipient, count: ACCEPTED
    submitted: list[str] = field(default_factory=list)
    open_now: int = 0
    most_open: int = 0
    transports: int = 0
    closed: int = 0
    never_lets_in: set[int] = field(default_factory=set)
    """Transports, counted from 0, that find the relay too busy every time."""
    intends_first: bool = False
    """Calls `before_data` before all else, as with pipelining."""
    during: Callable[[str], Any] | None = None

    def __call__(self) -> Transport:
        self.transports += 1
        return FakeTransport(self, self.transports - 1)


class FakeTransport:
    def __init__(self, relay: FakeRelay, number: int):
        self._relay = relay
        self._number = number

    async def submit(self, envelope: Envelope, message: bytes, before_data: Callable[[], Awaitable[None]]) -> Outcome:
        relay = self._relay
        relay.open_now += 1
        relay.most_open = max(relay.most_open, relay.open_now)
        try:
            relay.submitted.append(envelope.recipient)
            outcome = relay.script(envelope.recipient, len(relay.submitted) - 1)
            if self._number in relay.never_lets_in:
                outcome = BUSY
            await asyncio.sleep(0)
            if relay.intends_first or (isinstance(outcome, Outcome) and outcome.data_begun):
                await before_data()
            if relay.during is not None and (waiting := relay.during(envelope.recipient)) is not None:
                await waiting
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        finally:
            relay.open_now -= 1

    async def close(self) -> None:
        self._relay.closed += 1


def compose(claim: Claim) -> tuple[Envelope, bytes]:
    envelope = Envelope("digest@example.org", claim.delivery.address)
    return envelope, f"Message-ID: {claim.delivery.message_id}\r\n\r\nPapers\r\n".encode()


def people(count: int) -> list[str]:
    return [f"reader{n}@example.org" for n in range(1, count + 1)]


class Sleeps(list[float]):
    """A `sleep` that only notes what it was asked for."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        await asyncio.sleep(0)


def run(ledger: FakeLedger, relay: Callable[[], Transport], *, connections: int = 1, **options: Any) -> DrainReport:
    async def main() -> DrainReport:
        settings: dict[str, Any] = {"now": lambda: ledger.now, "stop": asyncio.Event(), "sleep": Sleeps()} | options
        route = Route(relay, connections, settings.pop("limiter", None))
        return await drain(ledger, [route], settings.pop("compose", compose), **settings)

    return asyncio.run(main())


# The schedule


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 300), (2, 600), (3, 1200), (4, 2400), (5, 4000), (6, 4000), (10_000, 4000)]
)
def test_retries_wait_longer_each_time(attempts: int, seconds: int) -> None:
    """Five minutes, doubling, up to 4,000 seconds."""
    assert next_attempt(attempts, NOW, NOW, lambda: 0.0) == NOW + timedelta(seconds=seconds)


@given(st.integers(1, 50), st.timedeltas(timedelta(0), timedelta(days=10)), st.floats(0, 1, exclude_max=True))
def test_jitter_only_delays(attempts: int, age: timedelta, jitter: float) -> None:
    """A retry comes no sooner than scheduled and at most a fifth later; after five days there is none."""
    due = next_attempt(attempts, NOW, NOW - age, lambda: jitter)
    plain = next_attempt(attempts, NOW, NOW - age, lambda: 0.0)
    assert (due is None) == (age >= timedelta(days=5))
    if due is not None and plain is not None:
        assert plain <= due <= NOW + (plain - NOW) * 1.2


# The order of steps


def test_everybody_is_sent_to_once() -> None:
    """A drain over several connections sends each due delivery once and counts it."""
    ledger, relay = FakeLedger(*people(20)), FakeRelay(during=lambda recipient: asyncio.sleep(0.001))
    results: list[tuple[int, DeliveryStatus]] = []
    report = run(
        ledger,
        relay,
        connections=4,
        on_result=lambda claim, outcome: results.append((claim.delivery.id, outcome.status)),
    )
    assert report == DrainReport({SENT: 20}, None, 0)
    assert sorted(relay.submitted) == sorted(people(20))
    assert sorted(results) == [(n, SENT) for n in range(1, 21)]
    assert relay.most_open == 4
    assert relay.closed == relay.transports


def test_a_result_is_recorded_before_the_next_message() -> None:
    """On one connection, each claim goes through intent and result before the next intent."""
    ledger = FakeLedger(*people(3))
    run(ledger, FakeRelay())
    steps = [step for step in ledger.steps if step[0] != "claim"]
    assert steps == [(name, n) for n in (1, 2, 3) for name in ("intent", "result")]


def test_what_is_ready_is_written_together() -> None:
    """Over many connections, the entries that come while one transaction runs share the next."""
    ledger = FakeLedger(*people(60))
    assert run(ledger, FakeRelay(), connections=20).counts == {SENT: 60}
    assert sum(ledger.groups) == 120
    assert len(ledger.groups) < 60 < 20 * max(ledger.groups)


def test_nothing_due_is_no_work() -> None:
    """An empty queue reports nothing and is no trouble."""
    assert run(FakeLedger(), FakeRelay(), connections=3) == DrainReport({}, None, 0)


def test_a_greylisted_message_is_sent_once_when_it_is_due() -> None:
    """Deferred with a time; left alone until then; then exactly one copy."""
    ledger = FakeLedger(*people(1))
    relay = FakeRelay(lambda recipient, count: GREYLISTED if count == 0 else ACCEPTED)
    assert run(ledger, relay, rand=lambda: 0.0).counts == {DEFERRED: 1}
    assert run(ledger, relay).counts == {}
    ledger.now += timedelta(minutes=5)
    assert run(ledger, relay).counts == {SENT: 1}
    assert (relay.submitted, ledger.attempts) == (people(1) * 2, [2])


def test_after_five_days_a_deferral_expires() -> None:
    """What is still refused then is `expired`, with the last reply."""
    ledger = FakeLedger(*people(1), queued_at=NOW - timedelta(days=5))
    report = run(ledger, FakeRelay(lambda recipient, count: GREYLISTED))
    assert (report.counts, ledger.statuses, ledger.replies) == ({EXPIRED: 1}, [EXPIRED], [GREYLISTED.reply])


# The relay's trouble


def test_a_wrong_password_charges_nobody_and_is_tried_once() -> None:
    """Lasting trouble pauses at once, after one try, with the reply in plain words."""
    ledger, relay = FakeLedger(*people(10)), FakeRelay(lambda recipient, count: WRONG_PASSWORD)
    sleeps = Sleeps()
    report = run(ledger, relay, connections=4, sleep=sleeps)
    assert (report.counts, report.paused) == ({}, WRONG_PASSWORD.reply)
    assert (len(relay.submitted), sleeps) == (1, [])
    assert (ledger.statuses, ledger.attempts) == ([QUEUED] * 10, [0] * 10)


def test_passing_trouble_is_waited_out() -> None:
    """The relay is tried again after a pause, and the same recipient is sent to once."""
    ledger = FakeLedger(*people(3))
    sleeps = Sleeps()
    report = run(ledger, FakeRelay(lambda recipient, count: BUSY if count < 2 else ACCEPTED), sleep=sleeps)
    assert (report.counts, report.paused, sleeps) == ({SENT: 3}, None, [2.0, 10.0])
    assert ledger.attempts == [1, 1, 1]


def test_a_relay_that_stays_busy_pauses_the_drain() -> None:
    """After three tries nobody is charged, and the reason is told."""
    ledger, relay = FakeLedger(*people(5)), FakeRelay(lambda recipient, count: BUSY)
    report = run(ledger, relay, connections=3)
    assert (report.counts, report.paused) == ({}, BUSY.reply)
    assert len(relay.submitted) == 3
    assert (ledger.statuses, ledger.attempts) == ([QUEUED] * 5, [0] * 5)


def test_a_connection_too_many_does_not_pause_the_others() -> None:
    """A relay that takes fewer connections than we open gets everything over those that it takes."""
    ledger, relay = FakeLedger(*people(40)), FakeRelay(never_lets_in={2, 3})
    report = run(ledger, relay, connections=4)
    assert (report.counts, report.paused) == ({SENT: 40}, None)
    assert ledger.attempts == [1] * 40
    assert len(relay.submitted) == 40 + 2 * 3


def test_a_deferred_delivery_goes_back_as_it_was() -> None:
    """Relay trouble at a second try leaves `deferred`, not `queued`."""
    ledger = FakeLedger(*people(1))
    ledger.rows[1].delivery = replace(ledger.rows[1].delivery, status=DEFERRED, attempts=1, next_attempt_at=NOW)
    run(ledger, FakeRelay(lambda recipient, count: WRONG_PASSWORD))
    assert (ledger.statuses, ledger.attempts) == ([DEFERRED], [1])


def test_trouble_that_is_learnt_after_the_intent_charges_nobody() -> None:
    """With MAIL, RCPT and DATA in one write the intent comes first; trouble at MAIL takes it back, each time."""
    ledger, relay = FakeLedger(*people(2)), FakeRelay(lambda recipient, count: BUSY if count < 2 else ACCEPTED)
    relay.intends_first = True
    report = run(ledger, relay)
    assert (report.counts, report.paused, ledger.attempts) == ({SENT: 2}, None, [1, 1])
    steps = [name for name, number in ledger.steps if number == 1]
    assert steps == ["claim", *["intent", "take_back"] * 2, "intent", "result"]


def test_lasting_trouble_that_is_learnt_after_the_intent_leaves_everybody_queued() -> None:
    """What was marked as sending goes back to where it was, and the drain pauses."""
    ledger, relay = FakeLedger(*people(3)), FakeRelay(lambda recipient, count: WRONG_PASSWORD)
    relay.intends_first = True
    report = run(ledger, relay, connections=2)
    assert (report.counts, report.paused) == ({}, WRONG_PASSWORD.reply)
    assert (ledger.statuses, ledger.attempts) == ([QUEUED] * 3, [0] * 3)


def test_refusals_at_rcpt_are_known_for_what_they_are_after_the_intent() -> None:
    """With the intent first too, a relay that has accepted something may refuse any number of recipients."""
    ledger = FakeLedger(*people(10))
    relay = FakeRelay(lambda recipient, count: ACCEPTED if count == 0 else DENIED)
    relay.intends_first = True
    assert run(ledger, relay).counts == {SENT: 1, BOUNCED: 9}


# Equal refusals


def test_five_equal_refusals_after_data_pause_the_drain() -> None:
    """Five bounce, the rest stay queued, and the reply is told."""
    ledger = FakeLedger(*people(10))
    report = run(ledger, FakeRelay(lambda recipient, count: ACCEPTED if count == 0 else SPAM))
    assert report.counts == {SENT: 1, BOUNCED: 5}
    assert report.paused is not None
    assert SPAM.reply in report.paused
    assert ledger.statuses == [SENT, *[BOUNCED] * 5, *[QUEUED] * 4]


def test_open_conversations_with_the_same_refusal_are_deferred() -> None:
    """No more than five are bounced for one reason, however many connections are open."""
    ledger = FakeLedger(*people(20))
    report = run(ledger, FakeRelay(lambda recipient, count: SPAM), connections=8)
    assert report.counts[BOUNCED] == 5
    assert report.counts[DEFERRED] == len([status for status in ledger.statuses if status is DEFERRED]) > 0
    assert sum(report.counts.values()) + ledger.statuses.count(QUEUED) == 20


def test_a_relay_that_denies_everybody_pauses_the_drain() -> None:
    """Refusals at RCPT count too as long as the relay has accepted nothing: it may not know us at all."""
    ledger = FakeLedger(*people(10))
    report = run(ledger, FakeRelay(lambda recipient, count: DENIED))
    assert (report.counts, report.paused is None) == ({BOUNCED: 5}, False)


def test_a_domain_that_refuses_does_not_pause_the_others() -> None:
    """Once the relay has accepted something, refusals at RCPT are the recipients' own."""
    ledger = FakeLedger(*people(10))
    report = run(ledger, FakeRelay(lambda recipient, count: ACCEPTED if count in (0, 9) else DENIED))
    assert (report.counts, report.paused) == ({SENT: 2, BOUNCED: 8}, None)


def test_addresses_that_do_not_exist_never_pause() -> None:
    """Five dead addresses in a row are five dead addresses."""
    ledger = FakeLedger(*people(10))
    report = run(ledger, FakeRelay(lambda recipient, count: NO_SUCH_USER))
    assert (report.counts, report.paused) == ({BOUNCED: 10}, None)


@pytest.mark.parametrize(("offers", "accepted"), [(True, 10), (False, 2)])
def test_addresses_that_the_relay_cannot_take_never_pause(offers: bool, accepted: int) -> None:
    """Eight in a row with letters beyond ASCII, which the relay was not even asked about: the others are sent."""
    ledger = FakeLedger(*(f"lesér{n}@example.org" for n in range(8)), *people(2))
    with CollectingServer(smtputf8=offers) as server:
        report = run(ledger, transports(Relay("127.0.0.1", server.port, Security.NONE)), connections=2)
    refused = {BOUNCED: 8} if not offers else {}
    assert (report.counts, report.paused) == ({SENT: accepted} | refused, None)


@pytest.mark.parametrize("sender", ["lesér@example.org", "a b@example.org"])
def test_a_sender_that_the_relay_cannot_take_costs_nobody_a_bounce(sender: str) -> None:
    """Our own address is nobody's fault: the drain pauses at once, and says why."""
    ledger = FakeLedger(*people(3))

    def from_us(claim: Claim) -> tuple[Envelope, bytes]:
        envelope, text = compose(claim)
        return replace(envelope, sender=sender), text

    with CollectingServer() as server:
        report = run(ledger, transports(Relay("127.0.0.1", server.port, Security.NONE)), compose=from_us)
    assert (report.counts, ledger.statuses) == ({}, [QUEUED] * 3)
    assert "address" in (report.paused or "")


def test_an_acceptance_between_refusals_begins_the_count_anew() -> None:
    """Only refusals in a row count."""
    ledger = FakeLedger(*people(12))
    report = run(ledger, FakeRelay(lambda recipient, count: ACCEPTED if count % 5 == 4 else SPAM))
    assert (report.counts, report.paused) == ({SENT: 2, BOUNCED: 10}, None)


# Stopping


def test_stop_ends_open_conversations_and_releases_the_rest() -> None:
    """What was at the relay is recorded, what was claimed goes back, nothing new begins."""
    ledger, relay = FakeLedger(*people(20)), FakeRelay()

    async def main() -> DrainReport:
        stop = asyncio.Event()
        relay.during = lambda recipient: stop.set() if len(relay.submitted) >= 5 else None
        return await drain(ledger, [Route(relay, 3)], compose, now=lambda: NOW, stop=stop)

    report = asyncio.run(main())
    assert report.paused is None
    assert report.counts == {SENT: len(relay.submitted)}
    assert ledger.statuses.count(QUEUED) == 20 - len(relay.submitted) > 0
    assert ACTIVE not in ledger.statuses


def test_stop_before_the_start_claims_nothing() -> None:
    """A drain that is told to stop at once does nothing."""
    ledger = FakeLedger(*people(3))

    async def main() -> DrainReport:
        stop = asyncio.Event()
        stop.set()
        return await drain(ledger, [Route(FakeRelay(), 3)], compose, now=lambda: NOW, stop=stop)

    assert asyncio.run(main()) == DrainReport({}, None, 0)
    assert ledger.steps == []


def never() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


def test_stop_interrupts_a_wait_for_the_rate() -> None:
    """A worker that waits for its turn gives its claim back."""
    ledger = FakeLedger(*people(3))

    async def main() -> DrainReport:
        stop = asyncio.Event()

        async def sleep(seconds: float) -> None:
            stop.set()
            await never()

        limiter = Limiter(Rate(1, 60), clock=lambda: 0.0, sleep=sleep)
        return await drain(ledger, [Route(FakeRelay(), 1, limiter)], compose, now=lambda: NOW, stop=stop)

    assert asyncio.run(main()).counts == {SENT: 1}
    assert ledger.statuses == [SENT, QUEUED, QUEUED]


def test_stop_interrupts_the_wait_for_a_busy_relay() -> None:
    """A back-off is not sat out."""
    ledger = FakeLedger(*people(1))

    async def main() -> DrainReport:
        stop = asyncio.Event()

        async def sleep(seconds: float) -> None:
            stop.set()
            await never()

        relay = FakeRelay(lambda recipient, count: BUSY)
        return await drain(ledger, [Route(relay, 1)], compose, now=lambda: NOW, stop=stop, sleep=sleep)

    assert asyncio.run(main()) == DrainReport({}, None, 0)
    assert ledger.statuses == [QUEUED]


@pytest.mark.parametrize(("outcome", "expected"), [(ACCEPTED, UNKNOWN), (GREYLISTED, QUEUED)])
def test_a_cancelled_drain_leaves_no_claim_behind(outcome: Outcome, expected: DeliveryStatus) -> None:
    """Cancelled after DATA it is `unknown`, before DATA as it was."""
    ledger, relay = FakeLedger(*people(1)), FakeRelay(lambda recipient, count: outcome)

    async def main() -> None:
        inside = asyncio.Event()

        def during(recipient: str) -> asyncio.Future[None]:
            inside.set()
            return never()

        relay.during = during
        stop = asyncio.Event()
        draining = asyncio.ensure_future(drain(ledger, [Route(relay, 2)], compose, now=lambda: NOW, stop=stop))
        await inside.wait()
        draining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await draining

    asyncio.run(main())
    assert ledger.statuses == [expected]


@pytest.mark.parametrize("step", ["claim", "intent", "result"])
def test_a_drain_cancelled_while_the_ledger_is_busy_leaves_no_claim_behind(step: str) -> None:
    """What is under way is finished: a claim goes back, so does an intent on whose account nothing left."""
    ledger = FakeLedger(*people(3))
    begun, go_on = threading.Event(), threading.Event()

    def busy(name: str) -> None:
        if name == step and not begun.is_set():
            begun.set()
            assert go_on.wait(PATIENCE)

    ledger.at_step = busy

    async def main() -> None:
        stop = asyncio.Event()
        draining = asyncio.ensure_future(drain(ledger, [Route(FakeRelay(), 1)], compose, now=lambda: NOW, stop=stop))
        await asyncio.to_thread(begun.wait, PATIENCE)
        draining.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await draining

    asyncio.run(main())
    assert ledger.statuses == [SENT if step == "result" else QUEUED, QUEUED, QUEUED]


def test_a_drain_cancelled_while_it_waits_gives_its_claims_back() -> None:
    """Neither the claim that waits for its turn nor those behind it stay `active`."""
    ledger = FakeLedger(*people(4))

    async def main() -> None:
        waiting = asyncio.Event()

        async def sleep(seconds: float) -> None:
            waiting.set()
            await never()

        limiter = Limiter(Rate(1, 60), clock=lambda: 0.0, sleep=sleep)
        stop = asyncio.Event()
        draining = asyncio.ensure_future(
            drain(ledger, [Route(FakeRelay(), 2, limiter)], compose, now=lambda: NOW, stop=stop)
        )
        await waiting.wait()
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)

    asyncio.run(main())
    assert ledger.statuses == [SENT, QUEUED, QUEUED, QUEUED]


# What goes wrong on our side


def test_a_message_that_cannot_be_composed_is_deferred_alone() -> None:
    """The others are sent; the reason is kept; it is tried again later."""
    ledger = FakeLedger(*people(3))

    def faulty(claim: Claim) -> tuple[Envelope, bytes]:
        if claim.delivery.id == 2:
            raise KeyError("paper")
        return compose(claim)

    report = run(ledger, FakeRelay(), compose=faulty)
    assert report.counts == {SENT: 2, DEFERRED: 1}
    assert "paper" in ledger.replies[1]
    assert ledger.rows[2].delivery.next_attempt_at is not None


def test_a_transport_that_raises_costs_one_delivery() -> None:
    """An unexpected exception is that delivery's reply, and the others go on."""
    ledger = FakeLedger(*people(3))
    script: Script = lambda recipient, count: ValueError("not foreseen") if count == 1 else ACCEPTED  # noqa: E731
    report = run(ledger, FakeRelay(script))
    assert report.counts == {SENT: 2, DEFERRED: 1}
    assert "not foreseen" in ledger.replies[1]


def test_a_reader_who_leaves_before_data_is_not_sent_to() -> None:
    """A refused intent sends nothing, is counted as lost, and hands the claim back."""
    ledger = FakeLedger(*people(3))
    ledger.left = {2}
    report = run(ledger, FakeRelay())
    assert report == DrainReport({SENT: 2}, None, 1)
    assert ledger.statuses == [SENT, CANCELLED, SENT]


def test_a_lease_that_was_taken_over_is_left_alone() -> None:
    """Nothing is sent and nothing is written for what another holds; the drain goes on."""
    ledger, relay = FakeLedger(*people(2)), FakeRelay()

    def taken_over(recipient: str, count: int) -> Outcome:
        if count == 0:
            ledger.take_over(1)
        return ACCEPTED

    relay.script = taken_over
    report = run(ledger, relay)
    assert report == DrainReport({SENT: 1}, None, 1)
    assert ("intent", 1) not in ledger.steps
    assert ("result", 1) not in ledger.steps


@pytest.mark.parametrize(("outcome", "status", "lost"), [(ACCEPTED, SENT, 0), (SPAM, SENDING, 1)])
def test_a_late_refusal_is_dropped_and_a_late_acceptance_is_kept(
    outcome: Outcome, status: DeliveryStatus, lost: int
) -> None:
    """After the lease went to another, only `sent` is written."""
    ledger, relay = FakeLedger(*people(1)), FakeRelay(lambda recipient, count: outcome)
    relay.during = lambda recipient: ledger.take_over(1)
    report = run(ledger, relay)
    assert (ledger.statuses, report.lost) == ([status], lost)


@mock.patch("digest.send.drain.CLAIMED_AT_ONCE", 1)
@pytest.mark.parametrize("method", ["claim", "intent", "result"])
def test_a_ledger_that_fails_stops_the_drain_and_loses_no_result(method: str) -> None:
    """The error comes out; conversations that were open have ended; nothing is sent without its intent."""
    ledger, relay = FakeLedger(*people(30)), FakeRelay()
    errors = [StoreError("database or disk is full")]

    def during(recipient: str) -> None:
        if len(relay.submitted) >= 7 and errors:
            ledger.broken[method] = errors.pop()

    relay.during = during
    with pytest.raises(StoreError, match="disk is full"):
        run(ledger, relay, connections=3)
    counts = Counter(ledger.statuses)
    assert counts[SENT] + counts[QUEUED] == 30
    assert len(relay.submitted) < 15
    assert relay.open_now == 0
    assert relay.closed == relay.transports


def test_a_ledger_that_fails_after_the_250_says_what_was_accepted() -> None:
    """The error names the delivery and the reply, and the 250 is recorded as soon as the ledger takes it."""
    ledger = FakeLedger(*people(1))
    ledger.broken["result"] = StoreError("database or disk is full")
    with pytest.raises(StoreError) as caught:
        run(ledger, FakeRelay())
    assert ledger.statuses == [SENT]
    assert caught.value.__notes__ == ["delivery 1 ended as sent: 250 2.0.0 Queued"]


# The whole way, over a real socket

OVER_SMTP = [
    # misbehaviour, statuses by reader, paused
    ((), {1: SENT, 2: SENT, 3: SENT}, False),
    ((servers.answers_251,), {1: SENT, 2: SENT, 3: SENT}, False),
    ((servers.resets_after_dot,), {1: UNKNOWN, 2: UNKNOWN, 3: UNKNOWN}, False),
    ((replace(servers.garbage_reply, only=b"reader2"),), {1: SENT, 2: UNKNOWN, 3: SENT}, False),
    ((servers.closes_after_n(1),), {1: SENT, 2: SENT, 3: SENT}, False),
    ((replace(servers.rejects_rcpt_550, only=b"reader2"),), {1: SENT, 2: BOUNCED, 3: SENT}, False),
    ((replace(servers.defers_rcpt_451, only=b"reader2"),), {1: SENT, 2: DEFERRED, 3: SENT}, False),
    ((replace(servers.rejects_data_554, only=b"reader2"),), {1: SENT, 2: BOUNCED, 3: SENT}, False),
    ((servers.answers_421_banner,), {1: QUEUED, 2: QUEUED, 3: QUEUED}, True),
    ((replace(servers.answers_421_banner, times=2, over_all=True),), {1: SENT, 2: SENT, 3: SENT}, False),
    ((servers.answers_554_banner,), {1: QUEUED, 2: QUEUED, 3: QUEUED}, True),
    ((servers.refuses_auth_535,), {1: QUEUED, 2: QUEUED, 3: QUEUED}, True),
    ((servers.rejects_mail_from,), {1: QUEUED, 2: QUEUED, 3: QUEUED}, True),
    ((replace(servers.half_a_line, only=b"reader1"),), {1: UNKNOWN, 2: SENT, 3: SENT}, False),
]


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize(("misbehaviours", "expected", "paused"), OVER_SMTP)
@pytest.mark.parametrize("pipelining", [False, True])
def test_a_drain_over_smtp(
    misbehaviours: tuple[Misbehaviour, ...],
    expected: dict[int, DeliveryStatus],
    paused: bool,
    connections: int,
    pipelining: bool,
) -> None:
    """Whatever the server does: what is `sent` arrived once, what is `unknown` at most once, all else never."""
    ledger = FakeLedger(*people(3))
    with CollectingServer(*misbehaviours, credentials=("digest", "secret"), pipelining=pipelining) as server:
        relay = Relay(server.host, server.port, Security.NONE, username="digest", password="secret")
        report = run(ledger, transports(relay, Timeouts(20, 20, 20, 5)), connections=connections)
    assert dict(enumerate(ledger.statuses, start=1)) == expected
    assert (report.paused is not None) == paused
    arrived = Counter(server.message_ids)
    for row in ledger.rows.values():
        copies = arrived[row.delivery.message_id]
        assert copies == 1 if row.delivery.status is SENT else copies <= (row.delivery.status is UNKNOWN)


@settings(deadline=None)  # a thread is started for each
@given(st.lists(st.sampled_from(["sent", "bounced", "deferred", "unknown"]), max_size=30), st.integers(1, 6))
def test_no_result_is_lost_whatever_the_relay_says(verdicts: list[str], connections: int) -> None:
    """With any mixture of outcomes over any number of connections, the counts add up and each is tried at most once."""
    by_name = {
        "sent": ACCEPTED,
        "bounced": NO_SUCH_USER,
        "deferred": GREYLISTED,
        "unknown": Outcome(UNKNOWN, reply="connection lost after the final dot", data_begun=True),
    }
    ledger = FakeLedger(*people(len(verdicts)))
    wanted = dict(zip(people(len(verdicts)), (by_name[name] for name in verdicts), strict=True))
    report = run(ledger, FakeRelay(lambda recipient, count: wanted[recipient]), connections=connections)
    assert report.paused is None
    assert Counter(report.counts) == Counter(outcome.status for outcome in wanted.values())
    assert ledger.attempts == [1] * len(verdicts)
    assert ledger.statuses == [outcome.status for outcome in wanted.values()]
