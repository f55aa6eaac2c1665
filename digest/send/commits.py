"""Group commit: the ledger entries of all connections, as many in one transaction as have come while the last ran.

A durable commit waits for the disk, some milliseconds that say nothing of how much is in it. So nobody's entry has a
transaction of its own: while one runs, in a thread, the entries that become ready are collected, and go together into
the next as soon as those have had their turn who wait for it: a worker whose result is recorded comes with its next
intent. There is no timer, and an entry that comes alone is written at once.

What is grouped: intents, results and whatever else the workers of the connections write. Why that is safe: a worker
waits for its own entry before it goes on, for an intent before DATA and for a result before its next message, so each
entry is durable where the state table (`outbox.py`) says so, and a crash that takes a whole group with it leaves each
connection at most one message whose fate is unknown, as if each had committed alone. Entries do not depend on each
other: a lost lease is told to its own worker. Only a transaction that fails, fails for the whole group.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from digest.ledger import Entry
from digest.model import Claim
from digest.send.outbox import Ledger

TURNS = 2
"""Of the loop, until a worker that has been told of its result (through a shield) has composed its next message."""


class GroupCommit:
    """A ledger for many tasks of one event loop; the ledger itself is called from one thread, in turn."""

    def __init__(self, ledger: Ledger):
        self._ledger = ledger
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._ready: list[tuple[Entry, asyncio.Future[bool]]] = []
        self._writing: asyncio.Task[None] | None = None

    def write(self, entry: Entry) -> asyncio.Future[bool]:
        """Whether the entry was made, when it is durable; what the ledger raised, if its transaction failed.

        An entry is written whether or not anybody still waits for it.
        """
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._ready.append((entry, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_ready())
        return written

    def claim(self, limit: int) -> asyncio.Future[Sequence[Claim]]:
        """As `Ledger.claim`; not begun while a transaction is under way."""
        return asyncio.get_running_loop().run_in_executor(self._thread, self._ledger.claim, limit)

    async def settle(self) -> None:
        """Returns when every entry so far has been written, or has failed, and no claim is under way."""
        while self._writing is not None:
            await asyncio.shield(self._writing)
        await asyncio.get_running_loop().run_in_executor(self._thread, lambda: None)

    async def close(self) -> None:
        """Settles, and ends the thread."""
        await self.settle()
        self._thread.shutdown()

    async def _write_ready(self) -> None:
        loop = asyncio.get_running_loop()
        while self._ready:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            group, self._ready = self._ready, []
            try:
                made = await loop.run_in_executor(self._thread, self._ledger.commit, [entry for entry, _ in group])
            except Exception as error:
                for _, written in group:
                    if not written.cancelled():
                        written.set_exception(error)
            else:
                for (_, written), done in zip(group, made, strict=True):
                    if not written.cancelled():
                        written.set_result(done)
        self._writing = None
