"""Which papers of a ranking one subscriber gets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.model import Candidate, Paper, PaperId, Pick, Reason, ReasonKind, Remark, Says, Selection, TopicWeek
from digest.rank import select
from digest.rank.selection import CLOSE, CLOSENESS_COST, TRENDING_CLEARLY
from digest.render.remarks import english
from tests.factories import TODAY, paper


def pick(number: int, score: float, relevance: float | None = None, topic: str = "video") -> Pick:
    """A pick whose score is all relevance, unless the two are told apart."""
    wanted = score if relevance is None else relevance
    reasons = (
        Reason(ReasonKind.TOPIC, Remark(Says.TOPIC, (topic, "diffusion")), wanted),
        Reason(ReasonKind.TREND, Remark(Says.SIGNAL, ("stars",), (9,)), score - wanted),
    )
    return Pick(paper(number).id, score, wanted, 0.0, reasons)


class Told:
    """A ranking of picks that have their reasons."""

    def __init__(self, picks: Sequence[Pick]):
        self.week = (TopicWeek("video", (0, 1, 0, 2, 0, 0, 3)),)
        self._told = {pick.paper_id: pick for pick in picks}
        self.picks = sorted((pick._replace(reasons=()) for pick in picks), key=lambda p: (-p.score, p.paper_id))

    def explained(self, pick: Pick) -> Pick:
        return self._told[pick.paper_id]

    @property
    def interests(self) -> int:
        return len({self.interest(pick.paper_id) for pick in self.picks if pick.relevance > 0})

    def interest(self, paper_id: PaperId) -> tuple[ReasonKind, str]:
        wanted = [r for r in self._told[paper_id].reasons if r.kind is not ReasonKind.TREND]
        if not wanted:
            return ReasonKind.TREND, ""
        heaviest = max(wanted, key=lambda r: r.weight)
        return heaviest.kind, heaviest.remark.names[0]

    def disliked(self, paper_id: PaperId) -> bool:
        return any(reason.weight < 0 for reason in self._told[paper_id].reasons)

    def excluded(self, paper_id: PaperId) -> bool:
        return any(r.kind is ReasonKind.TOPIC and r.weight == 0 for r in self._told[paper_id].reasons)


Pair = tuple[int, int]


def chosen(
    picks: Sequence[Pick],
    *,
    sent: Mapping[int, date | None] | None = None,
    near: Collection[Pair] = (),
    close: Mapping[Pair, float] | None = None,
    **more: Any,
) -> Selection:
    """What `select` makes of the picks; papers by their numbers. `near` and `close` hold for both ways round."""
    cosines: dict[PaperId, dict[PaperId, float]] = {}
    duplicates: dict[PaperId, list[Paper]] = {}
    for one, other in near:
        duplicates.setdefault(paper(one).id, []).append(paper(other))
        duplicates.setdefault(paper(other).id, []).append(paper(one))
    for (one, other), cosine in (close or {}).items():
        cosines.setdefault(paper(one).id, {})[paper(other).id] = cosine
        cosines.setdefault(paper(other).id, {})[paper(one).id] = cosine
    return select(
        Told(picks),
        {p.paper_id: Candidate(paper(number(p)), ()) for p in picks},
        {paper(n).id: day for n, day in (sent or {}).items()},
        **{"papers": 12, "min_relevance": 0.2} | more,
        duplicates=duplicates,
        close_to=lambda paper_id: cosines.get(paper_id, {}),
    )


def number(pick: Pick) -> int:
    return int(pick.paper_id.rpartition(".")[2]) - 90000


def numbers(selection: Selection) -> list[int]:
    return [number(pick) for pick in selection.picks]


def missing(selection: Selection) -> list[tuple[int, str]]:
    return [(number(miss.pick), english(miss.missing)) for miss in selection.near_misses]


def test_the_best_come_in_up_to_the_cap() -> None:
    """Three of five, best first, whatever their order in the ranking."""
    assert numbers(chosen([pick(n, 0.3 + n / 10) for n in range(5)], papers=3)) == [4, 3, 2]


def test_the_threshold_is_on_relevance() -> None:
    """A paper that trends but does not fit stays out; one that fits exactly comes in."""
    assert numbers(chosen([pick(1, 0.9, relevance=0.19), pick(2, 0.2, relevance=0.2)])) == [2]


def test_no_relevance_is_never_enough() -> None:
    """Even a threshold of 0 keeps out what has nothing but its trend."""
    assert numbers(chosen([pick(1, 0.3, relevance=0.0), pick(2, 0.1, relevance=0.01)], min_relevance=0.0)) == [2]


# --- what she has, and near-duplicates ------------------------------------------------------------------------------


def test_what_was_sent_is_left_out() -> None:
    """Neither the paper itself nor a near-duplicate of it comes again; only the latter is told of, with the day."""
    selection = chosen([pick(1, 0.9), pick(2, 0.8), pick(3, 0.7)], sent={1: TODAY, 9: TODAY}, near=[(2, 9)])
    assert numbers(selection) == [3]
    told = "nearly the same as “Invented paper number 9”, which you got on 9 June"
    assert missing(selection) == [(2, told)]


def test_a_near_duplicate_of_a_paper_in_the_profile_is_no_news() -> None:
    """She has that one from elsewhere, so there is no day to tell."""
    selection = chosen([pick(1, 0.9)], sent={9: None}, near=[(1, 9)])
    assert selection.picks == ()
    assert missing(selection) == [(1, "nearly the same as “Invented paper number 9”, which is in your profile")]


def test_of_near_duplicates_the_better_stays() -> None:
    """Whichever was found to be near to which, and whatever their order in the ranking."""
    selection = chosen([pick(1, 0.5), pick(2, 0.8), pick(3, 0.4)], near=[(1, 2)])
    assert numbers(selection) == [2, 3]
    told = "nearly the same as “Invented paper number 2”, which is above"
    assert missing(selection) == [(1, told)]
    selection = chosen([pick(1, 0.5), pick(2, 0.8), pick(3, 0.4), pick(4, 0.3)], near=[(1, 2)], papers=2)
    assert missing(selection) == [(1, told), (4, "number 3, with room for 2")]


def test_near_duplicates_of_what_is_not_in_are_not_kept_out() -> None:
    """The first of a chain keeps out the second, and that the third no more; nor does one that misses the threshold."""
    assert numbers(chosen([pick(1, 0.9), pick(2, 0.8), pick(3, 0.7)], near=[(1, 2), (2, 3)])) == [1, 3]
    assert numbers(chosen([pick(1, 0.9, relevance=0.1), pick(2, 0.8)], near=[(1, 2)])) == [2]


def test_an_interest_whose_best_is_a_near_duplicate_gives_its_next() -> None:
    """The floor holds a place for the interest, not for the paper."""
    picks = [pick(1, 0.9), pick(2, 0.8), pick(3, 0.7, topic="soil"), pick(4, 0.3, topic="soil")]
    assert numbers(chosen(picks, papers=2, near=[(1, 3)])) == [1, 4]


# --- diversity ------------------------------------------------------------------------------------------------------


def test_of_equals_the_one_that_is_less_close_comes() -> None:
    """A paper close to a pick gives way to a slightly worse one that is not, and is told so; the order is by score."""
    cost = CLOSENESS_COST * (0.9 - CLOSE)
    picks = [pick(1, 0.9), pick(2, 0.8), pick(3, 0.8 - cost + 0.01), pick(4, 0.85)]
    selection = chosen(picks, papers=3, close={(1, 2): 0.9})
    assert numbers(selection) == [1, 4, 3]
    assert missing(selection) == [(2, "close to “Invented paper number 1”, which is above")]
    much_worse = [*picks[:2], pick(3, 0.8 - cost - 0.01), picks[3]]
    assert numbers(chosen(much_worse, papers=3, close={(1, 2): 0.9})) == [1, 4, 2]


def test_closeness_keeps_nobody_out_of_a_list_with_room() -> None:
    """Diversity decides between papers; it is no second threshold. What merely shares a field costs nothing."""
    assert numbers(chosen([pick(1, 0.9), pick(2, 0.8)], close={(1, 2): 1.0})) == [1, 2]
    picks = [pick(1, 0.9), pick(2, 0.8), pick(3, 0.799)]
    assert numbers(chosen(picks, papers=2, close={(1, 2): CLOSE})) == [1, 2]


def test_each_topic_with_something_to_say_is_there() -> None:
    """A topic's best paper takes the last place from a topic that has several."""
    picks = [pick(n, 0.9 - n / 100) for n in range(1, 6)] + [pick(7, 0.3, topic="soil"), pick(8, 0.1, topic="stars")]
    selection = chosen(picks, papers=4)
    assert numbers(selection) == [1, 2, 3, 7]
    assert english(selection.near_misses[0].missing) == "gave its place to another of your topics"


