"""Rows of which one may be damaged: that one is told of and done without, as all the others must not wait for it.

What a delivery itself is made of is not read here (`rows.py`): it is deferred, and says why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from digest.model import SourceSummary
from digest.store.codec import decode

log = logging.getLogger("digest.store")

told: set[str] = set()
"""What this process has said; the same rows are read again and again."""

R = TypeVar("R", bound=Sequence[Any])
T = TypeVar("T")


def readable(what: str, rows: Iterable[R], read: Callable[[R], T]) -> Iterator[T]:
    """What can be read of rows whose first column tells one from another; the rest is left out."""
    for row in rows:
        try:
            value = read(row)
        except ValueError as error:
            tell(f"{what} {row[0]}", "it is left out", error)
        else:
            yield value


def sources_of(edition_id: int, text: str) -> tuple[SourceSummary, ...]:
    """What each source gave to an edition; nothing where that cannot be read."""
    try:
        return decode(text, tuple[SourceSummary, ...])
    except ValueError as error:
        tell(f"what sources gave to edition {edition_id}", "it counts as nothing", error)
        return ()


def tell(what: str, instead: str, error: ValueError) -> None:
    """Says once what is damaged, and what is made of it."""
    tell_once(f"{what} cannot be read in the database: {error}; {instead}, a backup may have it whole")


def tell_once(line: str) -> None:
    """Says it, but not again."""
    if line not in told:
        told.add(line)
        log.warning("%s", line)
