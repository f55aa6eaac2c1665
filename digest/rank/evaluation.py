"""How good a selection was by what its reader said of it afterwards, and how two selections differ. Pure.

Called by `digest/past.py`. Only papers that somebody was shown have votes: a paper without one counts as not relevant,
as is usual, so that a selection which brings other papers than those that were sent looks worse than it is.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from digest.model import PaperId

RESAMPLES = 2000
"""How many samples an interval is taken from: its ends then hardly hang on the seed."""
FEWEST = 5
"""Of fewer values no interval is given: it would promise what so few cannot tell."""

Liked = Mapping[PaperId, bool]
"""What was said of papers: whether each was liked."""


def precision_at(k: int, ranking: Sequence[PaperId], liked: Liked) -> float:
    """The share of the first k places that papers have which were liked; a place without a paper counts as a miss.

    Manning, Raghavan and Schütze, "Introduction to Information Retrieval" (2008), section 8.4.
    """
    return sum(liked.get(paper_id, False) for paper_id in ranking[:k]) / k


def ndcg_at(k: int, ranking: Sequence[PaperId], liked: Liked) -> float | None:
    """The discounted gain of the first k places over the best that there could be; None where nothing was liked.

    A liked paper gains 1, any other 0; the gain at place i is divided by log2(i + 1). Järvelin and Kekäläinen,
    "Cumulated gain-based evaluation of IR techniques" (ACM TOIS 20(4), 2002), with the discount that is usual since
    Burges et al. (2005), which also discounts the second place.
    """
    best = sum(_discount(place) for place in range(1, min(k, sum(liked.values())) + 1))
    if not best:
        return None
    gained = (_discount(place) for place, paper_id in enumerate(ranking[:k], 1) if liked.get(paper_id))
    return math.fsum(gained) / best


def _discount(place: int) -> float:
    return 1 / math.log2(place + 1)


@dataclass(frozen=True, slots=True)
class Difference:
    """What became of one selection in another."""

    came: tuple[PaperId, ...]
    """Only the new one has them; in its order."""
    went: tuple[PaperId, ...]
    """Only the old one had them; in its order."""
    moved: tuple[PaperId, ...]
    """Of those in both, the fewest that must change their place for the others to stand in the old order."""
    common: int

    @property
    def is_none(self) -> bool:
        """Whether both are the same."""
        return not (self.came or self.went or self.moved)

    @property
    def overlap(self) -> float:
        """The papers in both over the papers in either (Jaccard); 1 where both are empty."""
        either = self.common + len(self.came) + len(self.went)
        return self.common / either if either else 1.0


def difference(old: Sequence[PaperId], new: Sequence[PaperId]) -> Difference:
    """Compare two selections, each without repetition, best first."""
    places = {paper_id: place for place, paper_id in enumerate(old)}
    common = [paper_id for paper_id in new if paper_id in places]
    kept = _longest_rising([places[paper_id] for paper_id in common])
    return Difference(
        tuple(paper_id for paper_id in new if paper_id not in places),
        tuple(paper_id for paper_id in old if paper_id not in set(new)),
        tuple(paper_id for paper_id in common if places[paper_id] not in kept),
        len(common),
    )


def _longest_rising(places: Sequence[int]) -> frozenset[int]:
    """A longest rising subsequence of distinct numbers (patience sorting, Fredman 1975)."""
    ends: list[int] = []
    before: dict[int, int | None] = {}
    for place in places:
        at = bisect_left(ends, place)
        before[place] = ends[at - 1] if at else None
        ends[at : at + 1] = [place]
    rising = []
    last = ends[-1] if ends else None
    while last is not None:
        rising.append(last)
        last = before[last]
    return frozenset(rising)


def interval(values: Sequence[float], seed: int = 1) -> tuple[float, float] | None:
    """Where the mean of such values lies, with 95 % confidence; None for fewer than FEWEST. The same every time.

    The percentile bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13): the values
    are drawn as if none had to do with another. Several of one reader do: with few readers it is too narrow.
    """
    if len(values) < FEWEST:
        return None
    draw, measured = np.random.default_rng(seed), np.asarray(values)
    means = [float(draw.choice(measured, len(measured)).mean()) for _ in range(RESAMPLES)]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
