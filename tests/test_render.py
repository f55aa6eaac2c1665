"""One edition's messages: what is in them, that they are the same every time, and that they fit."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.model import (
    Address,
    AnnounceType,
    Candidate,
    Coverage,
    Edition,
    Frequency,
    Link,
    LinkKind,
    MailingList,
    PaperId,
    Profile,
    Selection,
    Sighting,
    SourceSummary,
    Subscriber,
    SubscriberId,
    Theme,
    Topic,
)
from digest.render import EditionRenderer
from digest.render.edition import CLIP
from tests.render_samples import (
    ADA,
    EDITION,
    LIST,
    SOURCES,
    VOTING,
    body,
    candidate,
    candidates,
    delivery,
    paper,
    picks,
    read,
    renderer,
    whole_selection,
)

GOLDEN = Path(__file__).parent / "golden"
PAPERS = [paper(n) for n in range(1, 4)]
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """What is in an HTML page: elements with their attributes, links, visible text, and whether all is closed."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.links: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data


def words(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())


def test_what_is_composed_reads_back_equal() -> None:
    """Subject, text and HTML read back from the wire form are those that were rendered, without a defect."""
    edition = renderer(PAPERS)
    rendered = edition.render(ADA, Selection(picks(PAPERS)))
    message = read(edition.compose(ADA, delivery(ADA, picks(PAPERS))))
    assert message["Subject"] == rendered.subject
    assert body(message, "plain") == rendered.text
    assert body(message, "html") == rendered.html
    assert not any(part.defects for part in message.walk())
    assert message["To"] == "Ada Quill <ada@example.net>"


def test_the_same_delivery_gives_the_same_bytes_in_another_process() -> None:
    """Two renderers, made apart and used in another order, compose the same bytes."""
    first, second = renderer(PAPERS), renderer(PAPERS)
    second.render(ADA, Selection(picks(PAPERS[::-1])))
    due = delivery(ADA, picks(PAPERS))
    assert first.compose(ADA, due) == second.compose(ADA, due) == first.compose(ADA, due)


def test_a_card_is_the_same_whatever_it_is_made_with() -> None:
    """A card made alone, first or last among many is the same, to the byte."""
    papers = [paper(n) for n in range(1, 31)]
    alone = renderer(papers).render(ADA, Selection(picks(papers[22:23]))).html
    many = renderer(papers)
    many.render(ADA, Selection(picks(papers)))
    assert many.render(ADA, Selection(picks(papers[22:23]))).html == alone


def test_lines_are_short_and_end_in_crlf() -> None:
    """No line of the message is over 78 bytes, none of the bodies over 76, and every one ends in CRLF."""
    message = renderer(PAPERS).compose(ADA, delivery(ADA, picks(PAPERS)))
    assert message.endswith(b"\r\n")
    assert not set(b"\r\n") & set(message.replace(b"\r\n", b""))
    head, _, rest = message.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 78
    assert max(map(len, rest.split(b"\r\n"))) <= 76
    assert not any(line.startswith(b".") for line in message.split(b"\r\n"))


def test_the_date_is_when_the_delivery_was_queued() -> None:
    """The Date is the delivery's, in the list's zone; without one it is the edition's cutoff."""
    due = delivery(ADA, picks(PAPERS))
    edition = renderer(PAPERS)
    assert read(edition.compose(ADA, due))["Date"] == "Wed, 10 Jun 2026 08:00:00 +0200"
    queued = dataclasses.replace(due, queued_at=datetime(2026, 6, 10, 7, 30, tzinfo=UTC))
    assert read(edition.compose(ADA, queued))["Date"] == "Wed, 10 Jun 2026 09:30:00 +0200"


def test_the_message_goes_to_the_address_that_was_queued() -> None:
    """A subscriber who has moved meanwhile gets this delivery where it was addressed, and is told so."""
    moved = dataclasses.replace(ADA, address=Address("new@example.net"))
    message = read(renderer(PAPERS).compose(moved, delivery(ADA, picks(PAPERS))))
    assert message["To"].addresses[0].addr_spec == "ada@example.net"
    assert "Sent to ada@example.net." in body(message, "plain")


