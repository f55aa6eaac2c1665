"""How much candidates are like other papers: one fixed kernel, computed once for each paper and shared by all profiles.

Pure; called by `relevance`. The likeness of a paper l to a candidate c is never negative, and 0 for unrelated texts:

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

from digest.rank.index import Features, Floats32, Ints

RIDGE = 3.0
TERMS, WORDS = 0.4, 0.6
BYTES_KEPT = 256 << 20
"""Of likeness that is kept for the next profiles that name the same papers."""
CHUNK = 512
"""Papers whose likeness is computed at once."""


class Likeness:
    """Likeness of documents, by their numbers, to the first `size` of them, the candidates."""

    def __init__(self, documents: Features, size: int, archive: Ints):
        self._documents = documents
        self._candidates = documents.rows(np.arange(size))
        self._archive = documents.rows(archive)
        self._usual_worth = np.float32(max(float(self._archive.worth.mean()) if self._archive.size else 0.0, 1.0))
        self._place: dict[int, int] = {}
        self._kept = np.empty((0, size), np.float32)

    def rows(self, numbers: Sequence[int]) -> Floats32:
        """The likeness of some documents to every candidate. Shape (numbers, size)."""
        wanted = dict.fromkeys(numbers)
        missing = [number for number in wanted if number not in self._place]
        if len(self._place) + len(missing) > len(self._kept):
            self._place.clear()
            missing = list(wanted)
            width = max(self._kept.shape[1], 1)
            capacity = max(len(missing), min(BYTES_KEPT // (4 * width), self._documents.size))
            if capacity > len(self._kept):
                self._kept = np.empty((capacity, self._kept.shape[1]), np.float32)
        for first in range(0, len(missing), CHUNK):
            chunk = missing[first : first + CHUNK]
            begin = len(self._place)
            self._kept[begin : begin + len(chunk)] = self._to_candidates(self._documents.rows(chunk))
            self._place.update(zip(chunk, range(begin, begin + len(chunk)), strict=True))
        return self._kept[[self._place[number] for number in numbers]]

    def crowding(self, groups: Sequence[Sequence[int]]) -> list[Floats32]:
        """How much each document of a group repeats what the others say: its likeness to them, itself left out."""
        places = {number: place for place, number in enumerate(dict.fromkeys(n for group in groups for n in group))}
        papers = self._documents.rows(tuple(places))
        terms = (papers.terms @ papers.terms.T).toarray()
        alike: Floats32 = (papers.vectors @ papers.vectors.T).toarray() + TERMS * np.square(terms)
        np.fill_diagonal(alike, 0)
        members = [[places[number] for number in group] for group in groups]
        return [alike[np.ix_(group, group)].sum(axis=1) for group in members]

    def _to_candidates(self, papers: Features) -> Floats32:
        known = (papers.vectors @ self._archive.vectors.T).toarray() @ self._explained
        alike: Floats32 = (papers.vectors @ self._candidates.vectors.T).toarray() - known
        alike += TERMS * np.square((papers.terms @ self._candidates.terms.T).toarray())
        words = papers.terms.copy()
        words.data[:] = 1
        weights = self._candidates.bm25[:, : words.shape[1]]
        alike += WORDS * ((words @ weights.T).toarray() / self._usual_worth) ** np.float32(1.5)
        return np.maximum(alike, 0, out=alike)

    @cached_property
    def _explained(self) -> Floats32:
        """What each paper of the archive tells of each candidate. Shape (archive, size)."""
        gram = (self._archive.vectors @ self._archive.vectors.T).toarray()
        cross = (self._archive.vectors @ self._candidates.vectors.T).toarray()
        if not len(gram):
            return np.asarray(cross, np.float32)
        gram.flat[:: len(gram) + 1] += RIDGE
        solved: Floats32 = cho_solve(
            cho_factor(gram, overwrite_a=True, check_finite=False), cross, overwrite_b=True, check_finite=False
        )
        return solved
