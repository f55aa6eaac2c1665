"""Charts of block characters: what is drawn of which numbers."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.console.plot import ASCII, BLOCKS, axis, bars, columns, gathered

ONE = columns(5, 80)._replace(characters=1)


def test_a_bar_says_how_much() -> None:
    """Eighths of a row; nothing to count is empty, nothing counted a dot, and the least that was counted is seen."""
    assert bars([None, 0, 1, 500, 1000], 1, ONE) == [" ·▁▄█"]
    assert bars([None, 0, 1, 500, 1000], 2, ONE) == ["    █", " ·▁██"]
    assert bars([None, 0, 1, 500, 1000], 1, ONE, ASCII) == [" ,_=#"]
    assert bars([None, None, None], 2, ONE) == ["", ""]


def test_a_column_is_as_wide_as_there_is_room() -> None:
    """Up to three characters for a day; what does not fit goes by whole weeks, the last of them up to today."""
    assert columns(14, 58) == (1, 3, 14)
    assert columns(56, 58) == (1, 1, 56)
    assert columns(60, 58) == (7, 3, 9)
    assert columns(365, 58) == (7, 1, 53)
    assert columns(3660, 58) == (70, 1, 53)
    two_weeks_and_a_day = [1, *[None] * 7, *[2] * 7]
    layout = columns(15, 10)
    assert gathered(two_weeks_and_a_day, layout) == [1, None, 14]


@given(st.lists(st.none() | st.integers(0, 10**9), min_size=2, max_size=400), st.integers(10, 130))
def test_nothing_is_lost_and_nothing_too_wide(values: list[int | None], width: int) -> None:
    """Whatever the numbers: columns add up to the days, and no row is wider than it may be."""
    layout = columns(len(values), width)
    shown = gathered(values, layout)
    assert sum(value or 0 for value in shown) == sum(value or 0 for value in values)
    assert len(shown) == layout.number
    assert layout.width <= width
    rows = bars(shown, 3, layout)
    assert all(len(row) <= width for row in rows)
    assert all(character in f" ·{BLOCKS}" for row in rows for character in row)


@pytest.mark.parametrize(
    ("first", "last", "width", "expected"),
    [
        (date(2026, 4, 16), date(2026, 6, 10), 58, "16 Apr         01 May                         01 Jun"),
        (date(2026, 6, 4), date(2026, 6, 10), 58, "04 Jun"),
        (date(2025, 12, 29), date(2026, 1, 11), 58, "29 Dec   01 Jan"),
    ],
)
def test_dates_stand_where_months_begin(first: date, last: date, width: int, expected: str) -> None:
    """Under the first column, and under the first day of each month that has room."""
    assert axis(first, last, columns((last - first).days + 1, width)) == expected
