"""`digest mailbox` and `digest suppressions`: what came in and came back, and who gets nothing any more.

Each function shows what it does and returns the exit code. Called by `cli/` and `postbox.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

from digest import stopping
from digest.app import App
from digest.console import Terminal, complain
from digest.console.words import plural
from digest.errors import DONE, NOTHING, PARTLY, DigestError
from digest.mailroom.handled import Fate, Handled
from digest.mailroom.reading import Mailroom
from digest.model import Address, BounceKind, ListId
from digest.send.outcome import plain
from digest.settings import Installation, ListConfig
from digest.store import Subscribers, open_database

_NAMED = 3
"""So many suppressed addresses are named in a summary."""


def mailbox(terminal: Terminal, configs: Sequence[ListConfig], now: Callable[[], datetime]) -> int:
    """Reads the mailbox of these lists once, and shows each message that mattered when it is done with.

    `configs` are one of the groups of `mailroom.shared`. Raises DigestError.
    """
    terminal.say(", ".join(f"{c.mailing_list.name} ({c.mailing_list.id})" for c in configs), style="bold")
    lists = [config.mailing_list.id for config in configs]
    handled: list[Handled] = []
    troubles: list[str] = []
    try:
        with _posted(configs, now, troubles), Mailroom(configs, now) as mailroom:
            for each in mailroom.read():
                handled.append(each)
                if line := _line(each):
                    terminal.say(f"  {line}")
                if each.fate is Fate.UNREADABLE:
                    complain(f"{', '.join(lists)}: message {each.uid} was skipped: the server could not give it")
    except DigestError:
        if handled:  # what was read before trouble came counts all the same
            _tell_all(terminal, lists, handled)
        raise
    _tell_all(terminal, lists, handled)
    for trouble in troubles:
        complain(trouble)
    return PARTLY if troubles or any(each.fate is Fate.UNREADABLE for each in handled) else DONE


@contextmanager
def _posted(configs: Sequence[ListConfig], now: Callable[[], datetime], troubles: list[str]) -> Iterator[None]:
    """Sends the letters that are due at the end of the block, however it ends."""
    try:
        yield
    finally:
        for config in configs:
            with App(config, now) as app:
                if trouble := stopping.run(app.post()).trouble:
                    troubles.append(f"{config.mailing_list.id}: letters wait: {trouble}")


def _tell_all(terminal: Terminal, lists: Sequence[ListId], handled: Sequence[Handled]) -> None:
    terminal.say(f"  {summary(handled)}")
    terminal.emit({"lists": lists, "messages": [_json(each) for each in handled if _matters(each)]})


def summary(handled: Sequence[Handled]) -> str:
    """`3 bounces: 1 hard (ada@example.org suppressed), 2 soft; 1 complaint; 2 auto-replies left; 4 not ours`."""
    fates = Counter(each.fate for each in handled)
    kinds = Counter(each.bounce.kind for each in handled if each.bounce and each.fate is Fate.COUNTED)
    bounces = kinds.total() - kinds[BounceKind.COMPLAINT]
    parts = []
    if bounces:
        told = [f"{kinds[kind]} {kind}{_suppressed(handled, kind)}" for kind in _BOUNCES if kinds[kind]]
        parts.append(f"{plural(bounces, 'bounce')}: {', '.join(told)}")
    if complaints := kinds[BounceKind.COMPLAINT]:
        parts.append(f"{plural(complaints, 'complaint')}{_suppressed(handled, BounceKind.COMPLAINT)}")
    if asked := sum(fates[fate] for fate in fates if fate.is_a_commands):
        told = [f"{fates[fate]} {words}" for fate, words in _COMMANDS.items() if fates[fate]]
        parts.append(f"{plural(asked, 'command')}: {', '.join(told)}")
    parts += [f"{fates[fate]} {words}" for fate, words in _COUNTED_ALONE.items() if fates[fate]]
    if notices := fates[Fate.NOTICE]:
        parts.append(f"{plural(notices, 'notice')} left")
    if replies := fates[Fate.AUTO_REPLY]:
        parts.append(f"{replies} auto-repl{'y' if replies == 1 else 'ies'} left")
    if others := fates[Fate.NOT_OURS]:
        parts.append(f"{others} not ours")
    return "; ".join(parts) or "nothing new"


_BOUNCES = (BounceKind.HARD, BounceKind.SOFT, BounceKind.POLICY)
_COMMANDS = {
    Fate.DONE: "done",
    Fate.ASKED: "to be confirmed",
    Fate.ANSWERED: "answered",
    Fate.LIMITED: "too many",
}
_COUNTED_ALONE = {
    Fate.DELAYED: "delayed",
    Fate.DELIVERED: "delivered",
    Fate.REPEATED: "dealt with before",
    Fate.UNPROVED: "without proof left",
    Fate.UNREADABLE: "unreadable",
}


def _suppressed(handled: Iterable[Handled], kind: BounceKind) -> str:
    addresses = [str(e.address) for e in handled if e.suppressed and e.bounce and e.bounce.kind is kind]
    more = f" and {len(addresses) - _NAMED} more" if len(addresses) > _NAMED else ""
    return f" ({', '.join(addresses[:_NAMED])}{more} suppressed)" if addresses else ""


def _matters(handled: Handled) -> bool:
    return handled.fate not in (Fate.NOT_OURS, Fate.AUTO_REPLY)


def _line(handled: Handled) -> str | None:
    if handled.bounce:
        also = ", suppressed" if handled.suppressed else ", counted before" if handled.fate is Fate.REPEATED else ""
        return f"{handled.bounce.kind:<9} {handled.address}{also}: {handled.bounce.diagnostic}"
    if handled.told:
        return handled.told
    if handled.reading and _matters(handled):
        return f"{handled.fate:<9} message {handled.uid}: {handled.reading.diagnostic}"
    return None


def _json(handled: Handled) -> dict[str, Any]:
    reading, bounce = handled.reading, handled.bounce
    return {
        "uid": handled.uid,
        "list": handled.list_id,
        "fate": handled.fate,
        "sort": reading.sort if reading else None,
        "kind": reading.kind if reading else None,
        "address": handled.address,
        "delivery": bounce.delivery_id if bounce else None,
        "enhanced_code": reading.enhanced_code if reading else "",
        "diagnostic": reading.diagnostic if reading else "",
        "suppressed": handled.suppressed,
        "told": handled.told,
    }


# --- suppressions ---------------------------------------------------------------------------------------------------


def list_suppressions(terminal: Terminal, installation: Installation) -> int:
    """Shows every suppressed address, and why. Raises StoreError."""
    found = {each.address: each for people in _each_store(installation) for each in people.suppressions()}
    terminal.table(
        ["address", "since", "reason"],
        [[each.address, f"{each.at:%Y-%m-%d %H:%M} UTC", each.reason] for each in found.values()],
    )
    if not found:
        terminal.say("no address is suppressed")
    for each in found.values():
        terminal.emit({"address": each.address, "suppressed_at": each.at.isoformat(), "reason": each.reason})
    return DONE


def suppress(
    terminal: Terminal, installation: Installation, addresses: Sequence[Address], reason: str, now: datetime
) -> int:
    """Adds addresses. Raises StoreError."""
    for people in _each_store(installation):
        for address in addresses:
            changed = people.suppress(address, plain(reason), now)
            _tell(terminal, address, "suppressed" if changed else "suppressed already", suppressed=True)
    return DONE


def release(terminal: Terminal, installation: Installation, addresses: Sequence[Address]) -> int:
    """Takes addresses off; one that is not suppressed is named, and the exit code says so. Raises StoreError."""
    missing = set(addresses)
    for people in _each_store(installation):
        for address in addresses:
            if people.release(address):
                missing.discard(address)
                _tell(terminal, address, "may be sent to again", suppressed=False)
    for address in sorted(missing):
        complain(f"{address} is not suppressed")
    return NOTHING if missing else DONE


def _tell(terminal: Terminal, address: Address, words: str, *, suppressed: bool) -> None:
    terminal.say(f"{address}: {words}")
    terminal.emit({"address": address, "suppressed": suppressed})


def _each_store(installation: Installation) -> Iterator[Subscribers]:
    """Suppressions are a database's, whichever lists share it."""
    for url in dict.fromkeys(config.store_url for config in installation.lists):
        with closing(open_database(url)) as database:
            yield Subscribers(database)
