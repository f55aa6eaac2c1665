"""Profiles in terms of one index: which papers, topics and people of it they name. Pure; called by `Relevance`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np

from digest.model import Paper, PaperId, Profile, Topic, Vote
from digest.rank.index import PRIOR_DOCUMENTS, Floats32, Index, Ints
from digest.rank.likeness import Likeness
from digest.rank.profile import PersonName, TopicQuery, person_name, topic_query, votes
from digest.rank.sparse import Rows
from digest.rank.topics import PreparedTopics, Topics

KEYWORD_EVIDENCE = (0.0, 0.35, 0.5, 0.7)
"""By how often a rare phrase stands in the paper: never, once, twice (or in the title), more often."""
COMMON_SHARE, RARE_SHARE = 0.7, 0.02
"""A keyword in this share of all papers counts least (a tenth), or in full."""
OTHER_KEYWORDS = 0.5
VOTES_HEARD = 200
"""The newest likes and the newest dislikes that count."""
CROWDED = 0.6
"""How much less an example weighs for each other that is the same."""
HALF_LIFE_DAYS = 180.0
"""After so long a vote counts half; one of an unknown day counts in full."""
PHRASES_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One profile in terms of one index."""

    topics: tuple[int, ...]
    """Which of the block's topics."""
    examples: Ints
    """Numbers of documents: the examples, then the likes that are not among them."""
    weights: Floats32
    """What each of them counts, as if all were of one kind."""
    liked: frozenset[int]
    disliked: tuple[tuple[int, float], ...]
    """Documents, and how much each dislike still counts, 0 to 1."""
    authors: tuple[tuple[int, str], ...]
    """(candidate, the author's name as the paper has it)."""
    categories: tuple[tuple[int, str], ...]
    """(candidate, its category)."""

    @property
    def thin(self) -> bool:
        """There are neither topics nor examples."""
        return not (self.topics or len(self.examples))


@dataclass(frozen=True, slots=True)
class Block:
    """Some profiles in terms of one index, ready to be scored together."""

    asked: tuple[Asked, ...]
    neutral: Ints
    """The profiles with nothing to go by."""
    queries: tuple[TopicQuery, ...]
    """The topics of all profiles, each once."""
    topics: PreparedTopics
    keywords: tuple[Ints, Ints, Floats32]
    """(topic, candidate, evidence) of keywords that stand there; no two for the same place."""
    excluded: tuple[tuple[str, frozenset[int]], ...]
    """For each topic: the excluded phrases as written, and the candidates that lose the topic by them."""
    examples: Rows
    """The documents named, as `Asked.weights`."""


