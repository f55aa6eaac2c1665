"""Documents as sparse matrices: BM25 weights, unit vectors of words and word pairs, and where each phrase stands.

Pure; built once for each edition by `Ranker`, read by `likeness`, `relevance` and `reasons`. No document is compared
with another here. What is common and what is rare is decided by the papers that the index is built of; the words of
other papers, such as the examples of a profile, are weighed by it (`features`) and change nothing in it. BM25 as in
Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), section 3.4, with k1 = 1.2, b = 0.75 and the
idf that is never negative; a title counts thrice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from digest.model import Paper
from digest.rank.text import COMMON_STEMS, stems

Floats: TypeAlias = npt.NDArray[np.float64]
Floats32: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int64]
Matrix: TypeAlias = Any  # scipy.sparse.csr_matrix: scipy has no types

K1, B = 1.2, 0.75
TITLE_COUNTS = 3
PRIOR_DOCUMENTS = 300
"""Imagined documents that are counted in, so that one small day does not decide what is common."""
PRIOR_SHARE = 0.2
"""Share of the imagined documents that hold each of `COMMON_STEMS`; they hold no other word."""
_BREAK = -1


@dataclass(frozen=True)
class Tokens:
    """All documents' words, one after the other, with a break after each title and each abstract."""

    words: Ints
    """Word numbers; `_BREAK` between two texts. Same length as the next two."""
    owner: Ints
    in_title: npt.NDArray[np.bool_]

    @property
    def worth(self) -> Floats:
        """How often each place counts."""
        return np.where(self.in_title, float(TITLE_COUNTS), 1.0)


@dataclass(frozen=True)
class Features:
    """What the ranking knows of some documents, in the terms of one index. Rows are documents in the order given."""

    bm25: Matrix
    """BM25 weights of words, then of pairs. Shape (documents, words + pairs)."""
    vectors: Matrix
    """The same, each row scaled to length 1."""
    terms: Matrix
    """1 + log of each word's count, times a soft idf, each row scaled to length 1. Shape (documents, words)."""
    worth: Floats
    """The most BM25 that a document can have with each as query: (K1 + 1) times the idf of its words, summed."""

    def rows(self, numbers: Sequence[int] | Ints) -> Features:
        """Some of the documents."""
        chosen = np.asarray(numbers, np.int64)
        return Features(self.bm25[chosen], self.vectors[chosen], self.terms[chosen], self.worth[chosen])

    @property
    def size(self) -> int:
        """How many documents."""
        return len(self.worth)

    def also(self, others: Features) -> Features:
        """These documents and then those of the other."""
        return Features(
            sp.vstack([self.bm25, others.bm25]).tocsr(),
            sp.vstack([self.vectors, others.vectors]).tocsr(),
            sp.vstack([self.terms, others.terms]).tocsr(),
            np.concatenate([self.worth, others.worth]),
        )


class Index:
    """Words and pairs of a set of papers, how rare each is, and the papers' own features."""

    def __init__(self, papers: Sequence[Paper]):
        self.size = len(papers)
        vocabulary: dict[str, int] = {}
        self._tokens = tokens = _tokenise(papers, vocabulary)
        self.vocabulary: Mapping[str, int] = vocabulary
        self._order = np.argsort(tokens.words, kind="stable")
        self._starts = np.searchsorted(tokens.words[self._order], np.arange(len(vocabulary) + 1))
        counts = _counts(tokens, tokens.words, len(papers), len(vocabulary))
        frequency = _frequency(counts)
        self.idf = _idf(frequency, self.size, _common(vocabulary))
        self.unseen_idf = float(_idf(np.zeros(1), self.size, np.zeros(1))[0])
        """Of a word that no document holds."""
        # Softer than `idf`: the words in which whole fields differ, and not only the rarest, tell who is alike.
        self._soft_idf = np.log((1 + self.size) / (1 + frequency)) + 1
        keys = _pair_keys(tokens, len(vocabulary))
        distinct, numbers = np.unique(keys[keys >= 0], return_inverse=True)
        found = np.bincount(_distinct_owners(tokens, keys, numbers), minlength=len(distinct))
        # No other pair can bring two documents together.
        self._pairs: Ints = distinct[found > 1]
        self._pair_idf = _idf(found[found > 1].astype(np.float64), self.size, np.zeros(len(self._pairs)))
        lengths = np.asarray(counts.sum(axis=1)).ravel()
        self._mean_length = max(float(lengths.mean()) if self.size else 0.0, 1.0)
        self.papers = self._weigh(tokens, counts)

    def features(self, papers: Sequence[Paper]) -> Features:
        """Read other papers; words that no document of the index holds are passed over."""
        vocabulary = dict(self.vocabulary)
        tokens = _tokenise(papers, vocabulary)
        words = np.where(tokens.words < len(self.vocabulary), tokens.words, _BREAK)
        tokens = Tokens(words, tokens.owner, tokens.in_title)
        return self._weigh(tokens, _counts(tokens, words, len(papers), len(self.vocabulary)))

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> Ints:
        """The columns of `bm25` of those pairs of words that the index has."""
        words = len(self.vocabulary)
        numbers = [(self.vocabulary.get(one, _BREAK), self.vocabulary.get(two, _BREAK)) for one, two in pairs]
        found = self._columns(np.array([one * words + two for one, two in numbers if min(one, two) >= 0], np.int64))
        return found[found >= 0] + words

    def phrase(self, phrase: Sequence[str]) -> tuple[Ints, Ints]:
        """Find where the stems of `phrase` stand one after the other: (documents, how often), a title's place twice."""
        numbers = [self.vocabulary.get(word, _BREAK) for word in phrase]
        if not numbers or min(numbers) == _BREAK:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        words, tokens = self._tokens.words, self._tokens
        at = self._order[self._starts[numbers[0]] : self._starts[numbers[0] + 1]]
        for offset, number in enumerate(numbers[1:], 1):
            at = at[at + offset < len(words)]
            at = at[words[at + offset] == number]
        documents, inverse = np.unique(tokens.owner[at], return_inverse=True)
        worth = np.where(tokens.in_title[at], 2, 1)
        return documents, np.bincount(inverse, weights=worth, minlength=len(documents)).astype(np.int64)

    def _weigh(self, tokens: Tokens, counts: Matrix) -> Features:
        lengths = np.asarray(counts.sum(axis=1)).ravel() / self._mean_length
        columns = np.full(len(tokens.words), _BREAK, np.int64)
        columns[:-1] = self._columns(_pair_keys(tokens, len(self.vocabulary)))
        pairs = _counts(tokens, columns, counts.shape[0], len(self._pairs))
        weights = _saturate(counts, lengths, self.idf), _saturate(pairs, lengths, self._pair_idf)
        bm25 = sp.hstack(weights).tocsr().astype(np.float32)
        terms = counts.copy()
        terms.data = (1 + np.log(terms.data)) * self._soft_idf[terms.indices]
        present = counts.copy()
        present.data[:] = 1.0
        return Features(bm25, _unit(bm25), _unit(terms.astype(np.float32)), (K1 + 1) * (present @ self.idf))

    def _columns(self, keys: Ints) -> Ints:
        """The pairs' numbers, `_BREAK` for one that the index does not have."""
        if not len(self._pairs):
            return np.full(len(keys), _BREAK, np.int64)
        at = np.minimum(np.searchsorted(self._pairs, keys), len(self._pairs) - 1)
        return np.where(self._pairs[at] == keys, at, _BREAK)


