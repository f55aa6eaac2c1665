"""What replies mean: the whole table of stage, code and failure, and the readings that have a reason of their own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.model import DeliveryStatus, Outcome
from digest.send.outcome import Failure, Stage, decide, enhanced_code, fingerprint, plain, reusable

BEFORE_RECIPIENT = (Stage.CONNECT, Stage.BANNER, Stage.EHLO, Stage.STARTTLS, Stage.AUTH, Stage.MAIL)
SENT, DEFERRED, BOUNCED, UNKNOWN = (
    DeliveryStatus.SENT,
    DeliveryStatus.DEFERRED,
    DeliveryStatus.BOUNCED,
    DeliveryStatus.UNKNOWN,
)
RELAY, SUPPRESS = "relay trouble", "suppress"


def verdict(outcome: Outcome) -> tuple[DeliveryStatus, str]:
    assert not (outcome.relay_trouble and outcome.suppress)
    return outcome.status, RELAY if outcome.relay_trouble else SUPPRESS if outcome.suppress else ""


BY_CODE = [
    # stage, code, text, status, besides
    *[(stage, 421, "4.3.2 closing", DEFERRED, RELAY) for stage in BEFORE_RECIPIENT],
    *[(stage, 451, "4.3.0 local trouble", DEFERRED, RELAY) for stage in BEFORE_RECIPIENT],
    *[(stage, 554, "5.7.1 go away", BOUNCED, RELAY) for stage in BEFORE_RECIPIENT],
    *[(stage, 250, "odd", DEFERRED, RELAY) for stage in BEFORE_RECIPIENT[:-1]],
    *[(stage, 354, "odd", DEFERRED, RELAY) for stage in BEFORE_RECIPIENT],
    (Stage.AUTH, 535, "5.7.8 wrong password", BOUNCED, RELAY),
    (Stage.MAIL, 552, "too large", BOUNCED, ""),
    (Stage.MAIL, 554, "5.3.4 too large", BOUNCED, ""),
    (Stage.MAIL, 550, "5.6.7 no SMTPUTF8 here", BOUNCED, ""),
    (Stage.RCPT, 421, "4.7.0 too many", DEFERRED, ""),
    (Stage.RCPT, 450, "4.2.0 greylisted", DEFERRED, ""),
    (Stage.RCPT, 452, "4.2.2 mailbox full", DEFERRED, ""),
    (Stage.RCPT, 450, "4.1.1 perhaps no such user", DEFERRED, ""),
    (Stage.RCPT, 450, "4.1.8 your domain cannot be looked up", DEFERRED, RELAY),
    (Stage.RCPT, 550, "5.1.1 no such user", BOUNCED, SUPPRESS),
    (Stage.RCPT, 550, "5.1.2 no such host", BOUNCED, SUPPRESS),
    (Stage.RCPT, 553, "5.1.3 bad syntax", BOUNCED, SUPPRESS),
    (Stage.RCPT, 551, "5.1.6 has moved", BOUNCED, SUPPRESS),
    (Stage.RCPT, 556, "5.1.10 null MX", BOUNCED, SUPPRESS),
    (Stage.RCPT, 550, "5.1.0 something about an address", BOUNCED, ""),
    (Stage.RCPT, 550, "5.1.7 bad sender syntax", BOUNCED, RELAY),
    (Stage.RCPT, 550, "5.1.8 your domain does not exist", BOUNCED, RELAY),
    (Stage.RCPT, 530, "5.7.0 log in first", BOUNCED, RELAY),
    (Stage.RCPT, 550, "No such user", BOUNCED, ""),
    (Stage.RCPT, 550, "4.1.1 the classes differ", BOUNCED, ""),
    (Stage.RCPT, 552, "5.2.2 mailbox full", BOUNCED, ""),
    (Stage.RCPT, 554, "5.7.1 blocked", BOUNCED, ""),
    (Stage.RCPT, 354, "odd", DEFERRED, ""),
    (Stage.DATA, 250, "odd", DEFERRED, ""),
    (Stage.DATA, 421, "4.3.2 closing", DEFERRED, ""),
    (Stage.DATA, 451, "4.3.0 later", DEFERRED, ""),
    (Stage.DATA, 554, "5.5.1 no valid recipients", BOUNCED, ""),
    (Stage.DOT, 250, "2.0.0 queued", SENT, ""),
    (Stage.DOT, 251, "will forward", SENT, ""),
    (Stage.DOT, 299, "whatever", SENT, ""),
    (Stage.DOT, 354, "odd", UNKNOWN, ""),
    (Stage.DOT, 421, "4.3.2 closing", DEFERRED, ""),
    (Stage.DOT, 452, "4.3.1 disk full", DEFERRED, ""),
    (Stage.DOT, 552, "5.3.4 too large", BOUNCED, ""),
    (Stage.DOT, 554, "5.7.1 spam", BOUNCED, ""),
    (Stage.DOT, 550, "5.1.1 no such user, says the filter", BOUNCED, ""),
    *[(stage, code, "not SMTP", DEFERRED, RELAY) for stage in BEFORE_RECIPIENT for code in (-1, 0, 25, 199, 600)],
    *[(Stage.RCPT, code, "not SMTP", DEFERRED, "") for code in (-1, 0, 25, 199, 600)],
    *[(Stage.DATA, code, "not SMTP", DEFERRED, "") for code in (-1, 0, 25, 199, 600)],
    *[(Stage.DOT, code, "not SMTP", UNKNOWN, "") for code in (-1, 0, 25, 199, 600)],
]

BY_FAILURE = [
    # stage, failure, status, besides
    *[(stage, Failure.LOST, DEFERRED, RELAY) for stage in BEFORE_RECIPIENT],
    *[(stage, Failure.TIMEOUT, DEFERRED, RELAY) for stage in BEFORE_RECIPIENT],
    *[(stage, Failure.MALFORMED, DEFERRED, RELAY) for stage in BEFORE_RECIPIENT],
    (Stage.CONNECT, Failure.UNREACHABLE, DEFERRED, RELAY),
    (Stage.CONNECT, Failure.TLS, BOUNCED, RELAY),
    (Stage.STARTTLS, Failure.TLS, BOUNCED, RELAY),
    (Stage.STARTTLS, Failure.NOT_OFFERED, BOUNCED, RELAY),
    (Stage.AUTH, Failure.NOT_OFFERED, BOUNCED, RELAY),
    *[(Stage.RCPT, failure, DEFERRED, "") for failure in (Failure.LOST, Failure.TIMEOUT, Failure.MALFORMED)],
    *[(Stage.DATA, failure, DEFERRED, "") for failure in (Failure.LOST, Failure.TIMEOUT, Failure.MALFORMED)],
    *[(Stage.DOT, failure, UNKNOWN, "") for failure in (Failure.LOST, Failure.TIMEOUT, Failure.MALFORMED)],
]


@pytest.mark.parametrize(("stage", "code", "text", "status", "besides"), BY_CODE)
def test_every_reply_has_its_meaning(stage: Stage, code: int, text: str, status: DeliveryStatus, besides: str) -> None:
    """Each code at each stage leads to the status of the table, and is the relay's or the recipient's as it says."""
    assert verdict(decide(stage, code, text)) == (status, besides)


@pytest.mark.parametrize(("stage", "failure", "status", "besides"), BY_FAILURE)
def test_every_failure_has_its_meaning(stage: Stage, failure: Failure, status: DeliveryStatus, besides: str) -> None:
    """No reply: the relay's trouble before RCPT, deferred at RCPT and DATA, unknown once the message has left."""
    assert verdict(decide(stage, failure=failure)) == (status, besides)


