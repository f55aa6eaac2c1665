"""Documents as sparse matrices: BM25 weights, unit vectors of words and word pairs, and where each phrase stands.

Pure; built once for each edition by `Ranker`, read by `likeness`, `relevance` and `reasons`. No document is compared
with another here. What is common and what is rare is decided by the papers that the index is built of; the words of
other papers, such as the examples of a profile, are weighed by it (`features`) and change nothing in it. BM25 as in
Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), section 3.4, with k1 = 1.2, b = 0.75 and the
idf that is never negative; a title counts thrice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from digest.model import Paper
from digest.rank.acronyms import Acronyms
from digest.rank.text import COMMON_STEMS, stems

Floats: TypeAlias = npt.NDArray[np.float64]
Floats32: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
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
    in_title: Flags
    documents: int

    @property
    def worth(self) -> Floats:
        """How often each place counts."""
        return np.where(self.in_title, float(TITLE_COUNTS), 1.0)

    @cached_property
    def _order(self) -> Ints:
        return np.argsort(self.words, kind="stable")

    @cached_property
    def _starts(self) -> Ints:
        numbers = int(self.words.max(initial=_BREAK)) + 2
        return np.searchsorted(self.words[self._order], np.arange(numbers))

    def places(self, phrase: Sequence[int]) -> Ints:
        """Where these words stand one after the other: the places of the first."""
        if min(phrase, default=_BREAK) == _BREAK or phrase[0] >= len(self._starts) - 1:
            return np.empty(0, np.int64)
        at = self._order[self._starts[phrase[0]] : self._starts[phrase[0] + 1]]
        for offset, number in enumerate(phrase[1:], 1):
            at = at[at + offset < len(self.words)]
            at = at[self.words[at + offset] == number]
        return at


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
        counts = _counts(tokens, np.arange(len(tokens.words)), tokens.words, len(vocabulary))
        frequency = _frequency(counts)
        self.acronyms = Acronyms(
            (f"{paper.title}. {paper.abstract}" for paper in papers), lambda word: int(frequency[vocabulary[word]])
        )
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
        self.spelled_out = self._spelled_out(lengths / self._mean_length)
        """BM25 weights of acronyms for papers that only have the long form. Shape as `papers.bm25`."""

    def features(self, papers: Sequence[Paper]) -> Features:
        """Read other papers; words that no document of the index holds are passed over."""
        vocabulary = dict(self.vocabulary)
        tokens = _tokenise(papers, vocabulary)
        words = np.where(tokens.words < len(self.vocabulary), tokens.words, _BREAK)
        tokens = replace(tokens, words=words)
        return self._weigh(tokens, _counts(tokens, np.arange(len(words)), words, len(self.vocabulary)))

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> Ints:
        """The columns of `bm25` of some pairs of words; -1 for one that the index does not have."""
        words, number = len(self.vocabulary), self.vocabulary.get
        numbers = np.array([(number(one, _BREAK), number(two, _BREAK)) for one, two in pairs], np.int64).reshape(-1, 2)
        keys = np.where(numbers.min(axis=1, initial=0) < 0, _BREAK, numbers[:, 0] * words + numbers[:, 1])
        found = self._columns(keys)
        return np.where(found >= 0, found + words, _BREAK)

    def phrase(self, phrase: Sequence[str]) -> tuple[Ints, Ints]:
        """Find where the stems of `phrase` stand one after the other: (documents, how often), a title's place twice."""
        at = self._tokens.places([self.vocabulary.get(word, _BREAK) for word in phrase])
        documents, inverse = np.unique(self._tokens.owner[at], return_inverse=True)
        worth = np.where(self._tokens.in_title[at], 2, 1)
        return documents, np.bincount(inverse, weights=worth, minlength=len(documents)).astype(np.int64)

    def _spelled_out(self, lengths: Floats) -> Matrix:
        number, tokens = self.vocabulary.get, self._tokens
        at, columns = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for short, long in self.acronyms.items():
            places = tokens.places([number(word, _BREAK) for word in long])
            itself = np.unique(tokens.owner[tokens.places([self.vocabulary[short]])])
            at.append(places[~np.isin(tokens.owner[places], itself)])
            columns.append(np.full(len(at[-1]), self.vocabulary[short]))
        found = _counts(tokens, np.concatenate(at), np.concatenate(columns), self.papers.bm25.shape[1])
        return _saturate(found, lengths, self.idf).astype(np.float32)

    def _weigh(self, tokens: Tokens, counts: Matrix) -> Features:
        lengths = np.asarray(counts.sum(axis=1)).ravel() / self._mean_length
        columns = np.full(len(tokens.words), _BREAK, np.int64)
        columns[:-1] = self._columns(_pair_keys(tokens, len(self.vocabulary)))
        pairs = _counts(tokens, np.arange(len(columns)), columns, len(self._pairs))
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
    number = defaultdict(count(len(vocabulary)).__next__, vocabulary)
    words: list[int] = []
    lengths = np.zeros((len(papers), 2), np.int64)
    for row, paper in enumerate(papers):
        for column, text in enumerate((paper.title, paper.abstract)):
            found = stems(text)
            words.extend(map(number.__getitem__, found))
            words.append(_BREAK)
            lengths[row, column] = len(found) + 1
    vocabulary.update(number)
    return Tokens(
        np.array(words, np.int64),
        owner=np.repeat(np.arange(len(papers)), lengths.sum(axis=1)),
        in_title=np.repeat(np.tile([True, False], len(papers)), lengths.ravel()),
        documents=len(papers),
    )


def _pair_keys(tokens: Tokens, words: int) -> Ints:
    """A number for each pair of neighbouring words, negative where a text ends. One shorter than the words."""
    first, second = tokens.words[:-1], tokens.words[1:]
    return np.where((first >= 0) & (second >= 0), first * words + second, _BREAK)


def _distinct_owners(tokens: Tokens, keys: Ints, numbers: Ints) -> Ints:
    """The pair numbers with each document counted once."""
    owners = tokens.owner[:-1][keys >= 0]
    documents = int(owners.max()) + 1 if len(owners) else 1
    found = np.sort(numbers * documents + owners)  # `np.unique` takes twenty times as long
    return found[np.flatnonzero(np.diff(found, prepend=-1))] // documents


def _counts(tokens: Tokens, at: Ints, columns: Ints, width: int) -> Matrix:
    """How often each document has each column, each place counting its worth; negative columns are none."""
    real = columns >= 0
    at = at[real]
    matrix = sp.csr_matrix((tokens.worth[at], (tokens.owner[at], columns[real])), shape=(tokens.documents, width))
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
