"""Hugging Face Daily Papers, read."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.errors import SourceError
from digest.model import LinkKind, Period, Source, SourceKind, Window
from digest.pull import huggingface
from digest.pull.conversation import Task
from digest.pull.http import Response, StatusError
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
        (b'["a string", "[1, 2", "no paper"]', "holds strings instead of papers, and no paper can be read from them"),
        (b'{"status": "success", "data": ["{\'paper\': {}}"]}', "holds strings instead of papers"),
        (json.dumps([repr({"paper": "x" * 50_000})] * 11).encode(), "holds strings .*, and more than 500,000 char"),
    ],
)
def test_what_is_no_list_of_papers_is_named(body: bytes, says: str) -> None:
    """Anything but a list of papers is an error of one line that says what it is."""
    with pytest.raises(SourceError, match=f"^answer {says}"):
        parse(body)


def test_what_the_page_shows_is_read_too() -> None:
    """The summary and keywords written by a program, the organisation and the picture are the paper's."""
    extra = changed(
        ai_summary="Walks\n a $k$-graph.",
        ai_keywords=["random walk", "graph", "random walk", "", 7],
        organization={"_id": "1", "name": "walk-lab", "fullname": "Walk Lab"},
    ) | {"thumbnail": "https://pictures.example/2606.00007.png"}
    paper = parse([extra]).announcements[0].paper
    assert (paper.tldr, paper.keywords) == ("Walks a k-graph.", ("random walk", "graph"))
    assert (paper.organisation, paper.thumbnail) == ("Walk Lab", "https://pictures.example/2606.00007.png")


def test_where_else_these_stand() -> None:
    """The organisation may be in the outer object or lack a full name; in 2024 the picture was called mediaUrl."""
    outer = ITEM | {"organization": {"name": "walk-lab"}, "mediaUrl": "https://pictures.example/1.png"}
    paper = parse([outer]).announcements[0].paper
    assert (paper.organisation, paper.thumbnail) == ("walk-lab", "https://pictures.example/1.png")
    bare = changed(organization="Walk Lab", thumbnail="javascript:alert(1)", ai_keywords="graph")["paper"]
    paper = parse([bare]).announcements[0].paper
    assert (paper.tldr, paper.keywords, paper.organisation, paper.thumbnail) == (None, (), None, None)


def test_an_address_with_a_line_break_in_it() -> None:
    """The break is left out, as a browser would; what is no address even so is no link."""
    broken = changed(githubRepo="https://github.com/\nexample/walk.git\n", projectPage="see our page")
    links = {link.kind: link.url for link in parse([broken]).announcements[0].paper.links}
    assert links[LinkKind.CODE] == "https://github.com/example/walk.git"
    assert LinkKind.PROJECT not in links


def test_papers_in_pythons_notation() -> None:
    """An archive that holds each paper as a string of Python's notation is read like any other."""
    whole = parse([ITEM])
    assert parse([repr(ITEM)]) == whole
    assert parse({"status": "success", "count": 1, "data": [repr(ITEM)]}) == whole


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').getcwd()",
        "{'paper': open('x')}",
        "-" * 9000 + "1",
        "1+" * 9000 + "1",
        "[" * 300,
        "",
        "'\\d",
        "\0",
    ],
)
def test_strings_that_hold_no_paper(text: str) -> None:
    """What is no literal, or nested too deep, is rejected, and nothing in it is run."""
    parsed = parse([text, repr(ITEM)])
    assert len(parsed.announcements) == 1
    assert [(r.entry, r.reason) for r in parsed.rejected] == [("paper 1", "is a string that holds no paper")]


# What is asked for


def task(period: Period = Period.DAY, since: datetime = NOW, **others: Any) -> Task:
    source = Source(SourceKind.HUGGINGFACE, "Daily Papers", url=others.pop("url", None), period=period)
    return Task(source, Window(since, NOW), NOW, **others)


def held(work: Task, answer: Callable[[str], object]) -> tuple[Parsed, list[str]]:
    """Hold the conversation of a task by hand: the parameters of each address go to `answer`, faults are thrown in."""
    conversation = huggingface.converse(work)
    asked: list[str] = []
    try:
        url = next(conversation).url
        while True:
            asked.append(url.removeprefix("https://huggingface.co/api/daily_papers?"))
            found = answer(asked[-1])
            if isinstance(found, Exception):
                url = conversation.throw(found).url
            else:
                url = conversation.send(Response(url, json.dumps(found).encode())).url
    except StopIteration as end:
        parsed: Parsed = end.value
    return parsed, asked


