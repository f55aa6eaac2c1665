"""How much candidates are like other papers: one fixed kernel, computed once for each paper and shared by all profiles.

Pure; called by `relevance` and `topics`. The likeness of a paper l to a candidate c is never negative, and 0 for
unrelated texts:

    likeness = unexpected(l, c) + TERMS · cos²(terms of l, terms of c) + WORDS · (BM25 of c for l's words / usual)^1.5
    unexpected = k(l, c) - k(l, A) · (k(A, A) + RIDGE)⁻¹ · k(A, c),   k the cosine of BM25 weights of words and pairs
    usual = the most BM25 that is possible for the words of a paper of the archive, on average

The first part is ridge regression in closed form: what the archive A holds everywhere says nothing about a liking, so
it is taken out (it is the posterior covariance of a Gaussian process that has seen A; Rasmussen and Williams, 2006, eq.
2.24). It finds the rare shared words; the two others find shared fields. Their powers make what is
near count, and not what is everywhere a little alike, however many papers a profile names.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from digest.rank.index import Features, Floats32, Ints, Matrix
from digest.rank.sparse import LazyRows, Rows

RIDGE = 3.0
TERMS, WORDS = 0.4, 0.6
BYTES_KEPT = 256 << 20
"""Of likeness that is kept for the next profiles that name the same papers."""
GRAM_ROWS = 250
"""So many rows of inner products are found at once."""
PAPERS_KEPT = 5000
"""So many papers are kept with how much each repeats the others."""


class Likeness:
    """Likeness of documents, by their numbers, to the first `size` of them, the candidates."""

    def __init__(self, documents: Features, size: int, archive: Ints):
        self._documents = documents
        self._candidates = documents.rows(np.arange(size))
        self._archive = documents.rows(archive)
        self._archived = np.full(documents.size, -1, np.int64)
        self._archived[archive] = np.arange(len(archive))
        self._usual_worth = np.float32(max(float(self._archive.worth.mean()) if self._archive.size else 0.0, 1.0))
        # Turned round once: as a product's right side, a transposed matrix would be rewritten each time.
        self._by_term = self._candidates.terms.T.tocsr()
        self._by_weight = self._candidates.bm25[:, : documents.terms.shape[1]].T.tocsr()
        self._by_word = self._candidates.vectors.T.tocsr()
        self._archive_by_word = self._archive.vectors.T.tocsr()
        self._rows = LazyRows((documents.size, size), self.compute, BYTES_KEPT)
        self._alike = _Alike(documents)

    def prime(self) -> None:
        """As `Ranker.prime`."""
        _ = self._explained

    def rows(self, numbers: Ints) -> Floats32:
        """The likeness of some documents to every candidate. Shape (numbers, size)."""
        return self._rows.rows(numbers)

    def times(self, documents: Rows) -> Floats32:
        """Sums of likeness to some documents, weighted. Shape (rows, size)."""
        return self._rows.times(documents)

    def crowding(self, groups: Sequence[Ints]) -> list[Floats32]:
        """How much each document of a group repeats what the others say: its likeness to them, itself left out."""
        return self._alike.sums(groups)

    def compute(self, numbers: Ints) -> Floats32:
        """The same as `rows`, without keeping it."""
        papers = self._documents.rows(numbers)
        alike = TERMS * np.square((papers.terms @ self._by_term).toarray())
        words = papers.terms.copy()
        words.data[:] = 1
        alike += WORDS * ((words @ self._by_weight).toarray() / self._usual_worth) ** np.float32(1.5)
        alike += self._unexpected(numbers, papers)
        likeness: Floats32 = np.maximum(alike, 0, out=alike)
        return likeness

    def _unexpected(self, numbers: Ints, papers: Features) -> Floats32:
        at = self._archived[numbers]
        # With S = (K + RIDGE)⁻¹ C, what is left of C for the archive itself is C - K S = RIDGE S.
        left = np.empty((len(numbers), self._candidates.size), np.float32)
        left[at >= 0] = RIDGE * self._explained[at[at >= 0]]
        others = papers.vectors[np.flatnonzero(at < 0)]
        known = (others @ self._archive_by_word).toarray() @ self._explained
        left[at < 0] = (others @ self._by_word).toarray() - known
        return left

    @cached_property
    def _explained(self) -> Floats32:
        """What each paper of the archive tells of each candidate. Shape (archive, size)."""
        gram = _upper_gram(self._archive.vectors)
        cross = (self._archive.vectors @ self._candidates.vectors.T).toarray()
        if not len(gram):
            return np.asarray(cross, np.float32)
        gram.flat[:: len(gram) + 1] += RIDGE
        solved: Floats32 = cho_solve(
            cho_factor(gram, overwrite_a=True, check_finite=False), cross, overwrite_b=True, check_finite=False
        )
        return solved


def _upper_gram(vectors: Matrix) -> Floats32:
    """The inner products of all rows; below the diagonal, where `cho_factor` does not look, only some. Square."""
    size = vectors.shape[0]
    gram = np.zeros((size, size), np.float32)
    for first in range(0, size, GRAM_ROWS):
        gram[first : first + GRAM_ROWS, first:] = (vectors[first : first + GRAM_ROWS] @ vectors[first:].T).toarray()
    return gram


class _Alike:
    """How much documents repeat each other, pair by pair; kept for the next groups that hold them."""

    def __init__(self, documents: Features):
        self._documents = documents
        self._place = np.full(documents.size, -1, np.int64)
        self._filled: Ints = np.empty(0, np.int64)
        self._kept = np.empty((0, 0), np.float32)

    def sums(self, groups: Sequence[Ints]) -> list[Floats32]:
        """For each document of a group, how much it repeats the others."""
        self._fill(np.unique(np.concatenate([*groups, np.empty(0, np.int64)])))
        sums: list[Floats32] = [np.empty(0, np.float32)] * len(groups)
        for length in {len(group) for group in groups} - {0}:
            same = [number for number, group in enumerate(groups) if len(group) == length]
            places = self._place[np.stack([groups[number] for number in same])]
            alike = self._kept[places[:, :, np.newaxis], places[:, np.newaxis, :]].sum(axis=2)
            for number, found in zip(same, alike, strict=True):
                sums[number] = found
        return sums

    def _fill(self, numbers: Ints) -> None:
        missing = numbers[self._place[numbers] < 0]
        if not missing.size:
            return
        if len(self._filled) + len(missing) > len(self._kept):
            self._place.fill(-1)
            self._filled, missing = self._filled[:0], numbers
            if len(missing) > len(self._kept):
                room = max(len(missing), min(PAPERS_KEPT, self._documents.size))
                self._kept = np.zeros((room, room), np.float32)
        begin = len(self._filled)
        self._filled = np.concatenate([self._filled, missing])
        end = len(self._filled)
        self._place[missing] = np.arange(begin, end)
        new, every = self._documents.rows(missing), self._documents.rows(self._filled)
        alike = (new.vectors @ every.vectors.T).toarray() + TERMS * np.square((new.terms @ every.terms.T).toarray())
        alike[np.arange(len(missing)), np.arange(begin, end)] = 0
        self._kept[begin:end, :end] = alike
        self._kept[:begin, begin:end] = alike[:, :begin].T
