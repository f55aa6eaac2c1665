"""`wait_until` and `max_lateness` of a list: a time of day and a length of time, checked.

Pure; raises `WrongValue` with what must be written. `models.py` hangs these on its fields, and `contradictions.py` asks
how long an edition would wait.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

from digest.subscribe.values import WrongValue

LONGEST_WAIT = timedelta(hours=12)
"""A `wait_until` further after the schedule's time is taken for a mistake: most likely it lies before it."""
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_ANY_DAY = date(2000, 1, 1)


def time_of_day(value: object) -> time:
    """`09:00`, as text or as TOML's own time."""
    if isinstance(value, time) and not (value.second or value.microsecond or value.tzinfo):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*([01]\d|2[0-3]):[0-5]\d\s*", value):
        return time.fromisoformat(value.strip())
    raise WrongValue('must be a time of day such as "09:00"')


def duration(value: object) -> timedelta:
    """`36 hours`: a number of minutes, hours or days."""
    found = (
        re.fullmatch(r"\s*([1-9]\d{0,3})\s*(minute|hour|day)s?\s*", value, re.ASCII) if isinstance(value, str) else None
    )
    if not found:
        raise WrongValue('must be a time such as "36 hours" (minutes, hours or days)')
    return int(found[1]) * _UNITS[found[2]]


def wait(schedule: str, until: time) -> timedelta:
    """From the time of a checked cron line to the first `until` at or after it, by the clock on the wall."""
    minute, hour = schedule.split()[:2]
    begins, ends = (datetime.combine(_ANY_DAY, at) for at in (time(int(hour), int(minute)), until))
    return (ends - begins) % timedelta(days=1)
