"""Some profiles' best candidates, each explained when asked for: most are never shown. Pure; made by `Ranker`.

What can be found for many profiles at once is: numpy takes as long for one short row as for a hundred.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat

import numpy as np

from digest.model import PaperId, Pick, ReasonKind, TopicWeek
from digest.rank.index import Ints
from digest.rank.prepare import Block
from digest.rank.reasons import Explainer
from digest.rank.relevance import Judged, Parts
from digest.rank.selection import Interest

_pick = partial(tuple.__new__, Pick)
"""A `Pick` of a tuple; `Pick._make` takes three times as long, and every reader has hundreds."""
_KINDS = [(kind, "") for kind in (ReasonKind.EXAMPLE, ReasonKind.VOTES, ReasonKind.AUTHOR, ReasonKind.CATEGORY)]


class Ranking:
    """The best candidates of one profile of a block; a `selection.Ranking`."""

    def __init__(
        self,
        picks: tuple[Pick, ...],
        places: Mapping[PaperId, int],
        rows: Ints,
        interests: Sequence[Interest],
        heaviest: Sequence[int],
        block: Block,
        profile: int,
        parts: Parts,
        explainer: Explainer,
        week: tuple[TopicWeek, ...],
    ):
        """`places` are those in `rows`, in `heaviest` and in `parts`; `heaviest` are those in `interests`."""
        self.picks = picks
        """Best first, ties in the order of ids; without reasons."""
        self.week = week
        """How many papers fitted each topic on the last seven days."""
        # Where nothing but the trend speaks for a paper, it has no relevance, unless the profile asks for nothing.
        self.interests = len({interests[place] for place in set(heaviest) if place}) or 1
        """How many different ones the picks with any relevance have."""
        self._places = places
        self._rows = rows
        self._interests = interests
        self._heaviest = heaviest
        self._block = block
        self._profile = profile
        self._parts = parts
        self._explainer = explainer

    def explained(self, pick: Pick) -> Pick:
        """The same with its reasons."""
        place = self._places[pick.paper_id]
        reasons = self._explainer.explain(self._block, self._profile, int(self._rows[place]), self._parts, place)
        return _pick((*pick[:4], reasons))

    def interest(self, paper_id: PaperId) -> Interest:
        """What of the profile says most for a paper: one of its topics, its examples, and so on; else its trend."""
        return self._interests[self._heaviest[self._places[paper_id]]]

    def disliked(self, paper_id: PaperId) -> bool:
        """Whether a paper is near to one that was disliked."""
        return bool(self._parts.push[:, self._places[paper_id]].any())

    def excluded(self, paper_id: PaperId) -> bool:
        """Whether a paper lost a topic to an excluded phrase."""
        row = int(self._rows[self._places[paper_id]])
        return any(row in self._block.excluded[number][1] for number in self._block.asked[self._profile].topics)


def rankings(
    ids: Sequence[PaperId],
    block: Block,
    profiles: range,
    rows: Ints,
    judged: Judged,
    explainer: Explainer,
    weeks: Sequence[TopicWeek],
) -> Iterator[Ranking]:
    """The rankings of some profiles of a block; their candidates are `rows`, of shape (profiles, candidates)."""
    score, trend = explainer.figures(judged.relevance, rows)
    # Rows are in the order of ids, by which equal scores are told apart.
    order = np.lexsort((rows, -score))
    figures = [np.take_along_axis(each, order, axis=1).tolist() for each in (score, judged.relevance, trend)]
    ordered, heaviest = np.take_along_axis(rows, order, axis=1).tolist(), judged.heaviest.tolist()
    for n, (profile, places) in enumerate(zip(profiles, order.tolist(), strict=True)):
        topics = block.asked[profile].topics
        interests = [(ReasonKind.TREND, ""), *((ReasonKind.TOPIC, block.queries[t].name) for t in topics), *_KINDS]
        hers = [ids[row] for row in ordered[n]]
        yield Ranking(
            tuple(map(_pick, zip(hers, *(each[n] for each in figures), repeat(())))),
            dict(zip(hers, places, strict=True)),
            rows[n],
            interests,
            heaviest[n],
            block,
            profile,
            judged.parts[n],
            explainer,
            tuple([weeks[number] for number in topics]),
        )