def papers(first: int, count: int) -> list[dict[str, Any]]:
    return [changed(id=f"2606.{number:05}") for number in range(first, first + count)]


def numbers(parsed: Parsed) -> list[int]:
    return [int(announcement.paper.id[-5:]) for announcement in parsed.announcements]


def test_days_are_asked_for() -> None:
    """Each day of the window is one request, with room for more than the fifty that the API gives by itself."""
    parsed, asked = held(task(since=NOW - timedelta(days=1)), lambda parameters: papers(int(parameters[13:15]), 1))
    assert asked == ["date=2026-06-09&limit=100", "date=2026-06-10&limit=100"]
    assert numbers(parsed) == [9, 10]
    assert parsed.notes == ()


def test_a_paper_without_a_day_of_its_own() -> None:
    """A paper that does not say when it was posted is of the day whose list it is in, and of no day in a week's."""
    bare = changed(submittedOnDailyAt=None)["paper"]
    parsed, _ = held(task(), lambda _: [bare])
    assert parsed.announcements[0].announced_on == DAY
    parsed, _ = held(task(Period.WEEK), lambda _: [bare])
    assert parsed.announcements[0].announced_on is None


@pytest.mark.parametrize(
    ("period", "since", "asked"),
    [
        (Period.WEEK, datetime(2026, 6, 3, tzinfo=UTC), ["week=2026-W23&limit=100", "week=2026-W24&limit=100"]),
        (Period.WEEK, datetime(2026, 6, 8, tzinfo=UTC), ["week=2026-W24&limit=100"]),
        (Period.MONTH, datetime(2026, 5, 31, tzinfo=UTC), ["month=2026-05&limit=100", "month=2026-06&limit=100"]),
        (Period.MONTH, datetime(2026, 6, 1, tzinfo=UTC), ["month=2026-06&limit=100"]),
    ],
)
def test_weeks_and_months_that_the_window_touches(period: Period, since: datetime, asked: list[str]) -> None:
    """Each list that the window touches is asked for once; its papers are of their own days of posting."""
    parsed, parameters = held(task(period, since), lambda _: [ITEM])
    assert parameters == asked
    assert {announcement.announced_on for announcement in parsed.announcements} == {date(2026, 6, 9)}


def test_a_week_belongs_to_the_year_of_its_thursday() -> None:
    """The first days of January can be in the last week of the year before."""
    new_year = datetime(2027, 1, 3, 9, tzinfo=UTC)
    (listing,) = huggingface.listings(Period.WEEK, Window(new_year, new_year))
    assert (listing.parameter, listing.last) == ("week=2026-W53", date(2027, 1, 3))
    (listing,) = huggingface.listings(Period.MONTH, Window(new_year, new_year))
    assert (listing.parameter, listing.last) == ("month=2027-01", date(2027, 1, 31))


def test_pages_are_read_to_the_end() -> None:
    """After a full page, or one nearly so, the next is asked for; a paper that moved to it meanwhile counts once."""
    pages = {"month=2026-06&limit=100": papers(0, 100), "month=2026-06&limit=100&p=1": papers(97, 90)}
    parsed, asked = held(task(Period.MONTH), lambda parameters: pages.get(parameters, []))
    assert asked == [*pages, "month=2026-06&limit=100&p=2"]
    assert numbers(parsed) == list(range(187))
    assert parsed.notes == ()


def test_a_server_that_knows_no_pages() -> None:
    """A page that brings nothing new is the last."""
    parsed, asked = held(task(), lambda _: papers(0, 100))
    assert len(asked) == 2
    assert len(parsed.announcements) == 100


def test_pages_are_bounded() -> None:
    """A list without an end is left after 20 pages, with a note."""
    parsed, asked = held(task(), lambda parameters: papers(100 * int(parameters.partition("&p=")[2] or 0), 100))
    assert len(asked) == 20
    assert len(parsed.announcements) == 2000
    assert parsed.notes == ("Daily Papers of Wednesday 2026-06-10: only the first 2000 were read",)


def test_a_fault_keeps_the_pages_before_it() -> None:
    """What was read of a list before a fault is kept, and the lists after it are asked for."""
    answers: dict[str, object] = {
        "date=2026-06-09&limit=100": papers(0, 100),
        "date=2026-06-09&limit=100&p=1": SourceError("huggingface.co broke off the connection"),
        "date=2026-06-10&limit=100": papers(500, 1),
    }
    parsed, asked = held(task(since=NOW - timedelta(days=1)), lambda parameters: answers[parameters])
    assert asked == list(answers)
    assert numbers(parsed) == [*range(100), 500]
    assert parsed.error == "huggingface.co broke off the connection"


