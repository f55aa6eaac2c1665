"""Looks after lists for their operators: what is in trouble, and a letter about it. `troubles.py` decides.

What the store knows is read from it; what only a running program knows (a relay that refuses us, a mailbox that cannot
be read, a broken config) comes from the events of `logs.py`. The letters go with all others, over the list's relays,
and stay until one takes them: an operator whose only relay fails hears of it when it works again, or sooner over a
second one, which may have `weight = 0`. What was told is known by the letters themselves, in the store.

Called by `scheduler.py` every few minutes, and at the end of `digest send`. Where a letter cannot even be written, as
on a full disk, the log says so.
"""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from pathlib import Path

from digest.errors import DigestError
from digest.logs import Event, last_lines, masked, tell
from digest.model import Address, ListId
from digest.settings import ListConfig
from digest.status.troubles import Facts, Failing, State, Told, Trouble, due, found, over_line
from digest.store import Database, Editions, Figures, Letters, Sources, database_exists, open_database
from digest.subscribe.letters import Headers, Text, wire_form
from digest.ways_out import names, signer

log = logging.getLogger("digest.status.watchman")

LOOKED_AT = 3
"""The newest editions."""
LINES = 15
"""Of the log, in a letter."""
ONCE = timedelta(minutes=1)
"""Two processes that look at once write one letter."""
KIND, OVER_KIND = "trouble ", "trouble over: "
"""Kinds of letters, with the trouble's name behind."""
SUBJECT = 150

_BEGINS = {
    Event.SENDING_PAUSED: "sending",
    Event.SENDING_FAILED: "sending",
    Event.MAILBOX_FAILED: "mailbox",
    Event.CONFIG_BROKEN: "config",
}
_ENDS = {
    Event.SENDING_RECOVERED: "sending",
    Event.EDITION_FINISHED: "sending",
    Event.MAILBOX_READ: "mailbox",
    Event.CONFIG_READ: "config",
}


class Watchman:
    """Looks after those of the lists that have an operator."""

    def __init__(self, configs: Callable[[], Sequence[ListConfig]], now: Callable[[], datetime]):
        """`configs` gives the lists as they are when they are looked at."""
        self._configs = configs
        self._now = now
        self._running: dict[ListId, dict[str, Failing | None]] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within the block, events count."""
        listener = _Listener(self._hear)
        events = logging.getLogger("digest.events")
        events.addHandler(listener)
        try:
            yield
        finally:
            events.removeHandler(listener)

    def _hear(self, event: Event, facts: Mapping[str, object]) -> None:
        for list_id in str(facts.get("list", "")).split(", "):
            known = self._running.setdefault(ListId(list_id), {})
            if name := _BEGINS.get(event):
                before = known.get(name)
                why = str(facts.get("why", "")).removeprefix("paused: ")
                known[name] = Failing(why, before.since if before else self._now())
            elif name := _ENDS.get(event):
                known[name] = None

    def look(self) -> None:
        """Writes the letters that there is reason for."""
        for config in self._configs():
            if not config.mailing_list.operator or not database_exists(config.store_url):
                continue
            try:
                with closing(open_database(config.store_url)) as database:
                    self._look_after(config, database)
            except DigestError as error:  # the next look tries again
                log.error("%s: the operator cannot be written to: %s", config.mailing_list.id, error)  # noqa: TRY400

    def _look_after(self, config: ListConfig, database: Database) -> None:
        mailing_list, now = config.mailing_list, self._now()
        letters = Letters(database, mailing_list.id)
        told = _told(letters.newest(KIND.strip()))
        state = found(config, self._facts(config, database))
        for name, what in due(state, told, now).items():
            text = _text(config, name, what, state.get(name))
            kind = (OVER_KIND if what is State.OVER else KIND) + name
            to = Address(mailing_list.operator or "")
            headers = Headers(
                to, "", f"<{secrets.token_hex(16)}@{parseaddr(mailing_list.from_)[1].rpartition('@')[2]}>", now
            )
            if letters.put(kind, to, wire_form(mailing_list, headers, text, signer(config)), now, ONCE):
                tell(Event.OPERATOR_TOLD, list=mailing_list.id, trouble=name, state=what)

    def _facts(self, config: ListConfig, database: Database) -> Facts:
        mailing_list, now = config.mailing_list, self._now()
        return Facts(
            now=now,
            pulse=Figures(database).pulse(mailing_list.id, now),
            editions=Editions(database).recent(mailing_list.id, LOOKED_AT),
            sources=Sources(database).health(mailing_list.id),
            running=dict(self._running.get(mailing_list.id, {})),
            free=_free(database.path),
            certificates=dict(_certificates(config)),
        )


class _Listener(logging.Handler):
    def __init__(self, hear: Callable[[Event, Mapping[str, object]], None]):
        super().__init__(logging.DEBUG)
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        self._hear(record.event, record.facts)  # type: ignore[attr-defined]


def _told(written: Mapping[str, datetime]) -> dict[str, Told]:
    """What was told, from the kinds of letters and when the newest of each was written."""
    begun = {kind.removeprefix(KIND): at for kind, at in written.items() if not kind.startswith(OVER_KIND)}
    over = {kind.removeprefix(OVER_KIND): at for kind, at in written.items() if kind.startswith(OVER_KIND)}
    return {name: Told(at, name in over and over[name] >= at) for name, at in begun.items()}


def _text(config: ListConfig, name: str, state: State, trouble: Trouble | None) -> Text:
    """The letter; addresses that a server quotes, or that are in the log, are left out."""
    mailing_list = config.mailing_list
    line = " ".join(masked(trouble.line if trouble else over_line(name)).split())
    mark = {State.BEGINS: "", State.LASTS: "still: ", State.OVER: "over: "}[state]
    subject = f"[{mailing_list.id}] {mark}{line}"
    ways = ", ".join(names(config))
    what = {
        State.BEGINS: "It has just begun, or been noticed.",
        State.LASTS: "It lasts; you are told once a day.",
        State.OVER: "Nothing needs to be done.",
    }[state]
    lines = last_lines(LINES, mailing_list.id)
    return Text(
        subject if len(subject) <= SUBJECT else subject[: SUBJECT - 1] + "…",
        (
            f"{line[:1].upper()}{line[1:]}.",
            what,
            f"List: {mailing_list.name} ({mailing_list.id})\nConfig: {config.path}\nWay out: {ways}",
            *([f"What next: {trouble.next}."] if trouble else []),
            *(["The last lines of the log:", "\n".join(lines) + "\n"] if lines else []),
        ),
    )


def _free(path: Path | None) -> int | None:
    return shutil.disk_usage(path.parent).free if path else None


def _certificates(config: ListConfig) -> Iterator[tuple[str, datetime]]:
    """Each authority's file that connections are checked by, and when the first certificate in it expires."""
    named = {relay.ca_file for relay in config.relays} | {config.inbox.ca_file if config.inbox else None}
    for path in sorted(path for path in named if path):
        from cryptography import x509

        try:
            found = x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError):  # `digest check` tells of a file that is none
            continue
        if found:
            yield path.name, min(each.not_valid_after_utc for each in found).astimezone(UTC)
