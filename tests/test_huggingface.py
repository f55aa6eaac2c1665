"""Hugging Face Daily Papers, read."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.errors import SourceError
from digest.model import LinkKind, Source, SourceKind
from digest.pull import huggingface
from digest.pull.parsed import Parsed

SOURCE = Source(SourceKind.HUGGINGFACE, "Daily Papers")
NOW = datetime(2026, 6, 10, 7, tzinfo=UTC)
DAY = date(2026, 6, 10)

ITEM: dict[str, Any] = {
    "paper": {
        "id": "2606.00007",
        "authors": [
            {"name": "Ann Lee", "hidden": False},
            {"name": "Secret Person", "hidden": True},
            {"name": "Bo  Li"},
        ],
        "publishedAt": "2026-06-08T17:59:59.000Z",
        "submittedOnDailyAt": "2026-06-09T00:00:00.000Z",
        "title": "Seven Ways to Walk\n  a Graph",
        "summary": "We walk\n$n$ graphs.\n",
        "upvotes": 42,
        "githubRepo": "https://github.com/example/walk",
        "githubStars": 7,
        "projectPage": "javascript:alert(1)",
    },
    "publishedAt": "2026-06-09T20:00:00.000Z",
    "title": "Seven Ways to Walk a Graph",
    "upvotes": 9999,
    "numComments": 3,
}


def parse(answer: object) -> Parsed:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return huggingface.parse(body, SOURCE, where="answer", now=NOW, day=DAY)


def changed(**inner: Any) -> dict[str, Any]:
    """The item with some fields of its inner object changed, None for taken out."""
    paper = {key: value for key, value in (ITEM["paper"] | inner).items() if value is not None}
    return ITEM | {"paper": paper}


def test_a_paper_is_read_whole() -> None:
    """Paper, day and figures come from the right one of the two nested objects."""
    parsed = parse([ITEM])
    (announcement,) = parsed.announcements
    paper = announcement.paper
    assert (paper.id, paper.title, paper.abstract) == (
        "arxiv:2606.00007",
        "Seven Ways to Walk a Graph",
        "We walk n graphs.",
    )
    assert paper.authors == ("Ann Lee", "Bo Li")
    assert paper.published == datetime(2026, 6, 8, 17, 59, 59, tzinfo=UTC)
    assert announcement.announced_on == date(2026, 6, 9)
    assert {link.kind: link.url for link in paper.links} == {
        LinkKind.ABS: "https://arxiv.org/abs/2606.00007",
        LinkKind.PDF: "https://arxiv.org/pdf/2606.00007",
        LinkKind.HTML: "https://arxiv.org/html/2606.00007",
        LinkKind.HUGGINGFACE: "https://huggingface.co/papers/2606.00007",
        LinkKind.CODE: "https://github.com/example/walk",
    }
    assert {s.name: s.value for s in parsed.signals} == {"upvotes": 42, "comments": 3, "stars": 7}
    assert {(s.paper_id, s.observed_at) for s in parsed.signals} == {(paper.id, NOW)}


def test_the_first_generation_of_the_format() -> None:
    """Answers of 2024 have no day of submission, no repository and no outer summary."""
    old = changed(submittedOnDailyAt=None, githubRepo=None, githubStars=None, projectPage=None)
    parsed = parse([old])
    assert parsed.announcements[0].announced_on == date(2026, 6, 9)
    assert [s.name for s in parsed.signals] == ["upvotes", "comments"]


def test_a_paper_that_is_not_nested() -> None:
    """Other endpoints give the inner object alone; its day is then the day asked for."""
    parsed = parse([changed(submittedOnDailyAt=None)["paper"]])
    assert parsed.announcements[0].paper.id == "arxiv:2606.00007"
    assert parsed.announcements[0].announced_on == DAY
    assert parsed.signals[0].value == 42


def test_an_empty_day_is_fine() -> None:
    """Weekends have an empty list."""
    assert parse([]) == Parsed()


def test_one_bad_paper_is_named_and_the_others_are_read() -> None:
    """Rejections name the paper by its id, else by its place."""
    parsed = parse([changed(title="") | {"title": None}, 7, {"paper": []}, changed(authors=5), ITEM])
    assert len(parsed.announcements) == 1
    assert [r.entry for r in parsed.rejected] == ["2606.00007", "paper 2", "paper 3", "2606.00007"]


def test_figures_that_are_no_counts_are_left_out() -> None:
    """Negative, true and textual figures are no signals."""
    parsed = parse([changed(upvotes=True, githubStars=-1) | {"numComments": "3"}])
    assert parsed.signals == ()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "is empty"),
        (b"<!doctype html><html>", "is an HTML page"),
        (b'[{"paper": {"id": "26', "is JSON that is broken or breaks off"),
        (b"[" * 100_000, "is JSON that is broken or breaks off"),
        (b"Too many requests", "is not JSON"),
        (b"\xff\xfe[", "is not JSON"),
        (b'{"error": "Invalid date"}', "answers: Invalid date"),
        (b'{"a": 1}', "is JSON, but not a list of papers"),
        (b"[\"{'paper': {'id': '2412.07730'}}\"]", "holds strings instead of papers"),
        (b'{"status": "success", "data": ["{\'paper\': {}}"]}', "holds strings instead of papers"),
    ],
)
def test_what_is_no_list_of_papers_is_named(body: bytes, says: str) -> None:
    """Anything but a list of papers is an error of one line that says what it is."""
    with pytest.raises(SourceError, match=f"^answer {says}"):
        parse(body)


def test_addresses() -> None:
    """A day is asked for by date, with room for more than the fifty that the API gives by itself."""
    assert huggingface.address(SOURCE, DAY) == "https://huggingface.co/api/daily_papers?date=2026-06-10&limit=100"
    own = Source(SourceKind.HUGGINGFACE, "x", url="https://mirror.example/papers?week=2026-W23")
    assert huggingface.address(own, DAY) == "https://mirror.example/papers?week=2026-W23"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ITEM, *ITEM["paper"]]), inner, max_size=5)
    ),
)


@settings(deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(sorted(ITEM)), JSON), max_size=3),
    st.dictionaries(st.sampled_from(sorted(ITEM["paper"])), JSON),
)
def test_papers_of_any_shape_are_read_or_rejected(items: list[Any], inner: dict[str, Any]) -> None:
    """Every paper of a list is announced or rejected, whatever its fields hold."""
    answer = [*items, ITEM | {"paper": ITEM["paper"] | inner}]
    parsed = parse(answer)
    assert len(parsed.announcements) + len(parsed.rejected) == len(answer)
