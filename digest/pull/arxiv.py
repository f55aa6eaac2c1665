"""arXiv's announcements by category: the answers of rss.arxiv.org, RSS 2.0 and its Atom twin, to announcements.

`parse` reads bytes, `converse` asks for the feed and, to know what it lacks, the search API (`arxiv_api.py`); what the
two make together is decided in `reconcile.py`, by the calendar of `calendar.py`. Fetching is `http.py`'s.
Format: https://info.arxiv.org/help/rss_specifications.html. What it does not say: the version is only in the guid
(`oai:arXiv.org:2403.15527v1`), the first category is the primary one, all authors are one `dc:creator` with TeX
accents, titles and abstracts are TeX, and an item has a date of its own only since 2026. Every announce type is kept:
what an edition wants of them is the edition's to say. The day of announcement is the one that arXiv writes, Eastern.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from digest.errors import SourceError
from digest.ids import arxiv_id, arxiv_links, doi_link, find_arxiv_id, find_doi, paper_id
from digest.model import Announcement, AnnounceType, Paper, Rejection, Source
from digest.pull.addresses import shown
from digest.pull.arxiv_api import Found, by_ids, by_submission
from digest.pull.clean import readable, split_authors
from digest.pull.conversation import Ask, Conversation, Task, ask, ask_each
from digest.pull.http import Response
from digest.pull.parsed import Parsed, read_date
from digest.pull.reconcile import lost_ids, missing_announcements, reconcile
from digest.pull.syndication import read_feed
from digest.pull.withdrawn import is_withdrawn

FEED = "https://rss.arxiv.org/rss/"
TWIN = "https://rss.arxiv.org/atom/"

_HEAD = re.compile(r"\s*arXiv:\S+\s+Announce Type:\s*(?P<type>[\w-]+)\s*(?:Abstract:)?\s*", re.I)
_SKIP_DAYS = re.compile(rb"<skipDays>(.{0,1000}?)</skipDays>", re.DOTALL)
_DAY = re.compile(rb"<day>\s*(\w+?day)\s*</day>")
_CATEGORY = re.compile(r"[a-z]+(?:-[a-z]+)*(?:\.[A-Za-z-]{2,})?")


def converse(task: Task) -> Conversation:
    """Ask for the feed, or for each of the folder's files; reconcile with the search API where there is one."""
    source = task.source
    if task.files is not None:
        return (yield from ask_each(task.files, lambda body, where, day: parse(body, source, where=where, day=day)))
    skipped: set[str] = set()
    feed = yield from _feed(source, address(source), skipped)
    if feed.error and source.url is None:
        twin = yield from _feed(source, address(source).replace(FEED, TWIN), skipped)
        if not twin.error or len(twin.announcements) > len(feed.announcements):
            feed = replace(twin, notes=(*twin.notes, "the RSS feed failed; its Atom twin was read"))
    if source.api_url is None:
        return feed
    wanted = missing_announcements(task)
    found = by_id = Found()
    if wanted:
        windows = [(a.submitted_from, a.submitted_until) for a in wanted]
        found = yield from by_submission(source.api_url, source.categories, windows)
    if lost := lost_ids(feed, found, task):
        by_id = yield from by_ids(source.api_url, lost)
    return reconcile(task, feed, wanted, found, by_id, frozenset(skipped))


def _feed(source: Source, url: str, skipped: set[str]) -> Conversation:
    """Ask for a feed and read it; the weekdays on which it says that it has nothing are added to `skipped`."""

    def read(answer: Response) -> Parsed:
        skipped.update(skip_days(answer.body))
        return parse(answer.body, source, where=shown(url))

    return (yield from ask(Ask(url), read))


def skip_days(body: bytes) -> frozenset[str]:
    """Read an RSS channel's `skipDays`, in English: https://www.rssboard.org/skip-hours-days. feedparser keeps one."""
    found = _SKIP_DAYS.search(body)
    return frozenset(day.decode() for day in _DAY.findall(found[1])) if found else frozenset()


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
    return Parsed(
        tuple(announcements),
        rejected=tuple(rejected),
        notes=tuple(notes),
        error=error,
        announced=(feed_day,) if feed_day else (),
    )


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
    abstract, comment = readable(abstract), _text(entry, "arxiv_comment")
    return Paper(
        id=paper_id(arxiv=number),
        title=title,
        abstract=abstract,
        authors=tuple(dict.fromkeys(name for creator in creators for name in split_authors(creator))),
        version=version,
        categories=categories,
        primary_category=categories[0] if categories else None,
        doi=doi,
        journal_ref=_text(entry, "arxiv_journal_reference") or _text(entry, "arxiv_journal_ref"),
        comment=comment,
        links=(*arxiv_links(number), *([doi_link(doi)] if doi else [])),
        withdrawn=is_withdrawn(title, abstract, comment),
    )


def _text(entry: Mapping[str, Any], key: str) -> str | None:
    return readable(str(entry.get(key) or "")) or None


def _announce_type(word: str) -> AnnounceType:
    try:
        return AnnounceType(word.strip().lower())
    except ValueError:
        raise ValueError(f"has an announce type that arXiv does not have: {word.strip()[:50]!r}") from None
