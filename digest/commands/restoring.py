"""What a list does after `digest restore`: nothing, until a person has said what became of the editions since.

A restored database does not know what was sent after its backup, and the editions of those days would be made and sent
again. `digest restore` pauses every list, and `digest resume` asks; it calls this with the answer.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from digest import stopping
from digest.app import App
from digest.console import Terminal
from digest.edition import merge_wanted
from digest.errors import ConfigError, SendError
from digest.model import DeliveryStatus, Edition, Pause
from digest.pull.dedupe import merge
from digest.schedule import read_schedule
from digest.store.pauses import RESTORE
from digest.timing import local_day


class Since(Enum):
    """What became of the editions since the backup."""

    SENT = "sent"
    UNSENT = "unsent"


def asks(pause: Pause | None) -> bool:
    """Whether this pause ends only with an answer."""
    return pause is not None and pause.by == RESTORE


def options(list_id: str) -> tuple[str, str]:
    """The two ways to resume a list, for a person."""
    return (
        f"`digest resume {list_id} --sent` if editions went out after the backup: what is new by now is not sent again",
        f"`digest resume {list_id} --unsent` if none did: what is new comes with the next edition",
    )


def answer(terminal: Terminal, app: App, since: Since | None, now: datetime) -> None:
    """Does what the answer asks for; the pause is the caller's to end. Raises ConfigError without one, SendError."""
    if since is None:
        raise ConfigError(f"{app.list.id} was restored from a backup:\n  " + "\n  ".join(options(app.list.id)))
    if since is Since.SENT:
        for edition in app.editions.unfinished(app.list.id):
            app.editions.close_recipients(edition, now)  # who has no delivery yet may have had it
            app.editions.finish(edition, now)
        made = stopping.run(_take_for_sent(app, now))
        count = len(app.editions.candidates(made))
        terminal.say(f"  edition {made.number} of {made.due_on} stands for what was sent: {count:,} papers, to nobody")
    in_doubt = [e for e in app.editions.recent(app.list.id, 30) if e.counts.get(DeliveryStatus.UNKNOWN)]
    for overview in in_doubt:
        count, number = overview.counts[DeliveryStatus.UNKNOWN], overview.edition.number
        terminal.say(f"  {count:,} deliveries of edition {number} are held: `digest resolve {number}`")


async def _take_for_sent(app: App, now: datetime) -> Edition:
    """The edition that stands for those since the backup: dated by the last run that is over, else today."""
    pulled = await app.pull()
    if broken := [f"{summary.source}: {summary.error}" for summary in pulled.summaries if summary.error]:
        raise SendError(
            f"{app.list.id}: what was sent cannot be known without every source ({'; '.join(broken)}): "
            "try again later, or take that source out of the config"
        )
    run = read_schedule(app.list.schedule, app.list.timezone).until(now)
    latest = app.editions.latest(app.list.id)
    is_later = run is not None and (latest is None or run.date() > latest.due_on)
    day = run.date() if run is not None and is_later else local_day(app.list, now)
    merged = merge_wanted(merge, app.config.sources)
    return app.editions.take_for_sent(app.list.id, day, now, (), merged, pulled.summaries)
