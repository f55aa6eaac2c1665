"""How this machine is for a list: templates, database, journal, Maildir, disk, secret files, clock, time zones.

Adapters that look and change nothing; what they find is decided beside them. `doctor.py` calls each in a thread.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

from digest.check.findings import Finding, failed, ok, warning
from digest.check.server import server
from digest.check.speaking import Told
from digest.dispatch.draining import at_most
from digest.model import (
    NOBODY,
    Address,
    Candidate,
    Edition,
    EditionId,
    Paper,
    PaperId,
    Pick,
    Selection,
    Subscriber,
)
from digest.results import unrecorded
from digest.settings import ListConfig
from digest.settings.files import is_public
from digest.settings.named import Holds, named_files
from digest.store import database_file
from digest.store.inspection import Inspection, inspect

LITTLE, TOO_LITTLE = 1_000_000_000, 50_000_000
"""Free bytes under which a disk is told of, and under which nothing should be begun."""
SLOW, WRONG = timedelta(minutes=1), timedelta(minutes=10)
"""How far a clock may be off before it is told of; before mail looks forged and certificates seem to have ended."""
OLD_ZONES = 2
"""Years after which rules of time zones are likely to be out of date."""


def templates(config: ListConfig, now: datetime) -> list[Finding]:
    """Renders and composes an invented paper's email in every language of the list. Raises TemplateError."""
    from digest.render import EditionRenderer
    from digest.render.language import language_of
    from digest.render.templates import out_of_place

    mailing_list = config.mailing_list
    paper = Paper(
        PaperId("arxiv:2606.00001"), "A paper of nobody's", "It says nothing.", ("N. N.",), 1, ("cs.CV",), "cs.CV"
    )
    edition = Edition(EditionId(0), mailing_list.id, 1, now.date(), None, now)
    selection = Selection((Pick(paper.id, 0.5, 0.5, 0.0, ()),))
    tags = dict.fromkeys((mailing_list.language, *(s.language for s in config.subscribers if s.language)))
    renderer = EditionRenderer(mailing_list, edition, {paper.id: Candidate(paper, ())}, (), languages=tags)
    for tag in tags:
        reader = Subscriber(NOBODY, Address("reader@example.org"), language=tag)
        for chosen in (selection, Selection()):
            renderer.render(reader, chosen)
            renderer.compose(reader, unrecorded(edition, reader, chosen, mailing_list))
    own = mailing_list.templates
    names = ", ".join(dict.fromkeys(language_of(tag).tag for tag in tags))
    renders = ok("templates", f"{mailing_list.theme} renders in {names}{f', with your own of {own}' if own else ''}")
    return [renders, *(_strays(own, out_of_place(own)) if own else ())]


def _strays(own: Path, found: Mapping[str, str]) -> list[Finding]:
    return [
        warning("templates", f"{own / path} stands in for none of the shipped ones", f"move it to {own / place}")
        for path, place in found.items()
    ]


def database(config: ListConfig) -> list[Finding]:
    """Looks at the store, and at the room on its disk, if it is a file, and on the Maildir's. Raises StoreError."""
    if path := database_file(config.store_url):
        return [of_database(inspect(path)), *journal(config.journal), *disks(config)]
    return [*server(config.store_url, at_most(config)), *journal(config.journal), *disks(config)]


def journal(folder: Path | None) -> list[Finding]:
    """Whether what relays have taken can be noted there, if it is to be: without it a send fails before its first."""
    if folder is None:
        return []
    if fault := _unwritable(folder):
        return [failed("journal", fault, "change its owner, or `journal` of [store]")]
    return [ok("journal", f"is kept in {folder}{'' if folder.exists() else ', which the first send makes'}")]


def maildir(folder: Path) -> Finding:
    """Whether messages can be put into the Maildir that stands in for a relay; the first send makes it."""
    says = f"none: messages go to the Maildir {folder}"
    if fault := _unwritable(folder / "tmp") or _unwritable(folder / "new"):
        return failed("relay", f"{says}, but {fault}", "change its owner, or move it away")
    return ok("relay", says)


