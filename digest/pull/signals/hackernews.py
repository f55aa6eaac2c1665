"""Hacker News points of stories that link to a paper: https://hn.algolia.com/api, stories by date.

Called by `digest.pull.signals`; fetches nothing. One request a paper would be hundreds, so all recent stories that link
to the papers' hosts are asked for, up to 1000 at once, and matched here: by arXiv id, by DOI, by the papers' own
addresses. Answer: {"hits": [{"url", "points", "created_at_i"}], …}, newest first, never more than 1000 for one query;
older ones are had by asking for those before the oldest. `points` cannot be filtered by, and may be null.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from digest.errors import SourceError
from digest.ids import doi_id, find_arxiv_id, find_doi
from digest.model import LinkKind, Paper, PaperId, Signal
from digest.pull.conversation import Ask, Conversation
from digest.pull.http import Response
from digest.pull.parsed import Parsed, as_count
from digest.pull.signals import Wanted, read_json

ADDRESS = "https://hn.algolia.com/api/v1/search_by_date"
LOOK_BACK = timedelta(days=30)
"""How old a story can be. Some ten a day link to arXiv, about a hundred to GitHub."""
AT_ONCE = 1000
"""Stories of one answer: the service's limit."""
_KINDS = (LinkKind.ABS, LinkKind.DOI, LinkKind.CODE, LinkKind.HUGGINGFACE)


def converse(wanted: Wanted) -> Conversation:
    """Ask for recent stories on the papers' hosts; a paper's `points` are those of its best story.

    A paper without a story has no figure. A failure ends the asking, with the figures that were got.
    """
    papers = _by_address(wanted.papers)
    points: dict[PaperId, float] = {}
    queries = hosts(wanted.papers)
    asked = 0
    error = None
    try:
        while queries and asked < wanted.max_requests:
            before: int | None = int(wanted.now.timestamp())
            while before is not None and asked < wanted.max_requests:
                asked += 1
                before = _read((yield Ask(_address(queries[0], wanted, before))), papers, points)
            if before is None:
                queries = queries[1:]
    except SourceError as fault:
        error, queries = str(fault), ()
    return Parsed(
        signals=tuple(Signal(paper, "points", value, wanted.now) for paper, value in points.items()),
        notes=(f"Hacker News: not all stories of {', '.join(queries)} were read (max_requests)",) if queries else (),
        error=error,
    )


def hosts(papers: tuple[Paper, ...]) -> tuple[str, ...]:
    """Return what stories are searched for: the hosts of the papers' pages, those of most papers first."""
    found = Counter(
        host
        for paper in papers
        for host in {_place(link.url).partition("/")[0] for link in paper.links if link.kind in _KINDS}
    )
    # All of huggingface.co would be mostly models.
    return tuple("huggingface.co/papers" if host == "huggingface.co" else host for host, _ in found.most_common())


def _address(query: str, wanted: Wanted, before: int) -> str:
    since = int((wanted.now - LOOK_BACK).timestamp())
    return f"{ADDRESS}?" + urlencode(
        {
            "query": query,
            "restrictSearchableAttributes": "url",
            "tags": "story",
            "numericFilters": f"created_at_i>{since},created_at_i<={before}",
            "hitsPerPage": AT_ONCE,
        }
    )


def _read(answer: Response, papers: Mapping[str, PaperId], points: dict[PaperId, float]) -> int | None:
    """Add an answer's stories to `points`; return up to when older ones are to be asked for, None at the end."""
    value = read_json(answer)
    hits = value.get("hits") if isinstance(value, dict) else None
    if not isinstance(hits, list):
        raise SourceError("Hacker News' search answered without a list of stories")
    stories: list[dict[str, Any]] = [hit for hit in hits if isinstance(hit, dict)]
    for story in stories:
        count = as_count(story.get("points"))
        paper = next((papers[name] for name in _names(story.get("url")) if name in papers), None)
        if paper and count is not None:
            points[paper] = max(count, points.get(paper, 0.0))
    times = [time for story in stories if isinstance(time := story.get("created_at_i"), int)]
    return min(times) - 1 if times and len(hits) >= AT_ONCE else None


def _by_address(papers: tuple[Paper, ...]) -> dict[str, PaperId]:
    """Map all names by which a story can mean a paper to its id; of papers that share one, to the first."""
    names: dict[str, PaperId] = {}
    for paper in papers:
        own = [str(paper.id), *([doi_id(paper.doi)] if paper.doi else [])]
        for name in own + [_place(link.url) for link in paper.links]:
            names.setdefault(name, paper.id)
    return names


def _names(url: object) -> Iterator[str]:
    """The names by which an address can mean a paper."""
    if not isinstance(url, str) or len(url) > 2000:
        return
    if found := find_arxiv_id(url):
        yield f"arxiv:{found[0]}"
    if doi := find_doi(url):
        yield doi_id(doi)
    if place := _place(url):
        yield place


def _place(url: str) -> str:
    """An address without what does not change where it leads; empty if it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = re.sub(r"^www\.", "", (parts.hostname or "").lower())
    path = parts.path.rstrip("/").removesuffix(".git")
    return host + (path.lower() if host == "github.com" else path) + (f"?{parts.query}" if parts.query else "")
