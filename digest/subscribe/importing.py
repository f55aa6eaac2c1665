"""Files that people already have: a list's members as CSV, a person's library as BibTeX.

Reads a file and returns values with every mistake found, each with its line; it never stops at the first and knows
nothing of a list's topics or of the store. `digest.settings`, `libraries.py` and `digest/commands/people.py` call it.
CSV as RFC 4180 has it and as spreadsheets write it (byte-order mark, semicolons, `sep=;`); BibTeX as
https://www.bibtex.com/format/ has it, with arXiv's `eprint`/`archivePrefix`
(https://info.arxiv.org/help/hypertex/bibstyles/).
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from digest import ids
from digest.errors import Problem
from digest.members import Standing
from digest.model import Address, Frequency, Link, LinkKind, Paper, PaperId
from digest.subscribe import values
from digest.subscribe.cells import split, unescaped
from digest.subscribe.values import WrongValue, did_you_mean

if TYPE_CHECKING:
    from bibtexparser.model import Entry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Imported(Generic[T]):
    """What a file gave: the items that are usable, and the problems of the others in the order of lines."""

    items: tuple[T, ...]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class SubscriberRow:
    """One row of a CSV of subscribers. Empty cells are empty tuples, "" for the name and None for the rest."""

    line: int
    address: Address
    name: str = ""
    topics: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    examples: tuple[PaperId, ...] = ()
    timezone: str | None = None
    language: str | None = None
    frequency: Frequency | None = None
    interests: tuple[str, ...] = ()
    hour: int | None = None
    paused_until: date | None = None
    state: Standing | None = None


COLUMNS = ("email", "name", "topics", "authors", "categories", "examples", "timezone", "language", "frequency", "hour")
"""What a config's `subscribers_file` may say."""
MEMBERS_COLUMNS = (*COLUMNS, "interests", "paused_until", "state")
"""What `digest subscribers export` writes and `import` reads."""


def read_subscribers(path: Path) -> Imported[SubscriberRow]:
    """Read a CSV of subscribers: a header with `email` and any of `COLUMNS`; several values in a cell have `;` between.

    A row with a mistake is reported and left out; a file that cannot be read is one problem and no rows.
    """
    found = list(subscriber_rows(path, COLUMNS))
    return Imported(
        tuple(item for item in found if isinstance(item, SubscriberRow)),
        tuple(item for item in found if isinstance(item, Problem)),
    )


def subscriber_rows(path: Path, columns: Sequence[str]) -> Iterator[SubscriberRow | Problem]:
    """The rows of a CSV of subscribers and the mistakes in them, in the order of lines, however long it is."""
    try:
        if line := _not_utf8(path):
            yield Problem(path, line, "", "is not UTF-8: in a spreadsheet, save it as “CSV UTF-8”")
            return
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield from _CsvReader(path, columns).read(lines)
    except OSError as error:
        yield unreadable(path, error)


