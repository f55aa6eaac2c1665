"""Short forms and what they stand for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from digest.model import Candidate, Paper, PaperId, Profile, Topic
from digest.rank import Ranker
from digest.rank.acronyms import Acronyms, definitions
from digest.rank.index import Index
from digest.rank.text import stem, stems
from digest.render.remarks import english
from tests.factories import NOW


@pytest.mark.parametrize(
    ("text", "short", "long"),
    [
        ("Agents built on large language models (LLMs) plan.", "LLM", "large language models"),
        ("We study magnetic resonance imaging (MRI) of knees.", "MRI", "magnetic resonance imaging"),
        ("the Hidden Markov Model ( HMM ) of speech", "HMM", "hidden markov model"),
        ("by retrieval-augmented generation (RAG)", "RAG", "retrieval augmented generation"),
        ("3D Gaussian splatting (3DGS) of scenes", "3DGS", "3D Gaussian splatting"),
    ],
)
def test_definitions_are_found(text: str, short: str, long: str) -> None:
    """The words whose first signs make up the short form, singular or plural."""
    assert list(definitions(text)) == [(stem(short), tuple(stems(long)))]


@pytest.mark.parametrize(
    "text",
    [
        "Models of language (see Section 3) fail.",
        "Worms (Lumbricidae) dig.",
        "Our method (ABC) digs deep into soil.",
        "The cost (EUR 5) rose.",
        "A gap (a) and (b) open ( ) with no end (",
        "(LLM) begins here",
        "Numbers of years (1990) and of items (23)",
    ],
)
def test_what_is_no_definition(text: str) -> None:
    """Remarks, names and figures in parentheses define nothing."""
    assert list(definitions(text)) == []


def acronyms(*texts: str, holding: int = 2) -> Acronyms:
    return Acronyms(texts, lambda _: holding)


SPELLED = "Large language models (LLMs)"


def test_both_forms_mean_the_same() -> None:
    """A phrase is said in the other form, wherever in it the form stands."""
    known = acronyms(SPELLED, SPELLED)
    short, long = (stem("llm"), "agent"), ("larg", "languag", "model", "agent")
    assert list(known.variants(short)) == [short, long]
    assert list(known.variants(long)) == [long, short]
    assert list(known.shortened(long)) == [(long[:3], "llm")]
    assert list(known.variants(("larg", "model"))) == [("larg", "model")]


def test_what_is_defined_once_in_two_ways_or_is_a_common_word_is_left_alone() -> None:
    """One paper's name for its own method, an ambiguous short form, and a word that all use are no acronyms."""
    twice = "Generative adversarial network (GAN)"
    assert not list(acronyms(SPELLED).items())
    assert not list(acronyms(twice, twice, "Global area network (GAN)", "Global area network (GAN)").items())
    assert not list(acronyms(SPELLED, SPELLED, holding=50).items())
    assert dict(acronyms(SPELLED, SPELLED, holding=40).items()) == {"llm": ("larg", "languag", "model")}


@pytest.mark.parametrize("plural", ["LLMs", "llms", "LLM", "llm"])
def test_an_acronym_in_the_plural_is_the_same_word(plural: str) -> None:
    """Though it has no vowel, by which a stemmer would tell that the s is an ending."""
    assert stem(plural) == "llm"


@pytest.mark.parametrize(("word", "same"), [("GPS", "gps"), ("CSS", "css"), ("KGs", "kg"), ("HTTPS", "https")])
def test_case_tells_an_ending_from_a_last_letter(word: str, same: str) -> None:
    """What is in capitals throughout is the same as in small letters."""
    assert stem(word) == stem(same)


def found(topic: Topic, *papers: Paper) -> dict[str, float]:
    others = [Paper(PaperId(f"other{n}"), f"Thing {n}", f"Report {n} on a subject {n}.") for n in range(200)]
    defining = [Paper(PaperId(f"defining{n}"), f"Plan {n}", f"{SPELLED} plan trip {n}.") for n in range(2)]
    ranker = Ranker([Candidate(paper, ()) for paper in papers], background=[*others, *defining], now=NOW)
    (ranking,) = ranker.rank([Profile((topic,))])
    return {pick.paper_id: pick.relevance for pick in ranking}


SHORT = Paper(PaperId("short"), "Planning with an LLM", "It plans.")
LONG = Paper(PaperId("long"), "Planning with a large language model", "It plans.")
PARTLY = Paper(PaperId("partly"), "Planning with a large model", "It plans a trip.")


@pytest.mark.parametrize(
    "topic",
    [
        Topic("x", "how an LLM is used in the kitchen and the garden"),
        Topic("x", "how a large language model is used in the kitchen and the garden"),
        Topic("x", keywords=("LLM",)),
        Topic("x", keywords=("large language models",)),
    ],
)
def test_a_topic_finds_both_forms(topic: Topic) -> None:
    """In words and as a keyword, whichever form the reader writes; part of the long form is not the same."""
    relevance = found(topic, SHORT, LONG, PARTLY)
    assert min(relevance["short"], relevance["long"]) > 0
    assert relevance["long"] > 1.5 * relevance["partly"]
    if topic.keywords:
        assert min(relevance["short"], relevance["long"]) > 0.2


def test_an_excluded_acronym_excludes_what_it_stands_for() -> None:
    """And the reason says the paper's own words."""
    relevance = found(Topic("planning", "planning of trips", exclude=("LLMs",)), SHORT, LONG, PARTLY)
    assert relevance["short"] == relevance["long"] == 0 < relevance["partly"]


def test_who_says_both_says_it_once() -> None:
    """A paper that has the acronym itself gets nothing for its long form."""
    both = Paper(PaperId("both"), "", f"{SPELLED} and LLMs")
    defining = [Paper(PaperId(f"defining{n}"), "", f"{SPELLED} plan trip {n}.") for n in range(2)]
    spelled_out = Index([both, LONG, *defining]).spelled_out
    assert spelled_out.getnnz(axis=1).tolist() == [0, 1, 0, 0]


def test_a_reason_names_the_form_that_the_paper_has() -> None:
    """The keyword is an acronym, and the paper spells it out."""
    defining = [Paper(PaperId(f"defining{n}"), "", f"{SPELLED} plan trip {n}.") for n in range(2)]
    ranker = Ranker([Candidate(LONG, ())], background=defining, now=NOW)
    ((pick,),) = ranker.rank([Profile((Topic("x", keywords=("LLM",)),))])
    assert english(pick.reasons[0].remark) == "x: large language model"


def test_a_keyword_in_both_forms_counts_once() -> None:
    """A paper that defines the acronym does not say it more often than one that has the acronym alone."""
    both = replace(SHORT, id=PaperId("both"), abstract="It plans. Large language models plan.")
    relevance = found(Topic("x", keywords=("LLM",)), SHORT, replace(both, title=SHORT.title))
    assert relevance["both"] == pytest.approx(relevance["short"], abs=0.02)
