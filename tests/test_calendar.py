"""arXiv's calendar of announcements: every submission belongs to exactly one, across weekends, holidays and clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.pull import calendar

MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))
HOLIDAYS = st.frozensets(st.dates(date(2024, 1, 1), date(2027, 12, 31)), max_size=4)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("submitted", "day"),
    [
        ("2026-06-08T17:59", "2026-06-09"),  # Monday before 14:00 EDT: Monday's evening, Tuesday's feed
        ("2026-06-08T18:00", "2026-06-10"),
        ("2026-06-11T17:59", "2026-06-12"),  # Thursday
        ("2026-06-11T18:00", "2026-06-15"),  # until Friday's deadline: Sunday's evening, Monday's feed
        ("2026-06-12T17:59", "2026-06-15"),
        ("2026-06-12T18:00", "2026-06-16"),  # the weekend: Monday's evening
        ("2026-06-14T20:00", "2026-06-16"),
        ("2026-12-07T18:59", "2026-12-08"),  # winter: 14:00 EST is 19:00 UTC
        ("2026-12-07T19:00", "2026-12-09"),
    ],
)
def test_when_a_submission_is_announced(submitted: str, day: str) -> None:
    """Fourteen o'clock Eastern decides, in summer and in winter."""
    assert str(calendar.announced_on(at(submitted))) == day


def test_an_announcements_feed_and_submissions() -> None:
    """Sunday's evening carries the papers from Thursday's to Friday's deadline, in a feed of Monday."""
    sunday = calendar.announcement_on(date(2026, 6, 14))
    assert sunday
    assert (sunday.day, sunday.at) == (date(2026, 6, 15), at("2026-06-15T00:00"))
    assert sunday.feed_at == at("2026-06-15T04:00")
    assert (sunday.submitted_from, sunday.submitted_until) == (at("2026-06-11T18:00"), at("2026-06-12T18:00"))
    monday = calendar.announcement_on(date(2026, 6, 15))
    assert monday
    assert (monday.submitted_from, monday.submitted_until) == (at("2026-06-12T18:00"), at("2026-06-15T18:00"))
    assert calendar.announcement_on(date(2026, 6, 12)) is None
    assert calendar.announcement_on(date(2026, 6, 13)) is None


def test_a_deferral_day_gives_its_papers_to_the_next() -> None:
    """Nothing on Wednesday's evening: Thursday's carries both days' papers."""
    holiday = {date(2026, 12, 23)}
    assert calendar.announcement_on(date(2026, 12, 23), holiday) is None
    thursday = calendar.announcement_on(date(2026, 12, 24), holiday)
    assert thursday
    assert (thursday.submitted_from, thursday.submitted_until) == (at("2026-12-22T19:00"), at("2026-12-24T19:00"))
    days = [a.day.isoformat() for a in calendar.between(at("2026-12-21T12:00"), at("2026-12-28T12:00"), holiday)]
    assert days == ["2026-12-22", "2026-12-23", "2026-12-25", "2026-12-28"]


def test_what_is_due_and_what_comes_next() -> None:
    """The feed of a day is due from the midnight Eastern with which it begins."""
    assert calendar.latest(at("2026-06-10T03:59")).day == date(2026, 6, 9)
    assert calendar.latest(at("2026-06-10T04:00")).day == date(2026, 6, 10)
    assert calendar.latest(at("2026-06-14T12:00")).day == date(2026, 6, 12)
    assert calendar.next_after(at("2026-06-12T12:00")).day == date(2026, 6, 15)
    every_day = [date(2026, 5, 1) + timedelta(days=n) for n in range(90)]
    with pytest.raises(ValueError, match="a month without"):
        calendar.latest(at("2026-06-14T12:00"), every_day)


@given(MOMENTS, HOLIDAYS)
def test_every_submission_belongs_to_exactly_one_announcement(moment: datetime, holidays: frozenset[date]) -> None:
    """The windows of submission follow one another without a gap, and agree with the day that is told."""
    near = calendar.between(moment - timedelta(days=3), moment + timedelta(days=16), holidays)
    holding = [a for a in near if a.submitted_from <= moment < a.submitted_until]
    assert [a.day for a in holding] == [calendar.announced_on(moment, holidays)]
    assert all(one.submitted_until == other.submitted_from for one, other in pairwise(near))
    assert all(a.submitted_until < a.at < a.feed_at for a in near)
