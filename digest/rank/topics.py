"""How well candidates fit a topic in a reader's own words. Pure; called by `relevance`, once for each topic.

    score    = words + balance · max(0, meaning - usual + spread) + feedback
    words    = BM25 of the text's words, and of its pairs of neighbours at PAIR, / (K1 + 1) · its words' idf, summed
    meaning  = cosine of sentence vectors (with the extra `semantic`; else this part is missing)
    usual, spread = mean and standard deviation of the topic's cosines over the archive
    balance  = BALANCE · how much `words` varies over the archive / spread, within BALANCE_WITHIN
    feedback = likeness to the FED_BACK papers of the archive that fit best, weighted by how well they do, and so scaled
               that it varies FEEDBACK times as much as the rest

Each is a share of what is possible, or measured against the archive and not against the day, so that scores compare
from day to day. Feedback finds papers that say the same in the words of the field rather than in the reader's
(pseudo-relevance feedback; Lavrenko and Croft, "Relevance-Based Language Models", 2001); a candidate is never fed back
to itself. What a topic finds in the archive does not depend on the candidates: it is prepared apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp

from digest.model import Paper
from digest.rank.best import best
from digest.rank.embedding import Embed, paper_text
from digest.rank.index import K1, Flags, Floats32, Index, Ints
from digest.rank.likeness import BYTES_KEPT, Likeness
from digest.rank.profile import TopicQuery
from digest.rank.sparse import LazyRows, Postings, Rows

PAIR, PAIR_MEANT = 0.2, 0.05
"""What a pair of neighbours counts beside its words: less where the meaning tells already what belongs together."""
SAME = 0.2
"""What the long form of an acronym counts beside it, and the acronym beside its long form."""
LEAST_SAID = 20.0
"""A topic whose words have less idf than this, some four rare words, says too little to be met in full by them."""
BALANCE, BALANCE_WITHIN = 1.8, (0.3, 0.9)
FEEDBACK, FED_BACK = 0.35, 10
USUAL_SPREAD, USUAL_PAPERS = 0.03, 100
"""The standard deviation that feedback has over papers, and as how many papers of the day this counts."""
FEWEST = 500
"""An archive of fewer papers is too small to learn a field's words from: nothing is fed back."""
SHARPNESS = 0.2
"""A paper whose score is lower by this share of the best one's weighs less by a factor of e."""
MEANT = 0.5
"""What a cosine of sentence vectors counts in the likeness that is fed back."""
THRESHOLD_EVIDENCE = -float(np.log1p(-0.2))
"""The evidence of relevance 0.2, the default `min_relevance`."""
CHUNK = 32
"""Topics that are held against the archive at once: as many as the processor's cache has room for."""

Keywords: TypeAlias = tuple[Ints, Ints, Floats32]
"""(topic, paper, evidence) of keywords that stand there; no two for the same place."""


class Meaning:
    """Sentence vectors of the first `size` papers and of the archive, made when first asked for."""

    def __init__(self, embed: Embed, papers: Sequence[Paper], size: int, archive: Ints):
        self.embed = embed
        self._papers = papers
        self._size = size
        self._archive = archive

    @cached_property
    def candidates(self) -> Floats32:
        """Shape (size, dimensions)."""
        return self.embed([paper_text(paper) for paper in self._papers[: self._size]])

    @cached_property
    def archive(self) -> Floats32:
        """Shape (archive, dimensions)."""
        inside = self._archive < self._size
        vectors = np.empty((len(self._archive), self.candidates.shape[1]), np.float32)
        vectors[inside] = self.candidates[self._archive[inside]]
        vectors[~inside] = self.embed([paper_text(self._papers[row]) for row in self._archive[~inside].tolist()])
        return vectors

    @cached_property
    def _mean(self) -> Floats32:
        mean: Floats32 = self.archive.mean(axis=0)
        return mean

    def likeness(self, papers: Ints) -> Floats32:
        """How much nearer than usual some papers of the archive are to each candidate. Shape (papers, size)."""
        vectors = self.archive[papers]
        likeness: Floats32 = np.maximum(vectors @ self.candidates.T - (vectors @ self._mean)[:, np.newaxis], 0)
        return likeness


