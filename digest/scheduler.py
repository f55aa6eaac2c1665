"""`digest run`: a list's schedule to its editions, by APScheduler.

Every list has one job on its schedule; runs that fall together count once (`coalesce`), and no run is too late to be
made (`misfire_grace_time=None`). A run is owed from the moment it is due until its edition is made: one that was missed
while the program was down is made at the start, one whose sources all failed is tried again, later and later. Between
runs, deferred deliveries are tried when they are due; a relay that refuses everybody is left alone for a while. A list
that is paused pulls when a run is due, and makes the edition when it is resumed; one whose hours are over, or whose
relays are full for the day, goes on by itself. Beside all that, mailboxes are read when they tell of new mail and every
few minutes, and letters to single people are sent; trouble there is told, and stops nothing. The config is read again
for every piece of work.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from digest.app import App
from digest.console import Terminal, complain, complain_of_sources, counts_line, explained
from digest.errors import ConfigError, DigestError
from digest.handled import Handled
from digest.mailroom import Mailroom, shared
from digest.model import Inbox, MailingList
from digest.receiving import summary
from digest.schedule import read_schedule
from digest.send.outbox import DrainReport, next_attempt
from digest.settings import ListConfig, load
from digest.stopping import stop_on_signals
from digest.subscribe.watch import Watch

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

log = logging.getLogger("digest.scheduler")

TEND_EVERY = timedelta(minutes=1)
"""How often it is looked whether anything is owed or deferred; each has its own time at which it is due."""

READ_EVERY = timedelta(minutes=5)
"""How often a mailbox is read that does not say when there is new mail."""


def trigger(mailing_list: MailingList) -> BaseTrigger:
    """The list's schedule for APScheduler, whose own cron counts weekdays otherwise and loses runs at clock changes."""
    from apscheduler.triggers.base import BaseTrigger

    schedule = read_schedule(mailing_list.schedule, mailing_list.timezone)

    class ScheduleTrigger(BaseTrigger):  # type: ignore[misc]
        def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
            return schedule.after(previous or now)

    return ScheduleTrigger()


def next_run(mailing_list: MailingList, now: datetime) -> str | None:
    """When the schedule next fires, in the list's own time, for a person."""
    fires = read_schedule(mailing_list.schedule, mailing_list.timezone).after(now)
    return f"{fires:%A %Y-%m-%d %H:%M %Z}" if fires else None


def missed_run(mailing_list: MailingList, last_cutoff: datetime | None, now: datetime) -> date | None:
    """The day of the newest run after `last_cutoff` and up to now; None for a list without a past."""
    run = read_schedule(mailing_list.schedule, mailing_list.timezone).until(now)
    return run.date() if run and last_cutoff and run > last_cutoff else None