def test_the_floor_never_breaks_the_cap() -> None:
    """With more topics than places, the topics with the best papers are there."""
    picks = [pick(n, 0.9 - n / 100, topic=f"topic {n}") for n in range(1, 6)]
    assert numbers(chosen(picks, papers=2)) == [1, 2]
    assert numbers(chosen(picks, papers=0)) == []


def test_ties_go_by_id() -> None:
    """Equal scores keep the order of the ids, however the ranking had them."""
    assert numbers(chosen([pick(3, 0.5), pick(1, 0.5), pick(2, 0.5)], papers=2)) == [1, 2]


def test_near_misses_say_what_was_missing() -> None:
    """First the next in line, then what is nearest below the threshold."""
    picks = [pick(1, 0.9), pick(2, 0.8), pick(3, 0.5, relevance=0.1), pick(4, 0.18), pick(5, 0.4, relevance=0.1999)]
    misses = chosen(picks, papers=1).near_misses
    assert [english(m.missing) for m in misses] == [
        "number 2, with room for 1",
        "relevance 0.1999, under your 0.2000",
        "relevance 0.18, under your 0.20",
    ]


def test_what_has_hardly_a_word_in_common_has_not_just_missed() -> None:
    """On a quiet day nobody is told that papers of relevance 0.00 came near."""
    misses = chosen([pick(1, 0.4, 0.001), pick(2, 0.4, 0.0999), pick(3, 0.4, 0.1)]).near_misses
    assert [english(miss.missing) for miss in misses] == ["relevance 0.10, under your 0.20"]


