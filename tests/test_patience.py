"""What relays have said outlives an outage of the database, and nothing is sent twice on its account."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from digest.errors import StoreError
from digest.ledger import Entry, Intent, Release, Result, Row, TakeBack, after
from digest.model import Claim, DeliveryStatus, Envelope, Outcome
from digest.send.drain import drain
from digest.send.patience import PATIENCE, PatientLedger
from digest.send.routes import Route
from tests.factories import NOW, claim

SENT = Outcome(DeliveryStatus.SENT, "2.0.0", "250 2.0.0 Ok")


class Outage:
    """A ledger of one delivery whose database answers from the `nth` call on; a clock that only sleeping moves."""

    def __init__(self, nth: int):
        self._nth, self._calls = nth, 0
        self.time = 0.0
        self.written: list[Entry] = []
        self.queue = [claim()]

    def _answer(self) -> None:
        self._calls += 1
        if self._calls < self._nth:
            raise StoreError("the server is starting up")

    def claim(self, limit: int) -> Sequence[Claim]:
        self._answer()
        claims, self.queue = self.queue, []
        return claims

    def commit(self, entries: Sequence[Entry]) -> Sequence[bool]:
        self._answer()
        self.written += entries
        return [True] * len(entries)

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def test_a_result_is_written_when_the_database_is_back() -> None:
    """However many tries that takes."""
    ledger = Outage(40)
    patient = PatientLedger(ledger, lambda: False, lambda: ledger.time, ledger.sleep)
    assert patient.commit([Result(claim(), SENT)]) == [True]
    assert len(ledger.written) == 1
    assert ledger.time > 120


def test_patience_ends() -> None:
    """An outage without an end is told."""
    ledger = Outage(10**6)
    with pytest.raises(StoreError):
        PatientLedger(ledger, lambda: False, lambda: ledger.time, ledger.sleep).commit([Result(claim(), SENT)])
    assert 0 < PATIENCE.total_seconds() - ledger.time < 10


def test_nothing_new_is_claimed_for_one_who_stops() -> None:
    """Results are waited for all the same."""
    ledger = Outage(3)
    patient = PatientLedger(ledger, lambda: True, lambda: ledger.time, ledger.sleep)
    assert patient.claim(1) == ()
    assert patient.commit([Result(claim(), SENT)]) == [True]


ROW = Row(DeliveryStatus.ACTIVE, claim().token, 0, False)


def test_an_entry_that_comes_again_is_written_once() -> None:
    """The answer to a commit was lost: the same entry is in force, and charges no second attempt."""
    intent, result = Intent(claim()), Result(claim(), SENT)
    sending = after(intent, ROW)
    assert sending is not None
    assert after(intent, sending) == sending
    sent = after(result, sending)
    assert sent is not None
    assert after(result, sent) == sent
    assert sent.attempts == 1
    stranger = Result(replace(claim(), token=ROW.token + 1), SENT)
    assert after(stranger, sent) is None


class _Relay:
    """A transport that counts what leaves."""

    def __init__(self) -> None:
        self.left = 0

    async def submit(self, envelope: Envelope, message: bytes, before_data: object) -> Outcome:
        await before_data()  # type: ignore[operator]
        self.left += 1
        return SENT

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(("took", "left"), [(239.0, 1), (241.0, 0)])
def test_a_message_does_not_leave_when_its_lease_may_have_ended(took: float, left: int) -> None:
    """A process that was stopped, or cut off, for longer than that gives the delivery back."""
    ledger, relay, times = Outage(0), _Relay(), iter([0.0, took])
    report = asyncio.run(
        drain(
            ledger,
            [Route(lambda: relay)],
            lambda _: (Envelope("list@example.org", claim().delivery.address), b""),
            now=lambda: NOW,
            stop=asyncio.Event(),
            leave_within=240.0,
            clock=lambda: next(times),
        )
    )
    assert (relay.left, report.lost) == (left, 1 - left)
    kinds = [type(entry) for entry in ledger.written]
    assert kinds == ([Intent, Result] if left else [Intent, TakeBack, Release])
