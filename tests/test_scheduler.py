"""The schedule: cron as cron means it, in the list's own time, and no run missed in silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from digest.scheduler import missed_run, named_weekdays, next_run, trigger
from tests.factories import mailing_list

MONDAY = datetime(2026, 6, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("*", "*"),
        ("mon-fri", "mon,tue,wed,thu,fri"),
        ("1-5", "mon,tue,wed,thu,fri"),
        ("0", "sun"),
        ("7", "sun"),
        ("5-1", "fri,sat,sun,mon"),
        ("fri-sun", "fri,sat,sun"),
        ("1,3,5", "mon,wed,fri"),
        ("*/2", "sun,tue,thu,sat"),
        ("1-5/2", "mon,wed,fri"),
        ("MON", "mon"),
    ],
)
def test_weekday_numbers_are_crons_not_apschedulers(field: str, names: str) -> None:
    """1 is Monday as in cron; APScheduler alone would take it for Tuesday."""
    assert named_weekdays(field) == names


@pytest.mark.parametrize("schedule", ["0 7 * * mon-fri", "0 7 * * 1-5"])
def test_five_runs_a_week_on_working_days(schedule: str) -> None:
    """Names and numbers give the same five mornings."""
    cron = trigger(mailing_list(schedule=schedule, timezone="Europe/Berlin"))
    fires, moment = [], MONDAY
    for _ in range(6):
        fired = cron.get_next_fire_time(None, moment)
        fires.append(f"{fired:%a %H:%M}")
        moment = fired + timedelta(seconds=1)
    assert fires == ["Mon 07:00", "Tue 07:00", "Wed 07:00", "Thu 07:00", "Fri 07:00", "Mon 07:00"]


@pytest.mark.parametrize(
    ("day", "utc_hour"), [(datetime(2026, 3, 27, tzinfo=UTC), 6), (datetime(2026, 3, 30, tzinfo=UTC), 5)]
)
def test_seven_stays_seven_across_the_change_of_clocks(day: datetime, utc_hour: int) -> None:
    """Seven in Berlin is six in UTC in winter and five in summer."""
    fired = trigger(mailing_list(timezone="Europe/Berlin")).get_next_fire_time(None, day)
    assert fired.astimezone(UTC).hour == utc_hour


def test_the_next_run_is_told_in_the_lists_time() -> None:
    """A person reads the weekday, the date and the zone."""
    assert next_run(mailing_list(timezone="Europe/Berlin"), MONDAY) == "Monday 2026-06-08 07:00 CEST"


@pytest.mark.parametrize(
    ("last_due", "now", "missed"),
    [
        (None, MONDAY + timedelta(hours=9), None),
        (MONDAY + timedelta(hours=7), MONDAY + timedelta(hours=9), None),
        (MONDAY - timedelta(days=3) + timedelta(hours=7), MONDAY + timedelta(hours=6), None),
        (MONDAY - timedelta(days=3) + timedelta(hours=7), MONDAY + timedelta(hours=9), MONDAY + timedelta(hours=7)),
        (MONDAY - timedelta(days=800), MONDAY + timedelta(hours=9), MONDAY + timedelta(hours=7)),
    ],
    ids=["no past", "just sent", "weekend only", "slept over it", "two years away"],
)
def test_only_the_newest_missed_run_is_made(last_due: datetime | None, now: datetime, missed: datetime | None) -> None:
    """However many runs were missed, one is made: its edition covers everything since the last cutoff."""
    assert missed_run(mailing_list(), last_due, now) == missed
