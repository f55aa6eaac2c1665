"""The ranking as a whole: the score is its reasons, the order is certain, equal profiles are one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digest.model import Candidate, Paper, PaperId, Pick, Profile, ReasonKind, Says, Signal, Topic, Vote
from digest.rank import Ranker
from digest.rank.prepare import Block
from digest.rank.reasons import Explainer
from digest.rank.relevance import Parts, Relevance
from digest.rank.selection import CLOSE
from digest.render.remarks import english
from tests.factories import NOW, paper

WORDS = [
    "video",
    "diffusion",
    "frames",
    "soil",
    "worm",
    "of",
    "the",
    "text",
    "Über-Modell",
    "GPT-4",
    "模型",
    "x²",
    "\a",
]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
IDS = st.sampled_from([PaperId(f"p{n}") for n in range(8)])
FIGURES = st.dictionaries(st.sampled_from(["upvotes", "stars", "points"]), st.floats(0, 1e6), max_size=3)


@st.composite
def candidates(draw: st.DrawFn) -> tuple[Candidate, ...]:
    made = []
    for number in range(draw(st.integers(0, 6))):
        one = Paper(
            PaperId(f"p{number}"),
            draw(TEXTS),
            draw(TEXTS),
            tuple(draw(st.lists(st.sampled_from(["Ada Example", "B. Sample", "", "—"]), max_size=2))),
            categories=tuple(draw(st.lists(st.sampled_from(["cs.CV", "cs.LG", "math"]), max_size=2))),
            published=draw(st.sampled_from([None, NOW, NOW - timedelta(days=3)])),
        )
        made.append(Candidate(one, (), tuple(Signal(one.id, name, v, NOW) for name, v in draw(FIGURES).items())))
    return tuple(made)


TOPICS = st.builds(
    Topic,
    st.sampled_from(["video", "soil: and worms", ""]),
    TEXTS,
    st.lists(TEXTS, max_size=2).map(tuple),
    st.lists(TEXTS, max_size=1).map(tuple),
    st.sampled_from([0.0, 0.5, 1.0, 1e9]),
)
VOTES = st.lists(st.builds(Vote, IDS, st.sampled_from([None, NOW])), max_size=3).map(tuple)
PROFILES = st.builds(
    Profile,
    st.lists(TOPICS, max_size=3).map(tuple),
    st.lists(st.sampled_from(["Ada Example", "Bo Sample", "B. Sample", ""]), max_size=2).map(tuple),
    st.lists(st.sampled_from(["cs", "CS.cv", "", "math"]), max_size=2).map(tuple),
    st.lists(IDS, max_size=4).map(tuple),
    VOTES,
    VOTES,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(candidates(), st.lists(PROFILES, min_size=1, max_size=3), st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 3))
def test_every_score_is_the_sum_of_its_reasons(
    papers: tuple[Candidate, ...], profiles: list[Profile], trend_weight: float, top: int
) -> None:
    """For any papers and profiles: all figures between 0 and 1, reasons that add up, best first, ties by id."""
    known = {PaperId("p7"): Paper(PaperId("p7"), "video of a worm", "diffusion in soil")}
    ranker = Ranker(papers, known=known, trend_weight=trend_weight, now=NOW)
    rankings = list(ranker.rank(profiles, top))
    assert len(rankings) == len(profiles)
    for ranking in rankings:
        assert len(ranking) == min(len(papers), top or len(papers))
        assert list(ranking) == sorted(ranking, key=lambda pick: (-pick.score, pick.paper_id))
        for pick in ranking:
            assert sum(reason.weight for reason in pick.reasons) == pytest.approx(pick.score, abs=1e-9)
            assert all(0 <= figure <= 1 for figure in (pick.score, pick.relevance, pick.trend))
            expected = (1 - trend_weight) * pick.relevance + trend_weight * pick.trend
            assert pick.score == pytest.approx(expected, abs=1e-12)
            assert all(english(reason.remark) and "\n" not in english(reason.remark) for reason in pick.reasons)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(candidates(), st.lists(PROFILES, max_size=5), st.integers(1, 4))
def test_the_scorer_finds_what_the_ranking_explains(
    papers: tuple[Candidate, ...], profiles: list[Profile], count: int
) -> None:
    """`top` gives the scores of `rank`, for any profiles, in blocks of any size."""
    known = {PaperId("p7"): Paper(PaperId("p7"), "video of a worm", "diffusion in soil")}
    ranker = Ranker(papers, known=known, now=NOW)
    expected = [[pick.score for pick in ranking[:count]] for ranking in ranker.rank(profiles)]
    for block, named in ((1, 2000), (128, 3), (128, 2000)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("digest.rank.ranker.BLOCK", block)
            patch.setattr("digest.rank.ranker.NAMED", named)
            found = [ranker.top(prepared, count) for prepared in ranker.prepare(profiles)]
        scores = [row for _, scored in found for row in scored.tolist()]
        rows = [row for chosen, _ in found for row in chosen.tolist()]
        assert len(scores) == len(profiles)
        for profile, ranking, row, score in zip(profiles, expected, rows, scores, strict=True):
            assert score == pytest.approx(ranking, abs=1e-5)
            picks = {pick.paper_id: pick.score for pick in next(ranker.rank([profile]))}
            assert [picks[ranker.papers[number]] for number in row] == pytest.approx(score, abs=1e-5)


def test_the_top_of_a_ranking_is_the_beginning_of_the_whole() -> None:
    """Asking for two gives the first two of all, reasons included."""
    ranker = Ranker([candidate(n, upvotes=n) for n in range(1, 7)], now=NOW)
    profile = Profile((Topic("video", "video by diffusion"),))
    assert next(ranker.rank([profile], 2)) == next(ranker.rank([profile]))[:2]


def test_reasons_are_made_for_the_top_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ranking of two words the reasons of two candidates."""
    asked: list[int] = []
    real = Explainer.explain

    def noted(self: Explainer, block: Block, profile: int, row: int, parts: Parts, place: int) -> Any:
        asked.append(row)
        return real(self, block, profile, row, parts, place)

    monkeypatch.setattr(Explainer, "explain", noted)
    ranker = Ranker([candidate(n) for n in range(1, 40)], now=NOW)
    list(ranker.rank([Profile(examples=(paper(1).id,))], 2))
    assert len(asked) == 2


