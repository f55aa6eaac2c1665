"""An edition's deliveries made and sent by `digest worker` on any host: this process queues shards, and does none.

`app.py` has this for a list whose database has a queue; `inline.py` is its counterpart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from digest.dispatch import Queue
from digest.logs import Event, tell
from digest.model import Address, Edition, ListId
from digest.results import Progress
from digest.send.outbox import DrainReport
from digest.store import Database, Editions, Shards
from digest.store.shards import cut


def open_queue(url: str) -> Queue | None:
    """The queue in the database at a URL; None for one of a single host."""
    if not url.startswith("postgresql"):
        return None
    from digest.dispatch.procrastinate import ProcrastinateQueue

    return ProcrastinateQueue(url)


def sender_of(url: str) -> str:
    """The command that sends by itself what is due of lists in the database at a URL: `run` or `worker`."""
    return "worker" if url.startswith("postgresql") else "run"


def enqueue_shards(queue: Queue, connection: sa.Connection, edition: Edition) -> None:
    """Cuts a new edition and queues its shards, in the transaction that makes it."""
    queue.enqueue(connection, cut(connection, edition))


def wake(queue: Queue, database: Database, list_id: ListId, now: datetime) -> int:
    """Queues every shard of the list that is due and does not wait already; how many are due.

    Editions without shards are cut first. Any number of schedulers may do so: they take turns.
    """
    shards = Shards(database)
    uncut = [Editions(database).get(number) for number in shards.uncut(list_id)]
    with database.write() as connection:
        for edition in uncut:
            cut(connection, edition)
        due = shards.due(connection, list_id, now)
        queue.enqueue(connection, due)
    for edition in Editions(database).unfinished(list_id):
        if shards.settle(edition, now):  # who did its last shard has been killed before
            tell(Event.EDITION_FINISHED, list=list_id, edition=edition.number)
    return len(due)


@dataclass(frozen=True)
class AmongWorkers:
    """By `digest worker` on any host: this process puts shards into their queue, and sees that somebody takes them."""

    queue: Queue
    database: Database
    list_id: ListId
    now: Callable[[], datetime]

    def refuse_in_vain(self) -> None:
        """Nothing: workers keep journals, where they are."""

    def enqueue(self, connection: sa.Connection, edition: Edition) -> None:
        """Cuts the edition into shards and queues them."""
        enqueue_shards(self.queue, connection, edition)

    async def run(
        self,
        only: Collection[Address],  # noqa: ARG002 - a worker does all of a shard
        stop: asyncio.Event,  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
        *,
        at_once: bool,  # noqa: ARG002
    ) -> DrainReport:
        """Queues what is due and in nobody's hands. Held where nobody is there to take it, or can send it."""
        waiting = wake(self.queue, self.database, self.list_id, self.now())
        shards = Shards(self.database)
        if waiting and not shards.workers(self.list_id):
            return DrainReport({}, held="no worker of this list lives: start `digest worker`")
        trouble = shards.trouble(self.list_id)
        return DrainReport({}, held=f"workers cannot send: {trouble}" if trouble else None, queued=waiting)
