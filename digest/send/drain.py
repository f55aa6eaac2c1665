"""Drains the outbox: claims what is due, hands each message to a transport, and has it recorded what became of it.

The states, the order of steps and the retry schedule are `outbox.py`'s; what is written of each delivery is
`recording.py`'s. Called by `dispatch/outbox.py`, for a manual send and a scheduler's alike, and by
`dispatch/working.py`, for a worker's shard.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from digest.errors import LeaseLostError
from digest.model import Claim, DeliveryStatus, Envelope, Outcome
from digest.send.commits import GroupCommit
from digest.send.outbox import DrainReport, Ledger, Transport
from digest.send.outcome import fingerprint, plain
from digest.send.recording import Recorder
from digest.send.routes import EQUAL_REFUSALS, Allowance, Lane, Lanes, Route

log = logging.getLogger(__name__)

RECONNECT_AFTER = (2.0, 10.0)
"""Seconds to wait before each further try of a relay that has passing trouble."""
CLAIMED_AT_ONCE = 100


async def drain(
    ledger: Ledger,
    routes: Sequence[Route],
    compose: Callable[[Claim], tuple[Envelope, bytes]],
    *,
    now: Callable[[], datetime],
    stop: asyncio.Event,
    hold: Callable[[], Awaitable[str]] | None = None,
    on_result: Callable[[Claim, Outcome], None] | None = None,
    on_sent: Callable[[Claim, Outcome], None] | None = None,
    rand: Callable[[], float] = random.random,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    leave_within: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> DrainReport:
    """Delivers all that is due, over the connections of all routes at once, until none is due.

    - `stop`: open conversations end and are recorded, claims not begun are released. The same when `hold` returns,
      with what keeps the rest waiting.
    - Trouble of a relay charges nobody. Passing trouble is retried after `RECONNECT_AFTER`; a worker that still
      cannot get through leaves its claim to the others. When the route's last one cannot, or its trouble is lasting,
      the drain leaves the relay alone and goes on through the other routes; without any it pauses. Of each route one
      worker goes first alone, so that a wrong password is tried once and not `connections` times.
    - A route that has had all its messages of the day is left alone too; when only that is wrong, the rest waits.
    - Five equal refusals in a row (`fingerprint`) pause the drain: after DATA always, at RCPT as long as the relay has
      accepted nothing in this drain, and never for addresses that do not exist or that we cannot send to. Those five
      are bounced; conversations that are still open and end in the same refusal are deferred, and no more begin.
    - A `compose` that raises defers that delivery, with the reason as its reply, and the others go on.

    - `leave_within`: seconds, by `clock`, which never goes backwards. A message whose `Intent` took longer (a process
      that was stopped meanwhile, or cut off from its database) does not leave: its lease may have ended.

    `on_sent` is called as soon as a relay has taken a message, before that is recorded, and `on_result` after each
    record. What the ledger raises stops the drain, and comes out when all other conversations have ended and been
    recorded.
    """
    commits = GroupCommit(ledger)
    recorder = Recorder(ledger, commits, now, on_result, on_sent, rand, sleep, leave_within, clock)
    return await _Drain(commits, recorder, routes, compose, stop, hold, sleep).run()


@dataclass
class _Drain:
    """One call of `drain`: what its workers share. Everything runs on one event loop, so plain attributes do."""

    commits: GroupCommit
    recorder: Recorder
    routes: Sequence[Route]
    compose: Callable[[Claim], tuple[Envelope, bytes]]
    stop: asyncio.Event
    hold: Callable[[], Awaitable[str]] | None
    sleep: Callable[[float], Awaitable[object]]

    def __post_init__(self) -> None:
        self._claimed: deque[Claim] = deque()
        self._claiming = asyncio.Lock()
        self._paused: str | None = None
        self._lasting = False
        self._held: str | None = None
        self._lanes = Lanes(self.routes)
        self._halt = asyncio.Event()  # no further conversation begins

    async def run(self) -> DrainReport:
        watchers = [asyncio.create_task(self._halt_on_stop())]
        if self.hold:
            watchers.append(asyncio.create_task(self._halt_when_held(self.hold)))
        try:
            await self._work()
            for watcher in watchers:
                if watcher.done():
                    watcher.result()
        finally:
            for watcher in watchers:
                watcher.cancel()
            await self.commits.settle()  # a claim that is under way brings more to hand back
            self._hand_back()
            await self.commits.close()
            await self.recorder.record_late()
            await self._lanes.give_back()
        counts, lost = dict(self.recorder.counts), self.recorder.lost
        return DrainReport(counts, self._paused, lost, self._held, self._lasting)

    async def _work(self) -> None:
        """In rounds: what one relay has left behind goes to those that are left."""
        while (lanes := self._lanes.usable()) and not self._halted():
            workers = [
                self._worker(lane, first=n == 0) for lane in lanes for n in range(max(lane.route.connections, 1))
            ]
            ends = await asyncio.gather(*map(asyncio.create_task, workers), return_exceptions=True)
            for end in ends:
                if isinstance(end, BaseException):
                    raise end
            if not self._claimed:
                return

    def _hand_back(self) -> None:
        while self._claimed:
            self.recorder.release(self._claimed.popleft())

    async def _halt_on_stop(self) -> None:
        await self.stop.wait()
        self._halt.set()

    async def _halt_when_held(self, hold: Callable[[], Awaitable[str]]) -> None:
        try:
            self._held = await hold()
        finally:
            self._halt.set()

    def _pause(self, reason: str) -> None:
        self._paused, self._lasting = self._paused or reason, True
        self._halt.set()

    async def _worker(self, lane: Lane, *, first: bool) -> None:
        if not first:
            await lane.through.wait()
        lane.working += 1
        transport = lane.route.new_transport()
        try:
            while (claim := await self._next(lane)) is not None and await self._deliver(lane, transport, claim):
                pass
        except BaseException:
            self._halt.set()
            raise
        finally:
            lane.working -= 1
            lane.through.set()
            self._lanes.moved()
            await transport.close()

    async def _next(self, lane: Lane) -> Claim | None:
        if not self._lanes.take(lane):
            await self._unless_closed(lane, self._lanes.turn(lane))
        async with self._claiming:  # one claims for all
            if not (self._claimed or self._closed(lane)):
                # More at a time costs less; not where they would wait for their turn until the lease ends.
                connections = sum(route.connections for route in self.routes)
                at_once = 1 if any(route.limiter for route in self.routes) else CLAIMED_AT_ONCE
                claiming = self.commits.claim(max(connections, at_once))
                claiming.add_done_callback(self._hold_claims)
                await asyncio.shield(claiming)
        if not self._claimed or self._closed(lane):
            return None
        claim = self._claimed.popleft()
        return claim if lane.route.allowance is None else await self._allowed(lane, lane.route.allowance, claim)

    async def _allowed(self, lane: Lane, allowance: Allowance, claim: Claim) -> Claim | None:
        """The claim, if the relay may be given one more today; else it is left to the others."""
        allowed = False
        try:
            allowed = await allowance.take(claim.delivery.id)
        finally:
            if not allowed:
                self._claimed.appendleft(claim)
        if not allowed:
            self._close(lane)
        return claim if allowed else None

    def _close(self, lane: Lane, trouble: str | None = None) -> None:
        """Leaves the lane alone. With the last one the drain ends."""
        self._lanes.close(lane, trouble)
        if not self._lanes.usable():
            paused, held = self._lanes.why_closed()
            self._held = self._held or held
            self._paused = self._paused or paused
            self._halt.set()

    def _hold_claims(self, claiming: asyncio.Future[Sequence[Claim]]) -> None:
        if claiming.exception() is None:
            self._claimed.extend(claiming.result())

    def _halted(self) -> bool:
        return self._halt.is_set() or self.stop.is_set()

    def _closed(self, lane: Lane) -> bool:
        return lane.closed.is_set() or self._halted()

    async def _deliver(self, lane: Lane, transport: Transport, claim: Claim) -> bool:
        """Takes `claim` to its end. Whether this worker goes on."""
        if not await self._has_its_turn(lane, claim):
            return False
        try:
            composed = self.compose(claim)
        except Exception as error:
            _log_failure("delivery %d could not be composed: %s", claim, error)
            outcome = Outcome(DeliveryStatus.DEFERRED, reply=plain(f"could not be composed: {error}"))
            await self.recorder.record(claim, outcome)
            return True
        claim = replace(claim, relay=lane.route.name)
        for delay in RECONNECT_AFTER:
            trouble = await self._converse(lane, transport, claim, *composed)
            if trouble is None:
                return True
            if trouble.status is DeliveryStatus.BOUNCED:
                break
            if not await self._wait(lane, claim, self.sleep(delay)):
                return False
        else:
            trouble = await self._converse(lane, transport, claim, *composed)
        return self._give_up(lane, claim, trouble) if trouble else True

    async def _has_its_turn(self, lane: Lane, claim: Claim) -> bool:
        """Waits until the rates let this recipient's domain have a message."""
        domain = claim.delivery.address.rpartition("@")[2]
        limiter = lane.route.limiter
        if limiter is None or not limiter.limits(domain):
            return True
        return await self._wait(lane, claim, limiter.acquire(domain))

    def _give_up(self, lane: Lane, claim: Claim, trouble: Outcome) -> bool:
        self._claimed.appendleft(claim)  # others may have a connection that works
        lasts = trouble.status is DeliveryStatus.BOUNCED
        if lasts or lane.working == 1:
            self._close(lane, trouble.reply)
            self._lasting = self._lasting or (lasts and self._paused is not None)
        return False

    async def _converse(
        self, lane: Lane, transport: Transport, claim: Claim, envelope: Envelope, message: bytes
    ) -> Outcome | None:
        """One try, recorded. The outcome if it is the relay's trouble and the claim is still held, else None."""
        intention = self.recorder.intention(claim)
        try:
            outcome = await transport.submit(envelope, message, intention.commit)
        except LeaseLostError:
            lane.through.set()
            self.recorder.lost += 1
            if intention.committed:
                await self.recorder.take_back(claim)
            self.recorder.release(claim)
            return None
        except asyncio.CancelledError:
            self.recorder.abandon(claim, intention)
            raise
        except Exception as error:
            if intention.error is not None:
                self.recorder.release(claim)
                raise
            _log_failure("delivery %d made the transport fail: %s", claim, error)
            status = DeliveryStatus.UNKNOWN if intention.committed else DeliveryStatus.DEFERRED
            outcome = Outcome(status, reply=plain(f"{type(error).__name__}: {error}"))
        if outcome.relay_trouble:
            if intention.committed:
                await self.recorder.take_back(claim)
            return outcome
        if not outcome.personal:
            lane.through.set()
        await self._settle(lane, claim, outcome)
        return None

    async def _settle(self, lane: Lane, claim: Claim, outcome: Outcome) -> None:
        """Records the outcome of a conversation that reached the recipient, and judges whether to go on at all."""
        if lane.route.allowance:
            lane.route.allowance.use(claim.delivery.id)
        refused = outcome.status is DeliveryStatus.BOUNCED and not outcome.suppress
        if refused and lane.refusals.verdict == fingerprint(outcome):
            outcome = replace(outcome, status=DeliveryStatus.DEFERRED)
        lane.refusals.note(outcome)
        if lane.refusals.verdict:
            said = f"the relay refused {EQUAL_REFUSALS} recipients in a row for the same reason: {outcome.reply}"
            self._pause(f"{said} (when that is mended, `digest retry` makes these due again)")
        await self.recorder.record(claim, outcome)

    async def _wait(self, lane: Lane, claim: Claim, waiting: Awaitable[object]) -> bool:
        """Waits with a claim in hand; leaves it to the others if its lane is closed. Whether the wait ended well."""
        over = False
        lane.held_up += 1
        self._lanes.moved()
        try:
            over = await self._unless_closed(lane, waiting)
        finally:
            lane.held_up -= 1
            if not over:
                self._claimed.appendleft(claim)
        return over

    async def _unless_closed(self, lane: Lane, waiting: Awaitable[object]) -> bool:
        wait = asyncio.ensure_future(waiting)
        ends = [asyncio.ensure_future(event.wait()) for event in (self._halt, lane.closed)]
        try:
            await asyncio.wait({wait, *ends}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (wait, *ends):
                each.cancel()
            await asyncio.gather(wait, *ends, return_exceptions=True)
        if wait.cancelled():
            return False
        wait.result()
        return not self._closed(lane)


def _log_failure(what: str, claim: Claim, error: Exception) -> None:
    log.error(what, claim.delivery.id, plain(str(error)), exc_info=log.isEnabledFor(logging.DEBUG))
