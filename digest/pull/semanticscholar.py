"""Semantic Scholar: the answers of its search to announcements, with citations.

Format: https://api.semanticscholar.org/api-docs/graph, "Paper bulk search": `data` and a `token` for the next page. The
forms of its other answers (search, recommendations, references) are read too: they differ in the key and the nesting.
With a key in `[pull]` it goes into the header `x-api-key`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from digest.model import Announcement
from digest.pull import api
from digest.pull.conversation import Conversation, Task
from digest.pull.parsed import Parsed

SEARCH = "https://api.semanticscholar.org/graph/v1/paper/search/bulk"
FIELDS = "title,abstract,authors,externalIds,publicationDate,venue,url,citationCount,openAccessPdf"


def converse(task: Task) -> Conversation:
    """Ask for the papers that were published in the window."""
    headers = (("x-api-key", task.api_key),) if task.api_key else ()
    return api.converse(task, address(task), lambda body, where: parse(body, task, where=where), headers)


def address(task: Task) -> str:
    """Return where the first page is."""
    first, last = api.span(task)
    asked = {"query": task.source.query or "", "fields": FIELDS, "publicationDateOrYear": f"{first}:{last}"}
    return f"{SEARCH}?{urlencode(asked)}"


def parse(body: bytes, task: Task, *, where: str) -> tuple[Parsed, str | None]:
    """Read one answer; return it with the address of the next page. Raises `SourceError` if it is another service's."""
    counts: dict[str, object] = {}

    def read(entry: api.Entry) -> Announcement:
        paper = entry.get("citedPaper") or entry.get("citingPaper") or entry
        ids = paper.get("externalIds") or {}
        announcement = api.announce(
            task.source,
            title=paper.get("title"),
            abstract=paper.get("abstract"),
            authors=[author.get("name") for author in paper.get("authors") or ()],
            arxiv=ids.get("ArXiv"),
            doi=ids.get("DOI"),
            published=paper.get("publicationDate"),
            page=paper.get("url"),
            pdf=(paper.get("openAccessPdf") or {}).get("url"),
            journal=paper.get("venue"),
        )
        counts[announcement.paper.id] = paper.get("citationCount")
        return announcement

    if body.lstrip().startswith(b"["):
        body = b'{"data":' + body + b"}"  # the answer to a batch is a bare list
    key = "recommendedPapers" if b'"recommendedPapers"' in body[:200] else "data"
    answer: Any = api.load(body, where, key=key)
    parsed = api.each(answer[key], where, read, "paperId")
    token = answer.get("token")
    following = f"{address(task)}&token={quote(token)}" if isinstance(token, str) and token else None
    return api.citations(parsed, counts, task), None if task.source.url else following
