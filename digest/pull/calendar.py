"""When arXiv announces, and what: the calendar of its announcements. Pure; called by `arxiv.py` and `reconcile.py`.

Papers submitted until 14:00 Eastern on a working day are announced at 20:00, those of Friday's deadline on Sunday; so
there are announcements from Sunday to Thursday (https://info.arxiv.org/help/availability.html). The feed that carries
them appears at the midnight that follows and is dated with the day that begins then, Monday to Friday; that date is
what arXiv's own listings and this program call the day of an announcement. On a deferral day (a holiday) the evening's
announcement does not take place, and its papers come with the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

EASTERN = ZoneInfo("America/New_York")
_DEADLINE = time(14)
_ANNOUNCED_AT = time(20)
_FEED_AT = time(0)
GRACE = timedelta(minutes=90)
"""How long after midnight a feed may still be the last one before it is called late."""
_ONE = timedelta(days=1)
_SUNDAY, _THURSDAY, _FRIDAY, _SATURDAY = 6, 3, 4, 5


@dataclass(frozen=True, slots=True)
class Announced:
    """One announcement."""

    day: date
    """The day that its feed is dated with."""
    at: datetime
    """When it is made, in UTC."""
    submitted_from: datetime
    submitted_until: datetime
    """Its papers were submitted from the one, in UTC, to before the other."""

    @property
    def feed_at(self) -> datetime:
        """When its feed appears, in UTC."""
        return _utc(self.day, _FEED_AT)


def _utc(day: date, hour: time) -> datetime:
    return datetime.combine(day, hour, EASTERN).astimezone(UTC)


def _evening_of_deadline(deadline: date) -> date:
    """The evening on which the papers of a working day's deadline are announced if nothing is deferred."""
    return deadline + 2 * _ONE if deadline.weekday() == _FRIDAY else deadline


def _evening_on_or_after(day: date, deferral_days: Collection[date]) -> date:
    while day.weekday() in (_FRIDAY, _SATURDAY) or day in deferral_days:
        day += _ONE
    return day


def _deadline_before(day: date) -> date:
    """The last working day before a day."""
    day -= _ONE
    while day.weekday() in (_SATURDAY, _SUNDAY):
        day -= _ONE
    return day


def announcement_on(evening: date, deferral_days: Collection[date] = ()) -> Announced | None:
    """Return the announcement of an Eastern evening; None if there is none."""
    if evening.weekday() in (_FRIDAY, _SATURDAY) or evening in deferral_days:
        return None
    last = evening - 2 * _ONE if evening.weekday() == _SUNDAY else evening
    first = last
    while True:  # deadlines whose own evenings were deferred to this one
        before = _deadline_before(first)
        if _evening_on_or_after(_evening_of_deadline(before), deferral_days) != evening:
            break
        first = before
    return Announced(
        day=evening + _ONE,
        at=_utc(evening, _ANNOUNCED_AT),
        submitted_from=_utc(before, _DEADLINE),
        submitted_until=_utc(last, _DEADLINE),
    )


def between(since: datetime, until: datetime, deferral_days: Collection[date] = ()) -> tuple[Announced, ...]:
    """Return the announcements whose feeds appeared after `since` and up to `until`, oldest first."""
    found = (announcement_on(evening, deferral_days) for evening in _evenings(since, until))
    return tuple(a for a in found if a and since < a.feed_at <= until)


def _evenings(since: datetime, until: datetime) -> Iterator[date]:
    day, last = since.astimezone(EASTERN).date() - _ONE, until.astimezone(EASTERN).date()
    while day <= last:
        yield day
        day += _ONE


def latest(now: datetime, deferral_days: Collection[date] = ()) -> Announced:
    """Return the last announcement whose feed must have appeared by now. Raises ValueError if a month has none."""
    for found in reversed(between(now - timedelta(days=31), now, deferral_days)):
        return found
    raise ValueError("the deferral days leave a month without an announcement")


def next_after(now: datetime, deferral_days: Collection[date] = ()) -> Announced:
    """Return the first announcement whose feed is still to appear. Raises ValueError if a month has none."""
    for found in between(now, now + timedelta(days=31), deferral_days):
        return found
    raise ValueError("the deferral days leave a month without an announcement")


def announced_on(submitted: datetime, deferral_days: Collection[date] = ()) -> date:
    """Return the day on which a paper that was submitted then is announced, if nothing holds it up."""
    eastern = submitted.astimezone(EASTERN)
    deadline = eastern.date() if eastern.time() < _DEADLINE else eastern.date() + _ONE
    while deadline.weekday() in (_SATURDAY, _SUNDAY):
        deadline += _ONE
    return _evening_on_or_after(_evening_of_deadline(deadline), deferral_days) + _ONE
