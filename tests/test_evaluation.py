"""Figures of selections against worked examples, brute force and what must hold of any."""

from __future__ import annotations

from itertools import combinations
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.model import PaperId
from digest.rank.evaluation import FEWEST, difference, interval, ndcg_at, precision_at

A, B, C, D, E = (PaperId(letter) for letter in "abcde")
LIKED = {A: True, C: True, B: False}
IDS = st.lists(st.sampled_from([PaperId(f"p{n}") for n in range(7)]), unique=True)


def test_precision_counts_liked_papers_among_the_first_k_places() -> None:
    """A dislike and a paper without a vote count alike, and so does a place that is left empty."""
    assert precision_at(3, (A, B, C, D), LIKED) == pytest.approx(2 / 3)
    assert precision_at(2, (D, B, A), LIKED) == 0
    assert precision_at(4, (A,), LIKED) == 0.25


def test_ndcg_is_the_standard_one() -> None:
    """Worked by hand: gains 0, 1, 1 at places 1 to 3, discounted by log2(place + 1), over 1, 1 at the first two."""
    ideal = 1 / log2(2) + 1 / log2(3)
    assert ndcg_at(3, (B, A, C), LIKED) == pytest.approx((1 / log2(3) + 1 / log2(4)) / ideal)
    assert ndcg_at(3, (A, C, B), LIKED) == 1
    assert ndcg_at(1, (B, A, C), LIKED) == 0
    assert ndcg_at(1, (C, B), LIKED) == 1, "with one place, one liked paper is the best there can be"


def test_ndcg_is_unknown_where_nothing_was_liked() -> None:
    """No ranking is better than another then: it is left out of means instead of counted as 0."""
    assert ndcg_at(3, (A, B), {A: False}) is None
    assert ndcg_at(3, (A, B), {}) is None


def test_a_difference_names_what_came_went_and_moved() -> None:
    """One paper that goes from the first place to the last has moved; those it passed have not."""
    found = difference((A, B, C, D), (B, C, E, A))
    assert (found.came, found.went, found.moved, found.common) == ((E,), (D,), (A,), 3)
    assert found.overlap == pytest.approx(3 / 5)
    assert not found.is_none
    assert difference((A, B), (A, B)).is_none
    assert difference((A, B), (B, A)).moved in {(A,), (B,)}
    assert difference((), ()).overlap == 1


@given(IDS, IDS)
def test_no_fewer_papers_can_have_moved(old: list[PaperId], new: list[PaperId]) -> None:
    """Without the moved ones the common papers stand in one order in both, and no larger set of them does."""
    found = difference(old, new)
    common = [paper_id for paper_id in new if paper_id in old]

    def stands(kept: tuple[PaperId, ...]) -> bool:
        return [p for p in old if p in kept] == [p for p in new if p in kept]

    kept = tuple(paper_id for paper_id in common if paper_id not in found.moved)
    assert stands(kept)
    assert not any(stands(more) for more in combinations(common, len(kept) + 1))
    assert {*found.came, *common} == set(new)
    assert {*found.went, *common} == set(old)
    assert 0 <= found.overlap <= 1


def test_an_interval_holds_the_mean_and_narrows_with_more_values() -> None:
    """Ten times the emails, about a third of the width; the same values give the same interval; few give none."""
    few = [0.0, 0.2, 0.4, 0.1, -0.2, 0.3, 0.0, 0.5]
    first, many = interval(few), interval(few * 10)
    assert first is not None
    assert many is not None
    mean = sum(few) / len(few)
    assert first[0] < many[0] < mean < many[1] < first[1]
    assert (many[1] - many[0]) / (first[1] - first[0]) == pytest.approx(10**-0.5, rel=0.15)
    assert interval(few) == first
    assert interval(few[: FEWEST - 1]) is None
