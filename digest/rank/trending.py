"""What trends: each popularity figure against its age, its day and a fixed expectation. Pure; called by `Ranker`.

For a figure v of a paper to which people could begin to add a hours before:

    growth = log((a + half) / a) + team · log((1 + authors) / 9) - title · log(characters of the title / 75)
    x      = log(1 + v) + growth · v / (v + 1/2)        the log of what v will have become
    level  = (200 · log(1 + usual) + sum of the day's x) / (200 + papers of the day that have the figure)
    part   = weight · y / (1 + y),   y = (x / level)²   so a usual figure gives half of its weight
    trend  = 1 - product of (1 - part)                  between 0 and 1

a is at least half / 12 and growth at least -1/2; growth is 0 for a figure without a half-time, and an unknown list of
authors adds nothing to it. Thin evidence is shrunk: growth is not believed in full of a vote or two, and the papers of
one day hardly move what is expected, which counts for 200. A missing figure has no part: it neither helps nor harms,
and nor does a zero. `KINDS` holds each figure's constants and where they come from.

Back-test: tests/bench/trend.py. Tried as well, and found to add next to nothing to the day's upvotes: organisation,
repository, project page and pictures, and the upvotes of earlier papers with the same words, authors, submitter or
organisation (a thousandth or two on weekly lists, a loss on monthly ones).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from digest.model import AnnounceType, Candidate, Paper, Remark, Says, Signal
from digest.rank.index import Floats

SOURCES = "sources"
PRIOR_PAPERS = 200.0
THIN = 0.5
YOUNGEST = 12
"""An age counts as at least a twelfth of its figure's half-time: nothing is known of younger ones."""
USUAL_TEAM = 9
USUAL_TITLE = 75
"""Of the papers in Daily Papers, 2025 and 2026: the median of 8 authors and one more, and of 75 characters."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known beforehand of a figure."""

    usual: float
    """Its value on a ripe paper."""
    weight: float
    """The most that it can give."""
    half: timedelta = timedelta()
    """How old a paper is that has half of what it will have; 0 for a figure that does not grow with the paper's age."""
    team: float = 0.0
    title: float = 0.0
    """How much more it grows for many authors, and for a short title."""
    from_publication: bool = False
    """Whether its age counts from the paper's publication, rather than from the last announcement of it as new."""


KINDS = {
    "upvotes": Kind(12, 0.9, timedelta(hours=12), team=0.15, title=0.2),
    "comments": Kind(3, 0.05),
    "stars": Kind(300, 0.1),
    "stars_per_day": Kind(14, 0.3),
    "points": Kind(120, 0.4),
    "citations": Kind(10, 0.2, timedelta(days=365), from_publication=True),
    SOURCES: Kind(1, 0.2),
}
"""Where the constants come from:

- Upvotes: of those that the monthly lists' papers of 2025 had in the end, 39 % were there after 8 hours of their day
  (UTC), 67 % after 24, 79 % after 48, 83 % after 72: that is a / (a + 12 h). `team` and `title` were chosen by the
  weekly and monthly upvotes of 2025. A usual paper comes to 15 by this formula in 2025, to 12 in 2026.
- Comments: 3 is the 99th percentile; the median is 1, mostly the submitter's. Stars: the median is 5 and the 95th
  percentile 366, and most are older than the paper's announcement. More weight for either foretold upvotes worse.
- Stars a day: 14 is the median of 717 recorded steps of 313 repositories. Points: 120 is the median of the 16 recorded
  stories that link to arXiv, which have 31 at least. Neither grows with the paper's age: a repository or a story has
  an age of its own. Their weights are guesses, on the careful side, and so are all constants of citations (ten in
  the long run, half of them after a year) and sources (the number beyond the first).
"""
OTHER_KIND = Kind(10, 0.5)


