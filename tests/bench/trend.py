"""How well the trend foretells upvotes: from what was known on the day, the order a night, a week and a month later.

Run it with `DIGEST_RECORDED=FOLDER python tests/bench/trend.py`; without the variable the folder is `../shared/data`
beside the project. Every recorded day of Hugging Face's Daily Papers is read by the shipped parser as of its hour of
recording, and its candidates are given to the shipped `measure`. All figures are Spearman's rank correlations with the
later upvotes, over all papers of all days together. Beside the trend stand the day's upvotes, and the formula of
version 0.1, which is written down here. The trend's constants were chosen on the days before 2026.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from datetime import UTC, datetime, time
from pathlib import Path

from digest.rank.trending import measure
from tests.backtest import CUT_OFF, Day, agreement, days, later_upvotes, upvotes

ROOT = Path(__file__).resolve().parents[2]
RECORDED = Path(os.environ.get("DIGEST_RECORDED", ROOT.parent / "shared" / "data"))


def by_upvotes(day: Day) -> list[float]:
    """The upvotes themselves."""
    return [upvotes(candidate) for candidate in day.candidates]


def by_trend(day: Day) -> list[float]:
    """The shipped formula."""
    return [float(trend) for trend in measure(day.candidates, day.recorded_at).trend]


def by_old_trend(day: Day) -> list[float]:
    """The formula of version 0.1."""
    hours = (day.recorded_at - datetime.combine(day.day, time(), UTC)).total_seconds() / 3600
    factor = 1.15 / (1.15 - math.exp(-hours / 36))
    scores = [0.0] * len(day.candidates)
    for name, usual, weight in (("upvotes", 12, 0.9), ("comments", 2, 0.1), ("stars", 300, 0.1)):
        logs = {
            row: math.log1p(signal.value * factor)
            for row, candidate in enumerate(day.candidates)
            for signal in candidate.signals
            if signal.name == name
        }
        level = (200 * math.log1p(usual) + sum(logs.values())) / (200 + len(logs))
        for row, log in logs.items():
            odds = (log / level) ** 2
            scores[row] -= math.log1p(-weight * odds / (1 + odds))
    return scores


def main() -> None:
    """Print the table."""
    later = later_upvotes(RECORDED)
    columns = {"upvotes": by_upvotes, "0.1": by_old_trend, "trend": by_trend}
    rows: dict[str, list[tuple[bool, int, list[float]]]] = defaultdict(list)
    for day in days(RECORDED):
        scores = [column(day) for column in columns.values()]
        for candidate, *values in zip(day.candidates, *scores, strict=True):
            for feed, known in later.items():
                if candidate.paper.id in known:
                    rows[feed].append((day.day >= CUT_OFF, known[candidate.paper.id], values))
    print(f"{'':24}{'papers':>8}" + "".join(f"{name:>9}" for name in columns))
    for feed in ("daily", "weekly", "monthly"):
        for label, wanted in (("before 2026", {False}), ("from 2026 on", {True}), ("all", {False, True})):
            chosen = [(after, values) for held_out, after, values in rows[feed] if held_out in wanted]
            truth = [after for after, _ in chosen]
            figures = [agreement([values[n] for _, values in chosen], truth) for n in range(len(columns))]
            print(f"{feed:10}{label:14}{len(chosen):>8}" + "".join(f"{figure:9.4f}" for figure in figures))


if __name__ == "__main__":
    main()
