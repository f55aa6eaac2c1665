"""How well papers fit a profile: each part of it, and all together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from digest.model import Candidate, Paper, PaperId, Profile, Topic, Vote
from digest.rank import Ranker
from digest.rank.profile import votes
from tests.factories import NOW

VIDEO = Paper(
    PaperId("video"),
    "Text-to-video generation with latent diffusion",
    "We train a diffusion model that generates video from text. Clips are long and consistent over many frames.",
    ("Ada Example", "Tim Brooks"),
    categories=("cs.CV", "cs.LG"),
)
EDITING = Paper(
    PaperId("editing"),
    "Editing clips by words",
    "A diffusion transformer changes a given video as a sentence says. Frames stay consistent.",
    categories=("cs.CV",),
)
CAMERAS = Paper(
    PaperId("cameras"),
    "Watching stations",
    "Surveillance cameras record video of a station. A diffusion model generates video of rare events for training.",
    categories=("eess.IV",),
)
PROTEIN = Paper(
    PaperId("protein"),
    "Folding proteins on a laptop",
    "Structures of proteins are predicted from sequences of amino acids with a small network.",
    ("Grace Sample",),
    categories=("q-bio.BM",),
)
SOIL = Paper(
    PaperId("soil"),
    "Earthworms and soil",
    "Earthworms move through soil and carry carbon into deeper layers. Fields with worms hold more water.",
    categories=("q-bio.PE",),
)
PAPERS = (VIDEO, EDITING, CAMERAS, PROTEIN, SOIL)
TOPIC = Topic("video", "diffusion models that generate or edit video clips of many frames")
OTHER_VIDEO = Paper(
    PaperId("seen"), "Generating video by diffusion", "A diffusion model generates consistent video frames from text."
)


def relevance(
    profile: Profile, papers: Sequence[Paper] = PAPERS, known: Sequence[Paper] = (OTHER_VIDEO,), background: int = 200
) -> dict[str, float]:
    """The relevance of each paper, in a world where most papers are about something else."""
    others = [Paper(PaperId(f"other{n}"), f"Thing {n}", f"Report {n} on a subject {n}.") for n in range(background)]
    ranker = Ranker(
        [Candidate(paper, ()) for paper in papers],
        known={paper.id: paper for paper in known},
        background=others,
        now=NOW,
    )
    (ranking,) = ranker.rank([profile])
    return {pick.paper_id: pick.relevance for pick in ranking}


# --- topics ---------------------------------------------------------------------------------------------------------


def test_a_topic_s_papers_pass_the_default_threshold_and_others_do_not() -> None:
    """With the default `min_relevance` of 0.2, a text of one sentence divides what it is about from what it is not."""
    found = relevance(Profile((TOPIC,)))
    assert min(found["video"], found["editing"]) > 0.2
    assert max(found["protein"], found["soil"]) < 0.05


def test_a_keyword_counts_as_a_phrase_far_more_than_its_scattered_words() -> None:
    """Both papers hold both words as often; one holds them side by side."""
    text = "{} of the things that were seen on the day before"
    together = replace(SOIL, id=PaperId("a"), abstract=text.format("Frame interpolation is one"))
    apart = replace(SOIL, id=PaperId("b"), abstract=text.format("Interpolation is one of each frame"))
    found = relevance(Profile((Topic("x", keywords=("frame interpolation",)),)), (together, apart))
    assert found["a"] > found["b"] + 0.1
    assert found["b"] > 0


def test_a_topic_s_weight_is_that_of_its_keywords_too() -> None:
    """A keyword of a topic of a tenth of the weight says a tenth."""
    light, full = (
        relevance(Profile((Topic("x", keywords=("amino acids",), weight=weight),)))["protein"] for weight in (0.1, 1.0)
    )
    assert math.log1p(-light) == pytest.approx(0.1 * math.log1p(-full), rel=1e-3)


def test_a_phrase_does_not_reach_from_the_title_into_the_abstract() -> None:
    """The title's last word and the abstract's first are no phrase."""
    split = replace(SOIL, id=PaperId("a"), title="On the frame", abstract="Interpolation of soil.")
    joined = replace(SOIL, id=PaperId("b"), title="On the frame interpolation", abstract="Soil.")
    found = relevance(Profile((Topic("x", keywords=("frame interpolation",)),)), (split, joined))
    assert found["b"] > found["a"] + 0.1


def test_a_keyword_that_every_paper_holds_says_little() -> None:
    """A rare phrase is worth more than one that half of the day's papers have."""
    common = [
        replace(
            SOIL, id=PaperId(f"p{n}"), title="A field", abstract="Earthworms like soil." + " Great galaxy." * (n == 0)
        )
        for n in range(300)
    ]
    rare = relevance(Profile((Topic("x", keywords=("galaxy",)),)), common)["p0"]
    assert rare > 1.5 * relevance(Profile((Topic("x", keywords=("earthworms",)),)), common)["p0"]


