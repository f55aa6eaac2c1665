"""Daily Papers as they stood on each recorded day, and the upvotes that they had later. Nothing is read on import."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from scipy.stats import spearmanr

from digest.model import Candidate, PaperId, Source, SourceKind
from digest.pull import huggingface
from digest.pull.dedupe import merge

CUT_OFF = date(2026, 1, 1)
"""The constants of the trend were chosen on the days before it."""
_SOURCE = Source(SourceKind.HUGGINGFACE, "Daily Papers")


@dataclass(frozen=True, slots=True)
class Day:
    """One day's list, as of the hour at which it was recorded."""

    day: date
    recorded_at: datetime
    candidates: tuple[Candidate, ...]


def days(recorded: Path) -> Iterator[Day]:
    """Every recorded day, oldest first; a paper that was listed before is left out."""
    seen: set[PaperId] = set()
    with (recorded / "hf_daily" / "INDEX.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            day, at = date.fromisoformat(row["day"]), datetime.fromisoformat(row["recorded_at_utc"]).astimezone(UTC)
            body = gzip.decompress((recorded / "hf_daily" / "days" / f"{day}.json.gz").read_bytes())
            parsed = huggingface.parse(body, _SOURCE, where=row["day"], now=at, day=day)
            candidates = merge(parsed.announcements, parsed.signals)
            yield Day(day, at, tuple(c for c in candidates if c.paper.id not in seen))
            seen.update(c.paper.id for c in candidates)


def later_upvotes(recorded: Path) -> dict[str, dict[PaperId, int]]:
    """For the feeds `daily`, `weekly` and `monthly`: the upvotes in the last one that has the paper.

    A weekly or monthly feed has the best of its papers only.
    """
    found: dict[str, dict[PaperId, tuple[str, int]]] = {}
    with gzip.open(recorded / "hf_daily" / "upvotes_later.jsonl.gz") as file:
        for row in map(json.loads, file):
            feed, paper = found.setdefault(row["feed"], {}), PaperId(f"arxiv:{row['arxiv_id']}")
            feed[paper] = max(feed.get(paper, ("", 0)), (row["observed_at"], row["upvotes"]))
    return {name: {paper: upvotes for paper, (_, upvotes) in feed.items()} for name, feed in found.items()}


def upvotes(candidate: Candidate) -> float:
    """The upvotes on the day."""
    return next(signal.value for signal in candidate.signals if signal.name == "upvotes")


def agreement(foretold: Sequence[float], later: Sequence[float]) -> float:
    """Spearman's rank correlation."""
    return float(spearmanr(foretold, later).statistic)