@given(
    st.sampled_from(Stage), st.one_of(st.none(), st.integers(-1, 1000)), st.text(), st.none() | st.sampled_from(Failure)
)
def test_only_a_2xx_after_the_dot_is_sent(stage: Stage, code: int | None, text: str, failure: Failure | None) -> None:
    """Whatever a relay says: `sent` needs a 2xx after the dot, `unknown` a message that has left, suppression RCPT."""
    outcome = decide(stage, code, text, failure)
    accepted = stage is Stage.DOT and failure is None and code is not None and 200 <= code <= 299
    assert (outcome.status is SENT) == accepted
    assert outcome.status is not UNKNOWN or stage is Stage.DOT
    assert not outcome.suppress or stage is Stage.RCPT
    assert not outcome.relay_trouble or stage not in (Stage.DATA, Stage.DOT)
    assert outcome.data_begun == (stage in (Stage.DATA, Stage.DOT))


@given(st.text())
def test_a_reply_fits_on_a_line(text: str) -> None:
    """Whatever a relay says is stored as one printable line of bounded length."""
    line = plain(text)
    assert line.isprintable()
    assert len(line) <= 500


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (550, "5.1.1 no such user", "5.1.1"),
        (250, "2.0.0", "2.0.0"),
        (550, "5.001.01 with zeros", "5.1.1"),
        (550, "5.1.1\n5.1.1 two lines", "5.1.1"),
        (550, "4.1.1 of another class", ""),
        (550, "no code", ""),
        (550, "5.1.1: not parted by a space", ""),
        (550, "5.1.1000 too long", ""),
        (550, "192.5.1.1 is an address", ""),
    ],
)
def test_an_enhanced_code_is_read_where_it_stands(code: int, text: str, expected: str) -> None:
    """An enhanced code begins the text and agrees with the reply's class, or there is none."""
    assert enhanced_code(code, text) == expected


