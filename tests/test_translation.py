"""Emails in their readers' languages: whole catalogues, dates and figures as each writes them, right to left."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po
from babel.numbers import get_group_symbol

from digest.errors import TemplateError
from digest.model import Frequency, Profile, Remark, Says, Selection, SourceSummary, Subscriber, Topic
from digest.render import EditionRenderer, Rendered, wording
from digest.render.cards import announced, byline
from digest.render.language import CATALOGUES, language_of, languages, speaks
from digest.render.remarks import english, remark
from tests.catalogues import arabic
from tests.lists import DAY_ONE, write_list
from tests.render_samples import (
    ADA,
    EDITION,
    LIST,
    SOURCES,
    VOTING,
    candidate,
    candidates,
    delivery,
    paper,
    picks,
    read,
    whole_selection,
)
from tests.test_cli import run

ROOT = Path(__file__).parents[1]
TRANSLATED = languages()[1:]
NBSP, NARROW = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"
PAPERS = [paper(number) for number in range(1, 8)]
WHOLE = whole_selection(PAPERS)
JUNE = date(2026, 6, 10)


def rendered(tag: str | None, selection: Selection = WHOLE, reader: Subscriber = ADA) -> Rendered:
    edition = EditionRenderer(LIST, EDITION, candidates(PAPERS), SOURCES, VOTING)
    return edition.render(replace(reader, language=tag), selection)


def words(text: str) -> str:
    return " ".join(text.split())


# --- the catalogues -------------------------------------------------------------------------------------------------


def read_catalogue(tag: str) -> Catalog:
    with (CATALOGUES / tag / "LC_MESSAGES" / "digest.po").open("rb") as file:
        return read_po(file, locale=tag)


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Every message of the sources and templates, by the command that `language.py` documents."""
    file = tmp_path_factory.mktemp("pot") / "digest.pot"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        command = ["pybabel", "-q", "extract", "-F", "pyproject.toml", "-o", str(file), "digest", "templates"]
        CommandLineInterface().run(command)  # type: ignore[no-untyped-call]
    with file.open("rb") as opened:
        return read_po(opened)


def forms(message: Message) -> Sequence[str]:
    return (message.string,) if isinstance(message.string, str) else message.string or ()


def messages(of: Catalog) -> Iterator[Message]:
    return (message for message in of if message.id)


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)s|%", text))


def test_there_are_english_and_two_languages() -> None:
    """English, German and French."""
    assert languages() == ("en", "de", "fr")


@pytest.mark.parametrize("tag", TRANSLATED)
def test_a_catalogue_has_what_the_sources_say_and_nothing_else(extracted: Catalog, tag: str) -> None:
    """Every message of today's sources, none of yesterday's; else run the commands in `digest/render/language.py`."""
    translated = read_catalogue(tag)
    assert len(list(messages(extracted))) > 100
    assert {m.id for m in messages(translated)} == {m.id for m in messages(extracted)}
    assert not translated.obsolete


def test_a_plural_has_a_singular_of_its_own() -> None:
    """Gettext looks it up by that: two that shared one would share a translation, and Babel would drop the other."""
    plurals: dict[str, set[str]] = {}
    for file in (*ROOT.glob("digest/**/*.py"), *ROOT.glob("templates/**/*.*")):
        code = re.sub(r"^ *#.*\n", "", file.read_text(encoding="utf-8"), flags=re.M)
        for one, many in re.findall(r'ngettext\(\s*"([^"]+)",\s*"([^"]+)"', code):
            plurals.setdefault(one, set()).add(many)
    assert len(plurals) > 25
    assert {one: many for one, many in plurals.items() if len(many) > 1} == {}


@pytest.mark.parametrize("tag", TRANSLATED)
def test_every_message_is_translated_with_its_placeholders(tag: str) -> None:
    """None is empty or fuzzy, each plural form is there, and each placeholder once for each time in English."""
    translated = read_catalogue(tag)
    for message in messages(translated):
        ids = (message.id,) if isinstance(message.id, str) else message.id
        allowed = [placeholders(one) for one in ids]
        said = forms(message)
        assert all(text.strip() for text in said), message.id
        assert not message.fuzzy, message.id
        assert len(said) == (1 if len(ids) == 1 else translated.num_plurals), message.id
        assert placeholders(said[-1]) == allowed[-1], message.id
        assert all(placeholders(text) in allowed for text in said), message.id
        assert list(message.check(translated)) == [], message.id


