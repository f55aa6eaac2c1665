"""`digest rank --papers P --profiles Q`: any documents, from files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digest.commands.batch import rank_files
from digest.errors import ConfigError
from digest.ids import title_id
from tests.factories import NOW

VIDEO = {"id": "a", "title": "Video by diffusion", "abstract": "A diffusion model generates video."}
SOIL = {"id": "b", "title": "Worms in soil", "abstract": "Earthworms carry carbon into soil."}
ADA = {"id": "ada", "topics": [{"name": "video", "text": "diffusion models for video"}]}


def lines(path: Path, *values: object) -> Path:
    """A file with one value a line: text and bytes as they are, others as JSON."""
    raw = [v if isinstance(v, bytes) else (v if isinstance(v, str) else json.dumps(v)).encode() for v in values]
    path.write_bytes(b"\n".join(raw) + b"\n")
    return path


def ranked(folder: Path, papers: Sequence[object], profiles: Sequence[object], **options: Any) -> list[dict[str, Any]]:
    files = lines(folder / "p.jsonl", *papers), lines(folder / "q.jsonl", *profiles)
    return list(rank_files(*files, now=NOW, **options))


def mistakes(folder: Path, papers: Sequence[object], profiles: Sequence[object]) -> list[str]:
    """What is said of two files, without their folder."""
    with pytest.raises(ConfigError) as caught:
        ranked(folder, papers, profiles)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


# --- what comes out -------------------------------------------------------------------------------------------------


def test_the_answer_has_the_documented_form(tmp_path: Path) -> None:
    """One object a profile, with exactly the keys that are promised, and as JSON throughout."""
    (answer,) = ranked(tmp_path, [VIDEO, SOIL], [ADA])
    assert json.loads(json.dumps(answer)) == answer
    assert answer.keys() == {"profile", "ranking"}
    assert answer["profile"] == "ada"
    assert [entry["id"] for entry in answer["ranking"]] == ["a", "b"]
    assert {key for entry in answer["ranking"] for key in entry} == {"id", "score", "relevance", "trend", "reasons"}
    assert {key for reason in answer["ranking"][0]["reasons"] for key in reason} == {"kind", "text", "weight"}
    assert answer["ranking"][0]["reasons"][0]["kind"] == "topic"


@pytest.mark.parametrize(("top", "length"), [(0, 5), (2, 2), (9, 5)])
def test_top_cuts_and_0_is_all(tmp_path: Path, top: int, length: int) -> None:
    """As many as asked for, at most as many as there are."""
    (answer,) = ranked(tmp_path, [{**VIDEO, "id": str(n)} for n in range(5)], [ADA], top=top)
    assert len(answer["ranking"]) == length


def test_profiles_keep_their_order_and_their_ids(tmp_path: Path) -> None:
    """Answers come in the order of the file, also for equal profiles."""
    answers = ranked(tmp_path, [VIDEO], [{**ADA, "id": name} for name in ("z", "a", "ü")])
    assert [answer["profile"] for answer in answers] == ["z", "a", "ü"]


def test_a_paper_without_id_is_known_by_its_title(tmp_path: Path) -> None:
    """The id is made of title and first author, and an example may be given by it."""
    paper = {"title": "Video by diffusion", "abstract": "", "authors": ["Ada Example", "Bo Sample"]}
    name = title_id("Video by diffusion", "Ada Example")
    (answer,) = ranked(tmp_path, [paper], [{"id": "x", "examples": [name]}])
    assert answer["ranking"][0]["id"] == name
    assert answer["ranking"][0]["relevance"] > 0.2


def test_examples_may_be_papers_of_their_own(tmp_path: Path) -> None:
    """A title and an abstract serve as example, with or without an id, in the file of papers or not."""
    for example in (
        {"title": "Video models", "abstract": "Video by diffusion."},
        {"id": "z", "title": "Video models", "abstract": "Video by diffusion."},
        VIDEO,
    ):
        (answer,) = ranked(tmp_path, [VIDEO, SOIL], [{"id": "x", "examples": [example], "disliked": ["b"]}])
        assert [entry["id"] for entry in answer["ranking"]] == ["a", "b"]
        assert answer["ranking"][0]["reasons"][0]["kind"] == "example"


def test_authors_categories_and_signals_are_read(tmp_path: Path) -> None:
    """Every optional key of a paper and of a profile has its effect."""
    paper = {
        **SOIL,
        "authors": ["Tim Brooks"],
        "categories": ["cs.CV"],
        "published": "2026-06-08T07:00:00Z",
        "signals": {"upvotes": 40, "stars": None},
    }
    profile = {
        "id": "x",
        "topics": [],
        "authors": ["Tim Brooks"],
        "categories": ["cs.CV"],
        "liked": ["b"],
        "disliked": [],
    }
    (answer,) = ranked(tmp_path, [paper, VIDEO], [profile])
    kinds = {reason["kind"]: reason["text"] for reason in answer["ranking"][0]["reasons"]}
    assert kinds.keys() == {"author", "category", "trend", "votes"}
    assert kinds["trend"] == "40 upvotes"


def test_other_keys_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    """Files from elsewhere hold more than we ask for."""
    answers = ranked(tmp_path, [b"\xef\xbb\xbf" + json.dumps({**VIDEO, "year": 2026}).encode(), "", "  "], ["", ADA])
    assert len(answers) == 1


def test_a_title_may_be_empty_where_there_is_an_id(tmp_path: Path) -> None:
    """Old collections have abstracts without titles, and records with neither."""
    (answer,) = ranked(tmp_path, [{**VIDEO, "title": ""}, {"id": "n", "title": "", "abstract": ""}], [ADA])
    assert [entry["id"] for entry in answer["ranking"]] == ["a", "n"]


def test_half_a_surrogate_pair_does_not_stop_the_rest(tmp_path: Path) -> None:
    """JSON can spell what UTF-8 cannot hold; it becomes a question mark."""
    (answer,) = ranked(tmp_path, ['{"id": "p\\ud800", "title": "Video \\ud800", "abstract": "\\udfff"}'], [ADA])
    json.dumps(answer, ensure_ascii=False).encode()


def test_the_first_answer_does_not_wait_for_the_last(tmp_path: Path) -> None:
    """Answers are an iterator; mistakes are told before the first one is asked for."""
    found = rank_files(lines(tmp_path / "p", VIDEO), lines(tmp_path / "q", ADA, {**ADA, "id": "bo"}), now=NOW)
    assert next(found)["profile"] == "ada"
    with pytest.raises(ConfigError):
        rank_files(tmp_path / "p", tmp_path / "none")


# --- mistakes -------------------------------------------------------------------------------------------------------


def test_every_mistake_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    """Both files are read to their ends, each line's mistakes named with file and line."""
    papers = [VIDEO, '{"title": ', {"abstract": "x"}, {**SOIL, "id": 7}, {**VIDEO}, [1]]
    profiles = [{"topics": []}, {"id": "x", "examples": ["c"]}, {"id": "x"}, {"id": "y", "topics": [{"keywords": "z"}]}]
    found = mistakes(tmp_path, papers, profiles)
    assert [problem.partition(": ")[0] for problem in found] == [
        "p.jsonl:2", "p.jsonl:3", "p.jsonl:4", "p.jsonl:5", "p.jsonl:6",
        "q.jsonl:1", "q.jsonl:2", "q.jsonl:3", "q.jsonl:4",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("paper", "said"),
    [
        ("{", "not JSON"),
        (b"\xff\xfe{", "not UTF-8"),
        ("[" * 100_000, "not JSON"),
        ('{"title": ' + "1" * 5000 + "}", "not JSON"),
        ("null", "must be an object {…}, not null"),
        ({"abstract": "x"}, "every paper needs a `title`"),
        ({"title": " "}, "every paper needs a `title`"),
        ({**VIDEO, "title": 5}, "`title` must be a string, not 5"),
        ({**VIDEO, "id": 5}, "`id` must be a string, not 5"),
        ({**VIDEO, "authors": "Ada"}, "`authors` must be a list of strings"),
        ({**VIDEO, "categories": [1]}, "`categories` must be a list of strings"),
        ({**VIDEO, "published": "yesterday"}, "2026-06-10T08:00:00Z, not 'yesterday'"),
        ({**VIDEO, "signals": [3]}, '`signals` must be an object such as {"upvotes": 12}, not [3]'),
        ({**VIDEO, "signals": {"upvotes": "3"}}, '`signals.upvotes` must be a number of at least 0, not "3"'),
        ({**VIDEO, "signals": {"upvotes": True}}, "must be a number of at least 0, not true"),
        ({**VIDEO, "signals": {"upvotes": -1}}, "must be a number of at least 0, not -1"),
        ('{"title": "x", "signals": {"upvotes": NaN}}', "must be a number of at least 0, not NaN"),
        ('{"title": "x", "signals": {"upvotes": 1e999}}', "must be a number of at least 0, not Infinity"),
        ('{"title": "x", "signals": {"upvotes": ' + "9" * 400 + "}}", "must be a number of at least 0"),
    ],
)
def test_a_mistake_in_a_paper_says_what_to_write(tmp_path: Path, paper: object, said: str) -> None:
    """Each is one line, with its place and what is expected."""
    (problem,) = mistakes(tmp_path, [paper], [ADA])
    assert problem.startswith("p.jsonl:1: ")
    assert said in problem
    assert len(problem) < 200


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ({}, 'every profile needs an `id`, such as "ada"'),
        ({"id": ""}, 'every profile needs an `id`, such as "ada"'),
        ({"id": 1}, "`id` must be a string, not 1"),
        ({"id": "x", "topcs": []}, "`topcs` is not a key of a profile; did you mean `topics`?"),
        ({"id": "x", "topics": {}}, "`topics` must be a list of objects, not {}"),
        ({"id": "x", "topics": ["video"]}, "`topics` must hold objects"),
        ({"id": "x", "topics": [{"name": "v", "keyword": []}]}, "did you mean `keywords`?"),
        ({"id": "x", "topics": [{"text": "v", "weight": 0}]}, "`topics.weight` must be a number above 0, not 0"),
        ({"id": "x", "topics": [{}]}, "a topic needs a `text`, `keywords` or at least a `name`"),
        ({"id": "x", "examples": "a"}, '`examples` must be a list of papers\' ids, not "a"'),
        ({"id": "x", "examples": [3]}, "`examples` must hold ids or papers, not 3"),
        (
            {"id": "x", "liked": ["paper-1"]},
            "`liked` names 'paper-1', which is not an id in --papers; did you mean 'paper-12'?",
        ),
        ({"id": "x", "disliked": ["zzz"]}, 'write an id of --papers, or {"title": "…", "abstract": "…"}'),
        ({"id": "x", "examples": [{"abstract": "x"}]}, "every paper needs a `title`"),
    ],
)
def test_a_mistake_in_a_profile_says_what_to_write(tmp_path: Path, profile: object, said: str) -> None:
    """Each is one line, with its place and what is expected."""
    (problem,) = mistakes(tmp_path, [{**VIDEO, "id": "paper-12"}], [profile])
    assert problem.startswith("q.jsonl:1: ")
    assert said in problem


