"""`digest worker`: takes shards from the queue of its lists' database, on any host, until it is stopped.

A list's config is read again for every shard, as `digest run` does for every piece of work: what is made of it is kept
for as long as it says the same.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Self

from digest.app import App
from digest.console import Terminal, complain
from digest.dispatch.among_workers import open_queue
from digest.dispatch.shard import EditionWork, run_shard
from digest.errors import ConfigError
from digest.model import EditionId, ListId, Shard
from digest.settings import ListConfig
from digest.stopping import stop_on_signals
from digest.tending import read_again

log = logging.getLogger(__name__)

HELD = 3
"""How many editions are kept at hand; each holds the papers that the ranking compares with."""
NOT_OURS = timedelta(minutes=1)
"""When another worker may look at a shard of a list that this one has no config of."""


@dataclass(frozen=True)
class _List:
    """A list as its config has it, and its adapters."""

    config: ListConfig
    app: App

    def close(self) -> None:
        """Lets go of the store."""
        with self.app:
            pass


class Worker:
    """Works shards of some lists through, of each list one at a time. Use as a context manager: it holds their stores.

    Raises StoreError if one of them is not there.
    """

    def __init__(self, configs: Sequence[ListConfig], now: Callable[[], datetime], stop: asyncio.Event):
        self._configs = configs
        self._now = now
        self._stop = stop
        self.name = f"{socket.gethostname()}/{os.getpid()}"
        self._lists: dict[ListId, _List] = {}
        self._editions: dict[tuple[ListId, EditionId], EditionWork] = {}
        self._making = threading.Lock()

    def __enter__(self) -> Self:
        with ExitStack() as failed:
            failed.callback(self._close)
            for config in self._configs:
                self._lists[config.mailing_list.id] = _List(config, App(config, self._now))
            failed.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        for each in self._lists.values():
            each.close()

    async def run(self, shard: Shard) -> datetime | None:
        """Works the shard through: when to look again, None if never."""
        if shard.list_id not in self._lists:
            log.warning("%s: this worker has no config of that list: give it the same --config everywhere", shard)
            return datetime.now(UTC) + NOT_OURS
        its = await asyncio.to_thread(self._as_it_is_now, shard.list_id)
        load = partial(self._load, its.app)
        again = await run_shard(its.app.shards, load, shard, self.name, self._now, self._stop)
        return self._by_queue(again) if again else None

    def _by_queue(self, moment: datetime) -> datetime:
        """The moment by the clock of the queue, which is the database's whatever `--now` says."""
        return moment + (datetime.now(UTC) - self._now())

    def _load(self, app: App, shard: Shard) -> EditionWork:
        which = shard.list_id, shard.edition_id  # two databases may each have an edition of that id
        with self._making:
            if which not in self._editions:
                while len(self._editions) >= HELD:
                    del self._editions[next(iter(self._editions))]
                self._editions[which] = app.edition_work(app.editions.get(shard.edition_id))
            return self._editions[which]

    def _as_it_is_now(self, list_id: ListId) -> _List:
        """The list, made anew if its config says something else by now."""
        its = self._lists[list_id]
        again = read_again(its.config)
        if again == its.config:
            return its
        if again.store_url != its.config.store_url:
            complain(f"{its.config.path}: another database: start the worker anew; it goes on as it was")
            return its
        made = _List(again, App(again, self._now))
        its.close()
        self._lists[list_id] = made
        with self._making:
            self._editions = {which: work for which, work in self._editions.items() if which[0] != list_id}
        return made


async def work_until_stopped(configs: Sequence[ListConfig], now: Callable[[], datetime]) -> None:
    """Takes shards until a signal; then open conversations end, and are recorded. Raises DigestError."""
    queues = {config.store_url: open_queue(config.store_url) for config in configs}
    alone = [config for config in configs if queues[config.store_url] is None]
    if alone:
        paths = ", ".join(str(config.path) for config in alone)
        raise ConfigError(f"{paths}: workers share a database on PostgreSQL: give `url` of [store] as postgresql://")
    stop, terminal = asyncio.Event(), Terminal()
    with stop_on_signals(stop, complain), Worker(configs, now, stop) as worker:
        terminal.say(f"waiting for work on {', '.join(config.mailing_list.id for config in configs)}")
        lists = [config.mailing_list.id for config in configs]
        await asyncio.gather(*(queue.run(worker.run, stop, worker.name, lists) for queue in queues.values() if queue))
    terminal.say("stopped")
