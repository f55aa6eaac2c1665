"""Which papers of a ranking one subscriber gets, and which only just not. Pure; called once for each delivery.

A paper may come in if its relevance is at least `min_relevance` and above 0, it was not sent before, and no better
paper and none sent before has the same title. Of those the best by score come in, up to the cap, with a floor for
diversity: each interest that has anything to offer gets one place, as far as the places go, the interest with the
best paper first. A paper's interest is the heaviest of its reasons that the profile is the cause of: each topic is
one, example papers are one, and so on. What the floor costs is at most the last places of the list.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from digest.model import Candidate, NearMiss, PaperId, Pick, ReasonKind, Selection
from digest.rank.text import normal_title

NEAR_MISSES = 3


def select(
    ranking: Sequence[Pick],
    candidates: Mapping[PaperId, Candidate],
    already_sent: Collection[PaperId],
    *,
    papers: int,
    min_relevance: float,
) -> Selection:
    """Choose at most `papers` picks, best first, and up to `NEAR_MISSES` that missed. Ties go by paper id."""
    ordered = sorted(ranking, key=lambda pick: (-pick.score, pick.paper_id))
    fresh = _fresh(ordered, candidates, already_sent)
    eligible = [pick for pick in fresh if pick.relevance > 0 and pick.relevance >= min_relevance]
    firsts: dict[tuple[ReasonKind, str], Pick] = {}
    for pick in eligible:
        firsts.setdefault(_interest(pick), pick)
    chosen = {pick.paper_id for pick in list(firsts.values())[:papers]}
    for pick in eligible:
        if len(chosen) >= papers:
            break
        chosen.add(pick.paper_id)
    picks = tuple(pick for pick in eligible if pick.paper_id in chosen)
    return Selection(picks, _near_misses(fresh, eligible, chosen, papers, min_relevance))


def _fresh(
    ranking: Sequence[Pick], candidates: Mapping[PaperId, Candidate], already_sent: Collection[PaperId]
) -> list[Pick]:
    """The ranking without what was sent, and without a second paper of one title."""
    titles = {normal_title(candidates[paper_id].paper.title) for paper_id in already_sent if paper_id in candidates}
    fresh = []
    for pick in ranking:
        title = normal_title(candidates[pick.paper_id].paper.title)
        if pick.paper_id in already_sent or (title and title in titles):
            continue
        titles.add(title)
        fresh.append(pick)
    return fresh


def _interest(pick: Pick) -> tuple[ReasonKind, str]:
    causes = [reason for reason in pick.reasons if reason.kind is not ReasonKind.TREND]
    if not causes:
        return ReasonKind.TREND, ""
    heaviest = max(causes, key=lambda reason: reason.weight)
    # A topic's reason reads "name: matched terms".
    topic = heaviest.text.partition(": ")[0] if heaviest.kind is ReasonKind.TOPIC else ""
    return heaviest.kind, topic


def _near_misses(
    fresh: Sequence[Pick], eligible: Sequence[Pick], chosen: Collection[PaperId], papers: int, min_relevance: float
) -> tuple[NearMiss, ...]:
    """First what the cap kept out, then what is nearest below the threshold, then what an exclusion took."""
    capped = [
        NearMiss(
            pick, f"{_ordinal(place)} of {papers}" if place > papers else "gave its place to another of your topics"
        )
        for place, pick in enumerate(eligible, 1)
        if pick.paper_id not in chosen
    ]
    below = sorted((p for p in fresh if 0 < p.relevance < min_relevance), key=lambda p: (-p.relevance, p.paper_id))
    under = [NearMiss(pick, _shortfall(pick.relevance, min_relevance)) for pick in below[:NEAR_MISSES]]
    lost = [NearMiss(pick, missing) for pick in fresh if pick.relevance == 0 and (missing := _exclusion(pick))]
    return tuple((capped + under + lost)[:NEAR_MISSES])


def _exclusion(pick: Pick) -> str:
    return next((r.text for r in pick.reasons if r.kind is ReasonKind.TOPIC and r.weight == 0), "")


def _shortfall(relevance: float, needed: float) -> str:
    digits = next((n for n in (2, 3, 4) if f"{relevance:.{n}f}" != f"{needed:.{n}f}"), 6)
    return f"relevance {relevance:.{digits}f}, under your {needed:.{digits}f}"


def _ordinal(number: int) -> str:
    if 10 <= number % 100 <= 20:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
