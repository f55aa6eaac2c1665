"""`digest subscribers`: who is on a list, put there, taken off, imported, exported, forgotten.

Each function shows what it does and returns the exit code. Before it, the config's people are made the listed ones, so
that what is shown and done is what the next send would go by. The rules are `membership.py`'s. Called by `cli/`.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from digest import stopping
from digest.console import Terminal, complain
from digest.console.words import plural
from digest.errors import DONE, NOTHING, PARTLY, ConfigError, Problem
from digest.members import Admission, Entry, Member, Preferences, Standing
from digest.membership import Membership, named_topics
from digest.model import Address, Paper, Profile, Topic
from digest.settings import ListConfig
from digest.settings.contradictions import unknown_topic
from digest.store import open_database
from digest.subscribe.exporting import write_members
from digest.subscribe.importing import MEMBERS_COLUMNS, SubscriberRow, subscriber_rows
from digest.subscribe.libraries import read_library
from digest.subscribe.values import same_mailbox, show

Clock = Callable[[], datetime]

_WHY_NOT = {
    Admission.MEMBER: "is a member already, and is left as she is",
    Admission.UNSUBSCRIBED: "has unsubscribed: only she herself can come back; --ask writes to her, once",
    Admission.SUPPRESSED: "is suppressed: `digest suppressions list` says why, `digest suppressions remove` ends it",
    Admission.ERASED: "was erased: only she herself can come back; --ask writes to her, once",
    Admission.LEFT_OUT: "was asked before, and is not asked again: only she herself can come now",
}
_COUNTED = {
    Admission.ADDED: "added",
    Admission.MEMBER: "member already, left as they are",
    Admission.UNSUBSCRIBED: "unsubscribed, left out",
    Admission.SUPPRESSED: "suppressed, left out",
    Admission.ERASED: "erased, left out",
    Admission.NOTED: "unsubscribed in the file, noted",
    Admission.LEFT_OUT: "not confirmed in the file, left out",
}


@contextmanager
def opened(config: ListConfig, now: Clock) -> Iterator[Membership]:
    """A list's people, with its config's among them. Raises StoreError."""
    with closing(open_database(config.store_url)) as database:
        membership = Membership(config, database, now)
        membership.synchronise()
        yield membership


# --- who is there ---------------------------------------------------------------------------------------------------


def list_members(terminal: Terminal, config: ListConfig, now: Clock, only: Standing | None) -> int:
    """Shows everybody of whom the list knows, or those of one standing, a line each."""
    counts: Counter[Standing] = Counter()
    with opened(config, now) as people:
        terminal.say(f"{people.list.name} ({people.list.id})", style="bold")
        today = people.today
        for member in people.members.all():
            standing = member.standing(today)
            if only is None or standing is only:
                counts[standing] += 1
                _show(terminal, member, standing)
    told = ", ".join(f"{counts[standing]:,} {standing}" for standing in Standing if counts[standing])
    terminal.say(f"  {told}" if told else f"  there is nobody{f' {only}' if only else ''}")
    return DONE


def _show(terminal: Terminal, member: Member, standing: Standing) -> None:
    since = member.confirmed_at or member.created_at
    topics = [topic.name for topic in member.preferences.profile.topics]
    day = f"{since:%Y-%m-%d}" if since else ""
    terminal.say(f"  {member.address:<32}  {standing:<12}  {_came(member):<9}  {day:<10}  {', '.join(topics)}".rstrip())
    terminal.emit(
        {
            "list": member.list_id,
            "address": member.address,
            "name": member.preferences.name,
            "state": standing,
            "came": _came(member),
            "since": since.isoformat() if since else None,
            "topics": topics,
        }
    )


def _came(member: Member) -> str:
    if member.listed:
        return "both" if member.signed_up else "config"
    return "signed up" if member.signed_up else ""


# --- on and off -----------------------------------------------------------------------------------------------------


def preferences_of(row: SubscriberRow, topics: Sequence[Topic]) -> Preferences:
    """What a row says she wants; its `topics` are the list's, its `interests` her own words."""
    named = {topic.name: topic for topic in topics}
    profile = Profile(
        tuple(dict.fromkeys((*(named[name] for name in row.topics), *named_topics(topics, row.interests)))),
        row.authors,
        row.categories,
        row.examples,
    )
    return Preferences(row.name, profile, row.timezone, row.language, row.frequency, row.hour, row.paused_until)


