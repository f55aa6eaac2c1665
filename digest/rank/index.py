"""Documents as sparse matrices: BM25 weights, unit vectors of words and word pairs, and where each phrase stands.

Pure; built once for each set of documents by `Ranker`, read by `relevance` and `reasons`. No document is compared with
another here. BM25 as in Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), section 3.4,
with k1 = 1.2, b = 0.75 and the idf that is never negative; a title counts twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from digest.model import Paper
from digest.rank.text import COMMON_STEMS, stems

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Matrix: TypeAlias = Any  # scipy.sparse.csr_matrix: scipy has no types

K1, B = 1.2, 0.75
TITLE_COUNTS = 2
PRIOR_DOCUMENTS = 300
"""Imagined documents that are counted in, so that one small day does not decide what is common."""
PRIOR_SHARE = 0.2
"""Share of the imagined documents that hold each of `COMMON_STEMS`; they hold no other word."""
_BREAK = -1


@dataclass(frozen=True)
class Tokens:
    """All documents' words, one after the other, with a break after each title and each abstract."""

    vocabulary: dict[str, int]
    words: Ints
    """Word numbers; `_BREAK` between two texts. Same length as the next two."""
    owner: Ints
    in_title: npt.NDArray[np.bool_]
    order: Ints
    """Positions sorted by word number, then by position."""
    starts: Ints
    """Where each word's positions start in `order`; one more at the end. Shape (words + 1,)."""


@dataclass(frozen=True)
class Index:
    """What the ranking knows of its documents. Rows are documents in the order given."""

    size: int
    tokens: Tokens
    counts: Matrix
    """How often a word stands in a document, its title counted twice. Shape (size, words)."""
    idf: Floats
    unseen_idf: float
    """Of a word that no document holds."""
    bm25: Matrix
    """Shape (size, words). An entry is at most (K1 + 1) · idf."""
    vectors: Matrix
    """BM25 weights of words and of pairs of neighbouring words, scaled to length 1. Shape (size, words + pairs)."""

    def phrase(self, phrase: Sequence[str]) -> tuple[Ints, Ints]:
        """Find where the stems of `phrase` stand one after the other: (documents, how often), a title's place twice."""
        tokens = self.tokens
        numbers = [tokens.vocabulary.get(word, len(tokens.vocabulary)) for word in phrase]
        if not numbers or max(numbers) == len(tokens.vocabulary):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        at = tokens.order[tokens.starts[numbers[0]] : tokens.starts[numbers[0] + 1]]
        for offset, number in enumerate(numbers[1:], 1):
            at = at[at + offset < len(tokens.words)]
            at = at[tokens.words[at + offset] == number]
        documents, inverse = np.unique(tokens.owner[at], return_inverse=True)
        worth = np.where(tokens.in_title[at], TITLE_COUNTS, 1)
        return documents, np.bincount(inverse, weights=worth, minlength=len(documents)).astype(np.int64)


def build(papers: Sequence[Paper]) -> Index:
    """Read the papers' titles and abstracts once."""
    tokens = _tokenise(papers)
    words = len(tokens.vocabulary)
    real = tokens.words != _BREAK
    worth = np.where(tokens.in_title, float(TITLE_COUNTS), 1.0)
    counts = _count(worth[real], tokens.owner[real], tokens.words[real], (len(papers), words))
    lengths = np.asarray(counts.sum(axis=1)).ravel()
    idf = _idf(_document_frequency(counts), len(papers), _common(tokens.vocabulary))
    bm25 = _saturate(counts, lengths, idf)
    pairs = _pairs(tokens, worth, len(papers))
    pair_idf = _idf(_document_frequency(pairs), len(papers), np.zeros(pairs.shape[1]))
    vectors = sp.hstack([bm25, _saturate(pairs, lengths, pair_idf)]).tocsr()
    unseen = float(_idf(np.zeros(1), len(papers), np.zeros(1))[0])
    return Index(len(papers), tokens, counts, idf, unseen, bm25, _unit(vectors))


def _tokenise(papers: Sequence[Paper]) -> Tokens:
    vocabulary: dict[str, int] = {}
    words: list[int] = []
    lengths = np.zeros((len(papers), 2), np.int64)
    for row, paper in enumerate(papers):
        for column, text in enumerate((paper.title, paper.abstract)):
            found = stems(text)
            words.extend(vocabulary.setdefault(word, len(vocabulary)) for word in found)
            words.append(_BREAK)
            lengths[row, column] = len(found) + 1
    numbers = np.array(words, np.int64)
    order = np.argsort(numbers, kind="stable")
    return Tokens(
        vocabulary,
        numbers,
        owner=np.repeat(np.arange(len(papers)), lengths.sum(axis=1)),
        in_title=np.repeat(np.tile([True, False], len(papers)), lengths.ravel()),
        order=order,
        starts=np.searchsorted(numbers[order], np.arange(len(vocabulary) + 1)),
    )


def _count(worth: Floats, rows: Ints, columns: Ints, shape: tuple[int, int]) -> Matrix:
    matrix = sp.csr_matrix((worth, (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    return matrix


def _pairs(tokens: Tokens, worth: Floats, size: int) -> Matrix:
    """Counts of pairs of neighbouring words that at least two documents share: no other pair can bring two together."""
    first, second = tokens.words[:-1], tokens.words[1:]
    real = (first != _BREAK) & (second != _BREAK)
    keys = first[real] * len(tokens.vocabulary) + second[real]
    distinct, columns = np.unique(keys, return_inverse=True)
    counts = _count(worth[:-1][real], tokens.owner[:-1][real], columns, (size, len(distinct)))
    return counts[:, np.flatnonzero(_document_frequency(counts) > 1)].tocsr()


def _document_frequency(counts: Matrix) -> Floats:
    return np.bincount(counts.indices, minlength=counts.shape[1]).astype(np.float64)


def _common(vocabulary: dict[str, int]) -> Floats:
    return np.fromiter((word in COMMON_STEMS for word in vocabulary), np.float64, len(vocabulary))


def _idf(frequency: Floats, size: int, common: Floats) -> Floats:
    seen = frequency + PRIOR_DOCUMENTS * PRIOR_SHARE * common
    idf: Floats = np.log1p((size + PRIOR_DOCUMENTS - seen + 0.5) / (seen + 0.5))
    return idf


def _saturate(counts: Matrix, lengths: Floats, idf: Floats) -> Matrix:
    """BM25 weights of counts: they grow ever slower with the count and are less in a long document."""
    norm = K1 * (1 - B + B * lengths / max(float(lengths.mean()) if len(lengths) else 0.0, 1.0))
    matrix = counts.copy()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    matrix.data = idf[matrix.indices] * matrix.data * (K1 + 1) / (matrix.data + norm[rows])
    return matrix


def _unit(matrix: Matrix) -> Matrix:
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix.data /= np.repeat(np.where(lengths > 0, lengths, 1.0), np.diff(matrix.indptr))
    return matrix