def test_topics_are_a_union() -> None:
    """A second topic takes nothing from a paper of the first, and one that fits both gains a little."""
    frames = Topic("frames", "consistent frames over long clips")
    alone, both = (
        relevance(Profile((TOPIC,))),
        relevance(Profile((TOPIC, Topic("proteins", "proteins and amino acids")))),
    )
    assert both["video"] == pytest.approx(alone["video"])
    assert both["protein"] > 0.2
    fits_both = relevance(Profile((TOPIC, frames)))["video"]
    assert alone["video"] < fits_both < alone["video"] + 0.5 * relevance(Profile((frames,)))["video"]


def test_a_topic_s_weight_multiplies() -> None:
    """A heavier topic makes its papers more relevant, a weight of 0 silences it."""
    light, heavy = (relevance(Profile((replace(TOPIC, weight=w),)))["video"] for w in (0.5, 2.0))
    assert light < heavy < 1
    found = relevance(Profile((replace(TOPIC, weight=0.0), Topic("soil", "earthworms"))))
    assert found["video"] == 0
    assert found["soil"] > 0


def test_an_excluded_phrase_takes_the_topic_s_part_away() -> None:
    """A paper with the phrase is out, unless another part of the profile wants it."""
    excluding = replace(TOPIC, exclude=("surveillance cameras", "earthworm"))
    assert relevance(Profile((TOPIC,)))["cameras"] > 0.05
    assert relevance(Profile((excluding,)))["cameras"] == 0
    assert relevance(Profile((excluding,)))["video"] == pytest.approx(relevance(Profile((TOPIC,)))["video"])
    assert relevance(Profile((excluding, Topic("stations", "stations and rare events"))))["cameras"] > 0


def test_a_short_and_a_long_text_on_one_subject_are_comparable() -> None:
    """Saying the same in two words or in two sentences passes or fails the same papers."""
    short = relevance(Profile((Topic("x", "video diffusion"),)))
    long = relevance(
        Profile((Topic("x", "I want diffusion models for video. They generate or edit clips of many frames."),))
    )
    for found in (short, long):
        assert found["video"] > 0.2
        assert found["soil"] < 0.05


def test_one_small_day_does_not_decide_what_is_common() -> None:
    """On a day when every paper is about video, a video topic still finds them."""
    day = [replace(VIDEO, id=PaperId(f"v{n}"), title=f"{VIDEO.title} {n}") for n in range(5)]
    assert min(relevance(Profile((TOPIC,)), day, (), background=0).values()) > 0.2


def test_a_paper_s_relevance_hardly_depends_on_the_other_papers_of_the_day() -> None:
    """Against the same background, the paper alone and among others gets nearly the same figure."""
    alone, among = relevance(Profile((TOPIC,)), [VIDEO])["video"], relevance(Profile((TOPIC,)))["video"]
    assert alone == pytest.approx(among, abs=0.1)


# --- the other parts ------------------------------------------------------------------------------------------------


def test_example_papers_find_their_like() -> None:
    """A paper near to an example passes the threshold, one far from it does not."""
    found = relevance(Profile(examples=(OTHER_VIDEO.id,)))
    assert found["video"] > 0.2
    assert found["soil"] < 0.1


