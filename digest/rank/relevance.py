"""How well papers fit a profile: its parts scored apart, as evidence that adds up. Pure; called by `Ranker`.

Each part gives a paper evidence e >= 0, and relevance = 1 - exp(-sum of e): parts support each other, none blurs
another, and each one's share of the sum is its share of the relevance, which is what `reasons` tells. The parts:

- topics: how well the paper fits the text (`topics`); then `evidence_of` with TEXT_LEVEL. On top, KEYWORD_EVIDENCE for
  keywords that stand in the paper as phrases: the best counts in full, others by half, each less the more common it
  is. The best topic counts in full, others by a quarter. A paper that holds a topic's excluded phrase gets nothing
  from that topic.
- examples and likes: the mean likeness to them (`likeness`), each weighing less the more it repeats the others and, if
  it is a vote, the older it is; then `evidence_of` with EXAMPLE_LEVEL, lower for more kinds of papers.
- authors: a followed author's paper gets AUTHOR_RELEVANCE, whatever it is about.
- categories: a small prior; in a profile without topics, examples and likes, they are what makes a paper relevant.
- dislikes: take away up to PUSH of the relevance of what is very near to one of them, less if it is an old one.

A profile with nothing to go by (empty, or only dislikes, or only examples that nobody knows) asks for nothing, so
every paper is fully relevant and the trend decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from digest.model import Paper, PaperId, Profile, Topic, Vote
from digest.rank.embedding import Embed
from digest.rank.index import PRIOR_DOCUMENTS, Floats, Floats32, Index, Ints
from digest.rank.likeness import Likeness
from digest.rank.profile import PersonName, TopicQuery, person_name, topic_query, votes
from digest.rank.topics import Meaning, Topics

ARCHIVE = 5000
"""So many papers stand for all others; few enough to solve for (`likeness`)."""
FEW_BACKGROUND = 1000
"""With fewer papers of other days than this, the candidates are part of the archive."""
THRESHOLD_EVIDENCE = -np.log1p(-0.2)
"""The evidence of relevance 0.2, the default `min_relevance`; the two levels below are scores that give it."""
TEXT_LEVEL, TEXT_LEVEL_MEANT = 0.3, 0.5
"""For words alone, and with the meaning."""
EXAMPLE_LEVEL = 0.12
KEYWORD_EVIDENCE = (0.0, 0.35, 0.5, 0.7)
"""By how often a rare phrase stands in the paper: never, once, twice (or in the title), more often."""
COMMON_SHARE, RARE_SHARE = 0.7, 0.02
"""A keyword in this share of all papers counts least (a tenth), or in full."""
OTHER_TOPICS, OTHER_KEYWORDS = 0.25, 0.5
AUTHOR_RELEVANCE = 0.9
CATEGORY_PRIOR, CATEGORY_RELEVANCE = 0.04, 0.5
NEAR, VERY_NEAR, PUSH = 0.1, 0.45, 0.7
"""Cosines to a disliked paper: from NEAR on it is pushed down, from VERY_NEAR on by PUSH."""
VOTES_HEARD = 200
"""The newest likes and the newest dislikes that count."""
CROWDED = 0.6
"""How much less an example weighs for each other that is the same."""
HALF_LIFE_DAYS = 180.0
"""After so long a vote counts half; one of an unknown day counts in full."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A profile in terms of one index."""

    topics: tuple[TopicQuery, ...]
    examples: tuple[int, ...]
    """Numbers of documents: the examples, then the likes that are not among them."""
    weights: tuple[float, ...]
    """What each of them counts; their sum is 1."""
    kinds: float
    """How many different kinds of paper they are, at least 1."""
    liked: frozenset[int]
    disliked: tuple[tuple[int, float], ...]
    """Documents, and how much each dislike still counts, 0 to 1."""
    authors: tuple[tuple[int, str], ...]
    """(candidate, the author's name as the paper has it)."""
    categories: tuple[tuple[int, str], ...]
    """(candidate, its category)."""
    neutral: bool
    """There is nothing to go by."""


