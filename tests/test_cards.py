"""What a card says of a paper, and how cards shrink."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.model import AnnounceType, Link, LinkKind, PaperId, Pick, Reason, ReasonKind, Remark, Says, Sighting
from digest.render.cards import Size, announced, byline, card_of, fit, links_of, safe_url, why
from digest.render.language import language_of
from digest.render.text import TEXT_WIDTH, clip, columns, opening, plain, wrap
from tests.render_samples import ABSTRACT, candidate, paper

ENGLISH = language_of("en")


def written(text: str) -> Remark:
    return Remark(Says.WRITTEN, (text,))


def test_links_are_in_the_order_of_their_kinds_with_the_title_on_the_first() -> None:
    """Links come as abs, PDF, …, and the title leads to the first of them."""
    card = card_of(ENGLISH, candidate(paper(doi="10.1000/xyz")))
    assert [link.label for link in card.links] == ["Abstract", "PDF", "Hugging Face", "DOI"]
    assert card.url == "https://arxiv.org/abs/2606.90001"
    assert card.links[-1].url == "https://doi.org/10.1000/xyz"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        " data:text/html,<script>",
        "file:///etc/passwd",
        "//example.org/x",
        "https:",
        "https://",
        "http:///path",
        "vbscript:x",
        "https://exa\nmple.org/",
        "https://example.org/\x00",
        "https://[::1",
        "https://example.org/" + "x" * 3000,
        "",
    ],
)
def test_only_web_and_mail_addresses_become_links(url: str) -> None:
    """Anything that is not a sound http, https or mailto address is dropped."""
    assert safe_url(url) is None


def test_addresses_are_encoded_but_not_twice() -> None:
    """Quotes and non-ASCII letters are percent-encoded; what is encoded stays."""
    assert safe_url('https://example.org/a"b<c>?q=ü&r=%20#f') == "https://example.org/a%22b%3Cc%3E?q=%C3%BC&r=%20#f"
    assert safe_url("mailto:ada@example.org") == "mailto:ada@example.org"


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_text_makes_a_link_that_breaks_out(text: str) -> None:
    """Whatever follows the host, a link holds no quote, bracket, space or line end."""
    url = safe_url("https://example.org/" + text)
    assert url is None or not set(url) & set('"<>\\ \r\n\t`')


def test_the_same_address_is_shown_once() -> None:
    """A link given twice keeps its first kind."""
    twice = (Link(LinkKind.DOI, "https://doi.org/10.1/x"), Link(LinkKind.ABS, "https://doi.org/10.1/x"))
    assert [link.label for link in links_of(ENGLISH, paper(links=twice, doi="10.1/x"))] == ["Abstract"]


def test_of_many_authors_three_are_named_and_all_counted() -> None:
    """Three authors are named; more become et al. with their number."""
    assert card_of(ENGLISH, candidate(paper(authors=("A", "B", "C")))).byline == "A, B, C"
    four = card_of(ENGLISH, candidate(paper(authors=("A", "B", "C", "D"))))
    assert four.byline == "A, B, C et al. (4\N{NO-BREAK SPACE}authors)"
    assert byline(ENGLISH, []) == ()


def test_a_followed_author_is_named_and_marked_however_far_down() -> None:
    """The first three, and the sixth whom the reader follows."""
    pieces = byline(ENGLISH, ["A", "B", "C", "D", "E", "F", "G"], {"F", "B"})
    assert "".join(text for text, _ in pieces) == "A, B, C, F et al. (7\N{NO-BREAK SPACE}authors)"
    assert [text for text, marked in pieces if marked] == ["B", "F"]


def test_where_and_when_are_told_together() -> None:
    """Sources of one day share it; what is not new is said to be so."""
    day = date(2026, 6, 9)
    both = [Sighting("arxiv", AnnounceType.CROSS, day), Sighting("huggingface", AnnounceType.NEW, day)]
    assert announced(ENGLISH, both) == "arXiv (cross-listed) and Hugging Face, 9 June"
    later = Sighting("journal", AnnounceType.NEW, None)
    assert announced(ENGLISH, [later, *both]) == "arXiv (cross-listed) and Hugging Face, 9 June; journal"


def test_the_abstract_ends_with_a_sentence_and_not_at_an_abbreviation() -> None:
    """Of a long abstract whole sentences are shown, about 420 characters of them."""
    shown = opening(ABSTRACT, 420)
    assert shown.endswith("length of the video.\N{NO-BREAK SPACE}…")
    assert ABSTRACT.startswith(shown[:-2])
    assert opening(ABSTRACT, 250).endswith("…")
    assert not opening(ABSTRACT, 250).endswith(("e.g.\N{NO-BREAK SPACE}…", "Fig.\N{NO-BREAK SPACE}…"))
    assert opening("Short. And whole.", 420) == "Short. And whole."
    early = opening(f"Early. {'And on it goes ' * 50}", 420)
    assert early.endswith("…")
    assert len(early) > 400, "an end that comes too early is none"


@settings(deadline=None)
@given(st.text(max_size=2000))
def test_an_opening_is_never_much_longer_than_asked(text: str) -> None:
    """Whatever the abstract, its opening takes at most a quarter more than asked for, and the ellipsis."""
    assert len(opening(plain(text), 420)) <= 420 * 5 // 4 + 2


@settings(deadline=None)
@given(st.text(), st.integers(2, 50))
def test_clipped_text_fits(text: str, limit: int) -> None:
    """A clipped text has at most so many characters."""
    assert len(clip(text, limit)) <= limit


@settings(deadline=None)
@given(st.text())
def test_plain_text_is_one_harmless_line(text: str) -> None:
    """No control character, line end, lone surrogate or direction override is left, and cleaning is done once."""
    cleaned = plain(text)
    assert cleaned.isprintable() or all(c.isprintable() or ord(c) > 0x9F for c in cleaned)
    assert len(cleaned.splitlines()) <= 1
    assert "\u202e" not in cleaned
    assert plain(cleaned) == cleaned
    cleaned.encode()


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("ab ü漢字かな。"), max_size=300), st.integers(0, 12))
def test_wrapped_text_keeps_its_words_and_its_width(text: str, column: int) -> None:
    """No line of words is wider than the page, and nothing but white space changes."""
    text = plain(text)
    lines = wrap(text, column).split("\n")
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    for number, line in enumerate(lines):
        assert columns(line) + (0 if number else column) <= TEXT_WIDTH or len(line.split()) == 1
        assert not number or line.startswith(" " * column)


def test_reasons_are_told_in_order_and_only_those_that_spoke_for_the_paper() -> None:
    """A reason against the paper, or one that hardly counted, is not told; the same words are said once."""
    reasons = [
        ("topic", 0.5),
        ("412 upvotes", 0.2),
        ("topic", 0.1),
        ("in cs.CV", 0.01),
        ("unlike what you liked", -0.2),
    ]
    pick = Pick(
        PaperId("x"), 0.6, 0.6, 0.0, tuple(Reason(ReasonKind.TOPIC, written(text), weight) for text, weight in reasons)
    )
    assert why(ENGLISH, pick) == "topic · 412 upvotes"
    assert why(ENGLISH, Pick(PaperId("x"), 0.6, 0.6, 0.0)) == "close to what you follow"


def test_an_exploration_is_told_first() -> None:
    """Its reason weighs nothing and is said all the same."""
    reasons = (
        Reason(ReasonKind.EXPLORATION, written("exploring: under"), 0.0),
        Reason(ReasonKind.TOPIC, written("topic"), 0.1),
    )
    assert why(ENGLISH, Pick(PaperId("x"), 0.1, 0.1, 0.0, reasons)) == "exploring: under · topic"


def test_cards_shrink_from_the_bottom_in_three_steps() -> None:
    """First abstracts go, then all but the titles, then papers, each time from the last card up."""
    costs = [[10, 5, 2, 0]] * 3
    full, short, line, out = Size
    assert fit(costs, 30) == [full, full, full]
    assert fit(costs, 29) == [full, full, short]
    assert fit(costs, 14) == [short, short, line]
    assert fit(costs, 5) == [line, line, out]
    assert fit(costs, 0) == [out, out, out]


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 9000)] * 3).map(lambda t: [*sorted(t, reverse=True), 0])), st.integers(0))
def test_what_fits_fits(costs: list[list[int]], room: int) -> None:
    """The chosen sizes never take more than the room, and no card higher up is smaller than one below it."""
    sizes = fit(costs, room)
    assert sum(cost[size] for cost, size in zip(costs, sizes, strict=True)) <= room
    assert sizes == sorted(sizes)