def test_translations_are_set_as_their_countries_set_type() -> None:
    """French has a narrow space before ; ! and ?, a whole one before : and inside its quotes, and none of them breaks;
    German has no English quotes.
    """
    for message in messages(read_catalogue("fr")):
        for text in forms(message):
            for sign in re.finditer("[;!?]", text):
                assert text[sign.start() - 1] == NARROW, text
            for sign in re.finditer("[:»]", text):
                assert text[sign.start() - 1] == NBSP, text
            assert all(text[sign.end()] == NBSP for sign in re.finditer("«", text)), text
            assert not re.search("['“”„]", text), text
    for message in messages(read_catalogue("de")):
        for text in forms(message):
            assert not re.search(r"”|'|\"", text), text
            assert text.count("„") == text.count("“"), text


# --- words ----------------------------------------------------------------------------------------------------------


def signal(name: str, value: float) -> Remark:
    return Remark(Says.SIGNAL, (name,), (value,))


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("en", ["0 upvotes", "1 upvote", "2 upvotes", "1,204 upvotes", "12.5 stars a day", "1.5 stars a day"]),
        ("de", ["0 Upvotes", "1 Upvote", "2 Upvotes", "1.204 Upvotes", "12,5 Sterne am Tag", "1,5 Sterne am Tag"]),
        (
            "de-CH",  # whose apostrophe is straight or curved, by the release of CLDR
            [
                *("0 Upvotes", "1 Upvote", "2 Upvotes", f"1{get_group_symbol('de_CH')}204 Upvotes"),
                *("12.5 Sterne am Tag", "1.5 Sterne am Tag"),
            ],
        ),
        (
            "fr",
            ["0 vote", "1 vote", "2 votes", "1\u202f204 votes", "12,5 étoiles par jour", "1,5 étoiles par jour"],
        ),
    ],
)
def test_figures_and_plurals_are_each_languages_own(tag: str, said: list[str]) -> None:
    """French has no plural at nought, Germans a point between thousands, the Swiss an apostrophe."""
    figures = [signal("upvotes", n) for n in (0, 1, 2, 1204)] + [signal("stars_per_day", n) for n in (12.5, 1.5)]
    assert [remark(language_of(tag), figure) for figure in figures] == said


@pytest.mark.parametrize("tag", languages())
@pytest.mark.parametrize("says", Says)
def test_every_remark_has_words(tag: str, says: Says) -> None:
    """Whatever the ranking says, it is told in every language, with what it names."""
    figures: dict[Says, tuple[float, ...]] = {Says.PLACE: (13, 12), Says.IRRELEVANT: (0.18, 0.2)}
    of = Remark(says, ("upvotes",) if says is Says.SIGNAL else ("one", "two"), figures.get(says, (3,)), JUNE)
    if says is Says.SIGNAL:
        of = signal("upvotes", 3)
    told = remark(language_of(tag), of)
    assert told
    assert "%" not in told
    assert "\n" not in told
    alike = {Says.WRITTEN, *([Says.TOPIC] if tag == "de" else [])}
    assert (told == english(of)) == (tag == "en" or says in alike), told


def test_a_remark_holds_no_second_line() -> None:
    """What names come with from outside is one line; what a translation sets, such as French spaces, is kept."""
    of = Remark(Says.LIKE, ("a title\nwith\u2028lines\u202e",))
    assert remark(language_of("fr"), of) == f"proche de «{NBSP}a title with lines{NBSP}»"
    assert remark(language_of("de"), of) == "ähnlich wie „a title with lines“"


def test_lists_of_names_are_joined_as_the_language_does() -> None:
    """`and` is each language's own; English has no comma before it, but American English has."""
    names = ["A", "B", "C"]
    assert [language_of(tag).listed(names) for tag in ("en", "en-US", "de", "fr")] == [
        "A, B and C", "A, B, and C", "A, B und C", "A, B et C",
    ]  # fmt: skip
    assert [language_of("de").listed(names[:count]) for count in (0, 1, 2)] == ["", "A", "A und B"]
    assert language_of("de").listed(names, "or") == "A, B oder C"


