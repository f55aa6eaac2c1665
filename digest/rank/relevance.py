"""How well papers fit a profile: its parts scored apart, as evidence that adds up. Pure; called by `Ranker`.

Each part gives a paper evidence e >= 0, and relevance = 1 - exp(-sum of e): parts support each other, none blurs
another, and each one's share of the sum is its share of the relevance, which is what `reasons` tells. The parts:

- topics: BM25 of the topic's words, divided by (K1 + 1) times the length of the query's vector of idf weights, which
  makes short and long topics comparable; then `evidence_of` with TEXT_LEVEL. On top, KEYWORD_EVIDENCE for keywords that
  stand in the paper as phrases: the best counts in full, others by half, each less the more common it is. The best
  topic counts in full, others by a quarter. A paper that holds a topic's excluded phrase gets nothing from that topic.
- examples and likes: cosine to their centroid, plus BM25 with all of them as one query, as a share of the most that is
  possible; then `evidence_of` with EXAMPLE_LEVEL.
- authors: a followed author's paper gets AUTHOR_RELEVANCE, whatever it is about.
- categories: a small prior; in a profile without topics, examples and likes, they are what makes a paper relevant.
- dislikes: take away up to PUSH of the relevance of what is very near to one of them.

A profile with nothing to go by (empty, or only dislikes, or only examples that nobody knows) asks for nothing, so
every paper is fully relevant and the trend decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from digest.model import Paper, PaperId, Profile, Topic
from digest.rank.index import K1, PRIOR_DOCUMENTS, Floats, Index, Ints, Matrix
from digest.rank.profile import PersonName, TopicQuery, person_name, topic_query, votes

THRESHOLD_EVIDENCE = -np.log1p(-0.2)
"""The evidence of relevance 0.2, the default `min_relevance`; the two levels below are scores that give it."""
TEXT_LEVEL = 0.75
EXAMPLE_LEVEL = 0.14
KEYWORD_EVIDENCE = (0.0, 0.35, 0.5, 0.7)
"""By how often a rare phrase stands in the paper: never, once, twice (or in the title), more often."""
COMMON_SHARE, RARE_SHARE = 0.7, 0.02
"""A keyword in this share of all papers counts least (a tenth), or in full."""
OTHER_TOPICS, OTHER_KEYWORDS = 0.25, 0.5
AUTHOR_RELEVANCE = 0.9
CATEGORY_PRIOR, CATEGORY_RELEVANCE = 0.04, 0.5
NEAR, VERY_NEAR, PUSH = 0.08, 0.4, 0.7
"""Cosines to a disliked paper: from NEAR on it is pushed down, from VERY_NEAR on by PUSH."""
VOTES_HEARD = 200
"""The newest likes and the newest dislikes that count."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A profile in terms of one index."""

    topics: tuple[TopicQuery, ...]
    examples: tuple[int, ...]
    """Rows of the index: the examples, then the likes that are not among them."""
    liked: frozenset[int]
    disliked: tuple[int, ...]
    authors: tuple[tuple[int, str], ...]
    """(candidate, the author's name as the paper has it)."""
    categories: tuple[tuple[int, str], ...]
    """(candidate, its category)."""
    neutral: bool
    """There is nothing to go by."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a profile's parts say of each candidate. Every array has shape (candidates,) or (topics, candidates)."""

    prepared: Prepared
    topics: Floats
    excluded: tuple[tuple[str, frozenset[int]], ...]
    """For each topic: the excluded phrases as written, and the candidates that lost the topic by them."""
    examples: Floats
    authors: Floats
    categories: Floats
    push: Floats
    """Share of the relevance that dislikes take away."""
    wanted: Floats
    """Relevance before the push."""

    @property
    def relevance(self) -> Floats:
        """Between 0 and 1. Shape (candidates,)."""
        return self.wanted * (1 - self.push)


def evidence_of(score: Floats, level: float) -> Floats:
    """The fixed curve from a score to evidence: quadratic, through relevance 0.2 at `level`."""
    evidence: Floats = THRESHOLD_EVIDENCE * np.square(score / level)
    return evidence