def test_the_email_says_what_the_day_was_like() -> None:
    """List, date, number, counts, papers with their reasons, completeness, leaving and postal address are there."""
    rendered = renderer([*PAPERS, paper(4)]).render(ADA, Selection(picks(PAPERS)))
    assert rendered.subject == f"{PAPERS[0].title} + 2 more papers (10 June)"
    assert rendered.preheader.startswith("Also: Tidal Attention, Part 2")
    for text in (words(Page(rendered.html).text), words(rendered.text)):
        for said in (
            "The Morning Offprint",
            "Wednesday, 10 June 2026",
            "No. 42",
            "4 announced · 3 for you · 1 trending",
            "For Ada Quill",
            PAPERS[2].title,
            "Wren Okonjo-Hale, Mathilde Fauré-Lindgren, Tae-yang Mok et al. (4 authors)",
            "arXiv, 9 June; Hugging Face, 10 June",
            "Why: video-generation: text-to-video, diffusion · 412 upvotes",
            "The memory costs nothing in the length of the video. …",
            "You follow video-generation; the author Wren Okonjo-Hale; the category cs.CV.",
            "Sent to ada@example.net.",
            "arXiv: 123 announced, 62 new",
            "Hugging Face: 45 announced",
            "journal: failed: the server did not answer within 20 s",
            "from 9 June, 08:00 to 10 June, 08:00 (Europe/Berlin)",
            "unsubscribe offprint",
            "12 Galley Row, Inkwell",
        ):
            assert words(said) in text
        assert "We release weights" not in text


WEEKLY_LIST = dataclasses.replace(LIST, frequency=Frequency.WEEKLY)
LATE = datetime(2026, 6, 10, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("mailing_list", "changes", "days"),
    [
        (LIST, {"since": datetime(2026, 6, 5, 5, tzinfo=UTC)}, "10 June"),
        (LIST, {"since": datetime(2026, 6, 3, 5, tzinfo=UTC), "frequency": Frequency.WEEKLY}, "4 – 10 June"),
        (LIST, {"since": datetime(2026, 6, 3, 22, tzinfo=UTC), "frequency": Frequency.WEEKLY}, "5 – 10 June"),
        (LIST, {"since": datetime(2026, 5, 4, 5, tzinfo=UTC), "frequency": Frequency.MONTHLY}, "5 May – 10 June"),
        (LIST, {"since": None, "frequency": Frequency.WEEKLY}, "10 June"),
        (WEEKLY_LIST, {"since": datetime(2026, 6, 3, 5, tzinfo=UTC)}, "4 – 10 June"),
        (WEEKLY_LIST, {"since": LATE}, "10 June"),
    ],
    ids=["monday", "weekly", "in the list's zone", "monthly", "first", "a weekly list", "two on a day"],
)
def test_a_subject_names_the_days_of_what_comes_less_often_than_daily(
    mailing_list: MailingList, changes: dict[str, Any], days: str
) -> None:
    """From the day after the last edition's on; a daily list's own edition has the day alone, also after a weekend."""
    edition: Edition = dataclasses.replace(EDITION, **changes)
    made = EditionRenderer(mailing_list, edition, candidates(PAPERS), SOURCES)
    assert made.render(ADA, Selection(picks(PAPERS))).subject == f"{PAPERS[0].title} + 2 more papers ({days})"
    nothing = made.render(ADA, Selection()).subject
    assert nothing == f"Nothing for you{'' if '–' in days else ' today'} ({days})"


def test_the_text_part_is_made_for_reading() -> None:
    """Lines of 72 columns, links numbered through the email and listed at its end."""
    text = renderer(PAPERS).render(ADA, Selection(picks(PAPERS))).text
    assert all(len(line) <= 72 or "https://" in line for line in text.splitlines())
    assert "Abstract\N{NO-BREAK SPACE}[4] · PDF\N{NO-BREAK SPACE}[5]" in text
    assert "\n  [4] https://arxiv.org/abs/2606.90002\n" in text
    assert "<" not in text


def test_a_quiet_day_is_said_in_words() -> None:
    """No picks: the email says so, says why, and names what could not be read."""
    rendered = renderer(PAPERS).render(ADA, Selection())
    assert rendered.subject == "Nothing for you today (10 June)"
    for text in (words(Page(rendered.html).text), words(rendered.text)):
        assert "3 announced · none for you" in text
        assert "All quiet" in text
        assert "None of the 3 papers announced is close enough to what you follow." in text
        assert "1 source could not be read" in text
        assert "Links" not in text


@pytest.mark.parametrize(
    ("papers", "sources", "said"),
    [
        (0, SOURCES[:1], "No new paper was announced since the last edition. The next"),
        (0, SOURCES[2:], "None of the sources could be read."),
        (1, SOURCES[:1], "The one paper announced is not close to what you follow. The next"),
    ],
)
def test_a_quiet_day_has_its_own_reasons(papers: int, sources: Sequence[SourceSummary], said: str) -> None:
    """Nothing announced, nothing readable and nothing fitting are three different days."""
    edition = EditionRenderer(LIST, EDITION, candidates(PAPERS[:papers]), sources)
    assert said in words(edition.render(ADA, Selection()).text)


