"""When a list's schedule fires: one time of day, on some days, in the list's own zone. Pure.

Reads the form into which the settings put a cron line: minute and hour as numbers, days and months as `*` or numbers
with commas, weekdays as `*` or names (`mon-fri`, `mon,thu`). Days are walked on the calendar and compared in UTC, so
that a change of clocks neither skips a run nor makes two: a time that does not exist comes as much later as the clock
was put forward, one that comes twice counts the first time. Called by `scheduler.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_GAP = 8 * 366
"""Days between two runs at most: 29 February comes after eight years where a century is no leap year."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A time of day, and the days on which it counts; None stands for all."""

    at: time
    days: frozenset[int] | None
    months: frozenset[int] | None
    weekdays: frozenset[int] | None
    zone: ZoneInfo

    def after(self, moment: datetime) -> datetime | None:
        """The first run later than `moment`; in the list's zone."""
        today = moment.astimezone(self.zone).date()
        return next((run for run in self._runs(today, 1) if run.astimezone(UTC) > moment), None)

    def until(self, moment: datetime) -> datetime | None:
        """The last run that is not later than `moment`; in the list's zone."""
        today = moment.astimezone(self.zone).date()
        return next((run for run in self._runs(today, -1) if run.astimezone(UTC) <= moment), None)

    def _runs(self, start: date, step: int) -> Iterator[datetime]:
        # From a day before: a time put forward over midnight belongs to the day before it.
        days = (start + timedelta(days=step * n) for n in range(-1, LONGEST_GAP))
        for day in islice(days, LONGEST_GAP):
            if self._counts(day):
                local = datetime.combine(day, self.at, self.zone)
                yield local.astimezone(UTC).astimezone(self.zone)

    def _counts(self, day: date) -> bool:
        return (
            (self.days is None or day.day in self.days)
            and (self.months is None or day.month in self.months)
            and (self.weekdays is None or day.weekday() in self.weekdays)
        )


def read_schedule(line: str, timezone: str) -> Schedule:
    """The schedule of a checked cron line."""
    minute, hour, days, months, weekdays = line.split()
    return Schedule(
        time(int(hour), int(minute)), _numbers(days), _numbers(months), _names(weekdays), ZoneInfo(timezone)
    )


def _numbers(field: str) -> frozenset[int] | None:
    return None if field == "*" else frozenset(map(int, field.split(",")))


def _names(field: str) -> frozenset[int] | None:
    if field == "*":
        return None
    first, dash, last = field.partition("-")
    if dash:
        return frozenset(range(WEEKDAYS.index(first), WEEKDAYS.index(last) + 1))
    return frozenset(WEEKDAYS.index(name) for name in field.split(","))
