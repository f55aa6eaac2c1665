"""A ledger that waits for its database: what relays have said is kept in memory until it can be written.

For drains whose database is on another host, or is restarted under them. Nothing is sent meanwhile: every connection
waits for its own entry (`commits.py`), and a message that has waited too long for its `Intent` does not leave
(`drain.py`). An entry may come twice, where the answer to a commit was lost: the ledger knows it again.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from digest.errors import GivenUpError, StoreError
from digest.ledger import Entry
from digest.model import Claim
from digest.send.outbox import Ledger

log = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=15)
"""How long an outage may last until what was not written is given up, and its deliveries are in doubt."""
LAST_PATIENCE = timedelta(seconds=10)
"""The same for one that is to stop: whoever asked for it ends it by force after a minute or so."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 5.0
"""Seconds until the next try, doubling."""

T = TypeVar("T")


class PatientLedger:
    """Tries again what its ledger could not do for `StoreError`; blocks meanwhile. For a thread of its own."""

    def __init__(
        self,
        ledger: Ledger,
        stopped: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ):
        """`stopped`: nothing new is claimed any more, and what was done is not waited for much longer."""
        self._ledger = ledger
        self._stopped = stopped
        self._clock = clock
        self._sleep = sleep
        self._give_up_at = math.inf
        self._has_given_up = False

    def claim(self, limit: int) -> Sequence[Claim]:
        """As the ledger does; none, once stopped. A claim whose answer was lost is free when its lease ends."""
        return self._tried(lambda: self._ledger.claim(limit), self._stopped) or ()

    def commit(self, entries: Sequence[Entry]) -> Sequence[bool]:
        """As the ledger does, as late as its database lets it. Raises GivenUpError: once, and from then on at once."""
        if self._has_given_up:
            raise GivenUpError("its database was out of reach for too long")
        return self._tried(lambda: self._ledger.commit(entries), lambda: False) or ()

    def _tried(self, act: Callable[[], T], is_vain: Callable[[], bool]) -> T | None:
        give_up, wait = self._clock() + PATIENCE.total_seconds(), FIRST_WAIT
        while True:
            try:
                return act()
            except StoreError as error:
                if is_vain():
                    return None
                if self._stopped():
                    self._give_up_at = min(self._give_up_at, self._clock() + LAST_PATIENCE.total_seconds())
                if self._clock() + wait > min(give_up, self._give_up_at):
                    self._has_given_up = True
                    raise GivenUpError(str(error)) from error
                if wait == FIRST_WAIT:
                    log.warning("%s; what is to be written is kept until then", error)
            self._sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)
