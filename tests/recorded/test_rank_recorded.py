"""Real papers: the default threshold divides them sensibly, and every score is its reasons."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from digest.commands.batch import rank_files
from digest.model import Candidate, Paper, PaperId, Profile, Says, Signal, Topic
from digest.rank import Ranker, select
from tests.factories import NOW

pytestmark = pytest.mark.recorded

VIDEO = Topic(
    "video-generation",
    "Diffusion and autoregressive models that generate or edit video. I care about long, consistent clips and control.",
    ("text-to-video", "video generation", "frame interpolation"),
)
EFFICIENT = Topic(
    "efficient-llm",
    "Making large language models cheaper to serve: quantization, pruning, speculative decoding and smaller key-value "
    "caches. Also sparse attention for long contexts.",
    ("KV cache", "quantization", "speculative decoding", "sparse attention"),
)
SPEECH = Topic("speech", "Speech recognition and synthesis, and audio language models.", ("text-to-speech",))
GEOLOGY = Topic(
    "geology", "Volcanoes, earthquakes and plate tectonics, and what rocks tell of them.", ("seismic waves",)
)


def day(recorded: Path, date: str) -> list[Candidate]:
    """One day of Hugging Face's list, with its figures as of that day."""
    observed = datetime.fromisoformat(f"{date}T08:00:00+00:00")
    found = []
    for entry in json.loads(gzip.decompress((recorded / "hf_daily" / "days" / f"{date}.json.gz").read_bytes())):
        inner = entry["paper"]
        paper = Paper(
            PaperId(f"arxiv:{inner['id']}"),
            " ".join(inner["title"].split()),
            " ".join(inner["summary"].split()),
            tuple(author["name"] for author in inner["authors"]),
            published=datetime.fromisoformat(inner["publishedAt"]),
        )
        figures = {
            "upvotes": inner.get("upvotes"),
            "comments": entry.get("numComments"),
            "stars": inner.get("githubStars"),
        }
        signals = tuple(Signal(paper.id, name, float(v), observed) for name, v in figures.items() if v is not None)
        found.append(Candidate(paper, (), signals))
    return found


def background(recorded: Path, until: str) -> Iterator[Paper]:
    """The papers of the thirty listing days before one."""
    days = sorted(path.name.partition(".")[0] for path in (recorded / "hf_daily" / "days").iterdir())
    for date in days[days.index(until) - 30 : days.index(until)]:
        yield from (candidate.paper for candidate in day(recorded, date))


@pytest.fixture(scope="module")
def ranker(recorded: Path) -> Ranker:
    """A day of 32 papers."""
    return Ranker(day(recorded, "2026-05-21"), background=background(recorded, "2026-05-21"), now=NOW)


def titles_over(ranker: Ranker, recorded: Path, topic: Topic, relevance: float) -> set[str]:
    titles = {candidate.paper.id: candidate.paper.title for candidate in day(recorded, "2026-05-21")}
    (ranking,) = ranker.rank([Profile((topic,))])
    return {titles[pick.paper_id].partition(":")[0] for pick in ranking if pick.relevance >= relevance}


def test_the_default_threshold_divides_a_day(ranker: Ranker, recorded: Path) -> None:
    """On a day that was read by a person, what is on a topic passes 0.2 and hardly anything else does."""
    efficient = titles_over(ranker, recorded, EFFICIENT, 0.2)
    assert efficient >= {
        "OCTOPUS",
        "OScaR",
        "Mix-Quant",
        "Evaluating Temporal Semantic Caching and Workflow Optimization in Agentic Plan-Execute Pipelines",
    }
    assert len(efficient) <= 6
    assert titles_over(ranker, recorded, SPEECH, 0.2) >= {"Mega-ASR"}
    assert "Enhancing Train-Free Infinite-Frame Generation for Consistent Long Videos" in titles_over(
        ranker, recorded, VIDEO, 0.2
    )
    assert titles_over(ranker, recorded, GEOLOGY, 0.1) == set()