class ListRunner:
    """Sends one list's editions; never two at a time."""

    def __init__(self, config: ListConfig, now: Callable[[], datetime], stop: asyncio.Event, terminal: Terminal):
        self._config = config
        self._now = now
        self._stop = stop
        self._terminal = terminal
        self._busy = asyncio.Lock()
        self._owed: date | None = None
        self._failures = 0
        self._quiet_until = now()
        self._kept_for: date | None = None
        self._waits = ""

    async def send(self) -> None:
        """Makes and sends the edition of the run that is due. A failure is told and does not end the program."""
        mailing_list = self._config.mailing_list
        run = read_schedule(mailing_list.schedule, mailing_list.timezone).until(self._now())
        self._owed = run.date() if run else None
        self._succeeded()
        await self._work("send", self._tend)

    async def tend(self) -> None:
        """Makes an edition that is owed, and sends what is due of those that are made."""
        if not self._busy.locked() and self._now() >= self._quiet_until:
            await self._work("retry", self._tend)

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
                with App(self._config, self._now) as app:
                    await work(app)
            except DigestError as error:
                self._failed(f"{what}: {explained(error)}")
            except Exception:  # one list's trouble must not end the others'
                log.exception("%s: %s failed", self._config.mailing_list.id, what)
                self._failed(f"{what} failed")

    async def _tend(self, app: App) -> None:
        if paused := app.hold.pause():
            await self._keep(app)
            self._tell_waiting(app, paused)
        elif self._owed:
            sent = await app.send(due_on=self._owed, stop=self._stop)
            self._owed = self._owed if sent.stopped else None
            for overview in sent.overviews:
                edition = overview.edition
                self._say(app, f"edition {edition.number} of {edition.due_on}: {counts_line(overview)}")
            if sent.nothing_because:
                self._say(app, f"nothing to send: {sent.nothing_because}")
            complain_of_sources(app.list.id, sent.pulled.summaries if sent.pulled else ())
            self._judge(app, sent.drained)
        elif app.editions.unfinished(app.list.id):
            drained = await app.resume(stop=self._stop)
            if drained.counts:
                told = ", ".join(f"{count} {status}" for status, count in drained.counts.items())
                self._say(app, f"tried again: {told}")
            self._judge(app, drained)

    async def _keep(self, app: App) -> None:
        """Pulls for a run that is owed while the list is paused: what sources show today may be gone tomorrow."""
        if self._owed and self._owed != self._kept_for:
            pulled = await app.pull()
            self._kept_for = self._owed
            complain_of_sources(app.list.id, pulled.summaries)

    async def _catch_up(self, app: App) -> None:
        latest = app.editions.latest(app.list.id)
        missed = missed_run(app.list, latest.cutoff if latest else None, self._now())
        if missed and latest and missed > latest.due_on:
            self._say(app, f"the run of {missed} was missed: catching up")
            self._owed = missed
        await self._tend(app)

    def _judge(self, app: App, drained: DrainReport | None) -> None:
        self._tell_waiting(app, (drained and drained.held) or "")
        if drained and drained.paused:
            self._failed(f"paused: {drained.paused}")
        else:
            self._succeeded()

    def _failed(self, told: str) -> None:
        self._failures += 1
        self._quiet_until = next_attempt(self._failures, self._now(), None) or self._now()
        complain(f"{self._config.mailing_list.id}: {told}; next try at {self._quiet_until:%Y-%m-%d %H:%M} UTC")

    def _succeeded(self) -> None:
        self._failures = 0
        self._quiet_until = self._now()

    def _tell_waiting(self, app: App, why: str) -> None:
        """Tells once what keeps the list from sending."""
        if why and why != self._waits:
            self._say(app, f"waits: {why}")
        self._waits = why

    def _say(self, app: App, text: str) -> None:
        self._terminal.say(f"{self._now():%Y-%m-%d %H:%M:%S} UTC  {app.list.id}: {text}")


