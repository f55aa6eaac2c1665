"""OpenAlex: the answers of `/works` to announcements, with citations.

Format: https://docs.openalex.org/api-entities/works. Abstracts come as an index of words with their places, cursors in
`meta.next_cursor`. A key from `[pull]` goes into the address as `api_key`, the contact as `mailto`.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from digest.model import Announcement
from digest.pull import api
from digest.pull.conversation import Conversation, Task
from digest.pull.parsed import Parsed

WORKS = "https://api.openalex.org/works"
PER_PAGE = 200
MOST_WORDS = 10_000
"""Places of an abstract; a larger one is not an abstract."""


def converse(task: Task) -> Conversation:
    """Ask for the works that were published in the window."""
    return api.converse(task, address(task), lambda body, where: parse(body, task, where=where))


def address(task: Task, cursor: str = "*") -> str:
    """Return where a page is."""
    first, last = api.span(task)
    asked = {
        "search": task.source.query or "",
        "filter": f"from_publication_date:{first},to_publication_date:{last}",
        "per-page": str(PER_PAGE),
        "cursor": cursor,
    }
    asked |= {"mailto": task.contact} if "@" in task.contact else {}
    asked |= {"api_key": task.api_key} if task.api_key else {}
    return f"{WORKS}?{urlencode(asked)}"


def parse(body: bytes, task: Task, *, where: str) -> tuple[Parsed, str | None]:
    """Read one page; return it with the address of the next. Raises `SourceError` if it is another service's."""
    counts: dict[str, object] = {}

    def read(entry: api.Entry) -> Announcement:
        place = entry.get("primary_location") or {}
        announcement = api.announce(
            task.source,
            title=entry.get("title") or entry.get("display_name"),
            abstract=abstract_of(entry.get("abstract_inverted_index")),
            authors=[(a.get("author") or {}).get("display_name") for a in entry.get("authorships") or ()],
            doi=entry.get("doi"),
            published=entry.get("publication_date"),
            page=place.get("landing_page_url") or entry.get("id"),
            pdf=place.get("pdf_url"),
            journal=(place.get("source") or {}).get("display_name"),
            withdrawn=entry.get("is_retracted") is True,
        )
        counts[announcement.paper.id] = entry.get("cited_by_count")
        return announcement

    answer = api.load(body, where, key="results")
    parsed = api.each(answer["results"], where, read, "id")
    meta = answer.get("meta")
    cursor = meta.get("next_cursor") if isinstance(meta, Mapping) else None
    following = address(task, cursor) if isinstance(cursor, str) and cursor and parsed.announcements else None
    return api.citations(parsed, counts, task), None if task.source.url else following


def abstract_of(index: object) -> str:
    """Turn {"We": [0, 7], "invent": [1]} into its text; nothing where the places are no places of an abstract."""
    if not isinstance(index, Mapping):
        return ""
    words: dict[int, str] = {}
    for word, places in index.items():
        for place in places if isinstance(places, list) else ():
            if isinstance(place, int) and not isinstance(place, bool) and 0 <= place < MOST_WORDS:
                words[place] = str(word)
    return " ".join(words[place] for place in sorted(words))