def test_an_exclusion_is_told_as_a_near_miss() -> None:
    """A paper that lost its topic to an excluded phrase says so."""
    reason = Reason(ReasonKind.TOPIC, Remark(Says.EXCLUDED, ("video", "surveillance")), 0.0)
    misses = chosen([Pick(paper(1).id, 0.1, 0.0, 0.4, (reason,))]).near_misses
    assert [english(m.missing) for m in misses] == ["video: surveillance is excluded"]


# --- exploration ----------------------------------------------------------------------------------------------------

UNDER = Remark(Says.JUST_UNDER)


def trending(paper_number: int, relevance: float, trend: float, *more: Reason) -> Pick:
    return pick(paper_number, relevance + 0.1, relevance)._replace(trend=trend, reasons=more)


def explored(extra: Sequence[Pick], *, ordinary: int = 5, **more: Any) -> Selection:
    """Ordinary picks, of which two have other topics, and what might be explored; six places."""
    picks = [pick(n, 0.9 - n / 100, topic=f"topic {min(n, 3)}") for n in range(1, ordinary + 1)]
    return chosen([*picks, *extra], **{"papers": 6, "explore": True} | more)


def test_an_exploration_takes_a_free_place_and_says_so() -> None:
    """The nearest to trend below the threshold comes last, its reason weighs nothing, and it is no near miss.

    Nor is what has less than half of what it takes.
    """
    selection = explored([trending(20, 0.12, 0.8), trending(21, 0.19, 0.5), trending(22, 0.09, 0.9)])
    assert numbers(selection) == [1, 2, 3, 4, 5, 20]
    assert selection.picks[-1].reasons == (Reason(ReasonKind.EXPLORATION, UNDER, 0.0),)
    assert [n for n, _ in missing(selection)] == [21]