# --- dates, times and tags ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "long", "short", "weekday", "initials"),
    [
        ("en", "Wednesday, 10 June 2026", "10 June", "Wednesday", "We"),
        ("en-US", "Wednesday, June 10, 2026", "June 10", "Wednesday", "We"),
        ("de", "Mittwoch, 10. Juni 2026", "10. Juni", "Mittwoch", "Mi"),
        ("fr", "mercredi 10 juin 2026", "10 juin", "mercredi", "me"),
    ],
)
def test_days_are_written_as_the_reader_writes_them(
    tag: str, long: str, short: str, weekday: str, initials: str
) -> None:
    """English all over the world has the day first; American English does not."""
    language = language_of(tag)
    assert language.long_date(JUNE) == long
    assert language.short_date(JUNE) == short
    assert (language.weekday(JUNE), language.initials(JUNE)) == (weekday, initials)


@pytest.mark.parametrize(
    ("tag", "zone", "said"),
    [
        ("en", "Europe/Berlin", "10 June, 00:30"),
        ("en", "America/New_York", "9 June, 18:30"),
        ("en-US", "America/New_York", "June 9, 6:30\u202fPM"),
        ("de", "Asia/Tokyo", "10. Juni, 07:30 Uhr"),
        ("fr", "Europe/Paris", "10 juin à 00:30"),
        ("fr-CA", "America/Toronto", "9 juin à 18 h 30"),
    ],
)
def test_moments_are_in_the_readers_zone(tag: str, zone: str, said: str) -> None:
    """The same moment, another day."""
    moment = datetime(2026, 6, 9, 22, 30, tzinfo=UTC)
    told = language_of(tag).clock(moment, ZoneInfo(zone))
    assert re.sub("[\u00a0]", " ", told) == said
    assert NBSP in told


@pytest.mark.parametrize(
    ("tag", "language", "shown"),
    [
        ("en", "en", "en"),
        ("EN", "en", "en"),
        ("en-GB", "en", "en"),
        ("en-US", "en", "en-US"),
        ("de", "de", "de"),
        ("de-AT", "de", "de-AT"),
        ("de-at", "de", "de-AT"),
        ("de-XX", "de", "de"),
        ("de-1996", "de", "de"),
        ("fr-CA", "fr", "fr-CA"),
        ("nl", None, "en"),
        ("pt-BR", None, "en"),
        ("xx", None, "en"),
        ("den", None, "en"),
    ],
)
def test_a_country_falls_back_to_its_language_and_a_stranger_to_english(
    tag: str, language: str | None, shown: str
) -> None:
    """RFC 4647's lookup; an unknown language is English in its words and its dates."""
    assert speaks(tag) == language
    assert language_of(tag).tag == shown
    assert language_of(tag).direction == "ltr"


def test_tags_that_come_to_the_same_share_their_language() -> None:
    """So an edition is not made twice for them."""
    assert language_of("en-GB") is language_of("en") is language_of("nl") is language_of("pt-BR")
    assert language_of("de-XX") is language_of("de") is not language_of("de-AT")


# --- whole emails ---------------------------------------------------------------------------------------------------


def test_each_reader_is_written_to_in_her_language() -> None:
    """One edition: who has set none gets the list's."""
    edition = EditionRenderer(replace(LIST, language="fr"), EDITION, candidates(PAPERS), SOURCES, VOTING)
    said = {
        tag: words(edition.render(replace(ADA, language=tag), WHOLE).text) for tag in (None, "de-AT", "en", "nl", "fr")
    }
    assert said[None] == said["fr"]
    assert said["nl"] == said["en"]
    assert "Pour Ada Quill" in said["fr"]
    assert "Für Ada Quill" in said["de-AT"]
    assert "For Ada Quill" in said["en"]


