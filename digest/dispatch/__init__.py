"""From a frozen edition to deliveries that are settled: on this host, or among workers on many.

    who does it   `Dispatch`: inline.py (this host) and among_workers.py (any), which puts shards into a `Queue`
    this host     draining.py: one process or several that send; processes.py, packing.py: several that rank;
                  forwarding.py: what one process says and raises in another
    many hosts    procrastinate.py: the queue, on the list's own PostgreSQL; shard.py: one shard, which knows no queue;
                  working.py: what a worker needs of an edition
    everywhere    outbox.py: what one process needs to send; journalling.py: journals beside the ledger

The store is the truth (`store/shards.py` for the work, `store/outbox.py` for deliveries): whatever one of them has
begun another can finish, and a job that is lost, doubled or late does no harm, because whoever looks finds out from
there what is left to do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from digest.model import Address, Edition, ListId, Shard

if TYPE_CHECKING:
    import asyncio

    import sqlalchemy as sa

    from digest.results import Progress
    from digest.send.outbox import DrainReport

RunOne = Callable[[Shard], Awaitable[datetime | None]]
"""Works a shard through; when it is to be looked at again, None if never. What it raises is the queue's trouble."""


class Dispatch(Protocol):
    """One list's way from a frozen edition to deliveries that are settled."""

    def refuse_in_vain(self) -> None:
        """Raises StoreError for what would end `run` when all is pulled and made."""
        ...

    def enqueue(self, connection: sa.Connection, edition: Edition) -> None:
        """Takes a new edition on, in the transaction that makes it."""
        ...

    async def run(
        self, only: Collection[Address], stop: asyncio.Event, progress: Progress, *, at_once: bool
    ) -> DrainReport:
        """Does what can be done now of all unfinished editions, until `stop` is set.

        `only`: whose deliveries are sent; everybody's where it is empty. `at_once`: whatever anybody's hour.
        """
        ...


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
