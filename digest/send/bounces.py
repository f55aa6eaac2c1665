"""What a message that came back says: a pure function from its bytes to a `Reading`, and the rule of soft bounces.

Reads delivery status notifications (RFC 3464, in a multipart/report of RFC 6522; RFC 6533 beyond ASCII), abuse reports
(ARF, RFC 5965) and automatic replies (RFC 3834); what programs wrote before there were standards, flufl.bounce knows
(extra `mailbox`). Nothing is ever answered. `diagnosis.py` judges what a failure says of the address.

| the message                                              | is         | and then                                    |
|----------------------------------------------------------|------------|---------------------------------------------|
| status report, a recipient's `Action: failed`            | bounce     | counts, if it is proved (a)                 |
| …, else `delayed`                                        | delayed    | nothing: it is still being tried            |
| …, else `delivered`, `relayed`, `expanded`               | delivered  | nothing                                     |
| abuse report of abuse, fraud or opt-out                  | complaint  | counts                                      |
| other abuse or authentication reports, receipts          | notice     | nothing: somebody may want to look          |
| from a mail system, in a form that flufl.bounce knows    | bounce or delayed                                        |
| automatic reply                                          | auto-reply | nothing                                     |
| from a mail system, in any other form                    | notice     | nothing: somebody may want to look          |
| anything else                                            | other      | nothing                                     |

(a) Several recipients failed: her address is forwarded, and the mildest failure counts. One failed and another got it:
    soft, as the address stands for several and some of them read us.

Anybody can write such a message, so none is believed for what it says of an address. The proof is what we signed into
the original and nobody else could know: the tag of its envelope sender (VERP), or the reader's token in its
List-Unsubscribe beside its Message-ID. `evidence` holds what looks like them, for `mailroom/reading.py` to verify.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import HeaderParser
from enum import StrEnum
from itertools import islice

from digest.errors import MailboxError
from digest.mime import BOUNDED, TEXT_LENGTH, parsed, text_of
from digest.model import SOFT_BOUNCES, Attempt, BounceKind
from digest.send.diagnosis import codes_in, judge, telling_code
from digest.send.outcome import plain

log = logging.getLogger("digest.bounces")

INSTALL = "pip install 'papers-digest[mailbox]'"
SOFT_PERIOD = timedelta(days=7)
BOUNCES_WITHIN = timedelta(days=6)
"""How long a server may try, five days (RFC 5321 section 4.5.4.1), and a day for its report to be read."""
_MOST_PROOFS = 20
_MOST_RECIPIENTS = 100
_MOST_PARTS = 100
_ODD_LENGTH = 64 * 1024
"""Octets that flufl.bounce looks at, several times over: what it knows stands at the beginning."""
_LINE_LENGTH = 998
"""Octets of a line that it looks at, as many as one may have: its expressions take quadratic time for a line."""


class Sort(StrEnum):
    """What a message is."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    NOTICE = "notice"
    AUTO_REPLY = "auto-reply"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What in a message looks like our own, in order and unverified."""

    tags: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    """Of returned messages, with their angle brackets."""
    tokens: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message says. `kind` is set for a bounce and for a complaint."""

    sort: Sort
    kind: BounceKind | None = None
    enhanced_code: str = ""
    diagnostic: str = ""
    evidence: Evidence = Evidence()


def read(raw: bytes) -> Reading:
    """What the message says. No bytes make it fail; raises MailboxError where flufl.bounce is missing and needed."""
    try:
        return _read(raw)
    except MailboxError:
        raise
    except Exception as error:  # the email package raises a dozen kinds of error for what is no message
        log.debug("not a message that can be read: %r", error)
        return Reading(Sort.OTHER)


def is_worn_out(attempts: Iterable[Attempt], now: datetime) -> bool:
    """Whether an address's soft bounces suppress it: five in a row, the first and the last at least 7 days apart.

    `attempts` are what servers took for the address, newest first. One that did not come back is a success and ends the
    row; but of those after the newest bounce only what is old enough, as a bounce takes its time. One that was refused
    for policy neither counts nor ends the row. Time is counted between the attempts, so it does not matter when the
    mailbox was read.
    """
    row: list[Attempt] = []
    for attempt in attempts:
        if attempt.bounce in (BounceKind.SOFT, BounceKind.HARD):
            row.append(attempt)
            if len(row) >= SOFT_BOUNCES and row[0].at - attempt.at >= SOFT_PERIOD:
                return True
        elif attempt.bounce is None and (row or now - attempt.at > BOUNCES_WITHIN):
            return False
    return False


class _Part(Message):
    """A part whose own parts are not messages: a returned or reported one is text, whose transfer encoding counts.

    The email package would parse a status report before it is decoded, and a walk would go into what was returned.
    """

    def get_content_type(self) -> str:
        kind = super().get_content_type()
        return kind.replace("message/", "text/", 1) if kind.startswith("message/") else kind