def _unwritable(folder: Path) -> str:
    """Why nothing can be written into a folder that is there, or be made where it is not; empty where it can."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir():
        return f"{there} is no folder"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"this user may not write to {there}"


def of_database(found: Inspection) -> Finding:  # noqa: PLR0911 - one for each state
    """What an inspection means. Pure, but for who may write where."""
    subject = f"database {found.path.name}"
    folder = found.path.parent
    if not found.exists:
        if not folder.is_dir():
            todo = f"create it (`digest check --fix` does), or change `url` of [store]: {found.path}"
            return failed(subject, f"there is no folder {folder}", todo)
        if not os.access(folder, os.W_OK):
            return failed(subject, f"this user may not write to {folder}", "change its owner, or `url` of [store]")
        return ok(subject, "not there yet: the first command that keeps something makes it")
    if found.foreign:
        return failed(subject, "is another program's", "move it away, or change `url` of [store]")
    if "readonly" in found.fault or "unable to open" in found.fault:
        return failed(subject, f"this user may not write to it: {found.fault}", f"change the owner of {found.path}")
    if found.fault:
        return failed(subject, found.fault, "restore it from a backup")
    if not os.access(folder, os.W_OK):
        return failed(subject, f"this user may not write to {folder}, as SQLite must", "change the folder's owner")
    if found.version > found.newest:
        says = f"was written by a newer digest (schema {found.version}, this one knows {found.newest})"
        return failed(subject, says, "`pip install --upgrade papers-digest`, or restore the backup made before")
    size = f"{found.size / 1_000_000:,.1f} MB"
    if found.version < found.newest:
        says = f"schema {found.version} of {found.newest}, {size}"
        return warning(subject, says, "back it up; the next command migrates it, or `digest check --fix` now")
    busy = ", another process is writing" if found.in_use else ""
    return ok(subject, f"whole, schema {found.version}, {size}{busy}")


def disks(config: ListConfig) -> list[Finding]:
    """The room on each disk that is written to."""
    stored = database_file(config.store_url)
    folders = [*([stored.parent] if stored else []), *([] if config.relays else [config.outbox.parent])]
    found: dict[int, tuple[Path, int]] = {}
    for folder in folders:
        if folder.is_dir():
            found.setdefault(folder.stat().st_dev, (folder, shutil.disk_usage(folder).free))
    return [of_disk(folder, free) for folder, free in found.values()]


def of_disk(folder: Path, free: int) -> Finding:
    """Whether there is room."""
    subject, says = "disk", f"{free / 1_000_000_000:,.1f} GB free at {folder}"
    if free < TOO_LITTLE:
        return failed(subject, says, "free some space: a send stops when the disk is full")
    return warning(subject, says, "free some space") if free < LITTLE else ok(subject, says)


def secrets(path: Path, environ: Mapping[str, str]) -> list[Finding]:
    """Who may read the files that hold secrets. Raises ConfigError: no TOML."""
    held = [n for n in named_files(path, environ) if n.holds not in (Holds.TEMPLATES, Holds.DATABASE)]
    public = [n for n in held if is_public(n.path)]
    found = [
        warning(
            f"secret file {n.path.name}",
            f"everybody on this machine may read it ({n.holds.value}, {n.key})",
            f"`chmod o= {n.path}`, or `digest check --fix`",
        )
        for n in public
        if n.holds is not Holds.DKIM_KEY  # each command warns of those, and so does the line about the config
    ]
    if held and not public:
        found.append(ok("secret files", f"{len(held)}, none readable by everybody"))
    return found


def time_zone(config: ListConfig, now: datetime) -> list[Finding]:
    """Whether the zone's rules are there, and of when they are."""
    name = config.mailing_list.timezone
    here = now.astimezone(ZoneInfo(name))
    return [of_zones(name, f"{here:%H:%M %Z}", zone_data(), now.date())]


def of_zones(name: str, here: str, data: tuple[str, int] | None, today: date) -> Finding:
    """What the age of the rules means; `data` is their version and its year. Pure."""
    subject, says = "time zone", f"{name}: it is {here} there"
    if data is None:
        return ok(subject, says)
    version, year = data
    says += f", by rules of {version}"
    if today.year - year > OLD_ZONES:
        return warning(subject, says, "bring them up to date: `pip install --upgrade tzdata`, or the system's package")
    return ok(subject, says)


def zone_data() -> tuple[str, int] | None:
    """The version of the rules that count, and its year: the system's if it has any, else the package's."""
    from importlib.metadata import PackageNotFoundError, version

    for folder in map(Path, TZPATH):
        try:
            with (folder / "tzdata.zi").open(encoding="ascii", errors="replace") as file:
                found = file.readline().removeprefix("# version ").strip()
        except OSError:
            if (folder / "UTC").exists():
                return None  # its rules count, and it does not say of when they are
            continue
        return (found, int(found[:4])) if found[:4].isdigit() else None
    try:
        found = version("tzdata")
    except PackageNotFoundError:
        return None
    return found, int(found.partition(".")[0])


def clock(told: Sequence[Told]) -> Finding:
    """Whether our clock is right by those of others; one that agrees is enough, as theirs may be wrong. Pure."""
    if not told:
        return ok("clock", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; no server told its own, so it is not compared")
    nearest = min(told, key=lambda t: abs(t.ours - t.time))
    off = nearest.ours - nearest.time
    if abs(off) <= SLOW:
        return ok("clock", f"agrees with {nearest.by}")
    way = "fast" if off > timedelta() else "slow"
    says = f"{timedelta(seconds=round(abs(off).total_seconds()))} {way} by {nearest.by}"
    todo = "set it, and let NTP keep it (`timedatectl set-ntp true`): editions and mail are dated by it"
    return failed("clock", says, todo) if abs(off) > WRONG else warning("clock", says, todo)
