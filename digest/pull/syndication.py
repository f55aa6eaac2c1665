"""RSS 0.9x to 2.0, RDF and Atom bytes to entries, by feedparser. Called by `arxiv.py` and `feeds.py`, which read them.

feedparser is given a stream and nothing else: what it is given as text or even as bytes it first tries to open as an
address or a file. Its sanitiser and its resolving of relative links are off: every field is text to us, cleaned by
`clean.py`, and only absolute http(s) links are taken. It costs 0.5 to 1.3 ms of CPU an entry, so callers run it off
the event loop. Formats: https://www.rssboard.org/rss-specification, https://web.resource.org/rss/1.0/spec, RFC 4287.
"""

from __future__ import annotations

import io
import re
import xml.sax
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import feedparser
from feedparser.mixin import _FeedParserMixin

from digest.errors import SourceError

MAX_ENTRIES = 20_000
"""More than arXiv announces in a month; what has more is not meant to be read, and would take minutes."""

_ROOT = re.compile(rb"<(?:[\w.-]+:)?(rss|rdf|feed)\b", re.I)
_HTML = re.compile(rb"<!doctype\s+html|<html\b|<head\b|<body\b", re.I)
_ENTRY = re.compile(rb"<(?:[\w.-]+:)?(?:item|entry)\b", re.I)
_ENTRY_END = re.compile(rb"</(?:[\w.-]+:)?(?:item|entry)\s*>", re.I)
_END = re.compile(rb"</(?:[\w.-]+:)?(?:rss|rdf|feed)\s*>", re.I)


@dataclass(frozen=True, slots=True)
class Syndicated:
    """A feed, read: feedparser's dictionaries, and whether the feed broke off before its end."""

    feed: Mapping[str, Any]
    entries: tuple[Mapping[str, Any], ...]
    cut: bool
    half: Mapping[str, Any] | None = None
    """The entry in which the feed broke off. Nobody knows what it lacks, so it is not among `entries`."""


def read_feed(body: bytes, where: str) -> Syndicated:
    """Read a feed; raise `SourceError` naming `where` if `body` is none. The entry that a cut halves is set apart."""
    head = _as_ascii(body[:20_000])
    if not body.strip():
        raise SourceError(f"{where} is empty: expected an RSS or Atom feed")
    plain = _as_ascii(body)
    if len(_ENTRY.findall(plain)) > MAX_ENTRIES:
        raise SourceError(f"{where} has more than {MAX_ENTRIES:,} entries: refused")
    result = _parse(body, where)
    # Plain dictionaries: feedparser's own answer `updated` with what is `published`, and warn.
    entries = tuple(dict(entry) for entry in result.entries)
    if not entries and not result.get("version"):
        raise SourceError(f"{where} {_what_it_is(head)}, not an RSS or Atom feed: check its address in a browser")
    cut = bool(result.bozo) and bool(_ROOT.search(head)) and not _END.search(plain[-5000:])
    half = entries[-1] if cut and len(entries) > len(_ENTRY_END.findall(plain)) else None
    return Syndicated(dict(result.feed), entries[:-1] if half is not None else entries, cut, half)


LONGEST_AUTHOR = 1000
"""Characters of an author in which feedparser looks for an address, in time that is quadratic in them."""


def _bounded(sync: Callable[..., None]) -> Callable[..., None]:
    def bounded(parser: Any, key: str = "author") -> None:
        if len(str(parser._get_context().get(key) or "")) <= LONGEST_AUTHOR:
            sync(parser, key)

    return bounded


# There is no option for it, and 100 kB of "a.a.a." in one author would take minutes.
_FeedParserMixin._sync_author_detail = _bounded(_FeedParserMixin._sync_author_detail)


def _parse(body: bytes, where: str) -> Any:
    try:
        return feedparser.parse(io.BytesIO(body), resolve_relative_uris=False, sanitize_html=False)
    except (RecursionError, xml.sax.SAXException) as error:
        raise SourceError(f"{where} cannot be read: {type(error).__name__}") from error
    except Exception as error:
        # feedparser lets errors of every kind out on hostile input; to a reader they are one: not a feed.
        raise SourceError(f"{where} is too broken to be read as a feed ({type(error).__name__}: {error})") from error


def _as_ascii(data: bytes) -> bytes:
    """Make the marks of UTF-16 and UTF-32 feeds findable as ASCII."""
    return data.replace(b"\0", b"") if b"\0" in data[:200] else data


def _what_it_is(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if _HTML.search(head):
        return "is an HTML page"
    if start.startswith((b"{", b"[")):
        return "is JSON"
    if start.startswith(b"%PDF"):
        return "is a PDF"
    return "is something else" if not start.startswith(b"<?xml") else "is some other XML"
