"""What trends: figures against their day, their age and a fixed expectation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from digest.model import AnnounceType, Candidate, Remark, Says, Sighting, Signal
from digest.rank.trending import KINDS, measure
from digest.render.remarks import english
from tests.factories import NOW, paper

LONG_AGO = 24 * 365.0 * 1000
TITLE = "An invented paper whose title has just as many characters as is usual: 75 ."
USUAL = {"title": TITLE, "authors": tuple(f"Author {n}" for n in range(8))}
FIGURES = st.dictionaries(st.sampled_from([*KINDS, "x"]), st.floats(0, 1e300), max_size=4)
DAYS = st.lists(st.tuples(FIGURES, st.floats(-1000, 1e5), st.integers(1, 3)), max_size=8)


def candidate(number: int, *, hours: float = 24.0, **figures: float) -> Candidate:
    """A paper that was published so many hours before its figures were observed."""
    return observed(number, figures, hours)


def observed(
    number: int, figures: Mapping[str, float], hours: float = 24.0, sources: int = 0, **text: Any
) -> Candidate:
    """The same, announced by so many sources, with any figures and texts."""
    one = paper(number, published=NOW - timedelta(hours=hours), **{**USUAL, **text})
    seen = tuple(Sighting(f"source {n}", AnnounceType.NEW, None) for n in range(sources))
    return Candidate(one, seen, tuple(Signal(one.id, name, value, NOW) for name, value in figures.items()))


def trends(*candidates: Candidate) -> list[float]:
    return [float(trend) for trend in measure(candidates, NOW).trend]


def parts(*candidates: Candidate) -> list[str]:
    """The first candidate's parts in words."""
    return [english(remark) for remark, _ in measure(candidates, NOW).parts(0)]


# --- one figure -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*KINDS, "x"])
def test_more_of_a_figure_trends_more(name: str) -> None:
    """At one age, the order of the trend is the order of any one figure."""
    if name == "sources":
        found = trends(*(observed(n, {}, sources=n) for n in range(1, 6)))
    else:
        found = trends(*(candidate(n, **{name: value}) for n, value in enumerate([0, 1, 5, 40, 400, 40_000])))
    assert found == sorted(found)
    assert len(set(found)) == len(found)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e4), st.text(max_size=2000), st.integers(0, 5000), FIGURES)
@example(0.2, 0.7, 1e4, "long " * 400, 1, {})
def test_more_votes_never_give_less(
    few: float, more: float, hours: float, title: str, authors: int, others: dict[str, float]
) -> None:
    """Whatever the paper's age, title, authors and other figures."""
    less, greater = (
        trends(observed(1, {**others, "upvotes": votes}, hours, title=title, authors=("A. Example",) * authors))[0]
        for votes in sorted((few, more))
    )
    assert less <= greater + 1e-12


def test_a_usual_figure_gives_half_of_its_weight() -> None:
    """A usual paper alone with its kind's usual votes, long ago, gets half of what upvotes can give."""
    assert trends(candidate(1, hours=LONG_AGO, upvotes=12)) == pytest.approx([0.45])
    assert trends(candidate(1, hours=3, stars_per_day=14)) == pytest.approx([0.15])


def test_the_latest_figure_counts() -> None:
    """Of two observations of one figure the later one is true, whatever their order."""
    one = paper(1)
    early, late = Signal(one.id, "upvotes", 5, NOW - timedelta(hours=5)), Signal(one.id, "upvotes", 9, NOW)
    for signals in ((late, early), (early, late)):
        assert measure((Candidate(one, (), signals),), NOW).values == ({"upvotes": 9},)


def test_figures_that_are_no_counts_are_left_out() -> None:
    """Negative, infinite and undefined figures change nothing, also for the day's other papers."""
    odd = [candidate(1, upvotes=-3), candidate(2, upvotes=math.inf), candidate(3, upvotes=math.nan)]
    assert trends(*odd) == [0, 0, 0]
    assert trends(candidate(4, upvotes=9), *odd)[0] == trends(candidate(4, upvotes=9))[0]


# --- age ------------------------------------------------------------------------------------------------------------