def test_more_examples_of_one_kind_change_little() -> None:
    """Six near copies of one example are neither six times as strong nor a sixth."""
    farm = Paper(
        PaperId("farm"), "Farmers and harvests", "Farmers plough fields in spring, when rivers bring no water."
    )
    copies = [replace(farm, id=PaperId(f"copy{n}")) for n in range(6)]
    one = relevance(Profile(examples=(copies[0].id,)), known=copies)
    six = relevance(Profile(examples=tuple(copy.id for copy in copies)), known=copies)
    assert 0.1 < one["soil"] < 0.9
    assert six["soil"] == pytest.approx(one["soil"], abs=0.1)


def test_likes_act_like_examples() -> None:
    """A like has the force of an example."""
    liked = relevance(Profile(liked=(Vote(OTHER_VIDEO.id, NOW),)))
    assert liked == pytest.approx(relevance(Profile(examples=(OTHER_VIDEO.id,))))


def test_a_library_of_two_subjects_finds_both() -> None:
    """Examples of two kinds do not blur into neither."""
    other = Paper(PaperId("worms"), "Earthworms in fields", "Earthworms carry carbon into soil and fields hold water.")
    found = relevance(Profile(examples=(OTHER_VIDEO.id, other.id)), known=(OTHER_VIDEO, other))
    assert min(found["video"], found["soil"]) > 0.2
    assert found["protein"] < 0.1


def test_dislikes_push_away_what_is_near_and_not_the_topic() -> None:
    """A paper near to the disliked one falls behind; the rest of the topic keeps its place."""
    disliked = replace(EDITING, id=PaperId("seen"))
    before = relevance(Profile((TOPIC,)), known=(disliked,))
    after = relevance(Profile((TOPIC,), disliked=(Vote(disliked.id, NOW),)), known=(disliked,))
    assert after["editing"] < 0.4 * before["editing"]
    assert after["video"] > 0.6 * before["video"]


def test_a_followed_author_s_paper_is_relevant_whatever_it_is_about() -> None:
    """The author rule lifts a paper far over any sensible threshold, and only hers."""
    found = relevance(Profile((Topic("soil", "earthworms in soil"),), authors=("brooks, Tim",)))
    assert found["video"] >= 0.9 - 1e-9
    assert found["protein"] < 0.05


def test_a_category_is_a_small_prior_beside_topics() -> None:
    """Membership lifts a little, and never over the threshold by itself."""
    plain, member = relevance(Profile((TOPIC,))), relevance(Profile((TOPIC,), categories=("q-bio.PE", "cs.CV")))
    assert plain["video"] < member["video"] < plain["video"] + 0.05
    assert 0 < member["soil"] < 0.1


@pytest.mark.parametrize("written", ["cs.CV", "CS.cv", "cs"])
def test_categories_alone_make_relevance(written: str) -> None:
    """With nothing else to go by the members are relevant, by category or by whole archive."""
    found = relevance(Profile(categories=(written,)))
    assert found == {"video": 0.5, "editing": 0.5, "cameras": 0, "protein": 0, "soil": 0}


@pytest.mark.parametrize(
    "profile", [Profile(), Profile(examples=(PaperId("lost"),)), Profile(topics=(Topic("the", "of which"),))]
)
def test_a_profile_with_nothing_to_go_by_takes_every_paper(profile: Profile) -> None:
    """Who asks for nothing gets what trends, not silence."""
    assert set(relevance(profile).values()) == {1.0}


def test_dislikes_alone_push_from_all() -> None:
    """Everything but what is near the disliked paper."""
    found = relevance(Profile(disliked=(Vote(OTHER_VIDEO.id, NOW),)))
    assert found["soil"] == 1
    assert found["video"] < 0.8


def test_of_two_votes_at_one_time_the_dislike_counts() -> None:
    """Else the later one, whichever it is."""
    paper, other = PaperId("x:1"), PaperId("x:2")
    same, later = datetime(2026, 6, 9, tzinfo=UTC), datetime(2026, 6, 10, tzinfo=UTC)
    both = Profile(liked=(Vote(paper, same), Vote(other, later)), disliked=(Vote(paper, same), Vote(other, same)))
    assert votes(both) == ((Vote(other, later),), (Vote(paper, same),))
