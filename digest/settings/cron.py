"""The five fields of `schedule`, checked and put into the one form that every reader of cron agrees on.

Pure. The grammar is that of crontab(5): `*`, numbers, names, ranges, steps and lists. It is narrowed where it is
ambiguous or where an edition could not follow: an edition is one per list and local day, so a schedule fires at most
once a day. What comes out is the form that `digest.schedule` reads: numbers in lists, weekdays as names from Monday on.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence

from digest.subscribe.values import WrongValue, did_you_mean

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = tuple(name.lower() for name in calendar.month_abbr[1:])
_EXAMPLE = "must be a cron line of five fields, minute hour day month weekday, such as `0 7 * * mon-fri`"


def schedule(line: str) -> str:
    """A cron line that fires at most once a day, its weekdays written as names. Raises WrongValue."""
    fields = line.lower().split()
    if len(fields) != 5:
        raise WrongValue(_EXAMPLE)
    minutes = _values("minute", fields[0], 0, 59)
    hours = _values("hour", fields[1], 0, 23)
    days = _values("day", fields[2], 1, 31)
    months = _values("month", fields[3], 1, 12, _MONTHS)
    if len(minutes) * len(hours) > 1:
        raise WrongValue(
            "may fire at most once a day, as a list has one edition a day",
            "give one minute and one hour, as in `0 7 * * mon-fri`",
        )
    if fields[2] != "*" and fields[4] != "*":
        raise WrongValue(
            "must name days of the month or weekdays, not both", "cron programs disagree on what both mean", shown=False
        )
    if min(days) > max(_longest(month) for month in months):
        raise WrongValue("must name a day that comes", "those months have no such day")
    shown = [
        str(*minutes),
        str(*hours),
        "*" if fields[2] == "*" else ",".join(map(str, sorted(days))),
        "*" if fields[3] == "*" else ",".join(map(str, sorted(months))),
        weekdays(fields[4]),
    ]
    return " ".join(shown)


def weekdays(field: str) -> str:
    """Days of the week as names, `mon-fri` or `mon,thu`; `*` for all of them. Raises WrongValue."""
    return _weekday_names({number % 7 for number in _values("weekday", field.lower(), 0, 7, _WEEKDAYS)})


def _values(name: str, field: str, low: int, high: int, names: Sequence[str] = ()) -> set[int]:
    """The numbers that one field means."""
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            start, end = low, high
        else:
            start = _number(name, first, low, high, names)
            end = _number(name, last, low, high, names) if dash else (high if slash else start)
        if slash and not (step.isascii() and step.isdigit() and int(step)):
            raise WrongValue(_EXAMPLE, f"`/{step}` is not a step")
        if end < start and name == "weekday":
            end += 7  # fri-mon goes around the week
        if end < start:
            raise WrongValue(_EXAMPLE, f"`{span}` runs backwards")
        found.update(range(start, end + 1, int(step) if slash else 1))
    return found


def _number(name: str, text: str, low: int, high: int, names: Sequence[str]) -> int:
    if text in names:
        return names.index(text) + (1 if name == "month" else 0)
    if text.isascii() and text.isdigit() and low <= int(text) <= high:
        return int(text)
    hint = f"`{text}` is not {'an' if name == 'hour' else 'a'} {name}"
    if near := did_you_mean(text, names):
        hint += f": {near}"
    elif not names:
        hint += f" ({low} to {high})"
    raise WrongValue(_EXAMPLE, hint)


def _longest(month: int) -> int:
    return calendar.monthrange(2024, month)[1]  # a leap year


def _weekday_names(days: set[int]) -> str:
    """`mon-fri`, `mon,wed,fri`: names from Monday on, which no cron program reads differently."""
    week = [*_WEEKDAYS[1:], _WEEKDAYS[0]]
    chosen = [name for name in week if _WEEKDAYS.index(name) in days]
    if len(chosen) == len(week):
        return "*"
    first, last = week.index(chosen[0]), week.index(chosen[-1])
    if len(chosen) > 2 and chosen == week[first : last + 1]:
        return f"{chosen[0]}-{chosen[-1]}"
    return ",".join(chosen)
