"""`digest run`: cron to edition, by APScheduler.

Every list has one cron job in its own time zone; runs that fall together count once (`coalesce`), and no run is too
late to be made (`misfire_grace_time=None`). A run that was missed while the program was down is made at the start: the
edition covers everything since the last one's cutoff. Between runs, deferred deliveries are tried when they are due.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from digest.app import App
from digest.console import Terminal, complain, counts_line
from digest.errors import DigestError
from digest.model import MailingList
from digest.settings import ListConfig
from digest.stopping import stop_on_signals

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

log = logging.getLogger("digest.scheduler")

RETRY_EVERY = timedelta(minutes=1)
"""How often deferred deliveries are looked at; each has its own time at which it is due."""
LONGEST_GAP = timedelta(days=366)
"""No schedule is looked back over further than this."""
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


def trigger(mailing_list: MailingList) -> CronTrigger:
    """The list's schedule. APScheduler counts weekdays from Monday = 0, cron from Sunday = 0: numbers become names."""
    from apscheduler.triggers.cron import CronTrigger

    minute, hour, day, month, weekday = mailing_list.schedule.split()
    return CronTrigger(
        minute=minute,
        hour=hour,
        day=day,
        month=month,
        day_of_week=named_weekdays(weekday),
        timezone=ZoneInfo(mailing_list.timezone),
    )


def named_weekdays(field: str) -> str:
    """Cron's day-of-week field with names, ranges and steps unrolled: `1-5` becomes `mon,tue,wed,thu,fri`."""
    if field == "*":
        return field
    days: list[str] = []
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            first, last = "0", "6"
        start = _weekday(first)
        end = _weekday(last) if last else (6 if step else start)
        if end < start:
            end += 7
        days += [WEEKDAYS[n % 7] for n in range(start, end + 1, int(step or 1))]
    return ",".join(dict.fromkeys(days))


def _weekday(word: str) -> int:
    return int(word) if word.isdigit() else WEEKDAYS.index(word[:3])


def next_run(mailing_list: MailingList, now: datetime) -> str | None:
    """When the schedule next fires, in the list's own time, for a person."""
    fires = trigger(mailing_list).get_next_fire_time(None, now)
    return f"{fires:%A %Y-%m-%d %H:%M %Z}" if fires else None


def missed_run(mailing_list: MailingList, last_due: datetime | None, now: datetime) -> datetime | None:
    """The newest time at which the schedule fired after `last_due` and up to now; None for a list without a past."""
    if last_due is None:
        return None
    cron = trigger(mailing_list)
    newest = None
    fires = cron.get_next_fire_time(None, max(last_due + timedelta(microseconds=1), now - LONGEST_GAP))
    while fires and fires <= now:
        newest = fires
        fires = cron.get_next_fire_time(fires, fires + timedelta(microseconds=1))
    return newest


class ListRunner:
    """Sends one list's editions; never two at a time."""

    def __init__(self, config: ListConfig, now: Callable[[], datetime], stop: asyncio.Event, terminal: Terminal):
        self._config = config
        self._now = now
        self._stop = stop
        self._terminal = terminal
        self._busy = asyncio.Lock()

    async def send(self) -> None:
        """Makes and sends the day's edition. A failure is told and does not end the program."""
        await self._work("send", self._send)

    async def retry(self) -> None:
        """Sends what is due of editions that are made already."""
        await self._work("retry", self._retry)

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
                with App(self._config, self._now) as app:
                    await work(app)
            except DigestError as error:
                complain(f"{self._config.mailing_list.id}: {what}: {error}")
            except Exception:  # one list's trouble must not end the others'
                log.exception("%s: %s failed", self._config.mailing_list.id, what)

    async def _send(self, app: App) -> None:
        sent = await app.send(stop=self._stop)
        for overview in sent.overviews:
            self._say(app, f"edition {overview.edition.number} of {overview.edition.due_on}: {counts_line(overview)}")
        if sent.nothing_because:
            self._say(app, f"nothing to send: {sent.nothing_because}")
        for summary in sent.pulled.summaries if sent.pulled else ():
            if summary.error:
                complain(f"{app.list.id}: source {summary.source} failed: {summary.error}")
        if sent.drained and sent.drained.paused:
            complain(f"{app.list.id}: paused: {sent.drained.paused}")

    async def _retry(self, app: App) -> None:
        if app.editions.unfinished(app.list.id):
            drained = await app.drain(stop=self._stop)
            if any(drained.counts.values()):
                told = ", ".join(f"{count} {status}" for status, count in drained.counts.items() if count)
                self._say(app, f"retried: {told}")

    async def _catch_up(self, app: App) -> None:
        latest = app.editions.latest(app.list.id)
        missed = missed_run(app.list, latest.cutoff if latest else None, self._now())
        zone = ZoneInfo(app.list.timezone)
        if missed and latest and missed.astimezone(zone).date() > latest.due_on:
            self._say(app, f"the run of {missed:%Y-%m-%d %H:%M %Z} was missed: catching up")
            await self._send(app)
        else:
            await self._retry(app)

    def _say(self, app: App, text: str) -> None:
        self._terminal.say(f"{self._now():%Y-%m-%d %H:%M:%S} UTC  {app.list.id}: {text}")


async def run_until_stopped(configs: Sequence[ListConfig], now: Callable[[], datetime]) -> None:
    """Schedules every list and returns after a signal, when the conversations that were open have ended."""
    from apscheduler.schedulers.asyncio import AsyncIOScheduler
    from apscheduler.triggers.interval import IntervalTrigger

    stop = asyncio.Event()
    terminal = Terminal()
    scheduler = AsyncIOScheduler(job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1})
    runners = [ListRunner(config, now, stop, terminal) for config in configs]
    with stop_on_signals(stop, complain):
        for config, runner in zip(configs, runners, strict=True):
            scheduler.add_job(runner.send, trigger(config.mailing_list), id=f"send {config.mailing_list.id}")
            scheduler.add_job(runner.retry, IntervalTrigger(seconds=int(RETRY_EVERY.total_seconds())))
            terminal.say(
                f"{config.mailing_list.name} ({config.mailing_list.id}): next run "
                f"{next_run(config.mailing_list, now()) or 'never'}"
            )
        scheduler.start()
        catching_up = [asyncio.create_task(runner.catch_up()) for runner in runners]
        await stop.wait()
        scheduler.pause()
        await asyncio.gather(*catching_up)
        for runner in runners:
            await runner.finished()
        scheduler.shutdown(wait=False)
    terminal.say("stopped")
