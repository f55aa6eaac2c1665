"""Crossref: the answers of `/works` to announcements.

Format: https://api.crossref.org/swagger-ui/index.html and https://www.crossref.org/documentation/retrieve-metadata/.
Titles are lists and may hold HTML, abstracts are JATS, dates are parts of which the last may be missing. Asked for is
what was registered in the window, by `journals` (ISSNs), by `query`, or both. The contact goes into the address as
`mailto`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from digest.errors import SourceError
from digest.model import Announcement
from digest.pull import api
from digest.pull.conversation import Conversation, Task
from digest.pull.parsed import Parsed

WORKS = "https://api.crossref.org/works"
ROWS = 100
_HEADING = re.compile(r"^\s*(?:<jats:title>\s*)?abstract\s*(?:</jats:title>|(?=<jats:p>))", re.I)


def converse(task: Task) -> Conversation:
    """Ask for the works that were registered in the window."""
    return api.converse(task, address(task), lambda body, where: parse(body, task, where=where))


def address(task: Task, cursor: str = "*") -> str:
    """Return where a page is."""
    first, last = api.span(task)
    filters = [f"from-created-date:{first}", f"until-created-date:{last}"]
    filters += [f"issn:{issn}" for issn in task.source.journals]
    asked = {"query": task.source.query} if task.source.query else {}
    asked |= {"filter": ",".join(filters), "rows": str(ROWS), "cursor": cursor}
    asked |= {"mailto": task.contact} if "@" in task.contact else {}
    return f"{WORKS}?{urlencode(asked)}"


def parse(body: bytes, task: Task, *, where: str) -> tuple[Parsed, str | None]:
    """Read one page, or a single work; return it with the address of the next page. Raises `SourceError`."""

    def read(entry: api.Entry) -> Announcement:
        title = api.text_of(entry.get("title"))
        subtitle = api.text_of(entry.get("subtitle"))
        return api.announce(
            task.source,
            title=f"{title}: {subtitle}" if title and subtitle and subtitle not in title else title,
            abstract=_HEADING.sub("", str(entry.get("abstract") or "")),
            authors=[_name(author) for author in entry.get("author") or ()],
            doi=entry.get("DOI"),
            published=next((d for key in _DATES if (d := _date(entry.get(key)))), None),
            page=entry.get("URL"),
            journal=api.text_of(entry.get("container-title")),
        )

    answer = api.load(body, where, key="message")
    message = answer["message"]
    if answer.get("status") not in (None, "ok") or not isinstance(message, Mapping):
        raise SourceError(f"{where} answers: {_words(message)}")
    works: Any = message.get("items", [message])
    parsed = api.each(works, where, read, "DOI")
    cursor = message.get("next-cursor")
    more = isinstance(cursor, str) and cursor and len(works) == ROWS and not task.source.url
    return parsed, address(task, str(cursor)) if more else None


_DATES = ("published-online", "published", "issued", "published-print")


def _name(author: Mapping[str, Any]) -> str:
    whole = f"{author.get('given') or ''} {author.get('family') or ''}".strip()
    return whole or str(author.get("name") or "")


def _date(value: object) -> str | None:
    """Return date-parts as ISO 8601, only as far as they go."""
    parts = value.get("date-parts") if isinstance(value, Mapping) else None
    first = parts[0] if isinstance(parts, list) and parts and isinstance(parts[0], list) else []
    numbers = [part for part in first if isinstance(part, int)]
    if len(numbers) < 2 or len(numbers) != len(first):
        return None  # a year alone is no date
    return "-".join([f"{numbers[0]:04}", *(f"{number:02}" for number in numbers[1:3])])


def _words(message: object) -> str:
    first = message[0] if isinstance(message, list) and message else message
    said = first.get("message") if isinstance(first, Mapping) else first
    return str(said)[:200]
