"""The body of one subscriber's email: sections in their order, as pieces of HTML and of plain text.

The picks come first, and shrink until all fits; then what stands beside them, as far as its own room goes. Knows
fragments and values, no template and no list. Called by `edition.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import escape

from digest.model import FollowUp, Pick, ReasonKind, Selection, Subscriber, TopicWeek
from digest.render import wording
from digest.render.cards import CardStock, Size, byline, fit, followed_by, why
from digest.render.fragments import Fragment, Piece, dress_html, dress_text, piece
from digest.render.text import clip, plain

NAMES_ROOM = 4000
"""Bytes kept for the names of papers that were left out."""
BESIDE_ROOM = 25_000
"""Bytes of HTML that everything beside the picks may take; what comes last goes first."""
LEVELS = 5
"""Shades of a day in the picture of the week: none, and four."""
TOPICS_SHOWN = 5
TREND_MARK = "\N{NORTH EAST ARROW}"
BLOCKS = "·▂▄▆█"


@dataclass(frozen=True, slots=True)
class HtmlParts:
    """What an HTML body is made of beside the cards; each made once an edition."""

    heading: Fragment
    more: Fragment
    quiet: Fragment
    week: Fragment
    topic: Fragment
    days: tuple[Fragment, ...]
    """A day in the picture of the week, by level."""


@dataclass(frozen=True, slots=True)
class TextParts:
    """The same of a text body."""

    heading: Fragment
    quiet: Fragment
    topic: Fragment
    links: Fragment


@dataclass(frozen=True, slots=True)
class Section:
    """Some picks under one heading."""

    title: str
    picks: tuple[Pick, ...]


def sections(recipient: Subscriber, selection: Selection, *, by_topic: bool) -> list[Section]:
    """The picks as one section; or one for each topic in the order of their best picks, and one for all others."""
    picks = selection.picks
    if not by_topic or not picks:
        return [Section(wording.heading(recipient.name, picks), picks)]
    grouped: dict[str, list[Pick]] = {}
    for pick in picks:
        heaviest = max(pick.reasons, key=lambda reason: reason.weight, default=None)
        is_topic = heaviest is not None and heaviest.kind is ReasonKind.TOPIC
        name = clip(plain(heaviest.text.partition(": ")[0]), 80) if heaviest and is_topic else wording.MORE_FOR_YOU
        grouped.setdefault(name, []).append(pick)
    if others := grouped.pop(wording.MORE_FOR_YOU, None):
        grouped[wording.MORE_FOR_YOU] = others
    return [Section(title, tuple(group)) for title, group in grouped.items()]


def level(count: int, most: int) -> int:
    """The shade of a day with so many papers."""
    return -(-count * (LEVELS - 1) // most) if most else 0


class HtmlBody:
    """Makes HTML bodies of one edition."""

    def __init__(self, stock: CardStock, parts: HtmlParts, *, by_topic: bool):
        self._stock = stock
        self._parts = parts
        self._by_topic = by_topic

    def pieces(self, recipient: Subscriber, selection: Selection, vote: str, room: int) -> list[Piece]:
        """The body in at most `room` bytes."""
        news, trending, week, missed = self._beside(selection)
        blocks = [[], news, trending, week, missed] if not self._by_topic else [trending, news, week, missed]
        room -= sum(map(_size, blocks))
        blocks[0] += self._picks(recipient, selection, vote, room)
        return [p for block in blocks for p in block]

    def _heading(self, title: str) -> list[Piece]:
        return list(self._parts.heading.fill({"title": title}, dress_html))

    def _picks(self, recipient: Subscriber, selection: Selection, vote: str, room: int) -> list[Piece]:
        ordered = sections(recipient, selection, by_topic=self._by_topic)
        headings = [self._heading(section.title) for section in ordered]
        room -= sum(map(_size, headings))
        picks = [pick for section in ordered for pick in section.picks]
        if not picks:
            return headings[0] + list(self._parts.quiet.fill({}, dress_html))
        ids = [pick.paper_id for pick in picks]
        values: list[dict[str, str | Sequence[Piece]]] = [
            {"number": str(number), "why": why(pick), "byline": self._byline(pick), "vote": vote}
            for number, pick in enumerate(picks, 1)
        ]
        sizes = [Size.FULL] * len(picks)
        made = {Size.FULL: self._stock.html(ids, Size.FULL)}
        costs = [[f.cost(v, dress_html) for f, v in zip(made[Size.FULL], values, strict=True)]]
        if sum(costs[0]) > room:
            made |= {size: self._stock.html(ids, size) for size in (Size.SHORT, Size.LINE)}
            costs = [[f.cost(v, dress_html) for f, v in zip(cards, values, strict=True)] for cards in made.values()]
            sizes = fit([*zip(*costs, [0] * len(picks), strict=True)], room - NAMES_ROOM - self._parts.more.size)
        body: list[Piece] = []
        first = 0
        for heading, section in zip(headings, ordered, strict=True):
            body.extend(heading)
            for place, _ in enumerate(section.picks, first):
                if sizes[place] is not Size.LEFT_OUT:
                    body.extend(made[sizes[place]][place].fill(values[place], dress_html))
            first += len(section.picks)
        missing = [self._stock.card(ids[i]).title for i, size in enumerate(sizes) if size is Size.LEFT_OUT]
        if missing:
            # Escaped, a character takes five bytes at most where it took one.
            names = wording.left_out(missing, NAMES_ROOM // 5)
            body.extend(self._parts.more.fill({"names": names}, dress_html))
        return body

    def _byline(self, pick: Pick) -> Sequence[Piece]:
        authors = self._stock.authors(pick.paper_id)
        marked = byline(authors, followed_by(pick, authors))
        return [piece("".join(f"<b>{escape(text)}</b>" if bold else str(escape(text)) for text, bold in marked))]

    def _beside(self, selection: Selection) -> list[list[Piece]]:
        """News, what trends, the week, and near misses; each of them empty where there is no room."""
        blocks: list[list[Piece]] = []
        room = BESIDE_ROOM
        for block in (self._news(selection), self._trending(selection), self._week(selection), self._missed(selection)):
            blocks.append(block if _size(block) <= room else [])
            room -= _size(blocks[-1])
        return blocks

    def _news(self, selection: Selection) -> list[Piece]:
        items = [p for news in self._stock.news(selection.follow_ups) for p in news.fill({}, dress_html)]
        return self._heading(wording.NEWS) + items if items else []

    def _trending(self, selection: Selection) -> list[Piece]:
        cards = self._stock.html([pick.paper_id for pick in selection.trending], Size.LINE)
        items = [
            p
            for card, pick in zip(cards, selection.trending, strict=True)
            for p in card.fill({"number": TREND_MARK, "why": why(pick)}, dress_html)
        ]
        return self._heading(wording.WEEK_TOP if self._by_topic else wording.TRENDING_BESIDE) + items if items else []

    def _missed(self, selection: Selection) -> list[Piece]:
        missed = selection.near_misses
        cards = self._stock.html([miss.pick.paper_id for miss in missed], Size.LINE, "miss.html")
        items = [
            p
            for card, miss in zip(cards, missed, strict=True)
            for p in card.fill({"missing": clip(plain(miss.missing), 160)}, dress_html)
        ]
        return self._heading(wording.MISSED) + items if items else []

    def _week(self, selection: Selection) -> list[Piece]:
        shown = week_of(selection.week)
        most = max((max(topic.papers) for topic in shown), default=0)
        rows: list[Piece] = []
        for topic in shown:
            days = [
                p
                for count in topic.papers
                for p in self._parts.days[level(count, most)].fill({"count": str(count)}, dress_html)
            ]
            named: Mapping[str, str | Sequence[Piece]] = {
                "name": clip(plain(topic.name), 80), "days": days, "told": wording.week(topic)
            }  # fmt: skip
            rows.extend(self._parts.topic.fill(named, dress_html))
        return self._heading(wording.WEEK) + list(self._parts.week.fill({"topics": rows}, dress_html)) if rows else []


class TextBody:
    """Makes text bodies of one edition."""

    def __init__(self, stock: CardStock, parts: TextParts, *, by_topic: bool):
        self._stock = stock
        self._parts = parts
        self._by_topic = by_topic

    def pieces(self, recipient: Subscriber, selection: Selection) -> list[Piece]:
        """The body; web addresses stand at its end, by their numbers."""
        urls: list[str] = []
        body = self._trending(selection.trending, urls) if self._by_topic else []
        first = 1
        for section in sections(recipient, selection, by_topic=self._by_topic):
            body += self._heading(section.title)
            for number, pick in enumerate(section.picks, first):
                values = {"number": f"{number:>2}.", "why": why(pick), "read": self._read(pick, urls)}
                body.extend(self._stock.text(pick.paper_id, "card.txt").fill(values, dress_text))
            first += len(section.picks)
        if not selection.picks:
            body.extend(self._parts.quiet.fill({}, dress_text))
        body += self._news(selection.follow_ups)
        if not self._by_topic:
            body += self._trending(selection.trending, urls)
        body += self._week(selection.week)
        body += self._missed(selection)
        lines = [p for n, url in enumerate(urls, 1) for p in (piece(f"{f'[{n}]':>5} "), piece(f"{url}\n"))]
        body.extend(self._parts.links.fill({"links": lines}, dress_text) if lines else ())
        return body

    def _heading(self, title: str) -> list[Piece]:
        return list(self._parts.heading.fill({"title": title}, dress_text))

    def _read(self, pick: Pick, urls: list[str]) -> str:
        """The paper's links by number; their addresses are noted."""
        links = self._stock.card(pick.paper_id).links
        said = [f"{link.label} [{n}]".replace(" ", "\N{NO-BREAK SPACE}") for n, link in enumerate(links, len(urls) + 1)]
        urls.extend(link.url for link in links)
        return " · ".join(said)

    def _news(self, follow_ups: Sequence[FollowUp]) -> list[Piece]:
        items = [p for news in self._stock.news_text(follow_ups) for p in news.fill({}, dress_text)]
        return self._heading(wording.NEWS) + items if items else []

    def _trending(self, picks: Sequence[Pick], urls: list[str]) -> list[Piece]:
        items: list[Piece] = []
        for pick in picks:
            values = {"number": f" {TREND_MARK} ", "why": why(pick), "read": self._read(pick, urls)}
            items.extend(self._stock.text(pick.paper_id, "line.txt").fill(values, dress_text))
        return self._heading(wording.WEEK_TOP if self._by_topic else wording.TRENDING_BESIDE) + items if items else []

    def _missed(self, selection: Selection) -> list[Piece]:
        items: list[Piece] = []
        for miss in selection.near_misses:
            card = self._stock.text(miss.pick.paper_id, "miss.txt")
            items.extend(card.fill({"missing": clip(plain(miss.missing), 160)}, dress_text))
        return self._heading(wording.MISSED) + items if items else []

    def _week(self, week: Sequence[TopicWeek]) -> list[Piece]:
        shown = week_of(week)
        most = max((max(topic.papers) for topic in shown), default=0)
        items: list[Piece] = []
        for topic in shown:
            values = {
                "name": clip(plain(topic.name), 60),
                "days": "".join(BLOCKS[level(count, most)] for count in topic.papers),
                "told": wording.week(topic),
            }
            items.extend(self._parts.topic.fill(values, dress_text))
        return self._heading(wording.WEEK) + items if items else []


def week_of(week: Sequence[TopicWeek]) -> list[TopicWeek]:
    """The topics worth a picture: those that moved, most papers first; none where all that is known is one day."""
    moved = [topic for topic in week if any(topic.papers)]
    if not any(count for topic in moved for count in topic.papers[:-1]):
        return []
    return sorted(moved, key=lambda topic: -sum(topic.papers))[:TOPICS_SHOWN]


def _size(pieces: Iterator[Piece] | Sequence[Piece]) -> int:
    return sum(len(p.text.encode()) for p in pieces)
