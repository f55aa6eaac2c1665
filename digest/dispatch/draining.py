"""Drains a list's outbox: in this process, and for a large edition also in others beside it.

Called by `inline.py`. What one process drains is an `Outbox`; the steps are `send/drain.py`'s. Two processes on
one database are safe already, by leases with fencing tokens (`store/outbox.py`), so each process here claims, composes,
sends and records for itself.

What holds for all of them together:

- The relay's `connections` are shared out, so that there are never more. This process goes first: the others begin when
  the relay has accepted a message, so that a wrong password is tried once, and a relay that refuses everybody is not
  asked by all of them.
- A limit to the messages of a day is counted in the store, and each process looks for itself whether the list is paused
  or its hours are over. A `rate` is kept in memory, and so are the shares of several relays: such a list is drained in
  one process, as is a Maildir, which has one connection.
- A stop is passed on, and so is a pause for a reason that lasts (`DrainReport.lasting`). Trouble that may pass ends the
  process that has it; what it leaves others take, in the end this process alone.
- A process that cannot begin, say because the database lets no more in, is told of and done without. So is one that is
  ended from outside: what it had claimed is free again, or `unknown` where its message may have left, as soon as
  another claims (`store/outbox.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import signal
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import NamedTuple

from digest.dispatch import forwarding
from digest.dispatch.forwarding import Forwarded, Line, sendable
from digest.dispatch.journalling import Journals
from digest.dispatch.outbox import Compose, Outbox
from digest.dispatch.processes import deaf, usable
from digest.holding import Hold
from digest.making import Making
from digest.model import Address, DeliveryStatus
from digest.results import OnResult, Settled
from digest.send.outbox import DrainReport
from digest.settings import ListConfig
from digest.stopping import SIGNALS
from digest.store import (
    DeliveryLedger,
    Editions,
    Papers,
    Pauses,
    Secrets,
    Vectors,
    database_exists,
    open_database,
)

log = logging.getLogger(__name__)

MANY = 4_000
"""Deliveries that are due; for fewer, processes take longer to start than they save."""
TOLD_EVERY = 0.2
"""Seconds between two reports of a process on what became of its deliveries."""
READY, GO, STOP, BREAK_OFF = "ready", "go", "stop", "break off"


async def drain_all(
    outbox: Outbox, only: Collection[Address], ledger: DeliveryLedger, stop: asyncio.Event, on_result: OnResult | None
) -> DrainReport:
    """Sends what is due, in as many processes as pay. What the ledger of one raises comes out when all have ended.

    `ledger`: of those readers `only`, as each process makes its own.
    """
    compose = outbox.composing()
    if (count := _how_many(outbox.config, ledger)) == 1:
        return await outbox.drain(ledger, compose, stop, on_result)
    report, is_over = await _Abreast(outbox, only, ledger, compose, stop, on_result, count).run()
    if is_over:
        return report
    rest = await outbox.drain(ledger, compose, stop, on_result)
    return replace(_sum([report, rest]), paused=rest.paused)


def at_most(config: ListConfig) -> int:
    """In how many processes a large edition of the list is drained, on this host."""
    if len(config.relays) != 1:
        return 1
    (relay,) = config.relays
    return 1 if relay.rate or relay.per_domain else min(usable(), relay.connections)


def _how_many(config: ListConfig, ledger: DeliveryLedger) -> int:
    count = at_most(config)
    return count if count > 1 and database_exists(config.store_url) and ledger.has_due(MANY) else 1


def _sum(reports: Sequence[DrainReport]) -> DrainReport:
    counts: Counter[DeliveryStatus] = Counter()
    reports = sorted(reports, key=lambda report: not report.lasting)
    for report in reports:
        counts.update(report.counts)
    return DrainReport(
        dict(counts),
        next((report.paused for report in reports if report.paused), None),
        sum(report.lost for report in reports),
        next((report.held for report in reports if report.held), None),
        any(report.lasting for report in reports),
    )


class _Work(NamedTuple):
    """All that another process must be told."""

    config: ListConfig
    only: tuple[Address, ...]
    connections: int
    ahead: timedelta
    """How far this process's clock is before the system's; so is the other's, also where this one's stands still."""
    level: int
    """From which level on it logs."""


class _Abreast:
    """One drain in several processes, this one among them."""

    def __init__(
        self,
        outbox: Outbox,
        only: Collection[Address],
        ledger: DeliveryLedger,
        compose: Compose,
        stop: asyncio.Event,
        on_result: OnResult | None,
        count: int,
    ):
        self._outbox, self._ledger, self._compose = outbox, ledger, compose
        self._stop, self._on_result = stop, on_result
        self._halt = asyncio.Event()
        self._all_began = False
        each, rest = divmod(outbox.config.relays[0].connections, count)
        self._share, *shares = (each + (n < rest) for n in range(count))
        level = logging.getLogger("digest").getEffectiveLevel()
        ahead = outbox.now() - datetime.now(UTC)
        works = [_Work(outbox.config, tuple(only), share, ahead, level) for share in shares]
        self._others: list[_Other] = []
        try:
            for work in works:
                self._others.append(_Other(work, self._told))
        except OSError as error:  # those that have begun to start must end with the others
            log.warning("a process that was to send beside this one cannot be started: %s", error)

    async def run(self) -> tuple[DrainReport, bool]:
        """What all of them did, and whether nothing is left that could be done now."""
        passing_on = [asyncio.create_task(self._halt_on_stop()), asyncio.create_task(self._stop_others_on_halt())]
        try:
            ends = await asyncio.gather(self._here(), *map(self._beside, self._others), return_exceptions=True)
        finally:
            for each in passing_on:
                each.cancel()
            await asyncio.gather(*(other.break_off() for other in self._others))
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        reports = [end for end in ends if isinstance(end, DrainReport)]
        total = _sum(reports)
        is_done = len(reports) == len(ends) and not total.paused
        return total, bool(is_done or self._halt.is_set() or total.held or not self._all_began)

    async def _here(self) -> DrainReport:
        try:
            report = await self._outbox.drain(self._ledger, self._compose, self._halt, self._sent_here, self._share)
        except BaseException:
            self._halt.set()
            raise
        finally:
            for other in self._others:
                other.dismiss()
        self._judge(report)
        return report

    async def _beside(self, other: _Other) -> DrainReport | None:
        try:
            report = await other.end
        except Exception:
            self._halt.set()
            raise
        if report:
            self._judge(report)
        return report

    def _judge(self, report: DrainReport) -> None:
        if report.lasting:
            self._halt.set()

    def _sent_here(self, settled: Settled) -> None:
        if settled.status is DeliveryStatus.SENT and not self._all_began:
            self._all_began = True
            for other in self._others:
                other.begin()
        self._told([settled])

    def _told(self, some: Sequence[Settled]) -> None:
        if self._on_result is not None:
            for settled in some:
                self._on_result(settled)

    async def _halt_on_stop(self) -> None:
        await self._stop.wait()
        self._halt.set()

    async def _stop_others_on_halt(self) -> None:
        await self._halt.wait()
        for other in self._others:
            other.tell(STOP)


class _Other:
    """A process beside this one, as this one sees it."""

    def __init__(self, work: _Work, told: Callable[[Sequence[Settled]], None]):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_begin, args=(work, theirs))
        with deaf():
            self._process.start()
        theirs.close()
        self._told = told
        self._is_ready = self._may_begin = self._has_begun = self._is_dismissed = False
        self._loop = asyncio.get_running_loop()
        self.end: asyncio.Future[DrainReport | None] = self._loop.create_future()
        """What it did; what its ledger raised; None if it was ended from outside."""
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, order: str) -> None:
        """`STOP` or `BREAK_OFF`; `GO` only by `begin`."""
        with contextlib.suppress(OSError):  # it has ended
            self._pipe.send(order)

    def begin(self) -> None:
        """Lets it begin as soon as it is ready: its templates are read, nothing is claimed."""
        self._may_begin = True
        self._begin_when_ready()

    def _begin_when_ready(self) -> None:
        if self._is_ready and self._may_begin and not self._is_dismissed:
            self._has_begun = True
            self.tell(GO)

    def dismiss(self) -> None:
        """It is not needed any more, if it has not begun."""
        if not self._has_begun:
            self._is_dismissed = True
            self._process.kill()

    async def break_off(self) -> None:
        """Returns when the process has ended: by itself, or because it is told to leave what it does in doubt."""
        self.tell(BREAK_OFF)
        try:
            await asyncio.to_thread(self._process.join)
        except BaseException:
            self._process.kill()
            raise
        self._pipe.close()

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError, RuntimeError):  # RuntimeError: the loop is closed
            while True:
                self._loop.call_soon_threadsafe(self._hear, self._pipe.recv())
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._hear, None)

    def _hear(self, told: object) -> None:
        if isinstance(told, list):
            self._told(told)
        elif isinstance(told, Line):
            forwarding.log(told)
        elif told == READY:
            self._is_ready = True
            self._begin_when_ready()
        elif self.end.done():
            pass
        elif isinstance(told, DrainReport):
            self.end.set_result(told)
        elif not self._has_begun:
            if not self._is_dismissed:
                log.warning(
                    "a process that was to send beside this one cannot: %s", told or "it was ended from outside"
                )
            self.end.set_result(DrainReport({}))
        elif isinstance(told, Exception):
            self.end.set_exception(told)
        else:
            log.warning(
                "process %d, which sent beside this one, was ended from outside; each message that it had under way is "
                "in doubt, what else it had claimed is sent by the others",
                self._process.pid,
            )
            self.end.set_result(None)


def _begin(work: _Work, pipe: Connection) -> None:
    """Another process: it leaves signals to the one that started it, and is told by that one when to stop."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_Beside(work, pipe).run())


