"""What the readers of JSON APIs share: pages to the end, JSON with clear errors, and an entry as an announcement.

Called by `biorxiv.py`, `crossref.py`, `openalex.py`, `openreview.py`, `pubmed.py` and `semanticscholar.py`; fetches
nothing. An entry that cannot be read is a rejection of its own, whatever is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from digest.errors import SourceError
from digest.ids import arxiv_links, doi_link, find_arxiv_id, find_doi, paper_id
from digest.model import Announcement, AnnounceType, Link, LinkKind, Paper, Rejection, Signal, Source
from digest.pull.addresses import shown
from digest.pull.clean import readable
from digest.pull.conversation import Ask, Conversation, Task, ask
from digest.pull.http import Response
from digest.pull.parsed import Parsed, as_count, in_utc, joined, read_date, web_address
from digest.pull.withdrawn import is_withdrawn

MOST_PAGES = 20
"""Answers of one API in one pull."""

Read = Callable[[bytes, str], tuple[Parsed, str | None]]
"""Body and name in messages → what it holds, and the address of the next page or None."""
Entry = Mapping[str, Any]


def converse(task: Task, first: str, read: Read, headers: tuple[tuple[str, str], ...] = ()) -> Conversation:
    """Ask for `first` and the pages after it; a source with a `url` of its own is asked for that."""
    own = [url for _, url in task.files] if task.files is not None else None
    starts = own if own is not None else [task.source.url or first]
    parts: list[Parsed] = []
    for start in starts:
        url: str | None = start
        for _ in range(MOST_PAGES):
            if not url:
                break
            following: list[str | None] = []

            def read_page(answer: Response, where: str = shown(url), to: list[str | None] = following) -> Parsed:
                parsed, next_page = read(answer.body, where)
                to.append(next_page)
                return parsed

            parts.append((yield from ask(Ask(url, headers), read_page)))
            is_file = url.startswith("file:")
            url = following[0] if following and not is_file else None
        if url:
            parts.append(Parsed(notes=(f"more than {MOST_PAGES} pages: the rest was left out",)))
    return joined(parts)


def load(body: bytes, where: str, *, key: str) -> Entry:
    """Return the JSON object of an answer, which must have `key`. Raises `SourceError` for anything else."""
    if not body.strip():
        raise SourceError(f"{where} is empty: expected JSON")
    try:
        answer = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{where} is no JSON, or breaks off: check its address in a browser") from error
    if isinstance(answer, Mapping) and key not in answer:
        words = answer.get("error") or answer.get("message") or answer.get("ERROR")
        if words:
            text = words if isinstance(words, str) else json.dumps(words)
            raise SourceError(f"{where} answers: {readable(text)[:200]}")
    if not isinstance(answer, Mapping) or key not in answer:
        raise SourceError(f"{where} is JSON without `{key}`: it is the answer of another service")
    return answer


def each(entries: object, where: str, read: Callable[[Entry], Announcement | None], name: str) -> Parsed:
    """Read every entry of a list. `name` is the key by which one that cannot be read is called; None is passed over."""
    if not isinstance(entries, list):
        raise SourceError(f"{where}: its papers are not a list")
    announcements, rejected = [], []
    for number, entry in enumerate(entries, start=1):
        if entry is None:
            continue  # a paper that the service does not know
        try:
            announcement = read(dict(entry))
        except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError) as fault:
            called = entry.get(name) if isinstance(entry, Mapping) else None
            rejected.append(Rejection(str(called or f"entry {number}")[:200], str(fault)[:200] or type(fault).__name__))
        else:
            announcements += [announcement] if announcement else []
    return Parsed(tuple(announcements), rejected=tuple(rejected))


def announce(
    source: Source,
    *,
    title: object,
    abstract: object = "",
    authors: Iterable[object] = (),
    arxiv: str | None = None,
    doi: object = None,
    published: object = None,
    day: date | None = None,
    page: object = None,
    pdf: object = None,
    journal: object = None,
    announce_type: AnnounceType = AnnounceType.NEW,
    version: int | None = None,
    **more: Any,
) -> Announcement:
    """Return an entry as an announcement. `more` are fields of `Paper`. Raises ValueError where it has no title."""
    said = text_of(title)
    if not said:
        raise ValueError("has no title")
    found_doi = find_doi(doi) if isinstance(doi, str) else None
    if found_doi and (inside := find_arxiv_id(found_doi)):
        arxiv, found_doi = arxiv or inside[0], None
    names = tuple(dict.fromkeys(name for author in authors if (name := text_of(author))))
    when = read_date(published) if isinstance(published, str) else None
    about = text_of(abstract)
    abs_page = web_address(page)
    links = list(arxiv_links(arxiv)) if arxiv else [Link(LinkKind.ABS, abs_page)] if abs_page else []
    if (pdf_page := web_address(pdf)) and not arxiv:
        links.append(Link(LinkKind.PDF, pdf_page))
    links += [doi_link(found_doi)] if found_doi else []
    withdrawn = bool(more.pop("withdrawn", False)) or is_withdrawn(said, about, None)
    paper = Paper(
        id=paper_id(arxiv=arxiv, doi=found_doi, title=said, first_author=names[0] if names else ""),
        title=said,
        abstract=about,
        authors=names,
        version=version,
        doi=found_doi,
        journal_ref=text_of(journal) or None,
        published=in_utc(when),
        links=tuple(links),
        withdrawn=withdrawn,
        **more,
    )
    return Announcement(paper, announce_type, day or (when.date() if when else None), source.name)


def text_of(value: object) -> str:
    """Return what a field says, as people read it; the first of a list; nothing for what is no text."""
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, str) and item.strip()), "")
    return readable(value) if isinstance(value, str) else ""


def citations(parsed: Parsed, counts: Mapping[str, object], task: Task) -> Parsed:
    """Add the citations that an answer names, by paper id."""
    signals = tuple(
        Signal(a.paper.id, "citations", count, task.now)
        for a in parsed.announcements
        if (count := as_count(counts.get(a.paper.id))) is not None
    )
    return joined((parsed, Parsed(signals=signals)))


def span(task: Task) -> tuple[str, str]:
    """Return the first and the last day of the window, `2026-06-09`."""
    days = task.window.dates()
    return days[0].isoformat(), days[-1].isoformat()
