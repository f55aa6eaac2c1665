"""Profiles in terms of one index: which papers, topics and people of it they name. Pure; called by `Relevance`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

import numpy as np

from digest.model import Paper, PaperId, Profile, Vote
from digest.rank.index import PRIOR_DOCUMENTS, Flags, Floats32, Index, Ints
from digest.rank.likeness import Likeness
from digest.rank.profile import PersonName, TopicQuery, person_name, topic_query, votes
from digest.rank.sparse import Rows
from digest.rank.topics import Keywords, PreparedTopics, Topics

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
PEOPLE_KEPT, CATEGORIES_KEPT = 10_000, 100
"""Followed people, and sets of followed categories, whose papers are remembered: readers share many of them."""
NO_PAPERS: Ints = np.empty(0, np.int64)
NO_WEIGHTS: Floats32 = np.empty(0, np.float32)
NO_VOTES: Flags = np.empty(0, bool)
NOBODY: Mapping[int, tuple[str, ...]] = {}
NOTHING: Mapping[int, str] = {}

_Excluded = tuple[tuple[str, frozenset[int]], ...]
_Named = tuple[dict[int, float], frozenset[int], tuple[tuple[int, float], ...]]


class Asked(NamedTuple):
    """One profile in terms of one index."""

    topics: tuple[int, ...]
    """Which of the block's topics."""
    examples: Ints
    """Numbers of documents: the examples, then the likes that are not among them."""
    weights: Floats32
    """What each of them counts, as if all were of one kind."""
    votes: Flags
    """Which of them are likes."""
    disliked: tuple[tuple[int, float], ...]
    """Documents, and how much each dislike still counts, 0 to 1."""
    authors: Mapping[int, tuple[str, ...]]
    """From a candidate to its authors who are followed, as the paper has their names."""
    categories: Mapping[int, str]
    """From a candidate to its category that is followed."""

    thin: bool
    """There are neither topics nor examples."""
    neutral: bool
    """There is nothing to go by."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some profiles in terms of one index, ready to be scored together."""

    asked: tuple[Asked, ...]
    queries: tuple[TopicQuery, ...]
    """The topics of all profiles, each once."""
    topics: PreparedTopics
    keywords: Keywords
    """(topic, candidate, evidence) of keywords that stand there; no two for the same place."""
    excluded: _Excluded
    """For each topic: the excluded phrases as written, and the candidates that lose the topic by them."""
    examples: Rows
    """The documents named, as `Asked.weights`."""
    authors: tuple[Ints, Ints]
    """(profile, candidate) where a followed author's paper is; no two the same."""
    categories: tuple[Ints, Ints]
    """The same for followed categories."""


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
        self._found = lru_cache(1)(self._find_topics)
        self._papers_by = lru_cache(PEOPLE_KEPT)(self._find_papers_by)
        self._papers_in = lru_cache(CATEGORIES_KEPT)(self._find_papers_in)

    def block(self, profiles: Sequence[Profile]) -> Block:
        """Prepare some profiles."""
        said = [[topic_query(topic) for topic in profile.topics] for profile in profiles]
        distinct = dict.fromkeys(query for queries in said for query in queries if query.words and query.weight > 0)
        # In one order, so that the next block may find them known: readers share a list's own topics.
        queries = tuple(sorted(distinct, key=lambda query: (query.name, query.prose)))
        numbers = {query: number for number, query in enumerate(queries)}
        topics = [tuple([numbers[query] for query in queries if query in numbers]) for queries in said]
        named = [self._named(profile) for profile in profiles]
        examples = [np.fromiter(forces, np.int64, len(forces)) if forces else NO_PAPERS for forces, _, _ in named]
        crowding = self._likeness.crowding(examples)
        asked = tuple(map(self._asked, profiles, topics, named, examples, crowding))
        return Block(
            asked,
            queries,
            *self._found(queries),
            Rows(
                np.concatenate([*examples, NO_PAPERS]),
                np.concatenate([*(one.weights for one in asked), NO_WEIGHTS]),
                np.cumsum([len(numbers) for numbers in examples]),
            ),
            _pairs([one.authors for one in asked]),
            _pairs([one.categories for one in asked]),
        )

    def _find_topics(self, queries: tuple[TopicQuery, ...]) -> tuple[PreparedTopics, Keywords, _Excluded]:
        said, lost = self._keywords(queries), [self._lost(query) for query in queries]
        topic, paper, evidence = said
        here = paper < self._size
        keywords = topic[here], paper[here], evidence[here]
        return self._topics.prepare(queries, said, lost), keywords, tuple(map(self._excluded, queries))

    def _asked(
        self, profile: Profile, topics: tuple[int, ...], named: _Named, examples: Ints, crowding: Floats32
    ) -> Asked:
        forces, liked, disliked = named
        weights, votes, thin = NO_WEIGHTS, NO_VOTES, not (topics or forces)
        if forces:
            weights = _weights(np.fromiter(forces.values(), np.float32, len(forces)), crowding)
            votes = np.array([row in liked for row in forces])
        return Asked(
            topics,
            examples,
            weights,
            votes,
            disliked,
            self._authors(profile.authors) if profile.authors else NOBODY,
            self._papers_in(profile.categories) if profile.categories else NOTHING,
            thin,
            thin and not (profile.authors or profile.categories),
        )

    def _named(self, profile: Profile) -> _Named:
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

    def _authors(self, authors: Sequence[str]) -> Mapping[int, tuple[str, ...]]:
        found: dict[int, dict[str, None]] = defaultdict(dict)
        for author in authors:
            for row, name in self._papers_by(author):
                found[row][name] = None
        return {row: tuple(names) for row, names in found.items()}

    def _find_papers_by(self, author: str) -> tuple[tuple[int, str], ...]:
        """A person's papers, and the name that each has."""
        if not (followed := person_name(author)):
            return ()
        return tuple((row, name) for row, n, name in self._people.get(followed.key, ()) if followed.covers(n))

    def _find_papers_in(self, categories: Sequence[str]) -> Mapping[int, str]:
        return dict(row for wanted in reversed(categories) for row in self._members.get(wanted.strip().lower(), ()))

    def _keywords(self, queries: Sequence[TopicQuery]) -> Keywords:
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
        found = {phrase: self._here(self._phrase(words)) for phrase, words in query.exclude}
        phrases = ", ".join(phrase for phrase, rows in found.items() if rows)
        return phrases, frozenset(chain.from_iterable(found.values()))

    def _here(self, rows: Iterable[int]) -> list[int]:
        return [row for row in rows if row < self._size]

    def _lost(self, query: TopicQuery) -> Ints:
        """The papers that hold a phrase that the topic excludes, candidates or not."""
        return np.array([row for _, words in query.exclude for row in self._phrase(words)], np.int64)

    def _find(self, words: tuple[str, ...]) -> Mapping[int, float]:
        """The papers that hold a phrase, and what that says: more if it stands there often and is rare."""
        counts: dict[int, int] = {}
        for phrase in self._index.acronyms.variants(words):
            for row, count in zip(*(found.tolist() for found in self._index.phrase(phrase)), strict=True):
                counts[row] = max(counts.get(row, 0), count)
        share = (len(counts) + 1) / (self._index.size + PRIOR_DOCUMENTS)
        rarity = float(np.interp(np.log(share), [np.log(RARE_SHARE), np.log(COMMON_SHARE)], [1.0, 0.1]))
        most = len(KEYWORD_EVIDENCE) - 1
        return {row: rarity * KEYWORD_EVIDENCE[min(count, most)] for row, count in counts.items()}


def _pairs(groups: Sequence[Collection[int]]) -> tuple[Ints, Ints]:
    """(group, member) of all groups."""
    members = np.fromiter(chain.from_iterable(groups), np.int64)
    return np.repeat(np.arange(len(groups)), [len(group) for group in groups]), members


def _weights(forces: Floats32, crowding: Floats32) -> Floats32:
    """What examples count for the mean of their likeness, as if all were of one kind."""
    # Twenty papers of one kind are not twenty kinds.
    weights = forces / (1 + np.float32(CROWDED) * crowding)
    total = float(weights.sum())
    kinds = max(total, 1.0) if len(weights) > 1 else 1.0
    scaled: Floats32 = weights * np.float32(kinds**0.5 / max(total, 1e-12))
    return scaled
