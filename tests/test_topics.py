"""How a topic in a reader's own words finds papers: by words, the archive's words, and meaning; and votes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from digest.model import Candidate, Paper, PaperId, Pick, Profile, Topic, Vote
from digest.rank import Ranker
from digest.rank.embedding import Floats32
from digest.render.remarks import english
from tests.factories import NOW

BACKGROUND = [
    Paper(PaperId(f"other{n}"), f"Thing {n}", f"Report {n} on a subject {n} of place {n % 7}.") for n in range(600)
]
ARCHIVED = [
    Paper(
        PaperId(f"archived{n}"), f"Beekeeping in year {n}", f"Beekeeping, hives, honeycomb and nectar in village {n}."
    )
    for n in range(12)
]
BACKGROUND_OF_RAILS = [Paper(PaperId(f"rails{n}"), f"Rail {n}", f"On rails of line {n}.") for n in range(600)]
SYNONYM = Paper(PaperId("synonym"), "Honeycomb and nectar", "Hives full of nectar; the honeycomb is weighed.")
NAMED = Paper(PaperId("named"), "Beekeeping", "On beekeeping.")
STRANGER = Paper(PaperId("stranger"), "Rails", "Trams on old rails in a harbour town.")
FIELD = [
    Paper(PaperId(f"field{n}"), f"Clips {n}", f"A {a} for {b}, {n}, is seen in place {n % 7} to {c}.")
    for n in range(400)
    for a, b, c in [
        (("diffusion model", "model of video", "diffusion")[n % 3], ("images", "video")[n % 2], "generate it")
    ]
]
"""A field in which each word of the topic is common."""
BEES = Profile((Topic("bees", "beekeeping for people who begin with it"),))


def ranking(profile: Profile, *papers: Paper, background: Sequence[Paper] = (), **options: object) -> dict[str, Pick]:
    candidates = [Candidate(paper, ()) for paper in papers]
    ranker = Ranker(candidates, background=[*BACKGROUND, *background], now=NOW, **options)  # type: ignore[arg-type]
    return {pick.paper_id: pick for pick in next(ranker.rank([profile]))}


def meaning(texts: Sequence[str]) -> Floats32:
    """A sense for insects: everything about them is one direction, every other text one of its own."""
    vectors = np.zeros((len(texts), 384), np.float32)
    for row, text in enumerate(texts):
        insects = any(word in text.lower() for word in ("bee", "wasp", "hornet"))
        vectors[row, 0 if insects else 1 + hash(text) % 383] = 1
    return vectors


def test_papers_of_the_archive_teach_the_words_of_a_field() -> None:
    """A paper without the topic's word is found by what is written beside that word elsewhere."""
    alone = ranking(BEES, SYNONYM, STRANGER)
    taught = ranking(BEES, SYNONYM, STRANGER, background=ARCHIVED)
    assert alone["synonym"].relevance == 0
    assert taught["synonym"].relevance > 0.01
    assert taught["stranger"].relevance < 0.1 * taught["synonym"].relevance
    assert english(taught["synonym"].reasons[0].remark) == "bees: in other words"


def test_a_small_archive_teaches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first days there are too few papers to learn from."""
    monkeypatch.setattr("digest.rank.topics.FEWEST", 10_000)
    assert ranking(BEES, SYNONYM, background=ARCHIVED)["synonym"].relevance == 0


def test_a_paper_does_not_vouch_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only paper with the topic's word gets what it would get if nothing were fed back."""
    found = ranking(BEES, NAMED, STRANGER)["named"].relevance
    monkeypatch.setattr("digest.rank.topics.FEEDBACK", 0.0)
    assert found == pytest.approx(ranking(BEES, NAMED, STRANGER)["named"].relevance, abs=1e-6)
    assert found > 0


def test_neighbours_count_as_a_pair() -> None:
    """Words that stand side by side as in the topic say more than the same words apart."""
    topic = Profile((Topic("x", "the slow drift of sand dunes over many years in deserts"),))
    together = Paper(PaperId("together"), "", "We filmed sand dunes there and stones lay there.")
    apart = Paper(PaperId("apart"), "", "We filmed dunes there and stones of sand lay there.")
    shared = [Paper(PaperId(f"dunes{n}"), "", f"Place {n} has sand dunes.") for n in range(2)]
    found = ranking(topic, together, apart, background=shared)
    assert found["together"].relevance > found["apart"].relevance > 0


def test_meaning_finds_what_has_no_word_in_common() -> None:
    """With sentence vectors a paper on wasps fits a topic on bees, and one on rails does not."""
    wasps = Paper(PaperId("wasps"), "Nests of hornets", "Colonies on roofs, counted in June.")
    words, both = ranking(BEES, wasps, STRANGER), ranking(BEES, wasps, STRANGER, embed=meaning)
    assert words["wasps"].relevance == 0
    assert both["wasps"].relevance > 0.05
    assert both["stranger"].relevance < 0.1 * both["wasps"].relevance
    assert english(both["wasps"].reasons[0].remark) == "bees: in other words"


def test_sentence_vectors_are_asked_for_only_by_topics() -> None:
    """Example papers, authors and categories do without; each text is asked for once."""
    asked: list[str] = []

    def noted(texts: Sequence[str]) -> Floats32:
        asked.extend(texts)
        return meaning(texts)

    ranking(Profile((), ("Ada",), ("cs.CV",), (SYNONYM.id,)), SYNONYM, embed=noted)
    assert asked == []
    ranking(BEES, SYNONYM, NAMED, embed=noted)
    assert len(asked) == len(set(asked)) == 1 + 2 + len(BACKGROUND)


# --- votes ----------------------------------------------------------------------------------------------------------