def add(terminal: Terminal, config: ListConfig, now: Clock, row: SubscriberRow, *, ask: bool) -> int:
    """Puts one person on the list or, with `ask`, asks her by a letter that is sent at once. Raises ConfigError."""
    named = {topic.name: topic for topic in config.topics}
    if unknown := [unknown_topic(name, named) for name in row.topics if name not in named]:
        raise ConfigError(*(f"--topics: {message}; --interests takes her own words" for message in unknown))
    wanted = preferences_of(row, config.topics)
    with opened(config, now) as people:
        if ask:
            refused = people.invite(row.address, wanted)
        else:
            (fate,) = people.enrol([Entry(row.address, wanted)])
            refused = None if fate is Admission.ADDED else fate
    terminal.emit({"list": config.mailing_list.id, "address": row.address, "result": refused or _done(ask)})
    if refused:
        complain(f"{row.address} {_WHY_NOT[refused]}")
        return NOTHING
    terminal.say(f"{row.address}: {_done(ask)}")
    return _post(config, now) if ask else DONE


def _done(ask: bool) -> str:
    return "asked" if ask else "added"


def _post(config: ListConfig, now: Clock) -> int:

    from digest.app import App

    with App(config, now) as app:
        posted = stopping.run(app.post())
    if posted.trouble:
        complain(f"the letter waits, the relay has trouble: {posted.trouble}")
    return PARTLY if posted.trouble else DONE


def remove(terminal: Terminal, configs: Sequence[ListConfig], now: Clock, addresses: Sequence[Address]) -> int:
    """Unsubscribes people from these lists for good; who is on none of them is named, and the exit code says so."""

    def leave(people: Membership, member: Member) -> str:
        return "unsubscribed" if people.unsubscribe(member) else "had unsubscribed already"

    return _for_each(terminal, configs, now, addresses, leave)


def erase(terminal: Terminal, configs: Sequence[ListConfig], now: Clock, addresses: Sequence[Address]) -> int:
    """Forgets people; says where they still stand in a config."""

    def forget(people: Membership, member: Member) -> str:
        people.erase(member)
        return "erased"

    code = _for_each(terminal, configs, now, addresses, forget)
    gone = {same_mailbox(address) for address in addresses}
    for config in configs:
        for each in config.subscribers:
            if same_mailbox(each.address) in gone:
                complain(f"{config.path}: {each.address} stands there still, or in its CSV: take her out of it, too")
    return code


def _for_each(
    terminal: Terminal,
    configs: Sequence[ListConfig],
    now: Clock,
    addresses: Sequence[Address],
    act: Callable[[Membership, Member], str],
) -> int:
    strangers = set(addresses)
    for config in configs:
        with opened(config, now) as people:
            for address in addresses:
                if member := people.members.find(address):
                    strangers.discard(address)
                    result = act(people, member)
                    terminal.say(f"{address}: {result} ({people.list.id})")
                    terminal.emit({"list": people.list.id, "address": address, "result": result})
    for address in sorted(strangers):
        complain(f"{address} is on no list here")
    return NOTHING if strangers else DONE


# --- files ----------------------------------------------------------------------------------------------------------


def import_members(terminal: Terminal, config: ListConfig, now: Clock, path: Path, *, keep: bool) -> int:
    """Puts everybody of a CSV on the list, or nobody: every mistake is told with its line. Raises ConfigError."""
    with opened(config, now) as people, terminal.counting("checked") as progress:
        counts = people.enrol(_entries(path, config.topics, progress.done), keep=keep)
    heading = f"{path}: {plural(counts.total(), 'row')}"
    terminal.say(heading if keep else f"{heading}; nothing was changed, this is what would be")
    for fate, words in _COUNTED.items():
        if counts[fate]:
            terminal.say(f"  {counts[fate]:>9,} {words}")
    rows = {fate.value.replace(" ", "_"): counts[fate] for fate in Admission}
    terminal.emit({"list": config.mailing_list.id, "file": str(path), "dry_run": not keep, "rows": rows})
    return DONE if counts else NOTHING


