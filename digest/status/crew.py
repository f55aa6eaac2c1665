"""How the workers of a list do, decided purely from what the store counted, the config and the time.

Lists on PostgreSQL have them; on SQLite one process does all, and there is nothing of this. `store/workers.py` counts;
`lists.py` shows this with the rest of a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from digest.model import Aside, ShardState, Worker
from digest.settings import ListConfig
from digest.store.figures import Snapshot
from digest.store.pulse import Pulse
from digest.store.workers import LATELY

TENTH = 0.05
"""Seconds from which on there is a tenth of a second to be shown."""


@dataclass(frozen=True, slots=True)
class RelayUse:
    """What all workers together use of a relay."""

    name: str
    connections: int
    allowed: int
    ahead: float | None
    """For how many seconds its turns are taken; None: it has no rate."""

    @property
    def line(self) -> str:
        """For a person."""
        used = f"{self.connections:,} of {self.allowed:,} connections in use"
        if self.ahead is None:
            return used
        free = f"in {self.ahead:.1f} s" if self.ahead >= TENTH else "now"
        return f"{used}; the next turn of its rate is free {free}"


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers of the list's database, and how far they are with its unfinished editions."""

    workers: tuple[Worker, ...]
    shards: Mapping[ShardState, int]
    aside: tuple[Aside, ...]
    trouble: str
    """What kept a worker from sending the shard put down last: what relays said, or an error; empty: nothing did."""
    shard_lag: timedelta
    """How late the oldest due shard is that no worker has in hand."""
    delivery_lag: timedelta
    """How late the oldest due delivery is that has not been given to a relay."""
    per_second: float
    """Deliveries sent, over `LATELY`."""
    relays: tuple[RelayUse, ...]


def crew_of(config: ListConfig, snapshot: Snapshot, pulse: Pulse, now: datetime, *, may_send: bool) -> Crew | None:
    """None on SQLite. While the list may not send, nothing is late."""
    if pulse.work is None:
        return None
    unsent = [edition.due_at or edition.cutoff for edition in pulse.unsent]

    def late(since: datetime | None) -> timedelta:
        return max(now - since, timedelta()) if since and may_send else timedelta()

    return Crew(
        workers=pulse.work.workers,
        shards=pulse.work.shards,
        aside=pulse.work.aside,
        trouble=pulse.work.trouble,
        shard_lag=late(pulse.work.due_since),
        delivery_lag=late(min(unsent, default=None)),
        per_second=snapshot.sent_lately.get(config.mailing_list.id, 0) / LATELY.total_seconds(),
        relays=tuple(
            RelayUse(
                relay.name,
                snapshot.in_use.places(relay.name),
                relay.connections,
                snapshot.in_use.ahead.get(relay.name, 0.0) if relay.rate else None,
            )
            for relay in config.relays
        ),
    )