def test_a_reply_in_lines_is_told_once() -> None:
    """The enhanced code that each line of a reply repeats is kept once."""
    outcome = decide(Stage.RCPT, 550, "5.1.1 The account does not exist.\n5.1.1 Please check\n5.1.1 the address")
    assert outcome.reply == "550 5.1.1 The account does not exist. Please check the address (in reply to RCPT TO)"


def test_a_refusal_says_where_it_came() -> None:
    """The reply names the command that it answered, or what was missing."""
    assert decide(Stage.AUTH, 535, "5.7.8 no").reply == "535 5.7.8 no (in reply to AUTH)"
    assert decide(Stage.DOT, failure=Failure.LOST).reply == "connection lost after the final dot"
    assert decide(Stage.DOT, 250, "2.0.0 queued as 17").reply == "250 2.0.0 queued as 17"


@pytest.mark.parametrize(
    ("stage", "code", "failure", "expected"),
    [
        (Stage.DOT, 250, None, True),
        (Stage.DOT, 251, None, True),
        (Stage.DOT, 554, None, True),
        (Stage.RCPT, 550, None, True),
        (Stage.RCPT, 450, None, True),
        (Stage.DATA, 451, None, True),
        (Stage.MAIL, 550, None, True),
        (Stage.EHLO, 550, None, False),
        (Stage.STARTTLS, 454, None, False),
        (Stage.AUTH, 535, None, False),
        (Stage.RCPT, 421, None, False),
        (Stage.DOT, 421, None, False),
        (Stage.DATA, 250, None, False),
        (Stage.DOT, 354, None, False),
        (Stage.DOT, -1, None, False),
        (Stage.DOT, None, Failure.TIMEOUT, False),
        (Stage.RCPT, None, Failure.MALFORMED, False),
    ],
)
def test_a_connection_is_not_used_after_anything_odd(
    stage: Stage, code: int | None, failure: Failure | None, expected: bool
) -> None:
    """Only a proper reply, other than 421, on a connection that was opened to the end, leaves it in step."""
    assert reusable(stage, code, failure) is expected


def test_refusals_for_one_reason_look_alike() -> None:
    """Addresses, numbers and queue ids do not tell refusals apart; codes and words do."""

    def seen(code: int, text: str) -> str:
        return fingerprint(decide(Stage.RCPT, code, text))

    assert seen(554, "5.7.1 <a@x.org>: Relay access denied") == seen(554, "5.7.1 <b@y.org>: Relay access denied")
    assert seen(554, "5.7.1 Spam, ref 4FgH71") == seen(554, "5.7.1 Spam, ref 9abC22")
    assert seen(554, "5.7.1 Spam") != seen(554, "5.7.2 Spam")
    assert seen(554, "5.7.1 Spam") != seen(550, "5.7.1 Spam")
    assert seen(554, "5.7.1 Spam") != seen(554, "5.7.1 Virus")
