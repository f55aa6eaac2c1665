"""bioRxiv and medRxiv: the answers of their API to announcements.

Format: https://api.biorxiv.org. The totals of `messages` are text or numbers; every version of a preprint is a row of
its own, of which version 1 is `new`, later ones `replace`; a cursor counts rows. `subjects` of the config are compared
with `category`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from digest.errors import SourceError
from digest.model import Announcement, AnnounceType, Coverage, SourceKind
from digest.pull import api
from digest.pull.clean import split_authors
from digest.pull.conversation import Conversation, Task
from digest.pull.parsed import Parsed

DETAILS = "https://api.biorxiv.org/details"


def converse(task: Task) -> Conversation:
    """Ask for what the server posted in the window, and count whether all of it came."""
    found = yield from api.converse(task, address(task), lambda body, where: parse(body, task, where=where))
    expected = max((part.expected or 0 for part in found.coverage), default=0)
    received = sum(part.received for part in found.coverage)
    return replace(found, coverage=(Coverage("", received, expected),) if expected else ())


def address(task: Task, cursor: int = 0) -> str:
    """Return where the page that begins with row `cursor` is."""
    first, last = api.span(task)
    server = "medrxiv" if task.source.kind is SourceKind.MEDRXIV else "biorxiv"
    return f"{DETAILS}/{server}/{first}/{last}/{cursor}"


def parse(body: bytes, task: Task, *, where: str) -> tuple[Parsed, str | None]:
    """Read one page; return it with the address of the next. Raises `SourceError` if it is another service's."""
    subjects = {subject.casefold() for subject in task.source.categories}

    def read(entry: api.Entry) -> Announcement | None:
        if subjects and str(entry.get("category") or "").strip().casefold() not in subjects:
            return None
        doi, number = str(entry.get("doi") or ""), str(entry.get("version") or "")
        version = int(number) if number.isdecimal() else None
        server = "medrxiv" if "med" in str(entry.get("server") or "").lower() else "biorxiv"
        page = f"https://www.{server}.org/content/{doi}v{version or 1}" if doi else None
        later = version is not None and version > 1
        return api.announce(
            task.source,
            title=entry.get("title"),
            abstract=entry.get("abstract"),
            authors=split_authors(str(entry.get("authors") or "")),
            doi=doi,
            published=entry.get("date"),
            page=page,
            pdf=f"{page}.full.pdf" if page else None,
            announce_type=AnnounceType.REPLACE if later else AnnounceType.NEW,
            version=version,
            withdrawn=str(entry.get("type") or "").casefold() == "withdrawn",
        )

    answer = api.load(body, where, key="collection")
    messages = answer.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    message = first if isinstance(first, Mapping) else {}
    status = str(message.get("status") or "ok")
    if status != "ok" and "no posts found" not in status.lower():
        raise SourceError(f"{where} answers: {status[:200]}")
    rows = answer["collection"] or []
    parsed = api.each(rows, where, read, "doi")
    cursor, total = _number(message.get("cursor")) or 0, _number(message.get("total"))
    received = len(rows) - len(parsed.rejected)
    parsed = replace(parsed, coverage=(Coverage("", received, total),) if total and not task.source.url else ())
    following = cursor + len(rows)
    more = bool(rows) and following < (total or 0) and not task.source.url
    return parsed, address(task, following) if more else None


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int | str) and str(value).isdecimal() else None
