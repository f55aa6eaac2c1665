"""One edition's messages: what they share is made once, what is a subscriber's own is joined in.

The page around the papers is rendered and inlined when the renderer is made, each paper's card when it is first
picked; after that a message is a join of pieces. Calls `templates`, `inline`, `cards`, `wording` and `message`;
called by `app.py`. Reads no clock: the same edition, subscriber and picks give the same bytes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from markupsafe import Markup

from digest.errors import TemplateError
from digest.model import (
    AnnounceType,
    Candidate,
    Delivery,
    Edition,
    Link,
    LinkKind,
    MailingList,
    Paper,
    PaperId,
    Pick,
    Sighting,
    SourceSummary,
    Subscriber,
)
from digest.render import wording
from digest.render.cards import CardStock, Size, card_of, fit, why
from digest.render.fragments import Marks, Piece, dress_html, dress_text, piece
from digest.render.inline import inline_cards, passes
from digest.render.message import Letterhead, Mailbox, Sign, assemble, mailbox, mailto, wire_address
from digest.render.templates import Theme
from digest.render.text import clip, long_date, plain

CLIP = 100_000
"""Gmail shows no more than about this many bytes of an HTML part."""
NAMES_ROOM = 4000
"""Bytes kept for the names of papers that were left out."""
SHELL_ROOM = 60_000
"""Bytes that a page without papers may take."""
SOURCES_SHOWN = 30
SLOTS = {
    "edition.html": ("preheader", "summary", "heading", "body", "follows", "address"),
    "card.html": ("number", "why"),
    "line.html": ("number", "why"),
    "more.html": ("names",),
    "quiet.html": (),
    "edition.txt": ("summary", "heading", "body", "follows", "address"),
    "card.txt": ("number", "why", "read"),
    "quiet.txt": (),
    "links.txt": ("links",),
}
"""The templates of a theme, and what in each of them differs from subscriber to subscriber."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A subscriber's email, as a person reads it."""

    subject: str
    preheader: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A source's line in the footer."""

    text: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Masthead:
    """What templates see of the edition and its list; every text is one line of plain text."""

    name: str
    date: str
    number: int
    window: str
    announced: int
    quiet: str
    sources: tuple[SourceLine, ...]
    more_sources: int
    unsubscribe_url: str
    unsubscribe_subject: str
    contact: str
    postal_address: str


