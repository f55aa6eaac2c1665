"""Deliveries, and the ways by which mail goes out and comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import NewType

from digest.model.editions import EditionId, Pick, Selection
from digest.model.people import Address, Subscriber, SubscriberId

DeliveryId = NewType("DeliveryId", int)


class DeliveryStatus(StrEnum):
    """The states of a delivery; `digest/send/outbox.py` draws the table."""

    QUEUED = "queued"
    ACTIVE = "active"
    SENDING = "sending"
    SENT = "sent"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Delivery:
    """One edition to one subscriber. `attempts` counts conversations that reached this recipient."""

    id: DeliveryId
    edition_id: EditionId
    subscriber_id: SubscriberId
    address: Address
    status: DeliveryStatus
    message_id: str
    """With its angle brackets; fixed when the delivery is queued, so every try has the same."""
    frozen: Callable[[], Selection] = field(default=Selection, repr=False, compare=False)
    """Reads what was frozen for it, which takes longer than all else. Raises ValueError where that is damaged."""
    queued_at: datetime | None = None
    attempts: int = 0
    next_attempt_at: datetime | None = None
    reply: str = ""
    relay: str = ""
    """The name of the relay that it was given to last; empty for a Maildir, and before the first try."""

    @cached_property
    def selection(self) -> Selection:
        """What the subscriber gets. Raises what `frozen` raises."""
        return self.frozen()

    @property
    def picks(self) -> tuple[Pick, ...]:
        """The papers, best first; none where that cannot be read, which is told when it is composed."""
        try:
            return self.selection.picks
        except ValueError:
            return ()


@dataclass(frozen=True, slots=True)
class Envelope:
    """SMTP's own sender and recipient (RFC 5321 section 2.3.1), apart from the message's header."""

    sender: str
    recipient: Address


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try. `enhanced_code` is RFC 3463's `X.Y.Z` or empty; `reply` is the server's text."""

    status: DeliveryStatus
    enhanced_code: str = ""
    reply: str = ""
    relay_trouble: bool = False
    """The relay's own trouble, and nothing of the message has left: the recipient is not charged with an attempt, and
    the send pauses."""
    suppress: bool = False
    """The address does not exist: no later edition is sent to it."""
    data_begun: bool = False
    """The recipient had been accepted: this came in reply to DATA, or to the message itself."""
    personal: bool = False
    """Our own verdict on this one address: the relay was not asked about it, and it says nothing of anybody else."""


class Security(StrEnum):
    """How the connection to a relay or a mailbox is protected. It never falls back by itself."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


SOFT_BOUNCES = 5
"""So many in a row, over some time, suppress an address: `digest/send/bounces.py` has the rule."""


class BounceKind(StrEnum):
    """What a bounce says of the address. `digest/send/bounces.py` says which is which, and why."""

    HARD = "hard"
    """There is no such mailbox: nothing is sent to it any more."""
    SOFT = "soft"
    """It failed this time."""
    POLICY = "policy"
    """We or this one message were refused: nothing is said of the address."""
    COMPLAINT = "complaint"
    """Its owner called the message spam."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """What came back of a delivery. `enhanced_code` is RFC 3463's `X.Y.Z` or empty; `diagnostic` is one line."""

    delivery_id: DeliveryId
    kind: BounceKind
    enhanced_code: str = ""
    diagnostic: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A delivery that a server took, as its reader's bounces are counted."""

    at: datetime
    """When the server took it."""
    bounce: BounceKind | None
    """How it came back; None: it did not, so far."""


class OnUnknown(StrEnum):
    """What happens to a message of which nobody knows whether the server took it."""

    HOLD = "hold"
    RESEND = "resend"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` messages in `seconds`."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How a relay that no receiver knows yet is made known: few messages on the first day, `growth` times more a day.

    Receivers mistrust an address that they have never had mail from and that sends thousands at once.
    """

    start: date
    """The first day, in the list's time zone. Days before it count like it."""
    first: int
    """How many messages on that day."""
    growth: float


@dataclass(frozen=True, slots=True)
class Relay:
    """The `[smtp]` table, or one of `[[smtp]]`: a server that takes our messages."""

    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    connections: int = 8
    rate: Rate | None = None
    per_domain: tuple[tuple[str, Rate], ...] = ()
    ca_file: Path | None = None
    on_unknown: OnUnknown = OnUnknown.HOLD
    name: str = ""
    """What tells it from every other relay, for a person and for the store, where its messages of a day are counted."""
    weight: int = 1
    """Its share of the messages, beside the other relays'; 0: it is used while no other one takes any."""
    per_day: int | None = None
    """At most so many messages on one day of the list's time zone."""
    warm_up: WarmUp | None = None


@dataclass(frozen=True, slots=True)
class Pages:
    """How the pages are served. The limits hold for each process."""

    host: str = "127.0.0.1"
    port: int = 8000
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Networks whose word on who asks (X-Forwarded-For) is taken."""
    sign_ups: Rate = Rate(10, 3600.0)
    """Of one client."""
    sign_ups_in_all: Rate = Rate(300, 3600.0)
    """Of all clients together, for one list: nobody can have strangers written to without end."""
    looks: Rate = Rate(120, 60.0)
    """Previews and searches of one client."""
    status_public: bool = False
    """Whether everybody sees the pages for operators, /status and /metrics."""
    status_password: str = field(default="", repr=False)
    """Opens them to whoever knows it. Empty, and not public: there are none."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """The `[mailbox]` table: the IMAP mailbox that takes commands and votes, and to which bounces come back."""

    host: str
    port: int
    security: Security
    username: str
    password: str = field(repr=False)
    ca_file: Path | None = None

    @property
    def name(self) -> str:
        """What tells it from every other mailbox, for a person and for the store."""
        return f"{self.username} at {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a mailbox has been read: up to `uid`, which means something with this UIDVALIDITY only (RFC 3501)."""

    uid_validity: int
    uid: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery held under a lease. A result is accepted only with the lease's fencing token."""

    delivery: Delivery
    subscriber: Subscriber
    token: int
    relay: str = ""
    """The name of the relay that it is given to."""
