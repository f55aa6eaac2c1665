"""What ranking costs: profile·paper pairs a CPU-second and memory, beside this machine's own matrix product.

    python tests/bench/rank_speed.py                        10,000 and 100,000 profiles, 1,000 papers, all kinds
    python tests/bench/rank_speed.py --profiles 10000       fewer
    python tests/bench/rank_speed.py --recorded             papers out of the recorded listings, not invented ones

Every case runs in a process of its own, with one BLAS thread, so that its peak memory is its own. Profiles are all
distinct, over an archive of 5,000 papers that also tells how common words are: `topics` follow two free texts of eight
words, `examples` ten papers of the archive, `mixed` one of the two, by turns. "scorer" is `Ranker.top`, the best 20
with their scores, of profiles that `Ranker.prepare` made ready, block by block; "prepared" is what that took before.
"selected" is what an edition does: the best 200, twelve of them selected and explained, on 1,000 profiles. Seconds are
medians of five, after one unmeasured round; a `Ranker`'s making is apart. The product is float32, 384 numbers a profile
and a paper, without and with the best 20 of each profile. Prints figures, asserts nothing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is found wherever this is started

from digest.model import Candidate, Paper, PaperId, Profile, Topic
from digest.rank import Ranker, select
from tests.bench.rank_data import RECORDED

KINDS = ("topics", "examples", "mixed")
ARCHIVE = 5_000
TOP = 20
POOL = 200
SELECTED = 1_000
NOW = datetime(2026, 6, 9, 7, tzinfo=UTC)
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
TUNED_ELSEWHERE = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Settings that would have BLAS run code for another processor."""