def test_an_exploration_takes_the_last_place_of_a_full_list() -> None:
    """What it displaced is told."""
    selection = explored([trending(20, 0.12, 0.8)], ordinary=7)
    assert numbers(selection) == [1, 2, 3, 4, 5, 20]
    assert missing(selection) == [(6, "gave its place to an exploration"), (7, "number 7, with room for 6")]


def test_an_exploration_takes_no_interests_only_place() -> None:
    """The last place goes to the last that is not alone, and if all are alone there is no exploration."""
    picks = [pick(n, 0.9 - n / 100, topic=f"topic {max(n, 2)}") for n in range(1, 7)]
    some, none = (
        [*picks, trending(20, 0.12, 0.8)],
        [pick(7, 0.95, topic="topic 7"), *picks[1:], trending(20, 0.12, 0.8)],
    )
    assert numbers(chosen(some, papers=6, explore=True)) == [1, 3, 4, 5, 6, 20]
    assert numbers(chosen(none, papers=6, explore=True)) == [7, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"explore": False}, 5),
        ({"papers": 5}, 5),
        ({"ordinary": 2}, 2),
        ({"ordinary": 0}, 0),
        ({"sent": {20: TODAY}}, 5),
        ({"near": [(1, 20)]}, 5),
        ({"min_relevance": 0.0}, 6),
        ({"min_relevance": 0.3}, 5),
    ],
)
def test_when_nothing_is_explored(changes: dict[str, Any], kept: int) -> None:
    """Switched off; a short list; too few picks in earnest; one she has, or nearly; not near the threshold."""
    selection = explored([trending(20, 0.12, 0.8)], **changes)
    assert len(selection.picks) == kept
    assert all(reason.kind is not ReasonKind.EXPLORATION for p in selection.picks for reason in p.reasons)


def test_what_does_not_trend_or_was_disliked_is_not_explored() -> None:
    """A trend that is low, or that most papers have, is none; a dislike is not overruled."""
    against = Reason(ReasonKind.VOTES, Remark(Says.NEAR_DISLIKED, ("X",)), -0.1)
    assert len(explored([trending(20, 0.12, 0.2)]).picks) == 5
    assert len(explored([trending(20, 0.12, 0.8, against)]).picks) == 5
    assert len(explored([trending(n, 0.12, 0.5) for n in range(20, 40)]).picks) == 5
    assert len(explored([trending(20, 0.12, 0.8)]).picks) == 6


def test_interests_without_a_place_take_turns() -> None:
    """With eight topics and six places, the sixth place goes round; every topic is heard within three editions."""
    picks = [pick(n, 0.9 - n / 100, topic=f"topic {n}") for n in range(1, 9)]
    lists = [numbers(chosen(picks, papers=6, explore=True, turn=turn)) for turn in range(4)]
    assert lists == [[1, 2, 3, 4, 5, last] for last in (6, 7, 8, 6)]
    selection = chosen(picks, papers=6, explore=True, turn=1)
    assert english(selection.picks[-1].reasons[0].remark) == "exploring: an interest of yours that had no place"
    assert missing(selection) == [(6, "gave its place to an exploration"), (8, "number 8, with room for 6")]


