"""What a relay's reply, or its silence, means for one delivery: a pure function from a stage to an `Outcome`.

Here lives every judgement about SMTP replies; nothing here opens a socket or looks at a clock. `smtp.py` asks `decide`
after whatever went other than hoped and after the final dot; `outbox.py` uses `fingerprint` to see a run of equal
refusals. Reply codes: RFC 5321 section 4.2; enhanced codes: RFC 3463, where they stand in a reply: RFC 2034.

The rule of thumb: up to and including MAIL nothing has been said about a recipient, so whatever goes wrong is the
relay's trouble and nobody is charged; at RCPT and DATA it is this recipient's; once the message has left, after 354, no
definite answer means that nobody knows.

| stage          | 2xx      | 4xx            | 5xx                   | other code or silence               |
|----------------|----------|----------------|-----------------------|-------------------------------------|
| CONNECT … AUTH | -        | relay, passing | relay, lasting        | relay, passing; TLS: relay, lasting |
| MAIL           | -        | relay, passing | relay, lasting (a)    | relay, passing                      |
| RCPT           | -        | deferred (b)   | bounced (b, c, d)     | deferred                            |
| DATA           | deferred | deferred       | bounced               | deferred                            |
| DOT            | sent     | deferred       | bounced               | unknown                             |

(a) but 552, 5.2.3, 5.3.4 (too large) and 5.6.7 (SMTPUTF8) speak of this one message: bounced.
(b) but X.1.7 and X.1.8 speak of our sender address, which many servers judge only at RCPT: relay.
(c) but 530, 534, 535 and 538 ask us to log in or to use TLS: relay, lasting.
(d) suppresses with 5.1.1, 5.1.2, 5.1.3, 5.1.6 and 5.1.10 only. A bare 550 is used for policy as often as for an unknown
    user, so it does not.

A relay's passing trouble is `deferred` with `relay_trouble`, its lasting trouble `bounced` with `relay_trouble`. It is
never the verdict from DATA on, so nothing of the message has left: not even where DATA was sent ahead of its turn.
"""

from __future__ import annotations

import re
from enum import StrEnum

from digest.model import DeliveryStatus, Outcome


class Stage(StrEnum):
    """Where a conversation stands: what was last said to the relay. `DATA` ends with 354, `DOT` is all after it."""

    CONNECT = "connect"
    BANNER = "banner"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"


class Failure(StrEnum):
    """How a conversation can go wrong without a reply that means something."""

    UNREACHABLE = "unreachable"
    LOST = "lost"
    TIMEOUT = "timeout"
    TLS = "tls"
    MALFORMED = "malformed"
    NOT_OFFERED = "not-offered"


_OPENING = frozenset({Stage.CONNECT, Stage.BANNER, Stage.EHLO, Stage.STARTTLS, Stage.AUTH})
_BEFORE_ANY_RECIPIENT = _OPENING | {Stage.MAIL}
_DATA_BEGUN = frozenset({Stage.DATA, Stage.DOT})
_LASTING = frozenset({Failure.TLS, Failure.NOT_OFFERED})
_NO_SUCH_ADDRESS = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
_BAD_SENDER = frozenset({"4.1.7", "4.1.8", "5.1.7", "5.1.8"})
_LOGIN_WANTED = frozenset({530, 534, 535, 538})
_THIS_MESSAGE = frozenset({"5.2.3", "5.3.4", "5.6.7"})

_WHERE = {
    Stage.CONNECT: "while connecting",
    Stage.BANNER: "before the greeting",
    Stage.EHLO: "in reply to EHLO",
    Stage.STARTTLS: "at STARTTLS",
    Stage.AUTH: "in reply to AUTH",
    Stage.MAIL: "in reply to MAIL FROM",
    Stage.RCPT: "in reply to RCPT TO",
    Stage.DATA: "in reply to DATA",
    Stage.DOT: "after the final dot",
}
_WHAT = {
    Failure.UNREACHABLE: "cannot connect",
    Failure.LOST: "connection lost",
    Failure.TIMEOUT: "no answer in time",
    Failure.TLS: "TLS failed",
    Failure.MALFORMED: "reply that is not SMTP",
    Failure.NOT_OFFERED: "not offered by the relay",
}
_REPLY_LENGTH = 500

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)", re.ASCII)
_ADDRESS = re.compile(r"<?[^\s<>]+@[^\s<>]+>?")
_NUMBERED = re.compile(r"\S*\d\S*")


def enhanced_code(code: int, text: str) -> str:
    """The enhanced code that a reply's text begins with, no leading zeros; empty where its class is not `code`'s."""
    found = _ENHANCED.match(text.lstrip())
    if found is None or found[1] != str(code)[:1]:
        return ""
    return ".".join(str(int(part)) for part in found.groups())