def test_a_topic_that_no_paper_is_about_selects_nothing(ranker: Ranker, recorded: Path) -> None:
    """However much the day's papers trend, a geologist gets none of them, and is told what came nearest."""
    candidates = {candidate.paper.id: candidate for candidate in day(recorded, "2026-05-21")}
    (ranking,) = ranker.rankings([Profile((GEOLOGY,))])
    selection = select(
        ranking, candidates, {}, papers=12, min_relevance=0.2, duplicates={}, close_to=ranker.close_to, explore=True
    )
    assert selection.picks == ()
    assert all(miss.missing.says is Says.IRRELEVANT for miss in selection.near_misses)


def test_relevance_is_comparable_from_day_to_day(recorded: Path) -> None:
    """A paper that comes up on two days has the same relevance on both, within a twentieth."""
    found = []
    for date in ("2026-04-10", "2026-04-16"):
        ranker = Ranker(day(recorded, date), background=background(recorded, date), now=NOW)
        for topic in (VIDEO, EFFICIENT):
            (ranking,) = ranker.rank([Profile((topic,))])
            found.append(next(pick.relevance for pick in ranking if pick.paper_id == "arxiv:2604.07429"))
    assert found[:2] == pytest.approx(found[2:], abs=0.05)


@pytest.mark.parametrize("date", ["2024-06-03", "2025-01-21", "2025-09-10", "2026-05-21"])
def test_every_real_score_is_the_sum_of_its_reasons(recorded: Path, date: str) -> None:
    """On days of any size, with topics, examples, authors and figures."""
    papers = day(recorded, date)
    example = papers[0].paper
    profiles = [
        Profile(),
        Profile((VIDEO, EFFICIENT, SPEECH), example.authors[:1], ("cs",), (example.id,)),
        Profile(examples=tuple(candidate.paper.id for candidate in papers[:5])),
    ]
    for ranking in Ranker(papers, now=NOW).rank(profiles):
        assert len(ranking) == len(papers)
        for pick in ranking:
            assert sum(reason.weight for reason in pick.reasons) == pytest.approx(pick.score, abs=1e-9)
            assert 0 <= pick.score <= 1


def test_the_trend_keeps_the_order_of_upvotes(recorded: Path) -> None:
    """For papers of one age, ranking by trend agrees with ranking by votes."""
    papers = [c for c in day(recorded, "2026-05-21") if c.signals]
    (ranking,) = Ranker(papers, trend_weight=1.0, now=NOW).rank([Profile()])
    votes = {c.paper.id: next(s.value for s in c.signals if s.name == "upvotes") for c in papers}
    best = sorted(votes, key=votes.__getitem__, reverse=True)[:5]
    assert len({pick.paper_id for pick in ranking[:8]} & set(best)) >= 4


def test_the_seed_papers_are_ranked_from_a_file(recorded: Path, tmp_path: Path) -> None:
    """The 88 papers without ids, by two topics: each finds its own at the top."""
    profiles = tmp_path / "profiles.jsonl"
    profiles.write_text(
        "\n".join(
            json.dumps({"id": t.name, "topics": [{"name": t.name, "text": t.text, "keywords": t.keywords}]})
            for t in (VIDEO, EFFICIENT)
        )
    )
    video, efficient = rank_files(recorded / "seed_papers.jsonl", profiles, now=NOW)
    assert len(video["ranking"]) == len(efficient["ranking"]) == 88
    assert all("video" in entry["reasons"][0]["text"].lower() for entry in video["ranking"][:12])
    assert not {e["id"] for e in video["ranking"][:8]} & {e["id"] for e in efficient["ranking"][:8]}
    for entry in (*video["ranking"], *efficient["ranking"]):
        assert sum(reason["weight"] for reason in entry["reasons"]) == pytest.approx(entry["score"], abs=1e-9)