# --- for any ranking ------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.sampled_from("abcd"), st.floats(0, 1)), max_size=20),
    st.integers(0, 8),
    st.floats(0, 1),
    st.sets(st.integers(0, 25)),
    st.sets(st.tuples(st.integers(0, 25), st.integers(0, 25)).filter(lambda pair: pair[0] < pair[1]), max_size=30),
    st.dictionaries(st.tuples(st.integers(0, 9), st.integers(10, 19)), st.floats(0, 1), max_size=30),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_a_selection_keeps_its_promises(
    drawn: list[tuple[float, float, str, float]],
    papers: int,
    min_relevance: float,
    sent: set[int],
    near: set[Pair],
    close: dict[Pair, float],
    explore: bool,
    shuffled: Random,
) -> None:
    """For any ranking: within the cap, over the threshold, nothing she has, nothing twice, every interest it can."""
    picks = [pick(n, s, r, topic)._replace(trend=trend) for n, (s, r, topic, trend) in enumerate(drawn)]
    more: dict[str, Any] = {
        "papers": papers,
        "min_relevance": min_relevance,
        "sent": dict.fromkeys(sent),
        "near": near,
        "close": close,
        "explore": explore,
        "turn": len(sent),
    }
    found = chosen(picks, **more)
    explorations = [p for p in found.picks if any(r.kind is ReasonKind.EXPLORATION for r in p.reasons)]
    ordinary = [p for p in found.picks if p not in explorations]
    kept = {number(p) for p in found.picks}
    assert len(kept) == len(found.picks) <= papers
    assert len(explorations) <= (explore and papers >= 6 and len(ordinary) >= 2)
    assert found.picks == (*ordinary, *explorations)
    assert all(p.relevance >= min_relevance and p.relevance > 0 for p in ordinary)
    assert all(2 * p.relevance >= min_relevance and p.relevance > 0 for p in explorations)
    assert ordinary == sorted(ordinary, key=lambda p: (-p.score, p.paper_id))
    had = sent | {n for pair in near for n in pair if sent & {*pair}}
    assert not kept & had
    assert not any({*pair} <= kept for pair in near)
    assert not kept & {number(miss.pick) for miss in found.near_misses}
    assert not sent & {number(miss.pick) for miss in found.near_misses}
    assert len(found.near_misses) <= 3
    assert all(sum(r.weight for r in p.reasons) == pytest.approx(p.score) for p in found.picks)
    eligible = {number(p) for p in picks if p.relevance >= min_relevance and p.relevance > 0} - had
    blocked = {n for pair in near for n in pair if kept & ({*pair} - {n})}
    if len(kept) < papers:
        assert eligible - blocked <= kept
    if not explorations and len(kept) == papers:
        given = {drawn[n][2] for n in kept}
        short = {drawn[n][2] for n in eligible - blocked} - given
        assert not short or len(given) == papers
    again = list(picks)
    shuffled.shuffle(again)
    assert chosen(again, **more) == found


# --- what trends beside the picks -----------------------------------------------------------------------------------


def trend(number: int, height: float) -> Pick:
    return Pick(
        paper(number).id,
        height,
        0.0,
        height,
        (Reason(ReasonKind.TREND, Remark(Says.SIGNAL, ("upvotes",), (812,)), height),),
    )


def beside(ordered: Sequence[Pick], *picks: Pick, **more: Any) -> list[int]:
    return [number(pick) for pick in chosen(picks, trending=ordered, **more).trending]


def test_what_trends_clearly_stands_beside_the_picks() -> None:
    """The first three that are no picks, whatever they are about; one that hardly trends is none of them."""
    ordered = [trend(n, 0.99 - n / 100) for n in range(1, 7)]
    assert beside(ordered, pick(2, 0.9)) == [1, 3, 4]
    assert beside([trend(1, TRENDING_CLEARLY), trend(2, TRENDING_CLEARLY - 0.01)], pick(9, 0.9)) == [1]
    assert beside([], pick(9, 0.9)) == []


def test_nothing_trends_twice_or_in_vain() -> None:
    """Neither what she has had, in any record, nor two records of one paper, nor what her profile turns down."""
    ordered = [trend(n, 0.9) for n in range(1, 7)]
    assert beside(ordered, pick(9, 0.9), sent={1: TODAY, 20: TODAY}, near=[(2, 20), (3, 9), (4, 5)]) == [4, 6]
    lost = pick(4, 0.0)._replace(reasons=(Reason(ReasonKind.TOPIC, Remark(Says.EXCLUDED, ("video", "soil")), 0.0),))
    pushed = pick(5, 0.1)._replace(reasons=(Reason(ReasonKind.VOTES, Remark(Says.NEAR_DISLIKED, ("x",)), -0.1),))
    assert beside(ordered[3:], pick(9, 0.9), lost, pushed) == [6]


def test_the_week_of_the_topics_comes_along() -> None:
    """As the ranking has it."""
    assert chosen([pick(1, 0.9)]).week == (TopicWeek("video", (0, 1, 0, 2, 0, 0, 3)),)
