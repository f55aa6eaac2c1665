"""What a form says, as values of the model, with a word about each field that cannot be used. Pure.

Every function takes whatever a stranger may send: too many, too long and nonsense are complaints, never errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from digest.members import Preferences
from digest.membership import named_topics
from digest.model import Address, PaperId, Profile, Topic
from digest.render.language import Language
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


def sign_up(form: Form, topics: Sequence[Topic], language: Language) -> SignUp:
    """What the box on the front page says."""
    written = form.one("email")[:LINE]
    try:
        address, problem = values.email_address(written), ""
    except WrongValue:
        address, problem = None, language.gettext("This must be an email address, such as you@example.org.")
    return SignUp(address, written, form.one("words"), topics_of(form, topics), problem)


def choice(form: Form, before: Preferences, topics: Sequence[Topic], language: Language) -> Choice:
    """What the page of preferences says. Her own topics keep what the config says of them, by their names."""
    problems: dict[str, str] = {}
    _ = language.gettext

    def read(name: str, check: Callable[[str], T], otherwise: T, problem: str) -> T:
        written = form.one(name)[:LINE]
        try:
            return check(written) if written else otherwise
        except WrongValue:
            problems[name] = problem
            return otherwise

    no_choice = _("This is none of the choices.")
    examples, no_paper = _papers(form.one("examples"))
    if no_paper:
        problems["examples"] = _(
            "“%(written)s” is neither an arXiv id, such as 2406.04325, nor a DOI.", written=no_paper[:60]
        )
    library = _library(form.files.get("library", b""))
    if library is None:
        problems["library"] = _("No entry of this file could be read: it must be BibTeX.")
    found = list(dict.fromkeys([*examples, *(library or ())]))
    authors = tuple(dict.fromkeys(values.one_line(line) for line in _lines(form.one("authors"))))
    words = _lines(form.one("words"))
    for name, many, most in (("words", words, OWN_WORDS), ("authors", authors, AUTHORS), ("examples", found, EXAMPLES)):
        if len(many) > most:
            problems[name] = _("There is room for %(most)s; these are %(many)s.",
                               most=language.number(most), many=language.number(len(many)))  # fmt: skip
    zone = read("timezone", values.time_zone, None, _("This must be a time zone, such as Europe/Berlin."))
    if "timezone" in problems and (near := values.zone_near(form.one("timezone")[:LINE])):
        problems["timezone"] = _("There is no such time zone. Did you mean %(zone)s?", zone=near)
    own = [topic for topic in before.profile.topics if topic not in topics]
    return Choice(
        Preferences(
            name=read("name", values.one_line, "", _("This must be one line.")),
            profile=Profile(
                topics=topics_of(form, (*topics, *own)),
                authors=authors[:AUTHORS],
                categories=before.profile.categories,
                examples=tuple(found[:EXAMPLES]),
            ),
            timezone=zone,
            language=read("language", values.language_tag, None, no_choice),
            frequency=read("frequency", values.frequency, None, no_choice),
            hour=read("hour", values.hour, None, no_choice),
            paused_until=read("paused_until", values.day, None, _("This must be a day, such as 2026-12-24.")),
        ),
        problems,
        len(library or ()),
    )


def _lines(text: str) -> list[str]:
    """What is written a line each; control characters, which a field of lines may hold, count as spaces."""
    cleaned = ("".join(c if c.isprintable() else " " for c in line) for line in text.splitlines())
    return [" ".join(line.split())[:LINE] for line in cleaned if line.strip()]


def _papers(text: str) -> tuple[list[PaperId], str]:
    """The papers that are named, and the first word that names none."""
    found, wrong = [], ""
    for word in " ".join(_lines(text)).replace(",", " ").split():
        try:
            found.append(values.paper_id(word))
        except WrongValue:
            wrong = wrong or word
    return found, wrong


def _library(uploaded: bytes) -> list[PaperId] | None:
    """The papers of a BibTeX file that go by an arXiv id or a DOI; the others could never be met again. None: it is
    no such file.
    """
    if not uploaded:
        return []
    read = parse_bibtex(uploaded, Path("library.bib"))
    return [paper.id for paper in read.items if paper.id.startswith(("arxiv:", "doi:"))] if read.items else None
