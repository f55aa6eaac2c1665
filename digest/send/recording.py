"""What a drain has the ledger record of each delivery, and the count of it: intents, results, claims given back.

`drain.py` makes one `Recorder` for each drain, over the `GroupCommit` that all its connections share. What an entry may
be at which moment is the state table's (`outbox.py`); when a message is tried, and where, is `drain.py`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from digest.errors import GivenUpError, LeaseLostError
from digest.ledger import Intent, Release, Result, TakeBack
from digest.model import Claim, DeliveryStatus, Outcome
from digest.send.commits import GroupCommit
from digest.send.outbox import Ledger, next_attempt

log = logging.getLogger(__name__)

RECORD_AFTER = (0.0, 5.0, 30.0)
"""Seconds to wait before each further try to record what the relay has said."""


class Intention:
    """The `before_data` of one conversation: remembers whether `sending` was committed, or why not."""

    def __init__(self, commits: GroupCommit, claim: Claim, leave_within: float, clock: Callable[[], float]):
        self._commits = commits
        self._claim = claim
        self._leave_within = leave_within
        self._clock = clock
        self.begun = False
        self.committed = False
        self.error: Exception | None = None

    async def commit(self) -> None:
        """Returns when the message may leave. Raises LeaseLostError, or what the ledger raised."""
        self.begun = True
        began = self._clock()
        try:
            made = await self._commits.write(Intent(self._claim))
        except Exception as error:
            self.error = error
            raise
        if not made:
            raise LeaseLostError(f"{self._claim.delivery.message_id} has another holder, or its reader has left")
        self.committed = True
        if self._clock() - began > self._leave_within:
            raise LeaseLostError(f"{self._claim.delivery.message_id} was held up until its lease may have ended")


@dataclass
class Recorder:
    """Of one drain. Everything runs on one event loop, so plain attributes do."""

    ledger: Ledger
    commits: GroupCommit
    now: Callable[[], datetime]
    on_result: Callable[[Claim, Outcome], None] | None
    on_sent: Callable[[Claim, Outcome], None] | None
    rand: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    leave_within: float
    clock: Callable[[], float]
    counts: Counter[DeliveryStatus] = field(default_factory=Counter)
    lost: int = 0
    """Claims that had another holder in the end."""
    _unrecorded: list[Result] = field(default_factory=list)  # what the relay has said, and the ledger has refused

    def intention(self, claim: Claim) -> Intention:
        """For one conversation about the claim."""
        return Intention(self.commits, claim, self.leave_within, self.clock)

    def release(self, claim: Claim) -> None:
        """Gives it back untried; not waited for."""
        self.commits.write(Release(claim)).add_done_callback(partial(_warn_if_kept, claim))

    async def take_back(self, claim: Claim) -> None:
        """Undoes its intent: nothing of the message has left."""
        try:
            await self.commits.write(TakeBack(claim))
        except asyncio.CancelledError:
            self.release(claim)
            raise

    def abandon(self, claim: Claim, intention: Intention) -> None:
        """What is known when a conversation is cancelled; not waited for."""
        if intention.committed:
            self._write_result(claim, Outcome(DeliveryStatus.UNKNOWN, reply="interrupted after DATA"))
            return
        if intention.begun:  # it may be in the transaction that is under way: nothing was sent on its account
            self.commits.write(TakeBack(claim)).add_done_callback(partial(_warn_if_kept, claim))
        self.release(claim)

    async def record(self, claim: Claim, outcome: Outcome) -> None:
        """Returns when the outcome is durable. It is written whether or not anybody still waits."""
        await asyncio.shield(self._write_result(claim, outcome))

    async def record_late(self) -> None:
        """A database that was locked or full for a moment must not put in doubt what the relay has said."""
        for delay in RECORD_AFTER if self._unrecorded else ():
            await self.sleep(delay)
            try:
                made = await asyncio.to_thread(self.ledger.commit, self._unrecorded)
            except Exception as error:
                log.warning("what became of %d messages cannot be recorded: %s", len(self._unrecorded), error)
            else:
                recorded = [result for result, done in zip(self._unrecorded, made, strict=True) if done]
                self.counts.update(result.outcome.status for result in recorded)
                break

    def _write_result(self, claim: Claim, outcome: Outcome) -> asyncio.Future[bool]:
        next_attempt_at = None
        if outcome.status in (DeliveryStatus.DEFERRED, DeliveryStatus.UNKNOWN):
            delivery = claim.delivery
            next_attempt_at = next_attempt(delivery.attempts + 1, self.now(), delivery.queued_at, self.rand)
            if next_attempt_at is None and outcome.status is DeliveryStatus.DEFERRED:
                outcome = replace(outcome, status=DeliveryStatus.EXPIRED)
        elif outcome.status is DeliveryStatus.SENT and self.on_sent is not None:
            self.on_sent(claim, outcome)
        result = Result(claim, outcome, next_attempt_at)
        writing = self.commits.write(result)
        writing.add_done_callback(partial(self._count, result))
        return writing

    def _count(self, result: Result, written: asyncio.Future[bool]) -> None:
        claim, outcome = result.claim, result.outcome
        if (error := written.exception()) is not None:
            error.add_note(f"delivery {claim.delivery.id} ended as {outcome.status}: {outcome.reply}")
            if not isinstance(error, GivenUpError):  # that has been tried for long enough
                self._unrecorded.append(result)
        elif not written.result():
            self.lost += 1
        else:
            self.counts[outcome.status] += 1
            if self.on_result is not None:
                self.on_result(claim, outcome)


def _warn_if_kept(claim: Claim, written: asyncio.Future[bool]) -> None:
    if (error := written.exception()) is not None:
        log.warning("delivery %d stays claimed until its lease ends: %s", claim.delivery.id, error)
