"""Ranks one set of candidates for any number of profiles. Pure: values and a clock in, values out.

Called by an edition and by the batch form of `digest rank`. The documents are read once, when a `Ranker` is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from digest.model import Candidate, Paper, PaperId, Pick, Profile
from digest.rank.best import best
from digest.rank.embedding import Embed
from digest.rank.index import Floats32, Index, Ints
from digest.rank.prepare import Block
from digest.rank.ranking import Ranking, rankings
from digest.rank.reasons import Explainer
from digest.rank.relevance import Evidence, Relevance
from digest.rank.selection import CLOSE
from digest.rank.trending import measure

BLOCK = 128
DENSE_ENTRIES = 4_000_000
NAMED = 2_000
"""Profiles are scored in blocks of at most BLOCK; of fewer where there are many candidates, or many papers named."""
JUDGED = 50_000
"""Pairs of profile and candidate that are looked at together in more detail: by the hundred bytes each."""


class Ranker:
    """Scores candidates: score = (1 - trend_weight) · relevance + trend_weight · trend, all between 0 and 1.

    `known` holds the papers that profiles name; one that nobody knows is passed over. `background` are papers of other
    days, each `published` when it came; a candidate that is not among them came `now`. Together they tell which words
    are common, and what the week had on a topic. `embed`, where there is one, makes the sentence vectors with which
    topics are met by meaning too; it is asked only if a profile has a topic.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        known: Mapping[PaperId, Paper] | None = None,
        background: Iterable[Paper] = (),
        trend_weight: float = 0.3,
        embed: Embed | None = None,
        now: datetime,
    ):
        distinct = {candidate.paper.id: candidate for candidate in reversed(candidates)}
        # In the order of ids, so that of equal scores the first row is the first id.
        self._candidates = tuple(distinct[paper_id] for paper_id in sorted(distinct))
        papers = {candidate.paper.id: replace(candidate.paper, published=now) for candidate in self._candidates}
        for paper in background:
            known_as = papers.get(paper.id)
            papers[paper.id] = replace(known_as, published=paper.published) if known_as else paper
        documents = tuple(papers.values())
        others = tuple(paper for paper_id, paper in (known or {}).items() if paper_id not in papers)
        self._trend_weight = trend_weight
        self._trend = measure(self._candidates, now)
        index = Index(documents)
        self._relevance = Relevance(index, documents, others, len(self._candidates), embed, now)
        self._vectors = index.papers.vectors[: len(self._candidates)]
        self._by_word = self._vectors.T.tocsr()
        self.papers: Sequence[PaperId] = tuple(candidate.paper.id for candidate in self._candidates)
        """The candidates' ids, in order."""
        self._rows = {paper_id: row for row, paper_id in enumerate(self.papers)}
        self._close: dict[PaperId, dict[PaperId, float]] = {}
        self._explainer = Explainer((*documents, *others), self._relevance, self._trend, trend_weight)
        self._trends = (trend_weight * self._trend.trend).astype(np.float32)

    def prime(self) -> None:
        """Finds out now what is else found out for the first topic or example: it takes seconds."""
        self._relevance.prime()

    def rank(self, profiles: Iterable[Profile], top: int = 0) -> Iterator[tuple[Pick, ...]]:
        """Yield for each profile its best `top` candidates, or all for 0, best first, each with its reasons."""
        for ranking in self.rankings(profiles, top):
            yield tuple(map(ranking.explained, ranking.picks))

    def rankings(self, profiles: Iterable[Profile], top: int = 0) -> Iterator[Ranking]:
        """The same, explained only where asked for. Equal profiles are scored once."""
        numbers: dict[Profile, int] = {}  # it takes long to hash a profile: it is done once
        asked = [numbers.setdefault(profile, len(numbers)) for profile in profiles]
        left = Counter(asked)
        shared: dict[int, Ranking] = {}
        found = self._rankings(numbers, top)
        for number in asked:
            left[number] -= 1
            if number not in shared:
                shared[number] = next(found)
            yield shared[number] if left[number] else shared.pop(number)

    def prepare(self, profiles: Iterable[Profile]) -> Iterator[Block]:
        """What does not depend on the candidates, for `top`: blocks of profiles, in their order."""
        most = max(1, min(BLOCK, DENSE_ENTRIES // max(len(self._candidates), 1)))
        some: list[Profile] = []
        named = 0
        for profile in profiles:
            names = len(profile.examples) + len(profile.liked)
            if some and (len(some) == most or named + names > NAMED):
                yield self._relevance.prepare(some)
                some, named = [], 0
            some.append(profile)
            named += names
        if some:
            yield self._relevance.prepare(some)

    def top(self, block: Block, count: int) -> tuple[Ints, Floats32]:
        """Each profile's best `count` candidates, as places in `papers`, and their scores; nothing is explained.

        Ties are in the order of ids. Shapes (profiles, count), or (profiles, candidates) if there are fewer.
        """
        return self._best(self._relevance.score(block), count)

    def trending(self, count: int) -> tuple[Pick, ...]:
        """The candidates that trend most, best first, for whoever has nothing to say of them; ties by id."""
        trends = self._trend.trend
        order = np.lexsort((np.arange(len(trends)), -trends))[:count].tolist()
        return tuple(
            Pick(self._candidates[row].paper.id, trend, 0.0, trend, self._explainer.trend(row))
            for row, trend in zip(order, trends[order].tolist(), strict=True)
            if trend > 0
        )

    def close_to(self, paper_id: PaperId) -> Mapping[PaperId, float]:
        """The cosines of a candidate's words to those of all other candidates that are close to it (`CLOSE`).

        Found when first asked for: a selection asks for its picks alone, and many share their picks.
        """
        if paper_id not in self._close:
            row = self._rows[paper_id]
            cosines = (self._vectors[row] @ self._by_word).tocoo()
            self._close[paper_id] = {
                self._candidates[other].paper.id: cosine
                for other, cosine in zip(cosines.col.tolist(), cosines.data.tolist(), strict=True)
                if cosine >= CLOSE and other != row
            }
        return self._close[paper_id]

    def _best(self, evidence: Evidence, count: int) -> tuple[Ints, Floats32]:
        scores = evidence.relevance * np.float32(1 - self._trend_weight)
        scores += self._trends
        columns = best(scores, count)
        return columns, np.take_along_axis(scores, columns, axis=1)

    def _rankings(self, profiles: Iterable[Profile], top: int) -> Iterator[Ranking]:
        for block in self.prepare(profiles):
            evidence = self._relevance.score(block)
            rows, _ = self._best(evidence, top or len(self._candidates))
            weeks = self._relevance.weeks(evidence)
            at_once = max(1, JUDGED // max(rows.shape[1], 1))
            for first in range(0, len(rows), at_once):
                some = range(first, min(first + at_once, len(rows)))
                judged = self._relevance.judge(evidence, some, rows[some])
                yield from rankings(self.papers, block, some, rows[some], judged, self._explainer, weeks)
