"""Which papers are nearly the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.model import Paper, PaperId
from digest.rank import near_duplicates
from tests.factories import paper

TITLE = "Patient Gardeners: Growing Small Forests of Decision Trees by Night"
ABSTRACT = (
    "Forests of decision trees grow large before they grow wise. We plant a few small trees and prune them every night "
    "by the questions that users asked in the day. On nine invented tables the pruned forest answers as well as one "
    "of a thousand trees, at a fortieth of its memory, and it forgets what nobody asks. A theorem bounds how much it "
    "can forget; a gardener who prunes twice gains nothing."
)
REVISED = (
    "Forests of decision trees grow large before they grow wise. We plant a few small trees, and we prune them every "
    "night by the questions that users asked. On twelve invented tables the pruned forest answers as well as one of a "
    "thousand trees, with much less memory, and it forgets what nobody asks. A new theorem bounds how much it can "
    "forget. We also show what happens when gardeners disagree."
)
OTHER = (
    "Rivers change their beds after every flood, and maps of them are late. We teach a small camera on a bridge to see "
    "where the water runs, with labels from fishermen alone, and we compare its maps with those of a survey by boat."
)
TREES = ("Ada Example", "Bo Sample")


def of(title: str, abstract: str, number: int = 1, authors: Sequence[str] = TREES) -> Paper:
    return paper(number, title=title, abstract=abstract, authors=tuple(authors))


def near(*papers: Paper) -> bool:
    """Whether two papers are near-duplicates, whichever is asked about and wherever the other one is."""
    one, other = papers
    answers = [
        near_duplicates([one, other]),
        near_duplicates([other, one]),
        near_duplicates([one], [other]),
        near_duplicates([other], [one]),
    ]
    assert answers.count(answers[0]) == 4
    assert answers[0] in ({}, {one.id: (other,), other.id: (one,)})
    return bool(answers[0])


def test_one_title_and_a_like_abstract_are_one_work() -> None:
    """Case, accents and signs make no other title; an abstract about something else makes another paper."""
    assert near(of(TITLE, ABSTRACT), of(TITLE.upper().replace(":", " —"), REVISED, 2, ()))
    assert not near(of("Editorial", ABSTRACT), of("Editorial", OTHER, 2))
    assert not near(of(TITLE, ABSTRACT), of(TITLE, OTHER, 2))


def test_one_title_is_enough_where_an_abstract_is_missing() -> None:
    """If it is a title that is not given to many papers."""
    assert near(of(TITLE, ABSTRACT), of(TITLE, "", 2))
    assert near(of(TITLE, "."), of(TITLE, "No abstract.", 2))
    assert not near(of("In This Issue", ""), of("In this issue", "", 2))


def test_a_like_title_and_nearly_all_of_the_words_are_one_work() -> None:
    """A title that has changed by a word, over an abstract whose sentences were turned round; not over another one."""
    turned = " ".join(reversed(ABSTRACT.split()))
    title = TITLE.replace("Patient", "Careful")
    assert near(of(TITLE, ABSTRACT), of(title, turned, 2, ()))
    assert not near(of(TITLE, ABSTRACT), of(title, OTHER, 2))
    assert not near(of(TITLE, ""), of(title, "", 2))


def test_just_enough_of_a_title_is_enough() -> None:
    """Seven words of ten are found, although the three are rarer; six of nine are too few."""
    seven, turned = "Growing Small Forests of Decision Trees Nightly", " ".join(reversed(ABSTRACT.split()))
    assert near(of(seven, ABSTRACT), of(f"{seven} Brings Patient Gardeners", turned, 2))
    six = seven.removesuffix(" Nightly")
    assert not near(of(six, ABSTRACT), of(f"{six} Brings Patient Gardeners", turned, 2))


def test_most_of_an_abstract_under_another_title_is_one_work() -> None:
    """If an author agrees, however the name is written; where there are no names, the titles must be a little alike."""
    half = ABSTRACT.rpartition(" A theorem")[0]
    assert near(of(TITLE, ABSTRACT), of("Night Work", half, 2, ("Example, A.",)))
    assert not near(of(TITLE, ABSTRACT), of("Night Work", half, 2, ("Cy Stranger",)))
    assert not near(of(TITLE, ABSTRACT), of("Night Work", half, 2, ()))
    assert near(of(TITLE, ABSTRACT), of("Patient Gardeners of Small Forests", half, 2, ()))


def test_a_revised_abstract_by_the_same_authors_is_one_work() -> None:
    """Less of the abstract is enough if half of the authors agree; if one of three does, it is not."""
    title = "Pruning by Questions"
    assert near(of(TITLE, ABSTRACT), of(title, REVISED, 2))
    assert not near(of(TITLE, ABSTRACT), of(title, REVISED, 2, ("Ada Example", "Cy Stranger", "Di Foreign")))
    assert not near(of(TITLE, ABSTRACT), of(title, REVISED, 2, ()))
    assert not near(of("", ABSTRACT), of("", REVISED, 2, ()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("On Small Forests, Part 1", "On Small Forests, Part 2"),
        ("On Small Forests I", "On small forests: III"),
        ("On Small Forests Ⅰ", "On Small Forests Ⅱ"),
        ("Small Forests 2.0: Trees", "Small Forests 3.0: Trees"),
        ("Small Forests: Trees", "Small Forests 2: Trees"),
        ("ForestGPT4: Technical Report", "ForestGPT5: Technical Report"),
        ("The Second Forest Challenge", "The Third Forest Challenge"),
        ("On Small Forests, Part A", "On Small Forests, Part B"),
        ("On Small Forests, Part I: Trees", "On Small Forests, Part II: A Theorem"),
        ("关于小森林（一）", "关于小森林（二）"),
    ],
)
def test_titles_that_differ_in_a_number_are_two_papers(one: str, other: str) -> None:
    """However much alike their abstracts are."""
    assert not near(of(one, ABSTRACT), of(other, ABSTRACT, 2))
    assert near(of(one, ABSTRACT), of(one, ABSTRACT, 2))


def test_an_article_is_no_number() -> None:
    """A title with "A" before it is the same work still."""
    assert near(of("Theory of Small Forests", ABSTRACT), of("A Theory of Small Forests", ABSTRACT, 2))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("", ""), ("", "")),
        (("", "Forests."), ("", "Forests.")),
        (("???", "!!!"), ("???", "!!!")),
        (("", ABSTRACT), ("", OTHER)),
        (("Small Forests", "No abstract is available."), ("Wide Rivers", "No abstract is available.")),
        (("小さな森", "森"), ("広い川", "森")),
        (("الغابات الصغيرة", "غابة"), ("الأنهار العريضة", "غابة")),
        (("Small Forests", "trees and forests " * 40), ("Wide Rivers", "trees and forests " * 40)),
    ],
)
def test_papers_that_say_little_are_not_one_by_accident(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Empty titles and abstracts, signs, single words, what a feed says of all its papers."""
    assert not near(of(*one), of(*other, number=2))


