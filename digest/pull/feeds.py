"""Any RSS, RDF or Atom feed of papers to announcements: what publishers really put into their fields.

`parse` reads bytes; fetching is `http.py`'s, calling it is `digest.pull.pull`'s, reading XML is `syndication.py`'s.
Beyond the formats named there: Dublin Core (https://www.dublincore.org/specifications/dublin-core/dces/) and PRISM
(https://www.w3.org/submissions/2020/SUBM-prism-20200910/) for authors, dates and DOIs. Dates that are neither RFC 822
nor ISO 8601 are left out rather than guessed. Everything a feed announces is `new`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

from digest.errors import SourceError
from digest.ids import arxiv_links, doi_link, find_arxiv_id, find_doi, paper_id
from digest.model import Announcement, AnnounceType, Link, LinkKind, Paper, Rejection, Source
from digest.pull.clean import readable, split_authors
from digest.pull.conversation import Conversation, Task, ask_each
from digest.pull.parsed import Parsed, in_utc, read_date, web_address
from digest.pull.syndication import read_feed


def converse(task: Task) -> Conversation:
    """Ask for the feed, or for each of the folder's files."""
    source = task.source
    if not source.url:
        raise SourceError(f"source {source.name!r} has no url: a feed needs one")
    addresses = task.files if task.files is not None else [(None, source.url)]
    return (yield from ask_each(addresses, lambda body, where, day: parse(body, source, where=where, day=day)))


def parse(body: bytes, source: Source, *, where: str, day: date | None = None) -> Parsed:
    """Read one feed. `day` is the day of announcement of entries without a date; `where` names the feed in messages.

    An entry without a title is rejected by name. Raises `SourceError` if the body is no feed.
    """
    feed = read_feed(body, where)
    announcements, rejected = [], []
    for number, entry in enumerate(feed.entries, start=1):
        title = readable(_string(entry, "title"))
        if title:
            announcements.append(_announcement(entry, title, source.name, day))
        else:
            name = _string(entry, "id") or _string(entry, "link") or f"entry {number}"
            rejected.append(Rejection(readable(name)[:200], "has no title"))
    notes = [] if feed.entries or feed.cut else [f"{where} has no entries"]
    error = None
    if feed.cut:
        error = f"{where} breaks off after {len(announcements)} entries: the rest is missing, pull again later"
    return Parsed(tuple(announcements), rejected=tuple(rejected), notes=tuple(notes), error=error)


def _announcement(entry: Mapping[str, Any], title: str, source: str, day: date | None) -> Announcement:
    described = [_described(text, title) for text in _texts(entry)]
    when = _published(entry)
    link = web_address(entry.get("link")) or web_address(entry.get("prism_url")) or web_address(entry.get("id"))
    doi = _doi(entry, described)
    named = [doi or "", _string(entry, "id"), _string(entry, "link")]
    arxiv = next((found for text in named if (found := find_arxiv_id(text))), None)
    if doi and find_arxiv_id(doi):
        doi = None
    authors = _authors(entry) or next((authors for _, authors, _ in described if authors), ())
    abstract = max((abstract for abstract, _, _ in described), key=len, default="")
    links = list(arxiv_links(arxiv[0])) if arxiv else [Link(LinkKind.ABS, link)] if link else []
    links += [doi_link(doi)] if doi else []
    paper = Paper(
        id=paper_id(
            arxiv=arxiv[0] if arxiv else None, doi=doi, title=title, first_author=authors[0] if authors else ""
        ),
        title=title,
        abstract="" if abstract.casefold() == title.casefold() else abstract,
        authors=authors,
        version=arxiv[1] if arxiv else None,
        doi=doi,
        published=in_utc(when),
        links=tuple(links),
    )
    return Announcement(paper, AnnounceType.NEW, when.date() if when else day, source)


