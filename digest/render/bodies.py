"""The body of one subscriber's email: sections in their order, as pieces of HTML and of plain text.

The picks come first, and shrink until all fits; then what stands beside them, as far as its own room goes. Knows
fragments and values, no template and no list. Called by `edition.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from markupsafe import escape

from digest.model import FollowUp, PaperId, Pick, Reason, ReasonKind, Says, Selection, Subscriber, TopicWeek
from digest.render import wording
from digest.render.cards import CardStock, Size, byline, fit, followed_by, why
from digest.render.fragments import Fragment, Piece, dress_html, dress_text, join, piece
from digest.render.language import Language
from digest.render.remarks import remark
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
NOTHING = Piece(b"", b"")


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
    """Some picks under one heading, each with its reason in words."""

    title: str
    picks: tuple[tuple[Pick, str], ...]


def sections(language: Language, recipient: Subscriber, selection: Selection, *, by_topic: bool) -> list[Section]:
    """The picks as one section; or one for each topic in the order of their best picks, and one for all others."""
    picks = selection.picks
    if not by_topic or not picks:
        return [_section(language, wording.heading(language, recipient.name, picks), picks)]
    others = wording.headings(language).others
    grouped: dict[str, list[Pick]] = {}
    for pick in picks:
        heaviest = max(pick.reasons, key=lambda reason: reason.weight, default=None)
        name = _topic(heaviest) if heaviest else ""
        grouped.setdefault(clip(plain(name), 80) or others, []).append(pick)
    if rest := grouped.pop(others, None):
        grouped[others] = rest
    return [_section(language, title, group) for title, group in grouped.items()]


def _topic(reason: Reason) -> str:
    """The name of the topic that is a reason; empty if another thing is."""
    remark = reason.remark
    if reason.kind is ReasonKind.TOPIC and remark.says is Says.WRITTEN:
        return remark.names[0].partition(": ")[0]
    return remark.names[0] if remark.says is Says.TOPIC else ""


def _section(language: Language, title: str, picks: Sequence[Pick]) -> Section:
    return Section(title, tuple((pick, why(language, pick)) for pick in picks))


def level(count: int, most: int) -> int:
    """The shade of a day with so many papers."""
    return -(-count * (LEVELS - 1) // most) if most else 0


class HtmlBody:
    """Makes HTML bodies of one edition in one language."""

    def __init__(self, language: Language, stock: CardStock, parts: HtmlParts, *, by_topic: bool):
        self._language = language
        self._headings = wording.headings(language)
        self._stock = stock
        self._parts = parts
        self._by_topic = by_topic
        # Most readers see a paper's byline as the others do: they follow none of its authors.
        self._bylines: dict[tuple[PaperId, frozenset[str]], Piece] = {}
        self._days: dict[tuple[int, int], Piece] = {}

    def body(self, ordered: Sequence[Section], selection: Selection, vote: str, room: int) -> Piece:
        """The body in at most `room` bytes."""
        news, trending, week, missed = self._beside(selection)
        room -= sum(len(block.text) for block in (news, trending, week, missed))
        picks = self._picks(ordered, vote, room)
        return join([trending, picks, news, week, missed] if self._by_topic else [picks, news, trending, week, missed])

    def _heading(self, title: str) -> Piece:
        return self._parts.heading.fill({"title": title}, dress_html)

    def _picks(self, ordered: Sequence[Section], vote: str, room: int) -> Piece:
        headings = [self._heading(section.title) for section in ordered]
        room -= sum(len(heading.text) for heading in headings)
        picks = [pick for section in ordered for pick in section.picks]
        if not picks:
            return join([headings[0], self._parts.quiet.fill({}, dress_html)])
        ids = [pick.paper_id for pick, _ in picks]
        # Every card leads to it three times: it is escaped and encoded here, once.
        vote_address = piece(dress_html(vote, 0))
        values: list[dict[str, str | Piece]] = [
            {"number": str(number), "why": reason, "byline": self._byline(pick), "vote": vote_address}
            for number, (pick, reason) in enumerate(picks, 1)
        ]

        def filled(size: Size) -> list[Piece]:
            cards = self._stock.html(ids, size)
            return [card.fill(value, dress_html) for card, value in zip(cards, values, strict=True)]

        sizes = [Size.FULL] * len(picks)
        made = {Size.FULL: filled(Size.FULL)}
        if sum(len(card.text) for card in made[Size.FULL]) > room:
            made |= {size: filled(size) for size in (Size.SHORT, Size.LINE)}
            costs = [[len(card.text) for card in cards] for cards in made.values()]
            sizes = fit([*zip(*costs, [0] * len(picks), strict=True)], room - NAMES_ROOM - self._parts.more.size)
        body: list[Piece] = []
        first = 0
        for heading, section in zip(headings, ordered, strict=True):
            body.append(heading)
            last = first + len(section.picks)
            body += [made[sizes[i]][i] for i in range(first, last) if sizes[i] is not Size.LEFT_OUT]
            first = last
        missing = [self._stock.card(ids[i]).title for i, size in enumerate(sizes) if size is Size.LEFT_OUT]
        if missing:
            # Escaped, a character takes five bytes at most where it took one.
            names = wording.left_out(self._language, missing, NAMES_ROOM // 5)
            body.append(self._parts.more.fill({"names": names}, dress_html))
        return join(body)

    def _byline(self, pick: Pick) -> Piece:
        authors = self._stock.authors(pick.paper_id)
        key = pick.paper_id, followed_by(pick, authors)
        if key not in self._bylines:
            marked = byline(self._language, authors, key[1])
            said = (f"<b>{escape(text)}</b>" if bold else str(escape(text)) for text, bold in marked)
            self._bylines[key] = piece("".join(said))
        return self._bylines[key]

    def _beside(self, selection: Selection) -> list[Piece]:
        """News, what trends, the week, and near misses; each of them empty where there is no room."""
        blocks: list[Piece] = []
        room = BESIDE_ROOM
        for block in (self._news(selection), self._trending(selection), self._week(selection), self._missed(selection)):
            blocks.append(block if len(block.text) <= room else NOTHING)
            room -= len(blocks[-1].text)
        return blocks

    def _headed(self, title: str, items: Sequence[Piece]) -> Piece:
        return join([self._heading(title), *items]) if items else NOTHING

    def _news(self, selection: Selection) -> Piece:
        return self._headed(
            self._headings.news, [news.fill({}, dress_html) for news in self._stock.news(selection.follow_ups)]
        )

    def _trending(self, selection: Selection) -> Piece:
        cards = self._stock.html([pick.paper_id for pick in selection.trending], Size.LINE)
        items = [
            card.fill({"number": TREND_MARK, "why": why(self._language, pick)}, dress_html)
            for card, pick in zip(cards, selection.trending, strict=True)
        ]
        return self._headed(self._headings.week_top if self._by_topic else self._headings.trending, items)

    def _missed(self, selection: Selection) -> Piece:
        missed = selection.near_misses
        cards = self._stock.html([miss.pick.paper_id for miss in missed], Size.LINE, "miss.html")
        items = [
            card.fill({"missing": clip(remark(self._language, miss.missing), 160)}, dress_html)
            for card, miss in zip(cards, missed, strict=True)
        ]
        return self._headed(self._headings.missed, items)

    def _week(self, selection: Selection) -> Piece:
        shown = week_of(selection.week)
        most = max((max(topic.papers) for topic in shown), default=0)
        rows: list[Piece] = []
        for topic in shown:
            named: dict[str, str | Piece] = {
                "name": clip(plain(topic.name), 80),
                "days": join([self._day(level(count, most), count) for count in topic.papers]),
                "told": wording.week(self._language, topic),
            }
            rows.append(self._parts.topic.fill(named, dress_html))
        return self._headed(
            self._headings.week, [self._parts.week.fill({"topics": join(rows)}, dress_html)] if rows else []
        )

    def _day(self, shade: int, count: int) -> Piece:
        if (shade, count) not in self._days:
            self._days[shade, count] = self._parts.days[shade].fill({"count": str(count)}, dress_html)
        return self._days[shade, count]


class TextBody:
    """Makes text bodies of one edition in one language."""

    def __init__(self, language: Language, stock: CardStock, parts: TextParts, *, by_topic: bool):
        self._language = language
        self._headings = wording.headings(language)
        self._stock = stock
        self._parts = parts
        self._by_topic = by_topic

    def body(self, ordered: Sequence[Section], selection: Selection) -> Piece:
        """The body; web addresses stand at its end, by their numbers."""
        urls: list[str] = []
        body = self._trending(selection.trending, urls) if self._by_topic else []
        picks = 0
        for section in ordered:
            body.append(self._heading(section.title))
            for number, (pick, reason) in enumerate(section.picks, picks + 1):
                body.append(self._paper("card.txt", pick, f"{number:>2}.", reason, urls))
            picks += len(section.picks)
        if not picks:
            body.append(self._parts.quiet.fill({}, dress_text))
        body += self._news(selection.follow_ups)
        if not self._by_topic:
            body += self._trending(selection.trending, urls)
        body += self._week(selection.week)
        body += self._missed(selection)
        if urls:
            lines = [p for n, url in enumerate(urls, 1) for p in (piece(f"{f'[{n}]':>5} "), piece(f"{url}\n"))]
            body.append(self._parts.links.fill({"links": join(lines)}, dress_text))
        return join(body)

    def _heading(self, title: str) -> Piece:
        return self._parts.heading.fill({"title": title}, dress_text)

    def _headed(self, title: str, items: Sequence[Piece]) -> list[Piece]:
        return [self._heading(title), *items] if items else []

    def _paper(self, template: str, pick: Pick, number: str, reason: str, urls: list[str]) -> Piece:
        """A paper with its links by number; their addresses are noted."""
        links = self._stock.card(pick.paper_id).links
        read = _numbered(tuple([link.label for link in links]), len(urls) + 1)
        urls.extend([link.url for link in links])
        values: dict[str, str | Piece] = {"number": number, "why": reason, "read": read}
        return self._stock.text(pick.paper_id, template).fill(values, dress_text)

    def _news(self, follow_ups: Sequence[FollowUp]) -> list[Piece]:
        return self._headed(
            self._headings.news, [news.fill({}, dress_text) for news in self._stock.news_text(follow_ups)]
        )

    def _trending(self, picks: Sequence[Pick], urls: list[str]) -> list[Piece]:
        items = [self._paper("line.txt", pick, f" {TREND_MARK} ", why(self._language, pick), urls) for pick in picks]
        return self._headed(self._headings.week_top if self._by_topic else self._headings.trending, items)

    def _missed(self, selection: Selection) -> list[Piece]:
        items = [
            self._stock.text(miss.pick.paper_id, "miss.txt").fill(
                {"missing": clip(remark(self._language, miss.missing), 160)}, dress_text
            )
            for miss in selection.near_misses
        ]
        return self._headed(self._headings.missed, items)

    def _week(self, week: Sequence[TopicWeek]) -> list[Piece]:
        shown = week_of(week)
        most = max((max(topic.papers) for topic in shown), default=0)
        items: list[Piece] = []
        for topic in shown:
            values: dict[str, str | Piece] = {
                "name": clip(plain(topic.name), 60),
                "days": "".join(BLOCKS[level(count, most)] for count in topic.papers),
                "told": wording.week(self._language, topic),
            }
            items.append(self._parts.topic.fill(values, dress_text))
        return self._headed(self._headings.week, items)


@lru_cache(maxsize=8192)
def _numbered(labels: tuple[str, ...], first: int) -> str:
    """A paper's links by number. Few kinds of links come at few places: the same lines come again and again."""
    said = [f"{label} [{n}]".replace(" ", "\N{NO-BREAK SPACE}") for n, label in enumerate(labels, first)]
    return " · ".join(said)


def week_of(week: Sequence[TopicWeek]) -> list[TopicWeek]:
    """The topics worth a picture: those that moved, most papers first; none where all that is known is one day."""
    moved = [topic for topic in week if any(topic.papers)]
    if not any(count for topic in moved for count in topic.papers[:-1]):
        return []
    return sorted(moved, key=lambda topic: -sum(topic.papers))[:TOPICS_SHOWN]
