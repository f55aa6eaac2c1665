"""Adds up what a replay yields: how the selections differ, and how good they were by their readers' votes. Pure.

`digest/commands/replaying.py` makes one tally of each edition and one of all, and shows them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean

from digest.model import PaperId
from digest.past import Replayed
from digest.rank.evaluation import Difference, difference, interval, ndcg_at, precision_at


@dataclass(slots=True)
class Changes:
    """How one way to select differs from another, over many emails."""

    emails: int = 0
    changed: int = 0
    came: Counter[PaperId] = field(default_factory=Counter)
    went: Counter[PaperId] = field(default_factory=Counter)
    moved: int = 0
    _overlaps: float = 0.0

    def add(self, found: Difference) -> None:
        """One more email."""
        self.emails += 1
        self.changed += not found.is_none
        self.came.update(found.came)
        self.went.update(found.went)
        self.moved += len(found.moved)
        self._overlaps += found.overlap

    @property
    def overlap(self) -> float | None:
        """The mean of the emails' overlaps."""
        return self._overlaps / self.emails if self.emails else None


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure's mean for each way to select, and what the last one has over the one before it."""

    name: str
    means: tuple[float, ...]
    gain: float
    within: tuple[float, float] | None
    """Where the gain lies with 95 % confidence; None for too few emails."""
    emails: int


class Tally:
    """Of some emails: the way that was sent, first, and one way for each config."""

    def __init__(self, names: Sequence[str], k: int):
        """`names` are of the configs; figures are of the first `k` places."""
        self.names = ("sent", *names)
        self._k = k
        self._precision: list[tuple[float, ...]] = []
        self._ndcg: list[tuple[float, ...]] = []
        self._shown = [0] * len(self.names)
        self._judged = [0] * len(self.names)
        self._judges: set[str] = set()
        self.made_for = 0
        """Readers' emails that were made at the time; all figures are of them."""
        self.others = 0
        """Readers for whom the edition was not made, as they came later."""
        self.knew = 0
        """Emails for which the ranking knew of votes."""
        self._changes = {(pair, votes): Changes() for pair in self.pairs for votes in (True, False)}

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Which ways are compared: each config with what was sent, and the second with the first."""
        pairs = [(0, n) for n in range(1, len(self.names))]
        return (*pairs, (1, 2)) if len(pairs) > 1 else tuple(pairs)

    def changes(self, pair: tuple[int, int], votes: bool) -> Changes:
        """Of the emails whose readers have voted at some time, or of the others."""
        return self._changes[pair, votes]

    def add(self, one: Replayed) -> None:
        """One more reader."""
        if one.sent is None:
            self.others += 1
            return
        self.made_for += 1
        self.knew += one.knew > 0
        ways = (one.sent, *one.now)
        for pair in self.pairs:
            old, new = (ways[n] for n in pair)
            if old is not None and new is not None:
                self._changes[pair, one.votes].add(difference(old, new))
        known = [way for way in ways if way is not None]
        if not one.liked or len(known) < len(ways):
            return
        self._judges.add(one.address)
        self._precision.append(tuple(precision_at(self._k, way, one.liked) for way in known))
        gains = [ndcg_at(self._k, way, one.liked) for way in known]
        if found := tuple(gain for gain in gains if gain is not None):
            self._ndcg.append(found)
        for n, way in enumerate(known):
            self._shown[n] += len(way[: self._k])
            self._judged[n] += sum(1 for paper_id in way[: self._k] if paper_id in one.liked)

    @property
    def judges(self) -> int:
        """Readers by whose votes it is judged."""
        return len(self._judges)

    @property
    def voted_on(self) -> tuple[float, ...]:
        """For each way, the share of its papers in the judged emails that were voted on at all."""
        return tuple(judged / shown if shown else 0.0 for judged, shown in zip(self._judged, self._shown, strict=True))

    def figures(self) -> tuple[Figure, ...]:
        """Precision and nDCG; those of which nothing is known are left out."""
        measured = ((f"precision@{self._k}", self._precision), (f"nDCG@{self._k}", self._ndcg))
        return tuple(_figure(name, rows) for name, rows in measured if rows)


def _figure(name: str, rows: Sequence[tuple[float, ...]]) -> Figure:
    gains = [row[-1] - row[-2] for row in rows]
    means = tuple(map(fmean, zip(*rows, strict=True)))
    return Figure(name, means, fmean(gains), interval(gains), len(rows))