OTHER_BEES = Paper(PaperId("bees"), "Beekeeping and hives", "Hives, honeycomb and nectar where beekeeping is old.")
OTHER_RAILS = Paper(PaperId("trams"), "Trams on rails", "Old rails and trams in a town by the harbour.")


def voted(*votes: Vote, disliked: tuple[Vote, ...] = ()) -> dict[str, float]:
    known = {paper.id: paper for paper in (OTHER_BEES, OTHER_RAILS)}
    profile = Profile((Topic("towns", "towns by a harbour"),), liked=votes, disliked=disliked)
    return {name: pick.relevance for name, pick in ranking(profile, SYNONYM, STRANGER, known=known).items()}


def test_an_old_like_counts_less_than_a_new_one() -> None:
    """Of two likes of one day both count alike; a year later the newer one draws more."""
    year = timedelta(days=365)
    fresh = voted(Vote(OTHER_BEES.id, NOW), Vote(OTHER_RAILS.id, NOW))
    faded = voted(Vote(OTHER_BEES.id, NOW - year), Vote(OTHER_RAILS.id, NOW))
    undated = voted(Vote(OTHER_BEES.id), Vote(OTHER_RAILS.id))
    assert 0 < faded["synonym"] < 0.9 * fresh["synonym"]
    assert undated == pytest.approx(fresh)


def test_an_old_dislike_pushes_less() -> None:
    """Tastes change: what was disliked two years ago comes back by and by."""
    none, fresh = voted()["stranger"], voted(disliked=(Vote(OTHER_RAILS.id, NOW),))["stranger"]
    old = voted(disliked=(Vote(OTHER_RAILS.id, NOW - timedelta(days=730)),))["stranger"]
    assert fresh < 0.7 * none
    assert fresh + 0.05 * none < old < none


def test_likes_add_to_a_profile_and_never_take_its_topic_away() -> None:
    """Three likes of another subject bring that subject in; what the topic asks for stays as relevant."""
    likes = [
        Paper(PaperId(f"like{n}"), f"Hives in year {n}", f"Nectar and honeycomb of village {n}, in hives.")
        for n in range(3)
    ]
    topic = Topic("towns", "towns by a harbour")
    known = {paper.id: paper for paper in likes}
    before = ranking(Profile((topic,)), SYNONYM, STRANGER, known=known)
    after = ranking(Profile((topic,), liked=tuple(Vote(p.id, NOW) for p in likes)), SYNONYM, STRANGER, known=known)
    assert before["synonym"].relevance == 0
    assert after["synonym"].relevance > 0.2
    assert after["stranger"].relevance >= before["stranger"].relevance > 0


def test_a_topic_s_week_counts_what_fitted_it_on_each_day() -> None:
    """By the day on which a paper came, whatever its sources say; a candidate that never came before came today."""
    days = [
        replace(bees, published=NOW - timedelta(days=age)) for bees, age in zip(ARCHIVED, (1, 1, 3, 6, 7), strict=False)
    ]
    topic = Topic("bees", "beekeeping, hives, honeycomb and nectar in a village")
    late = replace(ARCHIVED[10], published=NOW - timedelta(days=2))
    old = replace(ARCHIVED[9], published=NOW - timedelta(days=30))
    told = [replace(paper, published=NOW - timedelta(days=4)) for paper in (NAMED, ARCHIVED[11])]
    silent = [replace(paper, published=None) for paper in (late, old)]
    candidates = [Candidate(paper, ()) for paper in (*told, STRANGER, *silent)]
    ranker = Ranker(candidates, background=[*BACKGROUND, *BACKGROUND_OF_RAILS, *days, late, old], now=NOW)
    ((bees,),) = [ranking.week for ranking in ranker.rankings([Profile((topic,))])]
    assert (bees.name, bees.papers) == ("bees", (1, 0, 0, 1, 1, 2, 1))


def test_a_topic_of_few_words_is_met_in_its_own_field() -> None:
    """By a paper that is about it, though its words are common there and stand in another order."""
    about = Paper(
        PaperId("about"), "Fast video diffusion", "Video diffusion models generate a video. We make them fast."
    )
    picks = ranking(Profile((Topic("video", "diffusion models for video"),)), about, STRANGER, background=FIELD)
    assert picks["about"].relevance >= 0.2 > 10 * picks["stranger"].relevance


def test_a_phrase_is_told_of_once() -> None:
    """What stands in a phrase already is not told of again, though it is one of the topic's phrases as well."""
    about = Paper(PaperId("about"), "Fast clips", "Video diffusion models are slow, and we make them fast.")
    pick = ranking(Profile((Topic("video", "diffusion models for video"),)), about, background=FIELD)["about"]
    assert english(pick.reasons[0].remark) == "video: Video diffusion models"


def test_a_topic_s_week_counts_what_fits_by_its_keywords() -> None:
    """A paper that fits by a phrase counts on its day, as among the picks; one with an excluded phrase does not."""
    said = Paper(PaperId("said"), "Fast clips", "On video diffusion.")
    lost = Paper(PaperId("lost"), "Slow clips", "On video diffusion, and on cameras.")
    before = [
        replace(paper, id=PaperId(f"{paper.id}{age}"), published=NOW - timedelta(days=age))
        for paper in (said, lost)
        for age in (1, 3)
    ]
    topic = Topic("video", keywords=("video diffusion",), exclude=("cameras",))
    ranker = Ranker([Candidate(said, ()), Candidate(lost, ())], background=[*FIELD, *before], now=NOW)
    ((week,),) = [ranking.week for ranking in ranker.rankings([Profile((topic,))])]
    assert week.papers == (0, 0, 0, 1, 0, 1, 1)