def _not_utf8(path: Path) -> int | None:
    """The first line that is not UTF-8."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return None


class _CsvReader:
    def __init__(self, path: Path, columns: Sequence[str]):
        self.path = path
        self.known = columns
        self.problems: list[Problem] = []

    def read(self, lines: Iterable[str]) -> Iterator[SubscriberRow | Problem]:
        rows = self._cells(iter(lines))
        line, header = next(rows, (1, []))
        columns = self._columns(line, header)
        yield from self._told()
        for number, cells in rows if columns else ():
            item = self._row(number, columns, cells)
            yield from self._told()
            if item:
                yield item
        yield from self._told()

    def _told(self) -> list[Problem]:
        told, self.problems = self.problems, []
        return told

    def _problem(self, line: int, key: str, message: str) -> None:
        self.problems.append(Problem(self.path, line, key, values.printable(message)))

    def _cells(self, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
        """Rows that are not blank, with the line on which each begins."""
        offset, first = 1, next(lines, "")
        if declared := re.fullmatch(r"sep=(.)\r?\n", first):  # Excel's own first line
            first = next(lines, "")
            offset += 1
        while first.isspace():
            first = next(lines, "")
            offset += 1
        delimiter = declared[1] if declared else max(",;\t", key=first.count)
        offset -= 1
        reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
        line = offset + 1
        try:
            for cells in reader:
                stripped = [unescaped(cell.strip()) for cell in cells]
                if any(stripped):
                    yield line, stripped
                line = offset + reader.line_num + 1
        except csv.Error as error:
            self._problem(line, "", f"is not CSV from here on ({error}): look for a quotation mark without its partner")

    def _columns(self, line: int, header: list[str]) -> list[str]:
        """The header's names; empty where the rows below it make no sense."""
        columns = [cell.lower() for cell in header]
        for position, name in enumerate(columns):
            if name in columns[:position]:
                self._problem(line, name, f"the column `{name}` is there twice")
            elif name not in self.known:
                advice = did_you_mean(name, self.known) or f"the columns are {', '.join(self.known)}"
                self._problem(line, name, f"`{name}` is not a column of subscribers; {advice}")
        if not self.problems and "email" not in columns:
            self._problem(line, "email", "the first line must be a header with the column `email`")
        return [] if self.problems else columns

    def _row(self, line: int, columns: list[str], cells: list[str]) -> SubscriberRow | None:
        before = len(self.problems)
        if len(cells) > len(columns) and any(cells[len(columns) :]):
            self._problem(
                line, "", f"has {len(cells)} cells, the header has {len(columns)}: put quotation marks around a cell "
                "with a comma in it, and `;` between several values"
            )  # fmt: skip
            return None
        row = dict(zip(columns, cells, strict=False))
        if not row.get("email"):
            self._problem(line, "email", "`email` is empty")

        def read(column: str, reader: Callable[[str], T]) -> T | None:
            return self._value(line, column, row.get(column, ""), reader)

        def each(column: str, reader: Callable[[str], T]) -> tuple[T, ...]:
            found = (self._value(line, column, part, reader) for part in split(row.get(column, "")))
            return tuple(value for value in found if value is not None)

        item = SubscriberRow(
            line=line,
            address=read("email", values.email_address) or Address(""),
            name=read("name", values.one_line) or "",
            topics=each("topics", values.one_line),
            authors=each("authors", values.one_line),
            categories=each("categories", values.arxiv_category),
            examples=each("examples", values.paper_id),
            timezone=read("timezone", values.time_zone),
            language=read("language", values.language_tag),
            frequency=read("frequency", values.frequency),
            interests=each("interests", values.one_line),
            hour=read("hour", values.hour),
            paused_until=read("paused_until", values.day),
            state=read("state", values.standing),
        )
        return item if len(self.problems) == before else None

    def _value(self, line: int, column: str, cell: str, reader: Callable[[str], T]) -> T | None:
        if not cell:
            return None
        try:
            return reader(cell)
        except WrongValue as error:
            self._problem(line, column, error.about(f"`{column}`", cell))
            return None


def read_bibtex(path: Path) -> Imported[Paper]:
    """Read a BibTeX library: one paper an entry, TeX decoded, braces and line breaks gone.

    An entry that is broken or has no title is reported by line and key, the others are kept; of two entries for one
    paper the first counts. A file that cannot be read is one problem and no papers.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        return Imported((), (unreadable(path, error),))
    return parse_bibtex(raw, path)


def parse_bibtex(raw: bytes, path: Path) -> Imported[Paper]:
    """The same of a library that was read already; `path` is what its problems name."""
    from bibtexparser.entrypoint import parse_string
    from bibtexparser.model import DuplicateBlockKeyBlock

    logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)  # it would print what is reported below
    library = parse_string(_decode(raw))
    problems = [
        Problem(path, (block.start_line or 0) + 1, "", values.printable(f"{_entry_head(block.raw or '')} {_FAILED}"))
        for block in library.failed_blocks
        if not isinstance(block, DuplicateBlockKeyBlock)  # the same entry twice: the first is kept
    ]
    papers: dict[PaperId, Paper] = {}
    for entry in library.entries:
        paper = _paper(entry)
        if paper:
            papers.setdefault(paper.id, paper)
        else:
            problems.append(
                Problem(path, (entry.start_line or 0) + 1, entry.key, values.printable(f"`{entry.key}` has no title"))
            )
    problems.sort(key=lambda problem: problem.line or 0)
    return Imported(tuple(papers.values()), tuple(problems))


_FAILED = "cannot be read: look for a missing comma, brace or quotation mark, or a field that is there twice"


def unreadable(path: Path, error: OSError) -> Problem:
    """What is said of a file that cannot be opened."""
    what = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
    return Problem(path, None, "", what)


def _decode(raw: bytes) -> str:
    """UTF-8 or, as older reference managers write it, a Western code page."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _entry_head(raw: str) -> str:
    found = re.match(r"\s*@\w+\s*\{\s*([^\s,{}=]+)", raw)
    return f"`{found[1]}`" if found else "this entry"


