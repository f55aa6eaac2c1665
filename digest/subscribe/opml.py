"""`digest feeds`: the feeds that somebody reads elsewhere, as the `[[sources]]` of a list.

OPML as feed readers export it, http://opml.org/spec2.opml. Read by lxml without external documents and huge trees; a
file that declares entities is refused, for libxml2 expands those of attributes whatever it is told. Called by `cli/`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lxml import etree

from digest.errors import ConfigError, Problem


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed of an OPML file."""

    name: str
    url: str


def read_opml(path: Path) -> tuple[Feed, ...]:
    """The feeds of a file, in its order, each address once. Raises ConfigError with line and column."""
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_comments=True
    )
    try:
        data = path.read_bytes()
        if b"<!ENTITY" in data.replace(b"\0", b""):
            raise ConfigError(Problem(path, None, "", "declares entities, which no feed reader does: refused"))
        root = etree.fromstring(data, parser)
    except OSError as error:
        raise ConfigError(Problem(path, None, "", f"cannot be read: {error.strerror}")) from error
    except etree.XMLSyntaxError as error:
        line, column = error.position
        message = f"is not OPML (column {column}: {error.msg}): export it again from the feed reader"
        raise ConfigError(Problem(path, line or 1, "", message)) from error
    if etree.QName(root).localname.lower() != "opml":
        raise ConfigError(Problem(path, root.sourceline, "", f"is not OPML: it begins with <{root.tag}>"))
    feeds: dict[str, Feed] = {}
    for outline in root.iter("outline"):
        url = outline.get("xmlUrl", "").strip()
        if urlsplit(url).scheme in ("http", "https"):
            name = " ".join((outline.get("title") or outline.get("text") or "").split())
            feeds.setdefault(url, Feed(name, url))
    if not feeds:
        raise ConfigError(Problem(path, None, "", "names no feed: an <outline> with an `xmlUrl` is one"))
    return tuple(feeds.values())


def as_toml(feeds: tuple[Feed, ...]) -> str:
    """The feeds as `[[sources]]` tables of a config; of several with one name the second and later go by a number."""
    taken: dict[str, int] = {}
    tables = []
    for feed in feeds:
        lines = ["[[sources]]", 'kind = "feed"', f"url = {_toml(feed.url)}"]
        if feed.name:
            taken[feed.name] = taken.get(feed.name, 0) + 1
            number = f" {taken[feed.name]}" if taken[feed.name] > 1 else ""
            lines.append(f"name = {_toml(feed.name + number)}")
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)


def _toml(text: str) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
