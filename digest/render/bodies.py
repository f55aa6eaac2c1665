"""The body of one subscriber's email: sections in their order, as pieces of HTML and of plain text.

The picks come first, and shrink until all fits; then what stands beside them, as far as its own room goes. Knows
fragments and values, no template and no list. Called by `edition.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from itertools import chain

from markupsafe import escape

from digest.model import FollowUp, PaperId, Pick, Reason, ReasonKind, Says, Selection, Subscriber, TopicWeek
from digest.render import wording
from digest.render.cards import CardStock, Size, byline, fit, followed_by, why
from digest.render.fragments import Fragment, html_wires, quoted_printable, size, text_wires
from digest.render.language import Language
from digest.render.remarks import remark
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
    """Some picks under one heading, each with its reason in words."""

    title: str
    picks: tuple[tuple[Pick, str], ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What an email says, in its reader's words; HTML and text share it."""

    sections: tuple[Section, ...]
    news: tuple[FollowUp, ...]
    trending: tuple[tuple[Pick, str], ...]
    """What trends beside the picks, each with its reason."""
    week: tuple[tuple[TopicWeek, str], ...]
    missed: tuple[tuple[PaperId, str], ...]
    """The near misses, each with what it lacked."""


def tell(language: Language, recipient: Subscriber, selection: Selection, *, by_topic: bool) -> Told:
    """Puts a selection into words. The picks are one section, or `by_topic` several."""
    return Told(
        tuple(_sections(language, recipient, selection, by_topic=by_topic)),
        selection.follow_ups,
        _with_reasons(language, selection.trending),
        tuple([(topic, wording.week(language, topic)) for topic in week_of(selection.week)]),
        tuple([(miss.pick.paper_id, clip(remark(language, miss.missing), 160)) for miss in selection.near_misses]),
    )


def _sections(language: Language, recipient: Subscriber, selection: Selection, *, by_topic: bool) -> list[Section]:
    """The picks as one section; or one for each topic in the order of their best picks, and one for all others."""
    picks = selection.picks
    if not by_topic or not picks:
        return [Section(wording.heading(language, recipient.name, picks), _with_reasons(language, picks))]
    others = wording.headings(language).others
    grouped: dict[str, list[Pick]] = {}
    for pick in picks:
        heaviest = max(pick.reasons, key=lambda reason: reason.weight, default=None)
        name = _topic(heaviest) if heaviest else ""
        grouped.setdefault(clip(plain(name), 80) or others, []).append(pick)
    if rest := grouped.pop(others, None):
        grouped[others] = rest
    return [Section(title, _with_reasons(language, group)) for title, group in grouped.items()]


def _topic(reason: Reason) -> str:
    """The name of the topic that is a reason; empty if another thing is."""
    remark = reason.remark
    if reason.kind is ReasonKind.TOPIC and remark.says is Says.WRITTEN:
        return remark.names[0].partition(": ")[0]
    return remark.names[0] if remark.says is Says.TOPIC else ""


