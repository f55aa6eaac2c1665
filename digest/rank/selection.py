"""Which papers of a ranking one subscriber gets, and which only just not. Pure; called once for each delivery.

A paper may come in if its relevance is at least `min_relevance` and above 0, and if neither it nor a near-duplicate was
sent before or is in. Of those, at most `papers` come in:

1. A floor: each interest that has anything to offer gets one place, the interest with the best paper first. A paper's
   interest is what of the profile says most for it: each topic is one, example papers are one, and so on.
2. The other places go to the best by score - CLOSENESS_COST · (cosine - CLOSE), with the cosine to the closest paper
   that is in, where that is above CLOSE. This is maximal marginal relevance (Carbonell and Goldstein, "The use of MMR",
   1998), except that papers which merely share a field do not stand in each other's way.
3. At most one place, the last, is an exploration: see `_Choice.explore`. It says so in a reason of weight 0.

Diversity decides who is in, the score in which order; an exploration comes last. Of near-duplicates the one with the
better score stays. Being nearly the same as a paper that is not in costs nothing: near-duplicates need no groups.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Protocol

from digest.model import (
    Candidate,
    NearMiss,
    Paper,
    PaperId,
    Pick,
    Reason,
    ReasonKind,
    Remark,
    Says,
    Selection,
    TopicWeek,
)
from digest.rank.text import short_title

NEAR_MISSES = 3
CLOSE = 0.35
"""The cosine of two papers' words (`Ranker.close_to`) from which they are close: a day's listing has hardly any such.

With this and the next figure nDCG@10 on nine recorded sets falls by at most 0.008, near-duplicates counted in; with
0.2 it falls by 0.016 on one of them (`tests/bench/selection.py`)."""
CLOSENESS_COST = 0.3
EXPLORING_PLACES, EXPLORING_PICKS = 6, 3
"""How many places a list must have, and how many other picks, for one place to be an exploration."""
TRENDING = 0.3
"""The least trend of a paper that is said to trend."""
TRENDING_SHOWN, TRENDING_CLEARLY = 3, 0.6
"""At most so many of what trends besides the picks, and the least trend: the usual figures of a day give some 0.5."""

CloseTo = Callable[[PaperId], Mapping[PaperId, float]]
Interest = tuple[ReasonKind, str]
"""A kind of reason and, of a topic, its name."""


class Ranking(Protocol):
    """What `select` must know of a profile's best candidates."""

    @property
    def picks(self) -> Sequence[Pick]:
        """Best first, ties by id; without reasons."""

    @property
    def week(self) -> tuple[TopicWeek, ...]:
        """How many papers fitted each topic on the last seven days."""

    def explained(self, pick: Pick) -> Pick:
        """The same with its reasons."""

    def interest(self, paper_id: PaperId) -> Interest:
        """What of the profile says most for a paper."""

    @property
    def interests(self) -> int:
        """How many different ones the picks with any relevance have."""

    def disliked(self, paper_id: PaperId) -> bool:
        """Whether a paper is near to one that was disliked."""

    def excluded(self, paper_id: PaperId) -> bool:
        """Whether a paper lost a topic to an excluded phrase."""


def select(
    ranking: Ranking,
    candidates: Mapping[PaperId, Candidate],
    already_sent: Mapping[PaperId, date | None],
    *,
    papers: int,
    min_relevance: float,
    duplicates: Mapping[PaperId, Sequence[Paper]],
    close_to: CloseTo,
    explore: bool = False,
    turn: int = 0,
    trending: Sequence[Pick] = (),
) -> Selection:
    """Choose at most `papers` picks, best first, and up to `NEAR_MISSES` that missed. Ties go by paper id.

    `already_sent`: what she has, and of which day; None where it is by her own profile. `duplicates`: for each
    candidate its near-duplicates, candidates and others. `close_to`: for a candidate the cosines of the others, at
    least those above CLOSE. `turn`: the edition's number, so that explorations take turns. `trending`: what trends most
    of all candidates, best first, with reasons.
    """
    choice = _Choice(ranking, candidates, already_sent, papers, min_relevance, duplicates, close_to)
    choice.consider()
    choice.fill()
    if explore:
        choice.explore(turn)
    picks = [ranking.explained(pick) for pick in sorted(choice.picks.values(), key=_rank)]
    if choice.exploration:
        picks.append(choice.exploration)
    return Selection(
        tuple(picks),
        tuple(islice(choice.near_misses(), NEAR_MISSES)),
        tuple(islice(choice.trending(trending), TRENDING_SHOWN)),
        week=ranking.week,
    )


