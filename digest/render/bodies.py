"""The body of one subscriber's email: sections in their order, as pieces of HTML and of plain text.

The picks come first, and shrink until all fits; then what stands beside them, as far as its own room goes. Knows
fragments and values, no template and no list. Called by `edition.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from itertools import chain, islice

from digest.model import FollowUp, PaperId, Pick, Reason, ReasonKind, Remark, Says, Selection, Subscriber, TopicWeek
from digest.render import wording
from digest.render.cards import Size, fit
from digest.render.fragments import Fragment, Kept, html_wires, quoted_printable, size, text_wires
from digest.render.language import Language
from digest.render.remarks import remark
from digest.render.stock import CardStock, Telling, TextCard
from digest.render.text import clip, plain, wrap

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
    picks: Sequence[Telling]


@dataclass(frozen=True, slots=True)
class Told:
    """What an email says, in its reader's words; HTML and text share it."""

    sections: Sequence[Section]
    news: Sequence[FollowUp]
    trending: Sequence[Telling]
    """What trends beside the picks."""
    week: Sequence[tuple[TopicWeek, str]]
    missed: Sequence[tuple[PaperId, str]]
    """The near misses, each with what it lacked."""


def tell(language: Language, stock: CardStock, recipient: Subscriber, selection: Selection, *, by_topic: bool) -> Told:
    """Puts a selection into words. The picks are one section, or `by_topic` several."""
    return Told(
        _sections(language, stock, recipient, selection.picks, by_topic=by_topic),
        selection.follow_ups,
        [stock.telling(pick) for pick in selection.trending],
        [(topic, wording.week(language, topic)) for topic in week_of(selection.week)],
        [(miss.pick.paper_id, _lacking(language, miss.missing)) for miss in selection.near_misses],
    )


def _sections(
    language: Language, stock: CardStock, recipient: Subscriber, picks: Sequence[Pick], *, by_topic: bool
) -> Sequence[Section]:
    """The picks as one section; or one for each topic in the order of their best picks, and one for all others."""
    if not by_topic or not picks:
        return [Section(wording.heading(language, recipient.name, picks), [stock.telling(pick) for pick in picks])]
    others = wording.headings(language).others
    grouped: dict[str, list[Telling]] = {}
    for pick in picks:
        heaviest = max(pick.reasons, key=lambda reason: reason.weight, default=None)
        name = _topic(heaviest) if heaviest else ""
        grouped.setdefault(clip(plain(name), 80) or others, []).append(stock.telling(pick))
    if rest := grouped.pop(others, None):
        grouped[others] = rest
    return [Section(title, group) for title, group in grouped.items()]


def _topic(reason: Reason) -> str:
    """The name of the topic that is a reason; empty if another thing is."""
    remark = reason.remark
    if reason.kind is ReasonKind.TOPIC and remark.says is Says.WRITTEN:
        return remark.names[0].partition(": ")[0]
    return remark.names[0] if remark.says is Says.TOPIC else ""


@lru_cache(maxsize=4096)
def _lacking(language: Language, missing: Remark) -> str:
    """Mostly a place, which is the same for all readers."""
    return clip(remark(language, missing), 160)


