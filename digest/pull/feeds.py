"""Any RSS, RDF or Atom feed of papers to announcements: what publishers really put into their fields.

`parse` reads bytes; fetching is `http.py`'s, calling it is `digest.pull.pull`'s, reading XML is `syndication.py`'s.
Beyond the formats named there: Dublin Core (https://www.dublincore.org/specifications/dublin-core/dces/) and PRISM
(https://www.w3.org/submissions/2020/SUBM-prism-20200910/) for authors, dates and DOIs. A date that could mean two days
is left out rather than guessed. Everything a feed announces is `new`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from digest.errors import SourceError
from digest.ids import arxiv_links, doi_link, find_arxiv_id, find_doi, paper_id
from digest.model import Announcement, AnnounceType, Link, LinkKind, Paper, Rejection, Source
from digest.pull.clean import readable, split_authors
from digest.pull.conversation import Conversation, Task, ask_each
from digest.pull.parsed import Parsed, in_utc, read_date, web_address
from digest.pull.syndication import read_feed
from digest.pull.withdrawn import is_withdrawn


def converse(task: Task) -> Conversation:
    """Ask for the feed, or for each of the folder's files."""
    source = task.source
    if not source.url:
        raise SourceError(f"source {source.name!r} has no url: a feed needs one")
    addresses = task.files if task.files is not None else [(None, source.url)]
    return (yield from ask_each(addresses, lambda body, where, day: parse(body, source, where=where, day=day)))


def parse(body: bytes, source: Source, *, where: str, day: date | None = None) -> Parsed:
    """Read one feed. `day` is the day of announcement of entries without a date; `where` names the feed in messages.

    An entry that a pattern of `source.skip` finds is counted, one with neither title nor text is rejected by name.
    Raises `SourceError` if the body is no feed.
    """
    feed = read_feed(body, where)
    patterns = [re.compile(pattern, re.I) for pattern in source.skip]
    announcements, rejected = [], []
    skipped = 0
    for number, entry in enumerate(feed.entries, start=1):
        title = _ACS_MARK.sub("", readable(_string(entry, "title")))
        descriptions = [_described(text, title) for text in _texts(entry)]
        title = title or _first_sentence(descriptions)
        if not title:
            rejected.append(Rejection(_name(entry, number), "has no title"))
        elif any(pattern.search(text) for pattern in patterns for text in _kinds(entry, title)):
            skipped += 1
        else:
            announcements.append(_announcement(entry, title, descriptions, source.name, day))
    if feed.half is not None:
        rejected.append(Rejection(_name(feed.half, len(feed.entries) + 1), "is cut off"))
    notes = [] if feed.entries or feed.cut else [f"{where} has no entries"]
    error = None
    if feed.cut:
        error = f"{where} breaks off after {len(feed.entries)} entries: the rest is missing, pull again later"
    return Parsed(tuple(announcements), rejected=tuple(rejected), notes=tuple(notes), error=error, skipped=skipped)


_ACS_MARK = re.compile(r"^\[ASAP\]\s*")
"""What the American Chemical Society puts before the titles of articles without an issue yet."""


def _name(entry: Mapping[str, Any], number: int) -> str:
    """Name an entry that cannot be read: by its guid, its link, its title, else its place."""
    names = (readable(_string(entry, key)) for key in ("id", "link", "title"))
    return next((name for name in names if name), f"entry {number}")[:200]


def _kinds(entry: Mapping[str, Any], title: str) -> Iterator[str]:
    """Yield what tells papers from other items: the title, the feed's own words for the kind of item, and the DOI.

    The DOI is there for Nature, whose news differ from its articles in nothing but `d41586` against `s41586`.
    """
    yield title
    for key in ("prism_section", "dc_type", "prism_doi", "dc_identifier"):
        if text := _string(entry, key):
            yield text
    for tag in entry.get("tags") or ():
        if isinstance(tag.get("term"), str):
            yield tag["term"]


def _announcement(
    entry: Mapping[str, Any], title: str, descriptions: Sequence[_Description], source: str, day: date | None
) -> Announcement:
    when = _published(entry)
    link = web_address(entry.get("link")) or web_address(entry.get("prism_url")) or web_address(entry.get("id"))
    doi = _doi(entry, descriptions)
    named = [doi or "", _string(entry, "id"), _string(entry, "link")]
    arxiv = next((found for text in named if (found := find_arxiv_id(text))), None)
    if doi and find_arxiv_id(doi):
        doi = None
    authors = _authors(entry) or next((found.authors for found in descriptions if found.authors), ())
    abstract = max((found.abstract for found in descriptions), key=len, default="")
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
        withdrawn=is_withdrawn(title, abstract, None),
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