def invented(count: int) -> Iterator[Paper]:
    """Yield papers of made-up words: 8 in a title, 58 to 128 in an abstract, most of all fields and some of one.

    Fitted to recorded listings: a paper has some 90 distinct words, such a word is in every eighth paper on average.
    """
    draw = random.Random(1)
    syllables = [one + two for one in "bdfgklmnprstvz" for two in ("a", "e", "i", "o", "u", "an", "or", "il")]
    words = ["".join(draw.choices(syllables, k=draw.randint(2, 4))) for _ in range(60_000)]
    common = list(accumulate((rank + 100) ** -1.7 for rank in range(len(words))))
    fields = [draw.sample(words, 1_000) for _ in range(40)]
    special = list(accumulate(1 / (rank + 20) for rank in range(1_000)))
    for number in range(count):
        field, length = draw.choice(fields), draw.randint(66, 136)
        text = draw.choices(words, cum_weights=common, k=3 * length // 4)
        text += draw.choices(field, cum_weights=special, k=length - len(text))
        draw.shuffle(text)
        yield Paper(PaperId(f"arxiv:2606.{number:05}"), " ".join(text[:8]), " ".join(text[8:]))


def listed() -> Iterator[Paper]:
    """Yield the papers of the recorded listings."""
    for file in sorted((RECORDED / "arxiv_listings").glob("listing_*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for each in map(json.loads, lines):
                yield Paper(PaperId(f"arxiv:{each['id']}"), each["title"], each["summary"])


def profiles(kind: str, count: int, archive: Sequence[Paper]) -> list[Profile]:
    """Distinct profiles; a topic's words are words of one paper."""
    draw = random.Random(2)
    words = [f"{paper.title} {paper.abstract}".split() for paper in archive]

    def topic(name: str) -> Topic:
        said = draw.choice(words)
        return Topic(name, " ".join(draw.sample(said, min(8, len(said)))))

    def one(number: int) -> Profile:
        if kind == "topics" or (kind == "mixed" and number % 2):
            return Profile((topic("one"), topic("other")))
        return Profile(examples=tuple(paper.id for paper in draw.sample(archive, 10)))

    return [one(number) for number in range(count)]


def megabytes() -> float:
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def medians(work: Callable[[], float]) -> dict[str, float]:
    """CPU and wall seconds of five rounds, after one that fills the caches; what `work` returns is apart."""
    work()
    costs = []
    for _ in range(5):
        cpu, wall = time.process_time(), time.perf_counter()
        apart = work()
        costs.append((time.process_time() - cpu - apart, time.perf_counter() - wall, apart))
    found = (statistics.median(figures) for figures in zip(*costs, strict=True))
    return dict(zip(("cpu", "wall", "prepared"), found, strict=True))


def ranking(kind: str, papers: int, count: int, recorded: bool, what: str) -> dict[str, float]:
    """One case of the shipped ranker; `what` is "scorer" or "selected"."""
    found = list(islice(listed() if recorded else invented(papers + ARCHIVE), papers + ARCHIVE))
    candidates, archive = [Candidate(paper, ()) for paper in found[ARCHIVE:]], found[:ARCHIVE]
    asked = profiles(kind, count, archive)
    start = time.process_time()
    ranker = Ranker(candidates, known={paper.id: paper for paper in archive}, background=archive, now=NOW)
    made, before = time.process_time() - start, megabytes()
    by_id = {candidate.paper.id: candidate for candidate in candidates}

    def score() -> float:
        prepared, begin = 0.0, time.process_time()
        for block in ranker.prepare(asked):
            prepared += time.process_time() - begin
            ranker.top(block, TOP)
            begin = time.process_time()
        return prepared

    def choose() -> float:
        for each in ranker.rankings(asked, POOL):
            select(each, by_id, {}, papers=12, min_relevance=0.2, duplicates={}, close_to=ranker.close_to)
        return 0.0

    return {**medians(score if what == "scorer" else choose), "made": made, "before": before, "peak": megabytes()}


def product(papers: int, count: int, select: bool) -> dict[str, float]:
    """The matrix product, in blocks of 512 profiles, with the best TOP of each in their order if asked."""
    draw = np.random.default_rng(1)
    right = draw.standard_normal((384, papers), np.float32)
    left = draw.standard_normal((count, 384), np.float32)

    def work() -> float:
        for start in range(0, count, 512):
            scores = left[start : start + 512] @ right
            if select:
                best = np.argpartition(scores, papers - TOP, axis=1)[:, papers - TOP :]
                np.argsort(np.take_along_axis(scores, best, axis=1), axis=1)
        return 0.0

    before = megabytes()
    return {**medians(work), "made": 0.0, "before": before, "peak": megabytes()}


def run(case: dict[str, Any]) -> dict[str, float]:
    """Measure one case in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in TUNED_ELSEWHERE} | ONE_THREAD
    command = [sys.executable, __file__, "--case", json.dumps(case)]
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(case: dict[str, Any]) -> dict[str, float]:
    """Measure one case in this process."""
    if case["what"].startswith("product"):
        return product(case["papers"], case["count"], case["what"] != "product")
    return ranking(**case)


def cases(counts: Sequence[int], papers: int, recorded: bool) -> Iterator[dict[str, Any]]:
    """Yield the cases, the machine's own first; the last ones double the papers, then the profiles."""
    for what in ("product", f"product, top {TOP}"):
        yield {"what": what, "kind": "", "papers": papers, "count": max(counts)}
    for kind in KINDS:
        yield from (
            {"what": "scorer", "kind": kind, "papers": papers, "count": count, "recorded": recorded} for count in counts
        )
        more = {"kind": kind, "papers": papers, "recorded": recorded}
        yield {"what": "selected", "count": SELECTED, **more}
    for many, count in ((2 * papers, counts[0]), (papers, 2 * counts[0])):
        yield {"what": "scorer", "kind": "mixed", "papers": many, "count": count, "recorded": recorded}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print, or measure the one case that the parent asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", default="10000,100000")
    parser.add_argument("--papers", type=int, default=1_000)
    parser.add_argument("--recorded", action="store_true", help="papers out of the recorded listings")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.case:
        print(json.dumps(measure(json.loads(asked.case))))
        return
    if asked.recorded and not Path(RECORDED, "arxiv_listings").is_dir():
        raise SystemExit(f"no listings in {RECORDED}: set DIGEST_RECORDED")
    print(f"{'':16}{'kind':10}{'papers':>7}{'profiles':>9}{'M pairs/CPU s':>15}{'of product':>11}", end="")
    print(f"{'CPU s':>8}{'prepared':>9}{'wall s':>8}{'made s':>8}{'MB before':>11}{'MB peak':>9}")
    whole = 0.0
    for case in cases([int(count) for count in asked.profiles.split(",")], asked.papers, asked.recorded):
        found = run(case)
        head = f"{case['what']:16}{case['kind']:10}{case['papers']:7}{case['count']:9}"
        speed = case["papers"] * case["count"] / found["cpu"] / 1e6
        whole = whole or speed
        print(
            f"{head}{speed:15.2f}{speed / whole:11.1%}{found['cpu']:8.2f}{found['prepared']:9.2f}{found['wall']:8.2f}",
            end="",
        )
        print(f"{found['made']:8.2f}{found['before']:11.0f}{found['peak']:9.0f}", flush=True)


if __name__ == "__main__":
    main()
