"""When a schedule fires: on the right days, in the list's own time, and never lost at a change of clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from digest.schedule import read_schedule
from digest.settings.cron import schedule

MONDAY = datetime(2026, 6, 8, tzinfo=UTC)


def runs(line: str, zone: str, start: datetime, count: int) -> list[str]:
    """The next runs after `start`, as a person in that zone reads them."""
    reading, found, moment = read_schedule(schedule(line), zone), [], start
    for _ in range(count):
        fires = reading.after(moment)
        assert fires is not None
        found.append(f"{fires:%a %Y-%m-%d %H:%M}")
        moment = fires
    return found


@pytest.mark.parametrize("line", ["0 7 * * mon-fri", "0 7 * * 1-5", "*/60 7 * * MON-FRI"])
def test_five_runs_a_week_on_working_days(line: str) -> None:
    """Names and numbers give the same five mornings; 1 is Monday."""
    days = [run.split()[0] for run in runs(line, "Europe/Berlin", MONDAY, 6)]
    assert days == ["Mon", "Tue", "Wed", "Thu", "Fri", "Mon"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 */24 * * *", "Mon 2026-06-08 00:00"),
        ("0 7 */31 * *", "Wed 2026-07-01 07:00"),
        ("0 7 1-5/9 * *", "Wed 2026-07-01 07:00"),
        ("0 7 * */12 *", "Fri 2027-01-01 07:00"),
        ("0 7 29 2 *", "Tue 2028-02-29 07:00"),
        ("30 6 1 jan,jul *", "Wed 2026-07-01 06:30"),
        ("0 7 * * fri-mon", "Mon 2026-06-08 07:00"),
        ("0 7 * * sun", "Sun 2026-06-14 07:00"),
    ],
)
def test_every_form_that_the_settings_accept_is_read(line: str, expected: str) -> None:
    """Steps, ranges, names and rare days each give their next run."""
    assert runs(line, "UTC", MONDAY - timedelta(seconds=1), 1) == [expected]


@pytest.mark.parametrize(
    ("line", "start", "expected"),
    [
        ("0 7 * * *", datetime(2026, 3, 28, 12, tzinfo=UTC), ["Sun 2026-03-29 07:00", "Mon 2026-03-30 07:00"]),
        ("0 0 * * *", datetime(2026, 3, 28, 12, tzinfo=UTC), ["Sun 2026-03-29 00:00", "Mon 2026-03-30 00:00"]),
        ("0 0 * * mon", datetime(2026, 3, 28, 12, tzinfo=UTC), ["Mon 2026-03-30 00:00", "Mon 2026-04-06 00:00"]),
        ("30 2 * * *", datetime(2026, 3, 28, 12, tzinfo=UTC), ["Sun 2026-03-29 03:30", "Mon 2026-03-30 02:30"]),
        ("30 2 * * *", datetime(2026, 10, 24, 12, tzinfo=UTC), ["Sun 2026-10-25 02:30", "Mon 2026-10-26 02:30"]),
    ],
    ids=["morning", "midnight", "midnight on Mondays", "a time that does not exist", "a time that comes twice"],
)
def test_a_change_of_clocks_loses_and_doubles_no_run(line: str, start: datetime, expected: list[str]) -> None:
    """In Berlin in 2026: one run a day over both changes."""
    assert runs(line, "Europe/Berlin", start, 2) == expected


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Africa/Cairo", "America/Santiago", "Asia/Kolkata"]
)
@pytest.mark.parametrize("line", ["0 0 * * *", "30 2 * * *", "59 23 * * *"])
def test_looking_back_and_forth_agree_every_day_of_a_year(zone: str, line: str) -> None:
    """The last run until a run is that run; between two runs there is no other; each day has one."""
    reading, moment, days = read_schedule(line, zone), datetime(2026, 1, 1, 12, tzinfo=UTC), set()
    for _ in range(370):
        run = reading.after(moment)
        assert run is not None
        assert reading.until(run) == run
        before = reading.until(run.astimezone(UTC) - timedelta(seconds=1))
        assert before is not None
        assert before.astimezone(UTC) <= moment
        assert timedelta(hours=22) < run.astimezone(UTC) - before.astimezone(UTC) < timedelta(hours=26)
        days.add(run.date())
        moment = run.astimezone(UTC)
    assert len(days) == 370