def test_a_young_paper_s_votes_weigh_more() -> None:
    """Ten votes in three hours beat forty in three days, alone and among papers that are usual for their age."""
    young, old = candidate(1, hours=3, upvotes=10), candidate(2, hours=72, upvotes=40)
    others = [candidate(10 + n, hours=(3, 72)[n % 2], upvotes=(2, 10)[n % 2]) for n in range(20)]
    for found in (trends(young, old), trends(young, old, *others)):
        assert found[0] > found[1]
    assert trends(candidate(1, hours=24, upvotes=10), old)[0] < trends(young, old)[1]


def test_one_vote_at_birth_does_not_beat_a_hit() -> None:
    """Thin evidence is shrunk: one vote in the first minutes is no more than usual, and far from a hundred in a day."""
    born, hit = trends(candidate(1, hours=0.1, upvotes=1), candidate(2, hours=24, upvotes=100))
    assert born < 0.45 < hit - 0.1


def test_growth_is_believed_as_far_as_there_are_votes() -> None:
    """What youth adds to the log of a figure is less for one vote than for ten, and less for ten than for a hundred."""

    def gain(votes: int) -> float:
        young, old = trends(candidate(1, hours=8, upvotes=votes), candidate(2, hours=LONG_AGO, upvotes=votes))
        log_young, log_old = (math.sqrt(part / 0.9 / (1 - part / 0.9)) * math.log1p(12) for part in (young, old))
        return log_young - log_old

    assert gain(1) < 0.8 * gain(10) < 0.8 * gain(100) < 0.8 * 1.01 * math.log(20 / 8)


def test_the_last_announcement_as_new_starts_the_clock() -> None:
    """A paper put up long ago and listed today is young to those who vote; a new version of it is not."""
    old = candidate(1, hours=2000, upvotes=10)

    def seen(*sightings: tuple[AnnounceType, date | None]) -> float:
        return trends(replace(old, sightings=tuple(Sighting("s", how, day) for how, day in sightings)))[0]

    today, before, later = date(2026, 6, 9), date(2026, 6, 2), date(2026, 6, 11)
    new, again = AnnounceType.NEW, AnnounceType.REPLACE
    assert seen((new, today)) > seen((new, before)) > trends(old)[0]
    assert seen((new, before), (new, today)) == seen((new, today))
    assert seen((again, today), (new, None), (new, later)) == trends(old)[0]


def test_citations_count_from_publication_and_by_the_month() -> None:
    """One citation in the first month is as much as ten in many years, whenever the paper was listed."""
    early, late = candidate(1, hours=24 * 30, citations=1), candidate(2, hours=LONG_AGO, citations=10)
    assert trends(early) == pytest.approx(trends(late), rel=0.02)
    older = candidate(1, hours=24 * 300, citations=1)
    assert trends(older) < trends(early)
    assert trends(replace(older, sightings=(Sighting("feed", AnnounceType.NEW, NOW.date()),))) == trends(older)


@pytest.mark.parametrize("name", ["stars", "stars_per_day", "points"])
def test_what_does_not_grow_with_the_paper_is_the_same_at_any_age(name: str) -> None:
    """A repository and a story have ages of their own."""
    young, old = candidate(1, hours=3, **{name: 10}), candidate(2, hours=700, **{name: 10})
    assert trends(young) == trends(old)


# --- the day --------------------------------------------------------------------------------------------------------


def test_a_busy_day_raises_the_bar() -> None:
    """The same votes trend less on a day when everyone has many."""
    quiet = trends(candidate(0, upvotes=30), *(candidate(n, upvotes=3) for n in range(1, 40)))
    busy = trends(candidate(0, upvotes=30), *(candidate(n, upvotes=300) for n in range(1, 40)))
    assert quiet[0] > busy[0] + 0.05


def test_a_list_of_few_papers_says_little_of_what_is_usual() -> None:
    """One neighbour, however popular, moves a trend by less than a hundredth; two hundred move it ten times as far."""
    alone = trends(candidate(0, upvotes=30))[0]
    with_one, with_many = (
        trends(candidate(0, upvotes=30), *(candidate(n, upvotes=3000) for n in range(1, count + 1)))[0]
        for count in (1, 200)
    )
    assert 0 < alone - with_one < 0.01
    assert alone - with_many > 10 * (alone - with_one)


def test_other_days_do_not_count() -> None:
    """A paper's trend is the same in a daily edition and in a weekly one that holds its day."""
    today = [candidate(n, hours=2, upvotes=n) for n in range(1, 5)]
    earlier = [candidate(n, hours=24 * n, upvotes=1000) for n in range(5, 9)]
    assert trends(*today, *earlier)[:4] == trends(*today)