@dataclass(slots=True)
class _Choice:
    """One subscriber's picks while they are made, and what they mean for the other papers."""

    ranking: Ranking
    candidates: Mapping[PaperId, Candidate]
    already_sent: Mapping[PaperId, date | None]
    papers: int
    min_relevance: float
    duplicates: Mapping[PaperId, Sequence[Paper]]
    close_to: CloseTo
    met: list[tuple[Pick, Paper]] = field(default_factory=list)
    """What is nearly the same as a paper that she has, with that paper; relevant or not."""
    fresh: list[Pick] = field(default_factory=list)
    """All that is new to her, best first."""
    eligible: list[Pick] = field(default_factory=list)
    """What of it is relevant enough."""
    picks: dict[PaperId, Pick] = field(default_factory=dict)
    interests: dict[Interest, PaperId] = field(default_factory=dict)
    """Each interest that has a place by the floor, and its pick."""
    doubles: dict[PaperId, PaperId] = field(default_factory=dict)
    """What is nearly the same as a pick, and that pick."""
    costs: dict[PaperId, tuple[float, PaperId]] = field(default_factory=dict)
    """What closeness to a pick costs, and to which: the highest."""
    exploration: Pick | None = None
    displaced: PaperId | None = None

    def consider(self) -> None:
        """Sorts out what she has and what is not relevant enough."""
        if self.already_sent:
            self.fresh = [pick for pick in self.ranking.picks if not self._has(pick)]
        else:
            self.fresh = list(self.ranking.picks)
        least = self.min_relevance
        self.eligible = [pick for pick in self.fresh if 0 < pick.relevance >= least]

    def _has(self, pick: Pick) -> bool:
        """Whether she has a paper, or nearly the same one."""
        if pick.paper_id in self.already_sent:
            return True
        for paper in self.duplicates.get(pick.paper_id, ()):
            if paper.id in self.already_sent:
                self.met.append((pick, paper))
                return True
        return False

    def _relevant(self, pick: Pick) -> bool:
        return 0 < pick.relevance >= self.min_relevance

    def fill(self) -> None:
        """First the floor, then the best by score and distance."""
        interest_of, interests, there_are = self.ranking.interest, self.interests, self.ranking.interests
        for pick in self.eligible:
            if len(interests) == there_are:
                break  # no later pick has another
            if (interest := interest_of(pick.paper_id)) not in interests and pick.paper_id not in self.doubles:
                if len(self.picks) == self.papers:
                    return
                interests[interest] = pick.paper_id
                self._take(pick)
        left = [pick for pick in self.eligible if pick.paper_id not in self.picks]
        while len(self.picks) < self.papers and (place := self._best(left)) is not None:
            self._take(left.pop(place))

    def _take(self, pick: Pick) -> None:
        self.picks[pick.paper_id] = pick
        for paper in self.duplicates.get(pick.paper_id, ()):
            self.doubles.setdefault(paper.id, pick.paper_id)
        for paper_id, cosine in self.close_to(pick.paper_id).items():
            cost = CLOSENESS_COST * (cosine - CLOSE)
            if cost > self._cost(paper_id):
                self.costs[paper_id] = cost, pick.paper_id

    def _cost(self, paper_id: PaperId) -> float:
        return self.costs[paper_id][0] if paper_id in self.costs else 0.0

    def _best(self, left: Sequence[Pick]) -> int | None:
        """The place of the best that is no double, by score and distance."""
        best, worth = None, float("-inf")
        for place, pick in enumerate(left):
            if pick.score <= worth:
                break  # no later one can be worth more than its score
            if pick.paper_id not in self.doubles:
                value = pick.score - self._cost(pick.paper_id)
                if value > worth:
                    best, worth = place, value
        return best

    def explore(self, turn: int) -> None:
        """Gives the last place, if the list is full, to a paper that may teach what the profile does not say.

        Where there are more interests than places, the one that has the last place and those that have none take
        turns. Else it is the paper that trends most of those with at least half of the relevance that is asked for; it
        must do so more than most of the ranking, a dislike must not have pushed it down, and no interest gives up its
        only place for it.
        """
        if self.papers < EXPLORING_PLACES or len(self.picks) < EXPLORING_PICKS:
            return
        full = len(self.picks) == self.papers
        if len(self.interests) == self.papers and (waiting := self._waiting()):
            if place := turn % (len(waiting) + 1):
                self._explore(waiting[place - 1], Says.INTEREST_WAITED, next(reversed(self.picks)))
        elif trending := self._trending():
            alone = set(self.interests.values())
            spare = [pick.paper_id for pick in self.eligible if pick.paper_id in self.picks.keys() - alone]
            if spare or not full:
                self._explore(trending, Says.JUST_UNDER, spare[-1] if full else None)

    def trending(self, ordered: Sequence[Pick]) -> Iterator[Pick]:
        """What trends clearly, whatever it is about; nothing that she has or gets, or that her profile turns down."""
        clearly = [pick for pick in ordered if pick.trend >= TRENDING_CLEARLY]
        if not clearly:
            return
        taken = {*self.picks, *self.doubles, *self.already_sent, *(pick.paper_id for pick, _ in self.met)}
        if self.exploration:
            taken.add(self.exploration.paper_id)
        ranked = {pick.paper_id for pick in self.ranking.picks}
        for pick in clearly:
            same = {pick.paper_id, *(paper.id for paper in self.duplicates.get(pick.paper_id, ()))}
            if taken.isdisjoint(same) and not (pick.paper_id in ranked and self._turned_down(pick.paper_id)):
                taken.add(pick.paper_id)
                yield pick

    def _turned_down(self, paper_id: PaperId) -> bool:
        return self.ranking.disliked(paper_id) or self.ranking.excluded(paper_id)

    def _waiting(self) -> list[Pick]:
        """The best paper of each interest that has no place, best first."""
        waiting: dict[Interest, Pick] = {}
        for pick in self.eligible:
            interest = self.ranking.interest(pick.paper_id)
            if pick.paper_id not in self.doubles and interest not in self.interests:
                waiting.setdefault(interest, pick)
        return list(waiting.values())

    def _trending(self) -> Pick | None:
        near = [
            pick
            for pick in self.fresh
            if self._just_under(pick)
            and pick.trend >= TRENDING
            and pick.paper_id not in self.doubles
            and not self.ranking.disliked(pick.paper_id)
        ]
        best = min(near, key=lambda pick: (-pick.trend, pick.paper_id), default=None)
        usual = statistics.median(pick.trend for pick in self.fresh) if best else 0.0
        return best if best and best.trend > usual else None

    def _just_under(self, pick: Pick) -> bool:
        """Whether it has half of the relevance at least that it would take: less has hardly a word in common."""
        return 0 < pick.relevance < self.min_relevance <= 2 * pick.relevance

    def _explore(self, pick: Pick, why: Says, displaced: PaperId | None) -> None:
        reason = Reason(ReasonKind.EXPLORATION, Remark(why), 0.0)
        explained = self.ranking.explained(pick)
        self.exploration = explained._replace(reasons=(reason, *explained.reasons))
        self.displaced = displaced
        if displaced:
            del self.picks[displaced]

    def near_misses(self) -> Iterator[NearMiss]:
        """First what was relevant enough, best first; then what was just under it; then what was excluded."""
        got = {*self.picks, self.exploration.paper_id} if self.exploration else self.picks.keys()
        had = {pick.paper_id: paper for pick, paper in self.met if self._relevant(pick)}
        met = [pick for pick, _ in self.met if pick.paper_id in had]
        place = 0  # by score alone
        for pick in sorted(self.eligible + met, key=_rank) if met else self.eligible:
            if pick.paper_id in had:
                yield self._missed(pick, self._had(had[pick.paper_id]))
                continue
            place += pick.paper_id not in self.doubles
            if pick.paper_id not in got:
                yield self._missed(pick, self._lost(pick, place))
        below = [p for p in self.fresh if self._just_under(p) and p.paper_id not in got]
        for pick in sorted(below, key=lambda p: (-p.relevance, p.paper_id)):
            yield self._missed(pick, Remark(Says.IRRELEVANT, figures=(pick.relevance, self.min_relevance)))
        for pick in self.fresh:
            if pick.relevance == 0 and self.ranking.excluded(pick.paper_id):
                explained = self.ranking.explained(pick)
                lost = next(r.remark for r in explained.reasons if r.kind is ReasonKind.TOPIC and r.weight == 0)
                yield NearMiss(explained, lost)

    def _missed(self, pick: Pick, missing: Remark) -> NearMiss:
        return NearMiss(self.ranking.explained(pick), missing)

    def _had(self, paper: Paper) -> Remark:
        day = self.already_sent[paper.id]
        return Remark(Says.SENT_BEFORE if day else Says.IN_PROFILE, (short_title(paper),), day=day)

    def _lost(self, pick: Pick, place: int) -> Remark:
        """Why an eligible paper is not in."""
        if pick.paper_id == self.displaced:
            return Remark(Says.DISPLACED)
        if better := self.doubles.get(pick.paper_id):
            return self._beside(better, Says.SAME_AS_PICK, Says.SAME_AS_DISPLACED)
        if place > self.papers:
            return Remark(Says.PLACE, figures=(place, self.papers))
        if pick.paper_id in self.costs:
            return self._beside(self.costs[pick.paper_id][1], Says.CLOSE_TO_PICK, Says.CLOSE_TO_DISPLACED)
        return Remark(Says.TOPIC_PREFERRED)

    def _beside(self, better: PaperId, picked: Says, displaced: Says) -> Remark:
        name = short_title(self.candidates[better].paper)
        return Remark(picked if better in self.picks else displaced, (name,))


def _rank(pick: Pick) -> tuple[float, PaperId]:
    return -pick.score, pick.paper_id