@pytest.mark.parametrize(
    ("tag", "sentences"),
    [
        (
            "de",
            [
                "Mittwoch, 10. Juni 2026 · Nr.",
                "7 angekündigt · 5 für Sie · 2 im Trend",
                "Warum: video-generation: text-to-video, diffusion · 412 Upvotes",
                "arXiv, 9. Juni; Hugging Face, 10. Juni",
                "Relevanz 0,18, unter Ihrer Schwelle von 0,20",
                "4 heute · 23 in sieben Tagen",
                "vom 9. Juni, 08:00 Uhr bis 10. Juni, 08:00 Uhr (Europe/Berlin).",
                "arXiv: 123 angekündigt, 62 neu",
            ],
        ),
        (
            "fr",
            [
                "mercredi 10 juin 2026 · nº",
                "7 annoncés · 5 pour vous · 2 en vogue",
                "Pourquoi : video-generation : text-to-video, diffusion · 412 votes",
                "arXiv, 9 juin ; Hugging Face, 10 juin",
                "pertinence 0,18, sous votre seuil de 0,20",
                "4 aujourd’hui · 23 en sept jours",
                "du 9 juin à 08:00 au 10 juin à 08:00 (Europe/Berlin).",
                "arXiv : 123 annoncés, 62 nouveaux",
            ],
        ),
    ],
)
def test_an_email_is_all_in_one_language(tag: str, sentences: list[str]) -> None:
    """Text and HTML say the same; of English is only what the papers and the sources say themselves."""
    email = rendered(tag)
    assert f'<html lang="{tag}" dir="ltr">' in email.html
    page = words(re.sub(r"<[^>]+>", "", email.html.replace("&ensp;", " ")))
    for sentence in sentences:
        assert sentence in words(email.text)
        if "Hugging Face," not in sentence:
            assert sentence in page
    ours = re.sub(r"Tidal Attention[^·]*|Video diffusion models[^·]*?…|https?://\S+", "", words(email.text))
    assert not re.search(r"\b(?:the|you|your|this|why|more|and|papers?)\b(?! server)", ours.replace("Paper", "")), ours


def test_no_english_word_is_left_in_an_arabic_email(tmp_path: Path) -> None:
    """All that is said beside the papers, sources and names comes out of the catalogue."""
    with arabic(tmp_path) as tag:
        for selection in (WHOLE, Selection()):
            email = rendered(tag, selection)
            for form in (email.text, re.sub(r"<style.*?</style>|<[^>]+>|&\w+;", " ", email.html, flags=re.S)):
                left = set(re.findall(r"[A-Za-z]{2,}", re.sub(r"https?://\S+|\S+@\S+", " ", form)))
                assert left <= set(re.findall(r"[A-Za-z]+", _NOT_OURS)), left


_NOT_OURS = " ".join(
    [
        *(f"{p.title} {p.abstract} {' '.join(p.authors)} {' '.join(p.categories)}" for p in PAPERS),
        "The Morning Offprint, 12 Galley Row, Inkwell; Ada Quill, Tim Brooks, Wren Okonjo-Hale; PDF HTML DOI",
        "arXiv Hugging Face journal: the server did not answer within 20 s; Europe/Berlin",
        "video-generation text-to-video diffusion Old Lamps Slow Glass Wrong Turns Invented Letters",
        "if mso endif table role presentation width cellpadding cellspacing border tr td",
    ]
)


def test_from_right_to_left_the_page_is_mirrored(tmp_path: Path) -> None:
    """Direction and sides come from the language, titles find their own, and Latin names do not reorder the rest."""
    with arabic(tmp_path) as tag:
        email = rendered(tag)
    left, ltr = email.html, rendered("en").html
    assert '<html lang="ar" dir="rtl">' in left
    assert "text-align:left" not in left.replace(" ", "")
    assert left.replace(" ", "").count("text-align:right") == ltr.replace(" ", "").count("text-align:left") > 10
    assert "border-right:3px" in left
    assert re.findall(r'class="strip"[^>]* align="(\w+)"', left) == ["left", "left"]
    assert left.count('dir="auto"') == ltr.count('dir="auto"') > 20
    assert "\u2068arXiv\u2069, \u20689 يونيو\u2069" in email.text
    assert "\u2068" not in rendered("de").text


