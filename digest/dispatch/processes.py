"""Ranks an edition in several processes: each runs shards of recipients, this one writes what they found, in order.

Called by `inline.py` for lists that are large enough (`worth_starting`). Each process is new (spawned), opens the
store for itself and only reads; the transactions are the same as those of `edition.enqueue_all`, one a shard and in the
order of shards, so that a crash leaves the same behind, and the deliveries are the same however many processes there
are. At most one shard a process waits to be written. What all shards share, a `ShardRunner`, is made here while the
processes start, and handed to them.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Lock
from typing import NamedTuple

from digest.dispatch import forwarding
from digest.dispatch.forwarding import Forwarded, Line
from digest.dispatch.packing import packed, unpacked
from digest.edition import ShardRunner, hours_of, named_by_recipients, nothing_for
from digest.errors import SendError
from digest.garbage import left_alone
from digest.meaning import CachedEmbed
from digest.model import Edition, MailingList, Paper, PaperId, SubscriberId
from digest.rank.embedding import Embed, Embedder
from digest.roundup import coarser
from digest.stopping import SIGNALS, BrokenOff, breakable
from digest.store import Editions, Papers, Vectors, open_database
from digest.store.rows import rows_of

LEAST = 5_000
"""Readers for each process: it takes a second of a processor to start, in which some thousands are ranked."""
MOST = 8
"""Processes; each holds the papers that the ranking compares with."""

LOOK_EVERY = 0.2
"""Seconds; how often it is looked, while processes rank, whether somebody asked to stop."""


class Ranked(NamedTuple):
    """What a process makes of a shard, and what it had to log meanwhile."""

    rows: Sequence[Mapping[str, object]]
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Work:
    """All that a process must be told of an edition; the rest it reads in the store."""

    store_url: str
    mailing_list: MailingList
    edition: Edition
    semantic: bool
    now: datetime
    at_once: bool
    runner: Connection
    """Brings the `ShardRunner`, once for each process."""
    one_at_a_time: Lock


def usable() -> int:
    """How many processes can compute at once."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, MOST)


@contextmanager
def deaf() -> Iterator[None]:
    """Processes that are started meanwhile hear of no signal to stop: by Ctrl-C it comes to all, and it ends one that
    has not come so far as to ignore it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # starting it unblocks them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def worth_starting(readers: int) -> int:
    """In how many processes so many readers are best ranked; with one, or none, in this process."""
    return min(usable(), readers // LEAST)


async def enqueue_all(
    store_url: str,
    mailing_list: MailingList,
    edition: Edition,
    papers: Papers,
    editions: Editions,
    library: Mapping[PaperId, Paper],
    embed: Embed | None,
    now: datetime,
    stopped: Callable[[], bool],
    processes: int,
    *,
    at_once: bool,
) -> None:
    """`edition.enqueue_all` in so many processes, which a stop ends. Raises SendError if something else ends one."""
    shards = editions.shards(edition, coarser(mailing_list.frequency))
    size = max(1, min(processes, len(shards)))
    waiting = iter(shards)
    found: deque[Future[Ranked]] = deque()
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    work = Work(store_url, mailing_list, edition, embed is not None, now, at_once, theirs, context.Lock())
    pool = ProcessPoolExecutor(size, context, initializer=_begin, initargs=(work,))

    def submit(count: int) -> None:
        with deaf():  # it starts a process where none is idle
            found.extend(pool.submit(_run, *shard) for shard in islice(waiting, count))

    others = set(multiprocessing.active_children())
    started: set[BaseProcess] = set()
    try:
        with deaf():
            for _ in range(size):
                pool.submit(_started)
        started = set(multiprocessing.active_children()) - others  # before another list starts its own
        with breakable(stopped):
            made = _for_all(mailing_list, edition, papers, editions, library, embed)
        threading.Thread(target=_hand_out, args=(made, ours, size), daemon=True).start()
        del made  # the thread lets go of it
        submit(size + 1)
        while found:
            ranked = await _unless_stopped(found[0], stopped)
            for line in ranked.lines:
                forwarding.log(line)
            editions.enqueue_rows(edition, ranked.rows)
            found.popleft()
            submit(1)
        editions.close_recipients(edition, now)
    except BrokenOff:
        for process in started:  # they only read
            process.kill()
    except BrokenProcessPool as error:
        # They ignore the signal by which the pool ends them, and may wait for a lock that the ended one had.
        for process in started:
            process.kill()
        raise SendError(
            f"{mailing_list.id}: a process that ranked has been ended, for want of memory perhaps; what it did not "
            "queue is left: run the same command again to go on"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        theirs.close()


async def _unless_stopped(ranking: Future[Ranked], stopped: Callable[[], bool]) -> Ranked:
    """What a process makes of a shard. Raises BrokenOff once somebody asked to stop."""
    ranked = asyncio.wrap_future(ranking)
    while not stopped():
        if (await asyncio.wait({ranked}, timeout=LOOK_EVERY))[0]:
            return ranked.result()
    ranked.cancel()
    raise BrokenOff


def _for_all(
    mailing_list: MailingList,
    edition: Edition,
    papers: Papers,
    editions: Editions,
    library: Mapping[PaperId, Paper],
    embed: Embed | None,
) -> bytes:
    """The edition's `ShardRunner`, which is kept no longer than it takes to pack it."""
    named = named_by_recipients(mailing_list, editions, edition)
    runner = ShardRunner(mailing_list, edition, papers, editions, library, named, embed)
    runner.prime()
    return packed(runner, {"editions": editions, "embed": embed})


def _hand_out(made: bytes, pipe: Connection, count: int) -> None:
    with suppress(OSError), pipe:  # OSError: the processes have ended
        for _ in range(count):
            pipe.send_bytes(made)


_work: Work
_lines: list[Line] = []
"""What this process has to log, until the shard at hand is done."""


def _begin(work: Work) -> None:
    """Makes a new process one of the pool's: it leaves signals to whoever started it, and ends with it."""
    global _work  # noqa: PLW0603 - a pool's task has no other way to what it is part of
    _work = work
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    logging.getLogger().addHandler(Forwarded(_lines.append))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _started() -> None:
    """A task that does nothing: to have one starts a process."""


def _end_with_parent() -> None:
    """A pool's processes wait for ever for work from one that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@cache
def _made() -> tuple[Editions, ShardRunner]:
    """Made by the first task, whose errors are told, and not by `_begin`."""
    database = open_database(_work.store_url)
    editions = Editions(database)
    embed = CachedEmbed(Embedder().embed, Vectors(database, lambda: _work.now)) if _work.semantic else None
    runner: ShardRunner = unpacked(_received(), {"editions": editions, "embed": embed})
    gc.freeze()  # what an edition holds is no garbage: to look at it again and again took a tenth of the time
    return editions, runner


def _received() -> bytes:
    with _work.one_at_a_time:
        return _work.runner.recv_bytes()


def _run(first: SubscriberId, last: SubscriberId) -> Ranked:
    editions, runner = _made()
    mailing_list, edition, now = _work.mailing_list, _work.edition, _work.now
    shard = editions.shard(edition, coarser(mailing_list.frequency), first, last)
    hours = {} if _work.at_once else hours_of(mailing_list, edition, shard, now)
    with left_alone():
        rows = rows_of(edition, runner.run(shard), now, nothing_for(mailing_list), hours)
    lines, _lines[:] = tuple(_lines), ()
    return Ranked(rows, lines)
