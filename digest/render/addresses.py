"""The addresses that an email leads to beside its papers: the reader's own and the list's.

Values only; `subscribe/links.py` makes them, which knows the keys. Every address is http, https or mailto and already
percent-encoded. Called by `edition.py` and `message.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from digest.model import Subscriber


@dataclass(frozen=True, slots=True)
class ReaderLinks:
    """One reader's own addresses; empty where the list has none."""

    unsubscribe: str = ""
    """https: for people and, posted to, for one click (RFC 8058). A list without pages has a mailto here."""
    preferences: str = ""
    vote: str = ""
    """What every vote's address begins with; a `VoteWords` and the paper's id, quoted, follow."""
    unsubscribe_by_mail: str = ""
    """mailto: a message to it is all that is needed (RFC 2369 section 3.2)."""


@dataclass(frozen=True, slots=True)
class VoteWords:
    """What stands in a vote's address between the reader and the paper."""

    more: str
    less: str
    save: str


@dataclass(frozen=True, slots=True)
class ListLinks:
    """What is the same for all readers of a list."""

    reader: Callable[[Subscriber], ReaderLinks] = lambda _: ReaderLinks()
    votes: VoteWords | None = None
    """None: votes lead nowhere, so none are offered."""
    archive: str = ""
    """The page of the list's editions."""
    help: str = ""
    """mailto: what it takes to be told which commands there are."""
