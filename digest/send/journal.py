"""What relays have said yes to, in a file of this host, until the ledger has it: `[store] journal`.

Between the reply and the commit a kill leaves a delivery `sending`, hence in doubt. A line appended to a file costs
microseconds where a commit costs milliseconds, so the doubt shrinks to what the program has not read yet. The line is
handed to the system, not to the disk: it outlives the process, however that ends, and not a power cut.

Each drain has a file of its own, named after its list and its process, so nobody waits for a lock; it is removed when
the ledger has all of it. A file whose process is gone is read by whoever finds it first
(`dispatch/journalling.py`). Here are the files; what is made of their lines is the ledger's: `sent` is a fact, and
always accepted.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from digest import durable
from digest.ledger import Accepted, Entry, Result
from digest.model import Claim, DeliveryId, DeliveryStatus, EditionId, ListId, Outcome
from digest.owners import identity, may_live
from digest.send.outbox import Ledger

log = logging.getLogger(__name__)

LARGE = 1_000_000
"""Bytes from which on a file is written anew, with only what the ledger does not have."""
_NAME = re.compile(r"(.+)@([^@]+)@(\d+)@(\d+\.\d+)@\d+(\.closed)?\.journal")
_NUMBERS = count()
_CLOSED = -1
"""In place of a file's number, which may be another file's by now."""


@dataclass(frozen=True, slots=True)
class Left:
    """A file whose process is gone, or that is none of ours."""

    path: Path
    facts: tuple[Accepted, ...] = ()
    trouble: str = ""
    """Why it is not to be removed."""


class Journal:
    """The file of one drain. Several threads may use it. After `__init__`, which raises OSError, nothing raises."""

    def __init__(self, folder: Path, list_id: ListId):
        durable.private_folder(folder)
        owner = "@".join(identity().split("/"))
        self._path = folder / f"{list_id}@{owner}@{next(_NUMBERS)}.journal"
        durable.private_file(self._path)
        self._file = self._opened()
        self._open: dict[DeliveryId, bytes] = {}
        self._size = 0
        self._works = True
        self._turn = threading.Lock()

    def note(self, claim: Claim, outcome: Outcome) -> None:
        """A relay has taken the claim's message."""
        delivery = claim.delivery
        fact = Accepted(
            delivery.id,
            delivery.edition_id,
            claim.token,
            delivery.message_id,
            claim.relay,
            outcome.enhanced_code,
            outcome.reply,
        )
        line = json.dumps(fact).encode() + b"\n"
        with self._turn:
            self._open[delivery.id] = line
            self._append(line)

    def forget(self, entries: Sequence[Entry]) -> None:
        """The ledger has them."""
        with self._turn:
            for entry in entries:
                if isinstance(entry, Result):
                    self._open.pop(entry.claim.delivery.id, None)
            if self._works and self._size > LARGE:
                self._write_anew()

    def close(self) -> None:
        """Removes the file, if the ledger has all of it; else it is for the next who looks, in this process too."""
        with self._turn:
            if self._file != _CLOSED:
                os.close(self._file)
            self._works = False
            if self._open:
                with contextlib.suppress(OSError):
                    self._path.rename(self._path.with_suffix(".closed.journal"))
            else:
                durable.remove(self._path)

    def _append(self, line: bytes) -> None:
        if not self._works:
            return
        try:
            written = os.write(self._file, line)
        except OSError as error:
            self._give_up(str(error))
        else:
            self._size += written
            if written < len(line):
                self._give_up("there was room for half a line")

    def _write_anew(self) -> None:
        beside = _beside(self._path)
        try:
            durable.remove(beside)
            durable.private_file(beside)  # replies may name readers
            beside.write_bytes(b"".join(self._open.values()))
            os.close(self._file)  # Windows replaces no open file
            self._file = _CLOSED
            try:
                beside.replace(self._path)
            finally:
                self._file, self._size = self._opened(), 0
        except OSError as error:
            self._give_up(str(error))

    def _give_up(self, why: str) -> None:
        """Half a line must stay the last one; and what is only a help must not end a send."""
        self._works = False
        log.warning("%s cannot be written: %s; the send goes on without it", self._path, why)

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND)


class JournalledLedger:
    """A ledger that learns what the dead have left before it puts their deliveries in doubt."""

    def __init__(self, ledger: Ledger, journal: Journal, recover: Callable[[], Collection[DeliveryId]]):
        """`recover` has the ledger record what is left; which deliveries that was about."""
        self._ledger = ledger
        self._journal = journal
        self._recover = recover

    def claim(self, limit: int) -> Sequence[Claim]:
        """As the ledger does."""
        self._recover()
        claims = self._ledger.claim(limit)
        late = self._recover()  # of those who died in between
        return [claim for claim in claims if claim.delivery.id not in late]

    def commit(self, entries: Sequence[Entry]) -> Sequence[bool]:
        """As the ledger does."""
        made = self._ledger.commit(entries)
        self._journal.forget(entries)
        return made


def left(folder: Path, list_id: ListId) -> Iterator[Left]:
    """The files that the list's dead processes have left, and those that are nobody's. Raises nothing."""
    for path in sorted(folder.glob("*.journal")):
        name = _NAME.fullmatch(path.name)
        if name is None:
            yield Left(path, trouble="is no journal of digest")
        elif name[1] == list_id and (name[5] or not may_live("/".join(name.group(2, 3, 4)), is_shared=False)):
            try:
                yield _read(path)
            except FileNotFoundError:  # another was quicker
                continue
            except OSError as error:
                yield Left(path, trouble=f"cannot be read: {error}")


def remove(found: Left) -> None:
    """The ledger has all of it."""
    durable.remove(_beside(found.path))
    durable.remove(found.path)


def _beside(path: Path) -> Path:
    return path.with_suffix(".new")


def _read(path: Path) -> Left:
    *lines, _half = path.read_bytes().split(b"\n")  # whoever was killed while writing has not ended the last line
    facts = [_fact(line) for line in lines]
    garbled = facts.count(None)
    trouble = f"has {garbled} lines that nobody can read" if garbled else ""
    return Left(path, tuple(fact for fact in facts if fact), trouble)


def _fact(line: bytes) -> Accepted | None:
    try:
        number, edition, token, *words = json.loads(line)
        if not all(type(each) is int for each in (number, edition, token)):
            return None
        message_id, relay, code, reply = words
        if not all(isinstance(each, str) for each in words):
            return None
    except (ValueError, TypeError):
        return None
    return Accepted(DeliveryId(number), EditionId(edition), token, message_id, relay, code, reply)


def outcome(fact: Accepted) -> Outcome:
    """What the relay has said."""
    return Outcome(DeliveryStatus.SENT, fact.enhanced_code, fact.reply)
