"""One profile's best candidates, each explained when asked for: most are never shown. Pure; made by `Ranker`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import repeat

import numpy as np

from digest.model import Candidate, PaperId, Pick, ReasonKind, TopicWeek
from digest.rank.prepare import Block
from digest.rank.reasons import Explainer
from digest.rank.relevance import Parts
from digest.rank.selection import Interest


class Ranking:
    """The best candidates of one profile of a block; a `selection.Ranking`."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        rows: Sequence[int],
        block: Block,
        profile: int,
        parts: Parts,
        explainer: Explainer,
        week: tuple[TopicWeek, ...],
    ):
        self.week = week
        """How many papers fitted each topic on the last seven days."""
        self._rows = rows
        self._block = block
        self._profile = profile
        self._parts = parts
        self._explainer = explainer
        score, relevance, trend = explainer.figures(parts, rows)
        # Rows are in the order of ids, by which equal scores are told apart.
        order = np.lexsort((np.array(rows), -score))
        self._places: dict[PaperId, int] = {candidates[rows[place]].paper.id: place for place in order.tolist()}
        figures = (score[order].tolist(), relevance[order].tolist(), trend[order].tolist())
        self.picks = tuple(map(Pick._make, zip(self._places, *figures, repeat(()))))
        """Best first, ties in the order of ids; without reasons."""

    def explained(self, pick: Pick) -> Pick:
        """The same with its reasons."""
        place = self._places[pick.paper_id]
        reasons = self._explainer.explain(self._block, self._profile, self._rows[place], self._parts, place)
        return pick._replace(reasons=reasons)

    def interest(self, paper_id: PaperId) -> Interest:
        """What of the profile says most for a paper: one of its topics, its examples, and so on."""
        return self._interests[self._places[paper_id]]

    def disliked(self, paper_id: PaperId) -> bool:
        """Whether a paper is near to one that was disliked."""
        return bool(self._parts.push[:, self._places[paper_id]].any())

    def excluded(self, paper_id: PaperId) -> bool:
        """Whether a paper lost a topic to an excluded phrase."""
        row = self._rows[self._places[paper_id]]
        return any(row in self._block.excluded[number][1] for number in self._block.asked[self._profile].topics)

    @cached_property
    def _interests(self) -> list[Interest]:
        """Of each row the heaviest interest; trend if none says anything."""
        asked = self._block.asked[self._profile]
        votes = np.array([number in asked.liked for number in asked.examples.tolist()], bool)
        parts = self._parts
        heaviest = np.vstack(
            [
                np.zeros(len(self._rows)),
                *parts.topics,
                parts.examples[~votes].sum(axis=0),
                parts.examples[votes].sum(axis=0),
                parts.authors,
                parts.categories,
            ]
        ).argmax(axis=0)
        topics = [(ReasonKind.TOPIC, self._block.queries[number].name) for number in asked.topics]
        kinds = [(kind, "") for kind in (ReasonKind.EXAMPLE, ReasonKind.VOTES, ReasonKind.AUTHOR, ReasonKind.CATEGORY)]
        interests: list[Interest] = [(ReasonKind.TREND, ""), *topics, *kinds]
        return [interests[number] for number in heaviest.tolist()]