def level(count: int, most: int) -> int:
    """The shade of a day with so many papers."""
    return -(-count * (LEVELS - 1) // most) if most else 0


def fits(pieces: Sequence[bytes], room: int) -> bool:
    """Whether the pieces' text has at most so many bytes. To count exactly takes longer than to make the pieces."""
    return sum(map(len, pieces)) <= room or sum(map(size, pieces)) <= room


class HtmlBody:
    """Makes HTML bodies of one edition in one language."""

    def __init__(self, language: Language, stock: CardStock, parts: HtmlParts, *, by_topic: bool):
        self._language = language
        self._stock = stock
        self._parts = parts
        self._by_topic = by_topic
        self._headings = wording.headings(language)
        titles = astuple(self._headings)
        self._fixed = dict(zip(titles, map(self._heading, html_wires.made(titles)), strict=True))
        self._quiet = parts.quiet.fill({})
        self._day = lru_cache(maxsize=4096)(self._made_day)

    def body(self, told: Told, vote: bytes, room: int) -> list[bytes]:
        """The body's pieces, whose text has at most `room` bytes. `vote`: what votes' addresses begin with."""
        news, trending, week, missed = beside = self._beside(told)
        picks = self._picks(told.sections, vote, [*chain(*beside)], room)
        return (
            [*trending, *picks, *news, *week, *missed] if self._by_topic else [*picks, *news, *trending, *week, *missed]
        )

    def _heading(self, title: bytes) -> bytes:
        return self._parts.heading.fill({"title": title})

    def _picks(self, sections: Sequence[Section], vote: bytes, beside: Sequence[bytes], room: int) -> list[bytes]:
        """The papers under their headings, as large as there is room for them and what stands beside them."""
        headings = [self._heading(title) for title in html_wires.made([section.title for section in sections])]
        tellings = [telling for section in sections for telling in section.picks]
        if not tellings:
            return [*headings, self._quiet]
        ids = [paper_id for paper_id, _, _ in tellings]
        reasons = html_wires.kept([why for _, why, _ in tellings])
        bylines = self._stock.bylines([(paper_id, followed) for paper_id, _, followed in tellings])
        values = [
            {"number": number, "why": why, "byline": names, "vote": vote}
            for number, why, names in zip(_numbers(len(ids)), reasons, bylines, strict=True)
        ]
        full = self._stock.html[Size.FULL](ids)
        cards = [card.pieces(value) for card, value in zip(full, values, strict=True)]
        more: list[bytes] = []
        if not fits([*chain(*cards), *headings, *beside], room):
            cards, more = self._shrunk(ids, values, room - sum(map(size, chain(headings, beside))))
        upcoming = iter(cards)
        body: list[bytes] = []
        for heading, section in zip(headings, sections, strict=True):
            body += [heading, *chain(*islice(upcoming, len(section.picks)))]
        return body + more

    def _shrunk(
        self, ids: Sequence[PaperId], values: Sequence[Mapping[str, bytes]], room: int
    ) -> tuple[list[list[bytes]], list[bytes]]:
        """The cards as small as they must be, those without room empty; and what names these, if there are any."""
        kinds = [cards(ids) for cards in self._stock.html.values()]
        costs = [[*(card.size(value) for card in cards), 0] for *cards, value in zip(*kinds, values, strict=True)]
        sizes = fit(costs, room - NAMES_ROOM - self._parts.more.bare)
        cards = [
            [] if shown is Size.LEFT_OUT else kinds[shown][place].pieces(values[place])
            for place, shown in enumerate(sizes)
        ]
        missing = [self._stock.card(ids[place]).title for place, shown in enumerate(sizes) if shown is Size.LEFT_OUT]
        if not missing:
            return cards, []
        # Escaped, a character takes five bytes at most where it took one.
        names = wording.left_out(self._language, missing, NAMES_ROOM // 5)
        return cards, self._parts.more.pieces({"names": html_wires.made([names])[0]})

    def _beside(self, told: Told) -> list[list[bytes]]:
        """News, what trends, the week, and near misses; each of them empty where there is no room."""
        blocks: list[list[bytes]] = []
        for block in (self._news(told), self._trending(told), self._week(told), self._missed(told)):
            blocks.append(block if fits([*chain(*blocks), *block], BESIDE_ROOM) else [])
        return blocks

    def _headed(self, title: str, items: Iterable[Sequence[bytes]]) -> list[bytes]:
        pieces = [*chain(*items)]
        return [self._fixed[title], *pieces] if pieces else []

    def _news(self, told: Told) -> list[bytes]:
        return self._headed(self._headings.news, [news.pieces({}) for news in self._stock.news(told.news)])

    def _trending(self, told: Told) -> list[bytes]:
        cards = self._stock.html[Size.LINE]([paper_id for paper_id, _, _ in told.trending])
        reasons = html_wires.kept([why for _, why, _ in told.trending])
        items = [card.pieces({"number": _TREND, "why": why}) for card, why in zip(cards, reasons, strict=True)]
        return self._headed(self._headings.top if self._by_topic else self._headings.trending, items)

    def _missed(self, told: Told) -> list[bytes]:
        cards = self._stock.miss([paper_id for paper_id, _ in told.missed])
        lacks = html_wires.kept([lack for _, lack in told.missed])
        items = [card.pieces({"missing": lack}) for card, lack in zip(cards, lacks, strict=True)]
        return self._headed(self._headings.missed, items)

    def _week(self, told: Told) -> list[bytes]:
        most = _most(told.week)
        names = html_wires.kept([clip(plain(topic.name), 80) for topic, _ in told.week])
        words = html_wires.kept([said for _, said in told.week])
        rows = [
            self._parts.topic.fill(
                {"name": name, "days": b"".join([self._day(count, most) for count in topic.papers]), "told": said}
            )
            for (topic, _), name, said in zip(told.week, names, words, strict=True)
        ]
        return self._headed(self._headings.week, [self._parts.week.pieces({"topics": b"".join(rows)})] if rows else [])

    def _made_day(self, count: int, most: int) -> bytes:
        return self._parts.days[level(count, most)].fill({"count": quoted_printable(str(count))})


class TextBody:
    """Makes text bodies of one edition in one language."""

    def __init__(self, language: Language, stock: CardStock, parts: TextParts, *, by_topic: bool):
        self._stock = stock
        self._parts = parts
        self._by_topic = by_topic
        self._headings = wording.headings(language)
        self._fixed = {title: self._heading(title) for title in astuple(self._headings)}
        self._quiet = parts.quiet.fill({})

    def body(self, told: Told) -> list[bytes]:
        """The body's pieces; web addresses stand at its end, by their numbers."""
        addresses: list[bytes] = []
        body = self._trending(told.trending, addresses) if self._by_topic else []
        picks = 0
        for section in told.sections:
            body.append(self._heading(section.title))
            numbers = _numbers(len(section.picks), picks + 1, "{:>2}.")
            body += _papers(self._stock.text, section.picks, numbers, addresses)
            picks += len(section.picks)
        if not picks:
            body.append(self._quiet)
        body += self._news(told.news)
        if not self._by_topic:
            body += self._trending(told.trending, addresses)
        body += self._week(told.week)
        body += self._missed(told.missed)
        if addresses:
            lines = b"".join(chain(*zip(_link_numbers(len(addresses)), addresses, strict=True)))
            body.append(self._parts.links.fill({"links": lines}))
        return body

    def _heading(self, title: str) -> bytes:
        return self._parts.heading.fill_text(title=title)

    def _headed(self, title: str, items: Sequence[bytes]) -> list[bytes]:
        return [self._fixed[title], *items] if items else []

    def _news(self, follow_ups: Sequence[FollowUp]) -> list[bytes]:
        return self._headed(self._headings.news, [news.fill({}) for news in self._stock.news_text(follow_ups)])

    def _trending(self, trending: Sequence[Telling], addresses: list[bytes]) -> list[bytes]:
        items = _papers(self._stock.text_line, trending, [_TEXT_TREND] * len(trending), addresses)
        return self._headed(self._headings.top if self._by_topic else self._headings.trending, items)

    def _missed(self, missed: Sequence[tuple[PaperId, str]]) -> list[bytes]:
        cards = [card.fragment for card in self._stock.text_miss([paper_id for paper_id, _ in missed])]
        lacks = text_wires.kept([(lack, card.column("missing")) for card, (_, lack) in zip(cards, missed, strict=True)])
        items = [card.fill({"missing": lack}) for card, lack in zip(cards, lacks, strict=True)]
        return self._headed(self._headings.missed, items)

    def _week(self, week: Sequence[tuple[TopicWeek, str]]) -> list[bytes]:
        most = _most(week)
        row = self._parts.topic
        at, further = row.column("name"), row.column("told")
        names = text_wires.kept([(clip(plain(topic.name), 60), at) for topic, _ in week])
        words = text_wires.kept([(said, further) for _, said in week])
        items = [
            row.fill({"name": name, "told": said, "days": _blocks(topic.papers, most)})
            for (topic, _), name, said in zip(week, names, words, strict=True)
        ]
        return self._headed(self._headings.week, items)


def _papers(
    kept: Kept[PaperId, TextCard], tellings: Sequence[Telling], numbers: Sequence[bytes], addresses: list[bytes]
) -> list[bytes]:
    """Papers with their links by number; the links' addresses are noted."""
    cards = kept([paper_id for paper_id, _, _ in tellings])
    reasons = text_wires.kept([(why, card.why_column) for card, (_, why, _) in zip(cards, tellings, strict=True)])
    papers: list[bytes] = []
    for card, number, why in zip(cards, numbers, reasons, strict=True):
        read = _numbered(card.labels, len(addresses) + 1, card.read_column)
        addresses += card.addresses
        papers += card.fragment.pieces({"number": number, "why": why, "read": read})
    return papers


_TREND = quoted_printable(TREND_MARK)
_TEXT_TREND = quoted_printable(f" {TREND_MARK} ")


@lru_cache(maxsize=1024)
def _numbers(count: int, first: int = 1, form: str = "{}") -> tuple[bytes, ...]:
    """The numbers of so many papers."""
    return tuple(quoted_printable(form.format(number)) for number in range(first, first + count))


@lru_cache(maxsize=4096)
def _blocks(counts: tuple[int, ...], most: int) -> bytes:
    """The days of a topic in a text's picture of the week."""
    return quoted_printable("".join([BLOCKS[level(count, most)] for count in counts]))


@lru_cache(maxsize=256)
def _link_numbers(count: int) -> tuple[bytes, ...]:
    """What stands before each of so many addresses."""
    return tuple(quoted_printable(f"{f'[{number}]':>5} ") for number in range(1, count + 1))


@lru_cache(maxsize=8192)
def _numbered(labels: tuple[str, ...], first: int, column: int) -> bytes:
    """A paper's links by number. Few kinds of links come at few places: the same lines come again and again."""
    said = [f"{label} [{n}]".replace(" ", "\N{NO-BREAK SPACE}") for n, label in enumerate(labels, first)]
    return quoted_printable(wrap(" · ".join(said), column))


def _most(week: Sequence[tuple[TopicWeek, str]]) -> int:
    return max((max(topic.papers) for topic, _ in week), default=0)


def week_of(week: Sequence[TopicWeek]) -> list[TopicWeek]:
    """The topics worth a picture: those that moved, most papers first; none where all that is known is one day."""
    moved = [topic for topic in week if any(topic.papers)]
    if not any(count for topic in moved for count in topic.papers[:-1]):
        return []
    return sorted(moved, key=lambda topic: -sum(topic.papers))[:TOPICS_SHOWN]
