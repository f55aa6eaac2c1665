"""What diversity and near-duplicates do to twelve places: ranking quality, closeness, and time.

Run it with `python tests/bench/selection.py [SET...]`; it needs the recorded judgements (DIGEST_RECORDED) and, beside
their folder, `tools/rank_eval.py`, whose protocol it follows (libraries with k = 10). It compares the first twelve of
each ranking with the twelve that are selected of its first fifty, best first, with no threshold:

    nDCG@10    of the ranking itself; then what it gains or loses by leaving out near-duplicates, and with diversity too
    close      pairs of close papers in a list: of the ranking, of the selection
    moved      papers of the ranking's twelve that are not in the selection
    us         what one selection takes, in microseconds of CPU time
    doubles    papers of the set that have a near-duplicate, and the seconds of CPU time in which they are found
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from digest.model import Candidate, Paper, PaperId, Pick, Profile, Topic
from digest.rank import Ranker, near_duplicates, select

ROOT = Path(__file__).resolve().parents[2]
RECORDED = Path(os.environ.get("DIGEST_RECORDED", ROOT.parent / "shared" / "data"))
PLACES, POOL, PROFILE_SIZE = 12, 50, 10


def protocol() -> Any:
    """The module `rank_eval.py`."""
    spec = importlib.util.spec_from_file_location("rank_eval", RECORDED.parent / "tools" / "rank_eval.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def profile_of(wanted: Mapping[str, Any]) -> Profile:
    """One of the protocol's profiles as ours."""
    topics = (Topic("topic", wanted["text"]),) if wanted["text"] else ()
    return Profile(topics, examples=tuple(PaperId(doc["id"]) for doc in wanted["liked"]))


def ndcg(ids: Sequence[PaperId], numbers: Mapping[PaperId, int], gain: Mapping[int, int]) -> float:
    """nDCG@10 of a list, best first; linear gain."""
    discount = 1 / np.log2(np.arange(2, 12))
    got = np.array([gain.get(numbers[paper_id], 0) for paper_id in ids[:10]])
    ideal = np.sort(list(gain.values()))[::-1][:10]
    return float((got * discount[: len(got)]).sum() / (ideal * discount[: len(ideal)]).sum())


class Pool:
    """A ranking with some of its picks."""

    def __init__(self, ranking: Any, picks: Sequence[Pick]):
        self.picks = picks
        self._ranking = ranking

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ranking, name)


def nothing_close(_: PaperId) -> Mapping[PaperId, float]:
    """As if no two papers were close."""
    return {}


def close_pairs(ids: Sequence[PaperId], ranker: Ranker) -> int:
    """How many pairs of a list's papers are close."""
    return sum(len(ranker.close_to(paper_id).keys() & {*ids}) for paper_id in ids) // 2


def compare(evaluation: Any, folder: Path) -> None:
    """Prints one line for one set."""
    data = evaluation.load(str(folder))
    task, judged = "library" if data["users"] else "query", data["name"] == "csfcube"
    profiles, gains, masks = evaluation.build(data, task, 0 if task == "query" else PROFILE_SIZE, judged=judged)
    papers = [Paper(PaperId(doc["id"]), doc["title"], doc["abstract"]) for doc in data["docs"]]
    candidates = {paper.id: Candidate(paper, ()) for paper in papers}
    numbers = {paper_id: number for number, paper_id in enumerate(candidates)}
    started = time.process_time()
    duplicates = near_duplicates(papers)
    found = time.process_time() - started
    ranker = Ranker(tuple(candidates.values()), now=datetime(2026, 1, 1, tzinfo=UTC))
    figures, seconds = [], 0.0
    rankings = ranker.rankings(map(profile_of, profiles), 0 if judged else POOL + PROFILE_SIZE)
    for ranking, gain, mask in zip(rankings, gains, masks, strict=True):
        judged_picks = [pick for pick in ranking.picks if mask is None or mask[numbers[pick.paper_id]]]
        pool = Pool(ranking, judged_picks[:POOL])
        wanted = {number: grade for number, grade in gain.items() if mask is None or mask[number]}
        plain = [pick.paper_id for pick in pool.picks[:PLACES]]
        lists = []
        for close_to in (nothing_close, ranker.close_to, ranker.close_to):  # the third finds what the second asked for
            started = time.process_time()
            chosen = select(
                pool, candidates, {}, papers=PLACES, min_relevance=0.0, duplicates=duplicates, close_to=close_to
            )
            taken = time.process_time() - started
            lists.append([pick.paper_id for pick in chosen.picks])
        seconds += taken
        quality = [ndcg(ids, numbers, wanted) for ids in (plain, *lists[:2])]
        close = [close_pairs(ids, ranker) for ids in (plain, lists[1])]
        figures.append([*quality, *close, len({*plain} - {*lists[1]})])
    plain_quality, distinct, diverse, before, after, moved = np.mean(figures, axis=0)
    print(
        f"{data['name']:18}{len(figures):6}{plain_quality:9.4f}{distinct - plain_quality:+10.4f}"
        f"{diverse - plain_quality:+10.4f}{before:8.2f}{after:6.2f}{moved:7.2f}{seconds / len(figures) * 1e6:7.0f}"
        f"{len(duplicates):9}{found:7.2f}",
        flush=True,
    )


def main() -> None:
    """Compares the sets that are named, or all."""
    print(
        f"{'set':18}{'n':>6}{'nDCG@10':>9}{'distinct':>10}{'diverse':>10}{'close':>8}{'':6}{'moved':>7}{'us':>7}"
        f"{'doubles':>9}{'s':>7}"
    )
    evaluation = protocol()
    folders = [RECORDED / "relevance" / name for name in sys.argv[1:]]
    for folder in folders or sorted(path for path in (RECORDED / "relevance").iterdir() if path.is_dir()):
        compare(evaluation, folder)


if __name__ == "__main__":
    main()
