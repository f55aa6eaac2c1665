"""What a form says, as values of the model, with a word about each field that cannot be used. Pure.

Every function takes whatever a stranger may send: too many, too long and nonsense are complaints, never errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TypeVar

from digest.members import Preferences
from digest.membership import named_topics
from digest.model import Address, PaperId, Profile, Topic
from digest.subscribe import values
from digest.subscribe.importing import parse_bibtex
from digest.subscribe.values import WrongValue
from digest.web.gate import Form

T = TypeVar("T")
OWN_WORDS, AUTHORS, EXAMPLES = 20, 100, 500
"""At most so many lines."""
LINE = 300


@dataclass(frozen=True, slots=True)
class SignUp:
    """A wish to be subscribed."""

    address: Address | None
    written: str
    """The address as it was typed, to be shown again."""
    words: str
    """Her own words as they were typed."""
    topics: tuple[Topic, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a member would have from now on; `problems` by the names of fields. With any, it is not to be used."""

    preferences: Preferences
    problems: dict[str, str] = field(default_factory=dict)
    read: int = 0
    """Papers found in an uploaded library."""


def topics_of(form: Form, topics: Sequence[Topic]) -> tuple[Topic, ...]:
    """The topics that are ticked, and one for every line of own words."""
    ticked = set(form.all("topic"))
    written = [line[:LINE] for line in _lines(form.one("words"))][:OWN_WORDS]
    return named_topics(topics, [*(topic.name for topic in topics if topic.name in ticked), *written])


def sign_up(form: Form, topics: Sequence[Topic]) -> SignUp:
    """What the box on the front page says."""
    written = form.one("email")[:LINE]
    try:
        address, problem = values.email_address(written), ""
    except WrongValue as error:
        address, problem = None, f"This {error.must}: {error.hint}."
    return SignUp(address, written, form.one("words"), topics_of(form, topics), problem)


def choice(form: Form, before: Preferences, topics: Sequence[Topic]) -> Choice:
    """What the page of preferences says. Her own topics keep what the config says of them, by their names."""
    problems: dict[str, str] = {}

    def read(name: str, check: Callable[[str], T], otherwise: T) -> T:
        written = form.one(name)[:LINE]
        try:
            return check(written) if written else otherwise
        except WrongValue as error:
            problems[name] = _sentence(error)
            return otherwise

    examples = _each(_lines(form.one("examples")), values.paper_id, "examples", problems)
    library = _library(form.files.get("library", b""), problems)
    found = list(dict.fromkeys([*examples, *library]))
    authors = tuple(dict.fromkeys(values.one_line(line) for line in _lines(form.one("authors"))))
    for name, many, most in (("authors", authors, AUTHORS), ("examples", found, EXAMPLES)):
        if len(many) > most:
            problems[name] = f"There is room for {most}; these are {len(many)}."
    own = [topic for topic in before.profile.topics if topic not in topics]
    return Choice(
        Preferences(
            name=read("name", values.one_line, ""),
            profile=Profile(
                topics=topics_of(form, (*topics, *own)),
                authors=authors[:AUTHORS],
                categories=before.profile.categories,
                examples=tuple(found[:EXAMPLES]),
            ),
            timezone=read("timezone", values.time_zone, None),
            language=read("language", values.language_tag, None),
            frequency=read("frequency", values.frequency, None),
            hour=read("hour", _hour, None),
            paused_until=read("paused_until", _day, None),
        ),
        problems,
        len(library),
    )


def _lines(text: str) -> list[str]:
    """What is written a line each; control characters, which a field of lines may hold, count as spaces."""
    cleaned = ("".join(c if c.isprintable() else " " for c in line) for line in text.splitlines())
    return [" ".join(line.split())[:LINE] for line in cleaned if line.strip()]


def _each(lines: Iterable[str], check: Callable[[str], PaperId], name: str, problems: dict[str, str]) -> list[PaperId]:
    found = []
    for line in lines:
        for word in line.replace(",", " ").split():
            try:
                found.append(check(word))
            except WrongValue as error:
                problems.setdefault(name, f"“{word[:60]}” {error.must}.")
    return found


def _library(uploaded: bytes, problems: dict[str, str]) -> list[PaperId]:
    """The papers of a BibTeX file that go by an arXiv id or a DOI; the others could never be met again."""
    if not uploaded:
        return []
    read = parse_bibtex(uploaded, Path("library.bib"))
    if not read.items:
        problems["library"] = "No entry of this file could be read: it must be BibTeX."
    return [paper.id for paper in read.items if paper.id.startswith(("arxiv:", "doi:"))]


def _hour(written: str) -> int:
    if not written.isascii() or not written.isdigit() or int(written) > 23:
        raise WrongValue("must be an hour from 0 to 23")
    return int(written)


def _day(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise WrongValue("must be a day such as 2026-12-24") from None


def _sentence(error: WrongValue) -> str:
    return f"This {error.must}{f'; {error.hint}' if error.hint else ''}."