def test_a_source_tells_how_complete_it_is() -> None:
    """Fewer papers than the source announced, a failure half-way and remarks are told."""
    sources = (
        SourceSummary(
            "arxiv",
            120,
            62,
            ("the feed is dated 3 days ago", "no file for 2026-06-08 in /srv/feeds/arxiv"),
            coverage=(Coverage("cs.CV", 80, 81), Coverage("cs.LG", 40, 40), Coverage("stat.ML", 3, None)),
            announced=(date(2026, 6, 8), date(2026, 6, 9)),
        ),
        SourceSummary("biorxiv", 7, 7, coverage=(Coverage("", 7, 9),), announced=(date(2026, 6, 9),)),
        SourceSummary("journal", 7, 7, error="cut off"),
    )
    text = words(EditionRenderer(LIST, EDITION, candidates(PAPERS), sources).render(ADA, Selection(picks(PAPERS))).text)
    assert (
        "arXiv: cs.CV 80 of 81 and cs.LG 40 of 40, announced Monday to Tuesday, 62 new (the feed is dated 3 days ago; "
        "no file for 2026-06-08 in arxiv)"
    ) in text
    assert "bioRxiv: 7 of 9, announced Tuesday" in text
    assert "journal: failed after 7 announcements: cut off" in text


def test_subscribers_get_their_own_and_nothing_of_each_other() -> None:
    """Heading, reasons, profile and address are of the one who gets the email."""
    edition = renderer(PAPERS)
    bob = Subscriber(
        SubscriberId(4),
        Address("bob@example.net"),
        profile=Profile((Topic("robots"), Topic("cells")), examples=(PaperId("x"),)),
    )
    edition.render(ADA, Selection(picks(PAPERS)))
    rendered = edition.render(bob, Selection(picks(PAPERS[1:], reason="robots: grasping")))
    for text in (rendered.html, rendered.text):
        assert "For you" in text
        assert "robots: grasping" in text
        assert "You follow robots and cells; papers like 1 paper of your choice." in words(text)
        assert "ada@" not in text
        assert "Ada" not in text
        assert "text-to-video" not in text


@pytest.mark.parametrize(
    "address",
    [f"{LIST.name}\n12 Galley Row", f"{LIST.name}, 12 Galley Row", "12 Galley Row", f" {LIST.name} \n\n12 Galley Row"],
)
def test_the_foot_has_the_list_s_name_once(address: str) -> None:
    """An address that begins with it, as addresses do, is not given it a second time."""
    rendered = renderer([PAPERS[0]], dataclasses.replace(LIST, postal_address=address)).render(
        ADA, Selection(picks([PAPERS[0]]))
    )
    for text in (Page(rendered.html).text, rendered.text):
        assert words(text).endswith(f"{LIST.name}, 12 Galley Row")
        assert f"{LIST.name}, {LIST.name}" not in words(text)


def test_markup_in_a_paper_is_inert() -> None:
    """Tags, entities and template syntax in a paper and a name are shown as they are written."""
    evil = '<script>alert("1")</script><a href="http://evil.example">x</a> &amp; {{ 7*7 }} {% raw %} --> <!-- ]]>'
    odd = paper(title=evil, abstract=evil, authors=(evil,), categories=(evil,))
    person = dataclasses.replace(ADA, name=evil, profile=Profile((Topic(evil),)))
    rendered = EditionRenderer(
        dataclasses.replace(LIST, name=evil, postal_address=evil),
        EDITION,
        candidates([odd]),
        (SourceSummary(evil, 1, 1, error=evil),),
    ).render(person, Selection(picks([odd], reason=evil)))
    page = Page(rendered.html)
    assert not any(tag == "script" for tag, _ in page.elements)
    assert all(
        link.startswith(("https://arxiv.org/", "https://huggingface.co/", "mailto:digest@")) for link in page.links
    )
    assert words(page.text).count(evil) >= 6
    assert words(rendered.text).count("{{ 7*7 }}") >= 6


TEXT = st.text(max_size=80) | st.text(alphabet="<>&\"'{}%#-! \n\t\0\u202eslot/a漢", max_size=200)


