"""Speaks with a list's servers as a send and a read would, and sends and marks nothing: its relays, its mailbox.

Each function gives findings, and what the server's clock said where its greeting tells. What a failure means for a
person is decided in `advice`, which is pure.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from digest.check.findings import Finding, failed, ok, warning
from digest.errors import MailboxError, SendError
from digest.hosts import is_loopback
from digest.model import Inbox, Relay, Security
from digest.providers import Provider, provider_of_relay
from digest.send.opening import Opened, OpeningError, certificate_end, open_connection, tls_context
from digest.send.outcome import Failure, Stage, decide
from digest.send.wire import WireError

PATIENCE = 15.0
"""Seconds for each reply."""
ENDS_SOON = timedelta(days=14)
LARGE_ENOUGH = 1_000_000
"""Octets: an edition of a hundred papers is smaller."""
_DATE = re.compile(r"(?:\w{3}, )?\d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d (?:[-+]\d{4}|GMT|UTC)")


@dataclass(frozen=True, slots=True)
class Told:
    """What another's clock said, and when it did by ours."""

    by: str
    time: datetime
    ours: datetime


def told_in(greeting: str, by: str, ours: datetime) -> tuple[Told, ...]:
    """The time in a server's greeting, which some tell."""
    if found := _DATE.search(greeting):
        with contextlib.suppress(ValueError, TypeError):
            return (Told(by, parsedate_to_datetime(found[0]).astimezone(UTC), ours),)
    return ()


async def relay(relay: Relay, label: str) -> tuple[list[Finding], tuple[Told, ...]]:
    """Connects, with TLS and login as the config says, and leaves. `label` is the relay's place in the config."""
    subject = f"relay {relay.host}:{relay.port}"
    try:
        tls = None if relay.security is Security.NONE else tls_context(relay)
        opened = await open_connection(relay, tls, PATIENCE)
    except SendError as error:
        return [failed(subject, str(error), f"correct `ca_file` of {label}")], ()
    except OpeningError as error:
        says = decide(error.stage, error.code, error.text, error.failure).reply
        return [failed(subject, says, advice(error, label, provider_of_relay(relay.host)))], ()
    try:
        opened.wire.send(b"QUIT\r\n")
        with contextlib.suppress(WireError):
            await opened.wire.reply(PATIENCE)
    finally:
        opened.wire.abort()
    now = datetime.now(UTC)
    return [_of_opened(subject, relay, opened, label, now)], told_in(opened.greeting, f"{relay.host}'s greeting", now)


def _of_opened(subject: str, relay: Relay, opened: Opened, label: str, now: datetime) -> Finding:
    until = opened.certificate_until
    facts = [
        f"TLS, certificate until {until:%Y-%m-%d}" if until else "in the clear",
        f"logged in as {relay.username}" if relay.username else "no login",
        _size(opened.extensions),
        "PIPELINING" if "pipelining" in opened.extensions else "no PIPELINING: slower",
    ]
    says = "; ".join(filter(None, facts))
    if until and until - now < ENDS_SOON:
        return warning(subject, says, "have its certificate renewed: when it ends, nothing is sent")
    if relay.security is Security.NONE and not is_loopback(relay.host):
        return warning(subject, says, f'set `security` of {label} to "starttls" or "tls", if the relay can')
    limit = opened.extensions.get("size", "").strip()
    if limit.isdecimal() and 0 < int(limit) < LARGE_ENOUGH:
        return warning(
            subject, says, "messages may be larger than it takes: lower `papers` of [list], or raise its limit"
        )
    return ok(subject, says)


def _size(extensions: Mapping[str, str]) -> str:
    limit = extensions.get("size", "").strip()
    if not limit.isdecimal() or not int(limit):
        return ""
    octets = int(limit)
    return f"SIZE {octets / 1_000_000:.0f} MB" if octets >= 1_000_000 else f"SIZE {octets / 1000:.0f} kB"


def advice(error: OpeningError, label: str, provider: Provider | None = None) -> str:  # noqa: PLR0911
    """What to do about an opening that failed: pure. What cannot be reached says it in its own words already."""
    match error.stage, error.failure:
        case Stage.CONNECT, Failure.UNREACHABLE:
            return ""
        case _, Failure.TIMEOUT if error.stage in (Stage.CONNECT, Stage.BANNER):
            return (
                f"see `port` and `security` of {label}: 587 goes with starttls, 465 with tls; a firewall may block it"
            )
        case _, Failure.TLS if "hostname" in error.text.lower() or "ip address" in error.text.lower():
            return f"write the name that its certificate has as `host` of {label}"
        case _, Failure.TLS if "expired" in error.text or "not yet valid" in error.text:
            return "have its certificate renewed, or set this machine's clock"
        case _, Failure.TLS if "verif" in error.text.lower() or "certificate" in error.text or "signed" in error.text:
            return f"name its certificate authority in `ca_file` of {label}, or use the name that its certificate has"
        case _, Failure.TLS:
            return f"see `security` of {label}: 587 goes with starttls, 465 with tls"
        case Stage.STARTTLS, _:
            return f'use a port that offers it (587), or `security = "tls"` (465), in {label}'
        case Stage.AUTH, Failure.NOT_OFFERED:
            return f"remove `username` from {label} if the relay needs no login; else see `security`"
        case Stage.AUTH, _ if provider and provider.hint:
            return f"{provider.hint}; then correct `username` and the password of {label}"
        case Stage.AUTH, _:
            return f"correct `username` and the password of {label}"
    if error.failure in (Failure.LOST, Failure.MALFORMED):
        return f"see `port` and `security` of {label}: another service may answer there"
    return "ask whoever runs the relay; what it said is above"


def mailbox(inbox: Inbox) -> tuple[list[Finding], tuple[Told, ...]]:
    """Logs in, selects the folder, and leaves. Blocking."""
    from digest.send.bounces import detectors
    from digest.subscribe.mailbox import Mailbox

    subject = f"mailbox {inbox.name}"
    try:
        detectors()
        with Mailbox(inbox, PATIENCE) as opened:
            now = datetime.now(UTC)
            until = certificate_end(opened.connection)
            idle = "IDLE" if opened.tells_at_once else "no IDLE: it is read every five minutes"
            told = told_in(opened.greeting, f"{inbox.host}'s greeting", now)
    except MailboxError as error:
        words = str(error).removeprefix(f"{inbox.name}: ")
        return [failed(subject, words, _mailbox_advice(words))], ()
    facts = [f"TLS, certificate until {until:%Y-%m-%d}" if until else "in the clear", "logged in, INBOX", idle]
    says = "; ".join(facts)
    if until and until - now < ENDS_SOON:
        return [warning(subject, says, "have its certificate renewed: when it ends, nothing is read")], told
    return [ok(subject, says)], told


def _mailbox_advice(words: str) -> str:
    if "extra" in words:
        return "install it"
    if "TLS" in words or "certificate" in words.lower():
        return "see `security` and `ca_file` of [mailbox], and whether `host` is the name in its certificate"
    if "auth" in words.lower() or "login" in words.lower() or "password" in words.lower():
        return "correct `username` and the password of [mailbox]; many providers want an app password"
    return "see `host`, `port` and `security` of [mailbox]: 993 goes with tls, 143 with starttls"