@dataclass(frozen=True, slots=True)
class PreparedTopics:
    """Some topics in terms of one index, and what they find in its archive. The first axis of each is the topics."""

    words: Rows
    """So scaled that the product with BM25 is a share of what is possible."""
    meant: Floats32
    """Sentence vectors times `balance`; without the extra, of no dimensions."""
    floor: Floats32
    """What is taken from each product with `meant`, before what is negative counts nothing."""
    fed: Rows
    """Weights of papers of the archive, by their places in it."""
    own: tuple[Ints, Ints, Floats32]
    """(topic, candidate, the share that is not of the candidate itself) where a candidate is fed back."""
    spread: Floats32
    """Standard deviation of what feedback adds."""
    days: Ints
    """How many papers of the archive fitted the topic well on each of the days before, oldest first."""


class Topics:
    """Scores topics against the first `size` papers of an index."""

    def __init__(
        self,
        index: Index,
        size: int,
        archive: Ints,
        likeness: Likeness,
        meaning: Meaning | None,
        days: Sequence[Ints] = (),
        fitting: float = 0.0,
    ):
        """`days` are the places in the archive of the papers of some days; a score of `fitting` fits well."""
        self._days = tuple(days)
        self._fitting = fitting
        self._index = index
        self._size = size
        self._archive = archive
        self._likeness = likeness
        self._meaning = meaning
        bm25 = (index.papers.bm25 + index.spelled_out).tocsr()
        self._candidates = Postings(bm25[:size].T.tocsr())
        self._before = Postings(bm25[archive].T.tocsr())
        self._own = np.where(archive < size, archive, -1)
        """Which candidate a paper of the archive is; -1 for none."""
        self._feedback = LazyRows((len(archive), size), self._alike, BYTES_KEPT)

    def prepare(self, queries: Sequence[TopicQuery], keywords: Keywords, lost: Sequence[Ints]) -> PreparedTopics:
        """Find the topics' words, their meaning, and the papers of the archive that fit them.

        `lost` are the papers that each topic excludes.
        """
        words = self._wanted(queries)
        asked = np.empty((len(queries), 0), np.float32)
        meant = bool(self._meaning and len(self._archive) and queries)
        if self._meaning and meant:
            asked = self._meaning.embed([query.prose for query in queries])
        floor, spread = np.zeros((2, len(queries)), np.float32)
        days = np.zeros((len(queries), len(self._days)), np.int64)
        found = np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
        if len(self._archive) >= FEWEST:
            found = np.empty((len(queries), FED_BACK), np.int64), np.empty((len(queries), FED_BACK), np.float32)
        said = self._said(keywords, lost)
        for first in range(0, len(queries), CHUNK):
            chunk = slice(first, first + CHUNK)
            scores = self._before.times(words.part(chunk))
            if self._meaning and meant:
                cosines = asked[chunk] @ self._meaning.archive.T
                usual, varies = _spread(cosines)
                balance = np.clip(BALANCE * _spread(scores)[1] / np.maximum(varies, 1e-6), *BALANCE_WITHIN)
                asked[chunk] *= balance[:, np.newaxis]
                floor[chunk] = balance * (usual - varies)
                scores += np.maximum(balance[:, np.newaxis] * cosines - floor[chunk, np.newaxis], 0)
            for column, papers in enumerate(self._days):
                fitting = np.square(scores[:, papers]) + said[chunk, self._archive[papers]].toarray()
                days[chunk, column] = (fitting >= self._fitting**2).sum(axis=1)
            if found[0].shape[1]:
                spread[chunk] = FEEDBACK * _spread(scores)[1]
                found[0][chunk] = best(scores, FED_BACK)
                found[1][chunk] = np.take_along_axis(scores, found[0][chunk], axis=1)
        return PreparedTopics(words, asked, floor, *self._fed(*found), spread, days)

    def _said(self, keywords: Keywords, lost: Sequence[Ints]) -> sp.csr_matrix:
        """What keywords add to a score's square, and never enough where the topic is lost. Shape (topics, papers)."""
        topic, paper, evidence = keywords
        none = np.concatenate([*lost, np.empty(0, np.int64)])
        topic = np.concatenate([topic, np.repeat(np.arange(len(lost)), [len(papers) for papers in lost])])
        values = np.concatenate([self._worth_of(evidence), np.full(len(none), -np.inf, np.float32)])
        return sp.csr_matrix((values, (topic, np.concatenate([paper, none]))), (len(lost), self._index.size))

    def _worth_of(self, evidence: Floats32) -> Floats32:
        """Evidence as what it is of the square of a score that fits."""
        return evidence * np.float32(self._fitting**2 / THRESHOLD_EVIDENCE)

    def scores(self, topics: PreparedTopics, keywords: Keywords) -> tuple[Floats32, Flags]:
        """How well each candidate fits, and whether it does so well by the measure of `PreparedTopics.days`.

        At least 0; what fits well has more than about a half. Both of shape (topics, size).
        """
        scores = self._candidates.times(topics.words)
        if self._meaning and topics.meant.size:
            meant = topics.meant @ self._meaning.candidates.T
            meant -= topics.floor[:, np.newaxis]
            scores += np.maximum(meant, 0, out=meant)
        said = np.square(scores)
        topic, candidate, evidence = keywords
        said[topic, candidate] += self._worth_of(evidence)
        fitting: Flags = said >= self._fitting**2
        if topics.fed.columns.size and self._size:
            feedback = self._feedback.times(topics.fed)
            topic, candidate, others = topics.own
            feedback[topic, candidate] /= others
            variance = np.square(_spread(feedback)[1])
            usual = (self._size * variance + USUAL_PAPERS * USUAL_SPREAD**2) / (self._size + USUAL_PAPERS)
            feedback *= (topics.spread / np.sqrt(usual))[:, np.newaxis]
            scores += feedback
        return scores, fitting

    def worth(self, word: str, count: float) -> float:
        """How much a topic's word says: its count times its idf."""
        number = self._index.vocabulary.get(word)
        return count * (self._index.unseen_idf if number is None else float(self._index.idf[number]))

    def _wanted(self, queries: Sequence[TopicQuery]) -> Rows:
        """The topics' words, what means the same, and their pairs; and what each counts."""
        vocabulary = self._index.vocabulary
        counts = [self._counts(query) for query in queries]
        pairs = [tuple(dict.fromkeys(two for phrase in query.phrases for two in pairwise(phrase))) for query in queries]
        columns = iter(self._index.pairs([two for some in pairs for two in some]).tolist())
        pair = PAIR_MEANT if self._meaning else PAIR
        rows = []
        for query, wanted, some in zip(queries, counts, pairs, strict=True):
            said = sum(self.worth(word, count) for word, count in query.words)
            share = 1 / ((K1 + 1) * max(said, LEAST_SAID))
            row = [(vocabulary[word], count * share) for word, count in wanted.items() if word in vocabulary]
            rows.append(row + [(column, pair * share) for column in islice(columns, len(some)) if column >= 0])
        return Rows.of(rows)

    def _counts(self, query: TopicQuery) -> dict[str, float]:
        """How often the topic has each word; and the acronyms of what it says at length, together worth SAME of it."""
        counts: dict[str, float] = dict(query.words)
        for phrase in query.phrases:
            for long, short in self._index.acronyms.shortened(phrase):
                worth = sum(self.worth(word, 1) for word in long) / self.worth(short, 1)
                counts[short] = max(counts.get(short, 0.0), SAME * worth)
        return counts

    def _fed(self, papers: Ints, scores: Floats32) -> tuple[Rows, tuple[Ints, Ints, Floats32]]:
        """What each of the best papers weighs, and which of them are candidates. Shapes (topics, FED_BACK)."""
        top = np.maximum(scores.max(axis=1, initial=0, keepdims=True), 1e-9)
        weights = np.where(scores > 0, np.exp((scores / top - 1) / SHARPNESS), 0)
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
        ends = papers.shape[1] * np.arange(1, len(papers) + 1)
        topic, place = np.nonzero(self._own[papers] >= 0)
        own = topic, self._own[papers[topic, place]], np.maximum(1 - weights[topic, place], 0.1)
        return Rows(papers.ravel(), weights.astype(np.float32).ravel(), ends), own

    def _alike(self, papers: Ints) -> Floats32:
        """The likeness of papers of the archive to every candidate, except to themselves. Shape (papers, size)."""
        alike = self._likeness.compute(self._archive[papers])
        if self._meaning:
            alike += MEANT * self._meaning.likeness(papers)
        here = np.flatnonzero(self._own[papers] >= 0)
        alike[here, self._own[papers[here]]] = 0
        return alike


def _spread(rows: Floats32) -> tuple[Floats32, Floats32]:
    """The mean and standard deviation of each row, in one pass. They are of one magnitude, so no figure is lost."""
    mean = rows.mean(axis=1)
    squares = np.einsum("ij,ij->i", rows, rows) / max(rows.shape[1], 1)
    spread: Floats32 = np.sqrt(np.maximum(squares - np.square(mean), 0))
    return mean, spread
