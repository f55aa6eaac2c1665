"""`digest backup` and `digest restore`: a copy of each database, and a copy in a database's place.

Each function shows what it does and returns the exit code. Called by `cli/keeping.py`. How files are copied and locked
is `store/copies.py`'s; what a restored database must not do again, `store/restored.py`'s.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from digest import durable
from digest.commands.restoring import options
from digest.console import Terminal, complain
from digest.errors import DONE, NOTHING, PARTLY, ConfigError, DigestError, StoreError
from digest.model import ListId
from digest.settings import ListConfig
from digest.store import copies, database_file, open_database, restored

HOLDS = "it holds everybody's address and the key that signs their links: readable for its owner alone"


@dataclass(frozen=True)
class Store:
    """A database and the lists that share it."""

    url: str
    configs: tuple[ListConfig, ...]

    @property
    def lists(self) -> frozenset[ListId]:
        """Their ids."""
        return frozenset(config.mailing_list.id for config in self.configs)

    @property
    def path(self) -> Path:
        """Its file. Raises ConfigError for a database of PostgreSQL."""
        if (path := database_file(self.url)) is None:
            raise ConfigError(
                f"{', '.join(sorted(self.lists))}: a PostgreSQL database is copied by `pg_dump`, and put back by "
                "`pg_restore`, into an empty database and while no digest runs: it will not know what was sent since, "
                "and the next edition brings that again"
            )
        return path


def stores(configs: Sequence[ListConfig]) -> tuple[Store, ...]:
    """The databases of these lists, each once."""
    by_url: dict[str, list[ListConfig]] = {}
    for config in configs:
        by_url.setdefault(config.store_url, []).append(config)
    return tuple(Store(url, tuple(sharing)) for url, sharing in by_url.items())


# --- backup ---------------------------------------------------------------------------------------------------------


def backup(terminal: Terminal, found: Sequence[Store], place: Path | None, keep: int | None, now: datetime) -> int:
    """Copies every database, also while it is written to. Raises ConfigError for a place that does not do."""
    targets = [_target(store, place, now) for store in found]
    if len(set(targets)) < len(targets):
        raise ConfigError(f"{place}: several databases have the same name: back each of them up into its own folder")
    code = DONE
    for store, target in zip(found, targets, strict=True):
        try:
            code = max(code, _back_up(terminal, store, target, keep))
        except DigestError as error:
            complain(str(error))
            code = PARTLY
    return code


def _target(store: Store, place: Path | None, now: datetime) -> Path:
    """A name that ends in `.db` is a file, any other a folder."""
    usual = copies.place_of(store.path, now)
    if place is None:
        return usual
    return place if place.suffix == ".db" and not place.is_dir() else place / usual.name


def _back_up(terminal: Terminal, store: Store, target: Path, keep: int | None) -> int:
    if not store.path.is_file():
        complain(f"{store.path}: there is no database yet; `digest send` makes it")
        return NOTHING
    if target.exists():
        raise ConfigError(f"{target}: is there already, and is left as it is: name another")
    with _told(terminal, f"copying {store.path.name}") as on_pages:
        facts = copies.back_up(store.path, target, on_pages)
    lists = ", ".join(sorted(store.lists))
    terminal.say(f"{target}: {facts.size / 1e6:,.1f} MB, schema {facts.schema}, of {lists}; copied and read through")
    terminal.say(f"  {HOLDS}")
    removed = _thin_out(store, target, keep) if keep is not None else []
    if removed:
        terminal.say(f"  removed {len(removed)} older, kept the newest {keep}")
    terminal.emit(
        {
            "database": str(store.path),
            "backup": str(target),
            "lists": sorted(store.lists),
            "bytes": facts.size,
            "schema": facts.schema,
            "removed": [str(path) for path in removed],
        }
    )
    return DONE


def _thin_out(store: Store, newest: Path, keep: int) -> list[Path]:
    """Removes the oldest of the copies that `digest backup` named by itself; others are somebody's own."""
    name = re.compile(re.escape(store.path.stem) + r"-\d{8}T\d{6}Z\.db")
    ours = sorted((path for path in newest.parent.iterdir() if name.fullmatch(path.name)), reverse=True)
    removed = [path for path in ours[keep:] if path != newest]
    for path in removed:
        durable.remove(path)
    return [path for path in removed if not path.exists()]


