"""How well papers fit a profile: its parts scored apart, as evidence that adds up. Pure; called by `Ranker`.

Each part gives a paper evidence e >= 0, and relevance = 1 - exp(-sum of e): parts support each other, none blurs
another, and each one's share of the sum is its share of the relevance, which is what `reasons` tells. The parts:

- topics: how well the paper fits the text (`topics`), squared, with TEXT_LEVEL. On top, KEYWORD_EVIDENCE for
  keywords that stand in the paper as phrases (`prepare`): the best counts in full, others by half, each less the more
  common it is. The best topic counts in full, others by a quarter. A paper that holds a topic's excluded phrase gets
  nothing from that topic.
- examples and likes: the mean likeness to them (`likeness`), each weighing less the more it repeats the others and, if
  it is a vote, the older it is; squared, with EXAMPLE_LEVEL, lower for more kinds of papers.
- authors: a followed author's paper has a relevance of 0.9, whatever it is about.
- categories: a small prior; in a profile without topics, examples and likes, they are what makes a paper relevant.
- dislikes: take away up to PUSH of the relevance of what is very near to one of them, less if it is an old one.

A profile with nothing to go by (empty, or only dislikes, or only examples that nobody knows) asks for nothing, so
every paper is fully relevant and the trend decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import zip_longest

import numpy as np

from digest.model import Paper, Profile, TopicWeek
from digest.rank.embedding import Embed
from digest.rank.index import Flags, Floats, Floats32, Index, Ints
from digest.rank.likeness import Likeness
from digest.rank.prepare import Asked, Block, Preparation
from digest.rank.topics import THRESHOLD_EVIDENCE, Meaning, Topics

ARCHIVE = 6000
"""So many papers stand for all others; few enough to solve for (`likeness`)."""
FEW_BACKGROUND = 1000
"""With fewer papers of other days than this, the candidates are part of the archive."""
TEXT_LEVEL, TEXT_LEVEL_MEANT = 0.3, 0.5
"""The scores that give THRESHOLD_EVIDENCE, for words alone and with the meaning; EXAMPLE_LEVEL is that of likeness."""
EXAMPLE_LEVEL = 0.12
OTHER_TOPICS = 0.25
AUTHOR_EVIDENCE = -float(np.log1p(-0.9))
"""A followed author's paper has a relevance of at least 0.9."""
CATEGORY_EVIDENCE, CATEGORY_EVIDENCE_ALONE = -float(np.log1p(-0.04)), -float(np.log1p(-0.5))
"""Of relevance 0.04 and 0.5."""
DAYS = 7
"""Of which `week` tells."""
NEAR, VERY_NEAR, PUSH = 0.1, 0.45, 0.7
"""Cosines to a disliked paper: from NEAR on it is pushed down, from VERY_NEAR on by PUSH."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the profiles of a block say of every candidate."""

    block: Block
    topics: Floats32
    """Of each topic of the block. Shape (topics, candidates)."""
    fitting: Flags
    """Which candidates fit each topic of the block well. Shape (topics, candidates)."""
    relevance: Floats32
    """Between 0 and 1. Shape (profiles, candidates)."""


@dataclass(frozen=True)
class Parts:
    """What the parts of one profile say of some candidates. The last axis of every array is the candidates."""

    topics: Floats
    """The profile's topics, and then zeros perhaps. Shape (topics of whoever has most, candidates)."""
    examples: Floats
    """The evidence of all examples, shared out by likeness. Shape (examples of the profile, candidates)."""
    push: Floats
    """Share of the relevance that dislikes take away: of each dislike. Shape (dislikes, candidates)."""
    wanted: Floats
    """Relevance before the push. Shape (candidates,)."""

    @cached_property
    def of_topics(self) -> list[list[float]]:
        """`topics` of each candidate."""
        found: list[list[float]] = self.topics.T.tolist()
        return found


