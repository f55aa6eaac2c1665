"""What trends: figures against their day, their age and a fixed expectation."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.model import AnnounceType, Candidate, Sighting, Signal
from digest.rank.trending import measure
from tests.factories import NOW, paper


def candidate(number: int, *, hours: float = 24.0, **figures: float) -> Candidate:
    """A paper that was published so many hours before its figures were observed."""
    one = paper(number, published=NOW - timedelta(hours=hours))
    return Candidate(one, (), tuple(Signal(one.id, name, value, NOW) for name, value in figures.items()))


def trends(*candidates: Candidate) -> list[float]:
    return [float(trend) for trend in measure(candidates, NOW).trend]


def test_more_upvotes_trend_more() -> None:
    """At one age, the order of the trend is the order of the votes."""
    found = trends(*(candidate(n, upvotes=votes) for n, votes in enumerate([0, 1, 5, 40, 400, 40_000])))
    assert found == sorted(found)
    assert len(set(found)) == len(found)


def test_no_figure_is_no_trend_and_no_votes_are_none_either() -> None:
    """Neither a missing figure nor a zero helps a paper, or harms what other figures give it."""
    silent, zero, starred, both = trends(
        candidate(1), candidate(2, upvotes=0), candidate(3, stars=50), candidate(4, stars=50, upvotes=0)
    )
    assert silent == zero == 0
    assert starred == both > 0


def test_a_young_paper_s_votes_weigh_more() -> None:
    """Ten votes in three hours beat forty in three days."""
    young, old = trends(candidate(1, hours=3, upvotes=10), candidate(2, hours=72, upvotes=40))
    assert young > old


def test_one_vote_at_birth_does_not_beat_a_hit() -> None:
    """Haste is bounded: one vote in the first minutes is not worth a hundred in a day."""
    born, hit = trends(candidate(1, hours=0.1, upvotes=1), candidate(2, hours=24, upvotes=100))
    assert born < hit


def test_a_usual_figure_gives_half_of_its_weight() -> None:
    """A paper alone with its kind's usual votes, long ago, gets half of what upvotes can give."""
    assert trends(candidate(1, hours=10_000, upvotes=12)) == pytest.approx([0.45])


def test_a_busy_day_raises_the_bar() -> None:
    """The same votes trend less on a day when everyone has many."""
    quiet = trends(candidate(0, upvotes=30), *(candidate(n, upvotes=3) for n in range(1, 40)))
    busy = trends(candidate(0, upvotes=30), *(candidate(n, upvotes=300) for n in range(1, 40)))
    assert quiet[0] > busy[0] + 0.05


def test_the_day_of_the_first_announcement_starts_the_clock() -> None:
    """A paper put up long ago and announced today is young to those who vote."""
    old = candidate(1, hours=2000, upvotes=10)
    seen = Candidate(old.paper, (Sighting("hf", AnnounceType.NEW, date(2026, 6, 9)),), old.signals)
    assert trends(seen)[0] > trends(old)[0]


def test_the_latest_figure_counts() -> None:
    """Of two observations of one figure the later one is true, whatever their order."""
    one = paper(1)
    early, late = Signal(one.id, "upvotes", 5, NOW - timedelta(hours=5)), Signal(one.id, "upvotes", 9, NOW)
    assert measure((Candidate(one, (), (late, early)),), NOW).values == ({"upvotes": 9},)


def test_figures_that_are_no_counts_are_left_out() -> None:
    """Negative, infinite and undefined figures change nothing."""
    assert trends(candidate(1, upvotes=-3), candidate(2, stars=float("inf")), candidate(3, x=float("nan"))) == [0, 0, 0]


@given(
    st.lists(
        st.tuples(
            st.dictionaries(
                st.sampled_from(["upvotes", "comments", "stars", "points"]), st.floats(0, 1e300), max_size=4
            ),
            st.floats(-1000, 1e5),
        ),
        max_size=8,
    )
)
def test_trend_lies_between_0_and_1_and_is_its_parts(days: list[tuple[dict[str, float], float]]) -> None:
    """For any figures and ages, 0 <= trend <= 1, and the evidence of the signals adds up to it."""
    trend = measure([candidate(n, hours=hours, **figures) for n, (figures, hours) in enumerate(days)], NOW)
    total = sum(trend.evidence.values(), np.zeros(len(days)))
    assert np.all((trend.trend >= 0) & (trend.trend <= 1))
    np.testing.assert_allclose(trend.trend, 1 - np.exp(-total), atol=1e-12)


def test_a_rate_is_the_same_at_any_age() -> None:
    """Stars a day are not made riper for a young paper: they do not add up with time."""
    young, old = trends(candidate(1, hours=3, stars_per_day=10), candidate(2, hours=700, stars_per_day=10))
    assert young == old == pytest.approx(0.15)
