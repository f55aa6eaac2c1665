"""Pages in the language of their list, or in their reader's own: no word is left in another, and figures are right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import html

from digest.members import Ballot, Preferences
from digest.render.language import catalogue, language_of
from digest.render.templates import WEB, Templates, shipped_templates
from digest.settings import load
from digest.subscribe.tokens import Purpose
from digest.web.serving import Hall
from digest.web.site import Site
from tests.asking import ADA, PAPER, Answer, Pages, personal
from tests.catalogues import arabic
from tests.lists import write_list
from tests.test_translation import messages, read_catalogue

WRONG = {"timezone": "Mars", "examples": "x", "hour": "99", "paused_until": "soon", "frequency": "hourly",
         "authors": "\n".join(map(str, range(101))), "language": "?"}  # fmt: skip
SPOKEN = ("aria-label", "placeholder", "data-trouble", "alt")
"""Attributes that somebody reads or hears."""
NOT_OURS = "Lab arXiv Hugging Face ada bob you example org UTC Atom cs CL LG AI CV Mars video xyzzy"
"""Words that no language changes: names, and what the reader has written."""


def public_answers(pages: Pages) -> dict[str, Answer]:
    """Every page that anybody may meet, and every answer to a form, by a name."""
    gets = {
        "front": "/", "second": "/?page=2", "week": "/archive/lab/2026-W24", "month": "/archive/lab/2026-06",
        "archive": "/archive/lab", "found": "/archive/lab?q=video", "not found": "/archive/lab?q=xyzzy",
        "paper": f"/paper/lab/{PAPER}", "nothing": "/nothing/here",
    }  # fmt: skip
    return {name: pages.get(path) for name, path in gets.items()} | {
        "asked": pages.post("/subscribe/lab", {"email": "bob@example.org"}),
        "no address": pages.post("/subscribe/lab", {"email": "bob"}),
        "foreign": pages.post("/subscribe/lab", {"email": ADA}, sec_fetch_site="cross-site"),
        "no method": pages.ask("DELETE", "/archive/lab"),
        "preview": pages.post("/preview/lab", {"topic": "video"}),
        "empty preview": pages.post("/preview/lab", {"words": "xyzzy"}, x_fragment="1"),
        "too often": [pages.post("/subscribe/lab", {"email": f"b{n}@example.org"}) for n in range(11)][-1],
    }


def own_answers(pages: Pages, preferences: Preferences) -> dict[str, Answer]:
    """Every page behind Ada's signed links, before and after its button."""
    links = personal(pages, preferences)
    votes = dict(zip(Ballot, links, strict=False))
    confirm, unsubscribe, own, _, erase = links[len(Ballot) :]
    pages.suppress(member := pages.member(preferences))
    silent = {"preferences of who is suppressed": pages.get(own)}
    pages.site.people.members.confirm(member.id, pages.now)
    asked = silent | {f"vote {ballot}": pages.get(path) for ballot, path in votes.items()} | {
        "confirm": pages.get(confirm), "unsubscribe": pages.get(unsubscribe), "preferences": pages.get(own),
        "erase": pages.get(erase), "wrong": pages.post(own, WRONG), "no library": upload(pages, own, "nonsense"),
    }  # fmt: skip
    return asked | {f"voted {ballot}": pages.post(path) for ballot, path in votes.items()} | {
        "confirmed": pages.post(confirm),
        "saved": upload(pages, own, "@article{a, eprint={2406.04325}, archiveprefix={arXiv}}", preferences.language),
        "unsubscribed": pages.post(unsubscribe),
        "preferences of who left": pages.get(own),
        "vote of who left": pages.post(votes[Ballot.MORE]),
        "erased": pages.post(erase),
    }  # fmt: skip


def upload(pages: Pages, path: str, library: str, language: str | None = None) -> Answer:
    body = (
        f'--x\r\nContent-Disposition: form-data; name="language"\r\n\r\n{language or ""}\r\n'
        f'--x\r\nContent-Disposition: form-data; name="library"; filename="a.bib"\r\n\r\n{library}\r\n--x--\r\n'
    )
    return pages.post(path, body.encode(), content_type="multipart/form-data; boundary=x")


def said(answer: Answer) -> Iterator[str]:
    """What a page says in words of ours: without titles, topics and names, which find their own direction."""
    root = html.document_fromstring(answer.text)
    for element in root.xpath("//*[@dir='auto'] | //*[@rel='external'] | //*[@class='because' or @class='chip']"):
        element.drop_tree()
    for element in root.iter(html.etree.Element):
        yield from (element.get(name, "") for name in SPOKEN)
        if element.tag not in {"style", "script"}:
            yield from (text for text in (element.text, element.tail) if text)


