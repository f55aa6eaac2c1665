"""What embedding costs: abstracts a CPU-second and a second, for one thread and two, and for other batches.

Run it with `python tests/bench/embed.py [ABSTRACTS]`, in an environment with the extra `semantic`. The abstracts are
recorded ones (`$DIGEST_RECORDED`, by default ../shared/data), their number is 200 by default. Beside it stands what
the machine's own matrix product reaches a CPU-second in the same run, and the share of it that the network gets.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np

from digest.model import Paper, PaperId
from digest.rank import embedding
from digest.rank.embedding import Embedder, Floats32, paper_text

ROOT = Path(__file__).resolve().parents[2]
RECORDED = Path(os.environ.get("DIGEST_RECORDED", ROOT.parent / "shared" / "data"))
LAYERS, WIDTH = 6, 384
A_TOKEN = LAYERS * 12 * WIDTH**2 * 2
"""Floating-point operations a token in the network's matrix products, attention's own left out."""


def texts(most: int) -> list[str]:
    """Read recorded titles and abstracts."""
    with (RECORDED / "relevance" / "scifact" / "docs.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(most), strict=False)]
    return [paper_text(Paper(PaperId(row["id"]), row["title"], row["abstract"])) for row in rows]


def measured(threads: int, abstracts: list[str]) -> tuple[Floats32, float, float]:
    """Return the vectors, the CPU seconds and the seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    vectors = Embedder(threads).embed(abstracts)
    return vectors, time.process_time() - cpu, time.perf_counter() - wall


def product() -> float:
    """Return the floating-point operations a CPU-second of a matrix product in float32."""
    a = np.random.default_rng(0).normal(size=(1536, 1536)).astype(np.float32)
    a @ a
    cpu = time.process_time()
    for _ in range(5):
        a @ a
    return 5 * 2 * 1536**3 / (time.process_time() - cpu)


def main(most: int) -> None:
    """Print the table."""
    abstracts = texts(most)
    _, tokenizer = embedding._load(1)
    lengths = [len(embedding._tokens(tokenizer, text)) for text in abstracts]
    limit = product()
    mean = np.mean(lengths)
    print(f"{len(abstracts)} abstracts of {mean:.0f} tokens; matrix product {limit / 1e9:.0f} GFLOP a CPU-second")
    reference: Floats32 | None = None
    for threads in (1, 2):
        for tokens in (1, 512, 1024, 4096):
            embedding.TOKENS_AT_ONCE = tokens
            Embedder(threads).embed(abstracts[:2])
            vectors, cpu, wall = measured(threads, abstracts)
            reference = vectors if reference is None else reference
            same = "the same bits" if np.array_equal(vectors, reference) else "OTHER BITS"
            share = A_TOKEN * sum(lengths) / cpu / limit
            print(
                f"  {threads} thread{'s' if threads > 1 else ' '} {tokens:5} tokens at once: "
                f"{len(abstracts) / cpu:5.1f} a CPU-second ({share:.0%} of the product), "
                f"{len(abstracts) / wall:5.1f} a second, {same}, "
                f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most so far"
            )


if __name__ == "__main__":
    if not embedding.available():
        sys.exit(f"the extra is not installed: {embedding.INSTALL}")
    if not (RECORDED / "README.md").is_file():
        sys.exit(f"recorded data not found in {RECORDED}: set DIGEST_RECORDED to its folder")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
