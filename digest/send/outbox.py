"""What becomes of a delivery: its states, the steps that keep them true, and when it is tried again.

Here live the state table, the retry schedule, and what the parts of a send promise each other. `drain.py` takes the
steps, `recording.py` and `commits.py` have them written. No SMTP (`smtp.py`), no verdicts on replies (`outcome.py`), no
SQL: the ledger is a protocol, kept by `digest/store/outbox.py`; what each entry makes of a row is `digest/ledger.py`'s.

The states of a delivery, and what a crash at that moment does:

| status      | what holds                                     | after a crash                                       |
|-------------|------------------------------------------------|-----------------------------------------------------|
| `queued`    | frozen with its picks, not tried yet           | claimed by the next drain                           |
| `active`    | claimed under a lease; DATA has not been sent  | the lease ends: `queued` or `deferred`, as before,  |
|             |                                                | and no attempt is charged                           |
| `sending`   | its `Intent` is committed before the write     | `unknown`, never `queued`: the relay may have all   |
|             | that holds the DATA command; with pipelining   | of the message. At most one per open connection.    |
|             | that is before MAIL                            | Only the worker that holds the lease may go back    |
|             |                                                | from here, by `TakeBack`, when the relay's words    |
|             |                                                | prove that nothing of the message has left          |
| `sent`      | a 2xx came after the final dot; committed with | stays. Between the reply and the commit, a crash    |
|             | the reply before the connection's next message | finds `sending`, hence `unknown`                    |
| `deferred`  | refused for now; due at `next_attempt_at`      | claimed when due                                    |
| `bounced`   | refused for good                               | stays                                               |
| `expired`   | deferred for five days                         | stays                                               |
| `unknown`   | the message was sent, no definite answer came  | stays: sent again, with the same Message-ID, only   |
|             |                                                | by `on_unknown = "resend"` or `digest resolve`      |
| `cancelled` | unsubscribed or suppressed since it was queued | stays                                               |

A worker takes these steps for each claim, and no two of them for one connection overlap:

    claim → compose → submit (MAIL, RCPT → Intent → DATA, body, dot) → Result → next claim
                      submit (Intent → MAIL, RCPT, DATA at once, body, dot), where the relay offers PIPELINING

A claim is left by exactly one `Result` or `Release`; by a `Release` only if it is not `sending`: its `Intent` has not
been committed, or has been taken back because the relay had trouble of its own before anything of the message left. A
claim that turns out to be lost is released too: that changes nothing in another's hands, and hands back one whose
reader has left. `sent` is written whoever holds the lease, because it is a fact.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from digest.ledger import Entry
from digest.model import Claim, DeliveryStatus, Envelope, Outcome

FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(seconds=4000)
JITTER = 0.2
"""A retry comes up to this share later than scheduled, never earlier: a greylist counts from its own clock."""
GIVE_UP_AFTER = timedelta(days=5)


class Ledger(Protocol):
    """The deliveries' durable state. Calls block, one at a time; each has been committed when it returns."""

    def claim(self, limit: int) -> Sequence[Claim]:
        """Up to `limit` due `queued` or `deferred` deliveries become `active` under a lease; none when none is due."""
        ...

    def commit(self, entries: Sequence[Entry]) -> Sequence[bool]:
        """Writes the entries in their order, all or none; for each, whether its claim was in force (`ledger.after`).

        Also False for an intent whose reader has left.
        """
        ...


class Transport(Protocol):
    """One connection's worth of delivering, used by one task at a time."""

    async def submit(self, envelope: Envelope, message: bytes, before_data: Callable[[], Awaitable[None]]) -> Outcome:
        """Delivers `message` (wire form: CRLF, not dot-stuffed).

        Waits for `before_data`, once, before the write that holds the DATA command; not at all where it does not come
        so far. With pipelining DATA leaves together with MAIL and RCPT: what comes of those is then learnt when
        `before_data` is long over, and an outcome with `relay_trouble` says that nothing of the message has left all
        the same. What `before_data` raises comes out of here, with nothing sent. Every other trouble is an `Outcome`.
        """
        ...

    async def close(self) -> None:
        """Ends the connection, if there is one. Raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What one drain did."""

    counts: Mapping[DeliveryStatus, int]
    """Recorded outcomes by status."""
    paused: str | None = None
    """Why the drain stopped before the queue was empty, in plain words. None too when `stop` was set."""
    lost: int = 0
    """Claims that turned out to be another's, or cancelled, before anything was sent."""
    held: str | None = None
    """What keeps the rest waiting although nothing is wrong: a pause, the hours, the day's limits. In plain words."""
    lasting: bool = False
    """It was paused for what any other connection would meet as well."""
    queued: int = 0
    """Shards that workers have to do: what is due is theirs."""


def next_attempt(
    attempts: int, now: datetime, queued_at: datetime | None, rand: Callable[[], float] = random.random
) -> datetime | None:
    """When to try again after the `attempts`th try (from 1) failed for now; None when five days have passed.

    5 minutes, doubling up to 4,000 seconds, each up to a fifth later by `rand` (uniform in [0, 1)).
    """
    if queued_at is not None and now - queued_at >= GIVE_UP_AFTER:
        return None
    doublings = min(max(attempts, 1) - 1, 10)  # far past `LONGEST_RETRY`, far below an overflow
    delay = min(FIRST_RETRY * (1 << doublings), LONGEST_RETRY)
    return now + delay * (1 + JITTER * rand())