@dataclass(frozen=True, slots=True)
class Trend:
    """The trend of all candidates."""

    evidence: dict[str, Floats]
    """For each figure, -log(1 - part) of each candidate: these add up. Shape (candidates,)."""
    values: tuple[dict[str, float], ...]
    """For each candidate, its figures as observed last; `sources` are those beyond the first."""
    trend: Floats
    """Between 0 and 1. Shape (candidates,)."""

    def parts(self, row: int) -> tuple[tuple[Remark, float], ...]:
        """The candidate's figures, each with its evidence; these add up to -log(1 - trend).

        A candidate without figures, where others have some, has one part of no evidence, which says what is missing.
        """
        values = self.values[row]
        if not values:
            missing = [name for name in self.evidence if name != SOURCES]
            return ((Remark(Says.NO_SIGNAL, tuple(missing)), 0.0),) if missing else ()
        found = ((_remark(name, value), float(self.evidence[name][row])) for name, value in values.items())
        return tuple((remark, part) for remark, part in found if part)


def measure(candidates: Sequence[Candidate], now: datetime) -> Trend:
    """Put every candidate's figures into one number; `now` stands in for an unknown time."""
    latest = [_latest(candidate, now) for candidate in candidates]
    evidence = {}
    for name in sorted({name for signals in latest for name in signals}):
        kind = KINDS.get(name, OTHER_KIND)
        days: dict[date, list[int]] = defaultdict(list)
        logs = np.zeros(len(candidates))
        for row, signals in enumerate(latest):
            if name in signals:
                signal = signals[name]
                since = _since(candidates[row], signal, kind, now)
                days[since.date()].append(row)
                logs[row] = _grown(signal.value, kind, candidates[row].paper, signal.observed_at - since)
        column = np.zeros(len(candidates))
        for rows in days.values():
            level = (PRIOR_PAPERS * math.log1p(kind.usual) + logs[rows].sum()) / (PRIOR_PAPERS + len(rows))
            odds = np.square(logs[rows] / level)
            column[rows] = -np.log1p(-kind.weight * odds / (1 + odds))
        evidence[name] = column
    total = sum(evidence.values(), np.zeros(len(candidates)))
    values = tuple({name: signal.value for name, signal in signals.items()} for signals in latest)
    return Trend(evidence, values, -np.expm1(-total))


def _latest(candidate: Candidate, now: datetime) -> dict[str, Signal]:
    """The figure observed last for each name; of several at one time, the highest. What is not a count is left out."""
    kept = [signal for signal in candidate.signals if math.isfinite(signal.value) and signal.value >= 0]
    latest = {signal.name: signal for signal in sorted(kept, key=lambda s: (s.observed_at, s.value))}
    sources = {sighting.source for sighting in candidate.sightings}
    if len(sources) > 1:
        latest[SOURCES] = Signal(candidate.paper.id, SOURCES, len(sources) - 1.0, now)
    return latest


def _since(candidate: Candidate, signal: Signal, kind: Kind, now: datetime) -> datetime:
    """When people could begin to add to a figure."""
    published = candidate.paper.published or now - timedelta(days=365)
    if kind.from_publication:
        return published
    days = [
        sighting.announced_on
        for sighting in candidate.sightings
        if sighting.announce_type is AnnounceType.NEW
        and sighting.announced_on
        and sighting.announced_on <= signal.observed_at.date()
    ]
    return datetime.combine(max(days), time(), UTC) if days else published


def _grown(value: float, kind: Kind, paper: Paper, age: timedelta) -> float:
    """The log of what a figure will have become."""
    growth = 0.0
    if kind.half:
        growth += math.log1p(kind.half / max(age, kind.half / YOUNGEST))
    if paper.authors:
        growth += kind.team * math.log((1 + len(paper.authors)) / USUAL_TEAM)
    growth -= kind.title * math.log(max(len(paper.title), 1) / USUAL_TITLE)
    # Below -THIN, more votes could give less.
    return math.log1p(value) + max(growth, -THIN) * value / (value + THIN)


def _remark(name: str, value: float) -> Remark:
    return Remark(Says.SOURCES, figures=(value + 1,)) if name == SOURCES else Remark(Says.SIGNAL, (name,), (value,))
