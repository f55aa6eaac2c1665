"""The cards of one edition in one language, as fragments: each is rendered once, when a paper is first picked.

Nothing of a subscriber's is in them: number and reason are slots. Cards with these filled in are not kept: there are so
many that to find one takes as long as to fill it in. `cards.py` decides what a card says. Called by `bodies.py` and
`edition.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from markupsafe import escape

from digest.model import Candidate, Change, FollowUp, PaperId, Pick
from digest.render.cards import Card, Size, byline, card_of, followed_by, told, why
from digest.render.fragments import Fragment, Kept, quoted_printable
from digest.render.language import Language

Telling = tuple[PaperId, str, frozenset[str]]
"""A paper, what is told of it in words, and those of its authors who are followed."""
_NewsKey = tuple[PaperId, Change, str, str]


@dataclass(frozen=True, slots=True)
class TextCard:
    """A paper in plain text: its links are named beside it, by number; their addresses stand at the end."""

    fragment: Fragment
    why_column: int
    read_column: int
    labels: tuple[str, ...]
    addresses: tuple[bytes, ...]
    """A line each, on the wire."""


class CardStock:
    """The cards of one edition in one language, by their papers, and what is told of a pick."""

    def __init__(
        self,
        language: Language,
        candidates: Mapping[PaperId, Candidate],
        *,
        render: Callable[[str, Card, str], str],
        inline: Callable[[Sequence[str]], Iterable[str]],
        split: Callable[[str, str], Fragment],
        pictures: bool,
    ):
        """`render` renders a template with a card and what is told of it, `inline` brings the CSS into some cards' HTML
        at once, `split` cuts what a template gave at its slots. `pictures`: whether cards show those that a paper has.
        """
        self._language = language
        self._candidates = candidates
        self._pictures = pictures
        self._render, self._inline, self._split = render, inline, split
        self._cards: dict[PaperId, Card] = {}
        self.html = {
            Size.FULL: Kept(partial(self._in_html, "card.html")),
            Size.SHORT: Kept(partial(self._in_html, "card.html", short=True)),
            Size.LINE: Kept(partial(self._in_html, "line.html")),
        }
        self.miss = Kept(partial(self._in_html, "miss.html"))
        self.text = Kept(partial(self._in_text, "card.txt"))
        self.text_line = Kept(partial(self._in_text, "line.txt"))
        self.text_miss = Kept(partial(self._in_text, "miss.txt"))
        self.bylines = Kept(self._made_bylines)
        """In HTML, by paper and who is followed: most readers see it as others do."""
        self._news: dict[_NewsKey, Fragment] = {}

    def card(self, paper_id: PaperId) -> Card:
        """What is said of the paper."""
        if paper_id not in self._cards:
            self._cards[paper_id] = card_of(self._language, self._candidates[paper_id], pictures=self._pictures)
        return self._cards[paper_id]

    def telling(self, pick: Pick) -> Telling:
        """What is told of a picked paper."""
        return pick.paper_id, why(self._language, pick), followed_by(pick, self._authors)

    def news(self, follow_ups: Sequence[FollowUp]) -> list[Fragment]:
        """What became of papers, in HTML."""
        missing = {key: news for news in follow_ups if (key := _key(news, "news.html")) not in self._news}
        rendered = [self._told(news, "news.html") for news in missing.values()]
        for key, inlined in zip(missing, self._inline(rendered), strict=True):
            self._news[key] = self._split(inlined, "news.html")
        return [self._news[_key(news, "news.html")] for news in follow_ups]

    def news_text(self, follow_ups: Sequence[FollowUp]) -> list[Fragment]:
        """The same in plain text."""
        for news in follow_ups:
            if (key := _key(news, "news.txt")) not in self._news:
                self._news[key] = self._split(self._told(news, "news.txt"), "news.txt")
        return [self._news[_key(news, "news.txt")] for news in follow_ups]

    def _in_html(self, template: str, paper_ids: Sequence[PaperId], *, short: bool = False) -> Iterable[Fragment]:
        """Cards in HTML. `short`: without what takes most room."""
        cards = map(self.card, paper_ids)
        shown = [replace(card, abstract=None, thumbnail="") if short else card for card in cards]
        inlined = self._inline([self._render(template, card, "") for card in shown])
        return [self._split(card, template) for card in inlined]

    def _in_text(self, template: str, paper_ids: Sequence[PaperId]) -> Iterable[TextCard]:
        for card in map(self.card, paper_ids):
            fragment = self._split(self._render(template, card, ""), template)
            labels = tuple(link.label for link in card.links)
            addresses = tuple(quoted_printable(f"{link.url}\n") for link in card.links)
            yield TextCard(fragment, fragment.column("why"), fragment.column("read"), labels, addresses)

    def _made_bylines(self, wanted: Sequence[tuple[PaperId, frozenset[str]]]) -> Iterable[bytes]:
        for paper_id, followed in wanted:
            marked = byline(self._language, self._authors(paper_id), followed)
            said = (f"<b>{escape(name)}</b>" if bold else str(escape(name)) for name, bold in marked)
            yield quoted_printable("".join(said))

    def _told(self, news: FollowUp, template: str) -> str:
        return self._render(template, card_of(self._language, Candidate(news.paper, ())), told(self._language, news))

    def _authors(self, paper_id: PaperId) -> Sequence[str]:
        return self._candidates[paper_id].paper.authors


def _key(news: FollowUp, template: str) -> _NewsKey:
    """What a piece of news is kept by. To hash all of its paper takes longer than to fill a card."""
    return news.paper.id, news.change, news.detail, template