class _Voted(NamedTuple):
    """What votes add to a profile; see `Prepared`."""

    liked: frozenset[int]
    disliked: tuple[tuple[int, float], ...]


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
    """Scores profiles against the first `size` of an index's papers. `known` are papers that profiles may name."""

    def __init__(
        self,
        index: Index,
        papers: Sequence[Paper],
        known: Sequence[Paper],
        size: int,
        embed: Embed | None,
        now: datetime,
    ):
        self._index = index
        self._now = now
        self.size = size
        self._rows = {paper.id: row for row, paper in reversed(list(enumerate((*papers, *known))))}
        self._documents = index.papers.also(index.features(known)) if known else index.papers
        first = size if len(papers) - size >= FEW_BACKGROUND else 0
        archive = np.unique(np.linspace(first, len(papers) - 1, min(ARCHIVE, len(papers) - first)).astype(np.int64))
        self._likeness = Likeness(self._documents, size, archive)
        meaning = Meaning(embed, papers, size, archive) if embed else None
        self._text_level = TEXT_LEVEL_MEANT if embed else TEXT_LEVEL
        self._topics = Topics(index, size, archive, self._likeness, meaning)
        self._vectors = self._documents.vectors[:size].T.tocsr()
        self._people: dict[tuple[str, str], list[tuple[int, PersonName, str]]] = defaultdict(list)
        self._members: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for row, paper in enumerate(papers[:size]):
            for author in paper.authors:
                if name := person_name(author):
                    self._people[name.key].append((row, name, author))
            for category in dict.fromkeys(paper.categories):
                whole, _, _ = category.lower().partition(".")
                for wanted in {category.lower(), whole}:
                    self._members[wanted].append((row, category))
        self._queries: dict[Topic, TopicQuery] = {}
        self._phrases: dict[tuple[str, ...], tuple[Ints, Ints, float]] = {}

    def score(self, profiles: Sequence[Profile]) -> Iterator[Evidence]:
        """The evidence for each profile, in order. Memory: a few dense rows of `size` for each topic and profile."""
        named = [self._named(profile) for profile in profiles]
        crowding = self._likeness.crowding([tuple(forces) for forces, _ in named])
        prepared = [
            self._prepare(profile, forces, voted, crowded)
            for profile, (forces, voted), crowded in zip(profiles, named, crowding, strict=True)
        ]
        topics = self._topics.scores([query for one in prepared for query in one.topics])
        examples = self._example_scores(prepared)
        first = 0
        for row, one in enumerate(prepared):
            yield self._evidence(one, topics[first : first + len(one.topics)], examples[row])
            first += len(one.topics)

    def _named(self, profile: Profile) -> tuple[dict[int, float], _Voted]:
        """The examples and likes with what each counts alone, and which papers were voted on."""
        likes, dislikes = votes(profile)
        liked, disliked = (
            {row: self._force(vote) for vote in cast[:VOTES_HEARD] for row in self._known((vote.paper_id,))}
            for cast in (likes, dislikes)
        )
        given = dict.fromkeys(self._known(profile.examples), 1.0)
        return given | {row: force for row, force in liked.items() if row not in given}, _Voted(
            frozenset(liked) - frozenset(given), tuple(disliked.items())
        )

    def _prepare(self, profile: Profile, forces: Mapping[int, float], voted: _Voted, crowding: Floats32) -> Prepared:
        for topic in profile.topics:
            if topic not in self._queries:
                self._queries[topic] = topic_query(topic)
        topics = tuple(q for topic in profile.topics if (q := self._queries[topic]).words and q.weight > 0)
        categories = dict(
            found for wanted in reversed(profile.categories) for found in self._members.get(wanted.strip().lower(), ())
        )
        # Twenty papers of one kind are not twenty kinds.
        weights = np.fromiter(forces.values(), np.float64, len(forces)) / (1 + CROWDED * crowding)
        kinds = max(float(weights.sum()), 1.0) if len(forces) > 1 else 1.0
        weights /= max(float(weights.sum()), 1e-12)
        return Prepared(
            topics,
            tuple(forces),
            tuple(weights.tolist()),
            kinds,
            voted.liked,
            voted.disliked,
            tuple(self._papers_by(profile.authors)),
            tuple(sorted(categories.items())),
            neutral=not (topics or forces or profile.authors or profile.categories),
        )

    def _known(self, paper_ids: Sequence[PaperId]) -> tuple[int, ...]:
        return tuple(row for paper_id in paper_ids if (row := self._rows.get(paper_id)) is not None)

    def _force(self, vote: Vote) -> float:
        days = (self._now - vote.at).total_seconds() / 86400 if vote.at else 0.0
        return float(0.5 ** (max(days, 0.0) / HALF_LIFE_DAYS))

    def _papers_by(self, authors: Sequence[str]) -> Iterator[tuple[int, str]]:
        for author in dict.fromkeys(authors):
            if followed := person_name(author):
                yield from ((row, name) for row, n, name in self._people.get(followed.key, ()) if followed.covers(n))

    def _example_scores(self, prepared: Sequence[Prepared]) -> Floats:
        """The mean likeness to the examples, as if they were of one kind. Shape (profiles, size)."""
        numbers = {number: place for place, number in enumerate(dict.fromkeys(n for p in prepared for n in p.examples))}
        starts = np.cumsum([0, *(len(one.examples) for one in prepared)])
        columns = [numbers[number] for one in prepared for number in one.examples]
        scales = [weight * one.kinds**0.5 for one in prepared for weight in one.weights]
        chosen = sp.csr_matrix((np.array(scales, np.float32), columns, starts), shape=(len(prepared), len(numbers)))
        scores: Floats = np.asarray(chosen @ self._likeness.rows(tuple(numbers)), np.float64)
        return scores

    def _evidence(self, prepared: Prepared, text: Floats, example: Floats) -> Evidence:
        topics = evidence_of(text, self._text_level)
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

    def _push(self, disliked: Sequence[tuple[int, float]]) -> Floats:
        if not disliked:
            return np.zeros(self.size)
        near = np.clip((self.cosines([row for row, _ in disliked]) - NEAR) / (VERY_NEAR - NEAR), 0.0, 1.0)
        push: Floats = PUSH * (near * np.array([force for _, force in disliked])[:, np.newaxis]).max(axis=0)
        return push

    def worth(self, word: str, count: int) -> float:
        """How much a topic's word says: its count times its idf."""
        return self._topics.worth(word, count)

    def cosines(self, documents: Sequence[int]) -> Floats:
        """The cosines of documents to the candidates. Shape (documents, size)."""
        cosines: Floats = (self._documents.vectors[list(documents)] @ self._vectors).toarray()
        return cosines

    def likeness(self, documents: Sequence[int]) -> Floats32:
        """The likeness of candidates to documents. Shape (documents, size)."""
        return self._likeness.rows(documents)
