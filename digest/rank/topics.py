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
to itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from digest.model import Paper
from digest.rank.embedding import Embed, paper_text
from digest.rank.index import K1, Floats, Floats32, Index, Ints, Matrix
from digest.rank.likeness import Likeness
from digest.rank.profile import TopicQuery

PAIR, PAIR_MEANT = 0.2, 0.05
"""What a pair of neighbours counts beside its words: less where the meaning tells already what belongs together."""
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

    def likeness(self, papers: Ints) -> Floats32:
        """How much nearer than usual some papers of the archive are to each candidate. Shape (papers, size)."""
        vectors = self.archive[papers]
        usual = vectors @ self.archive.mean(axis=0)
        likeness: Floats32 = np.maximum(vectors @ self.candidates.T - usual[:, np.newaxis], 0)
        return likeness


class Topics:
    """Scores topics against the first `size` papers of an index."""

    def __init__(self, index: Index, size: int, archive: Ints, likeness: Likeness, meaning: Meaning | None):
        self._index = index
        self._archive = archive
        self._likeness = likeness
        self._meaning = meaning
        self._candidates: Matrix = index.papers.bm25[:size].T.tocsr()
        self._before: Matrix = index.papers.bm25[archive].T.tocsr()
        self._own = np.where(archive < size, archive, -1)
        """Which candidate a paper of the archive is; -1 for none."""

    def scores(self, queries: Sequence[TopicQuery]) -> Floats:
        """At least 0; what fits well has more than about a half. Shape (queries, size)."""
        if not queries:
            return np.zeros((0, self._candidates.shape[1]))
        wanted = self._wanted(queries)
        ours, before = (wanted @ self._candidates).toarray(), (wanted @ self._before).toarray()
        if self._meaning and len(self._archive):
            asked = self._meaning.embed([query.prose for query in queries])
            meant = asked @ self._meaning.archive.T
            usual, spread = meant.mean(axis=1, keepdims=True), meant.std(axis=1, keepdims=True)
            balance = np.clip(BALANCE * before.std(axis=1, keepdims=True) / np.maximum(spread, 1e-6), *BALANCE_WITHIN)
            before += balance * np.maximum(meant - usual + spread, 0)
            ours += balance * np.maximum(asked @ self._meaning.candidates.T - usual + spread, 0)
        return np.asarray(ours + self._balanced(before, self._feedback(before)), np.float64)

    def _balanced(self, before: Floats32, feedback: Floats32) -> Floats32:
        """The feedback, so scaled that it varies FEEDBACK times as much as the score without it."""
        if not feedback.size or not before.size:
            return feedback
        papers = feedback.shape[1]
        variance = (papers * feedback.var(axis=1) + USUAL_PAPERS * USUAL_SPREAD**2) / (papers + USUAL_PAPERS)
        scale = FEEDBACK * before.std(axis=1) / np.sqrt(variance)
        balanced: Floats32 = feedback * scale[:, np.newaxis]
        return balanced

    def worth(self, word: str, count: int) -> float:
        """How much a topic's word says: its count times its idf."""
        number = self._index.vocabulary.get(word)
        return count * (self._index.unseen_idf if number is None else float(self._index.idf[number]))

    def _wanted(self, queries: Sequence[TopicQuery]) -> Matrix:
        """The topics' words and pairs, so scaled that their product with BM25 is a share of what is possible."""
        rows, columns, counts = [], [], []
        pair = PAIR_MEANT if self._meaning else PAIR
        for row, query in enumerate(queries):
            said = sum(self.worth(word, count) for word, count in query.words)
            possible = (K1 + 1) * max(said, LEAST_SAID)
            known = [(self._index.vocabulary.get(word), count / possible) for word, count in query.words]
            pairs = [(column, pair / possible) for column in self._index.pairs(query.pairs).tolist()]
            for column, count in (*known, *pairs):
                if column is not None:
                    rows.append(row)
                    columns.append(column)
                    counts.append(count)
        shape = (len(queries), self._candidates.shape[0])
        return sp.csr_matrix((np.array(counts, np.float32), (rows, columns)), shape=shape)

    def _feedback(self, before: Floats32) -> Floats32:
        """Likeness to the best papers of the archive. Shape (queries, size)."""
        result = np.zeros((len(before), self._candidates.shape[1]), np.float32)
        if before.shape[1] < FEWEST:
            return result
        best = np.argpartition(-before, FED_BACK - 1, axis=1)[:, :FED_BACK]
        scores = np.take_along_axis(before, best, axis=1)
        top = np.maximum(scores.max(axis=1, keepdims=True), 1e-9)
        weights = np.where(scores > 0, np.exp((scores / top - 1) / SHARPNESS), 0)
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
        papers, places = np.unique(best, return_inverse=True)
        likeness = self._likeness.rows(self._archive[papers].tolist())
        for row, chosen in enumerate(places.reshape(best.shape)):
            alike = likeness[chosen]
            if self._meaning:
                alike = alike + MEANT * self._meaning.likeness(best[row])
            own = self._own[best[row]]
            here = np.flatnonzero(own >= 0)
            alike[here, own[here]] = 0
            result[row] = weights[row] @ alike
            result[row, own[here]] /= np.maximum(1 - weights[row, here], 0.1)
        return result