def test_close_are_the_candidates_that_share_many_words() -> None:
    """Both ways round, by cosine; known papers and the candidate itself are not among them."""
    texts = ["grow forests of decision trees", "prune forests of decision trees", "maps of rivers after a flood", ""]
    papers = [paper(n, title="", abstract=text) for n, text in enumerate(texts)]
    known = paper(9, title="", abstract=texts[0])
    ranker = Ranker([Candidate(one, ()) for one in papers], known={known.id: known}, now=NOW)
    close = [ranker.close_to(one.id) for one in papers]
    assert [close[0].keys(), close[1].keys(), close[2].keys()] == [{papers[1].id}, {papers[0].id}, set()]
    assert CLOSE <= close[0][papers[1].id] < 1
    assert close[0][papers[1].id] == pytest.approx(close[1][papers[0].id])
    assert close[3] == {}


def test_equal_profiles_are_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three subscribers with two interests are two profiles, and each gets her own ranking, in order."""
    scored: list[Profile] = []
    real = Relevance.prepare

    def noted(self: Relevance, profiles: Sequence[Profile]) -> Block:
        scored.extend(profiles)
        return real(self, profiles)

    monkeypatch.setattr(Relevance, "prepare", noted)
    video, soil = Profile((Topic("video"),)), Profile((Topic("soil"),))
    ranker = Ranker([candidate(1), candidate(2, title="Soil")], now=NOW)
    rankings = list(ranker.rank([video, soil, Profile((Topic("video"),))]))
    assert scored == [video, soil]
    assert rankings[0] == rankings[2] != rankings[1]


def test_the_order_of_candidates_and_profiles_changes_nothing() -> None:
    """The same papers in another order, and other profiles beside, give the same ranking."""
    some = [candidate(n, upvotes=n % 3, title=f"Video {n % 2}") for n in range(1, 9)]
    profile, other = Profile((Topic("video", "video by diffusion"),)), Profile(examples=(paper(3).id,))
    one = next(Ranker(some, now=NOW).rank([profile]))
    two = list(Ranker(some[::-1], now=NOW).rank([other, profile]))[1]
    assert [p.paper_id for p in one] == [p.paper_id for p in two]
    assert [p.score for p in one] == pytest.approx([p.score for p in two])


def test_many_profiles_go_in_blocks_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of two over five profiles give what one block gives."""
    some = [candidate(n) for n in range(1, 5)]
    profiles = [Profile((Topic(f"invented {n}"),), examples=(paper(n % 4 + 1).id,)) for n in range(5)]
    whole = list(Ranker(some, now=NOW).rank(profiles))
    monkeypatch.setattr("digest.rank.ranker.BLOCK", 2)
    assert list(Ranker(some, now=NOW).rank(profiles)) == whole


