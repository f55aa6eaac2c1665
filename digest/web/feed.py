"""Papers as an Atom feed (RFC 4287). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr

from lxml import etree

from digest.model import Paper

MEDIA_TYPE = "application/atom+xml; charset=utf-8"
_ATOM = "http://www.w3.org/2005/Atom"
_NO_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A paper, and when and where the list brought it."""

    paper: Paper
    at: datetime
    page: str
    """Its page: a whole address, which is its id as well."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What stands above the papers; addresses are whole."""

    title: str
    address: str
    page: str
    author: str
    language: str
    updated: datetime


def atom(feed: Feed, entries: Sequence[Entry]) -> str:
    """The feed's document."""
    root = etree.Element(f"{{{_ATOM}}}feed", nsmap={None: _ATOM})
    root.set("{http://www.w3.org/XML/1998/namespace}lang", feed.language)
    _add(root, "id", feed.address)
    _add(root, "title", feed.title)
    _add(root, "updated", feed.updated.isoformat(timespec="seconds"))
    _add(root, "link", rel="self", type="application/atom+xml", href=feed.address)
    _add(root, "link", rel="alternate", type="text/html", href=feed.page)
    _add(_add(root, "author"), "name", parseaddr(feed.author)[0] or feed.title)
    _add(root, "generator", "digest")
    for entry in entries:
        _add_entry(root, entry)
    return str(etree.tostring(root, encoding="unicode", pretty_print=True))


def _add_entry(root: etree._Element, entry: Entry) -> None:
    paper = entry.paper
    element = _add(root, "entry")
    _add(element, "id", entry.page)
    _add(element, "title", paper.title or paper.id)
    _add(element, "updated", entry.at.isoformat(timespec="seconds"))
    if paper.published:
        _add(element, "published", paper.published.isoformat(timespec="seconds"))
    _add(element, "link", rel="alternate", type="text/html", href=entry.page)
    for author in paper.authors:
        _add(_add(element, "author"), "name", author)
    for category in paper.categories:
        _add(element, "category", term=category)
    _add(element, "summary", paper.abstract)


def _add(parent: etree._Element, name: str, text: str | None = None, **attributes: str) -> etree._Element:
    element = etree.SubElement(parent, f"{{{_ATOM}}}{name}")
    for key, value in attributes.items():
        element.set(key, _NO_XML.sub("", value))
    if text is not None:
        element.text = _NO_XML.sub("", text)
    return element
