"""Sending through a real Postfix: STARTTLS by a self-made CA, login, acceptance, refusal, and what arrives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from digest.model import Claim, DeliveryStatus, Envelope, Relay, Security
from digest.send.outbox import DrainReport
from digest.send.smtp import transports
from tests.servers import certificates, postfix
from tests.servers.postfix import Postfix
from tests.test_outbox import FakeLedger, compose, run

pytestmark = pytest.mark.system

SENT, DEFERRED, BOUNCED = DeliveryStatus.SENT, DeliveryStatus.DEFERRED, DeliveryStatus.BOUNCED
QUEUED = DeliveryStatus.QUEUED
ADA, BOB, CEM = "ada@example.org", "bob@example.org", "cem@example.org"
GREY, LATER = "grey@example.org", "later@example.org"


@pytest.fixture(scope="module")
def server() -> Iterator[Postfix]:
    if reason := postfix.missing():
        pytest.skip(reason)
    access = {GREY: "450 4.7.1 Greylisted", "refused.example": "REJECT"}
    with Postfix([ADA, BOB, CEM, GREY, LATER, "size@example.org"], access) as running:
        yield running


def relay_of(server: Postfix, **changes: Any) -> Relay:
    relay = Relay(
        server.host,
        server.port,
        Security.STARTTLS,
        username=server.username,
        password=server.password,
        ca_file=server.ca_file,
    )
    return replace(relay, **changes)


def send(ledger: FakeLedger, relay: Relay, **options: Any) -> DrainReport:
    return run(ledger, transports(relay), **options)


def test_messages_arrive_once_and_unchanged(server: Postfix) -> None:
    """Over TLS and with a login, each message arrives once, with its dots and its Message-ID."""
    body = "First\r\n.dot at the start\r\n..two\r\nlast\r\n"

    def with_dots(claim: Claim) -> tuple[Envelope, bytes]:
        envelope, message = compose(claim)
        return envelope, message.replace(b"Papers\r\n", body.encode())

    ledger = FakeLedger(ADA, BOB, CEM)
    assert send(ledger, relay_of(server), compose=with_dots, connections=2) == DrainReport({SENT: 3}, None, 0)
    for number, address in enumerate((ADA, BOB, CEM), start=1):
        (message,) = server.inbox(address, at_least=1)
        assert message["Message-ID"] == f"<{number}@example.org>"
        assert message["Return-Path"] == "<digest@example.org>"
        assert message.get_payload() == body.replace("\r\n", "\n")


def test_each_recipient_gets_his_own_verdict(server: Postfix) -> None:
    """An unknown user is suppressed, a refused domain bounces, a greylisted one is deferred, the others go on."""
    ledger = FakeLedger("nobody@example.org", "x@refused.example", GREY, LATER)
    suppressed: list[str] = []
    report = send(
        ledger,
        relay_of(server),
        on_result=lambda claim, outcome: suppressed.append(claim.delivery.address) if outcome.suppress else None,
    )
    assert ledger.statuses == [BOUNCED, BOUNCED, DEFERRED, SENT]
    assert report.paused is None
    assert suppressed == ["nobody@example.org"]
    assert "5.1.1" in ledger.replies[0]
    assert "Greylisted" in ledger.replies[2]
    assert len(server.inbox(LATER, at_least=1)) == 1


def test_a_message_over_the_limit_is_not_offered(server: Postfix) -> None:
    """The announced SIZE is heard, and the next message goes over the same connection."""

    def large(claim: Claim) -> tuple[Envelope, bytes]:
        envelope, message = compose(claim)
        return envelope, message + b"x" * postfix.SIZE_LIMIT if claim.delivery.id == 1 else message

    ledger = FakeLedger("size@example.org", "size@example.org")
    send(ledger, relay_of(server), compose=large)
    assert ledger.statuses == [BOUNCED, SENT]
    assert str(postfix.SIZE_LIMIT) in ledger.replies[0]
    assert len(server.inbox("size@example.org", at_least=1)) == 1


def test_a_wrong_password_marks_nobody(server: Postfix) -> None:
    """The drain pauses with Postfix's own words."""
    ledger = FakeLedger(ADA, BOB)
    report = send(ledger, relay_of(server, password="wrong"), connections=2)
    assert report.paused is not None
    assert report.paused.startswith("535 5.7.8")
    assert (ledger.statuses, ledger.attempts) == ([QUEUED] * 2, [0, 0])


def test_an_unknown_ca_marks_nobody(server: Postfix, tmp_path: Path) -> None:
    """A certificate that another CA signed ends it before the login."""
    ledger = FakeLedger(ADA)
    other = certificates.ca_file(tmp_path, certificates.OTHER_CA)
    report = send(ledger, relay_of(server, ca_file=other))
    assert report.paused is not None
    assert report.paused.startswith("TLS failed")
    assert ledger.statuses == [QUEUED]


def test_a_forgotten_login_does_not_bounce_the_whole_list(server: Postfix) -> None:
    """Without a login Postfix denies everybody: the drain pauses after five, the rest stays queued."""
    ledger = FakeLedger(*[f"reader{n}@example.org" for n in range(8)])
    report = send(ledger, relay_of(server, username=None, password=None))
    assert report.paused is not None
    assert "Access denied" in report.paused
    assert ledger.statuses == [BOUNCED] * 5 + [QUEUED] * 3
