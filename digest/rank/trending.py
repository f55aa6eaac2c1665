"""What trends: each popularity figure against its day, its age and a fixed expectation. Pure; called by `Ranker`.

For a signal of value v, a hours after the paper was first announced:

    ripe  = v · (1 + HASTE) / (1 - exp(-a / RIPENING) + HASTE)      what v will have become
    level = (PRIOR_PAPERS · log(1 + usual) + sum of log(1 + ripe)) / (PRIOR_PAPERS + papers with this signal)
    part  = weight · y / (1 + y),   y = (log(1 + ripe) / level)²    so a usual figure gives half of its weight
    trend = 1 - product of (1 - part)                               between 0 and 1

HASTE keeps a young paper's few votes from being blown up more than eightfold, PRIOR_PAPERS one day's list from deciding
alone what is usual. A missing figure has no part: it neither helps nor harms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import numpy as np

from digest.model import Candidate, Signal
from digest.rank.index import Floats

HASTE = 0.15
RIPENING_HOURS = 36.0
PRIOR_PAPERS = 200.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known beforehand of a signal: its usual value on a ripe paper, and the most that it can give."""

    usual: float
    weight: float


KINDS = {
    "upvotes": Kind(12, 0.9),
    "comments": Kind(2, 0.1),
    "stars": Kind(300, 0.1),
    "stars_per_day": Kind(10, 0.3),
    "points": Kind(30, 0.4),
    "citations": Kind(5, 0.2),
}
"""Stars and comments weigh little: tried on two years of daily lists, more of them made the trend tell less of the
upvotes that papers would have a week and a month later. Stars are all that a repository ever had; their growth, Hacker
News points and citations have not been tried against anything: their weights are guesses on the careful side."""
RATES = frozenset({"stars_per_day"})
"""Figures that do not add up with time, so a young paper's are not made riper."""
OTHER_KIND = Kind(10, 0.5)


@dataclass(frozen=True, slots=True)
class Trend:
    """The trend of all candidates."""

    evidence: dict[str, Floats]
    """For each signal, -log(1 - part) of each candidate: these add up. Shape (candidates,)."""
    values: tuple[dict[str, float], ...]
    """For each candidate, its figures as observed last."""
    trend: Floats
    """Between 0 and 1. Shape (candidates,)."""


def measure(candidates: Sequence[Candidate], now: datetime) -> Trend:
    """Put every candidate's figures into one number; `now` stands in for an unknown time."""
    latest = [_latest(candidate.signals) for candidate in candidates]
    evidence = {}
    for name in sorted({name for signals in latest for name in signals}):
        kind = KINDS.get(name, OTHER_KIND)
        rows = [row for row, signals in enumerate(latest) if name in signals]
        logs = np.array([math.log1p(_ripe(latest[row][name], candidates[row], now)) for row in rows])
        level = (PRIOR_PAPERS * math.log1p(kind.usual) + logs.sum()) / (PRIOR_PAPERS + len(rows))
        odds = np.square(logs / level)
        column = np.zeros(len(candidates))
        column[rows] = -np.log1p(-kind.weight * odds / (1 + odds))
        evidence[name] = column
    total = sum(evidence.values(), np.zeros(len(candidates)))
    values = tuple({name: signal.value for name, signal in signals.items()} for signals in latest)
    return Trend(evidence, values, -np.expm1(-total))


def _latest(signals: Sequence[Signal]) -> dict[str, Signal]:
    """The signal observed last for each name; of several at one time, the highest. What is not a count is left out."""
    kept = [signal for signal in signals if math.isfinite(signal.value) and signal.value >= 0]
    return {signal.name: signal for signal in sorted(kept, key=lambda s: (s.observed_at, s.value))}


def _ripe(signal: Signal, candidate: Candidate, now: datetime) -> float:
    if signal.name in RATES:
        return signal.value
    hours = max((signal.observed_at - _first_seen(candidate, now)).total_seconds() / 3600, 1.0)
    return signal.value * (1 + HASTE) / (1 - math.exp(-hours / RIPENING_HOURS) + HASTE)


def _first_seen(candidate: Candidate, now: datetime) -> datetime:
    """When people could first vote: the first announcement's day, else the publication, else long enough ago."""
    days = [sighting.announced_on for sighting in candidate.sightings if sighting.announced_on]
    if days:
        return datetime.combine(min(days), time(), UTC)
    return candidate.paper.published or now - timedelta(days=365)
