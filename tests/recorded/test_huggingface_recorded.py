"""Daily Papers of two years, read field by field. Each test prints its figures (`pytest -s`)."""

import ast
import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from digest.model import LinkKind, Paper, Source, SourceKind, Window
from digest.pull import huggingface
from digest.pull.conversation import Task
from digest.pull.http import Response
from digest.pull.parsed import Parsed

pytestmark = pytest.mark.recorded

NOW = datetime(2026, 6, 10, 7, tzinfo=UTC)
DAILY = Source(SourceKind.HUGGINGFACE, "Daily Papers")


def rows_and_papers(recorded: Path) -> Iterator[tuple[Mapping[str, Any], Paper]]:
    """Every paper of every day as it was answered, with what was made of it."""
    for path in sorted((recorded / "hf_daily" / "days").glob("*.json.gz")):
        body = gzip.decompress(path.read_bytes())
        parsed = huggingface.parse(body, DAILY, where=path.name, now=NOW)
        for row, announcement in zip(json.loads(body), parsed.announcements, strict=True):
            yield row, announcement.paper


def test_every_field_that_is_there_is_read(recorded: Path) -> None:
    """A field that an answer of any generation holds is in the paper, and no other paper has it."""
    there, read, wrong = Counter[str](), Counter[str](), []
    for row, paper in rows_and_papers(recorded):
        inner = row["paper"]
        links = {link.kind for link in paper.links}
        pairs = {
            "ai_summary": (inner.get("ai_summary"), paper.tldr),
            "ai_keywords": (inner.get("ai_keywords"), paper.keywords),
            "organization": (inner.get("organization"), paper.organisation),
            "thumbnail": (row.get("thumbnail") or row.get("mediaUrl"), paper.thumbnail),
            "githubRepo": (inner.get("githubRepo"), LinkKind.CODE in links),
            "projectPage": (inner.get("projectPage"), LinkKind.PROJECT in links),
        }
        for name, (given, taken) in pairs.items():
            there[name] += bool(given)
            read[name] += bool(taken)
            if bool(given) != bool(taken):
                wrong.append(given)
    print("there:", dict(there), "read:", dict(read), "unusable:", wrong)
    assert all(value == [""] for value in wrong)  # keywords that are one empty word
    assert min(read.values()) > 1500


def test_hidden_authors_are_left_out(recorded: Path) -> None:
    """All authors are there in their order, except the hidden ones and repetitions."""
    hidden = 0
    for row, paper in rows_and_papers(recorded):
        authors = row["paper"]["authors"]
        shown = list(dict.fromkeys(" ".join(a["name"].split()) for a in authors if not a.get("hidden")))
        hidden += sum(bool(a.get("hidden")) for a in authors)
        assert len(paper.authors) == len([name for name in shown if name])
    print(f"{hidden} hidden authors")
    assert hidden > 0


@pytest.mark.parametrize(("name", "count"), [("2024-12-11_python_repr.json", 26), ("2025-01-10_python_repr.json", 9)])
def test_archives_written_as_python(recorded: Path, name: str, count: int) -> None:
    """The two odd files, whose papers are strings of Python's notation, are read whole, with their figures."""
    body = (recorded / "hf_daily" / "odd" / name).read_bytes()
    parsed = huggingface.parse(body, DAILY, where=name, now=NOW)
    answer = json.loads(body)
    rows = [ast.literal_eval(text) for text in (answer["data"] if isinstance(answer, dict) else answer)]
    assert [a.paper.id for a in parsed.announcements] == [f"arxiv:{row['paper']['id']}" for row in rows]
    assert len(parsed.announcements) == count
    assert not parsed.rejected
    assert all(a.paper.abstract and a.paper.authors and a.announced_on for a in parsed.announcements)
    assert [s.value for s in parsed.signals if s.name == "upvotes"] == [row["paper"]["upvotes"] for row in rows]


def test_a_folder_through_the_conversation(recorded: Path) -> None:
    """A month's files are asked for one by one, each once though some hold fifty, and none is remarked on."""
    files = tuple(
        (date.fromisoformat(path.name.partition(".")[0]), path.as_uri())
        for path in sorted((recorded / "hf_daily" / "days").glob("2026-05-*.json.gz"))
    )
    conversation = huggingface.converse(Task(DAILY, Window(NOW, NOW), NOW, files=files))
    asked = []
    try:
        ask = next(conversation)
        while True:
            asked.append(ask.url)
            body = gzip.decompress(Path(ask.url.removeprefix("file://")).read_bytes())
            ask = conversation.send(Response(ask.url, body))
    except StopIteration as end:
        parsed: Parsed = end.value
    assert asked == [url for _, url in files]
    assert (parsed.notes, parsed.error, parsed.rejected) == ((), None, ())
    print(f"{len(asked)} files, {len(parsed.announcements)} papers")
    assert len(parsed.announcements) == 631
