"""`digest run`: one list's editions, from the run that makes each to the last delivery that waits for its hour.

A run is owed from the moment it is due until its edition is made: what is owed is read from the store and the clock
each time, so it does not matter whether the program was down, the machine asleep, or another process was quicker. A run
whose sources all failed is tried again, later and later; one that is too late waits for approval; one of a list that is
paused pulls, and makes its edition when the list is resumed. Between runs, deliveries leave when they are due; a relay
that refuses everybody is left alone for a while. The config is read again for every piece of work. Called by
`scheduler.py`; what is due when is `timing.py`'s to say.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from digest.app import App
from digest.console import Terminal, complain, complain_of_sources, counts_line, edition_name, explained, hours_line
from digest.dispatch.among_workers import open_queue
from digest.errors import ConfigError, DigestError
from digest.logs import Event, tell
from digest.send.outbox import DrainReport, next_attempt
from digest.settings import ListConfig, load
from digest.timing import Due, due, is_overdue, overdue_line

log = logging.getLogger("digest.scheduler")

MOMENT = timedelta(microseconds=1)


def owed(app: App, now: datetime, *, fired: bool = False) -> Due | None:
    """The run whose edition is to be made. `fired`: the schedule says that there is one, also for a new list."""
    after = app.runs.done_until()
    latest = app.editions.latest(app.list.id)
    if after is None and latest:  # its runs have been kept since a later version
        after = latest.cutoff
    if fired and (after is None or after > now):  # whatever a wrong clock has left behind
        after = now - timedelta(days=1)
    run = due(app.list, after, now)
    return run if run and app.editions.on(app.list.id, run.day) is None else None


class ListRunner:
    """Sends one list's editions; never two at a time."""

    def __init__(self, config: ListConfig, now: Callable[[], datetime], stop: asyncio.Event, terminal: Terminal):
        self._config = config
        self._now = now
        self._stop = stop
        self._terminal = terminal
        self._busy = asyncio.Lock()
        self._failures = 0
        self._quiet: tuple[datetime, datetime] | None = None
        self._kept_for: datetime | None = None
        self._waits = ""
        self._asked_for: datetime | None = None
        self._open: tuple[datetime, int] | None = None
        self._look_at = now()

    async def send(self) -> None:
        """Makes and sends the edition of the run that is due. A failure is told and does not end the program."""
        self._succeeded()
        await self._work("send", self._fired)

    async def tend(self) -> None:
        """Makes an edition that is owed, and sends what is due of those that are made."""
        if not self._busy.locked() and not self._is_quiet():
            await self._work("retry", self._tend)

    def _is_quiet(self) -> bool:
        """Whether it is too early to try again after a failure; not before it, where the clock was put back."""
        return self._quiet is not None and self._quiet[0] <= self._now() < self._quiet[1]

    async def catch_up(self) -> None:
        """Makes the run that was missed while the program was down, if there was one."""
        await self._work("catch up", self._catch_up)

    async def finished(self) -> None:
        """Returns when nothing of this list is under way."""
        async with self._busy:
            pass

    async def _work(self, what: str, work: Callable[[App], Awaitable[None]]) -> None:
        async with self._busy:
            if self._stop.is_set():
                return
            try:
                self._config = read_again(self._config)
                with App(self._config, self._now, queue=open_queue(self._config.store_url)) as app:
                    await work(app)
            except DigestError as error:
                self._failed(f"{what}: {explained(error)}")
            except Exception:  # one list's trouble must not end the others'
                log.exception("%s: %s failed", self._config.mailing_list.id, what)
                self._failed(f"{what} failed")

    async def _fired(self, app: App) -> None:
        run = owed(app, self._now(), fired=True)
        if run and owed(app, self._now()) is None:
            app.runs.settle(run.run - MOMENT)  # should it fail, it is owed
        await self._advance(app, run)

    async def _tend(self, app: App) -> None:
        await self._advance(app, owed(app, self._now()))

    async def _catch_up(self, app: App) -> None:
        if app.runs.done_until() is None and app.editions.latest(app.list.id) is None:
            app.runs.settle(self._now())  # from now on, its runs are owed
        run = owed(app, self._now())
        if run and not is_overdue(app.list, run, self._now()):
            self._say(app, f"the run of {run.day} was missed: catching up")
        await self._advance(app, run)

    async def _advance(self, app: App, run: Due | None) -> None:
        if paused := app.hold.pause():
            await self._keep(app, run)
            self._tell_waiting(app, paused)
            return
        if run and is_overdue(app.list, run, self._now()):
            await self._keep(app, run)
            if run.run != self._asked_for:
                complain(f"{app.list.id}: {overdue_line(app.list, run, self._now())}")
            self._asked_for = run.run
            run = None
        if run and self._is_time_to_look(run):
            await self._make(app, run)
        elif app.editions.unfinished(app.list.id):
            drained = await app.resume(stop=self._stop)
            if drained.counts:
                told = ", ".join(f"{count} {status}" for status, count in drained.counts.items())
                self._say(app, f"sent: {told}")
            self._judge(app, drained)

    async def _make(self, app: App, run: Due) -> None:
        """Makes the run's edition, or leaves it open: then it is pulled again, after growing pauses where it failed."""
        looks = (self._open[1] if self._open and self._open[0] == run.run else 0) + 1
        retry_at = next_attempt(looks, self._now(), None)
        sent = await app.send(due=run, retry_at=retry_at, stop=self._stop)
        self._open = (run.run, looks) if sent.look_again_at else None
        self._look_at = sent.look_again_at or self._now()
        for overview in sent.overviews:
            edition = overview.edition
            waiting = hours_line(overview, self._now())
            told = f"{counts_line(overview)}{f'; {waiting}' if waiting else ''}"
            self._say(app, f"{edition_name(edition)} of {edition.due_on}: {told}")
        if sent.look_again_at:
            missing = ", ".join(s.source for s in (sent.pulled.summaries if sent.pulled else ()) if s.is_incomplete)
            again = f"{sent.look_again_at.astimezone(run.run.tzinfo):%H:%M}"
            self._say(app, f"waits until {run.closes_at:%H:%M %Z} at the latest for {missing}; looks again at {again}")
        elif sent.nothing_because:
            self._say(app, f"nothing to send: {sent.nothing_because}")
        complain_of_sources(app.list.id, sent.pulled.summaries if sent.pulled else ())
        self._judge(app, sent.drained)

    def _is_time_to_look(self, run: Due) -> bool:
        return self._open is None or self._open[0] != run.run or self._now() >= self._look_at

    async def _keep(self, app: App, run: Due | None) -> None:
        """Pulls for a run that is owed and not made: what sources show today may be gone tomorrow."""
        if run and run.run != self._kept_for:
            pulled = await app.pull()
            self._kept_for = run.run
            complain_of_sources(app.list.id, pulled.summaries)

    def _judge(self, app: App, drained: DrainReport | None) -> None:
        self._tell_waiting(app, (drained and drained.held) or "")
        if drained and drained.paused:
            self._failed(f"paused: {drained.paused}")
        else:
            self._succeeded()

    def _failed(self, told: str) -> None:
        tell(Event.SENDING_FAILED, level=logging.ERROR, list=self._config.mailing_list.id, why=told)
        self._failures += 1
        now = self._now()
        again = next_attempt(self._failures, now, None) or now
        self._quiet = now, again
        complain(f"{self._config.mailing_list.id}: {told}; next try at {again:%Y-%m-%d %H:%M} UTC")

    def _succeeded(self) -> None:
        if self._failures:
            tell(Event.SENDING_RECOVERED, list=self._config.mailing_list.id)
        self._failures = 0
        self._quiet = None

    def _tell_waiting(self, app: App, why: str) -> None:
        """Tells once what keeps the list from sending."""
        if why and why != self._waits:
            self._say(app, f"waits: {why}")
        self._waits = why

    def _say(self, app: App, text: str) -> None:
        self._terminal.say(f"{self._now():%Y-%m-%d %H:%M:%S} UTC  {app.list.id}: {text}")


def read_again(config: ListConfig) -> ListConfig:
    """The list as its file has it now; as it was while the file is broken, or another list's, which is told."""
    list_id = config.mailing_list.id
    try:
        again = load([config.path]).lists[0]
    except ConfigError as error:
        return _as_it_was(config, str(error))
    if again.mailing_list.id != list_id:
        broken = f"`id` is {again.mailing_list.id} now, which is another list: write {list_id} again"
        return _as_it_was(config, f"{config.path}: {broken}, or start digest anew if that is meant")
    tell(Event.CONFIG_READ, level=logging.DEBUG, list=list_id)
    return again


def _as_it_was(config: ListConfig, broken: str) -> ListConfig:
    tell(Event.CONFIG_BROKEN, level=logging.ERROR, list=config.mailing_list.id, why=broken)
    complain(f"{broken}; the config as it was goes on")
    return config
