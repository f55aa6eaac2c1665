"""Which papers of a ranking one subscriber gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.model import Candidate, PaperId, Pick, Reason, ReasonKind, Selection
from digest.rank import select
from tests.factories import paper


def pick(number: int, score: float, relevance: float | None = None, topic: str = "video") -> Pick:
    """A pick whose score is all relevance, unless the two are told apart."""
    wanted = score if relevance is None else relevance
    reasons = (
        Reason(ReasonKind.TOPIC, f"{topic}: diffusion", wanted),
        Reason(ReasonKind.TREND, "9 stars", score - wanted),
    )
    return Pick(paper(number).id, score, wanted, 0.0, reasons)


def chosen(picks: Sequence[Pick], *, papers: int = 12, min_relevance: float = 0.2, **more: Any) -> Selection:
    titles = more.pop("titles", {})
    numbers = {p.paper_id: int(p.paper_id.rpartition(".")[2]) - 90000 for p in picks}
    by_id = {i: Candidate(paper(n, **({"title": titles[n]} if n in titles else {})), ()) for i, n in numbers.items()}
    return select(picks, by_id, more.pop("sent", frozenset()), papers=papers, min_relevance=min_relevance)


def numbers(selection: Selection) -> list[int]:
    return [int(p.paper_id.rpartition(".")[2]) - 90000 for p in selection.picks]


def test_the_best_come_in_up_to_the_cap() -> None:
    """Three of five, best first, whatever their order in the ranking."""
    assert numbers(chosen([pick(n, 0.3 + n / 10) for n in range(5)], papers=3)) == [4, 3, 2]


def test_the_threshold_is_on_relevance() -> None:
    """A paper that trends but does not fit stays out; one that fits exactly comes in."""
    assert numbers(chosen([pick(1, 0.9, relevance=0.19), pick(2, 0.2, relevance=0.2)])) == [2]


def test_no_relevance_is_never_enough() -> None:
    """Even a threshold of 0 keeps out what has nothing but its trend."""
    assert numbers(chosen([pick(1, 0.3, relevance=0.0), pick(2, 0.1, relevance=0.01)], min_relevance=0.0)) == [2]


def test_what_was_sent_is_left_out_under_any_id() -> None:
    """Neither the paper itself nor another one of the same title comes again."""
    picks = [pick(1, 0.9), pick(2, 0.8), pick(3, 0.7)]
    sent = frozenset({paper(1).id})
    assert numbers(chosen(picks, sent=sent, titles={1: "On Things", 2: "On things."})) == [3]


def test_of_one_title_the_better_paper_comes() -> None:
    """Titles that differ in case and signs are one; titles that differ in a number are two."""
    picks = [pick(n, 0.9 - n / 10) for n in range(1, 5)]
    titles = {1: "On Things, Part 1", 2: "On things: part 1", 3: "On Things, Part 2", 4: "Else"}
    assert numbers(chosen(picks, titles=titles)) == [1, 3, 4]


def test_each_topic_with_something_to_say_is_there() -> None:
    """A topic's best paper takes the last place from a topic that has several."""
    picks = [pick(n, 0.9 - n / 100) for n in range(1, 6)] + [pick(7, 0.3, topic="soil"), pick(8, 0.1, topic="stars")]
    selection = chosen(picks, papers=4)
    assert numbers(selection) == [1, 2, 3, 7]
    assert selection.near_misses[0].missing == "gave its place to another of your topics"


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
    assert [m.missing for m in misses] == [
        "2nd of 1",
        "relevance 0.1999, under your 0.2000",
        "relevance 0.18, under your 0.20",
    ]


def test_an_exclusion_is_told_as_a_near_miss() -> None:
    """A paper that lost its topic to an excluded phrase says so."""
    reason = Reason(ReasonKind.TOPIC, "video: surveillance is excluded", 0.0)
    misses = chosen([Pick(paper(1).id, 0.1, 0.0, 0.4, (reason,))]).near_misses
    assert [m.missing for m in misses] == ["video: surveillance is excluded"]


def test_what_was_sent_is_no_near_miss() -> None:
    """Nobody is told of what she has."""
    assert chosen([pick(1, 0.9), pick(2, 0.1)], sent=frozenset({paper(2).id})).near_misses == ()


@pytest.mark.parametrize(
    ("place", "said"),
    [(2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st"), (112, "112th")],
)
def test_places_are_written_as_people_say_them(place: int, said: str) -> None:
    """The ordinals of English."""
    picks = [pick(n, 1 - n / 1000) for n in range(1, place + 1)]
    assert chosen(picks, papers=place - 1).near_misses[0].missing == f"{said} of {place - 1}"


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.sampled_from("abc")), max_size=20),
    st.integers(0, 8),
    st.floats(0, 1),
    st.sets(st.integers(0, 20)),
)
def test_a_selection_keeps_its_promises(
    drawn: list[tuple[float, float, str]], papers: int, min_relevance: float, sent: set[int]
) -> None:
    """For any ranking: best first, within the cap, over the threshold, nothing twice, a picked paper never missed."""
    picks = [pick(n, score, relevance, topic) for n, (score, relevance, topic) in enumerate(drawn)]
    ids = frozenset(paper(n).id for n in sent)
    found = chosen(picks, papers=papers, min_relevance=min_relevance, sent=ids)
    kept: list[PaperId] = [p.paper_id for p in found.picks]
    assert len(set(kept)) == len(kept) <= papers
    assert not ids & {*kept, *(m.pick.paper_id for m in found.near_misses)}
    assert not {*kept} & {m.pick.paper_id for m in found.near_misses}
    assert all(p.relevance >= min_relevance and p.relevance > 0 for p in found.picks)
    assert [p.score for p in found.picks] == sorted((p.score for p in found.picks), reverse=True)
    assert len(found.near_misses) <= 3
    if len(kept) < papers:
        eligible = {p.paper_id for p in picks if p.relevance >= min_relevance and p.relevance > 0} - ids
        assert eligible == {*kept}
