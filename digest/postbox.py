"""`digest run`: the lists' mailboxes, read when they tell of new mail and every few minutes, and their letters.

Trouble here is told, and stops nothing. Called by `scheduler.py`; what a list's editions do is `tending.py`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from digest.app import App
from digest.commands.receiving import summary
from digest.console import Terminal, complain, explained
from digest.errors import DigestError
from digest.logs import Event, tell
from digest.mailroom.handled import Handled
from digest.mailroom.reading import Mailroom, shared
from digest.model import Inbox
from digest.settings import ListConfig
from digest.subscribe.watch import Watch
from digest.tending import read_again

log = logging.getLogger("digest.scheduler")

READ_EVERY = timedelta(minutes=5)
"""How often a mailbox is read that does not say when there is new mail."""


class MailboxRunner:
    """Reads the lists' mailboxes and sends their letters; neither twice at a time."""

    def __init__(
        self, configs: Sequence[ListConfig], now: Callable[[], datetime], stop: asyncio.Event, terminal: Terminal
    ):
        self._configs = configs
        self._now = now
        self._stop = stop
        self._terminal = terminal
        self._busy = asyncio.Lock()
        self._posting = asyncio.Lock()
        self._troubles: dict[str, str] = {}
        self._watches: dict[Inbox, Watch] = {}

    @property
    def configs(self) -> Sequence[ListConfig]:
        """The lists as their files had them when they were read last."""
        return self._configs

    async def listen(self) -> None:
        """Reads when there is news of a mailbox, until stopped."""
        news, loop = asyncio.Event(), asyncio.get_running_loop()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(news.set)

        stopped = asyncio.create_task(self._stop.wait())
        while not self._stop.is_set():
            self._watch(tell)
            told = asyncio.create_task(news.wait())
            await asyncio.wait((told, stopped), return_when=asyncio.FIRST_COMPLETED, timeout=READ_EVERY.total_seconds())
            told.cancel()
            if news.is_set():
                news.clear()
                await self.read()
        for watch in self._watches.values():
            watch.close()

    def _watch(self, tell: Callable[[], None]) -> None:
        """Watches the mailboxes that the config names now, and no others."""
        named = {config.inbox for config in self._configs if config.inbox}
        for inbox in self._watches.keys() - named:
            self._watches.pop(inbox).close()
        for inbox in named - self._watches.keys():
            self._watches[inbox] = Watch(inbox, tell)

    async def post(self) -> None:
        """Sends the letters that are due, whatever else a list is doing."""
        async with self._posting:
            for config in self._configs:
                if not self._stop.is_set():
                    await self._post_of(config)

    async def _post_of(self, config: ListConfig) -> None:
        list_id, trouble = config.mailing_list.id, ""
        try:
            with App(config, self._now) as app:
                posted = await app.post()
            trouble = posted.trouble or ""
            if posted.counts:
                told = ", ".join(f"{count} {status}" for status, count in posted.counts.items())
                self._terminal.say(f"{self._now():%Y-%m-%d %H:%M:%S} UTC  {list_id}: letters: {told}")
        except DigestError as error:
            trouble = explained(error)
        except Exception as error:  # one list's trouble must not end the others'
            log.exception("%s: letters failed", list_id)
            trouble = repr(error)
        self._complain_once(f"{list_id}: letters", trouble)

    def _complain_once(self, what: str, trouble: str) -> None:
        if trouble and trouble != self._troubles.get(what):
            complain(f"{what}: {trouble}; it is tried again every few minutes")
        self._troubles[what] = trouble

    async def read(self) -> None:
        """Reads what is new, each mailbox in a thread. Trouble is told once, as long as it stays the same."""
        async with self._busy:
            try:
                self._configs = [read_again(config) for config in self._configs]
            except Exception:  # a config that cannot even be reported on must not end anything
                log.exception("the config could not be read again")
            await asyncio.gather(*(self._read_one(group) for group in shared(self._configs)))
        await self.post()

    async def finished(self) -> None:
        """Returns when no mailbox is being read and no letter sent."""
        async with self._busy, self._posting:
            pass

    async def _read_one(self, configs: Sequence[ListConfig]) -> None:
        lists = ", ".join(config.mailing_list.id for config in configs)
        trouble = ""
        handled: list[Handled] = []
        try:
            await asyncio.to_thread(self._handle, configs, handled)
        except DigestError as error:
            trouble = explained(error)
        except Exception as error:  # a mailbox's trouble must not end anything
            log.exception("%s: mailbox failed", lists)
            trouble = repr(error)
        if handled:  # also where trouble came half-way: what was read before it counts
            self._terminal.say(f"{self._now():%Y-%m-%d %H:%M:%S} UTC  {lists}: mailbox: {summary(handled)}")
        if trouble:
            tell(Event.MAILBOX_FAILED, level=logging.ERROR, list=lists, why=trouble)
        self._complain_once(f"{lists}: mailbox", trouble)

    def _handle(self, configs: Sequence[ListConfig], handled: list[Handled]) -> None:
        if not self._stop.is_set():
            with Mailroom(configs, self._now) as mailroom:
                handled.extend(mailroom.read(self._stop.is_set))
