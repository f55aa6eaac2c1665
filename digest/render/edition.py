"""One edition's messages: what they share is made once for a language, what is a subscriber's own is joined in.

The page around the papers is rendered and inlined when a language is first asked for, each paper's card when it is
first picked; after that a message is a join of pieces. Calls `templates`, `inline`, `cards`, `bodies`, `wording` and
`message`; called by `making.py`. Reads no clock: the same edition, subscriber and picks give the same bytes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

from markupsafe import Markup

from digest.errors import TemplateError
from digest.model import (
    NOBODY,
    Address,
    AnnounceType,
    Candidate,
    Delivery,
    Edition,
    Link,
    LinkKind,
    MailingList,
    Paper,
    PaperId,
    Selection,
    Sighting,
    SourceSummary,
    Subscriber,
    Theme,
)
from digest.render import wording
from digest.render.addresses import ListLinks, ReaderLinks
from digest.render.bodies import LEVELS, HtmlBody, HtmlParts, TextBody, TextParts, tell
from digest.render.cards import card_of
from digest.render.fragments import Fragment, Marks, html_wires, read_back
from digest.render.inline import cut_around, inline_cards, passes
from digest.render.language import Language, language_of
from digest.render.masthead import masthead_of
from digest.render.message import Letterhead, Mailbox, Sign, assemble, mailto, wire_address
from digest.render.stock import CardStock
from digest.render.templates import Templates, email_folders
from digest.render.text import clip, plain

CLIP = 100_000
"""Gmail shows no more than about this many bytes of an HTML part."""
SHELL_ROOM = 50_000
"""Bytes that a page without papers may take."""
_SHELL = ("summary", "body", "follows", "window", "address", "unsubscribe", "preferences")
SLOTS = {
    "edition.html": ("preheader", *_SHELL),
    "heading.html": ("title",),
    "card.html": ("number", "byline", "why", "vote"),
    "line.html": ("number", "why"),
    "miss.html": ("missing",),
    "news.html": (),
    "more.html": ("names",),
    "quiet.html": (),
    "week.html": ("topics",),
    "topic.html": ("name", "days", "told"),
    "day.html": ("count",),
    "edition.txt": _SHELL,
    "heading.txt": ("title",),
    "card.txt": ("number", "why", "read"),
    "line.txt": ("number", "why", "read"),
    "miss.txt": ("missing",),
    "news.txt": (),
    "quiet.txt": (),
    "topic.txt": ("name", "days", "told"),
    "links.txt": ("links",),
}
"""The templates of a theme, and what in each of them differs from subscriber to subscriber."""
NO_LINKS = ListLinks()
OF_A_PAPER = ("card", "line", "miss", "news")
"""The templates that are given a paper."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A subscriber's email, as a person reads it."""

    subject: str
    preheader: str
    text: str
    html: str


class EditionRenderer:
    """Renders and composes the messages of one edition, each in its reader's language."""

    def __init__(
        self,
        mailing_list: MailingList,
        edition: Edition,
        candidates: Mapping[PaperId, Candidate],
        sources: Sequence[SourceSummary],
        links: ListLinks = NO_LINKS,
        sign: Sign | None = None,
        languages: Iterable[str | None] = (),
    ):
        """`sign` signs every message that is composed; None: none is signed. `languages`: those in use, beside the
        list's own; what messages of these share is made now, so that what is broken shows before anything is sent.

        Raises TemplateError if a template is broken, ConfigError if the list has no usable `from`.
        """
        self._list, self._edition, self._links, self._sign = mailing_list, edition, links, sign
        self._letterhead = Letterhead(mailing_list, edition.number, links.archive, links.help)
        self._candidates, self._sources = candidates, sources
        self._made: dict[Language, _InLanguage] = {}
        self._by_tag: dict[str | None, _InLanguage] = {}
        for tag in (None, *languages):
            self._in(tag)

    def _in(self, tag: str | None) -> _InLanguage:
        """The edition in the language of a reader's tag; None: in the list's."""
        if tag not in self._by_tag:
            language = language_of(tag or self._list.language)
            if language not in self._made:
                self._made[language] = _InLanguage(
                    language, self._list, self._edition, self._candidates, self._sources, self._links
                )
            self._by_tag[tag] = self._made[language]
        return self._by_tag[tag]

    def render(self, recipient: Subscriber, selection: Selection) -> Rendered:
        """The email of a selection to the recipient. Raises KeyError if a pick is not a candidate."""
        edition = self._in(recipient.language)
        words, text, html = edition.bodies(recipient, selection, self._links.reader(recipient))
        return Rendered(
            subject=edition.subject(selection),
            preheader=words["preheader"],
            text=read_back(b"".join(text)),
            html=read_back(b"".join(html)),
        )

    def compose(self, recipient: Subscriber, delivery: Delivery) -> bytes:
        """The delivery's message in wire form: CRLF, no line over 998 bytes, no dot-stuffing.

        Goes to the delivery's address, which was fixed when it was queued.
        """
        edition = self._in(recipient.language)
        selection = delivery.selection
        if recipient.address != delivery.address:
            recipient = replace(recipient, address=delivery.address)
        links = self._links.reader(recipient)
        _, text, html = edition.bodies(recipient, selection, links)
        head = self._letterhead.head(
            to=Mailbox(recipient.name, wire_address(delivery.address)),
            subject=edition.subject(selection),
            date=delivery.queued_at or self._edition.cutoff,
            message_id=delivery.message_id,
            unsubscribe=links.unsubscribe,
            by_mail=links.unsubscribe_by_mail,
        )
        return assemble(head, delivery.message_id, text=text, html=html, sign=self._sign)


