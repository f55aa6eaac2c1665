"""One paper as a card: what is shown of it, and what is told of it to a reader, in her language.

Pure functions from the model's values to words and web addresses, and how large cards are so that they fit. Called by
`stock.py`, which renders them, and by `edition.py`, `bodies.py` and `wording.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from functools import lru_cache
from urllib.parse import quote, urlsplit

from digest.model import (
    AnnounceType,
    Candidate,
    Change,
    FollowUp,
    LinkKind,
    Paper,
    PaperId,
    Pick,
    ReasonKind,
    Remark,
    Sighting,
)
from digest.render.language import Language
from digest.render.remarks import remark
from digest.render.text import Excerpt, clip, excerpt, key_sentence, opening, plain

ABSTRACT = 420
"""About how many characters of an abstract a card shows."""
GIST = 240
"""About how many characters its one sentence has, where it stands alone."""
AUTHORS = 3
CATEGORY = 28
"""Characters of a category, which stays on one line: as wide as a telephone has room for."""
REASONS = 4
REASON_SHARE = 0.04
"""What part of a score a reason must be to be told."""
LINK_LENGTH = 2000
NOBODY: frozenset[str] = frozenset()
SOURCES = {
    "arxiv": "arXiv",
    "huggingface": "Hugging Face",
    "biorxiv": "bioRxiv",
    "medrxiv": "medRxiv",
    "semanticscholar": "Semantic Scholar",
    "crossref": "Crossref",
    "openalex": "OpenAlex",
    "pubmed": "PubMed",
    "openreview": "OpenReview",
}


@dataclass(frozen=True, slots=True)
class CardLink:
    """A link with its words."""

    kind: LinkKind
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Card:
    """What templates see of a paper; every text is one line of plain text, every address http or https."""

    title: str
    url: str
    """Where the title leads; empty where no address is known."""
    byline: str
    """The first authors, as readers see it who follow none of them."""
    announced: str
    categories: tuple[str, ...]
    abstract: Excerpt | None
    """The beginning of the abstract with its key sentence; None where a card has no room for it."""
    gist: str
    """The key sentence alone, else the first one."""
    links: tuple[CardLink, ...]
    vote: str
    """The paper's id, fit for an address."""
    thumbnail: str
    """The http(s) address of a picture; empty where there is none, or the list shows none."""


class Size(IntEnum):
    """How much of a paper is shown, as the room gets tighter."""

    FULL = 0
    SHORT = 1
    """Without its abstract."""
    LINE = 2
    """Title and reason."""
    LEFT_OUT = 3


def source_name(source: str) -> str:
    """A source's name as people write it."""
    return SOURCES.get(source, clip(plain(source), 60))


def safe_url(url: str) -> str | None:
    """The address if it is http, https or mailto, with what needs it percent-encoded; else None."""
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in {"http", "https", "mailto"} or not (host or parts.scheme == "mailto"):
        return None
    if any(c.isspace() or not c.isprintable() for c in url.strip()):
        return None
    quoted = quote(url.strip(), safe="%/:=&?~#+!$,;'@()*[]-._")
    return quoted if len(quoted) <= LINK_LENGTH else None


def label(language: Language, kind: LinkKind) -> str:
    """What a link is called."""
    match kind:
        case LinkKind.ABS:
            # TRANSLATORS: a link to the page of a paper, beside PDF, HTML and others
            return language.gettext("Abstract")
        case LinkKind.CODE:
            return language.gettext("Code")
        case LinkKind.PROJECT:
            return language.gettext("Project page")
        case LinkKind.HUGGINGFACE:
            return "Hugging Face"
        case _:
            return kind.upper()


def links_of(language: Language, paper: Paper) -> tuple[CardLink, ...]:
    """The paper's links in the order of their kinds, each address once."""
    given = [(link.kind, safe_url(link.url)) for link in paper.links]
    if paper.doi and paper.doi.startswith("10.") and not any(kind is LinkKind.DOI for kind, _ in given):
        given.append((LinkKind.DOI, safe_url("https://doi.org/" + quote(plain(paper.doi), safe="/"))))
    order = list(LinkKind)
    links: dict[str, CardLink] = {}
    for kind, url in sorted(given, key=lambda item: order.index(item[0])):
        if url:
            links.setdefault(url, CardLink(kind, label(language, kind), url))
    return tuple(links.values())


def byline(language: Language, authors: Sequence[str], followed: Collection[str] = ()) -> tuple[tuple[str, bool], ...]:
    """The first three authors and those who are followed; of more, how many there are. Pieces of text, True: marked."""
    names = [(clip(name, 60), author in followed) for author in authors if (name := plain(author))]
    shown = [named for place, named in enumerate(names) if place < AUTHORS or named[1]]
    pieces = [piece for name in shown for piece in ((", ", False), name)][1:]
    if len(shown) < len(names):
        # TRANSLATORS: after the first authors of a paper; how many there are
        many = language.ngettext(
            "et al. (%(num)s\N{NO-BREAK SPACE}author)", "et al. (%(num)s\N{NO-BREAK SPACE}authors)", len(names)
        )
        pieces.append((f" {many}", False))
    return tuple(pieces)


