"""When an edition is due, how long it waits, and when each delivery leaves."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.model import Edition, EditionId, ListId, SourceSummary
from digest.schedule import first_at
from digest.timing import Due, due, is_overdue, leaves_at, look_again, overdue_line
from tests.factories import mailing_list, subscriber

MONDAY = datetime(2026, 6, 8, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
LAB = mailing_list(timezone="Europe/Berlin")
"""Seven o'clock, Monday to Friday."""
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca", "Asia/Tokyo"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- The first time at which clocks show an hour ---


@pytest.mark.parametrize(
    ("hour", "zone", "moment", "expected"),
    [
        ("07:00", "Europe/Berlin", "2026-06-09T05:00", "2026-06-09T05:00"),
        ("07:00", "Europe/Berlin", "2026-06-09T05:01", "2026-06-10T05:00"),
        ("07:00", "America/New_York", "2026-06-09T05:00", "2026-06-09T11:00"),
        ("07:00", "Asia/Tokyo", "2026-06-09T05:00", "2026-06-09T22:00"),
        # Berlin's clocks go from 02:00 to 03:00 on 29 March 2026: 02:30 does not exist, and comes at 03:30.
        ("02:30", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T01:30"),
        ("03:00", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T01:00"),
        # … and from 03:00 to 02:00 on 25 October: 02:30 comes at 00:30 and at 01:30 UTC.
        ("02:30", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T00:30"),
        ("02:30", "Europe/Berlin", "2026-10-25T00:31", "2026-10-25T01:30"),
        ("02:30", "Europe/Berlin", "2026-10-25T01:31", "2026-10-26T01:30"),
        # Clocks go forward over midnight in Santiago: the day begins at one.
        ("00:00", "America/Santiago", "2026-09-05T20:00", "2026-09-06T04:00"),
        # Samoa left out a whole day.
        ("07:00", "Pacific/Apia", "2011-12-29T18:00", "2011-12-30T17:00"),
    ],
)
def test_the_first_time_at_which_clocks_show_an_hour(hour: str, zone: str, moment: str, expected: str) -> None:
    """Today's if it is still to come, else tomorrow's; over both changes of clocks."""
    assert first_at(time.fromisoformat(hour), ZoneInfo(zone), at(moment)) == at(expected)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    st.sampled_from(ZONES),
)
def test_no_earlier_minute_shows_the_hour(moment: datetime, hour: time, zone: str) -> None:
    """Every reader gets every edition within a day and the hour that a clock may be put back, and at no wrong time."""
    place = ZoneInfo(zone)
    found = first_at(hour, place, moment)
    assert timedelta() <= found - moment <= timedelta(hours=25)
    shown = found.astimezone(place).time()
    minute = moment.replace(second=0, microsecond=0) + timedelta(minutes=1) * (moment.second + moment.microsecond > 0)
    while minute < found:
        assert minute.astimezone(place).time() != hour, "an earlier one was passed over"
        minute += timedelta(minutes=1)
    if shown != hour:  # that time does not exist on that day: it comes as much later as clocks were put forward
        before = (found - timedelta(hours=3)).astimezone(place).utcoffset()
        after = found.astimezone(place).utcoffset()
        assert before is not None
        assert after is not None
        skipped = after - before
        assert timedelta() < skipped
        assert datetime.combine(date(2026, 1, 1), hour) + skipped == datetime.combine(date(2026, 1, 1), shown)


# --- When a delivery leaves ---


def edition(cutoff: str, due_on: date = date(2026, 6, 9)) -> Edition:
    return Edition(EditionId(1), ListId("lab"), 1, due_on, None, at(cutoff))


@pytest.mark.parametrize(
    ("zone", "hour", "cutoff", "expected"),
    [
        (None, None, "2026-06-09T05:00:04", None),
        # The list's own time, and the edition was made four seconds after it: that is not tomorrow.
        ("Europe/Berlin", None, "2026-06-09T05:00:04", "2026-06-09T05:00"),
        ("America/New_York", None, "2026-06-09T05:00:04", "2026-06-09T11:00"),
        ("America/New_York", 20, "2026-06-09T05:00:04", "2026-06-10T00:00"),
        ("Asia/Tokyo", None, "2026-06-09T05:00:04", "2026-06-09T22:00"),
        (None, 9, "2026-06-09T05:00:04", "2026-06-09T07:00"),
        # Caught up at noon, UTC: her seven o'clock is over, so it leaves at once.
        ("America/New_York", None, "2026-06-09T12:00", "2026-06-09T11:00"),
        # Made by hand before its run.
        ("Europe/Berlin", 7, "2026-06-09T04:00", "2026-06-09T05:00"),
        ("Europe/Berlin", 6, "2026-06-09T03:30", "2026-06-09T04:00"),
    ],
)
def test_a_delivery_leaves_at_her_hour(zone: str | None, hour: int | None, cutoff: str, expected: str | None) -> None:
    """In her zone, counted from the run; the list's time of day, unless she has an hour; else at once."""
    leaves = leaves_at(LAB, edition(cutoff), subscriber(timezone=zone, hour=hour))
    assert leaves == (at(expected) if expected else None)


# --- What is due ---


def test_only_the_newest_missed_run_is_due() -> None:
    """However many were missed, one is made; a list without a past has missed none."""
    thursday = MONDAY + timedelta(days=3, hours=9)
    found = due(LAB, MONDAY, thursday)
    assert found is not None
    assert found.run == datetime(2026, 6, 11, 7, tzinfo=BERLIN)
    assert found.day == date(2026, 6, 11)
    assert due(LAB, found.run.astimezone(UTC), thursday) is None
    assert due(LAB, None, thursday) is None
    assert due(LAB, MONDAY - timedelta(days=800), thursday) == found


def test_an_edition_closes_at_wait_until_in_the_lists_own_time() -> None:
    """On the run's day, or past midnight on the next; without the key it is never open."""
    waiting = due(mailing_list(timezone="Europe/Berlin", wait_until=time(9)), MONDAY, MONDAY + timedelta(hours=6))
    assert waiting is not None
    assert waiting.closes_at == datetime(2026, 6, 8, 9, tzinfo=BERLIN)
    night = mailing_list(schedule="0 22 * * *", wait_until=time(2))
    late = due(night, MONDAY, MONDAY + timedelta(hours=23))
    assert late is not None
    assert late.closes_at == MONDAY + timedelta(days=1, hours=2)
    plain = due(LAB, MONDAY, MONDAY + timedelta(hours=6))
    assert plain is not None
    assert plain.closes_at is None


def test_too_late_is_later_than_max_lateness() -> None:
    """Not at the limit, but after it; never without one. It is said how it is approved, and what else happens."""
    lab = mailing_list(timezone="Europe/Berlin", max_lateness=timedelta(hours=12))
    run = due(lab, MONDAY, MONDAY + timedelta(hours=6))
    assert run is not None
    limit = run.run.astimezone(UTC) + timedelta(hours=12)
    assert not is_overdue(lab, run, limit)
    assert is_overdue(lab, run, limit + timedelta(seconds=1))
    assert not is_overdue(LAB, run, limit + timedelta(days=300))
    assert overdue_line(lab, run, limit) == (
        "the run of Monday 2026-06-08 07:00 CEST was missed, and is later than `max_lateness` allows: "
        "`digest send lab` makes it now; else the run of Tuesday 2026-06-09 07:00 brings all of it"
    )


# --- How long an edition waits for its sources ---

SEVEN, NINE = at("2026-06-09T07:00"), at("2026-06-09T09:00")
OPEN = Due(SEVEN, NINE)
RETRY = SEVEN + timedelta(minutes=5)
GOOD, FAILED = SourceSummary("good", 3, 3), SourceSummary("bad", 0, 0, error="503")


def late(when: datetime) -> SourceSummary:
    return SourceSummary("arxiv", 0, 0, look_again_at=when)


@pytest.mark.parametrize(
    ("run", "summaries", "now", "expected"),
    [
        (Due(SEVEN), [FAILED], SEVEN, None),
        (OPEN, [GOOD], SEVEN, None),
        (OPEN, [GOOD, FAILED], SEVEN, RETRY),
        (OPEN, [late(SEVEN + timedelta(hours=1))], SEVEN, SEVEN + timedelta(hours=1)),
        (OPEN, [late(SEVEN + timedelta(hours=1)), FAILED], SEVEN, RETRY),
        (OPEN, [late(SEVEN - timedelta(hours=1))], SEVEN, RETRY),
        (OPEN, [late(SEVEN + timedelta(hours=20))], SEVEN, NINE),
        (OPEN, [FAILED], NINE, None),
    ],
    ids=["nothing waits", "complete", "failed", "says when", "failed and says when", "said when", "at most", "closed"],
)
def test_an_edition_stays_open_for_what_is_missing(
    run: Due, summaries: list[SourceSummary], now: datetime, expected: datetime | None
) -> None:
    """Until the source says that it is there, or the next try where it failed, and never past `wait_until`."""
    assert look_again(summaries, run, RETRY, now) == expected
