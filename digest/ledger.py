"""What is written of a delivery while it is being sent, and what each entry makes of its row. Decides; keeps nothing.

`digest/send/outbox.py` makes the entries, in the order that its state table asks for, and `digest/store/outbox.py`
keeps the rows. Each store applies `after` to the row as it has it inside the transaction in which it writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from digest.model import Claim, DeliveryId, DeliveryStatus, EditionId, Outcome


@dataclass(frozen=True, slots=True)
class Intent:
    """The message is about to be handed over: `active` becomes `sending`, or `cancelled` if its reader has left."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Nothing of the message has left after all: `sending` becomes `active` again, and the claim is kept."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class Release:
    """`active` becomes what it was before the claim, and no attempt is charged."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a try; charges an attempt. `sent` is written whoever holds the lease, because it is a fact."""

    claim: Claim
    outcome: Outcome
    next_attempt_at: datetime | None = None
    """Given with `deferred`, and with `unknown` for a ledger whose policy is to send again."""


Entry = Intent | TakeBack | Release | Result


class Accepted(NamedTuple):
    """A relay took a message: as much of a `Result` as outlives a process that could not have it written."""

    delivery_id: DeliveryId
    edition_id: EditionId
    token: int
    message_id: str
    relay: str
    enhanced_code: str
    reply: str


class Row(NamedTuple):
    """What the ledger has of a delivery when an entry comes."""

    status: DeliveryStatus
    token: int
    """The fencing token of the newest claim."""
    attempts: int
    has_left: bool
    """Its reader has unsubscribed, is suppressed or was removed since the freeze."""


def after(entry: Entry, row: Row) -> Row | None:
    """The row as the entry leaves it; None if the entry's claim is not in force any more, and nothing changes."""
    if _is_written(entry, row):
        return row
    if isinstance(entry, Result):
        rightful = entry.outcome.status is DeliveryStatus.SENT or entry.claim.token == row.token
        written = row._replace(status=entry.outcome.status, attempts=row.attempts + 1)
        return written if rightful and row.status is not DeliveryStatus.SENT else None
    needed = DeliveryStatus.SENDING if isinstance(entry, TakeBack) else DeliveryStatus.ACTIVE
    if entry.claim.token != row.token or row.status is not needed:
        return None
    if isinstance(entry, Intent):
        return row._replace(status=DeliveryStatus.CANCELLED if row.has_left else DeliveryStatus.SENDING)
    if isinstance(entry, TakeBack):
        return row._replace(status=DeliveryStatus.ACTIVE)
    return row._replace(status=DeliveryStatus.DEFERRED if row.attempts else DeliveryStatus.QUEUED)


def _is_written(entry: Entry, row: Row) -> bool:
    """Whether the row has the entry already: it comes again when the answer to its commit was lost."""
    if entry.claim.token != row.token:
        return False
    if isinstance(entry, Intent):
        return row.status is DeliveryStatus.SENDING
    return (
        isinstance(entry, Result)
        and row.status is entry.outcome.status
        and row.attempts > entry.claim.delivery.attempts
    )
