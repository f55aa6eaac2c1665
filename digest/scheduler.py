"""`digest run`: the clock behind every list's editions and mailbox, by APScheduler.

Every list has one job on its schedule, for punctuality; runs that fall together count once (`coalesce`), and no run is
too late to be made (`misfire_grace_time=None`). Beside it, it is looked every minute, by the clock on the wall, whether
anything is owed or due: so a machine that slept over a run makes it within a minute of waking, and readers get theirs
within a minute of their hour. The minutes are counted by a clock that nobody sets: APScheduler would wait for an hour
where the one on the wall was put back by that. `tending.py` does a list's work, `postbox.py` the mailboxes'.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from digest.commands.pruning import Housekeeper
from digest.console import Terminal, complain
from digest.model import MailingList
from digest.postbox import READ_EVERY, MailboxRunner
from digest.schedule import read_schedule
from digest.settings import ListConfig
from digest.status.watchman import Watchman
from digest.stopping import stop_on_signals
from digest.tending import ListRunner, read_again

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

log = logging.getLogger(__name__)

TEND_EVERY = timedelta(minutes=1)
"""How often it is looked whether anything is owed or due; each has its own time."""
PRUNE_EVERY = timedelta(hours=1)
"""How often it is looked whether a day has gone by since databases were pruned."""


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


async def run_until_stopped(
    configs: Sequence[ListConfig],
    now: Callable[[], datetime],
    beside: Callable[[asyncio.Event], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Schedules every list and returns after a signal, when the conversations that were open have ended.

    `beside` is what else runs, until the event that it is given is set: the pages.
    """
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    stop = asyncio.Event()
    terminal = Terminal()
    scheduler = AsyncIOScheduler(job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1})
    runners = [ListRunner(config, now, stop, terminal) for config in configs]
    mailboxes = MailboxRunner(configs, now, stop, terminal)
    housekeeper = Housekeeper(configs, now, stop, read_again)
    watchman = Watchman(lambda: mailboxes.configs, now)
    with stop_on_signals(stop, complain), watchman.listening():
        for config, runner in zip(configs, runners, strict=True):
            scheduler.add_job(runner.send, trigger(config.mailing_list), id=f"send {config.mailing_list.id}")
            terminal.say(
                f"{config.mailing_list.name} ({config.mailing_list.id}): next run "
                f"{next_run(config.mailing_list, now()) or 'never'}"
            )
        scheduler.start()

        async def look_at_the_clock() -> None:
            scheduler.wakeup()  # it may have been put forward

        regularly: list[tuple[timedelta, Callable[[], Awaitable[object]]]] = [
            (TEND_EVERY, look_at_the_clock),
            *((TEND_EVERY, runner.tend) for runner in runners),
            (TEND_EVERY, mailboxes.post),
            (READ_EVERY, mailboxes.read),
            (READ_EVERY, partial(asyncio.to_thread, watchman.look)),
            (PRUNE_EVERY, housekeeper.keep),
        ]
        work = [runner.catch_up() for runner in runners]
        work += [mailboxes.read(), mailboxes.listen(), *(_repeated(every, each, stop) for every, each in regularly)]
        if beside:
            work.append(beside(stop))
        under_way = [asyncio.create_task(each) for each in work]
        await stop.wait()
        scheduler.pause()
        await asyncio.gather(*under_way)
        for runner in runners:
            await runner.finished()
        await mailboxes.finished()
        await housekeeper.finished()
        scheduler.shutdown(wait=False)
    terminal.say("stopped")


async def _repeated(every: timedelta, work: Callable[[], Awaitable[object]], stop: asyncio.Event) -> None:
    """Works after each such while, until stopped; what goes wrong with it is told, and ends nothing."""
    stopped = asyncio.create_task(stop.wait())
    while not (await asyncio.wait((stopped,), timeout=every.total_seconds()))[0]:
        try:
            await work()
        except Exception:
            log.exception("what is done every %s has failed", every)
