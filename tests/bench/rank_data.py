"""What the benches of the ranking read: the judged sets, the protocol that scores them, and their sentence vectors.

The protocol is `tools/rank_eval.py` beside the recorded data, loaded as it is: which profiles are drawn, what is
hidden from them and how a ranking is measured are decided there and nowhere else. Used by `rank.py`,
`rank_learning.py` and `rank_speed.py`; holds no ranker.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from digest.rank.embedding import Embedder, available

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Document: TypeAlias = Mapping[str, Any]
Ranking: TypeAlias = Callable[[Sequence[Document], Sequence[Mapping[str, Any]]], Floats]
"""Documents and profiles, as the protocol gives them, to scores of shape (profiles, documents)."""

ROOT = Path(__file__).resolve().parents[2]
RECORDED = Path(os.environ.get("DIGEST_RECORDED", ROOT.parent / "shared" / "data"))
TOPIC_SETS = ("cranfield", "med", "cacm", "cisi", "scifact", "csfcube")
LIBRARY_SETS = ("arxiv-authors-cs", "reviews-cohen", "citeulike-t")
JUDGED_ONLY = "csfcube"
"""The set of which only the judged papers are ranked."""
BAG_OF_WORDS = "citeulike-t"
"""The set whose words have lost their order: sentence vectors and word pairs mean nothing there."""


def load_file(path: Path) -> Any:
    """Return the module in a file that belongs to no package."""
    spec = spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SystemExit(f"{path} is not there: set DIGEST_RECORDED to the recorded data")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def protocol(recorded: Path = RECORDED) -> Any:
    """The protocol's module: `load`, `build`, `measure`, `summary`, `by_command`."""
    return load_file(recorded.parent / "tools" / "rank_eval.py")


@dataclass(frozen=True, slots=True)
class Task:
    """Profiles drawn from one set, with what each should find."""

    profiles: list[dict[str, Any]]
    gains: list[dict[int, int]]
    masks: list[npt.NDArray[np.bool_] | None]


class JudgedSet:
    """One folder of judged papers; its vectors are computed, or read from `cache`, when first asked for."""

    def __init__(self, name: str, protocol: Any, recorded: Path = RECORDED, cache: Path | None = None):
        folder = recorded / "relevance" / name
        if not folder.is_dir():
            raise SystemExit(f"there is no set {name!r} in {folder.parent}")
        self.name = name
        self._protocol = protocol
        self._loaded = protocol.load(str(folder))
        self._cache = cache
        self.documents: list[Document] = self._loaded["docs"]
        self.row: dict[str, int] = self._loaded["index"]
        self.libraries: list[tuple[str, list[str]]] = self._loaded["users"]

    def task(self, k: int) -> Task:
        """Draw the profiles: of `k` papers each, or free text for 0."""
        return Task(
            *self._protocol.build(self._loaded, "library" if k else "query", k, judged=self.name == JUDGED_ONLY)
        )

    def measure(self, task: Task, scores: Floats) -> dict[str, float]:
        """Return `n`, `ndcg10`, its standard error `se`, `map`, `r20` and `p5` of scores (profiles, documents)."""
        found = self._protocol.summary(self._protocol.measure(scores, task.gains, task.masks))
        return {name: float(value) for name, value in found.items()}

    @cached_property
    def has_vectors(self) -> bool:
        """Whether sentence vectors are kept, or can be made: the extra `semantic` is installed."""
        if self._cache and self._file("docs", self._cache).is_file():
            return True
        return available()

    @cached_property
    def document_vectors(self) -> Floats:
        """Shape (documents, 384), rows of length 1."""
        texts = [". ".join(part for part in (each["title"], each["abstract"]) if part) for each in self.documents]
        return self._vectors("docs", texts)

    @cached_property
    def query_vectors(self) -> dict[str, Floats]:
        """The vector of each query, by the query's id."""
        queries = self._loaded["queries"]
        vectors = self._vectors("queries", [each["text"] for each in queries])
        return {each["id"]: vector for each, vector in zip(queries, vectors, strict=True)}

    def _vectors(self, kind: str, texts: list[str]) -> Floats:
        file = self._file(kind, self._cache) if self._cache else None
        if file and file.is_file() and len(kept := np.load(file)) == len(texts):
            return np.asarray(kept, np.float32)
        print(f"embedding {len(texts)} texts of {self.name}", file=sys.stderr)
        vectors: Floats = Embedder().embed(texts)
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, vectors)
        return vectors

    def _file(self, kind: str, cache: Path) -> Path:
        return cache / f"emb_{self.name}_{kind}.npy"


@contextmanager
def shipped(*options: str, recorded: Path = RECORDED) -> Iterator[Ranking]:
    """The shipped ranker: `digest rank --papers … --profiles … OPTIONS` in a process of its own, through the adapter.

    The adapter asks for each profile's best 300; what is left out comes last.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = Path(folder, "digest")
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m digest "$@" {" ".join(options)}\n')
        command.chmod(0o755)
        adapter = recorded.parent / "tools" / "rank_digest.py"
        yield protocol(recorded).by_command(f'"{sys.executable}" "{adapter}" {{dir}} "{command}"')