def test_a_paper_given_twice_is_one() -> None:
    """The first of two candidates with one id counts."""
    (ranking,) = Ranker([candidate(1, title="Soil"), candidate(1, title="Video")], now=NOW).rank([Profile()])
    assert len(ranking) == 1


# --- reasons --------------------------------------------------------------------------------------------------------


def candidate(number: int, title: str | None = None, *, upvotes: float | None = None, **fields: Any) -> Candidate:
    one = paper(number, **fields | ({} if title is None else {"title": title}))
    return Candidate(one, (), () if upvotes is None else (Signal(one.id, "upvotes", upvotes, NOW),))


def reasons(profile: Profile, *some: Candidate, **known: Paper) -> list[tuple[str, str]]:
    """Kind and text of the first candidate's reasons; a world of other things is the background."""
    others = [Paper(PaperId(f"other{n}"), f"Thing {n}", f"Report {n} on subject {n}.") for n in range(200)]
    ranker = Ranker(some, known={p.id: p for p in known.values()}, background=others, now=NOW)
    (ranking,) = ranker.rank([profile])
    first = next(pick for pick in ranking if pick.paper_id == some[0].paper.id)
    return [(str(reason.kind), english(reason.remark)) for reason in first.reasons]


def test_a_topic_names_the_words_that_matched_as_the_paper_writes_them() -> None:
    """Keywords first, then the words that say most; not stems, and not words common everywhere."""
    one = candidate(1, title="Diffusing videos", abstract="A (Text) to-Video method generates clips by diffusion.")
    topic = Topic(
        "video-generation", "methods of diffusion by which people make clips of many kinds", ("text-to-video",)
    )
    ((kind, text),) = reasons(Profile((topic,)), one)
    assert kind == "topic"
    assert text in {
        "video-generation: Text to-Video, clips, diffusion",
        "video-generation: Text to-Video, diffusion, clips",
    }


def test_an_example_is_named_by_its_title() -> None:
    """The nearest two by name, the others by number; likes say that they are likes."""
    known = {f"k{n}": paper(n, title=f"Diffusion of video, part {n}") for n in range(10, 15)}
    ids = [p.id for p in known.values()]
    found = reasons(Profile(examples=tuple(ids[:4]), liked=(Vote(ids[4]),)), candidate(1, "Video, part 13"), **known)
    assert ("example", "like “Diffusion of video, part 13”") in found
    assert sum("like “" in text for _, text in found) == 2
    assert ("example", "like 2 more of your papers") in found
    assert ("votes", "like 1 more that you liked") in found
    liked = reasons(Profile(liked=(Vote(ids[0]),)), candidate(1, "Video"), **known)
    assert liked == [("votes", "like “Diffusion of video, part 10”, which you liked")]


def test_a_long_title_is_cut_between_words() -> None:
    """A reason fits a line."""
    known = paper(9, title="Video " + "and another very long thought " * 10)
    ((_, text),) = reasons(Profile(examples=(known.id,)), candidate(1), known=known)
    assert text.endswith("…”")
    assert len(text) < 80


def test_authors_categories_and_figures_are_named() -> None:
    """By whom, in what, with how many votes; a single vote is singular, thousands are grouped."""
    one = candidate(1, authors=("Tim Bröoks", "Ada Example"), categories=("cs.CV", "cs.LG"), upvotes=1412)
    found = reasons(Profile(authors=("tim brooks", "Ada Example"), categories=("cs.LG",)), one)
    assert sorted(found) == [
        ("author", "by Tim Bröoks and Ada Example"),
        ("category", "in cs.LG"),
        ("trend", "1,412 upvotes"),
    ]
    assert ("trend", "1 upvote") in reasons(Profile(), candidate(1, upvotes=1))
    starred = candidate(1)
    starred = replace(starred, signals=(Signal(starred.paper.id, "stars_per_day", 12.5, NOW),))
    assert ("trend", "12.5 stars a day") in reasons(Profile(), starred)


def test_missing_figures_are_named_where_others_have_them() -> None:
    """A paper without votes says so with weight 0, on a day when votes are known."""
    assert ("trend", "no upvotes known") in reasons(Profile((Topic("paper"),)), candidate(1), candidate(2, upvotes=3))
    assert not any(kind == "trend" for kind, _ in reasons(Profile((Topic("paper"),)), candidate(1), candidate(2)))