def _tokenise(papers: Sequence[Paper], vocabulary: dict[str, int]) -> Tokens:
    """The papers' words by their numbers; words that are new to the vocabulary are added to it."""
    words: list[int] = []
    lengths = np.zeros((len(papers), 2), np.int64)
    for row, paper in enumerate(papers):
        for column, text in enumerate((paper.title, paper.abstract)):
            found = stems(text)
            words.extend(vocabulary.setdefault(word, len(vocabulary)) for word in found)
            words.append(_BREAK)
            lengths[row, column] = len(found) + 1
    return Tokens(
        np.array(words, np.int64),
        owner=np.repeat(np.arange(len(papers)), lengths.sum(axis=1)),
        in_title=np.repeat(np.tile([True, False], len(papers)), lengths.ravel()),
    )


def _pair_keys(tokens: Tokens, words: int) -> Ints:
    """A number for each pair of neighbouring words, negative where a text ends. One shorter than the words."""
    first, second = tokens.words[:-1], tokens.words[1:]
    return np.where((first >= 0) & (second >= 0), first * words + second, _BREAK)


def _distinct_owners(tokens: Tokens, keys: Ints, numbers: Ints) -> Ints:
    """The pair numbers with each document counted once."""
    owners = tokens.owner[:-1][keys >= 0]
    documents = int(owners.max()) + 1 if len(owners) else 1
    return np.unique(numbers * documents + owners) // documents


def _counts(tokens: Tokens, columns: Ints, rows: int, width: int) -> Matrix:
    real = columns >= 0
    matrix = sp.csr_matrix((tokens.worth[real], (tokens.owner[real], columns[real])), shape=(rows, width))
    matrix.sum_duplicates()
    return matrix


def _frequency(counts: Matrix) -> Floats:
    return np.bincount(counts.indices, minlength=counts.shape[1]).astype(np.float64)


def _common(vocabulary: Mapping[str, int]) -> Floats:
    return np.fromiter((word in COMMON_STEMS for word in vocabulary), np.float64, len(vocabulary))


def _idf(frequency: Floats, size: int, common: Floats) -> Floats:
    seen = frequency + PRIOR_DOCUMENTS * PRIOR_SHARE * common
    idf: Floats = np.log1p((size + PRIOR_DOCUMENTS - seen + 0.5) / (seen + 0.5))
    return idf


def _saturate(counts: Matrix, lengths: Floats, idf: Floats) -> Matrix:
    """BM25 weights of counts: they grow ever slower with the count and are less in a long document."""
    norm = K1 * (1 - B + B * lengths)
    matrix = counts.copy()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    matrix.data = idf[matrix.indices] * matrix.data * (K1 + 1) / (matrix.data + norm[rows])
    return matrix


def _unit(matrix: Matrix) -> Matrix:
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scaled = matrix.copy()
    scaled.data = scaled.data / np.repeat(np.where(lengths > 0, lengths, 1.0), np.diff(matrix.indptr)).astype(
        np.float32
    )
    return scaled