def words_in(answer: Answer) -> set[str]:
    return set(re.findall("[A-Za-z]{2,}", " ".join(said(answer))))


def language_in(answer: Answer) -> tuple[str, str]:
    found = re.search(r'<html lang="([^"]*)" dir="([^"]*)">', answer.text)
    assert found
    return found[1], found[2]


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The templates of which pages are made in a test."""
    made: set[str] = set()
    render = Site.render_in

    def noting(site: Site, language: object, template: str, **names: object) -> str:
        made.add(template)
        return render(site, language, template, **names)  # type: ignore[arg-type]

    monkeypatch.setattr(Site, "render_in", noting)
    return made


def test_no_english_word_is_left_on_any_page(tmp_path: Path, rendered: set[str]) -> None:
    """In Arabic letters, what is Latin is a name; every template that says something has been looked at."""
    with arabic(tmp_path / "ar") as tag:
        pages = Pages(tmp_path / "list", language=tag)
        with pages.hall:
            answers = public_answers(pages) | own_answers(pages, Preferences(language=tag))
    for name, answer in answers.items():
        if name != "empty preview":  # a part of a page
            assert language_in(answer) == ("ar", "rtl"), name
        own_title = {"paper"} & {name} and set(re.findall("[A-Za-z]{2,}", answer.text.partition("</title>")[0]))
        left = words_in(answer) - set(NOT_OURS.split()) - (own_title or set())
        assert left == set(), name
    assert re.search(r'rel="prev"><span aria-hidden="true">→<', answers["front"].text), "back is to the right"
    included = {"base.html", "answer.html", "card.html", "join.html", "lists.html", "silent.html"}
    speaking = {file.name for file in (shipped_templates() / "web").glob("*.html") if "_(" in file.read_text("utf-8")}
    assert speaking - included <= rendered


@pytest.mark.parametrize("tag", ["de", "fr"])
def test_a_whole_page_is_in_one_language(tmp_path: Path, tag: str) -> None:
    """No message of the catalogue stands anywhere in its English."""
    pages = Pages(tmp_path, language=tag)
    with pages.hall:
        answers = public_answers(pages) | own_answers(pages, Preferences())
    translated = catalogue(tag)
    english = [
        re.sub(r"%\\\(\w+\\\)s", ".+", re.escape(one))
        for message in messages(read_catalogue(tag))
        for one in ([message.id] if isinstance(message.id, str) else message.id)
        if re.search(r"[A-Za-z]{3}", re.sub(r"%\(\w+\)s", "", one)) and translated.gettext(one) != one
    ]
    any_of_them = re.compile("|".join(english))
    for name, answer in answers.items():
        if name != "empty preview":
            assert language_in(answer) == (tag, "ltr"), name
        left = [text for text in said(answer) if any_of_them.fullmatch(" ".join(text.split()))]
        assert left == [], name


@pytest.mark.parametrize(
    ("tag", "shown", "foot"),
    [
        ("fr", "fr", "Nous écrire"),
        ("de-AT", "de-AT", "Schreiben Sie uns"),
        ("nl", "en", "Write to us"),
        (None, "en", "Write to us"),
    ],
)
def test_signed_pages_are_in_the_readers_language(tmp_path: Path, tag: str | None, shown: str, foot: str) -> None:
    """Hers where she has one, the list's where she has none; what everybody sees stays as it is."""
    pages = Pages(tmp_path)
    with pages.hall:
        for name, answer in own_answers(pages, Preferences(language=tag)).items():
            assert language_in(answer)[0] == shown, name
            assert foot in answer.text, name
        for name, answer in public_answers(pages).items():
            if name != "empty preview":
                assert language_in(answer)[0] == "en", name


def test_what_is_wrong_is_said_in_her_language(pages: Pages) -> None:
    """Beside each field."""
    own = pages.link(Purpose.PREFERENCES, pages.member(Preferences(language="fr")))
    told = re.findall(r'class="problem" id="(\w+)-problem">([^<]*)<', pages.post(own, WRONG).text)
    assert {name: text.replace("\u202f", " ").replace("\u00a0", " ") for name, text in told} == {
        "authors": "Il y a de la place pour 100 ; en voici 101.",
        "examples": "« x » n’est ni un identifiant arXiv, comme 2406.04325, ni un DOI.",
        "frequency": "Ce choix n’est pas proposé.",
        "hour": "Ce choix n’est pas proposé.",
        "language": "Ce choix n’est pas proposé.",
        "timezone": "Indiquez un fuseau horaire, par exemple Europe/Berlin.",
        "paused_until": "Indiquez un jour, par exemple 2026-12-24.",
    }