def plain(text: str) -> str:
    """A reply's text on one line, fit to be stored and shown: no control characters, at most 500 characters."""
    if text.isprintable() and len(text) <= _REPLY_LENGTH:  # nearly every reply
        return text.strip()
    lines = [line.strip() for line in text.splitlines()]
    if lines and (found := _ENHANCED.match(lines[0])):
        lines[1:] = [line.removeprefix(found[0]).strip() for line in lines[1:]]
    joined = " ".join(line for line in lines if line)
    shown = "".join(char if char.isprintable() else "?" for char in joined)
    return shown if len(shown) <= _REPLY_LENGTH else shown[: _REPLY_LENGTH - 1] + "…"


def decide(stage: Stage, code: int | None = None, text: str = "", failure: Failure | None = None) -> Outcome:
    """What became of a try that ended at `stage`, with the reply `code` and `text`, or with a `failure`.

    `text` is the reply without its codes, lines parted by a newline; with a `failure`, its cause in words. `status` is
    `sent`, `deferred`, `bounced` or `unknown`; the table above says which.
    """
    if failure is not None or code is None or not 200 <= code <= 599:
        return _no_answer(stage, failure or Failure.MALFORMED, text if code is None else f"{code} {text}")
    enhanced = enhanced_code(code, text)
    kind = code // 100
    begun = stage in _DATA_BEGUN
    if stage is Stage.DOT and kind == 2:
        return Outcome(DeliveryStatus.SENT, enhanced, f"{code} {plain(text)}".rstrip(), data_begun=begun)
    reply = f"{code} {plain(text)}".rstrip() + f" ({_WHERE[stage]})"
    if _is_about_the_relay(stage, code, enhanced):
        status = DeliveryStatus.BOUNCED if kind == 5 else DeliveryStatus.DEFERRED
        return Outcome(status, enhanced, reply, relay_trouble=True)
    if kind == 4:
        return Outcome(DeliveryStatus.DEFERRED, enhanced, reply, data_begun=begun)
    if kind == 5:
        suppress = stage is Stage.RCPT and enhanced in _NO_SUCH_ADDRESS
        return Outcome(DeliveryStatus.BOUNCED, enhanced, reply, suppress=suppress, data_begun=begun)
    return Outcome(_undecided(stage), enhanced, reply, data_begun=begun)


def reusable(stage: Stage, code: int | None, failure: Failure | None) -> bool:
    """Whether a connection may take another message after what `decide` was told.

    Not after anything odd, nor after 421, nor when its opening was cut short: it may be without TLS or login.
    """
    if failure is not None or code is None or code == 421 or stage in _OPENING:
        return False
    return 400 <= code <= 599 or (stage is Stage.DOT and 200 <= code <= 299)


def fingerprint(outcome: Outcome) -> str:
    """What is the same when a relay refuses different recipients for one reason: no address, number or queue id."""
    code, _, text = outcome.reply.partition(" ")
    text = _ADDRESS.sub("@", text.removeprefix(outcome.enhanced_code))
    return f"{code} {outcome.enhanced_code} {_NUMBERED.sub('#', text)}"


def _is_about_the_relay(stage: Stage, code: int, enhanced: str) -> bool:
    if stage is Stage.MAIL and code // 100 == 5:
        return not (code == 552 or enhanced in _THIS_MESSAGE)
    if stage is Stage.RCPT:
        return enhanced in _BAD_SENDER or code in _LOGIN_WANTED
    return stage in _BEFORE_ANY_RECIPIENT


def _no_answer(stage: Stage, failure: Failure, detail: str) -> Outcome:
    where = "" if failure in (Failure.UNREACHABLE, Failure.NOT_OFFERED, Failure.TLS) else f" {_WHERE[stage]}"
    reply = f"{_WHAT[failure]}{where}"
    if detail := plain(detail):
        reply += f": {detail}"
    if stage in _BEFORE_ANY_RECIPIENT:
        status = DeliveryStatus.BOUNCED if failure in _LASTING else DeliveryStatus.DEFERRED
        return Outcome(status, "", reply, relay_trouble=True)
    return Outcome(_undecided(stage), "", reply, data_begun=stage in _DATA_BEGUN)


def _undecided(stage: Stage) -> DeliveryStatus:
    """Without a definite answer: a message that waits for 354 has not left, so it can be sent again without a doubt."""
    return DeliveryStatus.UNKNOWN if stage is Stage.DOT else DeliveryStatus.DEFERRED
