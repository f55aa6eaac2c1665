"""Growth of stars over recorded months, real Hacker News stories, a recorded answer with citations (`pytest -s`)."""

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from digest.ids import arxiv_links
from digest.model import Link, LinkKind, Paper, PaperId, Signal
from digest.pull import huggingface
from digest.pull.conversation import Conversation
from digest.pull.http import Response, StatusError
from digest.pull.parsed import Parsed
from digest.pull.signals import Wanted, citations, github, hackernews
from tests.recorded.test_huggingface_recorded import DAILY, NOW

pytestmark = pytest.mark.recorded


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path) as file:
        for line in file:
            yield json.loads(line)


def held(conversation: Conversation, answer: object) -> Parsed:
    """Hold a conversation that gets the same answer to all that it asks."""
    try:
        ask = next(conversation)
        while True:
            if isinstance(answer, Exception):
                ask = conversation.throw(answer)
            else:
                ask = conversation.send(Response(ask.url, json.dumps(answer).encode()))
    except StopIteration as end:
        parsed: Parsed = end.value
    return parsed


def test_growth_adds_up(recorded: Path) -> None:
    """Observed day by day, each repository's growth adds up to what it gained from the first day to the last."""
    series: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
    for row in lines(recorded / "signals" / "github_trend.jsonl.gz"):
        at = datetime.fromisoformat(row["day"]).replace(hour=7, tzinfo=UTC)
        series[row["github_full_name"]].append((at, row["stars"]))
    speeds, followed = [], 0
    for number, (name, observed) in enumerate(sorted(series.items())):
        paper = Paper(
            PaperId(f"arxiv:2606.{number:05}"), name, links=(Link(LinkKind.CODE, f"https://github.com/{name}"),)
        )
        earlier: list[Signal] = []
        gained = expected = 0.0
        for at, stars in sorted(set(observed)):
            wanted = Wanted((paper,), at, {(paper.id, "stars"): tuple(earlier)})
            parsed = held(github.converse(wanted), {"stargazers_count": stars, "created_at": "2015-01-01T00:00:00Z"})
            figures = {signal.name: signal for signal in parsed.signals}
            assert figures["stars"].value == stars
            if earlier:
                days = (at - earlier[-1].observed_at) / timedelta(days=1)
                gained += figures["stars_per_day"].value * days
                expected += max(stars - earlier[-1].value, 0)
                speeds.append(figures["stars_per_day"].value)
            else:
                assert "stars_per_day" not in figures
            earlier.append(figures["stars"])
        followed += len(earlier) > 1
        assert gained == pytest.approx(expected)
    print(f"{len(series)} repositories, {followed} seen more than once; stars a day: median {median(speeds):.1f}")
    assert followed > 100


def test_repositories_of_real_papers(recorded: Path) -> None:
    """Nearly all abstracts and links that name GitHub give a repository."""
    named = found = 0
    for path in sorted((recorded / "arxiv_listings").glob("listing_*.jsonl.gz")):
        for row in lines(path):
            text = f"{row['comment'] or ''} {row['summary']}"
            if re.search(r"(?<![\w.-])github\.com/\w", text):
                named += 1
                paper = Paper(PaperId(f"arxiv:{row['id']}"), "T", abstract=row["summary"], comment=row["comment"])
                found += github.repository(paper) is not None
    links = linked = 0
    for path in sorted((recorded / "hf_daily" / "days").glob("*.json.gz")):
        parsed = huggingface.parse(gzip.decompress(path.read_bytes()), DAILY, where=path.name, now=NOW)
        for paper in (a.paper for a in parsed.announcements):
            if any(link.kind is LinkKind.CODE for link in paper.links):
                links += 1
                linked += github.repository(paper) is not None
    print(f"texts: {found} of {named}; links: {linked} of {links}")
    assert found > 0.98 * named
    assert linked > 0.99 * links


def test_stories_about_papers(recorded: Path) -> None:
    """Every recorded story that links to arXiv is matched with its paper, which has the points of its best story."""
    rows = list(lines(recorded / "signals" / "hn_discussion.jsonl.gz"))
    expected: dict[str, float] = {}
    for row in rows:
        if match := re.search(r"arxiv\.org/\w+/(\d{4}\.\d{5})", row["url"]):
            identifier = f"arxiv:{match[1]}"
            expected[identifier] = max(row["hn_score"], expected.get(identifier, 0))
    hits = [
        {
            "url": row["url"],
            "points": row["hn_score"],
            "created_at_i": datetime.fromisoformat(row["published_at"]).timestamp(),
        }
        for row in rows
    ]
    ids = sorted(
        {*expected, *(f"arxiv:{row['id']}" for row in lines(recorded / "arxiv_listings" / "listing_2026-05.jsonl.gz"))}
    )
    papers = tuple(Paper(PaperId(i), "T", links=arxiv_links(i.partition(":")[2])) for i in ids)
    parsed = held(hackernews.converse(Wanted(papers, NOW)), {"hits": hits})
    print(f"{len(rows)} stories, {len(papers)} papers: {len(parsed.signals)} matched")
    assert {signal.paper_id: signal.value for signal in parsed.signals} == expected
    assert len(expected) == 16


def test_a_recorded_answer_with_citations(recorded: Path) -> None:
    """An answer whose first paper is unknown gives the others theirs; a recorded refusal is an error."""
    folder = recorded / "feeds" / "api_json"
    answer = json.loads((folder / "s2_batch_with_null.json").read_bytes())
    papers = tuple(Paper(PaperId(f"doi:10.5555/{number}"), "T") for number in range(len(answer)))
    parsed = held(citations.converse(Wanted(papers, NOW)), answer)
    assert answer[0] is None
    assert [(s.paper_id, s.value) for s in parsed.signals] == [
        (paper.id, record["citationCount"]) for paper, record in zip(papers, answer, strict=True) if record
    ]
    error = StatusError("answered 400", 400, (folder / "s2_error_400.json").read_bytes())
    assert held(citations.converse(Wanted(papers, NOW)), error) == Parsed(error="answered 400")
