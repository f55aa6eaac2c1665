"""`digest prune`, and what `digest run` lets go of by itself once a day.

What may go and what stays is `store/pruning.py`'s; how long it is kept, the `[retention]` of each list's config.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from digest.commands.backups import Store, stores
from digest.console import Terminal, complain
from digest.edition import BACKGROUND_PAPERS
from digest.errors import DONE, NOTHING, PARTLY, DigestError
from digest.settings import ListConfig
from digest.store import Database, Kind, Pruning, copies, database_exists, database_file, open_database

PAUSE = 0.05
"""Seconds between two transactions, in which whoever sends can write."""
EVERY = timedelta(hours=23)
"""Less than a day, as it is looked for once an hour."""
WORDS = {
    Kind.ABSTRACTS: "abstracts of past editions",
    Kind.PAPERS: "papers that nothing refers to",
    Kind.FIGURES: "figures of papers",
    Kind.DELIVERIES: "deliveries (who had which papers is kept)",
    Kind.LETTERS: "letters to single people",
    Kind.UNCONFIRMED: "addresses that never confirmed",
    Kind.RELAY_DAYS: "relays' daily counts",
    Kind.ANSWERS: "answers of sources",
    Kind.VECTORS: "sentence vectors",
}

log = logging.getLogger("digest.commands.pruning")


def prune(terminal: Terminal, found: Sequence[Store], now: datetime, *, dry_run: bool, vacuum: bool) -> int:
    """Lets go of what is older than the configs say, and tells how much of each kind; returns the exit code."""
    code = DONE
    for store in found:
        try:
            code = max(code, _prune(terminal, store, now, dry_run=dry_run, vacuum=vacuum))
        except DigestError as error:
            complain(str(error))
            code = PARTLY
    return code


def _prune(terminal: Terminal, store: Store, now: datetime, *, dry_run: bool, vacuum: bool) -> int:
    if not database_exists(store.url):
        complain(f"{store.path}: there is no database yet")
        return NOTHING
    with contextlib.closing(open_database(store.url)) as database:
        counts = let_go(database, store.configs, now, dry_run=dry_run)
    path = database_file(store.url)  # PostgreSQL has none, and vacuums by itself
    if vacuum and not dry_run and path is not None:
        copies.vacuum(path)
    terminal.say(f"{database.name} ({', '.join(sorted(store.lists))})", style="bold")
    for kind, count in counts.items():
        terminal.say(f"  {count:>10,}  {WORDS[kind]}{' would go' if dry_run else ''}")
    if not counts:
        terminal.say("  nothing is old enough")
    told = {
        "database": database.name,
        "lists": sorted(store.lists),
        "dry_run": dry_run,
        "removed": {str(kind): count for kind, count in counts.items()},
    }
    if path is not None:
        size, free = copies.room(path)
        hint = "" if vacuum or dry_run else "; `--vacuum` gives it back to the system"
        terminal.say(f"  the file has {size / 1e6:,.1f} MB, {free / 1e6:,.1f} MB of it free for what is to come{hint}")
        told |= {"bytes": size, "free": free}
    terminal.emit(told)
    return DONE


def let_go(
    database: Database,
    configs: Sequence[ListConfig],
    now: datetime,
    *,
    dry_run: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Counter[Kind]:
    """Goes through all that is old, until `stopped`; how much of each kind went. Raises StoreError."""
    counts: Counter[Kind] = Counter()
    retentions = {config.mailing_list.id: config.retention for config in configs}
    for kind, count in Pruning(database, retentions, BACKGROUND_PAPERS, now, dry_run=dry_run).batches():
        if count:
            counts[kind] += count
        time.sleep(0 if dry_run else PAUSE)
        if stopped():
            break
    return counts


class Housekeeper:
    """Prunes the databases of `digest run` once a day, and keeps them open, so that none is restored meanwhile."""

    def __init__(
        self,
        configs: Sequence[ListConfig],
        now: Callable[[], datetime],
        stop: asyncio.Event,
        read_again: Callable[[ListConfig], ListConfig],
    ):
        self._configs = configs
        self._now = now
        self._stop = stop
        self._read_again = read_again
        self._done_at: dict[str, datetime] = {}
        self._busy = asyncio.Lock()
        self._open: dict[str, Database] = {}
        self._keep_open()

    async def keep(self) -> None:
        """Prunes what was not pruned within the day; trouble is told, and ends nothing."""
        async with self._busy:
            self._keep_open()
            self._configs = [self._read_again(config) for config in self._configs]
            for store in stores(self._configs):
                done_at = self._done_at.get(store.url)
                if not self._stop.is_set() and (done_at is None or self._now() - done_at > EVERY):
                    self._done_at[store.url] = self._now()
                    await self._prune(store)

    async def finished(self) -> None:
        """Returns when nothing is being pruned, and lets the databases go."""
        async with self._busy:
            for database in self._open.values():
                database.close()

    async def _prune(self, store: Store) -> None:
        database = self._open.get(store.url)
        if database is None:
            return
        try:
            counts = await asyncio.to_thread(let_go, database, store.configs, self._now(), stopped=self._stop.is_set)
        except DigestError as error:
            complain(f"{database.name}: pruning: {error}")
        except Exception:  # whatever is wrong with it must not end the program
            log.exception("%s: pruning failed", database.name)
        else:
            log.info("%s: let go of %s", database.name, dict(counts) or "nothing")

    def _keep_open(self) -> None:
        for store in stores(self._configs):
            if store.url not in self._open:
                with contextlib.suppress(DigestError):  # whoever works with it says what is wrong
                    self._open[store.url] = open_database(store.url)
