"""The obvious way to make a newsletter, kept to be compared with only: every message is made whole for its reader.

Jinja renders her page with all its cards, premailer brings the CSS into all of it, and the standard library's
`EmailMessage` encodes both parts. The same templates, the same words and the same options as the shipped renderer's,
which shares an edition's cards between all readers. Sizes are not fitted: everything has room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from digest.model import Candidate, Edition, MailingList, PaperId, Pick, Selection, SourceSummary, Subscriber
from digest.render import wording
from digest.render.addresses import ListLinks
from digest.render.bodies import BLOCKS, TREND_MARK, level, week_of
from digest.render.cards import Card, byline, card_of, followed_by, why
from digest.render.inline import inline_css
from digest.render.masthead import masthead_of
from digest.render.message import mailto
from digest.render.templates import Templates
from digest.render.text import clip, plain, wrap
from tests.bench.render_edition import Order

COLUMNS = {"follows": 2, "address": 10, "why": 9, "read": 4, "missing": 4}
"""Where in its line a value of the text part begins, so that it is wrapped like the shipped one."""


class Obvious:
    """Makes the messages of one edition, each from the beginning."""

    def __init__(
        self,
        mailing_list: MailingList,
        edition: Edition,
        candidates: Mapping[PaperId, Candidate],
        sources: Sequence[SourceSummary],
        links: ListLinks,
    ):
        self._list, self._edition, self._candidates, self._sources = mailing_list, edition, candidates, sources
        self._links = links
        self._templates = Templates(mailing_list.theme, mailing_list.templates)
        self._masthead = masthead_of(mailing_list, edition, len(candidates), sources, links, has_pages=True)

    def compose(self, order: Order) -> bytes:
        """The message in wire form."""
        reader, delivery = order.reader, order.delivery
        cards = {paper_id: card_of(self._candidates[paper_id]) for paper_id in _shown(delivery.selection)}
        picked = [cards[pick.paper_id] for pick in delivery.selection.picks]
        message = EmailMessage()
        message["From"] = self._list.from_
        message["To"] = f"{reader.name} <{delivery.address}>"
        message["Subject"] = wording.subject(self._edition, picked)
        cutoff = (delivery.queued_at or self._edition.cutoff).astimezone(ZoneInfo(self._list.timezone))
        message["Date"] = format_datetime(cutoff)
        message["Message-ID"] = delivery.message_id
        message["List-Id"] = f"{self._list.name} <{self._list.id}.example.org>"
        message["List-Unsubscribe"] = f"<{mailto(self._list, 'unsubscribe')}>"
        message["List-Help"] = f"<{mailto(self._list, 'help')}>"
        message["Auto-Submitted"] = "auto-generated"
        message["Precedence"] = "bulk"
        message.set_content(self._text(reader, delivery.selection, cards), cte="quoted-printable")
        html = inline_css(self._html(reader, delivery.selection, cards))
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        return message.as_bytes(policy=SMTP)

    def _html(self, reader: Subscriber, selection: Selection, cards: Mapping[PaperId, Card]) -> str:
        vote = self._links.reader(reader).vote
        parts = [self._render("heading.html", {"title": wording.heading(reader.name, selection.picks)})]
        for number, pick in enumerate(selection.picks, 1):
            slot = {"number": str(number), "why": why(pick), "byline": self._byline(pick), "vote": vote}
            parts.append(self._render("card.html", slot, card=cards[pick.paper_id], told=""))
        parts.append(self._render("heading.html", {"title": wording.TRENDING_BESIDE}))
        for pick in selection.trending:
            slot = {"number": TREND_MARK, "why": why(pick)}
            parts.append(self._render("line.html", slot, card=cards[pick.paper_id], told=""))
        parts.append(self._render("heading.html", {"title": wording.WEEK}))
        parts.append(self._render("week.html", {"topics": Markup("".join(self._topics(selection)))}))
        parts.append(self._render("heading.html", {"title": wording.MISSED}))
        for miss in selection.near_misses:
            slot = {"missing": miss.missing}
            parts.append(self._render("miss.html", slot, card=cards[miss.pick.paper_id], told=""))
        return self._render("edition.html", self._shell(reader, selection, cards) | {"body": Markup("".join(parts))})

    def _topics(self, selection: Selection) -> list[str]:
        shown = week_of(selection.week)
        most = max(max(topic.papers) for topic in shown)
        return [
            self._render(
                "topic.html",
                {
                    "name": topic.name,
                    "told": wording.week(topic),
                    "days": Markup(
                        "".join(
                            self._render("day.html", {"count": str(count)}, level=level(count, most))
                            for count in topic.papers
                        )
                    ),
                },
            )
            for topic in shown
        ]

    def _text(self, reader: Subscriber, selection: Selection, cards: Mapping[PaperId, Card]) -> str:
        urls: list[str] = []
        parts = [self._render("heading.txt", {"title": wording.heading(reader.name, selection.picks)})]
        for number, pick in enumerate(selection.picks, 1):
            slot = {"number": f"{number:>2}.", "why": why(pick), "read": _read(cards[pick.paper_id], urls)}
            parts.append(self._render("card.txt", _wrapped(slot), card=cards[pick.paper_id], told=""))
        parts.append(self._render("heading.txt", {"title": wording.TRENDING_BESIDE}))
        for pick in selection.trending:
            slot = {"number": f" {TREND_MARK} ", "why": wrap(why(pick), 4), "read": _read(cards[pick.paper_id], urls)}
            slot["read"] = wrap(slot["read"], 4)
            parts.append(self._render("line.txt", slot, card=cards[pick.paper_id], told=""))
        parts.append(self._render("heading.txt", {"title": wording.WEEK}))
        shown = week_of(selection.week)
        most = max(max(topic.papers) for topic in shown)
        for topic in shown:
            days = "".join(BLOCKS[level(count, most)] for count in topic.papers)
            slot = {"name": topic.name, "days": days, "told": wording.week(topic)}
            parts.append(self._render("topic.txt", slot))
        parts.append(self._render("heading.txt", {"title": wording.MISSED}))
        for miss in selection.near_misses:
            slot = _wrapped({"missing": miss.missing})
            parts.append(self._render("miss.txt", slot, card=cards[miss.pick.paper_id], told=""))
        lines = "".join(f"{f'[{n}]':>5} {url}\n" for n, url in enumerate(urls, 1))
        # Jinja drops a template's last newline, which the shipped renderer puts back after these three.
        parts.append(self._render("links.txt", {"links": lines}) + "\n")
        shell = _wrapped(self._shell(reader, selection, cards)) | {"body": "".join(parts)}
        return self._render("edition.txt", shell)

    def _shell(self, reader: Subscriber, selection: Selection, cards: Mapping[PaperId, Card]) -> dict[str, str]:
        summary = wording.summary(len(self._candidates), self._sources, selection)
        links = self._links.reader(reader)
        return {
            "summary": summary,
            "preheader": wording.preheader(summary, [cards[pick.paper_id] for pick in selection.picks[:4]]),
            "follows": wording.follows(reader.profile),
            "address": clip(plain(reader.address), 320),
            "unsubscribe": links.unsubscribe,
            "preferences": links.preferences,
        }

    def _byline(self, pick: Pick) -> Markup:
        authors = self._candidates[pick.paper_id].paper.authors
        marked = byline(authors, followed_by(pick, authors))
        return Markup("".join(f"<b>{escape(text)}</b>" if bold else str(escape(text)) for text, bold in marked))

    def _render(self, template: str, slot: Mapping[str, str], **names: object) -> str:
        return self._templates.render(template, edition=self._masthead, slot=slot, **names)


def _shown(selection: Selection) -> list[PaperId]:
    picks = (*selection.picks, *selection.trending, *(miss.pick for miss in selection.near_misses))
    return [pick.paper_id for pick in picks]


def _read(card: Card, urls: list[str]) -> str:
    said = [
        f"{link.label} [{n}]".replace(" ", "\N{NO-BREAK SPACE}") for n, link in enumerate(card.links, len(urls) + 1)
    ]
    urls.extend(link.url for link in card.links)
    return " · ".join(said)


def _wrapped(slot: dict[str, str]) -> dict[str, str]:
    return {name: wrap(value, COLUMNS.get(name, 0)) for name, value in slot.items()}