def test_a_title_in_another_script_keeps_the_page_as_it_is() -> None:
    """Direction is the language's, not the papers'."""
    odd = paper(1, title="مولد الفيديو بالانتشار")
    edition = EditionRenderer(LIST, EDITION, candidates([odd]), SOURCES)
    assert '<html lang="en" dir="ltr">' in edition.render(ADA, Selection(picks([odd]))).html


def test_what_the_edition_covers_is_said_in_the_readers_zone() -> None:
    """Hers if she has one, else the list's."""
    tokyo = rendered("de", reader=replace(ADA, timezone="Asia/Tokyo"))
    for form in (words(tokyo.text), words(re.sub(r"<[^>]+>", "", tokyo.html))):
        assert "vom 9. Juni, 15:00 Uhr bis 10. Juni, 15:00 Uhr (Asia/Tokyo)." in form
    first = wording.window(language_of("fr"), replace(EDITION, since=None), "Europe/Berlin")
    assert words(first) == "Cette édition couvre les annonces jusqu’au 10 juin à 08:00 (Europe/Berlin)."


def test_the_same_bytes_on_any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the machine's locale nor its time zone is asked."""
    german = replace(ADA, language="de")

    def composed() -> bytes:
        edition = EditionRenderer(LIST, EDITION, candidates(PAPERS), SOURCES, VOTING)
        return edition.compose(german, replace(delivery(german, ()), frozen=lambda: WHOLE))

    here = composed()
    for name, value in {"TZ": "Asia/Tokyo", "LANG": "fr_FR.UTF-8", "LC_ALL": "fr_FR.UTF-8", "LANGUAGE": "fr"}.items():
        monkeypatch.setenv(name, value)
    time.tzset()
    try:
        assert composed() == here
    finally:
        monkeypatch.undo()
        time.tzset()


def test_subjects_are_translated_and_fit_for_a_header() -> None:
    """An encoded word reads back as the subject."""
    french = replace(ADA, language="fr")
    edition = EditionRenderer(LIST, EDITION, candidates(PAPERS), SOURCES)
    empty = read(edition.compose(french, delivery(french, ())))
    assert empty["Subject"] == "Rien pour vous aujourd’hui (10 juin)"
    assert edition.render(french, Selection(picks(PAPERS[:2]))).subject.endswith(" + 1 autre article (10 juin)")
    assert edition.render(french, Selection(picks(PAPERS[:1]))).subject.endswith("Bounded Memory (10 juin)")


@pytest.mark.parametrize(
    ("tag", "nothing"),
    [("de", "Nichts für Sie (4.–10. Juni)"), ("fr", "Rien pour vous (4 – 10 juin)")],
)
def test_a_round_ups_days_are_written_as_the_reader_writes_them(tag: str, nothing: str) -> None:
    """In the subject, which reads back from its encoded words."""
    weekly = replace(EDITION, since=datetime(2026, 6, 3, 5, tzinfo=UTC), frequency=Frequency.WEEKLY)
    edition = EditionRenderer(LIST, weekly, candidates(PAPERS), SOURCES)
    reader = replace(ADA, language=tag)
    assert read(edition.compose(reader, delivery(reader, ())))["Subject"] == nothing


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        (Profile((Topic("a"), Topic("b"))), "Sie verfolgen: a und b."),
        (
            Profile((Topic("a"),), ("X", "Y"), ("P", "Q"), (paper(1).id,)),
            "Sie verfolgen: a; Paper von X und Y; die Kategorien P und Q; Paper ähnlich wie 1 von Ihnen gewähltes.",
        ),
        (Profile(), "Sie verfolgen alles, was diese Liste ankündigt."),
    ],
)
def test_the_footer_says_what_she_follows(profile: Profile, said: str) -> None:
    """Topics, authors, categories and examples, each in its own words."""
    assert wording.follows(language_of("de"), profile) == said