class Relevance:
    """Scores profiles against the first `size` papers of an index; the others serve as examples and background."""

    def __init__(self, index: Index, papers: Sequence[Paper], size: int):
        self._index = index
        self.size = size
        self._rows = {paper.id: row for row, paper in reversed(list(enumerate(papers)))}
        self._bm25 = index.bm25[:size].T.tocsr()
        self._vectors = index.vectors[:size].T.tocsr()
        self._people: dict[tuple[str, str], list[tuple[int, PersonName, str]]] = defaultdict(list)
        self._members: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for row, paper in enumerate(papers[:size]):
            for author in paper.authors:
                if name := person_name(author):
                    self._people[name.key].append((row, name, author))
            for category in dict.fromkeys(paper.categories):
                archive, _, _ = category.lower().partition(".")
                for wanted in {category.lower(), archive}:
                    self._members[wanted].append((row, category))
        self._queries: dict[Topic, TopicQuery] = {}
        self._phrases: dict[tuple[str, ...], tuple[Ints, Ints, float]] = {}

    def score(self, profiles: Sequence[Profile]) -> Iterator[Evidence]:
        """The evidence for each profile, in order. Memory: a few dense rows of `size` for each topic and profile."""
        prepared = [self._prepare(profile) for profile in profiles]
        topics = self._text_scores([query for one in prepared for query in one.topics])
        examples = self._example_scores([one.examples for one in prepared])
        first = 0
        for row, one in enumerate(prepared):
            yield self._evidence(one, topics[first : first + len(one.topics)], examples[row])
            first += len(one.topics)

    def _prepare(self, profile: Profile) -> Prepared:
        for topic in profile.topics:
            if topic not in self._queries:
                self._queries[topic] = topic_query(topic)
        topics = tuple(q for topic in profile.topics if (q := self._queries[topic]).words and q.weight > 0)
        likes, dislikes = votes(profile)
        liked, disliked = self._known(likes[:VOTES_HEARD]), self._known(dislikes[:VOTES_HEARD])
        examples = tuple(dict.fromkeys(self._known(profile.examples) + liked))
        categories = dict(
            found for wanted in reversed(profile.categories) for found in self._members.get(wanted.strip().lower(), ())
        )
        return Prepared(
            topics,
            examples,
            frozenset(liked) - frozenset(self._known(profile.examples)),
            disliked,
            tuple(self._papers_by(profile.authors)),
            tuple(sorted(categories.items())),
            neutral=not (topics or examples or profile.authors or profile.categories),
        )

    def _known(self, paper_ids: Sequence[PaperId]) -> tuple[int, ...]:
        return tuple(row for paper_id in paper_ids if (row := self._rows.get(paper_id)) is not None)

    def _papers_by(self, authors: Sequence[str]) -> Iterator[tuple[int, str]]:
        for author in dict.fromkeys(authors):
            if followed := person_name(author):
                yield from ((row, name) for row, n, name in self._people.get(followed.key, ()) if followed.covers(n))

    def _text_scores(self, queries: Sequence[TopicQuery]) -> Floats:
        """BM25 by the length of the query's vector. Shape (queries, size)."""
        if not queries:
            return np.zeros((0, self.size))
        vocabulary = self._index.tokens.vocabulary
        rows, columns, counts = [], [], []
        lengths = np.ones(len(queries))
        for row, query in enumerate(queries):
            length = 0.0
            for word, count in query.words:
                length += self.worth(word, count) ** 2
                if word in vocabulary:
                    rows.append(row)
                    columns.append(vocabulary[word])
                    counts.append(float(count))
            lengths[row] = (K1 + 1) * np.sqrt(length)
        wanted = sp.csr_matrix((counts, (rows, columns)), shape=(len(queries), len(vocabulary)))
        scores: Floats = (wanted @ self._bm25).toarray() / lengths[:, np.newaxis]
        return scores

    def _example_scores(self, examples: Sequence[Sequence[int]]) -> Floats:
        """Cosine to the centroid, plus BM25 by the most that is possible. Shape (profiles, size)."""
        chosen = _choice(examples, self._index.size)
        sums = chosen @ self._index.vectors
        lengths = np.sqrt(np.asarray(sums.multiply(sums).sum(axis=1)))
        cosines: Floats = (sums @ self._vectors).toarray() / np.maximum(lengths, 1e-12)
        queries = chosen @ self._index.counts
        queries.data = 1 + np.log(queries.data)
        most = (K1 + 1) * (queries @ self._index.idf)[:, np.newaxis]
        shares: Floats = (queries @ self._bm25).toarray() / np.maximum(most, 1e-12)
        return cosines + shares

    def _evidence(self, prepared: Prepared, text: Floats, example: Floats) -> Evidence:
        topics = evidence_of(text, TEXT_LEVEL)
        excluded = []
        for row, query in enumerate(prepared.topics):
            topics[row] += self._keyword_evidence(query)
            topics[row] *= query.weight
            phrases, lost = self._excluded(query)
            topics[row, list(lost)] = 0.0
            excluded.append((phrases, lost))
        if len(topics) > 1:
            best = topics.argmax(axis=0)
            topics *= np.where(np.arange(len(topics))[:, np.newaxis] == best, 1.0, OTHER_TOPICS)
        examples = evidence_of(example, EXAMPLE_LEVEL)
        authors = self._flag([row for row, _ in prepared.authors], AUTHOR_RELEVANCE)
        thin = not (prepared.topics or prepared.examples)
        categories = self._flag([row for row, _ in prepared.categories], CATEGORY_RELEVANCE if thin else CATEGORY_PRIOR)
        total = topics.sum(axis=0) + examples + authors + categories
        wanted = np.ones(self.size) if prepared.neutral else -np.expm1(-total)
        return Evidence(
            prepared, topics, tuple(excluded), examples, authors, categories, self._push(prepared.disliked), wanted
        )

    def _keyword_evidence(self, query: TopicQuery) -> Floats:
        best, total = np.zeros(self.size), np.zeros(self.size)
        for keyword in query.keywords:
            rows, counts, rarity = self._phrase(keyword)
            evidence = rarity * np.take(KEYWORD_EVIDENCE, counts, mode="clip")
            best[rows] = np.maximum(best[rows], evidence)
            total[rows] += evidence
        return best + OTHER_KEYWORDS * (total - best)

    def _excluded(self, query: TopicQuery) -> tuple[str, frozenset[int]]:
        found = {phrase: self._phrase(words)[0].tolist() for phrase, words in query.exclude}
        phrases = ", ".join(phrase for phrase, rows in found.items() if rows)
        return phrases, frozenset(row for rows in found.values() for row in rows)

    def _phrase(self, words: tuple[str, ...]) -> tuple[Ints, Ints, float]:
        """(Candidates that hold the phrase, how often, how rare the phrase is: from a tenth to 1)."""
        if words not in self._phrases:
            rows, counts = self._index.phrase(words)
            share = (len(rows) + 1) / (self._index.size + PRIOR_DOCUMENTS)
            rarity = np.interp(np.log(share), [np.log(RARE_SHARE), np.log(COMMON_SHARE)], [1.0, 0.1])
            ours = rows < self.size
            self._phrases[words] = rows[ours], counts[ours], float(rarity)
        return self._phrases[words]

    def _flag(self, rows: Sequence[int], relevance: float) -> Floats:
        evidence = np.zeros(self.size)
        evidence[rows] = -np.log1p(-relevance)
        return evidence

    def _push(self, disliked: Sequence[int]) -> Floats:
        if not disliked:
            return np.zeros(self.size)
        nearest = (self._index.vectors[list(disliked)] @ self._vectors).max(axis=0).toarray().ravel()
        push: Floats = PUSH * np.clip((nearest - NEAR) / (VERY_NEAR - NEAR), 0.0, 1.0)
        return push

    def worth(self, word: str, count: int) -> float:
        """How much a query's word says: its count times its idf."""
        number = self._index.tokens.vocabulary.get(word)
        return count * (self._index.unseen_idf if number is None else float(self._index.idf[number]))

    def likeness(self, candidates: Sequence[int], rows: Sequence[int]) -> Floats:
        """The cosines of candidates to papers of the index. Shape (candidates, rows)."""
        vectors = self._index.vectors
        cosines: Floats = (vectors[list(candidates)] @ vectors[list(rows)].T).toarray()
        return cosines


def _choice(rows: Sequence[Sequence[int]], size: int) -> Matrix:
    """A matrix that adds up, for each of `rows`, those rows of another matrix. Shape (len(rows), size)."""
    columns = [row for chosen in rows for row in chosen]
    starts = np.cumsum([0, *(len(chosen) for chosen in rows)])
    return sp.csr_matrix((np.ones(len(columns)), columns, starts), shape=(len(rows), size))