def test_ids_are_given_once(tmp_path: Path) -> None:
    """A second paper or profile of one id is a mistake, and so is a second paper of one title without ids."""
    papers = [VIDEO, VIDEO, {"title": "Soil"}, {"title": "soil."}]
    first, second, third = mistakes(tmp_path, papers, [ADA, ADA])
    assert "'a' is also on line 1 (the same id)" in first
    assert "is also on line 3 (the same title and first author, and no `id`)" in second
    assert "`id` 'ada' is also on line 1" in third


def test_a_paper_with_a_mistake_is_still_a_paper_that_a_profile_may_name(tmp_path: Path) -> None:
    """One mistake is told once, not again for everyone who names that paper."""
    assert len(mistakes(tmp_path, [VIDEO, {**SOIL, "authors": 3}], [{"id": "x", "examples": ["b"]}])) == 1


def test_missing_and_empty_files_are_told(tmp_path: Path) -> None:
    """A path that leads nowhere, a folder and an empty file."""
    empty = lines(tmp_path / "empty")
    with pytest.raises(ConfigError) as caught:
        rank_files(tmp_path / "none.jsonl", empty)
    assert [str(p) for p in caught.value.problems] == [
        f"{tmp_path}/none.jsonl: cannot be read (No such file or directory); give a JSON Lines file",
        f"{empty}: is empty; write one JSON object a line",
    ]
    with pytest.raises(ConfigError, match="Is a directory"):
        rank_files(tmp_path, empty)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(
                ["id", "title", "abstract", "authors", "published", "signals", "topics", "examples", "liked"]
            ),
            st.recursive(
                st.none() | st.booleans() | st.floats() | st.text(max_size=4) | st.integers(),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
            ),
        )
        | st.text(max_size=20),
        max_size=5,
    )
)
def test_any_file_is_ranked_or_refused(tmp_path: Path, values: list[object]) -> None:
    """Whatever the lines hold, the answer is a ranking or the list of mistakes, never anything else."""
    try:
        answers = ranked(tmp_path, values, values)
    except ConfigError as error:
        answers, refused = [], len(error.problems)
    else:
        refused = 0
    assert refused or len(answers) == sum(isinstance(value, dict) for value in values)
