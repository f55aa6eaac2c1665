"""One shard of one edition, worked through: rank, enqueue, send, record. Knows no queue, and no adapter.

    begin      counts a try                                    a crash: the next worker counts one more
    rank       in a thread; only reads                         a crash: it is done again, to the same picks
    enqueue    one transaction                                 a crash: all of the shard's deliveries or none
    drain      each delivery by the ledger                     a crash: as `send/outbox.py` has it
    end        done, or when to look again                     a crash: somebody looks, and finds nothing left
    settle     with the last, the edition is finished          a crash: a scheduler does it within a minute

Two workers may have the same shard: one was thought dead, or a job came twice. Picks are the same for both, and a
delivery has one holder.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from digest.errors import DigestError, StoreError
from digest.logs import Event, tell
from digest.model import Edition, ListId, Shard, ShardState
from digest.send.outbox import DrainReport

log = logging.getLogger(__name__)

HELD_UP = timedelta(minutes=1)
"""When to look again, where a pause, the hours, a limit or the relay keeps the rest waiting."""
REST = timedelta(seconds=10)
"""How long a worker that could not send takes no other shard: it would put off what others may be able to send."""
AFTER_ERROR = timedelta(seconds=15)
"""When to try again after an error; longer with each."""


class ShardStore(Protocol):
    """The shards' state; calls block, each is committed when it returns."""

    def begin(self, shard: Shard, worker: str, now: datetime) -> ShardState: ...
    def ranked(self, shard: Shard, rows: Sequence[Mapping[str, object]], edition: Edition, now: datetime) -> None: ...
    def end(
        self, shard: Shard, now: datetime, not_before: datetime | None = None, trouble: str = ""
    ) -> datetime | None: ...
    def settle(self, edition: Edition, now: datetime) -> bool: ...
    def put_off(self, shard: Shard, trouble: str, now: datetime, again: timedelta) -> datetime: ...
    def trouble(self, list_id: ListId) -> str: ...
    def failed(self, shard: Shard, error: str, now: datetime, again: timedelta) -> datetime | None: ...


class EditionWork(Protocol):
    """One edition, with all that its shards share; made once for each worker."""

    edition: Edition

    def rank(self, shard: Shard) -> Sequence[Mapping[str, object]]:
        """The deliveries of its readers who have none. Takes seconds."""
        ...

    async def drain(self, shard: Shard, stop: asyncio.Event) -> DrainReport:
        """Sends what is due."""
        ...


async def run_shard(
    shards: ShardStore,
    load: Callable[[Shard], EditionWork],
    shard: Shard,
    worker: str,
    now: Callable[[], datetime],
    stop: asyncio.Event,
) -> datetime | None:
    """Works the shard through; when to look at it again, None if it is done or was set aside.

    What goes wrong with the shard itself is kept with it, and does not come out; only the store's own trouble does.
    """
    state = await asyncio.to_thread(shards.begin, shard, worker, now())
    if state in (ShardState.DONE, ShardState.ASIDE):
        return None
    try:
        work = await asyncio.to_thread(load, shard)
        if state is ShardState.WAITING:
            rows = await asyncio.to_thread(work.rank, shard)  # the loop stays free: it says that this worker lives
            await asyncio.to_thread(shards.ranked, shard, rows, work.edition, now())
        report = await work.drain(shard, stop)
    except StoreError:
        raise
    except DigestError as error:  # a template, a file of this host: for every shard alike, until somebody mends it
        told = await asyncio.to_thread(shards.trouble, shard.list_id)
        log.log(logging.DEBUG if told == str(error) else logging.WARNING, "%s waits: %s", shard, error)
        in_a_while = await asyncio.to_thread(shards.put_off, shard, str(error), now(), HELD_UP)
        await _rest(stop)
        return in_a_while
    except Exception as error:  # a shard that cannot be done must not keep the others waiting
        log.warning("%s failed: %s", shard, error, exc_info=log.isEnabledFor(logging.DEBUG))
        said = f"{type(error).__name__}: {error}"
        return await asyncio.to_thread(shards.failed, shard, said, now(), AFTER_ERROR)
    held_up = bool(report.paused or report.held) and not stop.is_set()
    not_before, trouble = (now() + HELD_UP, report.paused or "") if held_up else (None, "")
    again = await asyncio.to_thread(shards.end, shard, now(), not_before, trouble)
    if again is None and await asyncio.to_thread(shards.settle, work.edition, now()):
        tell(Event.EDITION_FINISHED, list=shard.list_id, edition=work.edition.number)
    if trouble:
        await _rest(stop)
    return again


async def _rest(stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), REST.total_seconds())