_STATUS_REPORTS = ("text/delivery-status", "text/global-delivery-status")
_ABUSE_REPORT = "text/feedback-report"
_COMPLAINTS = frozenset({"abuse", "fraud", "opt-out", "opt-out-list"})


def _read(raw: bytes) -> Reading:
    message = parsed(raw, _Part)
    leaves = list(islice((part for part in message.walk() if not part.is_multipart()), _MOST_PARTS))
    texts = {id(part): text_of(part) for part in leaves if part.get_content_maintype() == "text"}
    evidence = _evidence(message, texts.values())
    for part in leaves:
        if part.get_content_type() in _STATUS_REPORTS and (found := _of_status(texts[id(part)])):
            return _reading(*found, evidence)
        if part.get_content_type() == _ABUSE_REPORT:
            return _of_abuse(texts[id(part)], evidence)
    words = _RETURNED.split(next(iter(texts.values()), ""), maxsplit=1)[0]
    is_of_a_mail_system = _is_of_a_mail_system(message)
    if is_of_a_mail_system and (sort := _as_flufl_knows_it(raw)):
        code = telling_code("", words)
        return _reading(sort, _Failure(judge(code, words), code, _telling_line(words)), evidence)
    is_report = message.get_content_type() == "multipart/report"
    if _is_automatic(message) and not is_report:
        return Reading(Sort.AUTO_REPLY, evidence=evidence)
    if is_report or is_of_a_mail_system:
        return Reading(Sort.NOTICE, diagnostic=_telling_line(words), evidence=evidence)
    return Reading(Sort.OTHER, evidence=evidence)


# --- proofs ---------------------------------------------------------------------------------------------------------

_TAG = re.compile(r"\+([0-9a-f]{33,48})@", re.I)
_MESSAGE_ID = re.compile(r"^message-id:\s*(<[^<>\s\0]{1,250}>)", re.I | re.M)
_TOKEN = re.compile(
    r"(?:/unsubscribe/[^/\s<>]{1,200}/|unsubscribe@[^?\s<>]{1,255}\?subject=)"
    r"((?:0|[1-9]\d{0,18})\.[A-Za-z0-9_-]{24})(?![\w-])",
    re.ASCII,
)


def _evidence(message: Message, texts: Iterable[str]) -> Evidence:
    """To whom it was sent comes first: what a report returns was written by the one who reports."""
    head, parts = "\n".join(str(value) for value in message.values())[:TEXT_LENGTH], list(texts)
    return Evidence(_all(_TAG, [head, *parts]), _all(_MESSAGE_ID, parts), _all(_TOKEN, parts))


def _all(pattern: re.Pattern[str], texts: Iterable[str]) -> tuple[str, ...]:
    found = dict.fromkeys(match[1] for text in texts for match in pattern.finditer(text))
    return tuple(found)[:_MOST_PROOFS]


# --- status reports (RFC 3464) --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Failure:
    kind: BounceKind
    code: str = ""
    diagnostic: str = ""


def _reading(sort: Sort, failure: _Failure, evidence: Evidence) -> Reading:
    kind = failure.kind if sort is Sort.BOUNCE else None
    return Reading(sort, kind, failure.code, failure.diagnostic, evidence)


_MILDEST_FIRST = (BounceKind.POLICY, BounceKind.SOFT, BounceKind.HARD)


def _of_status(report: str) -> tuple[Sort, _Failure] | None:
    """What a report says in all, and of whom; None if no recipient is in it."""
    found = [(_action(fields), _failure(fields)) for fields in _recipients(report)]
    if not found:
        return None
    failed = [failure for action, failure in found if action is Sort.BOUNCE]
    for sort in (Sort.DELAYED, Sort.DELIVERED):
        if not failed and (told := [failure for action, failure in found if action is sort]):
            return sort, told[0]
    mildest = min(failed, key=lambda failure: _MILDEST_FIRST.index(failure.kind))
    if len(failed) < len(found) and mildest.kind is BounceKind.HARD:
        mildest = _Failure(BounceKind.SOFT, mildest.code, mildest.diagnostic)
    return Sort.BOUNCE, mildest


def _recipients(report: str) -> Iterator[Message]:
    """The groups of fields about a recipient; some programs leave out the group about the whole message."""
    for group in re.split(r"(?:\r?\n[ \t]*){2,}", report.strip(), maxsplit=_MOST_RECIPIENTS)[:_MOST_RECIPIENTS]:
        fields = HeaderParser(policy=BOUNDED).parsestr(group.lstrip())
        if any(name in fields for name in ("Final-Recipient", "Original-Recipient", "Action", "Status")):
            yield fields


