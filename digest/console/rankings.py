"""A ranking with its reasons: the answer of `digest rank`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from digest.console.editions import edition_json
from digest.console.terminal import Terminal
from digest.console.words import plural
from digest.edition import named_papers
from digest.model import Candidate, Pick, ReasonKind, Selection, Subscriber
from digest.render.remarks import english
from digest.results import Proof

SMALLEST_WEIGHT = 0.005
"""Reasons that would be shown as +0.00 are not shown; `--json` has all of them."""


def pick_lines(pick: Pick, candidate: Candidate, place: str) -> list[str]:
    """One paper of a ranking: its score and title, and below it why."""
    return [f"  {place:>3}  {pick.score:.2f}  {candidate.paper.title}", f"             {why(pick)}"]


def why(pick: Pick) -> str:
    """A pick's reasons with what each is worth; what is worth nothing is left out, unless it is an exploration."""
    exploring = [english(reason.remark) for reason in pick.reasons if reason.kind is ReasonKind.EXPLORATION]
    telling = [reason for reason in pick.reasons if abs(reason.weight) >= SMALLEST_WEIGHT]
    worth = [f"{english(reason.remark)} {reason.weight:+.2f}" for reason in telling]
    return " · ".join(exploring + worth) or "no reason found"


def show_ranking(
    terminal: Terminal,
    proof: Proof,
    subscriber: Subscriber,
    selection: Selection,
    ranking: Sequence[Pick],
    min_relevance: float,
) -> None:
    """The answer of `digest rank` for one subscriber: the ranking, what she gets of it, and the near misses.

    What is popular may stand high and be no pick, which the last line explains.
    """
    picked = {pick.paper_id: pick for pick in selection.picks}
    ranking = [picked.get(pick.paper_id, pick) for pick in ranking]  # a pick says more: that it is an exploration
    named = f"{subscriber.name} <{subscriber.address}>" if subscriber.name else subscriber.address
    terminal.say(named, style="bold")
    for place, pick in enumerate(ranking, 1):
        mark = "*" if pick.paper_id in picked else " "
        for line in pick_lines(pick, proof.candidates[pick.paper_id], f"{place}{mark}"):
            terminal.say(line)
    for miss in selection.near_misses:
        terminal.say(f"  just missed: {proof.candidates[miss.pick.paper_id].paper.title} ({english(miss.missing)})")
    unknown = sorted(named_papers(subscriber.profile) & proof.unknown)
    for paper_id in unknown:
        terminal.say(f"  {paper_id} is in her profile, but no source has announced it yet: it does not count")
    terminal.say(f"  * {_count(selection, ranking, len(proof.candidates), min_relevance)}\n")
    terminal.emit(
        {
            "subscriber": subscriber.address,
            "edition": edition_json(proof.edition),
            "picks": [pick.paper_id for pick in selection.picks],
            "ranking": [{**pick_json(p), "title": proof.candidates[p.paper_id].paper.title} for p in ranking],
            "semantic": proof.semantic,
            "unknown": unknown,
            "near_misses": [{"id": m.pick.paper_id, "missing": english(m.missing)} for m in selection.near_misses],
        }
    )


def _count(selection: Selection, ranking: Sequence[Pick], candidates: int, min_relevance: float) -> str:
    """How many picks there are, and how many of them are not shown; and what keeps out some that are."""
    picked = {pick.paper_id for pick in selection.picks}
    further = len(picked - {pick.paper_id for pick in ranking})
    under = sum(1 for pick in ranking if pick.relevance < min_relevance and pick.paper_id not in picked)
    said = f"{plural(len(picked), 'pick')} of {plural(candidates, 'candidate')}"
    if further:
        said += f", {further} further down: `--top 0` shows all"
    if under:
        said += f"; {under} of those shown {'is' if under == 1 else 'are'} under min_relevance = {min_relevance}"
    return said


def pick_json(pick: Pick) -> dict[str, Any]:
    """A pick in the form of `digest rank --json`."""
    return {
        "id": pick.paper_id,
        "score": pick.score,
        "relevance": pick.relevance,
        "trend": pick.trend,
        "reasons": [{"kind": r.kind, "text": english(r.remark), "weight": r.weight} for r in pick.reasons],
    }