class MailboxRunner:
    """Reads the lists' mailboxes and sends their letters; neither twice at a time."""

    def __init__(
        self, configs: Sequence[ListConfig], now: Callable[[], datetime], stop: asyncio.Event, terminal: Terminal
    ):
        self._configs = configs
        self._now = now
        self._stop = stop
        self._terminal = terminal
        self._busy = asyncio.Lock()
        self._posting = asyncio.Lock()
        self._troubles: dict[str, str] = {}
        self._watches: dict[Inbox, Watch] = {}

    async def listen(self) -> None:
        """Reads when there is news of a mailbox, until stopped."""
        news, loop = asyncio.Event(), asyncio.get_running_loop()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(news.set)

        stopped = asyncio.create_task(self._stop.wait())
        while not self._stop.is_set():
            self._watch(tell)
            told = asyncio.create_task(news.wait())
            await asyncio.wait((told, stopped), return_when=asyncio.FIRST_COMPLETED, timeout=READ_EVERY.total_seconds())
            told.cancel()
            if news.is_set():
                news.clear()
                await self.read()
        for watch in self._watches.values():
            watch.close()

    def _watch(self, tell: Callable[[], None]) -> None:
        """Watches the mailboxes that the config names now, and no others."""
        named = {config.inbox for config in self._configs if config.inbox}
        for inbox in self._watches.keys() - named:
            self._watches.pop(inbox).close()
        for inbox in named - self._watches.keys():
            self._watches[inbox] = Watch(inbox, tell)

    async def post(self) -> None:
        """Sends the letters that are due, whatever else a list is doing."""
        async with self._posting:
            for config in self._configs:
                if not self._stop.is_set():
                    await self._post_of(config)

    async def _post_of(self, config: ListConfig) -> None:
        list_id, trouble = config.mailing_list.id, ""
        try:
            with App(config, self._now) as app:
                posted = await app.post()
            trouble = posted.trouble or ""
            if posted.counts:
                told = ", ".join(f"{count} {status}" for status, count in posted.counts.items())
                self._terminal.say(f"{self._now():%Y-%m-%d %H:%M:%S} UTC  {list_id}: letters: {told}")
        except DigestError as error:
            trouble = explained(error)
        except Exception as error:  # one list's trouble must not end the others'
            log.exception("%s: letters failed", list_id)
            trouble = repr(error)
        self._complain_once(f"{list_id}: letters", trouble)

    def _complain_once(self, what: str, trouble: str) -> None:
        if trouble and trouble != self._troubles.get(what):
            complain(f"{what}: {trouble}; it is tried again every few minutes")
        self._troubles[what] = trouble

    async def read(self) -> None:
        """Reads what is new, each mailbox in a thread. Trouble is told once, as long as it stays the same."""
        async with self._busy:
            try:
                self._configs = [read_again(config) for config in self._configs]
            except Exception:  # a config that cannot even be reported on must not end anything
                log.exception("the config could not be read again")
            await asyncio.gather(*(self._read_one(group) for group in shared(self._configs)))
        await self.post()

    async def finished(self) -> None:
        """Returns when no mailbox is being read and no letter sent."""
        async with self._busy, self._posting:
            pass

    async def _read_one(self, configs: Sequence[ListConfig]) -> None:
        lists = ", ".join(config.mailing_list.id for config in configs)
        trouble = ""
        handled: list[Handled] = []
        try:
            await asyncio.to_thread(self._handle, configs, handled)
        except DigestError as error:
            trouble = explained(error)
        except Exception as error:  # a mailbox's trouble must not end anything
            log.exception("%s: mailbox failed", lists)
            trouble = repr(error)
        if handled:  # also where trouble came half-way: what was read before it counts
            self._terminal.say(f"{self._now():%Y-%m-%d %H:%M:%S} UTC  {lists}: mailbox: {summary(handled)}")
        self._complain_once(f"{lists}: mailbox", trouble)

    def _handle(self, configs: Sequence[ListConfig], handled: list[Handled]) -> None:
        if not self._stop.is_set():
            with Mailroom(configs, self._now) as mailroom:
                handled.extend(mailroom.read(self._stop.is_set))


def read_again(config: ListConfig) -> ListConfig:
    """The list as its file has it now; as it was while the file is broken, which is told."""
    try:
        return load([config.path]).lists[0]
    except ConfigError as error:
        complain(f"{error}; the config as it was goes on")
        return config


async def run_until_stopped(
    configs: Sequence[ListConfig],
    now: Callable[[], datetime],
    beside: Callable[[asyncio.Event], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Schedules every list and returns after a signal, when the conversations that were open have ended.

    `beside` is what else runs, until the event that it is given is set: the pages.
    """
    from apscheduler.schedulers.asyncio import AsyncIOScheduler
    from apscheduler.triggers.interval import IntervalTrigger

    stop = asyncio.Event()
    terminal = Terminal()
    scheduler = AsyncIOScheduler(job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1})
    runners = [ListRunner(config, now, stop, terminal) for config in configs]
    mailboxes = MailboxRunner(configs, now, stop, terminal)
    with stop_on_signals(stop, complain):
        for config, runner in zip(configs, runners, strict=True):
            scheduler.add_job(runner.send, trigger(config.mailing_list), id=f"send {config.mailing_list.id}")
            scheduler.add_job(runner.tend, IntervalTrigger(seconds=int(TEND_EVERY.total_seconds())))
            terminal.say(
                f"{config.mailing_list.name} ({config.mailing_list.id}): next run "
                f"{next_run(config.mailing_list, now()) or 'never'}"
            )
        scheduler.add_job(mailboxes.read, IntervalTrigger(seconds=int(READ_EVERY.total_seconds())))
        scheduler.add_job(mailboxes.post, IntervalTrigger(seconds=int(TEND_EVERY.total_seconds())))
        scheduler.start()
        catching_up = [asyncio.create_task(runner.catch_up()) for runner in runners]
        catching_up += [asyncio.create_task(mailboxes.read()), asyncio.create_task(mailboxes.listen())]
        if beside:
            catching_up.append(asyncio.create_task(beside(stop)))
        await stop.wait()
        scheduler.pause()
        await asyncio.gather(*catching_up)
        for runner in runners:
            await runner.finished()
        await mailboxes.finished()
        scheduler.shutdown(wait=False)
    terminal.say("stopped")
