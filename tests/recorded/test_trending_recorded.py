"""The trend against upvotes that real papers had later (`pytest -s` prints the figures)."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from digest.rank.trending import measure
from tests.backtest import CUT_OFF, agreement, days, later_upvotes, upvotes

pytestmark = pytest.mark.recorded

Row = tuple[float, float, float]
"""Upvotes later, upvotes on the day, trend on the day."""


@pytest.fixture(scope="module")
def rows(recorded: Path) -> dict[tuple[str, bool], list[Row]]:
    """By feed, and by whether the paper is held out: of days after those on which the constants were chosen."""
    later = later_upvotes(recorded)
    found: dict[tuple[str, bool], list[Row]] = defaultdict(list)
    for day in days(recorded):
        for candidate, trend in zip(day.candidates, measure(day.candidates, day.recorded_at).trend, strict=True):
            for feed, known in later.items():
                if candidate.paper.id in known:
                    row = known[candidate.paper.id], upvotes(candidate), float(trend)
                    found[feed, day.day >= CUT_OFF].append(row)
    return found


@pytest.mark.parametrize("feed", ["daily", "weekly", "monthly"])
@pytest.mark.parametrize("held_out", [False, True])
def test_the_trend_foretells_upvotes_better_than_upvotes_do(
    rows: dict[tuple[str, bool], list[Row]], feed: str, held_out: bool
) -> None:
    """It orders papers more as they stand a night, a week and a month later, also in months it was not fitted to."""
    later, votes, trends = zip(*rows[feed, held_out], strict=True)
    by_trend, by_votes = agreement(trends, later), agreement(votes, later)
    print(f"{feed}, held out: {held_out}: {by_trend:.4f}, by upvotes {by_votes:.4f}, {len(later)} papers")
    assert len(later) > 400
    assert by_trend > by_votes


def test_the_baseline_is_the_known_one(rows: dict[tuple[str, bool], list[Row]]) -> None:
    """Ranking by upvotes gives 0.90, 0.84 and 0.60 over 4,481, 3,305 and 993 papers."""
    for feed, papers, expected in (("daily", 4481, 0.90), ("weekly", 3305, 0.84), ("monthly", 993, 0.60)):
        later, votes, _ = zip(*rows[feed, False], *rows[feed, True], strict=True)
        assert len(later) == papers
        assert agreement(votes, later) == pytest.approx(expected, abs=0.005)
