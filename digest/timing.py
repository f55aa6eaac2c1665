"""When an edition is due, how long it waits for its sources, and when each delivery of it leaves. Pure.

The times of day themselves are `schedule.py`'s. `tending.py` asks what is due, `app.py` whether an edition closes,
`edition.py` when a delivery leaves; each brings the clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from digest.model import Edition, MailingList, SourceSummary, Subscriber
from digest.schedule import first_at, read_schedule


@dataclass(frozen=True, slots=True)
class Due:
    """A run of the schedule whose edition is to be made."""

    run: datetime
    """In the list's zone."""
    closes_at: datetime | None = None
    """Until when the edition stays open for sources that are not complete; None: it is made at once."""

    @property
    def day(self) -> date:
        """The edition's day."""
        return self.run.date()


def local_day(mailing_list: MailingList, now: datetime) -> date:
    """The day it is where the list is: an edition is one per list and day."""
    return now.astimezone(ZoneInfo(mailing_list.timezone)).date()


def due(mailing_list: MailingList, after: datetime | None, now: datetime) -> Due | None:
    """The newest run up to now, if it came after all that has been dealt with. However many were missed, it is one.

    `after`: up to when every run has been dealt with; None for a list without a past, which misses nothing.
    """
    run = read_schedule(mailing_list.schedule, mailing_list.timezone).until(now)
    if run is None or after is None or run.astimezone(UTC) <= after:
        return None
    until = mailing_list.wait_until
    return Due(run, first_at(until, ZoneInfo(mailing_list.timezone), run) if until else None)


def is_overdue(mailing_list: MailingList, run: Due, now: datetime) -> bool:
    """Whether a run is too late to be made without being asked for."""
    return mailing_list.max_lateness is not None and now - run.run > mailing_list.max_lateness


def overdue_line(mailing_list: MailingList, run: Due, now: datetime) -> str:
    """What waits for approval, for a person, and how it is given."""
    following = read_schedule(mailing_list.schedule, mailing_list.timezone).after(now)
    then = f"; else the run of {following:%A %Y-%m-%d %H:%M} brings all of it" if following else ""
    return (
        f"the run of {run.run:%A %Y-%m-%d %H:%M %Z} was missed, and is later than `max_lateness` allows: "
        f"`digest send {mailing_list.id}` makes it now{then}"
    )


def look_again(summaries: Iterable[SourceSummary], due: Due, retry_at: datetime, now: datetime) -> datetime | None:
    """When to pull again before the edition closes; None: it closes now, with what there is.

    A source that says when it will have the rest is asked then, one that failed at `retry_at`.
    """
    if due.closes_at is None or now >= due.closes_at:
        return None
    times = [
        s.look_again_at if s.look_again_at and s.look_again_at > now else retry_at for s in summaries if s.is_incomplete
    ]
    return min(*times, due.closes_at) if times else None


def leaves_at(mailing_list: MailingList, edition: Edition, reader: Subscriber) -> datetime | None:
    """When a delivery leaves: at her hour, in her zone, first after the edition was due. None: at once.

    Counted from the run, not from when the edition was made, which is moments later: who has the list's own time would
    else wait a day. Her hour is the list's time of day unless she has one; with an hour and no zone, it is the list's.
    """
    if reader.timezone is None and reader.hour is None:
        return None
    schedule = read_schedule(mailing_list.schedule, mailing_list.timezone)
    at = schedule.at if reader.hour is None else time(reader.hour)
    made = min(edition.cutoff, schedule.on(edition.due_on))
    return first_at(at, ZoneInfo(reader.timezone) if reader.timezone else schedule.zone, made)