@settings(max_examples=25, deadline=None)
@given(TEXT, TEXT, TEXT, TEXT)
def test_no_text_breaks_the_page(title: str, abstract: str, name: str, reason: str) -> None:
    """Whatever a paper, a name and a reason hold, the page has the same elements, and the message reads back."""
    plainly = Page(renderer([paper(abstract="An abstract.")]).render(ADA, Selection(picks([paper()]))).html)
    odd = paper(title=title, abstract=abstract + " An abstract.")
    edition = renderer([odd])
    person = dataclasses.replace(ADA, name=name)
    rendered = edition.render(person, Selection(picks([odd], reason=reason)))
    # An abstract of three sentences has its key one marked, and is the same page otherwise.
    elements = [tag for tag, attributes in Page(rendered.html).elements if attributes.get("class") != "key"]
    assert elements == [tag for tag, _ in plainly.elements]
    message = read(edition.compose(person, delivery(person, picks([odd], reason=reason))))
    assert (message["Subject"], body(message, "plain")) == (rendered.subject, rendered.text)
    assert body(message, "html") == rendered.html


def test_only_web_and_mail_links_are_in_the_email() -> None:
    """A paper's other addresses are dropped from both parts, and nothing remote is loaded."""
    bad = paper(links=(Link(LinkKind.ABS, "javascript:alert(1)"), Link(LinkKind.PDF, "ftp://example.org/x")))
    rendered = renderer([bad]).render(ADA, Selection(picks([bad])))
    page = Page(rendered.html)
    assert [link[:7] for link in page.links] == ["mailto:"]
    assert "javascript:" not in rendered.html + rendered.text
    assert not any(tag in {"img", "link", "script", "iframe"} for tag, _ in page.elements)
    assert not any({"src", "background", "srcset"} & attributes.keys() for _, attributes in page.elements)
    assert "url(" not in rendered.html
    assert "@import" not in rendered.html


def test_the_page_is_accessible() -> None:
    """It has a language and a title, headings in order, layout tables marked as such, and both colour schemes."""
    rendered = renderer(PAPERS).render(ADA, Selection(picks(PAPERS)))
    page = Page(rendered.html)
    elements = dict(page.elements)
    assert elements["html"]["lang"] == "en"
    assert "title" in elements
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[:3] == [1, 2, 3]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(attributes.get("role") == "presentation" for tag, attributes in page.elements if tag == "table")
    assert ("meta", {"name": "color-scheme", "content": "light dark"}) in page.elements
    assert "@media (prefers-color-scheme: dark)" in rendered.html
    assert "!important" in rendered.html


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_enough_contrast(scheme: str) -> None:
    """Every text colour has a contrast of at least 4.5 to 1 on the grounds it stands on (WCAG 2.2, 1.4.3)."""
    folder = Path(__file__).parents[1] / "templates" / "email" / "daily"
    css = (folder / "style.css").read_text() if scheme == "light" else (folder / "client.css").read_text()
    grounds = _colours(css, "background-color")
    assert {"page", "chip", "key", "heat0", "heat4"} <= grounds.keys()
    inks = _colours(css, "(?<!-)color")
    inks.pop("preheader")
    assert len(inks) > 8
    for name, ink in inks.items():
        ground = grounds.get(name, grounds["page"])
        assert _contrast(ink, ground) >= 4.5, (name, ink, ground)


def _colours(css: str, what: str) -> dict[str, str]:
    found = re.findall(rf"([^{{}}]*)\{{[^{{}}]*{what}: (#[0-9a-f]{{6}})", css)
    return {name: colour for names, colour in found for name in re.findall(r"\.([\w-]+)", names)}


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("count", [12, 30, 60, 400])
def test_the_html_stays_below_what_gmail_clips(count: int) -> None:
    """However many papers, the HTML is under 100,000 bytes; those at the end shrink, and the text names every one."""
    papers = [paper(n, title=f"Paper number {n} about {'long things ' * 9}") for n in range(1, count + 1)]
    rendered = renderer(papers).render(ADA, Selection(picks(papers)))
    size = len(rendered.html.encode())
    assert size < CLIP
    assert size > 85_000 or count == 12
    page = Page(rendered.html)
    shown = page.text.count("The memory costs nothing")
    assert shown == count if count == 12 else 0 <= shown < count
    assert ("No room in this email" in page.text) == (count == 400)
    assert all(f"Paper number {n} about" in rendered.text for n in range(1, count + 1))


