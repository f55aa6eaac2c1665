"""OpenReview: the submissions of a venue to announcements.

Format: https://docs.openreview.net/reference/api-v2. In version 2 of the API each field of `content` is an object with
a `value`, in version 1 it is the value; both are read, and notes that a crawler nested. Times are milliseconds. Notes
without a title and authors' abstract are reviews and comments: they are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from digest.errors import SourceError
from digest.model import Announcement
from digest.pull import api
from digest.pull.conversation import Conversation, Task
from digest.pull.parsed import Parsed

NOTES = "https://api2.openreview.net/notes"
FORUM = "https://openreview.net/forum?id="
LIMIT = 1000


def converse(task: Task) -> Conversation:
    """Ask for the submissions that came in the window."""
    return api.converse(task, address(task), lambda body, where: parse(body, task, where=where))


def address(task: Task, offset: int = 0) -> str:
    """Return where the page that begins with note `offset` is."""
    since = datetime.combine(task.window.dates()[0], datetime.min.time(), UTC)
    asked = {
        "content.venueid": task.source.venue or "",
        "mintcdate": str(int(since.timestamp() * 1000)),
        "sort": "tcdate:asc",
        "limit": str(LIMIT),
        "offset": str(offset),
    }
    return f"{NOTES}?{urlencode(asked)}"


def parse(body: bytes, task: Task, *, where: str) -> tuple[Parsed, str | None]:
    """Read one page; return it with the address of the next. Raises `SourceError` if it is another service's."""

    def read(note: api.Entry) -> Announcement | None:
        content = {key: _value(value) for key, value in (note.get("content") or {}).items()}
        if note.get("replyto") or "title" not in content or "abstract" not in content:
            return None  # a review, a comment, a decision
        identifier = str(note.get("forum") or note.get("id") or "")
        authors, keywords = content.get("authors"), content.get("keywords")
        pdf = content.get("pdf")
        return api.announce(
            task.source,
            title=content.get("title"),
            abstract=content.get("abstract"),
            authors=authors if isinstance(authors, list) else (),
            doi=content.get("doi"),
            published=_date(note),
            page=FORUM + identifier if identifier else None,
            pdf=f"https://openreview.net{pdf}" if isinstance(pdf, str) and pdf.startswith("/") else pdf,
            journal=content.get("venue"),
            withdrawn="withdrawn" in str(content.get("venueid") or content.get("venue") or "").lower(),
            tldr=api.text_of(content.get("TLDR") or content.get("TL;DR")) or None,
            keywords=tuple(k for k in map(api.text_of, keywords if isinstance(keywords, list) else ()) if k),
        )

    if body.lstrip().startswith(b"["):
        body = b'{"notes":' + body + b"}"  # what a crawler kept is a bare list
    answer = api.load(body, where, key="notes")
    notes: Any = answer["notes"]
    if not isinstance(notes, list):
        raise SourceError(f"{where}: its notes are not a list")
    flat = list(_unnested(notes))
    parsed = api.each(flat, where, read, "id")
    offset = int(where.rpartition("offset=")[2]) if where.rpartition("offset=")[2].isdecimal() else 0
    more = len(notes) == LIMIT and not task.source.url
    return parsed, address(task, offset + LIMIT) if more else None


def _value(field: object) -> object:
    """Version 2 wraps every field: {"value": …}."""
    return field.get("value") if isinstance(field, Mapping) else field


def _unnested(notes: list[Any]) -> Iterator[Any]:
    """Yield notes, also those that stand under `submissions` of a venue, each perhaps under `note`."""
    for note in notes:
        inner = note.get("submissions") if isinstance(note, Mapping) else None
        for each in inner if isinstance(inner, list) else [note]:
            yield each["note"] if isinstance(each, Mapping) and isinstance(each.get("note"), Mapping) else each


def _date(note: api.Entry) -> str | None:
    """Return when a note was made public, else made, as ISO 8601."""
    for key in ("pdate", "tcdate", "cdate"):
        moment = note.get(key)
        if isinstance(moment, int) and not isinstance(moment, bool) and 0 < moment < 10**14:
            return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="seconds")
    return None