def _first_sentence(descriptions: Sequence[_Description]) -> str:
    """Make a title of the first text of an entry that has none."""
    text = next((found.abstract for found in descriptions if found.abstract), "")
    sentence = re.match(r".{10,200}?[.!?。](?=\s|$)", text)
    return textwrap.shorten(sentence[0] if sentence else text, 120, placeholder="…")


def _published(entry: Mapping[str, Any]) -> datetime | None:
    """Return the first date that can be trusted. feedparser's own reading is not asked: it guesses."""
    keys = ("published", "dc_date", "prism_publicationdate", "updated", "created", "prism_coverdate")
    return next((when for key in keys if (when := _date(_string(entry, key)))), None)


_YEAR_FIRST = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(?:\s+(\d{1,2}):(\d{2})(?::(\d{2}))?)?")
_GERMAN = re.compile(
    r"(?:(?:Mo|Di|Mi|Do|Fr|Sa|So)[a-z]{0,8}\.?,\s*)?(\d{1,2})\.?\s+([^\W\d_]{3,9})\.?(\s+\d{4}\b.{0,20})"
)
_MONTHS = {
    "jan": "Jan", "jän": "Jan", "feb": "Feb", "mär": "Mar", "mrz": "Mar", "apr": "Apr", "mai": "May", "jun": "Jun",
    "jul": "Jul", "aug": "Aug", "sep": "Sep", "okt": "Oct", "nov": "Nov", "dez": "Dec",
}  # fmt: skip