def test_a_bug_costs_one_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash of the reader on one list is told, and the next one is read."""
    real, calls = huggingface.parse, []

    def crashes_once(*arguments: Any, **others: Any) -> Parsed:
        calls.append(1)
        return real(*arguments, **others) if len(calls) > 1 else Parsed(announcements=1 / 0)  # type: ignore[arg-type]

    monkeypatch.setattr(huggingface, "parse", crashes_once)
    parsed, _ = held(task(since=NOW - timedelta(days=1)), lambda _: [ITEM])
    assert numbers(parsed) == [7]
    assert "a bug in digest" in (parsed.error or "")


def refused(status: int) -> StatusError:
    return StatusError(f"huggingface.co answered {status}", status)


def test_a_day_that_the_server_does_not_have() -> None:
    """A refusal of a day is a note, any other status an error."""
    parsed, _ = held(task(), lambda _: refused(400))
    assert parsed == Parsed(notes=("huggingface.co answered 400: no list of that day",))
    parsed, _ = held(task(), lambda _: refused(503))
    assert parsed == Parsed(error="huggingface.co answered 503")


def test_a_week_that_the_server_does_not_have() -> None:
    """Where there is no list of the week, the window's days are asked for instead."""
    parsed, asked = held(
        task(Period.WEEK, NOW - timedelta(days=1)),
        lambda parameters: refused(400) if parameters.startswith("week") else papers(int(parameters[13:15]), 1),
    )
    assert asked == ["week=2026-W24&limit=100", "date=2026-06-09&limit=100", "date=2026-06-10&limit=100"]
    assert numbers(parsed) == [9, 10]
    assert parsed.notes == ("huggingface.co answered 400: asked for each day instead",)
    assert parsed.error is None


@pytest.mark.parametrize(
    ("period", "notes"),
    [
        (Period.DAY, ["Friday 2026-06-05", "Monday 2026-06-08", "Tuesday 2026-06-09"]),
        (Period.WEEK, ["week 2026-W23"]),
        (Period.MONTH, []),
    ],
)
def test_a_list_that_should_not_be_empty(period: Period, notes: list[str]) -> None:
    """An empty list is remarked on, unless it is of a weekend or not complete yet."""
    parsed, _ = held(task(period, datetime(2026, 6, 5, tzinfo=UTC)), lambda _: [])
    assert parsed == Parsed(notes=tuple(f"Daily Papers of {name} is empty" for name in notes))


def test_a_folder_of_days() -> None:
    """The files of a folder are read whatever the period, each once, and an empty weekday is remarked on."""
    files = tuple((date(2026, 6, day), f"file:///days/2026-06-0{day}.json") for day in (5, 6, 8))
    by_file = {files[0][1]: papers(1, 120), files[1][1]: [], files[2][1]: []}
    parsed, asked = held(task(Period.WEEK, files=files), lambda url: by_file[url])
    assert asked == list(by_file)
    assert len(parsed.announcements) == 120
    assert parsed.notes == ("Daily Papers of Monday 2026-06-08 is empty",)


@pytest.mark.parametrize("url", ["file:///days/archive.json", "https://mirror.example/papers?week=2026-W23"])
def test_an_address_that_is_asked_for_as_it_is(url: str) -> None:
    """A file, and an address with parameters of its own, are asked for once."""
    parsed, asked = held(task(since=NOW - timedelta(days=3), url=url), lambda _: papers(1, 100))
    assert asked == [url]
    assert len(parsed.announcements) == 100


def test_a_mirror_is_asked_like_the_original() -> None:
    """An address without parameters gets the day's."""
    _, asked = held(task(url="https://mirror.example/papers"), lambda _: [ITEM])
    assert asked == ["https://mirror.example/papers?date=2026-06-10&limit=100"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ITEM, *ITEM["paper"]]), inner, max_size=5)
    ),
)


@settings(deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(sorted(ITEM)), JSON) | st.text(max_size=20), max_size=3),
    st.dictionaries(st.sampled_from(sorted(ITEM["paper"])), JSON),
)
def test_papers_of_any_shape_are_read_or_rejected(items: list[Any], inner: dict[str, Any]) -> None:
    """Every paper of a list is announced or rejected, whatever its fields hold."""
    answer = [*items, ITEM | {"paper": ITEM["paper"] | inner}]
    parsed = parse(answer)
    assert len(parsed.announcements) + len(parsed.rejected) == len(answer)
