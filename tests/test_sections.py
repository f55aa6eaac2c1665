"""What an email holds beside its picks, in every theme, in HTML and in text."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from digest.model import FollowUp, NearMiss, Pick, Remark, Says, Selection, Theme, TopicWeek
from digest.render import EditionRenderer, Rendered
from digest.render.bodies import TOPICS_SHOWN, level, week_of
from digest.render.edition import CLIP
from digest.render.text import excerpt, key_sentence
from tests.render_samples import ADA, EDITION, LIST, SOURCES, VOTING, candidates, paper, picks, whole_selection

PAPERS = [
    paper(n, title=f"Invented paper {'abcdefg'[n]}", authors=("A", "B", "C", "D", "Tim Brooks", "E")) for n in range(6)
]
WHOLE = whole_selection(PAPERS)


def rendered(selection: Selection = WHOLE, theme: Theme = Theme.DAILY, **changes: object) -> Rendered:
    mailing_list = replace(LIST, theme=theme, **changes)  # type: ignore[arg-type]
    return EditionRenderer(mailing_list, EDITION, candidates(PAPERS), SOURCES, VOTING).render(ADA, selection)


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html.partition("<body")[2]).split())


@pytest.mark.parametrize("theme", Theme)
def test_every_section_is_in_both_forms_of_every_theme(theme: Theme) -> None:
    """Picks, what trends, news, the week and near misses: with their headings, titles and words."""
    email = rendered(theme=theme)
    trending = "Trending" if theme is Theme.WEEKLY else "Also trending"
    for form in (words(email.html.replace("&#39;", "'")), " ".join(email.text.split())):
        for said in (
            *(p.title for p in PAPERS),
            *("by Tim Brooks", trending, "812 upvotes", "News of papers you follow", "Old Lamps", "New version: v3"),
            *("Published: Invented Letters 12", "Withdrawn by its authors", "Your topics this week"),
            *("4 today · 23 in seven days", "Just missed", "relevance 0.18, under your 0.20", "2 trending"),
        ):
            assert said in form, said
        assert "stamps" not in form


def test_the_weekly_theme_goes_topic_by_topic() -> None:
    """Trending first, then each topic under its name, and the rest last."""
    text = rendered(theme=Theme.WEEKLY).text
    places = [text.index(said) for said in ("Trending", "\nvideo-generation\n", "\nMore for you\n", "Just missed")]
    assert places == sorted(places)
    assert text.index("Invented paper b") > text.index("\nMore for you\n")
    assert [int(n) for n in re.findall(r"^ ?(\d+)\. ", text, re.M)] == [1, 2, 3, 4]


def test_the_compact_theme_has_one_sentence_of_an_abstract() -> None:
    """The key one; the daily theme has more of it."""
    said = key_sentence(PAPERS[0].abstract, PAPERS[0].title)
    daily, compact = words(rendered().html), words(rendered(theme=Theme.COMPACT).html)
    assert said in compact
    assert len(compact) < 0.8 * len(daily)


def test_the_followed_author_is_bold_and_only_for_who_follows_her() -> None:
    """Although she is the fifth; the same paper by topic names the first three alone."""
    html = rendered().html
    assert html.count("<b>Tim Brooks</b> et al.") == 1
    assert "A, B, C et al. (6" in html


def test_votes_lead_to_the_reader_s_own_addresses() -> None:
    """More, less and save for each pick, with the paper's id; a list without pages or mailbox offers none."""
    html = rendered().html
    for word in ("more", "less", "save"):
        found = re.findall(rf'href="https://digest\.example\.org/vote/offprint/3\.abc/{word}/([^"]+)"', html)
        assert found == [pick.paper_id.replace(":", "%3A") for pick in WHOLE.picks]
    plain = EditionRenderer(LIST, EDITION, candidates(PAPERS), SOURCES).render(ADA, WHOLE).html
    assert "More like this" not in plain
    assert 'class="vote' not in plain


def test_the_foot_leads_to_the_reader_s_pages() -> None:
    """Unsubscribing, preferences and the archive; without pages, an email to the list's people."""
    email = rendered()
    for form in (email.html, email.text):
        for page in ("unsubscribe/offprint/3.abc", "preferences/offprint/3.abc", "archive/offprint"):
            assert f"https://digest.example.org/{page}" in form
    plain = EditionRenderer(LIST, EDITION, candidates(PAPERS), SOURCES).render(ADA, WHOLE).html
    assert 'href="mailto:digest@example.org?subject=unsubscribe%20offprint"' in plain


