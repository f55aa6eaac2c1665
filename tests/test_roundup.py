"""Which run makes a weekly or monthly edition, and what is in it."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from digest.model import Coverage, Frequency, SourceSummary
from digest.roundup import coarser, combined, covered_until, opens, period

WEEKLY, MONTHLY = Frequency.WEEKLY, Frequency.MONTHLY
MONDAY = date(2026, 6, 8)
COARSE = st.sampled_from([WEEKLY, MONTHLY])
DAYS = st.sets(st.dates(date(2026, 1, 1), date(2027, 2, 28)), max_size=60).map(sorted)


def on(*offsets: int) -> tuple[date, ...]:
    return tuple(MONDAY + timedelta(days=n) for n in offsets)


def test_a_finer_frequency_counts_as_the_lists_own() -> None:
    """A daily list makes weekly and monthly round-ups, a weekly one monthly ones, a monthly one none."""
    assert [coarser(own) for own in Frequency] == [(WEEKLY, MONTHLY), (MONTHLY,), ()]


def test_weeks_are_those_of_iso_8601() -> None:
    """The week of New Year belongs to one year alone, and weeks follow each other as days do."""
    assert period(WEEKLY, date(2026, 12, 31)) == period(WEEKLY, date(2027, 1, 1)) == (2026, 53)
    assert period(WEEKLY, date(2027, 1, 4)) == (2027, 1)


def test_the_first_run_of_a_week_makes_the_round_up() -> None:
    """Monday's; Tuesday's where Monday's was missed; never a second one; and the first of all for a new list."""
    assert opens(WEEKLY, MONDAY, on(-4, -3), MONDAY - timedelta(days=7))
    assert not opens(WEEKLY, MONDAY + timedelta(days=1), on(-3, 0), MONDAY)
    assert opens(WEEKLY, MONDAY + timedelta(days=1), on(-4, -3), MONDAY - timedelta(days=7))
    assert opens(WEEKLY, MONDAY, (), None)


def test_who_comes_to_want_it_weekly_in_mid_week_waits_for_the_next() -> None:
    """There is no round-up yet, and this week has begun."""
    assert not opens(WEEKLY, MONDAY + timedelta(days=2), on(-7, 0, 1), None)


def test_a_monday_without_an_edition_of_the_lists_own_is_not_made_up_for_on_tuesday() -> None:
    """The round-up was made on Monday; that Tuesday's is the week's first edition changes nothing."""
    assert not opens(WEEKLY, MONDAY + timedelta(days=1), on(-4, -3), MONDAY)


def test_a_round_up_covers_what_came_after_the_last_ones_day() -> None:
    """Last Monday's edition was in last Monday's round-up: this one begins with Tuesday's."""
    assert covered_until(WEEKLY, on(-7, -6, -5, -4, -3), MONDAY - timedelta(days=7)) == MONDAY - timedelta(days=7)


def test_a_machine_that_slept_for_weeks_loses_nothing() -> None:
    """It fell asleep on a Friday and woke on a Wednesday, three weeks later: Tuesday to Friday are still to come."""
    assert covered_until(WEEKLY, on(-21, -20, -19, -18, -17), on(-21)[0]) == on(-21)[0]


def test_who_comes_back_to_weekly_after_half_a_year_gets_one_weeks_papers() -> None:
    """The last round-up is long ago, as nobody wanted any: it is no reason to bring all since."""
    assert covered_until(WEEKLY, on(*range(-200, 0)), on(-200)[0]) == on(-7)[0]


def test_a_round_up_on_a_run_that_brought_nothing_new_is_not_repeated() -> None:
    """Monday had no edition, its round-up had last week's; Tuesday's edition is in the next, and only there."""
    monday, tuesday = on(0, 1)
    assert covered_until(WEEKLY, (*on(-4, -3), tuesday), monday) == monday
    assert covered_until(WEEKLY, on(-11, -10), MONDAY) == MONDAY


@given(DAYS, COARSE, st.data())
def test_every_edition_is_in_exactly_one_round_up(days: list[date], frequency: Frequency, data: st.DataObject) -> None:
    """Whatever days the list came out on, and on whatever of the others a run brought nothing of its own.

    Each round-up is the first of its week or month, and nothing is left over that a later one would not bring.
    """
    own = [day for day in days if data.draw(st.booleans())]
    made: list[date] = []
    found: list[date] = []
    for day in days:
        before = [each for each in own if each < day]
        last = made[-1] if made else None
        if opens(frequency, day, before, last):
            covered = covered_until(frequency, before, last)
            parts = [each for each in own if each <= day and (covered is None or each > covered)]
            if parts:
                made.append(day)
                found += parts
    assert len(set(found)) == len(found)
    assert len({period(frequency, day) for day in made}) == len(made)
    assert [day for day in own if not made or day <= made[-1]] == found or not made


def test_what_sources_gave_is_added_up_and_their_state_is_the_last() -> None:
    """Figures of a week are sums; that a source failed on Tuesday and was back on Wednesday is no news on Monday."""
    day = date(2026, 6, 9)
    first = SourceSummary(
        "arxiv", 30, 20, ("late",), "503", (Coverage("cs.CV", 20, 20), Coverage("cs.LG", 5, None)), (day,), 1, 2, 3
    )
    second = SourceSummary("arxiv", 10, 5, coverage=(Coverage("cs.CV", 8, 10), Coverage("cs.LG", 1, 1)), rejected=1)
    other = SourceSummary("huggingface", 4, 4)
    assert combined([(first,), (other, second)]) == (
        other,
        SourceSummary(
            "arxiv", 40, 25, (), None, (Coverage("cs.CV", 28, 30), Coverage("cs.LG", 6, None)), (day,), 1, 3, 3
        ),
    )
