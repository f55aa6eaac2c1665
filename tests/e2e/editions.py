"""The emails that others' tools are shown: full, quiet and hostile days, in every theme; nothing here asserts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from digest.model import Paper, Selection, Subscriber, Theme
from digest.render import EditionRenderer
from digest.render.language import languages
from tests.catalogues import arabic
from tests.render_samples import (
    ADA,
    EDITION,
    LIST,
    SOURCES,
    VOTING,
    candidates,
    delivery,
    paper,
    picks,
    renderer,
    whole_selection,
)

MARKUP = '<script>alert("1")</script><img src=x onerror=alert(1)></td></table> &amp; {{ 7*7 }} --> <![endif]-->'
HOSTILE_TITLES = (
    MARKUP,
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 40,
    "مولد الفيديو بالانتشار: ذاكرة محدودة للمشاهد الطويلة (الجزء الثاني)",
    "\u202etxet desrever\u202c and \u2066isolated\u2069, 注意力机制在长视频生成中的应用：一个全面的综述与基准测试",
    "FREE!!! CLICK HERE NOW " * 12,
    "a/b/c?" + "&x=1" * 200,
)
"""Markup, a word without an end, right to left, marks that turn text round, shouting, and an address's inside."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One email, as read and as sent."""

    name: str
    html: str
    message: bytes


def hostile() -> tuple[list[Paper], Subscriber, str]:
    """Papers, a reader and a reason that would break what only just holds."""
    papers = [
        paper(
            number,
            title=title,
            authors=(title, MARKUP, "Ünal " * 40),
            categories=("cs." + "X" * 60, MARKUP),
            abstract=f"{title} {MARKUP} " * 3,
            thumbnail='https://example.org/"><script>.png',
        )
        for number, title in enumerate(HOSTILE_TITLES, 1)
    ]
    return papers, replace(ADA, name=f"{HOSTILE_TITLES[2]} {MARKUP}"), f"{MARKUP} {HOSTILE_TITLES[2]}"


def samples() -> Iterator[Sample]:
    """Three days in each theme, with everything that an email can hold, a list that has no pages, other languages."""
    full = [paper(number, thumbnail=f"https://example.org/{number}.png") for number in range(1, 15)]
    odd, stranger, reason = hostile()
    for theme in Theme:
        styled = replace(LIST, theme=theme, remote_images=True)
        normal = EditionRenderer(styled, EDITION, candidates(full), SOURCES, VOTING)
        yield _sample(f"full {theme}", normal, ADA, whole_selection(full))
        yield _sample(f"quiet {theme}", normal, ADA, Selection())
        named = replace(styled, name=f"{HOSTILE_TITLES[3]} {MARKUP}")
        attacked = EditionRenderer(named, EDITION, candidates(odd), SOURCES, VOTING)
        yield _sample(f"hostile {theme}", attacked, stranger, replace(whole_selection(odd), picks=picks(odd, reason)))
    yield _sample("by mail only", renderer(full), ADA, Selection(picks(full)))
    for tag in languages()[1:]:
        yield from _in_language(tag, full)
    with TemporaryDirectory() as folder, arabic(Path(folder)) as tag:
        yield from _in_language(tag, full)


def _in_language(tag: str, papers: list[Paper]) -> Iterator[Sample]:
    """A full day in each theme, and a quiet one, in a language."""
    reader = replace(ADA, language=tag)
    for theme in Theme:
        edition = EditionRenderer(replace(LIST, theme=theme), EDITION, candidates(papers), SOURCES, VOTING)
        yield _sample(f"full {theme} {tag}", edition, reader, whole_selection(papers))
    yield _sample(f"quiet {tag}", edition, reader, Selection())


def _sample(name: str, edition: EditionRenderer, reader: Subscriber, selection: Selection) -> Sample:
    due = replace(delivery(reader, ()), frozen=lambda: selection)
    return Sample(name.replace(" ", "-"), edition.render(reader, selection).html, edition.compose(reader, due))
