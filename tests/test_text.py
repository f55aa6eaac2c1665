"""Words, stems and titles, and names of people: what the ranking takes for the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.model import PaperId, Profile, Topic, Vote
from digest.rank.profile import person_name, topic_query, votes
from digest.rank.text import fold, placed_stems, shorten, stems, words
from tests.factories import NOW

# --- words ----------------------------------------------------------------------------------------------------------


def test_inflected_forms_share_a_stem() -> None:
    """Generate, generates and generating are one word."""
    assert len({*stems("generate generates generating Generated")}) == 1


def test_stop_words_are_left_out() -> None:
    """Words without meaning of their own leave no trace."""
    assert stems("It is what we would have been doing to them") == []


@pytest.mark.parametrize("written", ["text-to-video", "Text to Video", "text–to–video", "TEXT\nto video"])
def test_hyphens_case_and_line_breaks_do_not_matter(written: str) -> None:
    """A phrase is the same however it is joined."""
    assert stems(written) == ["text", "video"]


def test_accents_do_not_matter() -> None:
    """A letter with an accent, composed or not, is the letter."""
    assert stems("Poincaré") == stems("Poincare\u0301") == stems("poincare")


@pytest.mark.parametrize(
    ("written", "folded"), [("Łódź", "lodz"), ("Straße", "strasse"), ("Ærø", "aero"), ("ﬁne", "fine")]
)
def test_letters_that_do_not_decompose_are_folded_too(written: str, folded: str) -> None:
    """Crossed letters, ligatures and the sharp s read as plain ones."""
    assert fold(written) == folded


def test_signs_of_languages_without_spaces_are_words() -> None:
    """Each Han sign is a word, also beside Latin letters, so that phrases match inside a sentence."""
    assert stems("視頻生成GPT4模型") == ["視", "頻", "生", "成", "gpt4", "模", "型"]


@given(st.text())
def test_placed_stems_are_the_stems_with_their_places(text: str) -> None:
    """Any text gives the same stems both ways, and each place holds a word with that stem."""
    placed = placed_stems(text)
    assert [word for word, _, _ in placed] == stems(text)
    assert all(stems(text[start:end]) == [word] for word, start, end in placed)


@given(st.text(), st.integers(10, 80))
def test_shortened_text_fits(text: str, limit: int) -> None:
    """No text is longer than asked, and one that fits keeps all its words."""
    short = shorten(text, limit)
    assert len(short) <= limit
    assert short == " ".join(text.split()) or short.endswith("…")


def test_words_are_compared_without_case_accents_and_signs() -> None:
    """Stop words stay, and what is ASCII gives the same words as what is not."""
    assert words("On  Thíngs — part 1") == words("on things: Part 1.") == ["on", "things", "part", "1"]
    assert words("\t~~") == words("—") == []


@given(st.text(st.characters(max_codepoint=127)))
def test_the_short_way_for_ascii_leads_to_the_same_words(text: str) -> None:
    """A text without a sign beyond ASCII has the same words as if it had one."""
    assert words(text) == words(f"{text} é")[:-1]


# --- topics and votes -----------------------------------------------------------------------------------------------


def test_a_topic_with_only_a_name_is_about_its_name() -> None:
    """The name stands in where there is neither text nor keyword, and only there."""
    assert dict(topic_query(Topic("video-generation")).words) == {"video": 1, "generat": 1}
    assert dict(topic_query(Topic("video-generation", "protein folding")).words) == {"protein": 1, "fold": 1}


def test_words_of_talk_are_not_a_subject() -> None:
    """How people announce an interest says nothing about it."""
    assert dict(topic_query(Topic("x", "I am especially interested in, and care about, protein folding")).words) == {
        "protein": 1,
        "fold": 1,
    }


def test_a_text_of_few_words_is_a_phrase() -> None:
    """Two or three words are meant together, in any order; a sentence is not."""
    assert topic_query(Topic("x", "protein folding")).keywords == (("protein", "fold"), ("fold", "protein"))
    assert ("video", "diffus", "model") in topic_query(Topic("x", "diffusion models for video")).keywords
    assert topic_query(Topic("x", "protein folding by neural networks")).keywords == ()


def test_keywords_and_exclusions_of_stop_words_alone_are_left_out() -> None:
    """A phrase without a word that counts matches nothing, instead of everything."""
    query = topic_query(Topic("x", "protein folding by neural networks", ("the", " ", "—"), ("of", "")))
    assert (query.keywords, query.exclude) == ((), ())


def test_the_later_vote_counts() -> None:
    """Who changes her mind is taken at her last word; newest votes come first."""
    a, b, c = PaperId("a"), PaperId("b"), PaperId("c")
    later = NOW.replace(hour=9)
    profile = Profile(liked=(Vote(a, NOW), Vote(b, NOW), Vote(c, later)), disliked=(Vote(a, later), Vote(b)))
    assert votes(profile) == ((Vote(c, later), Vote(b, NOW)), (Vote(a, later),))


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("followed", "author"),
    [
        ("Tim Brooks", "Tim Brooks"),
        ("tim brooks", "Brooks, Tim"),
        ("Borja Rodriguez-Galvez", "Borja Rodríguez-Gálvez"),
        ("Xiao-Ming Wang", "Xiaoming Wang"),
        ("Łukasz Kaiser", "Lukasz Kaiser"),
        ("Michael Jordan", "Michael I. Jordan"),
        ("Michael I. Jordan", "Michael Jordan"),
        ("Juan Carlos Perez", "Juan C. Pérez"),
        ("T. Brooks", "Tim Brooks"),
        ("Sammy Davis Jr.", "Sammy Davis"),
        ("Davis, Jr.", "Davis"),
        ("Ada Lovelace", "Ada Lovelace (Example University)"),
        ("Laurens van der Maaten", "Laurens van der Maaten"),
        ("DeepSeek-AI", "DeepSeek-AI"),
    ],
)
def test_one_person_s_names_match(followed: str, author: str) -> None:
    """Case, accents, order, hyphens and initials in the middle make no other person."""
    one, other = person_name(followed), person_name(author)
    assert one
    assert other
    assert one.key == other.key
    assert one.covers(other)


@pytest.mark.parametrize(
    ("followed", "author"),
    [
        ("Tim Brooks", "T. Brooks"),
        ("Tim Brooks", "Tom Brooks"),
        ("Tim Brooks", "Tim Brook"),
        ("Michael I. Jordan", "Michael B. Jordan"),
        ("Juan Carlos Perez", "Juan Perez"),
        ("Y. Wang", "Xin Wang"),
        ("Brooks", "Tim Brooks"),
    ],
)
def test_different_people_do_not_match(followed: str, author: str) -> None:
    """Another first or last name is another person, and a bare initial on a paper is not proof enough."""
    one, other = person_name(followed), person_name(author)
    assert one
    assert other
    assert not (one.key == other.key and one.covers(other))


@given(st.text())
def test_any_name_can_be_read(text: str) -> None:
    """A name of any signs is a person who is herself, or nobody."""
    name = person_name(text)
    assert name is None or name.covers(name)
