"""When a list's schedule fires, and when its messages may leave: times of day in the list's own zone. Pure.

Reads the form into which the settings put a cron line: minute and hour as numbers, days and months as `*` or numbers
with commas, weekdays as `*` or names (`mon-fri`, `mon,thu`). Days are walked on the calendar and compared in UTC, so
that a change of clocks neither skips a run nor makes two: a time that does not exist comes as much later as the clock
was put forward, one that comes twice counts the first time. Called by `timing.py`, `holding.py` and `scheduler.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from digest.model import MailingList

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_GAP = 8 * 366
"""Days between two runs at most: 29 February comes after eight years where a century is no leap year."""

LONGEST_NIGHT = 4
"""Days within which every time of day comes, also where a zone leaves a whole day out."""

LONGEST_CLOSED = 16
"""Days, enough for a window of one day a week whose day a change of clocks leaves out."""


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

    def on(self, day: date) -> datetime:
        """The schedule's time on a day, whether or not it counts; in the list's zone."""
        return datetime.combine(day, self.at, self.zone).astimezone(UTC).astimezone(self.zone)

    def until(self, moment: datetime) -> datetime | None:
        """The last run that is not later than `moment`; in the list's zone."""
        today = moment.astimezone(self.zone).date()
        return next((run for run in self._runs(today, -1) if run.astimezone(UTC) <= moment), None)

    def _runs(self, start: date, step: int) -> Iterator[datetime]:
        # From a day before: a time put forward over midnight belongs to the day before it.
        days = (start + timedelta(days=step * n) for n in range(-1, LONGEST_GAP))
        for day in islice(days, LONGEST_GAP):
            if self._counts(day):
                yield self.on(day)

    def _counts(self, day: date) -> bool:
        return (
            (self.days is None or day.day in self.days)
            and (self.months is None or day.month in self.months)
            and (self.weekdays is None or day.weekday() in self.weekdays)
        )


def first_at(at: time, zone: ZoneInfo, moment: datetime) -> datetime:
    """The first time, not before `moment`, at which the clocks of the zone show `at`; in UTC.

    On a day on which clocks are put forward over it, as much later; of two on one day, either counts.
    """
    today = moment.astimezone(zone).date()
    for n in range(-1, LONGEST_NIGHT):
        local = datetime.combine(today + timedelta(days=n), at, zone)
        first, again = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
        if moment <= first:
            return first
        if moment <= again and again.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
            return again
    raise AssertionError(f"no {at} in {zone} after {moment}")


@dataclass(frozen=True, slots=True)
class SendWindow:
    """The hours of a day in which messages may leave, and the days on which they begin; None stands for all."""

    opens: time
    closes: time
    """Not later than `opens`: on the following day."""
    weekdays: frozenset[int] | None
    zone: ZoneInfo

    def at(self, moment: datetime) -> tuple[datetime, datetime]:
        """When it opens and closes, in the list's zone: the window that `moment` is in, else the next one.

        On the day of a change of clocks a window may be shorter, longer, or not come at all.
        """
        today = moment.astimezone(self.zone).date()
        days = (today + timedelta(days=n) for n in range(-1, LONGEST_CLOSED))
        windows = (self._of(day) for day in days if self.weekdays is None or day.weekday() in self.weekdays)
        return next((a, b) for a, b in windows if moment < b.astimezone(UTC) and a.astimezone(UTC) < b.astimezone(UTC))

    def _of(self, day: date) -> tuple[datetime, datetime]:
        last = day if self.opens < self.closes else day + timedelta(days=1)
        opens, closes = datetime.combine(day, self.opens, self.zone), datetime.combine(last, self.closes, self.zone)
        return opens.astimezone(UTC).astimezone(self.zone), closes.astimezone(UTC).astimezone(self.zone)


def read_window(line: str, timezone: str) -> SendWindow:
    """The hours of a checked `send_window`."""
    weekdays, hours = line.split()
    opens, closes = map(time.fromisoformat, hours.split("-"))
    return SendWindow(opens, closes, _names(weekdays), ZoneInfo(timezone))


def window_of(mailing_list: MailingList) -> SendWindow | None:
    """The hours in which the list's messages may leave; None: at any time."""
    return read_window(mailing_list.send_window, mailing_list.timezone) if mailing_list.send_window else None


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