def _string(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _texts(entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield every field that may hold the abstract."""
    for content in entry.get("content") or ():
        if isinstance(content.get("value"), str):
            yield content["value"]
    for key in ("summary", "dc_description", "prism_teaser"):
        if text := _string(entry, key):
            yield text


def _published(entry: Mapping[str, Any]) -> datetime | None:
    """Return the first date that can be trusted. feedparser's own reading is not asked: it guesses."""
    keys = ("published", "dc_date", "prism_publicationdate", "updated", "created", "prism_coverdate")
    return next((when for key in keys if (when := read_date(_string(entry, key)))), None)


_PARAGRAPH = re.compile(r"<\s*/?\s*(?:p|div|br|li|h[1-6]|section|jats:p|td)\b[^<>]{0,500}>", re.I)
_LABEL = re.compile(r"(?P<label>abstract|summary|authors?(?:\(s\))?|doi|upvotes|publication date|source)\s*:\s*", re.I)
_LEAD = re.compile(
    r"[^.;]{1,120}, published online:.*|(?:publication date|source|publication year|upvotes|doi)\s*:.*"
    r"|abstract\W*|summary\W*|[^.]{0,100}\bvol(?:ume|\.)? \d.{0,150}|\W*",
    re.I,
)


_TAIL = re.compile(r"(?:PMID|PMCID|PMC|DOI)\s*:.*", re.I)
_HEADING = re.compile(r"^(?:Abstract|ABSTRACT)[.:]?\s+(?=[^\W_a-z])")


def _described(text: str, title: str) -> tuple[str, tuple[str, ...], str]:
    """Read one description: (abstract, authors, the text before the abstract).

    Many feeds have one HTML description for everything: a line of bibliography, "Authors: …", "Abstract: …". Lines of
    bibliography around the abstract, and the title said again, are dropped from it.
    """
    lines = [line for part in _PARAGRAPH.split(text) if (line := readable(part))]
    lead: list[str] = []
    authors: tuple[str, ...] = ()
    while lines:
        label = _LABEL.match(lines[0])
        word = label["label"].lower() if label else ""
        if label and word in ("abstract", "summary") and label.end() < len(lines[0]):
            lines[0] = lines[0][label.end() :]
            break
        if label and word.startswith("author"):
            authors = split_authors(lines[0][label.end() :])
        elif lines[0] != title and not _LEAD.fullmatch(lines[0]) and not _abstract_follows(lines[1:]):
            break
        lead.append(lines.pop(0))
    while lines and _TAIL.fullmatch(lines[-1]):
        lines.pop()
    return _HEADING.sub("", " ".join(lines)), authors, " ".join(lead)


def _abstract_follows(lines: Iterable[str]) -> bool:
    """Say whether the abstract is announced further down, so that what stands here is not it."""
    return any(re.match(r"(?:abstract|summary)\s*(?::|$)", line, re.I) for line in lines)


def _authors(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Read repeated authors, and one field that holds them all: each is split by itself."""
    names = [author.get("name") for author in entry.get("authors") or () if isinstance(author.get("name"), str)]
    names = names or [_string(entry, "author") or _string(entry, "creator")]
    return tuple(dict.fromkeys(name for text in names for name in split_authors(text) if "@" not in name))


def _doi(entry: Mapping[str, Any], described: Iterable[tuple[str, tuple[str, ...], str]]) -> str | None:
    """Return the entry's own DOI: never one that its abstract merely mentions."""
    fields = [_string(entry, key) for key in ("prism_doi", "dc_identifier")]
    fields += [lead for _, _, lead in described]
    fields += [_string(entry, key) for key in ("id", "link", "prism_url", "dc_source")]
    fields += [str(link.get("href") or "") for link in entry.get("links") or ()]
    doi = next((doi for text in fields if (doi := find_doi(text))), None)
    if doi and doi.count("/") > 1:
        # An address goes on after the DOI it holds; a text that names the same DOI says where it ends.
        mentioned = (find_doi(abstract) for abstract, _, _ in described)
        doi = next((shorter for shorter in mentioned if shorter and doi.startswith(shorter + "/")), doi)
    return doi
