"""When a schedule fires: on the right days, in the list's own time, and never lost at a change of clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.schedule import read_schedule, read_window
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


# --- The hours in which messages may leave ---

BERLIN = "Europe/Berlin"


def window_at(line: str, moment: datetime, zone: str = BERLIN) -> list[str]:
    return [f"{time:%a %d %H:%M %Z}" for time in read_window(line, zone).at(moment)]


@pytest.mark.parametrize(
    ("line", "moment", "expected"),
    [
        ("* 07:00-21:00", datetime(2026, 6, 9, 4, 59, tzinfo=UTC), ["Tue 09 07:00 CEST", "Tue 09 21:00 CEST"]),
        ("* 07:00-21:00", datetime(2026, 6, 9, 18, 59, tzinfo=UTC), ["Tue 09 07:00 CEST", "Tue 09 21:00 CEST"]),
        ("* 07:00-21:00", datetime(2026, 6, 9, 19, 0, tzinfo=UTC), ["Wed 10 07:00 CEST", "Wed 10 21:00 CEST"]),
        ("mon-fri 07:00-21:00", datetime(2026, 6, 12, 20, tzinfo=UTC), ["Mon 15 07:00 CEST", "Mon 15 21:00 CEST"]),
        ("* 22:00-06:00", datetime(2026, 6, 9, 3, tzinfo=UTC), ["Mon 08 22:00 CEST", "Tue 09 06:00 CEST"]),
        ("fri 22:00-06:00", datetime(2026, 6, 13, 3, tzinfo=UTC), ["Fri 12 22:00 CEST", "Sat 13 06:00 CEST"]),
        ("fri 22:00-06:00", datetime(2026, 6, 13, 4, tzinfo=UTC), ["Fri 19 22:00 CEST", "Sat 20 06:00 CEST"]),
        # Clocks go forward on 29 March 2026 at 02:00, back on 25 October at 03:00.
        ("* 07:00-21:00", datetime(2026, 3, 28, 23, tzinfo=UTC), ["Sun 29 07:00 CEST", "Sun 29 21:00 CEST"]),
        ("* 02:30-06:00", datetime(2026, 3, 29, 0, tzinfo=UTC), ["Sun 29 03:30 CEST", "Sun 29 06:00 CEST"]),
        ("* 02:15-03:00", datetime(2026, 3, 29, 0, 30, tzinfo=UTC), ["Mon 30 02:15 CEST", "Mon 30 03:00 CEST"]),
        ("sun 02:15-03:00", datetime(2026, 3, 29, 0, 30, tzinfo=UTC), ["Sun 05 02:15 CEST", "Sun 05 03:00 CEST"]),
        ("* 01:00-02:30", datetime(2026, 10, 25, 0, 29, tzinfo=UTC), ["Sun 25 01:00 CEST", "Sun 25 02:30 CEST"]),
        ("* 01:00-02:30", datetime(2026, 10, 25, 1, 0, tzinfo=UTC), ["Mon 26 01:00 CET", "Mon 26 02:30 CET"]),
        ("* 22:00-06:00", datetime(2026, 10, 25, 4, 59, tzinfo=UTC), ["Sat 24 22:00 CEST", "Sun 25 06:00 CET"]),
    ],
)
def test_the_hours_of_a_day(line: str, moment: datetime, expected: list[str]) -> None:
    """The window that the moment is in, else the next; also over midnight, weekends and changes of clocks."""
    assert window_at(line, moment) == expected


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(["* 07:00-21:00", "mon-fri 22:00-06:00", "sun 02:15-03:00", "* 02:00-01:59", "* 00:00-23:59"]),
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
)
def test_a_window_is_ahead_or_open(moment: datetime, line: str, zone: str) -> None:
    """It opens before it closes, closes in the future, and the same window is found from wherever inside it."""
    window = read_window(line, zone)
    opens, closes = (time.astimezone(UTC) for time in window.at(moment))
    assert opens < closes
    assert moment < closes
    assert [time.astimezone(UTC) for time in window.at(max(opens, moment))] == [opens, closes]