def test_a_chosen_language_holds_at_once(pages: Pages) -> None:
    """The answer to the form is in it, and so is the next page."""
    own = pages.link(Purpose.PREFERENCES, pages.member())
    assert language_in(pages.get(own))[0] == "en"
    assert language_in(pages.post(own, {"language": "de"}))[0] == "de"
    assert language_in(pages.get(own))[0] == "de"
    assert language_in(pages.post(own, {"language": ""}))[0] == "en"


def test_a_countrys_language_is_not_lost_by_saving(pages: Pages) -> None:
    """What the config or an import gave her is among the choices, and chosen."""
    member = pages.member(Preferences(language="de-AT"))
    own = pages.link(Purpose.PREFERENCES, member)
    chosen = re.search(r'<option value="([^"]*)" selected>Deutsch \(Österreich\)<', pages.get(own).text)
    assert chosen
    pages.post(own, {"language": chosen[1]})
    after = pages.site.people.members.get(member.id)
    assert after
    assert after.preferences.language == "de-AT"


@pytest.mark.parametrize(
    ("tag", "day", "week", "hour"),
    [
        ("en", "Wednesday, 10 June 2026", "8 – 14 Jun 2026", "19:00"),
        ("en-US", "Wednesday, June 10, 2026", "Jun 8 – 14, 2026", "7:00 PM"),
        ("de", "Mittwoch, 10. Juni 2026", "8.–14. Juni 2026", "19:00"),
        ("fr", "mercredi 10 juin 2026", "8–14 juin 2026", "19:00"),
    ],
)
def test_days_and_hours_are_written_as_the_language_does(
    tmp_path: Path, tag: str, day: str, week: str, hour: str
) -> None:
    """On the page of a day, of a week, and among the choices of hours."""
    pages = Pages(tmp_path, language=tag)
    with pages.hall:
        paths = ("/archive/lab/2026-06-10", "/archive/lab/2026-W24", pages.link(Purpose.PREFERENCES, pages.member()))
        seen = [re.sub(r"\s+", " ", pages.get(path).text) for path in paths]
    for page, piece in zip(seen, (day, week, f">{hour}<"), strict=True):
        assert piece in page


def test_a_week_over_new_year_has_both_years() -> None:
    """Else nobody would know which."""
    from digest.web.spans import read_span

    span = read_span("2026-W01")
    assert span
    assert re.sub(r"\s+", " ", span.title(language_of("en"))) == "29 Dec 2025 – 4 Jan 2026"


def test_a_template_counts_as_the_language_does(tmp_path: Path) -> None:
    """`%(num)s` of a message has the language's sign between thousands, and its plural."""
    file = tmp_path / "web" / "own.html"
    file.parent.mkdir()
    file.write_text('{{ ngettext("%(num)s paper", "%(num)s papers", n) }}', encoding="utf-8")
    told = {
        tag: [Templates(WEB, tmp_path, language_of(tag)).render("own.html", n=n) for n in (1, 1204)]
        for tag in ("en", "de", "fr")
    }
    assert told == {
        "en": ["1 paper", "1,204 papers"],
        "de": ["1 Paper", "1.204 Paper"],
        "fr": ["1 article", "1\u202f204 articles"],
    }


def test_several_lists_have_a_language_each(tmp_path: Path) -> None:
    """The first one's is that of the page of all, and of no page; trouble is told in that of the list it is about."""
    paths = []
    for tag in ("de", "fr"):
        (tmp_path / tag).mkdir()
        path = write_list(tmp_path / tag, readers=1)
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r'\[list\]\nid = "\w+"', f'[list]\nid = "{tag}"\nlanguage = "{tag}"', text), "utf-8")
        paths.append(path)
    pages = Pages(tmp_path / "other")
    pages.hall.__exit__()
    with Hall(load(paths).lists, lambda: pages.now) as hall:
        pages.hall, pages.application = hall, hall.application()
        foreign = {"sec_fetch_site": "cross-site"}
        seen = {path: language_in(pages.get(path))[0] for path in ("/", "/de", "/fr", "/nothing/here")}
        told = {tag: language_in(pages.post(f"/subscribe/{tag}", {}, **foreign))[0] for tag in ("de", "fr", "xx")}
        assert "Mailinglisten" in pages.get("/").text
    assert seen == {"/": "de", "/de": "de", "/fr": "fr", "/nothing/here": "de"}
    assert told == {"de": "de", "fr": "fr", "xx": "de"}