@contextmanager
def _told(terminal: Terminal, what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; elsewhere a line at each tenth, where it takes long."""
    if terminal.is_interactive:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        with Progress(
            TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), transient=True
        ) as shown:
            task = shown.add_task(what)
            yield lambda done, total: shown.update(task, completed=done, total=total)
        return
    tenths = 0

    def line(done: int, total: int) -> None:
        nonlocal tenths
        reached = 10 * done // max(total, 1)
        if total > LARGE and reached > tenths:
            terminal.say(f"  {what}: {10 * reached} %")
        tenths = reached

    yield line


LARGE = 25_000
"""Pages (100 MB) from which a copy tells how far it is."""


# --- restore --------------------------------------------------------------------------------------------------------


def restore(terminal: Terminal, store: Store, file: Path, now: datetime) -> int:
    """Puts a backup in the place of a database that nobody uses. Raises StoreError, and has then changed nothing."""
    facts = copies.examine(file)
    copies.refuse_newer(file, facts)
    if store.path.exists() and file.samefile(store.path):
        raise StoreError(f"{file} is the database itself: name a backup of it")
    if not store.path.parent.is_dir():
        raise StoreError(f"{store.path}: there is no folder {store.path.parent}: create it")
    aside = copies.place_of(store.path, now, "-before-restore")
    if aside.exists():
        raise StoreError(f"{aside}: is there already: give the command again in a second")
    try:
        with copies.partial(store.path) as prepared:
            with _told(terminal, f"reading {file.name}") as on_pages:
                copies.copy(file, prepared, on_pages)
            done = _exchange(store, prepared, aside, file, now)
    except sqlite3.Error as error:
        raise StoreError(f"{store.path}: {error}: nothing was restored") from error
    except OSError as error:
        raise StoreError(f"{error.filename or store.path}: {error.strerror}: nothing was restored") from error
    _show(terminal, store, file, facts, done)
    return DONE


@dataclass(frozen=True, slots=True)
class _Restored:
    newest: datetime | None
    aside: Path | None
    held: tuple[restored.Held, ...]
    letters: int
    departed: restored.Departed | None


def _exchange(store: Store, prepared: Path, aside: Path, file: Path, now: datetime) -> _Restored:
    """From here on nobody uses the database, until it has become what was prepared."""
    if not store.path.exists() or not store.path.stat().st_size:
        done = _prepare(store, prepared, None, file, now)
        _put(prepared, store.path)
        return done
    try:
        with copies.hold(store.path) as held:
            held.copy_to(aside)
            done = _prepare(store, prepared, aside, file, now)
            held.become(prepared)
            return done
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # damaged as a whole: nobody can be using it
        durable.private_folder(aside.parent)
        for ending in ("", "-wal", "-journal"):
            if Path(f"{store.path}{ending}").exists():
                durable.remove(Path(f"{aside}{ending}"))
                durable.private_file(Path(f"{aside}{ending}"))
                shutil.copyfile(f"{store.path}{ending}", f"{aside}{ending}")
                durable.sync_file(Path(f"{aside}{ending}"))
        durable.sync_folder(aside.parent)
        done = _prepare(store, prepared, aside, file, now)
        _put(prepared, store.path)
        return done


def _put(prepared: Path, path: Path) -> None:
    """In place of a file that no SQLite can open, or of none: what belonged to it would spoil another."""
    for ending in ("-wal", "-shm", "-journal"):
        durable.remove(Path(f"{path}{ending}"))
    durable.sync_file(prepared)
    durable.replace(prepared, path)


def _prepare(store: Store, prepared: Path, aside: Path | None, file: Path, now: datetime) -> _Restored:
    """Migrates the copy, and makes it such that nothing is sent twice by it."""
    with closing(open_database(f"sqlite:///{prepared}", keep_a_copy=False)) as database:
        known = restored.lists_of(database)
        if known and not known & store.lists:
            theirs, ours = ", ".join(sorted(known)), ", ".join(sorted(store.lists))
            raise StoreError(f"{file} is a backup of other lists: of {theirs}, not of {ours}")
        newest = restored.newest(database)
        when = f"{newest:%Y-%m-%d %H:%M} UTC" if newest else "an empty database"
        departed = restored.take_over(database, aside, now)
        held, letters = restored.hold(database, known | store.lists, f"restored from a backup of {when}", now)
    copies.leave_wal(prepared)
    return _Restored(newest, aside, held, letters, departed)


def _show(terminal: Terminal, store: Store, file: Path, facts: copies.Facts, done: _Restored) -> None:
    say = terminal.say
    when = f"{done.newest:%Y-%m-%d %H:%M} UTC" if done.newest else "before anything happened"
    say(f"{store.path} is {file} again; the last it knows is of {when}")
    if done.aside:
        say(f"  as it was, it is kept in {done.aside}")
    if done.departed:
        gone = done.departed
        say(
            f"  taken over from it: {gone.unsubscribed:,} unsubscribed, {gone.suppressed:,} suppressed, "
            f"{gone.erased:,} erased since; other changes since then are gone, sign-ups and votes among them"
        )
    else:
        say("  it is not known who has unsubscribed, was suppressed or was erased since the backup: see your records")
    say("What left after the backup is not in it. So that nothing is sent twice:", style="bold")
    for each in done.held:
        say(f"  {each.list_id}: {each.count:,} deliveries of edition {each.number} of {each.due_on} are held")
        say(f"    `digest resolve {each.number}` shows them, and decides")
    if done.letters:
        say(f"  {done.letters:,} letters to single people that were due are not sent: who signed up may do so again")
    for list_id in sorted(store.lists):
        say(f"  {list_id}: paused, until you say what became of the editions since")
        for option in options(list_id):
            say(f"    {option}")
    terminal.emit(
        {
            "database": str(store.path),
            "restored": str(file),
            "schema": facts.schema,
            "newest": done.newest.isoformat() if done.newest else None,
            "aside": str(done.aside) if done.aside else None,
            "held": [
                {"list": h.list_id, "edition": h.number, "due_on": h.due_on.isoformat(), "deliveries": h.count}
                for h in done.held
            ],
            "letters_not_sent": done.letters,
            "taken_over": (
                {
                    "unsubscribed": done.departed.unsubscribed,
                    "suppressed": done.departed.suppressed,
                    "erased": done.departed.erased,
                }
                if done.departed
                else None
            ),
            "paused": sorted(store.lists),
        }
    )