def _paper(entry: Entry) -> Paper | None:
    """One entry as a paper; None without a title."""
    fields = {field.key.lower(): str(field.value) for field in entry.fields}
    readable = {key: _readable(fields.get(key, "")) for key in ("title", "abstract")}
    journal = fields.get("journal") or fields.get("journaltitle") or fields.get("booktitle", "")
    return paper_of(fields | readable, _authors(fields.get("author", "")), _readable(journal))


def paper_of(fields: Mapping[str, str], authors: tuple[str, ...], journal: str) -> Paper | None:
    """A paper of fields that go by BibTeX's names; title and abstract are readable. None without a title."""
    title = fields["title"]
    if not title:
        return None
    arxiv, doi = _arxiv_id(fields), _doi(fields)
    links = [Link(LinkKind.ABS, f"https://arxiv.org/abs/{arxiv.removeprefix('arxiv:')}")] if arxiv else []
    if doi:
        links.append(Link(LinkKind.DOI, f"https://doi.org/{doi}"))
    category = fields.get("primaryclass", "").strip()
    return Paper(
        id=arxiv or (ids.doi_id(doi) if doi else ids.title_id(title, authors[0] if authors else "")),
        title=title,
        abstract=fields["abstract"],
        authors=authors,
        categories=(category,) if category else (),
        primary_category=category or None,
        doi=doi,
        journal_ref=journal or None,
        links=tuple(links),
    )


def _arxiv_id(fields: Mapping[str, str]) -> PaperId | None:
    """The arXiv id, from wherever arXiv, DBLP, Google Scholar and Zotero put it."""
    archive = (fields.get("archiveprefix") or fields.get("eprinttype") or "arxiv").strip("{} ").lower()
    candidates = [fields.get("eprint", "")] if archive == "arxiv" else []
    for key in ("doi", "url", "journal", "note", "number"):
        candidates += re.findall(r"arxiv(?:\.org/(?:abs|pdf|html)/|[.:]\s*)\S+", fields.get(key, ""), re.I)
    if fields.get("journal", "").strip().lower() == "corr":
        candidates.append(fields.get("volume", "").removeprefix("abs/"))
    for candidate in candidates:
        text = re.sub(r"^arxiv[.:]\s*", "", candidate.strip("{}., "), flags=re.I)
        try:
            found = values.paper_id(text)
        except WrongValue:
            continue
        if found.startswith("arxiv:"):
            return found
    return None


def _doi(fields: Mapping[str, str]) -> str | None:
    """The DOI in lower case; arXiv's own DOIs are arXiv ids and not returned."""
    text = fields.get("doi", "").replace("\\_", "_").strip("{} ")
    if not text and "doi.org/" in fields.get("url", ""):
        text = fields["url"].replace("\\_", "_").strip("{} ")
    try:
        found = values.paper_id(text)
    except WrongValue:
        return None
    return found.removeprefix("doi:") if found.startswith("doi:") else None


def _authors(field: str) -> tuple[str, ...]:
    """Names in reading order out of `Last, First and Other, Name`; `and others` is left out."""
    from bibtexparser.middlewares.names import parse_single_name_into_parts, split_multiple_persons_names

    names = []
    for person in split_multiple_persons_names(" ".join(field.split())):
        try:
            parts = parse_single_name_into_parts(person)
            words = [*parts.first, *parts.von, *parts.last, *parts.jr]
        except ValueError:  # more commas than a name has
            words = [person]
        name = _readable(" ".join(words))
        if name and name != "others":
            names.append(name)
    return tuple(names)


def _readable(tex: str) -> str:
    """TeX as readable Unicode on one line; what cannot be decoded stays as it is."""
    from pylatexenc.latex2text import LatexNodes2Text
    from pylatexenc.latexwalker import LatexWalkerError

    text = tex
    if any(sign in tex for sign in "\\{}$~%&"):
        try:
            # A bare `%` or `&` in a title is the sign itself; to TeX it would open a comment or a column.
            text = LatexNodes2Text(keep_comments=True).latex_to_text(re.sub(r"(?<!\\)([%&])", r"\\\1", tex))
        except (LatexWalkerError, RecursionError, ValueError, IndexError):
            text = tex
    return " ".join(text.split())
