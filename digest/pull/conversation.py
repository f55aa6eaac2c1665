"""How a source module asks without fetching: it yields what it wants, is sent the answer, and decides what comes next.

A conversation is a generator: pure, so a test can hold it without a network. `digest.pull` holds it with a fetcher and
runs each step in a thread, as reading is all CPU. A fetch that failed is thrown in at the `yield` as `SourceError`
(`StatusError` where a server refused). `ask` covers the usual step: fetch one address, read it, let no fault out.
`ask_each` asks for several.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from http import HTTPStatus
from typing import TypeAlias

from digest.errors import SourceError
from digest.model import PaperId, Source, Window
from digest.pull.addresses import shown
from digest.pull.http import Response, StatusError
from digest.pull.parsed import Parsed, joined


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. With `body`, JSON to be posted; without, a GET."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


Conversation: TypeAlias = Generator[Ask, Response, Parsed]


@dataclass(frozen=True, slots=True)
class Task:
    """What one source is asked for in one pull."""

    source: Source
    window: Window
    now: datetime
    """The time at which figures are observed."""
    known: Mapping[PaperId, date | None] = field(default_factory=dict)
    """Papers that earlier pulls for the same list had from this source, with their latest day of announcement."""
    files: tuple[tuple[date, str], ...] | None = None
    """Where the source's `url` is a folder: the window's files in it, oldest first, as (day, file address)."""
    contact: str = ""
    """A mail address that some services ask for, or nothing."""
    api_key: str | None = None


_NO_SUCH_DAY = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND})


def ask(wanted: Ask, read: Callable[[Response], Parsed], *, day: date | None = None) -> Conversation:
    """Ask for one address and `read` the answer. Every fault, a bug in `read` too, is the `error` of what is returned.

    `day` is the day that is asked for: a refusal then means that there is no list of that day, which is a note.
    """
    try:
        response = yield wanted
        return read(response)
    except StatusError as error:
        if day is not None and error.status in _NO_SUCH_DAY:
            return Parsed(notes=(f"{error}: no list of that day",))
        return Parsed(error=str(error))
    except SourceError as error:
        return Parsed(error=str(error))
    except Exception as error:  # a bug in one reader must not cost the edition its other sources
        return Parsed(error=bug(shown(wanted.url), error))


def ask_each(
    addresses: Iterable[tuple[date | None, str]], read: Callable[[bytes, str, date | None], Parsed]
) -> Conversation:
    """`ask` for one address after the other, each with the day that it is of; `read` gets body, name and day."""
    parts = []
    for day, url in addresses:
        part = yield from ask(Ask(url), partial(_read_body, read, url, day), day=day)
        parts.append(part)
    return joined(parts)


def _read_body(
    read: Callable[[bytes, str, date | None], Parsed], url: str, day: date | None, answer: Response
) -> Parsed:
    return read(answer.body, shown(url), day)


def bug(where: str, error: Exception) -> str:
    """What is said of an exception that should not be, on one line."""
    text = f"{where} could not be read: {type(error).__name__}: {error} (a bug in digest, please report it)"
    return " ".join(text.split())[:500]
