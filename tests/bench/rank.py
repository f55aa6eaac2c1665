"""How well the shipped ranker finds what people judged relevant, beside others. Prints figures, asserts nothing.

    python tests/bench/rank.py                                  all nine sets, everything: tens of minutes
    python tests/bench/rank.py med cacm --no-baselines          two sets, digest alone
    python tests/bench/rank.py --semantic without --cache DIR   only `digest rank --no-semantic`, beside the baselines

digest is asked through `digest rank --papers … --profiles … --json`, the baselines (`rank_baselines.py`, extra `bench`)
in this process; profiles, hidden papers and measures are the recorded protocol's (`rank_data.py`). A set of free texts
is asked by text, a set of libraries by k papers drawn from each. nDCG@10 with its standard error, average precision,
recall at 20, precision at 5; the noise between drawings is about ±0.02, on reviews-cohen ±0.03.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is found wherever this is started

from tests.bench.rank_data import (
    BAG_OF_WORDS,
    LIBRARY_SETS,
    TOPIC_SETS,
    Floats,
    JudgedSet,
    Ranking,
    Task,
    protocol,
    shipped,
)

SEMANTIC = {"with": ((),), "without": (("--no-semantic",),), "both": ((), ("--no-semantic",))}
"""The options that the command is given, once for each row."""


@dataclass(frozen=True, slots=True)
class Row:
    """One ranker's figures on one task: `k` example papers a profile, or free text for 0."""

    set_name: str
    k: int
    ranker: str
    n: int
    ndcg10: float
    se: float
    map: float
    r20: float
    p5: float
    seconds: float


def row(judged: JudgedSet, k: int, ranker: str, task: Task, scores: Floats, seconds: float) -> Row:
    """Measure the scores that a ranker gave."""
    found = judged.measure(task, scores)
    figures = {name: found[name] for name in ("ndcg10", "se", "map", "r20", "p5")}
    return Row(judged.name, k, ranker, int(found["n"]), **figures, seconds=seconds)


def of_digest(judged: JudgedSet, k: int, commands: dict[str, Ranking]) -> Iterator[Row]:
    """The rows of the shipped ranker, one for each way to call it."""
    task = judged.task(k)
    for name, ranking in commands.items():
        start = time.perf_counter()
        scores = ranking(judged.documents, task.profiles)
        yield row(judged, k, name, task, scores, time.perf_counter() - start)


def of_baselines(judged: JudgedSet, sizes: Iterable[int]) -> Iterator[Row]:
    """The rows of the baselines that mean something on this set."""
    from tests.bench.rank_baselines import BASELINES, Corpus, Query

    corpus = Corpus(judged)
    ordered = judged.name != BAG_OF_WORDS
    for k in sizes:
        task = judged.task(k)
        for baseline in BASELINES:
            if (baseline.vectors and not (ordered and judged.has_vectors)) or (baseline.slow and not ordered):
                continue
            start = time.perf_counter()
            if k == 0 and baseline.by_text:
                scores = baseline.by_text(corpus, [Query(each["id"], each["text"]) for each in task.profiles])
            elif k and baseline.by_examples:
                examples = [[judged.row[paper["id"]] for paper in each["liked"]] for each in task.profiles]
                scores = baseline.by_examples(corpus, examples)
            else:
                continue
            yield row(judged, k, baseline.name, task, scores, time.perf_counter() - start)


def mean(rows: Iterable[Row], ranker: str, k: int) -> float | None:
    """The mean nDCG@10 over the six topic sets (`k` 0) or the three library sets; None where a set is missing."""
    wanted = LIBRARY_SETS if k else TOPIC_SETS
    found = {each.set_name: each.ndcg10 for each in rows if (each.ranker, each.k) == (ranker, k)}
    return sum(found[name] for name in wanted) / len(wanted) if found.keys() >= set(wanted) else None


def overview(rows: Sequence[Row], sizes: Sequence[int]) -> Iterator[str]:
    """Yield nDCG@10 of every ranker by set, with the means: free text first, then example papers by k."""
    for title, sets, asked in (("free-text topics", TOPIC_SETS, (0,)), ("example papers", LIBRARY_SETS, tuple(sizes))):
        cell = {(each.ranker, each.set_name, each.k): f"{each.ndcg10:.3f}" for each in rows if each.k in asked}
        used = [name for name in sets if any(name == known for _, known, _ in cell)]
        if not used:
            continue
        yield f"\nnDCG@10, {title}" + (f", k = {' / '.join(map(str, asked))}" if any(asked) else "")
        wide = max(*map(len, used), 6 * len(asked) - 1)
        yield f"{'':36}" + "".join(f"{name:>{wide + 2}}" for name in (*used, "mean"))
        for ranker in dict.fromkeys(known for known, *_ in cell):
            cells = ["/".join(cell.get((ranker, name, k), "–") for k in asked) for name in used]
            means = [mean(rows, ranker, k) for k in asked]
            cells.append("/".join("–" if each is None else f"{each:.3f}" for each in means))
            yield f"{ranker:36}" + "".join(f"{'–' if set(each) <= set('–/') else each:>{wide + 2}}" for each in cells)


HEAD = f"{'set':18}{'task':>7}{'n':>5}  {'ranker':36}{'nDCG@10':>8}{'±':>7}{'MAP':>7}{'R@20':>7}{'P@5':>7}{'s':>7}"


def line(each: Row) -> str:
    """One row as it is printed."""
    task = f"k = {each.k}" if each.k else "text"
    figures = "".join(f"{value:7.3f}" for value in (each.se, each.map, each.r20, each.p5))
    return f"{each.set_name:18}{task:>7}{each.n:5}  {each.ranker:36}{each.ndcg10:8.3f}{figures}{each.seconds:7.1f}"


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="SET", default=[*TOPIC_SETS, *LIBRARY_SETS])
    parser.add_argument("--k", default="5,10,20", help="example papers a profile, in sets of libraries")
    parser.add_argument("--semantic", choices=tuple(SEMANTIC), default="both", help="with or without sentence vectors")
    parser.add_argument("--baselines", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--digest", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--cache", type=Path, help="a folder where the baselines' sentence vectors are kept")
    parser.add_argument("--json", action="store_true", help="one JSON object a row, then one with the means")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    asked = options(arguments)
    sizes = [int(k) for k in asked.k.split(",")]
    rules: Any = protocol()
    rows: list[Row] = []
    if not asked.json:
        print(HEAD)
    with ExitStack() as stack:
        called = SEMANTIC[asked.semantic] if asked.digest else ()
        commands = {" ".join(("digest", *each)): stack.enter_context(shipped(*each)) for each in called}
        for name in asked.sets:
            judged = JudgedSet(name, rules, cache=asked.cache)
            tasks = sizes if name in LIBRARY_SETS else [0]
            found = [each for k in tasks for each in of_digest(judged, k, commands)]
            if asked.baselines:
                found += of_baselines(judged, tasks)
            for each in sorted(found, key=lambda each: each.k):
                print(json.dumps(asdict(each)) if asked.json else line(each), flush=True)
            rows += found
    if asked.json:
        rankers = dict.fromkeys(each.ranker for each in rows)
        means = {ranker: {str(k): mean(rows, ranker, k) for k in (0, *sizes)} for ranker in rankers}
        print(json.dumps({"means": means}))
    else:
        print(*overview(rows, sizes), sep="\n")


if __name__ == "__main__":
    main()
