"""Many hosts: an edition is cut into shards, a queue wakes whoever is free, and each shard is worked through.

`shard.py` does one shard and knows no queue; `procrastinate.py` is the queue, on the list's own PostgreSQL. The store
is the truth (`store/shards.py` for the work, `store/outbox.py` for deliveries): a job that is lost, doubled or late
does no harm, because whoever looks finds out from there what is left to do. Without a queue one host
does all of an edition; who does it, `digest/dispatching.py` says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from digest.model import ListId, Shard

if TYPE_CHECKING:
    import asyncio

    import sqlalchemy as sa

RunOne = Callable[[Shard], Awaitable[datetime | None]]
"""Works a shard through; when it is to be looked at again, None if never. What it raises is the queue's trouble."""


class Queue(Protocol):
    """Where shards wait for a worker."""

    def enqueue(self, connection: sa.Connection, shards: Sequence[Shard]) -> None:
        """One job for each that has none, in the connection's own transaction. They are due now."""
        ...

    async def run(self, run_one: RunOne, stop: asyncio.Event, worker: str, lists: Sequence[ListId]) -> None:
        """Takes jobs until `stop` is set and the one under way has ended; survives outages of the database.

        `worker` is what this process is called, for people; `lists` are those that it can work for.
        """
        ...