@dataclass(frozen=True, slots=True)
class Judged:
    """What some profiles say of some candidates each, in more digits than `Evidence` has."""

    parts: tuple[Parts, ...]
    relevance: Floats
    """Between 0 and 1. Shape (profiles, candidates)."""
    heaviest: Ints
    """Which part says most, as a place in (none, the profile's topics, examples, likes, authors, categories); the last
    four counted from the end. Shape (profiles, candidates)."""


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
        self.size = size
        self._acronyms = index.acronyms
        self._documents = index.papers.also(index.features(known)) if known else index.papers
        first = size if len(papers) - size >= FEW_BACKGROUND else 0
        archive = np.unique(np.linspace(first, len(papers) - 1, min(ARCHIVE, len(papers) - first)).astype(np.int64))
        self._likeness = Likeness(self._documents, size, archive)
        meaning = Meaning(embed, papers, size, archive) if embed else None
        self._text_level = TEXT_LEVEL_MEANT if embed else TEXT_LEVEL
        days = _days(papers, now)
        self._days = np.where(days[:size] < 0, DAYS, days[:size])
        before = np.where(archive >= size, days[archive], -1)
        self._topics = Topics(
            index,
            size,
            archive,
            self._likeness,
            meaning,
            [np.flatnonzero(before == day) for day in range(1, DAYS)],
            self._text_level,
        )
        self._vectors = self._documents.vectors[:size].T.tocsr()
        self._preparation = Preparation(index, papers, known, size, self._topics, self._likeness, now)

    def prime(self) -> None:
        """As `Ranker.prime`."""
        self._likeness.prime()

    def prepare(self, profiles: Sequence[Profile]) -> Block:
        """What can be found out about some profiles before any candidate is looked at."""
        return self._preparation.block(profiles)

    def score(self, block: Block) -> Evidence:
        """The evidence for each profile of a block. Memory: a few dense rows of `size` for each topic and profile."""
        topics, fitting = self._topic_evidence(block)
        total = self._likeness.times(block.examples)
        np.square(total, out=total)
        total *= np.float32(THRESHOLD_EVIDENCE / EXAMPLE_LEVEL**2)
        total[block.authors] += np.float32(AUTHOR_EVIDENCE)
        total[block.categories] += _by_category(block.asked)[block.categories[0]].astype(np.float32)
        _add_topics(total, topics, [asked.topics for asked in block.asked])
        # 1 - exp(-total), in place; `expm1` takes seven times as long.
        relevance: Floats32 = np.exp(np.negative(total, out=total), out=total)
        np.subtract(1, relevance, out=relevance)
        relevance[_neutral(block.asked)] = 1
        for profile, asked in enumerate(block.asked):
            if asked.disliked:
                relevance[profile] *= 1 - self._push(asked).max(axis=0).astype(np.float32)
        return Evidence(block, topics, fitting, relevance)

    def judge(self, evidence: Evidence, profiles: range, rows: Ints) -> Judged:
        """What some profiles of a block say of their own candidates each. Shape of `rows`: (profiles, candidates)."""
        block = evidence.block
        asked = block.asked[profiles.start : profiles.stop]
        topics = _shared_out(evidence.topics, [each.topics for each in asked], rows)
        examples = {n: self._examples(each, rows[n]) for n, each in enumerate(asked) if len(each.examples)}
        pushes = {n: self._push(each)[:, rows[n]] for n, each in enumerate(asked) if each.disliked}
        alike, given, liked, push = np.zeros((4, *rows.shape))
        for n, shares in examples.items():
            votes = asked[n].votes
            alike[n], given[n], liked[n] = (some.sum(axis=0) for some in (shares, shares[~votes], shares[votes]))
        for n, shares in pushes.items():
            push[n] = shares.max(axis=0)
        authors = self._flags(block.authors, profiles, rows) * AUTHOR_EVIDENCE
        categories = self._flags(block.categories, profiles, rows) * _by_category(asked)[:, np.newaxis]
        wanted = -np.expm1(-(topics.sum(axis=1) + alike + authors + categories))
        wanted[_neutral(asked)] = 1
        none = np.empty((0, rows.shape[1]))
        parts = [Parts(topics[n], examples.get(n, none), pushes.get(n, none), wanted[n]) for n in range(len(asked))]
        kinds = np.stack([given, liked, authors, categories], axis=1)
        heaviest = np.concatenate([np.zeros_like(kinds[:, :1]), topics, kinds], axis=1).argmax(axis=1)
        heaviest[heaviest > topics.shape[1]] -= 1 + topics.shape[1] + kinds.shape[1]
        return Judged(tuple(parts), wanted * (1 - push), heaviest)

    def _examples(self, asked: Asked, rows: Ints) -> Floats:
        """The evidence of each of a profile's examples. Shape (examples, rows)."""
        likeness = self._likeness.rows(asked.examples)[:, rows] * asked.weights[:, np.newaxis].astype(np.float64)
        examples: Floats = likeness * likeness.sum(axis=0) * THRESHOLD_EVIDENCE / EXAMPLE_LEVEL**2
        return examples

    def _flags(self, pairs: tuple[Ints, Ints], profiles: range, rows: Ints) -> Flags:
        """Which of their own candidates are among some profiles' pairs (profile, candidate). Shape as `rows`."""
        first, last = np.searchsorted(pairs[0], (profiles.start, profiles.stop))
        profile, candidate = (some[first:last] for some in pairs)
        flags = np.zeros((len(profiles), self.size), bool)
        flags[profile - profiles.start, candidate] = True
        return np.take_along_axis(flags, rows, axis=1)

    def _topic_evidence(self, block: Block) -> tuple[Floats32, Flags]:
        """Quadratic in the score, through relevance 0.2 at the level; and what fits well. Shapes (topics, size)."""
        topics, fitting = self._topics.scores(block.topics, block.keywords)
        np.square(topics, out=topics)
        weights = np.array([query.weight for query in block.queries], np.float32)[:, np.newaxis]
        topics *= weights * np.float32(THRESHOLD_EVIDENCE / self._text_level**2)
        topic, candidate, evidence = block.keywords
        topics[topic, candidate] += weights[topic, 0] * evidence
        for number, (_, lost) in enumerate(block.excluded):
            if lost:
                topics[number, list(lost)] = 0
                fitting[number, list(lost)] = False
        return topics, fitting

    def _push(self, asked: Asked) -> Floats:
        """The share of its relevance that each dislike takes from a candidate. Shape (dislikes, size)."""
        if not asked.disliked:
            return np.zeros((0, self.size))
        cosines = (self._documents.vectors[[row for row, _ in asked.disliked]] @ self._vectors).toarray()
        near = np.clip((cosines - NEAR) / (VERY_NEAR - NEAR), 0.0, 1.0)
        push: Floats = PUSH * near * np.array([force for _, force in asked.disliked])[:, np.newaxis]
        return push

    def weeks(self, evidence: Evidence) -> list[TopicWeek]:
        """How many papers fitted each topic of a block well on the last seven days, today's candidates last."""
        block, weeks = evidence.block, []
        for query, fitting, before in zip(block.queries, evidence.fitting, block.topics.days, strict=True):
            days = np.bincount(self._days[fitting], minlength=DAYS + 1)[1:]
            days[:-1] += before
            weeks.append(TopicWeek(query.name, tuple(days.tolist())))
        return weeks

    def variants(self, phrase: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """A phrase as stems, and the same with the other forms of its acronyms."""
        return self._acronyms.variants(phrase)

    def worth(self, word: str, count: int) -> float:
        """How much a topic's word says: its count times its idf."""
        return self._topics.worth(word, count)


def _days(papers: Sequence[Paper], now: datetime) -> Ints:
    """The day of the week before now on which each paper came: 1 to DAYS; 0 before that, -1 where nobody knows."""
    today = now.date()
    ages = ((today - paper.published.date()).days if paper.published else None for paper in papers)
    return np.array([-1 if age is None else max(DAYS - max(age, 0), 0) for age in ages], np.int64)


def category_evidence(asked: Asked) -> float:
    """What a followed category says: more where there is little else to go by."""
    return CATEGORY_EVIDENCE_ALONE if asked.thin else CATEGORY_EVIDENCE


def _by_category(asked: Sequence[Asked]) -> Floats:
    return np.array([category_evidence(each) for each in asked])


def _neutral(asked: Sequence[Asked]) -> list[int]:
    return [profile for profile, each in enumerate(asked) if each.neutral]


def _shared_out(topics: Floats32, asked: Sequence[Sequence[int]], rows: Ints) -> Floats:
    """What each profile's topics say of its own candidates: the best in full, the others by OTHER_TOPICS.

    Shape (profiles, topics of whoever has most, candidates).
    """
    numbers = np.array([*zip_longest(*asked, fillvalue=-1)], np.int64).reshape(-1, len(asked)).T
    found = topics[numbers[:, :, np.newaxis], rows[:, np.newaxis]].astype(np.float64)
    found[numbers < 0] = 0
    if numbers.shape[1] > 1:
        best = found.argmax(axis=1)[:, np.newaxis]
        found *= np.where(np.arange(numbers.shape[1])[:, np.newaxis] == best, 1.0, OTHER_TOPICS)
    return found


def _add_topics(total: Floats32, topics: Floats32, asked: Sequence[Sequence[int]]) -> None:
    """Adds to each profile's evidence that of its topics: the best in full, the others by OTHER_TOPICS."""
    most = max(map(len, asked), default=0)
    if not most:
        return
    best, found = np.zeros_like(total), np.zeros_like(total)
    for place in range(most):
        those = [profile for profile, numbers in enumerate(asked) if len(numbers) > place]
        theirs = topics[[asked[profile][place] for profile in those]]
        if len(those) == len(asked):
            np.maximum(best, theirs, out=best)
            found += theirs
        else:
            best[those] = np.maximum(best[those], theirs)
            found[those] += theirs
    best *= np.float32(1 - OTHER_TOPICS)
    found *= np.float32(OTHER_TOPICS)
    total += best
    total += found