def test_an_exclusion_is_named() -> None:
    """A topic lost to an excluded phrase is told, and adds nothing."""
    topic = Topic("video", "video by diffusion", exclude=("invent",))
    ranker = Ranker([candidate(1)], now=NOW)
    ((pick,),) = ranker.rank([Profile((topic,))])
    assert [(english(r.remark), r.weight) for r in pick.reasons] == [("video: invent is excluded", 0.0)]


def test_a_dislike_is_a_reason_that_takes_away() -> None:
    """The paper that it is near to is named, with a negative weight."""
    ranker = Ranker([candidate(1)], known={paper(2).id: paper(2)}, now=NOW)
    ((pick,),) = ranker.rank([Profile((Topic("video", "video by diffusion"),), disliked=(Vote(paper(2).id),))])
    last = pick.reasons[-1]
    assert (last.kind, english(last.remark)) == (ReasonKind.VOTES, "near “Invented paper number 2”, which you disliked")
    assert last.weight < 0


def test_the_heaviest_reason_comes_first() -> None:
    """Reasons are in the order of their weight."""
    some = [candidate(n, upvotes=50 * n) for n in range(1, 5)]
    profile = Profile((Topic("video", "video"), Topic("paper", "invented paper")), ("Ada Example",), ("cs",))
    for pick in next(Ranker(some, now=NOW).rank([profile])):
        weights = [reason.weight for reason in pick.reasons if reason.weight]
        assert weights == sorted(weights, reverse=True)


def test_what_weighs_nothing_comes_after_what_takes_away() -> None:
    """A dislike is told before the figures that nobody knows."""
    disliked = paper(9, title="Video by diffusion")
    profile = Profile((Topic("video", "video by diffusion"),), disliked=(Vote(disliked.id),))
    some = [candidate(1, "Video by diffusion"), candidate(2, upvotes=9)]
    (ranking,) = Ranker(some, known={disliked.id: disliked}, now=NOW).rank([profile])
    told = next(pick.reasons for pick in ranking if pick.paper_id == paper(1).id)
    assert [reason.remark.says for reason in told] == [Says.TOPIC, Says.NEAR_DISLIKED, Says.NO_SIGNAL]
    assert told[0].weight > 0 > told[1].weight
    assert told[2].weight == 0


def test_trend_decides_where_relevance_is_equal() -> None:
    """For a profile that asks for nothing, what trends comes first."""
    ranking: tuple[Pick, ...] = next(
        Ranker([candidate(n, upvotes=9 * n) for n in (1, 3, 2)], now=NOW).rank([Profile()])
    )
    assert [pick.paper_id for pick in ranking] == [paper(n).id for n in (3, 2, 1)]
    assert all(a.relevance == b.relevance for a, b in itertools.pairwise(ranking))


# --- what a ranking knows before it is explained --------------------------------------------------------------------


def test_what_a_ranking_says_of_a_paper_is_what_its_reasons_say() -> None:
    """Its heaviest interest, whether a dislike pushes it down, and whether it lost a topic."""
    texts = {1: "video by diffusion", 2: "soil and worms", 3: "lenses and light", 4: "video of a party", 5: "rain"}
    some = [Candidate(paper(n, title=text.title(), abstract=f"On {text}."), ()) for n, text in texts.items()]
    liked, example, disliked = (
        paper(n, title=text.title(), abstract=f"On {text}.")
        for n, text in ((7, "soil and worms"), (8, "lenses and light"), (9, "video by diffusion"))
    )
    profile = Profile(
        (Topic("clips", "video", exclude=("party",)),),
        examples=(example.id,),
        liked=(Vote(liked.id),),
        disliked=(Vote(disliked.id),),
    )
    known = {one.id: one for one in (liked, example, disliked)}
    (ranking,) = Ranker(some, known=known, now=NOW).rankings([profile])
    ids = [candidate.paper.id for candidate in some]
    interests = [ranking.interest(paper_id) for paper_id in ids]
    assert interests[:3] == [(ReasonKind.TOPIC, "clips"), (ReasonKind.VOTES, ""), (ReasonKind.EXAMPLE, "")]
    assert interests[4] == (ReasonKind.TREND, "")
    assert [paper_id for paper_id in ids if ranking.disliked(paper_id)] == [ids[0], ids[3]]
    assert [paper_id for paper_id in ids if ranking.excluded(paper_id)] == [ids[3]]
    for pick in ranking.picks:
        assert pick.reasons == ()
        reasons = ranking.explained(pick).reasons
        if pick.relevance:
            assert any(reason.weight < 0 for reason in reasons) == ranking.disliked(pick.paper_id)
        assert any(reason.remark.says is Says.EXCLUDED for reason in reasons) == ranking.excluded(pick.paper_id)