# --- authors, title, sources ----------------------------------------------------------------------------------------


def test_many_authors_and_a_short_title_raise_what_votes_will_become() -> None:
    """They say something of votes to come, and nothing of a paper without votes."""

    def with_text(votes: int, **text: Any) -> float:
        return trends(observed(1, {"upvotes": votes}, 8, **text))[0]

    plain = with_text(10)
    assert with_text(10, authors=("A. Example",) * 50) > plain > with_text(10, authors=("A. Example",))
    assert with_text(10, title="Short") > plain > with_text(10, title=TITLE * 2)
    assert with_text(10, authors=()) == plain
    assert with_text(0, authors=("A. Example",) * 50, title="Short") == 0


def test_more_sources_trend_more() -> None:
    """The first source is no evidence; each further one is; the same source twice counts once."""
    none, one, two, three = trends(*(observed(n, {}, sources=n) for n in range(4)))
    assert none == one == 0
    assert two == pytest.approx(0.1, abs=0.001)
    assert two + 0.03 < three < 0.2
    twice = observed(1, {}, sources=1)
    assert trends(replace(twice, sightings=twice.sightings * 2)) == [0]


# --- all figures together -------------------------------------------------------------------------------------------


def test_no_figure_is_no_trend_and_no_votes_are_none_either() -> None:
    """Neither a missing figure nor a zero helps a paper, or harms what other figures give it."""
    silent, zero, starred, both = trends(
        candidate(1), candidate(2, upvotes=0), candidate(3, stars=50), candidate(4, stars=50, upvotes=0)
    )
    assert silent == zero == 0
    assert starred == both > 0


def test_a_missing_figure_changes_nothing_for_others() -> None:
    """Papers without a figure do not lower what is usual of it."""
    alone, among = trends(candidate(1, upvotes=9)), trends(candidate(1, upvotes=9), *map(candidate, range(2, 99)))
    assert among[0] == alone[0]


@given(DAYS)
def test_trend_lies_between_0_and_1_and_is_its_parts(days: list[tuple[dict[str, float], float, int]]) -> None:
    """For any figures, ages and sources, 0 <= trend <= 1, and the parts in words add up to it."""
    some = [observed(n, figures, hours, of) for n, (figures, hours, of) in enumerate(days)]
    trend = measure(some, NOW)
    assert np.all((trend.trend >= 0) & (trend.trend <= 1))
    for row, value in enumerate(trend.trend):
        told = [part for _, part in trend.parts(row)]
        assert all(part >= 0 for part in told)
        assert 1 - math.exp(-sum(told)) == pytest.approx(value, abs=1e-12)


@given(DAYS, st.randoms())
def test_the_order_of_candidates_does_not_matter(
    days: list[tuple[dict[str, float], float, int]], random: Random
) -> None:
    """Each paper has the same trend wherever it stands."""
    some = [observed(n, figures, hours, of) for n, (figures, hours, of) in enumerate(days)]
    order = list(range(len(some)))
    random.shuffle(order)
    shuffled = trends(*(some[row] for row in order))
    assert shuffled == pytest.approx([trends(*some)[row] for row in order], abs=1e-12)


# --- in words -------------------------------------------------------------------------------------------------------


def test_parts_are_worded() -> None:
    """As people say it: singular, thousands, a rate, the number of sources; what gives nothing is not told."""
    assert parts(candidate(1, upvotes=1412)) == ["1,412 upvotes"]
    assert parts(candidate(1, upvotes=1, stars=0)) == ["1 upvote"]
    assert parts(candidate(1, stars_per_day=12.5)) == ["12.5 stars a day"]
    assert parts(observed(1, {}, sources=3)) == ["announced by 3 sources"]


def test_what_is_missing_is_named_where_others_have_it() -> None:
    """A paper of which nothing is known says so, with no evidence; not where nothing is known of any."""
    others = candidate(2, upvotes=3, stars=2), observed(3, {}, sources=2)
    assert measure((candidate(1), *others), NOW).parts(0) == ((Remark(Says.NO_SIGNAL, ("stars", "upvotes")), 0.0),)
    assert parts(observed(1, {}, sources=1), others[0]) == ["no stars or upvotes known"]
    assert parts(candidate(1), others[1]) == []
    assert parts(candidate(1), candidate(2)) == []