def test_pictures_are_shown_only_where_the_list_asks_for_them() -> None:
    """An email fetches nothing by default; a picture has words for who does not see it."""
    pictured = [replace(PAPERS[0], thumbnail="https://example.org/t.png"), *PAPERS[1:]]
    plain, asked = (
        EditionRenderer(replace(LIST, remote_images=shown), EDITION, candidates(pictured), SOURCES).render(ADA, WHOLE)
        for shown in (False, True)
    )
    assert "<img" not in plain.html
    (image,) = re.findall("<img[^>]*>", asked.html)
    assert 'src="https://example.org/t.png"' in image
    assert re.search('alt="[^"]+"', image)


def test_the_key_sentence_is_marked() -> None:
    """It stands in its own element within the abstract, once a card."""
    key = key_sentence(PAPERS[0].abstract, PAPERS[0].title)
    assert key
    assert re.search(rf'<span class="key"[^>]*>{re.escape(key)}</span>', rendered().html)


def test_the_picture_of_the_week_has_a_cell_for_each_day() -> None:
    """Seven cells with the numbers, darker for more; the busiest day darkest."""
    html = rendered().html
    cells = re.findall(r'class="day heat(\d)"[^>]*>(\d+)</td>', html)
    assert cells == [("1", "2"), ("3", "5"), ("2", "3"), ("0", "0"), ("0", "0"), ("4", "9"), ("2", "4")]
    assert [level(n, 9) for n in (0, 1, 9)] == [0, 1, 4]


def test_a_week_of_which_only_today_is_known_has_no_picture() -> None:
    """A first edition; and of many topics those that moved most are shown."""
    first = TopicWeek("video", (0, 0, 0, 0, 0, 0, 8))
    assert week_of([first]) == []
    busy = [TopicWeek(str(n), (n, 0, 0, 0, 0, 0, 0)) for n in range(9)]
    assert [topic.name for topic in week_of([first, *busy])] == ["video", "8", "7", "6", "5"]
    assert TOPICS_SHOWN == 5


def test_what_stands_beside_never_crowds_out_the_picks() -> None:
    """Endless titles and names beside 100 picks: under Gmail's limit, and every pick is there or named."""
    endless = "Wide " * 3000
    many = [paper(n, title=f"Paper {n} of a hundred", abstract="Long. " * 400) for n in range(100)]
    beside = [paper(100 + n, title=f"{n} {endless}") for n in range(6)]
    selection = Selection(
        picks(many),
        tuple(NearMiss(p, Remark(Says.CLOSE_TO_PICK, (endless,))) for p in picks(beside[:3])),
        tuple(Pick(p.id, 0.9, 0.0, 0.9) for p in beside[3:]),
        tuple(FollowUp(p, WHOLE.follow_ups[0].change, endless) for p in beside[:5]),
        tuple(TopicWeek(f"{endless}{n}", (1, 0, 0, 0, 0, 0, n)) for n in range(9)),
    )
    html = EditionRenderer(LIST, EDITION, candidates([*many, *beside]), SOURCES, VOTING).render(ADA, selection).html
    assert len(html.encode()) < CLIP
    shown = sum(f"Paper {n} of a hundred" in html for n in range(100))
    assert shown > 30


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Old. It is known. We propose a lamp. It shines.", "We propose a lamp."),
        ("Old. It is known. This paper presents a lamp. Code is available.", "This paper presents a lamp."),
        ("Lamps shine. Rain falls. Stones lie.", "Lamps shine."),
        ("We propose a lamp. It shines.", ""),
        ("", ""),
    ],
)
def test_the_key_sentence_says_what_the_paper_does(text: str, key: str) -> None:
    """Else the one nearest to the title; of two sentences none needs to be told apart."""
    assert key_sentence(text, "On lamps") == key


def test_an_excerpt_reaches_the_key_sentence() -> None:
    """Where it comes late, the opening is shorter, and what was left out is marked."""
    late = "It is known. " * 60 + "We propose a lamp. It shines."
    before, key, after = excerpt(late, 200)
    assert key == "We propose a lamp."
    assert before.startswith("It is known.")
    assert before.rstrip().endswith("…")
    assert after.strip() == "…"
    assert len(before + key + after) < 260
    short = "It is known. We propose a lamp. It shines."
    assert "".join(excerpt(short, 200)) == short
