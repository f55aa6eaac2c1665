"""arXiv's announcements by category: the answers of rss.arxiv.org, RSS 2.0 and its Atom twin, to announcements.

`parse` reads bytes, `address` says where they are; fetching is `http.py`'s, calling both is `digest.pull.pull`'s.
Format: https://info.arxiv.org/help/rss_specifications.html. What it does not say: the version is only in the guid
(`oai:arXiv.org:2403.15527v1`), the first category is the primary one, all authors are one `dc:creator` with TeX
accents, titles and abstracts are TeX, and an item has a date of its own only since 2026. Every announce type is kept:
what an edition wants of them is the edition's to say. The day of announcement is the one that arXiv writes, Eastern.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from digest.errors import SourceError
from digest.ids import arxiv_id, arxiv_links, doi_link, find_arxiv_id, find_doi, paper_id
from digest.model import Announcement, AnnounceType, Paper, Rejection, Source
from digest.pull.clean import readable, split_authors
from digest.pull.conversation import Conversation, Task, ask_each
from digest.pull.parsed import Parsed, read_date
from digest.pull.syndication import read_feed

FEED = "https://rss.arxiv.org/rss/"

_HEAD = re.compile(r"\s*arXiv:\S+\s+Announce Type:\s*(?P<type>[\w-]+)\s*(?:Abstract:)?\s*", re.I)
_CATEGORY = re.compile(r"[a-z]+(?:-[a-z]+)*(?:\.[A-Za-z-]{2,})?")


def converse(task: Task) -> Conversation:
    """Ask for the feed, or for each of the folder's files."""
    source = task.source
    addresses = task.files if task.files is not None else [(None, address(source))]
    return (yield from ask_each(addresses, lambda body, where, day: parse(body, source, where=where, day=day)))


def address(source: Source) -> str:
    """Return where the announcements of the source's categories are: its own `url`, else arXiv's combined feed."""
    return source.url or FEED + "+".join(source.categories)


def parse(body: bytes, source: Source, *, where: str, day: date | None = None) -> Parsed:
    """Read one feed. `day` is the day of announcement where the feed names none; `where` names it in messages.

    A feed without items is fine, and noted: arXiv announces nothing on weekends. Raises `SourceError` if the body is
    no feed, or arXiv's report of an error.
    """
    feed = read_feed(body, where)
    feed_date = read_date(feed.feed.get("published") or feed.feed.get("updated") or "")
    feed_day = feed_date.date() if feed_date else day
    announcements, rejected = [], []
    for number, entry in enumerate(feed.entries, start=1):
        try:
            announcements.append(_announcement(entry, source.name, feed_day))
        except ValueError as fault:
            name = entry.get("id") or entry.get("link") or readable(entry.get("title") or "") or f"entry {number}"
            rejected.append(Rejection(str(name)[:200], str(fault)))
    notes = [] if feed.entries or feed.cut else [f"{where} announces nothing{f' ({feed_day})' if feed_day else ''}"]
    error = None
    if feed.cut:
        error = f"{where} breaks off after {len(announcements)} entries: the rest is missing, pull again later"
    return Parsed(tuple(announcements), rejected=tuple(rejected), notes=tuple(notes), error=error)


def _announcement(entry: Mapping[str, Any], source: str, feed_day: date | None) -> Announcement:
    """Read one entry; ValueError says what it lacks."""
    guid, link = str(entry.get("id") or ""), str(entry.get("link") or "")
    if "arxiv.org/api/errors" in guid:
        raise SourceError(f"arXiv reports: {readable(entry.get('summary') or 'an error without a text')}")
    identifier = arxiv_id(guid) or find_arxiv_id(guid) or find_arxiv_id(link)
    if identifier is None:
        raise ValueError("has no arXiv id in its guid or link")
    title = readable(entry.get("title") or "")
    if not title:
        raise ValueError("has no title")
    summary = str(entry.get("summary") or "")
    head = _HEAD.match(summary)
    own_date = read_date(entry.get("published") or entry.get("updated") or "")
    return Announcement(
        paper=_paper(entry, identifier, title, summary[head.end() :] if head else summary),
        announce_type=_announce_type(
            entry.get("arxiv_announce_type") or entry.get("announce_type") or (head["type"] if head else "new")
        ),
        announced_on=own_date.date() if own_date else feed_day,
        source=source,
    )


def _paper(entry: Mapping[str, Any], identifier: tuple[str, int | None], title: str, abstract: str) -> Paper:
    number, version = identifier
    doi = find_doi(str(entry.get("arxiv_doi") or ""))
    if doi and find_arxiv_id(doi):
        doi = None  # 10.48550/arXiv.… is the id again
    terms = [str(tag.get("term") or "").strip() for tag in entry.get("tags") or ()]
    categories = tuple(dict.fromkeys(term for term in terms if _CATEGORY.fullmatch(term)))
    creators = [author.get("name") or "" for author in entry.get("authors") or ()] or [entry.get("creator") or ""]
    return Paper(
        id=paper_id(arxiv=number),
        title=title,
        abstract=readable(abstract),
        authors=tuple(dict.fromkeys(name for creator in creators for name in split_authors(creator))),
        version=version,
        categories=categories,
        primary_category=categories[0] if categories else None,
        doi=doi,
        journal_ref=_text(entry, "arxiv_journal_reference") or _text(entry, "arxiv_journal_ref"),
        comment=_text(entry, "arxiv_comment"),
        links=(*arxiv_links(number), *([doi_link(doi)] if doi else [])),
    )


def _text(entry: Mapping[str, Any], key: str) -> str | None:
    return readable(str(entry.get(key) or "")) or None


def _announce_type(word: str) -> AnnounceType:
    try:
        return AnnounceType(word.strip().lower())
    except ValueError:
        raise ValueError(f"has an announce type that arXiv does not have: {word.strip()[:50]!r}") from None
