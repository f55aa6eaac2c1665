"""Drains an edition's deliveries: claims them, hands each to a transport, and records what became of it.

Here live the state table, the retry schedule and the order of steps that makes them true. No SMTP (`smtp.py`), no
verdicts on replies (`outcome.py`), no SQL: the ledger is a protocol, kept by `digest/store/outbox.py`. `app` calls
`drain`, for a manual send and from the scheduler alike.

The states of a delivery, and what a crash at that moment does:

| status      | what holds                                     | after a crash                                       |
|-------------|------------------------------------------------|-----------------------------------------------------|
| `queued`    | frozen with its picks, not tried yet           | claimed by the next drain                           |
| `active`    | claimed under a lease; DATA has not been sent  | the lease ends: `queued` or `deferred`, as before,  |
|             |                                                | and no attempt is charged                           |
| `sending`   | committed by `mark_sending` before the write   | `unknown`, never `queued`: the relay may have all   |
|             | that holds the DATA command; with pipelining   | of the message. At most one per open connection.    |
|             | that is before MAIL                            | Only the worker that holds the lease may go back    |
|             |                                                | from here, with `take_back`, when the relay's words |
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

    claim → compose → submit (MAIL, RCPT → mark_sending → DATA, body, dot) → record → next claim
                      submit (mark_sending → MAIL, RCPT, DATA at once, body, dot), where the relay offers PIPELINING

A claim is left by exactly one of `record` and `release`; by `release` only if it is not `sending`: `mark_sending` has
not succeeded, or has been taken back because the relay had trouble of its own before anything of the message left. A
claim that turns out to be lost (`LeaseLostError`) is released too: that changes nothing in another's hands, and hands
back one whose reader has left. `sent` is recorded whoever holds the lease, because it is a fact.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from digest.errors import LeaseLostError
from digest.model import Claim, DeliveryStatus, Envelope, Outcome
from digest.send.outcome import fingerprint
from digest.send.rate import Limiter

log = logging.getLogger(__name__)

FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(seconds=4000)
JITTER = 0.2
"""A retry comes up to this share later than scheduled, never earlier: a greylist counts from its own clock."""
GIVE_UP_AFTER = timedelta(days=5)
RECONNECT_AFTER = (2.0, 10.0)
"""Seconds to wait before each further try of a relay that has passing trouble."""
EQUAL_REFUSALS = 5
RECORD_AFTER = (0.0, 5.0, 30.0)
"""Seconds to wait before each further try to record a message that the relay has taken."""


class Ledger(Protocol):
    """The deliveries' durable state. Calls are synchronous and short; each has been committed when it returns."""

    def claim(self, limit: int) -> Sequence[Claim]:
        """Up to `limit` due `queued` or `deferred` deliveries become `active` under a lease; none when none is due."""
        ...

    def mark_sending(self, claim: Claim) -> None:
        """`active` becomes `sending`, durably. Raises `LeaseLostError` if it is not ours, or its reader has left."""
        ...

    def take_back(self, claim: Claim) -> None:
        """`sending` becomes `active` again: nothing of the message has left. Nothing happens if it is not ours."""
        ...

    def release(self, claim: Claim) -> None:
        """`active` becomes what it was before the claim, no attempt charged; nothing happens if it is not ours."""
        ...

    def record(self, claim: Claim, outcome: Outcome, next_attempt_at: datetime | None) -> None:
        """Writes `outcome` and charges an attempt. Raises `LeaseLostError`, save for `sent`, if it is not ours.

        `next_attempt_at` is given with `deferred`, and with `unknown` for a ledger whose policy is to send again.
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


async def drain(
    ledger: Ledger,
    new_transport: Callable[[], Transport],
    compose: Callable[[Claim], tuple[Envelope, bytes]],
    *,
    connections: int,
    now: Callable[[], datetime],
    stop: asyncio.Event,
    limiter: Limiter | None = None,
    on_result: Callable[[Claim, Outcome], None] | None = None,
    rand: Callable[[], float] = random.random,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> DrainReport:
    """Delivers all that is due, over up to `connections` transports at once, until none is due.

    - `stop`: open conversations end and are recorded, claims not begun are released.
    - Trouble of the relay charges nobody. Passing trouble is retried after `RECONNECT_AFTER`; a worker that still
      cannot get through leaves its claim to the others, and the last one pauses the drain. Lasting trouble pauses at
      once. One worker goes first alone, so that a wrong password is tried once and not `connections` times.
    - Five equal refusals in a row (`fingerprint`) pause the drain: after DATA always, at RCPT as long as the relay has
      accepted nothing in this drain, and never for addresses that do not exist. Those five are bounced; conversations
      that are still open and end in the same refusal are deferred, and no further ones begin.
    - A `compose` that raises defers that delivery, with the reason as its reply, and the others go on.

    `on_result` is called after each record. What the ledger raises stops the drain, and comes out when all other
    conversations have ended and been recorded.
    """
    return await _Drain(ledger, new_transport, compose, connections, now, stop, limiter, on_result, rand, sleep).run()


class _Refusals:
    """Watches for a relay that refuses everybody for one reason."""

    def __init__(self) -> None:
        self._last = ""
        self._count = 0
        self._anything_accepted = False
        self.verdict: str | None = None

    def note(self, outcome: Outcome) -> None:
        if outcome.status is DeliveryStatus.SENT:
            self._anything_accepted = True
            self._count = 0
        if outcome.status is not DeliveryStatus.BOUNCED or outcome.suppress:
            return
        if not outcome.data_begun and self._anything_accepted:
            return
        seen = fingerprint(outcome)
        self._count = self._count + 1 if seen == self._last else 1
        self._last = seen
        if self._count >= EQUAL_REFUSALS:
            self.verdict = seen


class _Intent:
    """The `before_data` of one conversation: remembers whether `sending` was committed, or why not."""

    def __init__(self, ledger: Ledger, claim: Claim):
        self._ledger = ledger
        self._claim = claim
        self.committed = False
        self.error: Exception | None = None

    async def commit(self) -> None:
        try:
            self._ledger.mark_sending(self._claim)
        except Exception as error:
            self.error = error
            raise
        self.committed = True


@dataclass
class _Drain:
    """One call of `drain`: what its workers share. Everything runs on one event loop, so plain attributes do."""

    ledger: Ledger
    new_transport: Callable[[], Transport]
    compose: Callable[[Claim], tuple[Envelope, bytes]]
    connections: int
    now: Callable[[], datetime]
    stop: asyncio.Event
    limiter: Limiter | None
    on_result: Callable[[Claim, Outcome], None] | None
    rand: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]

    def __post_init__(self) -> None:
        self._claimed: deque[Claim] = deque()
        self._counts: Counter[DeliveryStatus] = Counter()
        self._lost = 0
        self._paused: str | None = None
        self._refusals = _Refusals()
        self._through = asyncio.Event()  # the first worker got through to the relay, or has ended
        self._halt = asyncio.Event()  # no further conversation begins
        self._working = 0
        self._unrecorded: list[tuple[Claim, Outcome]] = []  # taken by the relay, and refused by the ledger

    async def run(self) -> DrainReport:
        watcher = asyncio.create_task(self._halt_on_stop())
        workers = [asyncio.create_task(self._worker(first=n == 0)) for n in range(max(self.connections, 1))]
        try:
            ends = await asyncio.gather(*workers, return_exceptions=True)
        finally:
            watcher.cancel()
            self._hand_back()
            await self._record_late()
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return DrainReport(dict(self._counts), self._paused, self._lost)

    def _hand_back(self) -> None:
        for claim in self._claimed:
            try:
                self.ledger.release(claim)
            except Exception as error:
                log.warning("delivery %d stays claimed until its lease ends: %s", claim.delivery.id, error)

    async def _record_late(self) -> None:
        """A database that was locked or full for a moment must not put in doubt what is known to be sent."""
        for claim, outcome in self._unrecorded:
            for delay in RECORD_AFTER:
                await self.sleep(delay)
                try:
                    self.ledger.record(claim, outcome, None)
                except Exception as error:
                    log.warning("delivery %d was sent and cannot be recorded: %s", claim.delivery.id, error)
                else:
                    self._counts[outcome.status] += 1
                    break

    async def _halt_on_stop(self) -> None:
        await self.stop.wait()
        self._halt.set()

    def _pause(self, reason: str) -> None:
        self._paused = self._paused or reason
        self._halt.set()

    async def _worker(self, *, first: bool) -> None:
        if not first:
            await self._through.wait()
        self._working += 1
        transport = self.new_transport()
        try:
            while (claim := self._next()) is not None and await self._deliver(transport, claim):
                pass
        except BaseException:
            self._halt.set()
            raise
        finally:
            self._working -= 1
            self._through.set()
            await transport.close()

    def _next(self) -> Claim | None:
        if self._halt.is_set() or self.stop.is_set():
            return None
        if not self._claimed:
            self._claimed.extend(self.ledger.claim(max(self.connections, 1)))
        return self._claimed.popleft() if self._claimed else None

    async def _deliver(self, transport: Transport, claim: Claim) -> bool:
        """Takes `claim` to its end. Whether this worker goes on."""
        if not await self._has_its_turn(claim):
            return False
        try:
            envelope, message = self.compose(claim)
        except Exception as error:
            _log_failure("delivery %d could not be composed: %s", claim, error)
            self._record(claim, Outcome(DeliveryStatus.DEFERRED, reply=f"could not be composed: {error}"))
            return True
        for delay in RECONNECT_AFTER:
            trouble = await self._converse(transport, claim, envelope, message)
            if trouble is None:
                return True
            if trouble.status is DeliveryStatus.BOUNCED:
                break
            if not await self._hold(claim, self.sleep(delay)):
                return False
        else:
            trouble = await self._converse(transport, claim, envelope, message)
        return self._give_up(claim, trouble) if trouble else True

    async def _has_its_turn(self, claim: Claim) -> bool:
        """Waits until the rates let this recipient's domain have a message."""
        domain = claim.delivery.address.rpartition("@")[2]
        if self.limiter is None or not self.limiter.limits(domain):
            return True
        return await self._hold(claim, self.limiter.acquire(domain))

    def _give_up(self, claim: Claim, trouble: Outcome) -> bool:
        if trouble.status is not DeliveryStatus.BOUNCED and self._working > 1:
            self._claimed.appendleft(claim)  # others may have a connection that works
        else:
            self.ledger.release(claim)
            self._pause(trouble.reply)
        return False

    async def _converse(self, transport: Transport, claim: Claim, envelope: Envelope, message: bytes) -> Outcome | None:
        """One try, recorded. The outcome if it is the relay's trouble and the claim is still held, else None."""
        intent = _Intent(self.ledger, claim)
        try:
            outcome = await transport.submit(envelope, message, intent.commit)
        except LeaseLostError:
            self._through.set()
            self._lost += 1
            self.ledger.release(claim)
            return None
        except asyncio.CancelledError:
            self._abandon(claim, intent)
            raise
        except Exception as error:
            if intent.error is not None:
                self.ledger.release(claim)
                raise
            _log_failure("delivery %d made the transport fail: %s", claim, error)
            status = DeliveryStatus.UNKNOWN if intent.committed else DeliveryStatus.DEFERRED
            outcome = Outcome(status, reply=f"{type(error).__name__}: {error}")
        if outcome.relay_trouble:
            if intent.committed:
                self.ledger.take_back(claim)
            return outcome
        self._through.set()
        self._settle(claim, outcome)
        return None

    def _abandon(self, claim: Claim, intent: _Intent) -> None:
        if intent.committed:
            self._record(claim, Outcome(DeliveryStatus.UNKNOWN, reply="interrupted after DATA"))
        else:
            self.ledger.release(claim)

    def _settle(self, claim: Claim, outcome: Outcome) -> None:
        """Records the outcome of a conversation that reached the recipient, and judges whether to go on at all."""
        refused = outcome.status is DeliveryStatus.BOUNCED and not outcome.suppress
        if refused and self._refusals.verdict == fingerprint(outcome):
            outcome = replace(outcome, status=DeliveryStatus.DEFERRED)
        self._refusals.note(outcome)
        if self._refusals.verdict:
            self._pause(f"the relay refused {EQUAL_REFUSALS} recipients in a row for the same reason: {outcome.reply}")
        self._record(claim, outcome)

    def _record(self, claim: Claim, outcome: Outcome) -> None:
        next_attempt_at = None
        if outcome.status in (DeliveryStatus.DEFERRED, DeliveryStatus.UNKNOWN):
            delivery = claim.delivery
            next_attempt_at = next_attempt(delivery.attempts + 1, self.now(), delivery.queued_at, self.rand)
            if next_attempt_at is None and outcome.status is DeliveryStatus.DEFERRED:
                outcome = replace(outcome, status=DeliveryStatus.EXPIRED)
        try:
            self.ledger.record(claim, outcome, next_attempt_at)
        except LeaseLostError:
            self._lost += 1
            return
        except Exception as error:
            error.add_note(f"delivery {claim.delivery.id} ended as {outcome.status}: {outcome.reply}")
            if outcome.status is DeliveryStatus.SENT:
                self._unrecorded.append((claim, outcome))
            raise
        self._counts[outcome.status] += 1
        if self.on_result is not None:
            self.on_result(claim, outcome)

    async def _hold(self, claim: Claim, waiting: Awaitable[object]) -> bool:
        """Waits with a claim in hand; releases it if the drain is halted meanwhile. Whether the wait ended well."""
        over = False
        try:
            over = await self._unless_halted(waiting)
        finally:
            if not over:
                self.ledger.release(claim)
        return over

    async def _unless_halted(self, waiting: Awaitable[object]) -> bool:
        wait = asyncio.ensure_future(waiting)
        halted = asyncio.ensure_future(self._halt.wait())
        try:
            await asyncio.wait({wait, halted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            halted.cancel()
            wait.cancel()
            await asyncio.gather(wait, halted, return_exceptions=True)
        if wait.cancelled():
            return False
        wait.result()
        return not self._halt.is_set()


def _log_failure(what: str, claim: Claim, error: Exception) -> None:
    log.error(what, claim.delivery.id, error, exc_info=log.isEnabledFor(logging.DEBUG))
