"""What `digest status` says of the work that hosts share: shards, who does them, and what was set aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from digest.app import App
from digest.console.terminal import Terminal
from digest.console.words import plural
from digest.model import ShardsOverview, ShardState
from digest.status import ago
from digest.store import EditionOverview


def show_shards(terminal: Terminal, app: App, overviews: Sequence[EditionOverview]) -> list[dict[str, Any]]:
    """A line for each unfinished edition that is cut, and one for each part of it that has failed; the same as data."""
    found: list[dict[str, Any]] = []
    for overview in overviews:
        shards = None if overview.finished_at else app.shards.overview(overview.edition)
        if shards is None:
            continue
        number, workers = overview.edition.number, app.shards.workers()
        waits = shards.oldest is not None and shards.oldest <= app.now()
        terminal.say(f"  edition {number}: {_line(shards)}; {plural(workers, 'worker')}{_lag(shards, app)}")
        if waits and not workers:
            terminal.say(f"  edition {number}: no worker lives: start `digest worker`", style="bold red")
        for shard, error in shards.errors:
            told = f"{error}; `digest retry {number}` takes it up again"
            terminal.say(f"  edition {number}: readers {shard.first}-{shard.last} set aside: {told}", style="red")
        found.append(
            {
                "edition": number,
                "shards": {str(state): count for state, count in shards.counts.items()},
                "workers": workers,
                "at_work": list(shards.at_work),
                "oldest": shards.oldest.isoformat() if shards.oldest else None,
                "aside": [{"first": s.first, "last": s.last, "error": error} for s, error in shards.errors],
            }
        )
    return found


def _line(shards: ShardsOverview) -> str:
    counts = ", ".join(f"{shards.counts[state]:,} {state}" for state in ShardState if shards.counts.get(state))
    return f"shards: {counts}; {len(shards.at_work):,} at work"


def _lag(shards: ShardsOverview, app: App) -> str:
    if shards.oldest is None or shards.oldest > app.now():
        return ""
    return f"; the first has waited for {ago(app.now() - shards.oldest)}"
