"""`digest worker`: takes shards from the queue of its lists' database, on any host, until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta

from digest.app import App
from digest.console import Terminal, complain
from digest.dispatch.shard import EditionWork, run_shard
from digest.errors import ConfigError
from digest.model import EditionId, ListId, Shard
from digest.settings import ListConfig
from digest.stopping import stop_on_signals
from digest.working import open_queue

log = logging.getLogger(__name__)

HELD = 3
"""How many editions are kept at hand; each holds the papers that the ranking compares with."""
NOT_OURS = timedelta(minutes=1)
"""When another worker may look at a shard of a list that this one has no config of."""


class Worker:
    """Works shards of some lists through, one at a time."""

    def __init__(self, apps: dict[ListId, App], now: Callable[[], datetime], stop: asyncio.Event):
        self._apps = apps
        self._now = now
        self._stop = stop
        self.name = f"{socket.gethostname()}/{os.getpid()}"
        self._editions: dict[EditionId, EditionWork] = {}

    async def run(self, shard: Shard) -> datetime | None:
        """Works the shard through: when to look again, None if never."""
        app = self._apps.get(shard.list_id)
        if app is None:
            log.warning("%s: this worker has no config of that list: give it the same --config everywhere", shard)
            return self._now() + NOT_OURS
        return await run_shard(app.shards, self._load, shard, self.name, self._now, self._stop)

    def _load(self, shard: Shard) -> EditionWork:
        if shard.edition_id not in self._editions:
            app = self._apps[shard.list_id]
            while len(self._editions) >= HELD:
                del self._editions[next(iter(self._editions))]
            self._editions[shard.edition_id] = app.edition_work(app.editions.get(shard.edition_id))
        return self._editions[shard.edition_id]


async def work_until_stopped(configs: Sequence[ListConfig], now: Callable[[], datetime]) -> None:
    """Takes shards until a signal; then open conversations end, and are recorded. Raises DigestError."""
    queues = {config.store_url: open_queue(config.store_url) for config in configs}
    alone = [config for config in configs if queues[config.store_url] is None]
    if alone:
        paths = ", ".join(str(config.path) for config in alone)
        raise ConfigError(f"{paths}: workers share a database on PostgreSQL: give `url` of [store] as postgresql://")
    stop, terminal = asyncio.Event(), Terminal()
    with ExitStack() as opened, stop_on_signals(stop, complain):
        apps = {config.mailing_list.id: opened.enter_context(App(config, now)) for config in configs}
        worker = Worker(apps, now, stop)
        terminal.say(f"waiting for work on {', '.join(apps)}")
        await asyncio.gather(*(queue.run(worker.run, stop, worker.name) for queue in queues.values() if queue))
    terminal.say("stopped")