class _Beside:
    """A process beside the one that the command is, as it sees itself."""

    def __init__(self, work: _Work, pipe: Connection):
        self._work, self._pipe = work, pipe
        self._one_at_a_time = threading.Lock()
        self._settled: list[Settled] = []
        self._go, self._stop = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Does as it is told, and says what became of it."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def obey(order: str) -> None:
            if order == BREAK_OFF and task:
                task.cancel()
            if order == STOP:
                self._stop.set()
            self._go.set()

        def listen() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                with contextlib.suppress(EOFError, OSError):
                    while True:
                        loop.call_soon_threadsafe(obey, self._pipe.recv())
                loop.call_soon_threadsafe(obey, STOP)  # who started it is gone: it ends as tidily as after a signal

        threading.Thread(target=listen, daemon=True).start()
        logging.getLogger().addHandler(Forwarded(self._tell))
        logging.getLogger("digest").setLevel(self._work.level)
        telling = asyncio.create_task(self._tell_now_and_then())
        end: DrainReport | Exception
        try:
            end = await self._drain()
        except Exception as error:
            end = sendable(error)
        finally:
            telling.cancel()
            self._tell_settled()
        self._tell(end)

    async def _drain(self) -> DrainReport:
        config = self._work.config

        def now() -> datetime:
            return datetime.now(UTC) + self._work.ahead

        database = open_database(config.store_url)
        try:
            list_id, vectors, secrets = config.mailing_list.id, Vectors(database, now), Secrets(database, now)
            making = Making(config, now, Papers(database), Editions(database), vectors, secrets)
            hold = Hold(config.mailing_list, Pauses(database, list_id), now)
            outbox = Outbox(config, database, making, Journals(config.journal, list_id, database), hold, now)
            compose = outbox.composing()
            self._tell(READY)
            await self._go.wait()
            ledger = outbox.ledger(self._work.only)
            return await outbox.drain(ledger, compose, self._stop, self._settled.append, self._work.connections)
        finally:
            database.close()

    async def _tell_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(TOLD_EVERY)
            self._tell_settled()

    def _tell_settled(self) -> None:
        if self._settled:
            self._tell(self._settled.copy())
            self._settled.clear()

    def _tell(self, what: object) -> None:
        with contextlib.suppress(OSError), self._one_at_a_time:  # OSError: who started it is gone
            self._pipe.send(what)