def _with_reasons(language: Language, picks: Sequence[Pick]) -> tuple[tuple[Pick, str], ...]:
    return tuple([(pick, why(language, pick)) for pick in picks])


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
        self._fixed = {title: self._heading(title) for title in astuple(self._headings)}
        self._quiet = parts.quiet.fill({})
        # Most readers see a paper's byline as the others do: they follow none of its authors.
        self._bylines: dict[tuple[PaperId, frozenset[str]], bytes] = {}
        self._day = lru_cache(maxsize=4096)(self._made_day)

    def body(self, told: Told, vote: str, room: int) -> list[bytes]:
        """The body's pieces, whose text has at most `room` bytes."""
        news, trending, week, missed = beside = self._beside(told)
        picks = self._picks(told.sections, vote, room - sum(map(size, beside)))
        return [trending, *picks, news, week, missed] if self._by_topic else [*picks, news, trending, week, missed]

    def _heading(self, title: str) -> bytes:
        return self._parts.heading.fill({"title": html_wires.made([title])[0]})

    def _picks(self, ordered: Sequence[Section], vote: str, room: int) -> list[bytes]:
        headings = [self._heading(section.title) for section in ordered]
        room -= sum(map(size, headings))
        picks = [pick for section in ordered for pick in section.picks]
        if not picks:
            return [headings[0], self._quiet]
        ids = [pick.paper_id for pick, _ in picks]
        # Every card leads to it three times: it is escaped and encoded here, once.
        (address,) = html_wires.made([vote])
        reasons = html_wires.kept([reason for _, reason in picks])
        values = [
            {"number": number, "why": reason, "byline": self._byline(pick), "vote": address}
            for number, (pick, _), reason in zip(_numbers(len(picks)), picks, reasons, strict=True)
        ]

        cards = {Size.FULL: self._stock.html(ids, Size.FULL)}
        made = {Size.FULL: [card.pieces(value) for card, value in zip(cards[Size.FULL], values, strict=True)]}

        def taken(wanted: Size, of_value: Callable[[bytes], int] = size) -> list[int]:
            return [card.size(pieces, of_value) for card, pieces in zip(cards[wanted], made[wanted], strict=True)]

        sizes = [Size.FULL] * len(picks)
        if sum(taken(Size.FULL, len)) > room and sum(taken(Size.FULL)) > room:
            for smaller in (Size.SHORT, Size.LINE):
                cards[smaller] = self._stock.html(ids, smaller)
                made[smaller] = [card.pieces(value) for card, value in zip(cards[smaller], values, strict=True)]
            costs = zip(*map(taken, cards), [0] * len(picks), strict=True)
            sizes = fit([*costs], room - NAMES_ROOM - sum(map(size, self._parts.more.wires)))
        body: list[bytes] = []
        first = 0
        for heading, section in zip(headings, ordered, strict=True):
            body.append(heading)
            last = first + len(section.picks)
            for i in range(first, last):
                if sizes[i] is not Size.LEFT_OUT:
                    body += made[sizes[i]][i]
            first = last
        missing = [self._stock.card(ids[i]).title for i, shown in enumerate(sizes) if shown is Size.LEFT_OUT]
        if missing:
            # Escaped, a character takes five bytes at most where it took one.
            names = wording.left_out(self._language, missing, NAMES_ROOM // 5)
            body.append(self._parts.more.fill({"names": html_wires.made([names])[0]}))
        return body

    def _byline(self, pick: Pick) -> bytes:
        followed = followed_by(pick, self._stock.authors)
        key = pick.paper_id, followed
        if key not in self._bylines:
            marked = byline(self._language, self._stock.authors(pick.paper_id), followed)
            said = (f"<b>{escape(name)}</b>" if bold else str(escape(name)) for name, bold in marked)
            self._bylines[key] = quoted_printable("".join(said))
        return self._bylines[key]

    def _beside(self, told: Told) -> list[bytes]:
        """News, what trends, the week, and near misses; each of them empty where there is no room."""
        blocks: list[bytes] = []
        for block in (self._news(told), self._trending(told), self._week(told), self._missed(told)):
            blocks.append(block if fits([*blocks, block], BESIDE_ROOM) else b"")
        return blocks

    def _headed(self, title: str, items: Sequence[bytes]) -> bytes:
        return b"".join([self._fixed[title], *items]) if items else b""

    def _news(self, told: Told) -> bytes:
        return self._headed(self._headings.news, [news.fill({}) for news in self._stock.news(told.news)])

    def _trending(self, told: Told) -> bytes:
        cards = self._stock.html([pick.paper_id for pick, _ in told.trending], Size.LINE)
        reasons = html_wires.kept([reason for _, reason in told.trending])
        items = [card.fill({"number": _TREND, "why": reason}) for card, reason in zip(cards, reasons, strict=True)]
        return self._headed(self._headings.week_top if self._by_topic else self._headings.trending, items)

    def _missed(self, told: Told) -> bytes:
        cards = self._stock.html([paper_id for paper_id, _ in told.missed], Size.LINE, "miss.html")
        lacks = html_wires.kept([lack for _, lack in told.missed])
        items = [card.fill({"missing": lack}) for card, lack in zip(cards, lacks, strict=True)]
        return self._headed(self._headings.missed, items)

    def _week(self, told: Told) -> bytes:
        most = _most(told.week)
        names = html_wires.kept([clip(plain(topic.name), 80) for topic, _ in told.week])
        words = html_wires.kept([said for _, said in told.week])
        rows = [
            self._parts.topic.fill(
                {"name": name, "days": b"".join([self._day(count, most) for count in topic.papers]), "told": said}
            )
            for (topic, _), name, said in zip(told.week, names, words, strict=True)
        ]
        return self._headed(self._headings.week, [self._parts.week.fill({"topics": b"".join(rows)})] if rows else [])

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
            body += self._papers("card.txt", section.picks, numbers, addresses)
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

    def _papers(
        self, template: str, told: Sequence[tuple[Pick, str]], numbers: Sequence[bytes], addresses: list[bytes]
    ) -> list[bytes]:
        """Papers with their links by number; the links' addresses are noted."""
        cards = self._stock.text([pick.paper_id for pick, _ in told], template)
        reasons = text_wires.kept([(reason, card.why_column) for card, (_, reason) in zip(cards, told, strict=True)])
        papers: list[bytes] = []
        for card, number, reason in zip(cards, numbers, reasons, strict=True):
            read = _numbered(card.labels, len(addresses) + 1, card.read_column)
            addresses += card.addresses
            papers += card.fragment.pieces({"number": number, "why": reason, "read": read})
        return papers

    def _news(self, follow_ups: Sequence[FollowUp]) -> list[bytes]:
        return self._headed(self._headings.news, [news.fill({}) for news in self._stock.news_text(follow_ups)])

    def _trending(self, picks: Sequence[tuple[Pick, str]], addresses: list[bytes]) -> list[bytes]:
        items = self._papers("line.txt", picks, [_TEXT_TREND] * len(picks), addresses)
        return self._headed(self._headings.week_top if self._by_topic else self._headings.trending, items)

    def _missed(self, missed: Sequence[tuple[PaperId, str]]) -> list[bytes]:
        cards = [card.fragment for card in self._stock.text([paper_id for paper_id, _ in missed], "miss.txt")]
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