def _entries(path: Path, topics: Sequence[Topic], on_row: Callable[[int], object]) -> Iterator[Entry]:
    """The people of a CSV. Complains of every mistake, and raises ConfigError at the end if there was one."""
    named = {topic.name: topic for topic in topics}
    first: dict[str, int] = {}
    mistakes = 0
    for count, row in enumerate(subscriber_rows(path, MEMBERS_COLUMNS), 1):
        on_row(count)
        if isinstance(row, Problem):
            problems = [row]
        else:
            problems = [
                Problem(path, row.line, "topics", f"{unknown_topic(name, named)}; own words stand under `interests`")
                for name in row.topics
                if name not in named
            ]
            if earlier := first.get(same_mailbox(row.address)):
                message = f"`email` {show(row.address)} is there twice, first in line {earlier}: keep one of them"
                problems.append(Problem(path, row.line, "email", message))
            first.setdefault(same_mailbox(row.address), row.line)
            if not (problems or mistakes):
                yield Entry(row.address, preferences_of(row, topics), row.state or Standing.CONFIRMED)
        for problem in problems:
            complain(str(problem))
        mistakes += len(problems)
    if mistakes:
        raise ConfigError(f"{path}: {plural(mistakes, 'mistake')}, so nothing was imported")


def export(
    terminal: Terminal, config: ListConfig, now: Clock, path: Path | None, only: Sequence[Address], *, as_json: bool
) -> int:
    """Writes everybody of whom the list knows, or only some, as CSV or as JSON lines. Raises ConfigError."""
    with opened(config, now) as people:
        found = [people.members.find(address) for address in only]
        members = people.members.all() if not only else iter([member for member in found if member])
        with _written(terminal, path) as file:
            if as_json:
                count = 0
                for count, member in enumerate(members, 1):  # noqa: B007 - the last number is the count
                    file.write(json.dumps(people.held(member), ensure_ascii=False) + "\n")
            else:
                count = write_members(file, members, config.topics, people.today)
    strangers = [address for address, member in zip(only, found, strict=True) if not member]
    for address in strangers:
        complain(f"{address} is on no list here")
    if path:
        complain(f"{path}: {count:,} of {config.mailing_list.name}; it holds personal data, readable for you alone")
    return NOTHING if strangers or not count else DONE


@contextmanager
def _written(terminal: Terminal, path: Path | None) -> Iterator[TextIO]:
    """A file that is there when it is complete, or standard output."""
    if path is None:
        with terminal.reader_may_leave():
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(encoding="utf-8")  # as a file would have it: no name loses its letters
            yield sys.stdout
        return
    # A byte-order mark, without which spreadsheets take the accents of a CSV for something else.
    encoding = "utf-8-sig" if path.suffix == ".csv" else "utf-8"
    try:
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}: name a file in a folder that you can write to") from error
    try:
        with os.fdopen(number, "w", encoding=encoding, newline="") as file:
            yield file
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


# --- example papers -------------------------------------------------------------------------------------------------


def examples(
    terminal: Terminal, config: ListConfig, now: Clock, address: Address, files: Sequence[Path], zotero: str | None
) -> int:
    """Adds the papers of libraries to what a member wants more of. Raises ConfigError, SourceError."""
    with opened(config, now) as people:
        member = people.members.find(address)
        if member is None:
            complain(f"{address} is not on this list")
            return NOTHING
        if member.listed and not member.has_chosen:
            raise ConfigError(
                f"{config.path}: {address} stands there, and what is written there would win: "
                'add `library = "FILE.bib"` to her [[subscribers]] table'
            )
        papers = [paper for path in files for paper in _library(path)]
        if zotero:
            papers += _from_zotero(config, zotero)
        new = people.learn_from(member, papers) if papers else 0
    terminal.say(f"{address}: {plural(len(papers), 'paper')}, {new:,} of them new examples")
    terminal.emit({"list": config.mailing_list.id, "address": address, "papers": len(papers), "new": new})
    return DONE if papers else NOTHING


def _library(path: Path) -> tuple[Paper, ...]:
    """The papers of a file; what it holds besides is told. Raises ConfigError for one that holds none."""
    found = read_library(path)
    if not found.items:
        raise ConfigError(*(found.problems or [Problem(path, None, "", "has no entry that can be used")]))
    for problem in found.problems:
        complain(f"{problem}: left out")
    return found.items


def _from_zotero(config: ListConfig, library: str) -> tuple[Paper, ...]:

    from digest.pull.http import CONTACT, Fetcher
    from digest.zotero import API, address_of, read_zotero

    address, how = address_of(library), config.pulling

    async def read() -> tuple[Paper, ...]:
        # Another address than Zotero's own was written by whoever runs this: it may lie in her own network.
        private = how.allow_private or not address.startswith(API)
        async with Fetcher(contact=how.contact or CONTACT, allow_private=private) as fetcher:
            return await read_zotero(fetcher, address, os.environ.get("ZOTERO_API_KEY", "").strip())

    return stopping.run(read())
