"""Every fault at every stage of a conversation, with and without pipelining; the server's log is the judge.

`EXPECTED` is the table. Each cell says what becomes of the message, and whether its connection takes the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from digest.model import Address, DeliveryStatus, Envelope, Outcome, Relay, Security
from digest.send.smtp import Timeouts, transports
from tests.servers import certificates
from tests.servers.smtp import STAGES, CollectingServer, Misbehaviour

FAULTS = {
    "odd 2xx": Misbehaviour("", b"299 Something\r\n", accepts=True),
    "odd 3xx": Misbehaviour("", b"399 Something\r\n"),
    "4xx": Misbehaviour("", b"451 4.3.0 Later\r\n"),
    "5xx": Misbehaviour("", b"550 5.1.1 Never\r\n"),
    "421": Misbehaviour("", b"421 4.3.2 Closing\r\n", "close"),
    "reset": Misbehaviour("", then="reset"),
    "close": Misbehaviour("", then="close"),
    "stall": Misbehaviour("", then="stall"),
    "garbage": Misbehaviour("", b"\xff\x00 hello\r\n"),
    "half a line": Misbehaviour("", b"25", "close"),
    "half a reply": Misbehaviour("", b"250-2.0.0 To be continued\r\n", "close"),
    "two replies": Misbehaviour("", b"250 2.0.0 OK\r\n250 2.0.0 And OK again\r\n", accepts=True),
}


class Cell(NamedTuple):
    """What a fault comes to."""

    status: DeliveryStatus
    relay_trouble: bool = False
    suppress: bool = False
    reused: bool = False
    """Whether the connection takes the next message."""


PASSING = Cell(DeliveryStatus.DEFERRED, relay_trouble=True)
LASTING = Cell(DeliveryStatus.BOUNCED, relay_trouble=True)
SENT = Cell(DeliveryStatus.SENT)
DEFERRED = Cell(DeliveryStatus.DEFERRED)
BOUNCED = Cell(DeliveryStatus.BOUNCED)
UNKNOWN = Cell(DeliveryStatus.UNKNOWN)
NO_SUCH_USER = Cell(DeliveryStatus.BOUNCED, suppress=True)


def kept(cell: Cell) -> Cell:
    """The same, on a connection that takes the next message."""
    return cell._replace(reused=True)


P, L, D, U = PASSING, LASTING, DEFERRED, UNKNOWN
OK = kept(SENT)
EXPECTED = {
    #               banner ehlo starttls auth mail  rcpt                data           dot
    "odd 2xx":      (P,    P,   P,       P,   OK,      OK,                 D,             OK),
    "odd 3xx":      (P,    P,   P,       P,   P,       D,                  D,             U),
    "4xx":          (P,    P,   P,       P,   kept(P), kept(D),            kept(D),       kept(D)),
    "5xx":          (L,    L,   L,       L,   kept(L), kept(NO_SUCH_USER), kept(BOUNCED), kept(BOUNCED)),
    "421":          (P,    P,   P,       P,   P,       D,                  D,             D),
    "reset":        (P,    P,   P,       P,   P,       D,                  D,             U),
    "close":        (P,    P,   P,       P,   P,       D,                  D,             U),
    "stall":        (P,    P,   P,       P,   P,       D,                  D,             U),
    "garbage":      (P,    P,   P,       P,   P,       D,                  D,             U),
    "half a line":  (P,    P,   P,       P,   P,       D,                  D,             U),
    "half a reply": (P,    P,   P,       P,   P,       D,                  D,             U),
    "two replies":  (P,    P,   P,       P,   P,       D,                  D,             SENT),
}  # fmt: skip
IN_ONE_GO = {
    # A reply too many to MAIL or RCPT passes for the next one's, and the one to RCPT then comes where 354 is due.
    ("mail", "two replies"): D,
    ("rcpt", "two replies"): D,
}
"""Where the table is another with pipelining."""

MATRIX = [(stage, fault, EXPECTED[fault][n]) for fault in FAULTS for n, stage in enumerate(STAGES)]
OPENING = STAGES[: STAGES.index("mail")]
PATIENT = Timeouts(command=20, data=20, dot=20, quit=5)
SHORT, LONGER = 0.3, 1.5
IMPATIENT = {stage: replace(PATIENT, command=LONGER) for stage in STAGES} | {
    "data": replace(PATIENT, data=SHORT),
    "dot": replace(PATIENT, dot=SHORT),
}
"""Impatient at the stage alone at which the server stalls, so that a busy machine changes no result; less so where the
replies before it are waited for as long, and must not come too late."""


def converse(
    server: CollectingServer, timeouts: Timeouts, count: int, *, pipelining: bool, ca_file: Path | None = None
) -> list[Outcome]:
    """What becomes of so many messages, one after the other over one transport; `timeouts` are those of the first.

    The intent of each is committed at most once, and always before DATA; without pipelining, only then.
    """
    relay = Relay(
        server.host,
        server.port,
        Security.STARTTLS if ca_file else Security.NONE,
        username="digest",
        password="secret",
        ca_file=ca_file,
    )

    async def main() -> list[Outcome]:
        transport = transports(relay, timeouts)()
        outcomes = []
        for number in range(count):
            intents: list[int] = []

            async def intent(note: Callable[[int], None] = intents.append, number: int = number) -> None:
                note(number)

            envelope = Envelope("digest@example.org", Address(f"reader{number}@example.org"))
            message = f"Message-ID: <{number}@example.org>\r\nSubject: Papers\r\n\r\n.dot\r\n".encode()
            outcomes.append(await transport.submit(envelope, message, intent))
            transport._timeouts = PATIENT  # with the fault alone it is impatient
            assert len(intents) <= 1
            assert intents or not outcomes[-1].data_begun
            assert outcomes[-1].data_begun or pipelining or not intents
        await transport.close()
        return outcomes

    return asyncio.run(main())


def judge(server: CollectingServer, outcomes: list[Outcome]) -> None:
    """Nothing was accepted twice; what is `sent` was; what is neither `sent` nor `unknown` was not, nor any of it."""
    for number, outcome in enumerate(outcomes):
        copies = server.message_ids.count(f"<{number}@example.org>")
        if outcome.status is DeliveryStatus.SENT:
            assert copies == 1
        else:
            assert copies <= (outcome.status is DeliveryStatus.UNKNOWN)
    assert not server.fragments


def cell_of(outcome: Outcome, *, reused: bool) -> Cell:
    return Cell(outcome.status, outcome.relay_trouble, outcome.suppress, reused)


@pytest.mark.parametrize("pipelining", [False, True], ids=["in turn", "at once"])
@pytest.mark.parametrize(("stage", "fault", "expected"), MATRIX)
def test_every_fault_at_every_stage(stage: str, fault: str, expected: Cell, pipelining: bool, tmp_path: Path) -> None:
    """Each fault at each stage comes to what the table says, and spoils no later message."""
    if pipelining:
        expected = IN_ONE_GO.get((stage, fault), expected)
    once = replace(FAULTS[fault], stage=stage, times=1, over_all=True)
    tls = certificates.server_context(tmp_path) if stage == "starttls" else None
    timeouts = IMPATIENT[stage] if fault == "stall" else PATIENT
    with CollectingServer(once, credentials=("digest", "secret"), tls=tls, pipelining=pipelining) as server:
        outcomes = converse(
            server, timeouts, 2, pipelining=pipelining, ca_file=certificates.ca_file(tmp_path) if tls else None
        )
    assert cell_of(outcomes[0], reused=server.connections == 1) == expected
    assert outcomes[1].status is DeliveryStatus.SENT
    judge(server, outcomes)


SILENT = ["reset", "close", "stall", "garbage", "half a line", "half a reply", "odd 3xx"]


@pytest.mark.parametrize("pipelining", [False, True], ids=["in turn", "at once"])
@pytest.mark.parametrize("fault", SILENT)
def test_a_message_that_was_taken_without_a_word_is_unknown(fault: str, pipelining: bool) -> None:
    """The server keeps the message and does not say so: nobody can know, and it is not sent again."""
    once = replace(FAULTS[fault], stage="dot", accepts=True, times=1, over_all=True)
    timeouts = IMPATIENT["dot"] if fault == "stall" else PATIENT
    with CollectingServer(once, credentials=("digest", "secret"), pipelining=pipelining) as server:
        outcomes = converse(server, timeouts, 2, pipelining=pipelining)
    assert cell_of(outcomes[0], reused=server.connections == 1) == UNKNOWN
    assert server.message_ids == ["<0@example.org>", "<1@example.org>"]


GOODBYES = ["421", "reset", "close", "half a line", "half a reply"]


@pytest.mark.parametrize("pipelining", [False, True], ids=["in turn", "at once"])
@pytest.mark.parametrize("stage", ["mail", "rcpt"])
@pytest.mark.parametrize("fault", GOODBYES)
def test_a_connection_that_has_served_may_end_and_nobody_is_charged(fault: str, stage: str, pipelining: bool) -> None:
    """After a message, the end of a connection is a goodbye: the next one goes over a new one, and arrives once."""
    goodbye = replace(FAULTS[fault], stage=stage, skip=1)
    with CollectingServer(goodbye, credentials=("digest", "secret"), pipelining=pipelining) as server:
        outcomes = converse(server, PATIENT, 3, pipelining=pipelining)
    assert [outcome.status for outcome in outcomes] == [DeliveryStatus.SENT] * 3
    assert server.message_ids == [f"<{number}@example.org>" for number in range(3)]
    assert server.connections == 3
