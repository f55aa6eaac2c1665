"""A person's library: papers that she has read, as her reference manager writes them.

BibTeX and BibLaTeX (`.bib`; Zotero, Better BibTeX, JabRef, Mendeley) are read by `importing.py`; here are CSL JSON
(`.json`; Zotero, Better CSL JSON: https://docs.citationstyles.org/en/stable/specification.html#appendix-iv-variables)
and the answers of Zotero's API, which hold the same (https://www.zotero.org/support/dev/web_api/v3/basics). Pure, but
for the file that is read. `digest.settings` and `digest/commands/people.py` call it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from html import unescape
from pathlib import Path
from typing import Any

from digest.errors import Problem
from digest.model import Paper, PaperId
from digest.subscribe import values
from digest.subscribe.importing import Imported, paper_of, read_bibtex, unreadable

_MARKUP = re.compile(r"</?(?:i|b|em|strong|sub|sup|sc|span|p|jats:\w+)\b[^<>]*>", re.I)


def read_library(path: Path) -> Imported[Paper]:
    """Read a library by its ending: `.json` is CSL JSON, everything else BibTeX.

    What is broken is reported and the rest kept; of two entries for one paper the first counts.
    """
    if path.suffix.lower() != ".json":
        return read_bibtex(path)
    items = _items(path)
    if isinstance(items, Problem):
        return Imported((), (items,))
    papers, nameless = papers_of(items)
    problems = [Problem(path, None, name, values.printable(f"{name} has no title")) for name in nameless]
    return Imported(papers, tuple(problems))


def _items(path: Path) -> list[Any] | Problem:
    """What a file of CSL JSON lists, or why it cannot be read."""
    try:
        found = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        return unreadable(path, error)
    except json.JSONDecodeError as error:
        message = f"is not JSON (column {error.colno}: {error.msg}): export it again, as “CSL JSON”"
        return Problem(path, error.lineno, "", message)
    except (UnicodeDecodeError, RecursionError):
        found = None
    if not isinstance(found, list):
        return Problem(path, 1, "", "is not a list of items in UTF-8: export it again, as “CSL JSON”")
    return found


def papers_of(items: Iterable[Any]) -> tuple[tuple[Paper, ...], tuple[str, ...]]:
    """The papers of CSL items, each once, and what those without a title go by."""
    papers: dict[PaperId, Paper] = {}
    nameless: list[str] = []
    for number, item in enumerate(items, 1):
        paper = _paper(item) if isinstance(item, Mapping) else None
        if paper:
            papers.setdefault(paper.id, paper)
        else:
            key = item.get("id") if isinstance(item, Mapping) else None
            nameless.append(f"item {number}" + (f" (`{str(key)[:60]}`)" if key else ""))
    return tuple(papers.values()), tuple(nameless)


def _paper(item: Mapping[str, Any]) -> Paper | None:
    def text(name: str) -> str:
        value = item.get(name)
        return " ".join(unescape(_MARKUP.sub("", str(value))).split()) if isinstance(value, str | int) else ""

    people = item.get("author")
    authors = tuple(name for person in people if (name := _name(person))) if isinstance(people, list) else ()
    fields = {name: text(name) for name in ("title", "abstract", "note", "number", "version")}
    fields |= {"doi": text("DOI"), "url": text("URL"), "journal": text("container-title")}
    return paper_of(fields, authors, fields["journal"])


def _name(person: Any) -> str:
    """A name in reading order."""
    if not isinstance(person, Mapping):
        return ""
    order = ("given", "dropping-particle", "non-dropping-particle", "family", "suffix")
    words = [person.get("literal")] if person.get("literal") else [person.get(part) for part in order]
    return " ".join(" ".join(word for word in words if isinstance(word, str)).split())