@pytest.mark.parametrize(
    ("announced_papers", "errors", "said"),
    [
        (0, 0, "Seit der letzten Ausgabe wurde kein neues Paper angekündigt."),
        (1, 0, "Das einzige angekündigte Paper passt nicht zu dem, was Sie verfolgen."),
        (1204, 0, "Keines der 1.204 angekündigten Paper passt gut genug zu dem, was Sie verfolgen."),
        (2, 1, "1 Quelle ließ sich nicht lesen; mehr dazu am Ende dieser E-Mail."),
        (2, 2, "Keine der Quellen ließ sich lesen."),
    ],
)
def test_a_quiet_day_is_explained(announced_papers: int, errors: int, said: str) -> None:
    """What was announced, and what could not be read."""
    sources = [SourceSummary(str(n), 0, 0, error="down" if n < errors else None) for n in range(2)]
    assert said in wording.quiet(language_of("de"), announced_papers, sources)


def test_cards_say_who_where_and_when() -> None:
    """The number of authors and the days of announcement are in the reader's language."""
    french = language_of("fr")
    assert announced(french, candidate(PAPERS[0]).sightings) == f"arXiv, 9 juin{NARROW}; Hugging Face, 10 juin"
    assert byline(french, ["A", "B", "C", "D"])[-1] == (f" et al. (4{NBSP}auteurs)", False)


# --- templates of one's own -----------------------------------------------------------------------------------------


def own(folder: Path, name: str, text: str) -> Path:
    file = folder / "email" / "daily" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return folder


def test_a_lists_own_template_can_use_the_catalogues_and_need_not(tmp_path: Path) -> None:
    """Known words are translated in any of the forms, others stay; a template without any works as before."""
    text = '{{ _("Links") }} {% trans %}All quiet{% endtrans %} {{ _("Our own 100%%") }} plain\n{{ slot.links }}'
    mailing_list = replace(LIST, templates=own(tmp_path, "links.txt", text))
    edition = EditionRenderer(mailing_list, EDITION, candidates(PAPERS), SOURCES)
    assert "Liens Tout est calme Our own 100% plain" in edition.render(replace(ADA, language="fr"), WHOLE).text


def test_a_template_is_checked_in_every_language_in_use(tmp_path: Path) -> None:
    """What breaks in one reader's language alone is told before anything is sent."""
    broken = '{% if edition.language == "de" %}\n{{ edition.nonsense }}{% endif %}{{ slot.names }}'
    mailing_list = replace(LIST, templates=own(tmp_path, "more.html", broken))
    EditionRenderer(mailing_list, EDITION, {}, SOURCES, languages=["fr", None])
    with pytest.raises(TemplateError, match=r"more\.html:2: .*nonsense"):
        EditionRenderer(mailing_list, EDITION, {}, SOURCES, languages=["fr", "de", None])


# --- the whole way --------------------------------------------------------------------------------------------------


def test_preview_is_in_each_readers_language(tmp_path: Path) -> None:
    """From the config and the CSV to the files: the list in French, one reader in German, one in what there is not."""
    config = write_list(tmp_path, 1, extra='subscribers_file = "more.csv"\n')
    text = config.read_text(encoding="utf-8")
    text = text.replace("papers = 3\n", 'papers = 3\nlanguage = "fr"\nwhen_empty = "send"\n')
    text = text.replace('subscribers_file = "more.csv"\n', "")
    config.write_text('subscribers_file = "more.csv"\n' + text, encoding="utf-8")
    rows = "email,language\ngerman@example.org,de-AT\ndutch@example.org,nl\n"
    (tmp_path / "more.csv").write_text(rows, encoding="utf-8")
    answer = run("preview", "--config", str(config), "--now", DAY_ONE, "--out", str(tmp_path / "out"))
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr.count("there is no translation yet") == 1
    pages = {file.stem: file.read_text(encoding="utf-8") for file in (tmp_path / "out" / "lab").glob("*.html")}
    assert len(pages) == 3
    assert re.search(r'lang="de-AT".*Dienstag, 9\. Juni 2026.*Für Sie', pages.pop("german@example.org"), re.S)
    assert re.search(r'lang="en".*Tuesday, 9 June 2026.*For you', pages.pop("dutch@example.org"), re.S)
    (french,) = pages.values()
    assert re.search(r'lang="fr".*mardi 9 juin 2026.*Pour vous', french, re.S)