def test_scripts_without_spaces_are_compared_by_signs() -> None:
    """Two abstracts in Chinese are one work if most of their signs follow each other alike, and only then."""
    forest = "决策树的森林在变得聪明之前先变得庞大我们种下几棵小树每晚根据用户白天提出的问题修剪它们"
    river = "河流在每次洪水之后都会改变河床而地图总是迟到我们教桥上的小相机看水流向何处只用渔民的标签"
    assert near(of("耐心的园丁", forest), of("夜间的园丁", forest.replace("庞大", "很大"), 2))
    assert not near(of("耐心的园丁", forest), of("耐心的渔民", river, 2))


def test_what_a_journals_feed_says_of_all_its_papers_makes_them_not_one() -> None:
    """A long text that is the same for all, without authors, under different titles."""
    said = "Publication date: June 2026. Source: Journal of Invented Results, Volume 12, Issue 3, pages 1 to 20."
    issue = [of(title, said, n, ()) for n, title in enumerate(("Small Forests", "Wide Rivers", "Deep Wells"))]
    assert near_duplicates(issue) == {}


def test_near_duplicates_are_not_made_transitive() -> None:
    """In a chain of revisions, the first and the last may be two papers."""
    words = [f"word{n}" for n in range(60)]
    chain = [of(("Small Forests", "Wide Rivers", "Deep Wells")[n], " ".join(words[8 * n :][:40]), n) for n in range(3)]
    assert near_duplicates(chain) == {
        chain[0].id: (chain[1],),
        chain[1].id: (chain[0], chain[2]),
        chain[2].id: (chain[1],),
    }


def test_papers_of_one_id_are_one_paper() -> None:
    """Another version of a paper is not its near-duplicate, and of those among which it is sought it is left out."""
    assert near_duplicates([of(TITLE, ABSTRACT), of(TITLE, REVISED)], [of(TITLE, ABSTRACT)]) == {}
    assert near_duplicates([]) == near_duplicates([], [of(TITLE, ABSTRACT)]) == {}


def test_those_among_which_is_sought_are_not_compared_with_each_other() -> None:
    """Two old papers that are nearly the same are no news."""
    old = [of(TITLE, ABSTRACT, n) for n in (2, 3)]
    assert near_duplicates([of("Else", OTHER)], old) == {}
    found = near_duplicates([of(TITLE, REVISED)], old)
    assert {paper_id: len(others) for paper_id, others in found.items()} == {paper(1).id: 2, old[0].id: 1, old[1].id: 1}


_WORDS = st.lists(
    st.sampled_from(["forest", "river", "tree", "1", "2", "the", "of", "森", "Ⅱ", "night"]), max_size=24
).map(" ".join)
_TEXTS = st.one_of(_WORDS, st.text(max_size=60), st.just(ABSTRACT), st.just(REVISED))


@settings(deadline=None)
@given(
    st.lists(st.tuples(_WORDS, _TEXTS, st.sampled_from([(), TREES, ("Cy Stranger",)])), max_size=8), st.integers(0, 8)
)
def test_the_answer_for_two_papers_does_not_depend_on_the_others(drawn: list[Any], ours: int) -> None:
    """For any papers: what is found at once is what is found for each pair alone, both ways round."""
    papers = [of(title, abstract, n, authors) for n, (title, abstract, authors) in enumerate(drawn)]
    expected: dict[PaperId, list[Paper]] = {}
    for (place, one), (_, other) in combinations(enumerate(papers), 2):
        if place < ours and near_duplicates([one, other]):
            expected.setdefault(one.id, []).append(other)
            expected.setdefault(other.id, []).append(one)
    found = near_duplicates(papers[:ours], papers[ours:])
    assert found == {k: tuple(sorted(v, key=lambda p: p.id)) for k, v in expected.items()}
    assert found == near_duplicates(papers[:ours][::-1], papers[ours:][::-1])
