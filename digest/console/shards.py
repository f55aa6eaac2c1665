"""What `digest status` says of the work that hosts share: workers, shards, what is late, and what was set aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from digest.app import App
from digest.console.terminal import Terminal
from digest.console.words import plural
from digest.model import ShardsOverview, ShardState, Worker
from digest.status.crew import Crew
from digest.status.lists import ListStatus, ago
from digest.store import EditionOverview
from digest.store.workers import LATELY


def show_crew(terminal: Terminal, status: ListStatus) -> dict[str, Any] | None:
    """A line for each worker, what is late, how much gets done, and of each relay what is in use; the same as data.

    None, and no line, for a list on SQLite.
    """
    crew = status.crew
    if crew is None:
        return None
    if not crew.workers:
        terminal.say(
            "  no worker of this list lives: start `digest worker`", style="bold red" if crew.shard_lag else "yellow"
        )
    for worker in crew.workers:
        terminal.say(f"  worker {worker.name}: {_worker_line(worker, status)}")
    if crew.trouble and crew.per_second:
        over = "messages leave: others can, or it is over"
        terminal.say(f"  a worker could not send: {crew.trouble}; {over}", style="yellow")
    elif crew.trouble:
        terminal.say(f"  workers cannot send: {crew.trouble}; they try again by themselves", style="bold red")
    lags = (("shard", crew.shard_lag), ("delivery", crew.delivery_lag))
    if late := [f"the oldest due {what} by {ago(lag)}" for what, lag in lags if lag]:
        terminal.say(f"  late: {', '.join(late)}", style="yellow")
    if sum(crew.shards.values()) > crew.shards.get(ShardState.DONE, 0) or crew.per_second:
        terminal.say(f"  rate: {crew.per_second:,.1f} deliveries a second, over the last {ago(LATELY)}")
        for relay in crew.relays:
            terminal.say(f"  relay {relay.name}: {relay.line}")
    return _crew_json(crew)


def _worker_line(worker: Worker, status: ListStatus) -> str:
    line = f"since {worker.since:%Y-%m-%d %H:%M} UTC, heard of {ago(worker.silent)} ago"
    for held in worker.in_hand:
        of = "" if held.list_id == status.id else f"{held.list_id}, "
        line += f"; {of}edition {held.edition}, readers {held.first}-{held.last}, for {ago(status.now - held.begun_at)}"
    return line if worker.in_hand else f"{line}; waits for work"


def _crew_json(crew: Crew) -> dict[str, Any]:
    return {
        "workers": [
            {
                "worker": worker.name,
                "since": worker.since.isoformat(),
                "silent_seconds": round(worker.silent.total_seconds(), 1),
                "in_hand": [
                    {
                        "list": held.list_id,
                        "edition": held.edition,
                        "first": held.first,
                        "last": held.last,
                        "begun_at": held.begun_at.isoformat(),
                    }
                    for held in worker.in_hand
                ],
            }
            for worker in crew.workers
        ],
        "shards": {str(state): crew.shards.get(state, 0) for state in ShardState},
        "trouble": crew.trouble,
        "shard_lag_seconds": round(crew.shard_lag.total_seconds(), 1),
        "delivery_lag_seconds": round(crew.delivery_lag.total_seconds(), 1),
        "deliveries_per_second": round(crew.per_second, 2),
        "relays": [
            {
                "relay": relay.name,
                "connections_in_use": relay.connections,
                "connections": relay.allowed,
                "turns_taken_seconds": None if relay.ahead is None else round(relay.ahead, 3),
            }
            for relay in crew.relays
        ],
    }


def show_shards(terminal: Terminal, app: App, overviews: Sequence[EditionOverview]) -> list[dict[str, Any]]:
    """A line for each unfinished edition that is cut, and one for each part of it that has failed; the same as data."""
    found: list[dict[str, Any]] = []
    for overview in overviews:
        shards = None if overview.finished_at else app.shards.overview(overview.edition)
        if shards is None:
            continue
        number, workers = overview.edition.number, app.shards.workers(app.list.id)
        terminal.say(f"  edition {number}: {_line(shards)}; {plural(workers, 'worker')}")
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
    return f"shards: {counts}; {len(shards.at_work):,} in hand"
