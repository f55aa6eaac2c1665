"""The obvious way to make a message, for `render.py` to compare with: a whole page for each subscriber.

Jinja renders everything with her own values, premailer inlines all of it, `email` writes the message. What is said, and
the values that templates see, are the program's own; what an edition says of a paper is worked out once, as anybody
would. Only joining, encoding and inlining are done anew, and that is what is compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from digest.model import (
    Candidate,
    Delivery,
    Edition,
    MailingList,
    Paper,
    PaperId,
    Pick,
    Selection,
    SourceSummary,
    Subscriber,
)
from digest.render import wording
from digest.render.addresses import ListLinks
from digest.render.bodies import BLOCKS, TREND_MARK, level, week_of
from digest.render.cards import Card, byline, card_of, followed_by, told, why
from digest.render.inline import inline_css
from digest.render.language import language_of
from digest.render.masthead import masthead_of
from digest.render.message import mailto
from digest.render.remarks import remark
from digest.render.templates import Templates, email_folders
from digest.render.text import clip, plain, wrap

ENGLISH = language_of("en")
HEADINGS = wording.headings(ENGLISH)


class Naive:
    """Makes the messages of one edition, each from its beginning. For the daily theme, and lists with pages."""

    def __init__(
        self,
        mailing_list: MailingList,
        edition: Edition,
        candidates: Mapping[PaperId, Candidate],
        sources: Sequence[SourceSummary],
        links: ListLinks,
    ):
        self._list, self._edition, self._sources, self._links = mailing_list, edition, sources, links
        self._papers = {key: candidate.paper for key, candidate in candidates.items()}
        self._cards = {key: card_of(ENGLISH, candidate) for key, candidate in candidates.items()}
        self._templates = Templates(email_folders(mailing_list.theme), mailing_list.templates, ENGLISH)
        self._masthead = masthead_of(
            ENGLISH, mailing_list, edition, len(candidates), sources, links, has_own_links=True
        )

    def compose(self, recipient: Subscriber, delivery: Delivery) -> bytes:
        """The delivery's message in wire form."""
        selection = delivery.selection
        message = EmailMessage(policy=SMTP)
        message["From"] = self._list.from_
        message["To"] = f"{recipient.name} <{delivery.address}>" if recipient.name else delivery.address
        message["Subject"] = wording.subject(
            ENGLISH,
            wording.days(self._list, self._edition),
            self._cards[selection.picks[0].paper_id],
            len(selection.picks),
        )
        due = delivery.queued_at or self._edition.cutoff
        message["Date"] = format_datetime(due.astimezone(ZoneInfo(self._list.timezone)))
        message["Message-ID"] = delivery.message_id
        domain = self._list.from_.rpartition("@")[2].rstrip(">")
        message["List-Id"] = f"{self._list.name} <{self._list.id}.{domain}>"
        page = self._links.reader(recipient).unsubscribe
        message["List-Unsubscribe"] = f"<{page}>, <{mailto(self._list, 'unsubscribe')}>"
        message["List-Help"] = f"<{mailto(self._list, 'help')}>"
        message["Auto-Submitted"] = "auto-generated"
        message["Precedence"] = "bulk"
        text, html = self._text(recipient, selection), inline_css(self._html(recipient, selection)) + "\n"
        message.set_content(text, cte="quoted-printable")
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        return message.as_bytes(policy=SMTP)

    def _slot(self, recipient: Subscriber, selection: Selection, body: str) -> dict[str, str]:
        announced = wording.announced(ENGLISH, len(self._cards), self._sources)
        summary = wording.summary(ENGLISH, announced, selection)
        links = self._links.reader(recipient)
        return {
            "summary": summary,
            "preheader": wording.preheader(ENGLISH, summary, [self._cards[pick.paper_id] for pick in selection.picks]),
            "follows": wording.follows(ENGLISH, recipient.profile),
            "window": wording.window(ENGLISH, self._edition, recipient.timezone or self._list.timezone),
            "address": recipient.address,
            "unsubscribe": links.unsubscribe,
            "preferences": links.preferences,
            "body": body,
        }

    def _render(self, template: str, card: Card | None = None, said: str = "", /, **slot: str) -> str:
        return self._templates.render(template, edition=self._masthead, card=card, told=said, slot=slot)

    def _html(self, recipient: Subscriber, selection: Selection) -> str:
        vote = self._links.reader(recipient).vote
        body = self._render("heading.html", title=wording.heading(ENGLISH, recipient.name, selection.picks))
        for number, pick in enumerate(selection.picks, 1):
            names = _byline(pick, self._papers[pick.paper_id])
            card = self._cards[pick.paper_id]
            body += self._render("card.html", card, number=str(number), why=why(ENGLISH, pick), vote=vote, byline=names)
        body += self._render("heading.html", title=HEADINGS.news)
        for news in selection.follow_ups:
            body += self._render("news.html", card_of(ENGLISH, Candidate(news.paper, ())), told(ENGLISH, news))
        body += self._render("heading.html", title=HEADINGS.trending)
        for pick in selection.trending:
            body += self._render("line.html", self._cards[pick.paper_id], number=TREND_MARK, why=why(ENGLISH, pick))
        topics = week_of(selection.week)
        most = max((max(topic.papers) for topic in topics), default=1)
        rows = ""
        for topic in topics:
            days = "".join(self._day(count, most) for count in topic.papers)
            name, said = clip(plain(topic.name), 80), wording.week(ENGLISH, topic)
            rows += self._render("topic.html", name=name, days=Markup(days), told=said)
        body += self._render("heading.html", title=HEADINGS.week)
        body += self._render("week.html", topics=Markup(rows))
        body += self._render("heading.html", title=HEADINGS.missed)
        for miss in selection.near_misses:
            body += self._render("miss.html", self._cards[miss.pick.paper_id], missing=remark(ENGLISH, miss.missing))
        return self._render("edition.html", **self._slot(recipient, selection, Markup(body)))

    def _day(self, count: int, most: int) -> str:
        slot = {"count": str(count)}
        return self._templates.render("day.html", edition=self._masthead, level=level(count, most), slot=slot)

    def _text(self, recipient: Subscriber, selection: Selection) -> str:
        urls: list[str] = []
        body = self._heading(wording.heading(ENGLISH, recipient.name, selection.picks))
        for number, pick in enumerate(selection.picks, 1):
            body += self._with_links("card.txt", pick, f"{number:>2}.", 9, urls)
        body += self._heading(HEADINGS.news)
        for news in selection.follow_ups:
            body += self._render("news.txt", card_of(ENGLISH, Candidate(news.paper, ())), told(ENGLISH, news))
        body += self._heading(HEADINGS.trending)
        for pick in selection.trending:
            body += self._with_links("line.txt", pick, f" {TREND_MARK} ", 4, urls)
        topics = week_of(selection.week)
        most = max((max(topic.papers) for topic in topics), default=1)
        body += self._heading(HEADINGS.week)
        for topic in topics:
            days = "".join(BLOCKS[level(count, most)] for count in topic.papers)
            body += self._render(
                "topic.txt", name=clip(plain(topic.name), 60), days=days, told=wording.week(ENGLISH, topic)
            )
        body += self._heading(HEADINGS.missed)
        for miss in selection.near_misses:
            body += self._render(
                "miss.txt", self._cards[miss.pick.paper_id], missing=wrap(remark(ENGLISH, miss.missing), 4)
            )
        lines = "".join(f"{f'[{n}]':>5} {url}\n" for n, url in enumerate(urls, 1))
        # Jinja drops a template's last newline; this one ends in what it shows, and the page goes on after it.
        slot = self._slot(recipient, selection, body + self._render("links.txt", links=lines) + "\n")
        slot |= {
            "window": wrap(slot["window"]),
            "follows": wrap(slot["follows"], 2),
            "address": wrap(slot["address"], 10),
        }
        return self._render("edition.txt", **slot)

    def _heading(self, title: str) -> str:
        return self._render("heading.txt", title=wrap(title))

    def _with_links(self, template: str, pick: Pick, number: str, column: int, urls: list[str]) -> str:
        """A paper in text, its links by number; `column` is where its reason begins."""
        card = self._cards[pick.paper_id]
        first = len(urls) + 1
        said = [f"{link.label} [{n}]".replace(" ", "\N{NO-BREAK SPACE}") for n, link in enumerate(card.links, first)]
        urls.extend(link.url for link in card.links)
        read = wrap(" · ".join(said), 4)
        return self._render(template, card, number=number, why=wrap(why(ENGLISH, pick), column), read=read)


def _byline(pick: Pick, paper: Paper) -> Markup:
    pieces = byline(ENGLISH, paper.authors, followed_by(pick, lambda _: paper.authors))
    return Markup("").join(Markup("<b>{}</b>").format(text) if bold else escape(text) for text, bold in pieces)