def test_the_html_stays_below_what_gmail_clips_whatever_the_input() -> None:
    """Endless titles, names, reasons, notes and profiles do not push it over either."""
    endless = '漢"&<' * 3000
    papers = [
        paper(n, title=endless + str(n), abstract=endless, authors=(endless,) * 50, categories=(endless,) * 50)
        for n in range(40)
    ]
    profile = Profile(tuple(Topic(endless) for _ in range(99)), authors=(endless,) * 99, categories=(endless,) * 99)
    person = dataclasses.replace(ADA, name=endless, profile=profile)
    sources = tuple(SourceSummary(f"{endless}{n}", 1, 1, notes=(endless,) * 9, error=endless) for n in range(99))
    edition = EditionRenderer(
        dataclasses.replace(LIST, name=endless, postal_address=endless), EDITION, candidates(papers), sources
    )
    rendered = edition.render(person, Selection(picks(papers, reason=endless)))
    assert len(rendered.html.encode()) < CLIP
    Page(rendered.html)
    message = edition.compose(person, delivery(person, picks(papers, reason=endless)))
    assert max(map(len, message.split(b"\r\n"))) <= 998


def test_a_bare_paper_makes_a_card() -> None:
    """A title alone is enough: no empty links, no empty lines for what is unknown."""
    bare = paper(links=(), authors=(), abstract="", categories=(), doi=None)
    edition = EditionRenderer(LIST, EDITION, {bare.id: Candidate(bare, ())}, SOURCES)
    rendered = edition.render(ADA, Selection(picks([bare])))
    assert Page(rendered.html).links == ["mailto:digest@example.org?subject=unsubscribe%20offprint"]
    assert "Why: video-generation" in rendered.text
    assert "Links" not in rendered.text


@cache
def _golden_editions() -> dict[str, bytes]:
    varied = [
        paper(1),
        paper(2, title="Ünïcode — 拡散モデル · Видео", authors=("Søren Ødegård",), doi="10.1000/182"),
        paper(3, abstract="One sentence.", links=(), categories=()),
    ]
    revised = Candidate(varied[2], (Sighting("journal", AnnounceType.REPLACE, None),))
    edition = EditionRenderer(LIST, EDITION, {**candidates(varied[:2]), varied[2].id: revised}, SOURCES)
    whole = [paper(n, title=f"Paper {n}", authors=("A", "B", "C", "Tim Brooks", "D")) for n in range(3, 8)]
    themes = {
        theme: EditionRenderer(dataclasses.replace(LIST, theme=theme), EDITION, candidates(whole), SOURCES, VOTING)
        for theme in Theme
    }
    due = dataclasses.replace(delivery(ADA, ()), frozen=lambda: whole_selection(whole))
    german = dataclasses.replace(ADA, language="de")
    return {
        "daily": edition.compose(ADA, delivery(ADA, picks(varied))),
        "quiet": edition.compose(ADA, delivery(ADA, ())),
        **{f"whole-{theme}": renderer.compose(ADA, due) for theme, renderer in themes.items()},
        "german": themes[Theme.DAILY].compose(german, due),
    }


@pytest.mark.parametrize("name", ["daily", "quiet", "german", *(f"whole-{theme}" for theme in Theme)])
def test_messages_are_as_they_were(name: str) -> None:
    """The message is the golden one, but for what is derived; DIGEST_REGENERATE=1 rewrites the golden one."""
    message = _golden_editions()[name].replace(b"\r\n", b"\n")
    masked = re.sub(rb"<[a-z2-7]{32}@", b"<MASKED@", re.sub(rb"=_[a-z2-7]{32}", b"=_MASKED", message))
    file = GOLDEN / f"{name}.eml"
    if os.environ.get("DIGEST_REGENERATE"):
        file.write_bytes(masked)
    assert masked == file.read_bytes(), "changed; look at it, then set DIGEST_REGENERATE=1 and run again"


def test_composing_renders_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once an edition's cards are made, no message calls Jinja or premailer again."""
    edition = renderer(PAPERS)
    due = delivery(ADA, picks(PAPERS))
    expected = edition.compose(ADA, due)

    def refuse(*_: object, **__: object) -> str:
        raise AssertionError("rendered again")

    monkeypatch.setattr("jinja2.Template.render", refuse)
    monkeypatch.setattr("digest.render.inline.inline_css", refuse)
    assert edition.compose(ADA, due) == expected


def test_a_pick_that_is_no_candidate_is_refused() -> None:
    """A pick of another edition is a mistake of the caller, not a hole in the email."""
    with pytest.raises(KeyError):
        EditionRenderer(LIST, EDITION, {PAPERS[0].id: candidate(PAPERS[0])}, SOURCES).render(
            ADA, Selection(picks(PAPERS))
        )