class Preparation:
    """Knows the papers of an index by what profiles say: ids, people, categories, phrases."""

    def __init__(
        self,
        index: Index,
        papers: Sequence[Paper],
        known: Sequence[Paper],
        size: int,
        topics: Topics,
        likeness: Likeness,
        now: datetime,
    ):
        self._index = index
        self._size = size
        self._topics = topics
        self._likeness = likeness
        self._now = now
        self._rows = {paper.id: row for row, paper in reversed(list(enumerate((*papers, *known))))}
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
        self._phrase = lru_cache(PHRASES_KEPT)(self._find)

    def block(self, profiles: Sequence[Profile]) -> Block:
        """Prepare some profiles."""
        queries: dict[Topic, int] = {}
        found: list[TopicQuery] = []
        for topic in dict.fromkeys(topic for profile in profiles for topic in profile.topics):
            if (query := topic_query(topic)).words and query.weight > 0:
                queries[topic] = len(found)
                found.append(query)
        named = [self._named(profile) for profile in profiles]
        examples = [np.fromiter(forces, np.int64, len(forces)) for forces, _, _ in named]
        crowding = self._likeness.crowding(examples)
        asked = tuple(
            Asked(
                tuple(number for topic in profile.topics if (number := queries.get(topic)) is not None),
                numbers,
                _weights(np.fromiter(forces.values(), np.float32, len(forces)), crowded),
                liked,
                disliked,
                tuple(self._papers_by(profile.authors)) if profile.authors else (),
                self._papers_in(profile.categories) if profile.categories else (),
            )
            for profile, (forces, liked, disliked), numbers, crowded in zip(
                profiles, named, examples, crowding, strict=True
            )
        )
        return Block(
            asked,
            np.flatnonzero([a.thin and not (p.authors or p.categories) for a, p in zip(asked, profiles, strict=True)]),
            tuple(found),
            self._topics.prepare(found),
            self._keywords(found),
            tuple(self._excluded(query) for query in found),
            Rows(
                np.concatenate([*examples, np.empty(0, np.int64)]),
                np.concatenate([*(one.weights for one in asked), np.empty(0, np.float32)]),
                np.cumsum([len(numbers) for numbers in examples]),
            ),
        )

    def _named(self, profile: Profile) -> tuple[dict[int, float], frozenset[int], tuple[tuple[int, float], ...]]:
        """What each example and like counts alone; which are likes; the dislikes with what each counts."""
        given = dict.fromkeys(self._known(profile.examples), 1.0)
        if not (profile.liked or profile.disliked):
            return given, frozenset(), ()
        likes, dislikes = votes(profile)
        liked, disliked = (
            {row: self._force(vote) for vote in cast[:VOTES_HEARD] for row in self._known((vote.paper_id,))}
            for cast in (likes, dislikes)
        )
        new = {row: force for row, force in liked.items() if row not in given}
        return given | new, frozenset(new), tuple(disliked.items())

    def _known(self, paper_ids: Sequence[PaperId]) -> list[int]:
        rows = self._rows
        return [rows[paper_id] for paper_id in paper_ids if paper_id in rows]

    def _force(self, vote: Vote) -> float:
        days = (self._now - vote.at).total_seconds() / 86400 if vote.at else 0.0
        return float(0.5 ** (max(days, 0.0) / HALF_LIFE_DAYS))

    def _papers_by(self, authors: Sequence[str]) -> Iterator[tuple[int, str]]:
        for author in dict.fromkeys(authors):
            if followed := person_name(author):
                yield from ((row, name) for row, n, name in self._people.get(followed.key, ()) if followed.covers(n))

    def _papers_in(self, categories: Sequence[str]) -> tuple[tuple[int, str], ...]:
        found = dict(row for wanted in reversed(categories) for row in self._members.get(wanted.strip().lower(), ()))
        return tuple(sorted(found.items()))

    def _keywords(self, queries: Sequence[TopicQuery]) -> tuple[Ints, Ints, Floats32]:
        topics, rows, values = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        for number, query in enumerate(queries):
            best: dict[int, float] = {}
            total: dict[int, float] = defaultdict(float)
            for keyword in query.keywords:
                for row, evidence in self._phrase(keyword).items():
                    best[row] = max(best.get(row, 0.0), evidence)
                    total[row] += evidence
            if best:
                topics.append(np.full(len(best), number))
                rows.append(np.fromiter(best, np.int64, len(best)))
                values.append(np.array([e + OTHER_KEYWORDS * (total[r] - e) for r, e in best.items()], np.float32))
        return np.concatenate(topics), np.concatenate(rows), np.concatenate(values)

    def _excluded(self, query: TopicQuery) -> tuple[str, frozenset[int]]:
        found = {phrase: self._phrase(words).keys() for phrase, words in query.exclude}
        phrases = ", ".join(phrase for phrase, rows in found.items() if rows)
        return phrases, frozenset(row for rows in found.values() for row in rows)

    def _find(self, words: tuple[str, ...]) -> Mapping[int, float]:
        """The candidates that hold a phrase, and what that says: more if it stands there often and is rare."""
        counts: dict[int, int] = {}
        for phrase in self._index.acronyms.variants(words):
            for row, count in zip(*(found.tolist() for found in self._index.phrase(phrase)), strict=True):
                counts[row] = max(counts.get(row, 0), count)
        share = (len(counts) + 1) / (self._index.size + PRIOR_DOCUMENTS)
        rarity = float(np.interp(np.log(share), [np.log(RARE_SHARE), np.log(COMMON_SHARE)], [1.0, 0.1]))
        most = len(KEYWORD_EVIDENCE) - 1
        return {row: rarity * KEYWORD_EVIDENCE[min(count, most)] for row, count in counts.items() if row < self._size}


def _weights(forces: Floats32, crowding: Floats32) -> Floats32:
    """What examples count for the mean of their likeness, as if all were of one kind."""
    # Twenty papers of one kind are not twenty kinds.
    weights = forces / (1 + np.float32(CROWDED) * crowding)
    total = float(weights.sum())
    kinds = max(total, 1.0) if len(weights) > 1 else 1.0
    scaled: Floats32 = weights * np.float32(kinds**0.5 / max(total, 1e-12))
    return scaled