def _date(text: str) -> datetime | None:
    """Read the dates that `read_date` reads, and those that are written otherwise but can mean one day only.

    "2021/10/16 9:23:28", of Chinese journals; "Do, 07 Okt 2021 19:15:22 +0000", of Open Journal Systems set to German;
    the zone HST, which RFC 822 does not know, of ZooBank.
    """
    text = re.sub(r"\sHST$", " -1000", text.strip())
    if match := _YEAR_FIRST.fullmatch(text):
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        return read_date(f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    if (match := _GERMAN.fullmatch(text)) and (name := _MONTHS.get(match[2][:3].lower())):
        text = f"{match[1]} {name}{match[3]}"
    return read_date(text)


@dataclass(frozen=True, slots=True)
class _Description:
    """What one field of an entry holds; `bibliography` is the text around the abstract."""

    abstract: str
    authors: tuple[str, ...] = ()
    bibliography: str = ""


_PARAGRAPH = re.compile(r"<\s*/?\s*(?:p|div|br|li|h[1-6]|section|jats:p|td)\b[^<>]{0,500}>", re.I)
_LABEL = re.compile(r"(?P<label>abstract|summary|authors?(?:\(s\))?|doi|upvotes|publication date|source)\s*:\s*", re.I)
_LEAD = re.compile(
    r"[^.;]{1,120}, published online:.*|(?:publication date|source|publication year|upvotes|doi)\s*:.*"
    r"|abstract\W*|summary\W*|[^.]{0,100}\bvol(?:ume|\.)? \d.{0,150}|\W*"
    r"|[\w /&-]{3,60}\s[—–-]\s(?:\d{1,2}\s\w{3,9}\s\d{4}|\w{3,9}\s\d{1,2},\s\d{4})",
    re.I,
)
_TAIL = re.compile(r"(?:PMID|PMCID|PMC|DOI)\s*:.*", re.I)
_HEADING = re.compile(r"^(?:Abstract|ABSTRACT)[.:]?\s+(?=[^\W_a-z])")
_BUTTONS = re.compile(r"(?:\s+(?:HTML|XML|PDF|EPUB)\b){2,}$")
_PLACEHOLDER = re.compile(r"\W*(?:n/?a|none|(?:no|without) (?:abstract|summary)(?: (?:is )?available)?)\W*", re.I)


_ENDS = tuple(".!?…。")


def _described(text: str, title: str) -> _Description:
    """Read one description.

    Many feeds have one HTML description for everything: a line of bibliography, "Authors: …", "Abstract: …". Lines of
    bibliography around the abstract, and the title said again, are dropped from it.
    """
    lines = [line for part in _PARAGRAPH.split(text) if (line := readable(part))]
    around: list[str] = []
    authors: tuple[str, ...] = ()
    while lines and _TAIL.fullmatch(lines[-1]):
        around.append(lines.pop())
    while lines:
        label = _LABEL.match(lines[0])
        word = label["label"].lower() if label else ""
        if label and word in ("abstract", "summary") and label.end() < len(lines[0]):
            lines[0] = lines[0][label.end() :]
            break
        if label and word.startswith("author"):
            authors = split_authors(lines[0][label.end() :])
        elif names := _list_of_authors(lines[0]):
            authors = authors or names
        elif lines[0] != title and not _LEAD.fullmatch(lines[0]) and not _abstract_follows(lines[1:]):
            break
        around.append(lines.pop(0))
    abstract = _BUTTONS.sub("", _HEADING.sub("", " ".join(lines)))
    if _PLACEHOLDER.fullmatch(abstract) or (around and len(abstract.split()) < 5 and abstract[-1:] not in _ENDS):
        abstract = ""  # between lines of bibliography, a few words are the journal's name or an author's
    return _Description(abstract, authors, " ".join(around))


def _list_of_authors(line: str) -> tuple[str, ...]:
    """Read a line that holds nothing but names with semicolons between or after them."""
    names = [name.strip() for name in line.removesuffix(";").split(";")]
    if ";" not in line or not all(_NAME.fullmatch(name) for name in names):
        return ()
    return split_authors(line)


_NAME = re.compile(r"(?=.{2,60}$)[^\W\d_](?:[^\W\d_]|[’'‐-])*+\.?(?:,?\s[^\W\d_](?:[^\W\d_]|[.’'‐-])*+){0,5}")


def _abstract_follows(lines: Iterable[str]) -> bool:
    """Say whether the abstract is announced further down, so that what stands here is not it."""
    return any(re.match(r"(?:abstract|summary)\s*(?::|$)", line, re.I) for line in lines)


def _authors(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Read repeated authors, and one field that holds them all: each is split by itself."""
    names = [author.get("name") for author in entry.get("authors") or () if isinstance(author.get("name"), str)]
    names = [readable(name) for name in names or [_string(entry, "author") or _string(entry, "creator")]]
    if _surnames_first(names):
        names = [f"{name};" for name in names]  # which `split_authors` takes for one name, surname first
    return tuple(dict.fromkeys(name for text in names for name in split_authors(text) if "@" not in name))


def _surnames_first(names: Sequence[str]) -> bool:
    """Say whether "Lee, Ann" is one person here and not two: every field has one comma, or one field can be no list."""
    if not names or any(name.count(",") != 1 or ";" in name for name in names):
        return False
    last, _, first = names[0].partition(",")
    one_word = " " not in last.strip() or " " not in first.strip() or last[:1].islower()
    return len(names) > 1 or (one_word and last.isascii() == first.isascii() and not _HAN.search(last))


_HAN = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Chinese, Japanese and Korean names have no space, so a comma stands between two of them."""


def _doi(entry: Mapping[str, Any], descriptions: Iterable[_Description]) -> str | None:
    """Return the entry's own DOI: never one that its abstract merely mentions."""
    fields = [_string(entry, key) for key in ("prism_doi", "dc_identifier")]
    fields += [found.bibliography for found in descriptions]
    if doi := next((doi for text in fields if (doi := find_doi(text))), None):
        return doi
    fields = [_string(entry, key) for key in ("id", "link", "prism_url", "dc_source")]
    fields += [str(link.get("href") or "") for link in entry.get("links") or ()]
    doi = next((doi for text in fields if (doi := find_doi(text))), None)
    if doi and doi.count("/") > 1:
        # An address goes on after the DOI it holds; a text that names the same DOI says where it ends.
        mentioned = (find_doi(found.abstract) for found in descriptions)
        doi = next((shorter for shorter in mentioned if shorter and doi.startswith(shorter + "/")), doi)
        doi = _SLUG.sub("", doi)
    return doi


_SLUG = re.compile(r"/\d{5,9}/[a-z0-9]+-[\w-]*$")
"""What Silverchair's addresses (Oxford, RSC, ACS) add to a DOI: a number and the title in hyphens."""