class EditionRenderer:
    """Renders and composes the messages of one edition."""

    def __init__(
        self,
        mailing_list: MailingList,
        edition: Edition,
        candidates: Mapping[PaperId, Candidate],
        sources: Sequence[SourceSummary],
        sign: Sign | None = None,
    ):
        """`sign` signs every message that is composed; None: none is signed.

        Raises TemplateError if a template is broken, ConfigError if the list has no usable `from`.
        """
        self._sign = sign
        self._edition, self._announced = edition, len(candidates)
        self._letterhead = Letterhead(mailing_list)
        self._theme = Theme("daily", mailing_list.templates)
        self._masthead = masthead_of(mailing_list, edition, len(candidates), sources)
        self._nonce = secrets.token_hex(8)
        self._marks = Marks(self._nonce)
        self._stock = CardStock(
            candidates,
            render=lambda template, card: self._render(template, card=card),
            inline=self._inline,
            split=self._marks.split,
        )
        self.check()
        self._set_up()

    def _set_up(self) -> None:
        """Makes what stands around the papers, and what stands in their place."""
        split = self._marks.split
        page = inline_cards(self._page, [self._render("more.html"), self._render("quiet.html")], self._nonce)
        body = self._marks.slot("body")["body"]
        self._html_shell = split(_newline(page.head + body + page.tail), "edition.html")
        self._text_shell = split(_newline(self._render("edition.txt")), "edition.txt")
        self._more = split(page.cards[0], "more.html")
        self._quiet_html = split(page.cards[1], "quiet.html")
        self._quiet_text = split(self._render("quiet.txt"), "quiet.txt")
        self._links = split(self._render("links.txt"), "links.txt")
        if self._html_shell.size > SHELL_ROOM:
            where = self._theme.place("edition.html")
            raise TemplateError(f"{where}: {self._html_shell.size:,} bytes without papers; {SHELL_ROOM:,} at most")

    def check(self) -> None:
        """Runs every template on a full paper and a bare one. Raises TemplateError with file and line."""
        for template, slots in SLOTS.items():
            about_a_paper = template.startswith(("card.", "line."))
            self._theme.check_names(template, ("edition", "slot", *(["card"] if about_a_paper else [])))
            for specimen in _SPECIMENS if about_a_paper else ():
                self._render(template, card=card_of(specimen))
            if not about_a_paper:
                shown = self._render(template).count(self._marks.slot("body")["body"])
                if "body" in slots and shown != 1:
                    raise TemplateError(f"{self._theme.place(template)}: must show slot.body once")

    def render(self, recipient: Subscriber, picks: Sequence[Pick]) -> Rendered:
        """The email of these picks to the recipient, best first. Raises KeyError if a pick is not a candidate."""
        cards = [self._stock.card(pick.paper_id) for pick in picks]
        words = self._words(recipient, picks)
        return Rendered(
            subject=wording.subject(self._edition, cards),
            preheader=words["preheader"],
            text="".join(p.text for p in self._text_pieces(words, picks)),
            html="".join(p.text for p in self._html_pieces(words, picks)),
        )

    def compose(self, recipient: Subscriber, delivery: Delivery) -> bytes:
        """The delivery's message in wire form: CRLF, no line over 998 bytes, no dot-stuffing.

        Goes to the delivery's address, which was fixed when it was queued.
        """
        recipient = replace(recipient, address=delivery.address)
        words = self._words(recipient, delivery.picks)
        head = self._letterhead.head(
            to=Mailbox(recipient.name, wire_address(delivery.address)),
            subject=wording.subject(self._edition, [self._stock.card(pick.paper_id) for pick in delivery.picks]),
            date=delivery.queued_at or self._edition.cutoff,
            message_id=delivery.message_id,
        )
        return assemble(
            head,
            delivery.message_id,
            text=b"".join([p.wire for p in self._text_pieces(words, delivery.picks)]),
            html=b"".join([p.wire for p in self._html_pieces(words, delivery.picks)]),
            sign=self._sign,
        )

    def _words(self, recipient: Subscriber, picks: Sequence[Pick]) -> dict[str, str]:
        summary = wording.summary(self._announced, picks)
        return {
            "summary": summary,
            "preheader": wording.preheader(summary, [self._stock.card(pick.paper_id) for pick in picks[:4]]),
            "heading": wording.heading(recipient.name, picks),
            "follows": wording.follows(recipient.profile),
            "address": clip(plain(recipient.address), 320),
        }

    def _html_pieces(self, words: Mapping[str, str], picks: Sequence[Pick]) -> Iterator[Piece]:
        room = CLIP - 1 - self._html_shell.cost({**words, "body": ""}, dress_html)
        body = self._html_body(picks, room) if picks else list(self._quiet_html.fill({}, dress_html))
        return self._html_shell.fill({**words, "body": body}, dress_html)

    def _html_body(self, picks: Sequence[Pick], room: int) -> list[Piece]:
        ids = [pick.paper_id for pick in picks]
        values = [{"number": str(number), "why": why(pick)} for number, pick in enumerate(picks, 1)]
        sizes = [Size.FULL] * len(picks)
        made = {Size.FULL: self._stock.html(ids, Size.FULL)}
        costs = [[f.cost(v, dress_html) for f, v in zip(made[Size.FULL], values, strict=True)]]
        if sum(costs[0]) > room:
            made |= {size: self._stock.html(ids, size) for size in (Size.SHORT, Size.LINE)}
            costs = [[f.cost(v, dress_html) for f, v in zip(cards, values, strict=True)] for cards in made.values()]
            sizes = fit([*zip(*costs, [0] * len(picks), strict=True)], room - NAMES_ROOM - self._more.size)
        body = [
            p
            for index, size in enumerate(sizes)
            if size is not Size.LEFT_OUT
            for p in made[size][index].fill(values[index], dress_html)
        ]
        missing = [self._stock.card(ids[i]).title for i, size in enumerate(sizes) if size is Size.LEFT_OUT]
        if missing:
            # Escaped, a character takes five bytes at most where it took one.
            names = wording.left_out(missing, NAMES_ROOM // 5)
            body.extend(self._more.fill({"names": names}, dress_html))
        return body

    def _text_pieces(self, words: Mapping[str, str], picks: Sequence[Pick]) -> Iterator[Piece]:
        if not picks:
            body = list(self._quiet_text.fill({}, dress_text))
        else:
            body, urls = [], list[str]()
            for number, pick in enumerate(picks, 1):
                links = self._stock.card(pick.paper_id).links
                read = " · ".join(
                    f"{link.label} [{n}]".replace(" ", "\N{NO-BREAK SPACE}")
                    for n, link in enumerate(links, len(urls) + 1)
                )
                urls.extend(link.url for link in links)
                values = {"number": f"{number:>2}.", "why": why(pick), "read": read}
                body.extend(self._stock.text(pick.paper_id).fill(values, dress_text))
            lines = [p for n, url in enumerate(urls, 1) for p in (piece(f"{f'[{n}]':>5} "), piece(f"{url}\n"))]
            body.extend(self._links.fill({"links": lines}, dress_text) if lines else ())
        return self._text_shell.fill({**words, "body": body}, dress_text)

    def _render(self, template: str, **names: object) -> str:
        slot = self._marks.slot(*SLOTS[template])
        return self._theme.render(template, **{"edition": self._masthead, "slot": slot} | names)

    def _page(self, body: Markup) -> str:
        return self._render("edition.html", slot=self._marks.slot(*SLOTS["edition.html"]) | {"body": body})

    def _inline(self, cards: Sequence[str]) -> Iterable[str]:
        for group in passes(cards):
            yield from inline_cards(self._page, group, self._nonce).cards


def masthead_of(
    mailing_list: MailingList, edition: Edition, announced: int, sources: Sequence[SourceSummary]
) -> Masthead:
    """What is said of the edition to everyone. Raises ConfigError if the list has no usable address."""
    return Masthead(
        name=clip(plain(mailing_list.name), 120),
        date=long_date(edition.due_on),
        number=edition.number,
        window=wording.window(mailing_list, edition),
        announced=announced,
        quiet=wording.quiet(announced, sources),
        sources=tuple(SourceLine(wording.source_line(s), s.error is not None) for s in sources[:SOURCES_SHOWN]),
        more_sources=max(0, len(sources) - SOURCES_SHOWN),
        unsubscribe_url=mailto(mailing_list, "unsubscribe"),
        unsubscribe_subject=f"unsubscribe {plain(mailing_list.id)}",
        contact=mailbox(mailing_list.reply_to or mailing_list.from_).address,
        postal_address=clip(", ".join(filter(None, map(plain, (mailing_list.postal_address or "").splitlines()))), 300),
    )


def _newline(text: str) -> str:
    """The text with a newline at its end: a body must not end in a soft break (RFC 2045 section 6.7)."""
    return text if text.endswith("\n") else text + "\n"


_SPECIMENS = (
    Candidate(
        Paper(
            PaperId("arxiv:0000.00000"),
            "A paper",
            "What it says.",
            ("A. Author", "B. Author", "C. Author", "D. Author"),
            categories=("cs.CV", "cs.LG"),
            links=tuple(Link(kind, f"https://example.org/{kind}") for kind in LinkKind),
        ),
        (Sighting("arxiv", AnnounceType.NEW, date(2000, 1, 1)),),
    ),
    Candidate(Paper(PaperId("title:bare"), "A bare paper"), ()),
)
"""What `check` shows to templates: a paper with everything, and one with a title only."""
