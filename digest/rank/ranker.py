"""Ranks one set of candidates for any number of profiles. Pure: values and a clock in, values out.

Called by an edition and by the batch form of `digest rank`. The documents are read once, when a `Ranker` is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice

import numpy as np

from digest.model import Candidate, Paper, PaperId, Pick, Profile
from digest.rank.embedding import Embed
from digest.rank.index import Index
from digest.rank.reasons import Explainer
from digest.rank.relevance import Evidence, Relevance
from digest.rank.selection import CLOSE
from digest.rank.trending import measure

BLOCK = 64
DENSE_ENTRIES = 4_000_000
"""Profiles are scored in blocks of at most BLOCK, fewer where there are many candidates."""


class Ranker:
    """Scores candidates: score = (1 - trend_weight) · relevance + trend_weight · trend, all between 0 and 1.

    `known` holds the papers that profiles name; one that nobody knows is passed over. `background` are papers of other
    days: with the candidates, they tell which words are common. `embed`, where there is one, makes the sentence vectors
    with which topics are met by meaning too; it is asked only if a profile has a topic.
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
        self._candidates = tuple(reversed(distinct.values()))
        papers = {candidate.paper.id: candidate.paper for candidate in self._candidates}
        for paper in background:
            papers.setdefault(paper.id, paper)
        documents = tuple(papers.values())
        others = tuple(paper for paper_id, paper in (known or {}).items() if paper_id not in papers)
        self._trend_weight = trend_weight
        self._trend = measure(self._candidates, now)
        index = Index(documents)
        self._relevance = Relevance(index, documents, others, len(self._candidates), embed, now)
        self._vectors = index.papers.vectors[: len(self._candidates)]
        self._by_word = self._vectors.T.tocsr()
        self._rows = {candidate.paper.id: row for row, candidate in enumerate(self._candidates)}
        self._close: dict[PaperId, dict[PaperId, float]] = {}
        self._explainer = Explainer((*documents, *others), self._relevance, self._trend, trend_weight)
        by_id = sorted(range(len(self._candidates)), key=lambda row: self._candidates[row].paper.id)
        self._tie = np.argsort(by_id)

    def rank(self, profiles: Iterable[Profile], top: int = 0) -> Iterator[tuple[Pick, ...]]:
        """Yield for each profile its best `top` candidates, or all for 0, best first; ties in the order of ids.

        Reasons are made for what is returned only. Equal profiles are scored once.
        """
        asked = tuple(profiles)
        left = Counter(asked)
        shared: dict[Profile, tuple[Pick, ...]] = {}
        scored = self._score(iter(left))
        for profile in asked:
            left[profile] -= 1
            if profile not in shared:
                shared[profile] = self._picks(next(scored), top)
            yield shared[profile] if left[profile] else shared.pop(profile)

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

    def _score(self, profiles: Iterator[Profile]) -> Iterator[Evidence]:
        block = max(1, min(BLOCK, DENSE_ENTRIES // max(len(self._candidates), 1)))
        while some := tuple(islice(profiles, block)):
            yield from self._relevance.score(some)

    def _picks(self, evidence: Evidence, top: int) -> tuple[Pick, ...]:
        relevance = evidence.relevance
        score = (1 - self._trend_weight) * relevance + self._trend_weight * self._trend.trend
        order = np.lexsort((self._tie, -score))
        rows = (order[:top] if top else order).tolist()
        return tuple(
            Pick(
                self._candidates[row].paper.id,
                float(score[row]),
                float(relevance[row]),
                float(self._trend.trend[row]),
                reasons,
            )
            for row, reasons in zip(rows, self._explainer.explain(evidence, rows), strict=True)
        )