class _InLanguage:
    """One edition in one language: what stands around the papers, and the papers' cards."""

    def __init__(
        self,
        language: Language,
        mailing_list: MailingList,
        edition: Edition,
        candidates: Mapping[PaperId, Candidate],
        sources: Sequence[SourceSummary],
        links: ListLinks,
    ):
        self._language = language
        self._list = mailing_list
        self._days = wording.days(mailing_list, edition)
        self._announced = wording.announced(language, len(candidates), sources)
        self._by_topic = mailing_list.theme is Theme.WEEKLY
        self._by_mail = mailto(mailing_list, "unsubscribe")
        self._templates = Templates(email_folders(mailing_list.theme), mailing_list.templates, language)
        has_own = bool(links.reader(_NOBODY).unsubscribe)
        self._masthead = masthead_of(language, mailing_list, edition, len(candidates), sources, links, has_own)
        self._window = lru_cache(maxsize=1024)(lambda zone: wording.window(language, edition, zone))
        self._nonce = secrets.token_hex(8)
        self._marks = Marks(self._nonce)
        self._stock = CardStock(
            language,
            candidates,
            render=lambda template, card, told: self._render(template, card=card, told=told),
            inline=self._inline,
            split=self._marks.split,
            pictures=mailing_list.remote_images,
        )
        self._check()
        self._set_up()

    def _set_up(self) -> None:
        """Makes what stands around the papers, and what stands in their place."""
        names = ("heading.html", "more.html", "quiet.html", "week.html")
        page = inline_cards(self._page, [self._render(name) for name in names], self._nonce)
        split = self._marks.split
        heading, more, quiet, week = (split(card, name) for card, name in zip(page.cards, names, strict=True))
        topic, days = self._topic_parts()
        html = HtmlParts(heading, more, quiet, week, topic, days)
        self._html = HtmlBody(self._language, self._stock, html, by_topic=self._by_topic)
        text = TextParts(*(self._text_part(name) for name in ("heading.txt", "quiet.txt", "topic.txt", "links.txt")))
        self._text = TextBody(self._language, self._stock, text, by_topic=self._by_topic)
        body = self._marks.slot("body")["body"]
        self._html_shell = split(_newline(page.head + body + page.tail), "edition.html")
        self._text_shell = self._text_part("edition.txt")
        self._text_body, self._html_body = self._text_shell.place("body"), self._html_shell.place("body")
        if (taken := self._html_shell.bare) > SHELL_ROOM:
            where = self._templates.place("edition.html")
            raise TemplateError(f"{where}: {taken:,} bytes without papers; {SHELL_ROOM:,} at most")

    def _topic_parts(self) -> tuple[Fragment, tuple[Fragment, ...]]:
        """A topic's line in the picture of the week, and a day's cell by its level.

        A cell can only be inlined where cells may stand: in the line, and that on the page.
        """
        days = [self._render("day.html", level=level) for level in range(LEVELS)]

        def line(cells: Markup) -> Markup:
            slot = self._marks.slot(*SLOTS["topic.html"]) | {"days": cells}
            return Markup(self._render("topic.html", slot=slot))  # noqa: S704 - a rendered template

        whole = inline_cards(lambda cells: self._page(cut_around(line(cells), self._nonce)), days, self._nonce, 1)
        mark = self._marks.slot("days")["days"]
        topic = self._marks.split(whole.head + mark + whole.tail, "topic.html")
        return topic, tuple(self._marks.split(day, "day.html") for day in whole.cards)

    def _check(self) -> None:
        """Runs every template on a full paper and a bare one. Raises TemplateError with file and line."""
        for template, slots in SLOTS.items():
            names = ["edition", "slot"]
            about_a_paper = template.startswith(OF_A_PAPER)
            names += ["card", "told"] if about_a_paper else ["level"] if template == "day.html" else []
            self._templates.check_names(template, names)
            if about_a_paper:
                for specimen in _SPECIMENS:
                    self._render(
                        template, card=card_of(self._language, specimen, pictures=True), told="what became of it"
                    )
                continue
            shown = self._render(template, level=1).count(self._marks.slot("body")["body"])
            if "body" in slots and shown != 1:
                raise TemplateError(f"{self._templates.place(template)}: must show slot.body once")

    def subject(self, selection: Selection) -> str:
        """The subject of an email."""
        picks = selection.picks
        first = self._stock.card(picks[0].paper_id) if picks else None
        return wording.subject(self._language, self._days, first, len(picks))

    def bodies(
        self, recipient: Subscriber, selection: Selection, links: ReaderLinks
    ) -> tuple[dict[str, str], list[bytes], list[bytes]]:
        """The words around the papers, and the text and the HTML with these words, in pieces."""
        words = self._words(recipient, selection, links)
        told = tell(self._language, self._stock, recipient, selection, by_topic=self._by_topic)
        text = self._text_shell.pieces(self._text_shell.wrapped(words) | {"body": b""})
        text[self._text_body : self._text_body + 1] = self._text.body(told)
        around = dict(zip(words, html_wires.made([*words.values()]), strict=True)) | {"body": b""}
        html = self._html_shell.pieces(around)
        room = CLIP - 1 - self._html_shell.size(around)
        html[self._html_body : self._html_body + 1] = self._html.body(told, around["vote"], room)
        return words, text, html

    def _words(self, recipient: Subscriber, selection: Selection, links: ReaderLinks) -> dict[str, str]:
        summary = wording.summary(self._language, self._announced, selection)
        cards = [self._stock.card(pick.paper_id) for pick in selection.picks[:4]]
        return {
            "summary": summary,
            "preheader": wording.preheader(self._language, summary, cards),
            "follows": wording.follows(self._language, recipient.profile),
            "window": self._window(recipient.timezone or self._list.timezone),
            "address": clip(plain(recipient.address), 320),
            "unsubscribe": links.unsubscribe or self._by_mail,
            "preferences": links.preferences,
            "vote": links.vote,
        }

    def _text_part(self, template: str) -> Fragment:
        return self._marks.split(_newline(self._render(template)), template)

    def _render(self, template: str, **names: object) -> str:
        slot = self._marks.slot(*SLOTS[template])
        return self._templates.render(template, **{"edition": self._masthead, "slot": slot} | names)

    def _page(self, body: Markup) -> str:
        return self._render("edition.html", slot=self._marks.slot(*SLOTS["edition.html"]) | {"body": body})

    def _inline(self, cards: Sequence[str]) -> Iterable[str]:
        for group in passes(cards):
            yield from inline_cards(self._page, group, self._nonce).cards


def _newline(text: str) -> str:
    """The text with a newline at its end: a body must not end in a soft break (RFC 2045 section 6.7)."""
    return text if text.endswith("\n") else text + "\n"


_NOBODY = Subscriber(NOBODY, Address("nobody@example.invalid"))
_SPECIMENS = (
    Candidate(
        Paper(
            PaperId("arxiv:0000.00000"),
            "A paper",
            "What it is about. We show what it says. What follows from it.",
            ("A. Author", "B. Author", "C. Author", "D. Author"),
            categories=("cs.CV", "cs.LG"),
            links=tuple(Link(kind, f"https://example.org/{kind}") for kind in LinkKind),
            thumbnail="https://example.org/picture.png",
        ),
        (Sighting("arxiv", AnnounceType.NEW, date(2000, 1, 1)),),
    ),
    Candidate(Paper(PaperId("title:bare"), "A bare paper"), ()),
)
"""What `check` shows to templates: a paper with everything, and one with a title only."""
