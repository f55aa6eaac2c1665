"""arXiv's search API: its Atom answers to papers, page after page. Called by `arxiv.py`; fetches nothing itself.

Manual: https://info.arxiv.org/help/api/user-manual.html. What it does not say: an error is an entry titled "Error",
with HTTP 200 or 400; a page before the end may come back empty, and be full when asked for again; a paper may be called
"0". The id holds the newest version, `published` is the first one's time. Both the present server's form and the one
of 2007 to 2025 are read. The three seconds between requests are the fetcher's business.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from digest.errors import SourceError
from digest.ids import arxiv_links, doi_link, find_arxiv_id, find_doi, paper_id
from digest.model import Paper
from digest.pull.addresses import shown
from digest.pull.clean import readable
from digest.pull.conversation import Ask, bug
from digest.pull.http import Response, StatusError
from digest.pull.parsed import in_utc, read_date
from digest.pull.syndication import read_feed
from digest.pull.withdrawn import is_withdrawn

PAGE = 500
"""Papers of one answer: about 1.5 MB, a sixth of what a fetch may be, and a day of a few categories in one or two."""
MOST_PAGES = 40
"""arXiv itself gives no more than some 30,000 papers of one query."""
TRIES_OF_A_PAGE = 3
IDS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: its papers, how many entries it has, and how many the whole query has."""

    papers: tuple[Paper, ...]
    entries: int
    total: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a query gave. With `error`, some papers are missing."""

    papers: tuple[Paper, ...] = ()
    error: str | None = None


def by_submission(
    api_url: str, categories: Sequence[str], windows: Sequence[tuple[datetime, datetime]]
) -> Generator[Ask, Response, Found]:
    """Ask for all papers of these categories or archives that were submitted in these spans of UTC time."""
    subjects = " OR ".join(f"cat:{category}" for category in _with_archives(categories))
    # The API counts in whole minutes and takes both ends in; what is a minute too much is sorted out by the caller.
    spans = " OR ".join(f"submittedDate:[{since:%Y%m%d%H%M} TO {until:%Y%m%d%H%M}]" for since, until in windows)
    query = {"search_query": f"({subjects}) AND ({spans})", "sortBy": "submittedDate", "sortOrder": "ascending"}
    papers: dict[str, Paper] = {}
    start = tries = total = 0
    for _ in range(MOST_PAGES * TRIES_OF_A_PAGE):
        url = f"{api_url}?{urlencode({**query, 'start': start, 'max_results': PAGE})}"
        page = yield from _ask(url)
        if isinstance(page, str):
            return Found(tuple(papers.values()), page)
        papers |= {paper.id: paper for paper in page.papers}
        start, total = start + page.entries, page.total
        if start >= total:
            return Found(tuple(papers.values()))
        tries = 0 if page.entries else tries + 1
        if tries == TRIES_OF_A_PAGE:
            break
    reason = f"arXiv's search API gave {start:,} of {total:,} papers, then empty pages"
    return Found(tuple(papers.values()), reason if tries else f"arXiv's search has more than {start:,} papers: cut off")


def by_ids(api_url: str, numbers: Sequence[str]) -> Generator[Ask, Response, Found]:
    """Ask for papers by their arXiv ids, without versions; those that arXiv does not have are not found."""
    papers: list[Paper] = []
    for first in range(0, len(numbers), IDS_AT_ONCE):
        some = numbers[first : first + IDS_AT_ONCE]
        url = f"{api_url}?{urlencode({'id_list': ','.join(some), 'max_results': len(some)})}"
        page = yield from _ask(url)
        if isinstance(page, str):
            return Found(tuple(papers), page)
        papers += page.papers
    return Found(tuple(papers))


def _with_archives(categories: Sequence[str]) -> list[str]:
    """`stat` stands for all of `stat.*`; an archive without subjects (`hep-th`) has papers under its own name."""
    return [term for c in categories for term in ([c] if "." in c else [c, f"{c}.*"])]


def _ask(url: str) -> Generator[Ask, Response, Page | str]:
    """Ask for one page; a fault is returned in words."""
    try:
        response = yield Ask(url)
        return parse(response.body, where=shown(url))
    except StatusError as error:
        return _words_of(error)
    except SourceError as error:
        return str(error)
    except Exception as error:  # a bug here must not cost the edition what the feed gave
        return bug(shown(url), error)


def _words_of(refusal: StatusError) -> str:
    """What arXiv says in the entry of an error, where the refusal holds one."""
    try:
        parse(refusal.body, where="")
    except SourceError as error:
        if str(error).startswith("arXiv reports"):
            return f"{refusal}: {error}"
    return str(refusal)


def parse(body: bytes, *, where: str) -> Page:
    """Read one answer. Raises `SourceError` if it is no feed, or arXiv's report of an error."""
    feed = read_feed(body, where)
    papers = []
    for entry in feed.entries:
        if "arxiv.org/api/errors" in str(entry.get("id") or ""):
            raise SourceError(f"arXiv reports: {readable(str(entry.get('summary') or 'an error without a text'))}")
        if paper := _paper(entry):
            papers.append(paper)
    if feed.cut:
        raise SourceError(f"{where} breaks off after {len(papers)} entries")
    total = re.sub(r"\D", "", str(feed.feed.get("opensearch_totalresults") or ""))
    return Page(tuple(papers), len(feed.entries), int(total) if total else len(feed.entries))


def _paper(entry: Mapping[str, Any]) -> Paper | None:
    identifier = find_arxiv_id(str(entry.get("id") or ""))
    title = readable(str(entry.get("title") or ""))
    if identifier is None or not title:
        return None
    number, version = identifier
    doi = find_doi(str(entry.get("arxiv_doi") or ""))
    comment = readable(str(entry.get("arxiv_comment") or "")) or None
    abstract = readable(str(entry.get("summary") or ""))
    categories = tuple(dict.fromkeys(str(tag.get("term")) for tag in entry.get("tags") or () if tag.get("term")))
    primary = (entry.get("arxiv_primary_category") or {}).get("term") or next(iter(categories), None)
    authors = (readable(str(author.get("name") or "")) for author in entry.get("authors") or ())
    return Paper(
        id=paper_id(arxiv=number),
        title=title,
        abstract=abstract,
        authors=tuple(dict.fromkeys(name for name in authors if name)),
        version=version,
        categories=categories,
        primary_category=primary,
        doi=doi,
        journal_ref=readable(str(entry.get("arxiv_journal_ref") or "")) or None,
        comment=comment,
        published=in_utc(read_date(str(entry.get("published") or ""))),
        links=(*arxiv_links(number), *([doi_link(doi)] if doi else [])),
        withdrawn=is_withdrawn(title, abstract, comment),
    )