def announced(language: Language, sightings: Sequence[Sighting]) -> str:
    """Where and when: `arXiv and Hugging Face, 9 June`."""
    by_day: dict[date | None, dict[str, None]] = {}
    for sighting in sightings:
        said = _announced_as(language, source_name(sighting.source), sighting.announce_type)
        by_day.setdefault(sighting.announced_on, {})[said] = None
    days = sorted(by_day.items(), key=lambda item: (item[0] is None, item[0] or date.min))
    return language.gettext("; ").join(_on(language, language.listed(list(said)), day) for day, said in days)


def _announced_as(language: Language, source: str, announce_type: AnnounceType) -> str:
    match announce_type:
        case AnnounceType.NEW:
            return source
        case AnnounceType.CROSS:
            return language.gettext("%(source)s (cross-listed)", source=source)
        case AnnounceType.REPLACE | AnnounceType.REPLACE_CROSS:
            return language.gettext("%(source)s (new version)", source=source)


def _on(language: Language, sources: str, day: date | None) -> str:
    # TRANSLATORS: where and when a paper was announced, "arXiv and Hugging Face, 9 June"
    return language.gettext("%(sources)s, %(day)s", sources=sources, day=language.short_date(day)) if day else sources


def card_of(language: Language, candidate: Candidate, *, pictures: bool = False) -> Card:
    """All that a card says of a paper; its picture only where `pictures` may be shown."""
    paper = candidate.paper
    links = links_of(language, paper)
    title, abstract = plain(paper.title), plain(paper.abstract)
    picture = safe_url(paper.thumbnail) if pictures and paper.thumbnail else None
    return Card(
        title=clip(title, 300) or language.gettext("(untitled)"),
        url=links[0].url if links else "",
        byline="".join(text for text, _ in byline(language, paper.authors)),
        announced=clip(announced(language, candidate.sightings), 200),
        categories=tuple(clip(plain(c), CATEGORY) for c in paper.categories[:6]),
        abstract=excerpt(abstract, ABSTRACT, title) if abstract else None,
        gist=opening(key_sentence(abstract, title) or abstract, GIST),
        links=links,
        vote=quote(plain(paper.id)[:300], safe=""),
        thumbnail=picture if picture and picture.startswith("http") else "",
    )


def followed_by(pick: Pick, authors: Callable[[PaperId], Sequence[str]]) -> frozenset[str]:
    """Which authors of a picked paper were a reason to pick it. `authors` gives a paper's."""
    reasons = [remark for kind, remark, _ in pick.reasons if kind is _AUTHOR]
    if not reasons:
        return NOBODY
    named = " ".join([name for remark in reasons for name in remark.names])
    return frozenset([author for author in authors(pick.paper_id) if author and author in named])


def why(language: Language, pick: Pick) -> str:
    """The reason line: what spoke for the paper, in the order of the pick's reasons; what hardly did is left out.

    That it is an exploration is said although it is no part of the score.
    """
    least = REASON_SHARE * sum([weight for _, _, weight in pick.reasons if weight > 0])
    return _line(
        language,
        tuple(
            [
                (remark, kind is _FIGURE)
                for kind, remark, weight in pick.reasons
                if weight >= least > 0 or kind is _EXPLORATION
            ]
        ),
    )


def told(language: Language, news: FollowUp) -> str:
    """What became of a paper, in words."""
    detail = clip(plain(news.detail), 120)
    match news.change:
        case Change.WITHDRAWN:
            return language.gettext("Withdrawn by its authors")
        case Change.PUBLISHED:
            return language.gettext("Published: %(where)s", where=detail)
        case Change.NEW_VERSION:
            return language.gettext("New version: v%(version)s", version=detail)
        case Change.CODE:
            return language.gettext("Code released")


@lru_cache(maxsize=1 << 14)
def _line(language: Language, told: tuple[tuple[Remark, bool], ...]) -> str:
    """Few of a list's topics meet its few papers: the same remarks come again and again, and so do whole lines."""
    reasons = dict.fromkeys([_reason(language, of, is_figure) for of, is_figure in told])
    reasons.pop("", None)
    return " · ".join([*reasons][:REASONS]) or language.gettext("close to what you follow")


@lru_cache(maxsize=1 << 14)
def _reason(language: Language, of: Remark, is_figure: bool) -> str:
    text = clip(remark(language, of), 120)
    # A figure and what it counts stay on one line.
    return text.replace(" ", "\N{NO-BREAK SPACE}") if is_figure else text


# By names of their own: to look a member up takes longer than to compare with it.
_AUTHOR, _FIGURE, _EXPLORATION = ReasonKind.AUTHOR, ReasonKind.TREND, ReasonKind.EXPLORATION


def fit(costs: Sequence[Sequence[int]], room: int) -> list[Size]:
    """The size of each card, given its bytes in each `Size`, so that all go into the room.

    Cards shrink from the bottom: first abstracts go, then all but the titles, then the papers.
    """
    sizes = [Size.FULL] * len(costs)
    total = sum(cost[Size.FULL] for cost in costs)
    for smaller in (Size.SHORT, Size.LINE, Size.LEFT_OUT):
        for index in reversed(range(len(costs))):
            if total <= room:
                return sizes
            total -= costs[index][sizes[index]] - costs[index][smaller]
            sizes[index] = smaller
    return sizes