def _action(fields: Message) -> Sort:
    """By the action (OpenSMTPD calls a failure `error`), or what the status means where there is none."""
    action, status = str(fields.get("Action", "")).strip().lower(), codes_in(str(fields.get("Status", "")))
    if action.startswith(("fail", "error")):
        return Sort.BOUNCE
    if action:
        return Sort.DELAYED if action.startswith("delay") else Sort.DELIVERED
    return {"5": Sort.BOUNCE, "4": Sort.DELAYED}.get(status[0][0] if status else "", Sort.DELIVERED)


def _failure(fields: Message) -> _Failure:
    words = " ".join(re.sub(r"^\s*[\w-]+\s*;", "", str(fields.get("Diagnostic-Code", ""))).split())
    status = str(fields.get("Status", ""))
    code = telling_code(status, words)
    return _Failure(judge(code, words), code, plain(words) or plain(status))


# --- abuse reports (RFC 5965) ---------------------------------------------------------------------------------------


def _of_abuse(report: str, evidence: Evidence) -> Reading:
    fields = HeaderParser(policy=BOUNDED).parsestr(report.lstrip())
    kind = str(fields.get("Feedback-Type", "")).partition(";")[0].strip().lower()
    told = plain(f"{kind} report by {fields.get('User-Agent', 'an unnamed program')}")
    if kind not in _COMPLAINTS:
        return Reading(Sort.NOTICE, diagnostic=told, evidence=evidence)
    return Reading(Sort.COMPLAINT, BounceKind.COMPLAINT, diagnostic=told, evidence=evidence)


# --- automatic replies, and what no standard describes --------------------------------------------------------------

_MAIL_SYSTEM = re.compile(
    r"\b(mailer-daemon|mail-?daemon|mailerdaemon|postmaster|mdaemon|mail[._-]?delivery[._-]?(sub)?system)\b", re.I
)
_REPLY_FIELDS = ("X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Auto-Reply", "X-Vacation", "Vacation")
_REPLY_SUBJECT = re.compile(
    r"^\W*(?:(?:re|aw|sv|tr)\s*:\s*)*(?:auto(?:matic|mated)?[ -]?(?:reply|response)|automatische antwort|abwesen"
    r"|out of (?:the )?office|vacation|away from|on (?:annual )?leave|r[ée]ponse automatique|absence"
    r"|risposta automatica|fuori ufficio|respuesta autom|fuera de (?:la )?oficina|resposta autom|automatisch antwoord"
    r"|afwezig|自動返信|自动回复|자동)",
    re.I,
)


def _is_automatic(message: Message) -> bool:
    """RFC 3834's own field, those that came before it, and what people's programs write into the subject."""
    submitted = str(message.get("Auto-Submitted", "no")).partition(";")[0].strip().lower()
    return (
        submitted != "no"
        or any(name in message for name in _REPLY_FIELDS)
        or str(message.get("Precedence", "")).strip().lower() in ("auto_reply", "auto-reply")
        or bool(_REPLY_SUBJECT.search(_decoded(str(message.get("Subject", ""))[:_SUBJECT_LENGTH])))
    )


def _decoded(subject: str) -> str:
    try:
        return str(make_header(decode_header(subject)))
    except (LookupError, ValueError, HeaderParseError):
        return subject


def _is_of_a_mail_system(message: Message) -> bool:
    return (
        "X-Failed-Recipients" in message
        or str(message.get("Return-Path", "")).strip() == "<>"
        or bool(_MAIL_SYSTEM.search(str(message.get("From", ""))))
    )


def detectors() -> Callable[[Message], tuple[Collection[bytes], Collection[bytes]]]:
    """flufl.bounce's: which addresses failed for now, and which for good. Raises MailboxError where it is missing."""
    try:
        from flufl.bounce import all_failures
    except ImportError:
        raise MailboxError(f"reading bounces needs an extra that is not installed: `{INSTALL}`") from None
    logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)  # it writes a traceback before it raises
    return all_failures


def _as_flufl_knows_it(raw: bytes) -> Sort | None:
    """Its detectors tell what failed for good from what is being tried still; they give addresses, and no reasons."""
    lines = (line[:_LINE_LENGTH] for line in raw[:_ODD_LENGTH].split(b"\n"))
    delayed, failed = detectors()(parsed(b"\n".join(lines)))
    if failed:
        return Sort.BOUNCE
    return Sort.DELAYED if delayed else None


_SUBJECT_LENGTH = 1000
"""Characters of a subject that are read: the library takes quadratic time for many encoded words."""
_RETURNED = re.compile(
    r"^(?:[->*_= ].*(?:copy|original|returned|below|forwarded|header)|Return-Path:|Received:).*$", re.I | re.M
)
"""Where the returned message begins: what is in it was not said by the mail system."""


def _telling_line(words: str) -> str:
    """The line that names a code or a reply, else the first that says anything."""
    lines = [line for line in map(str.strip, words.splitlines()) if line]
    telling = (line for line in lines if codes_in(line) or re.search(r"(?<!\S)[45]\d\d[ -]", line))
    return plain(next(telling, lines[0] if lines else ""))
