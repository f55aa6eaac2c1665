"""Drains the outbox: claims what is due, hands each message to a transport, and has it recorded what became of it.

The states, the order of steps and the retry schedule are `outbox.py`'s. `app` calls `drain`, for a manual send and from
the scheduler alike.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from digest.errors import LeaseLostError
from digest.ledger import Intent, Release, Result, TakeBack
from digest.model import Claim, DeliveryStatus, Envelope, Outcome
from digest.send.commits import GroupCommit
from digest.send.outbox import DrainReport, Ledger, Transport, next_attempt
from digest.send.outcome import fingerprint
from digest.send.rate import Limiter

log = logging.getLogger(__name__)

RECONNECT_AFTER = (2.0, 10.0)
"""Seconds to wait before each further try of a relay that has passing trouble."""
EQUAL_REFUSALS = 5
CLAIMED_AT_ONCE = 100
RECORD_AFTER = (0.0, 5.0, 30.0)
"""Seconds to wait before each further try to record a message that the relay has taken."""


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

    def __init__(self, commits: GroupCommit, claim: Claim):
        self._commits = commits
        self._claim = claim
        self.begun = False
        self.committed = False
        self.error: Exception | None = None

    async def commit(self) -> None:
        self.begun = True
        try:
            made = await self._commits.write(Intent(self._claim))
        except Exception as error:
            self.error = error
            raise
        if not made:
            raise LeaseLostError(f"{self._claim.delivery.message_id} has another holder, or its reader has left")
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
        self._commits = GroupCommit(self.ledger)
        self._claimed: deque[Claim] = deque()
        self._claiming = asyncio.Lock()
        self._counts: Counter[DeliveryStatus] = Counter()
        self._lost = 0
        self._paused: str | None = None
        self._refusals = _Refusals()
        self._through = asyncio.Event()  # the first worker got through to the relay, or has ended
        self._halt = asyncio.Event()  # no further conversation begins
        self._working = 0
        self._unrecorded: list[Result] = []  # taken by the relay, and refused by the ledger

    async def run(self) -> DrainReport:
        watcher = asyncio.create_task(self._halt_on_stop())
        workers = [asyncio.create_task(self._worker(first=n == 0)) for n in range(max(self.connections, 1))]
        try:
            ends = await asyncio.gather(*workers, return_exceptions=True)
        finally:
            watcher.cancel()
            await self._commits.settle()  # a claim that is under way brings more to hand back
            self._hand_back()
            await self._commits.close()
            await self._record_late()
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return DrainReport(dict(self._counts), self._paused, self._lost)

    def _hand_back(self) -> None:
        while self._claimed:
            self._release(self._claimed.popleft())

    def _release(self, claim: Claim) -> None:
        self._commits.write(Release(claim)).add_done_callback(partial(_warn_if_kept, claim))

    async def _record_late(self) -> None:
        """A database that was locked or full for a moment must not put in doubt what is known to be sent."""
        for delay in RECORD_AFTER if self._unrecorded else ():
            await self.sleep(delay)
            try:
                await asyncio.to_thread(self.ledger.commit, self._unrecorded)
            except Exception as error:
                log.warning("%d messages were sent and cannot be recorded: %s", len(self._unrecorded), error)
            else:
                self._counts[DeliveryStatus.SENT] += len(self._unrecorded)
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
            while (claim := await self._next()) is not None and await self._deliver(transport, claim):
                pass
        except BaseException:
            self._halt.set()
            raise
        finally:
            self._working -= 1
            self._through.set()
            await transport.close()

    async def _next(self) -> Claim | None:
        async with self._claiming:  # one claims for all
            if not (self._claimed or self._halted()):
                # More at a time costs less; not where they would wait for their turn until the lease ends.
                limit = max(self.connections, 1 if self.limiter else CLAIMED_AT_ONCE)
                claiming = self._commits.claim(limit)
                claiming.add_done_callback(self._hold_claims)
                await asyncio.shield(claiming)
        return self._claimed.popleft() if self._claimed and not self._halted() else None

    def _hold_claims(self, claiming: asyncio.Future[Sequence[Claim]]) -> None:
        if claiming.exception() is None:
            self._claimed.extend(claiming.result())

    def _halted(self) -> bool:
        return self._halt.is_set() or self.stop.is_set()

    async def _deliver(self, transport: Transport, claim: Claim) -> bool:
        """Takes `claim` to its end. Whether this worker goes on."""
        if not await self._has_its_turn(claim):
            return False
        try:
            envelope, message = self.compose(claim)
        except Exception as error:
            _log_failure("delivery %d could not be composed: %s", claim, error)
            await self._record(claim, Outcome(DeliveryStatus.DEFERRED, reply=f"could not be composed: {error}"))
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
            self._release(claim)
            self._pause(trouble.reply)
        return False

    async def _converse(self, transport: Transport, claim: Claim, envelope: Envelope, message: bytes) -> Outcome | None:
        """One try, recorded. The outcome if it is the relay's trouble and the claim is still held, else None."""
        intent = _Intent(self._commits, claim)
        try:
            outcome = await transport.submit(envelope, message, intent.commit)
        except LeaseLostError:
            self._through.set()
            self._lost += 1
            self._release(claim)
            return None
        except asyncio.CancelledError:
            self._abandon(claim, intent)
            raise
        except Exception as error:
            if intent.error is not None:
                self._release(claim)
                raise
            _log_failure("delivery %d made the transport fail: %s", claim, error)
            status = DeliveryStatus.UNKNOWN if intent.committed else DeliveryStatus.DEFERRED
            outcome = Outcome(status, reply=f"{type(error).__name__}: {error}")
        if outcome.relay_trouble:
            if intent.committed:
                await self._take_back(claim)
            return outcome
        self._through.set()
        await self._settle(claim, outcome)
        return None

    async def _take_back(self, claim: Claim) -> None:
        try:
            await self._commits.write(TakeBack(claim))
        except asyncio.CancelledError:
            self._release(claim)
            raise

    def _abandon(self, claim: Claim, intent: _Intent) -> None:
        """What is known when a conversation is cancelled; `run` waits until it is written."""
        if intent.committed:
            self._write_result(claim, Outcome(DeliveryStatus.UNKNOWN, reply="interrupted after DATA"))
            return
        if intent.begun:  # it may be in the transaction that is under way: nothing was sent on its account
            self._commits.write(TakeBack(claim)).add_done_callback(partial(_warn_if_kept, claim))
        self._release(claim)

    async def _settle(self, claim: Claim, outcome: Outcome) -> None:
        """Records the outcome of a conversation that reached the recipient, and judges whether to go on at all."""
        refused = outcome.status is DeliveryStatus.BOUNCED and not outcome.suppress
        if refused and self._refusals.verdict == fingerprint(outcome):
            outcome = replace(outcome, status=DeliveryStatus.DEFERRED)
        self._refusals.note(outcome)
        if self._refusals.verdict:
            self._pause(f"the relay refused {EQUAL_REFUSALS} recipients in a row for the same reason: {outcome.reply}")
        await self._record(claim, outcome)

    async def _record(self, claim: Claim, outcome: Outcome) -> None:
        await asyncio.shield(self._write_result(claim, outcome))

    def _write_result(self, claim: Claim, outcome: Outcome) -> asyncio.Future[bool]:
        next_attempt_at = None
        if outcome.status in (DeliveryStatus.DEFERRED, DeliveryStatus.UNKNOWN):
            delivery = claim.delivery
            next_attempt_at = next_attempt(delivery.attempts + 1, self.now(), delivery.queued_at, self.rand)
            if next_attempt_at is None and outcome.status is DeliveryStatus.DEFERRED:
                outcome = replace(outcome, status=DeliveryStatus.EXPIRED)
        result = Result(claim, outcome, next_attempt_at)
        writing = self._commits.write(result)
        writing.add_done_callback(partial(self._count, result))
        return writing

    def _count(self, result: Result, written: asyncio.Future[bool]) -> None:
        claim, outcome = result.claim, result.outcome
        if (error := written.exception()) is not None:
            error.add_note(f"delivery {claim.delivery.id} ended as {outcome.status}: {outcome.reply}")
            if outcome.status is DeliveryStatus.SENT:
                self._unrecorded.append(result)
        elif not written.result():
            self._lost += 1
        else:
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
                self._release(claim)
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


def _warn_if_kept(claim: Claim, written: asyncio.Future[bool]) -> None:
    if (error := written.exception()) is not None:
        log.warning("delivery %d stays claimed until its lease ends: %s", claim.delivery.id, error)
