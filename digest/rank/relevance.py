"""How well papers fit a profile: its parts scored apart, as evidence that adds up. Pure; called by `Ranker`.

Each part gives a paper evidence e >= 0, and relevance = 1 - exp(-sum of e): parts support each other, none blurs
another, and each one's share of the sum is its share of the relevance, which is what `reasons` tells. The parts:

- topics: how well the paper fits the text (`topics`), squared, with TEXT_LEVEL. On top, KEYWORD_EVIDENCE for
  keywords that stand in the paper as phrases (`prepare`): the best counts in full, others by half, each less the more
  common it is. The best topic counts in full, others by a quarter. A paper that holds a topic's excluded phrase gets
  nothing from that topic.
- examples and likes: the mean likeness to them (`likeness`), each weighing less the more it repeats the others and, if
  it is a vote, the older it is; squared, with EXAMPLE_LEVEL, lower for more kinds of papers.
- authors: a followed author's paper gets AUTHOR_RELEVANCE, whatever it is about.
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

import numpy as np

from digest.model import Paper, Profile, TopicWeek
from digest.rank.embedding import Embed
from digest.rank.index import Flags, Floats, Floats32, Index, Ints
from digest.rank.likeness import Likeness
from digest.rank.prepare import Asked, Block, Preparation
from digest.rank.topics import Meaning, Topics

ARCHIVE = 6000
"""So many papers stand for all others; few enough to solve for (`likeness`)."""
FEW_BACKGROUND = 1000
"""With fewer papers of other days than this, the candidates are part of the archive."""
THRESHOLD_EVIDENCE = -float(np.log1p(-0.2))
"""The evidence of relevance 0.2, the default `min_relevance`; the two levels below are scores that give it."""
TEXT_LEVEL, TEXT_LEVEL_MEANT = 0.3, 0.5
"""For words alone, and with the meaning."""
EXAMPLE_LEVEL = 0.12
OTHER_TOPICS = 0.25
AUTHOR_RELEVANCE = 0.9
CATEGORY_PRIOR, CATEGORY_RELEVANCE = 0.04, 0.5
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
    """What the parts of one profile say of some candidates. Every array has shape (candidates,), or one axis before."""

    topics: Floats
    """Shape (topics of the profile, candidates)."""
    examples: Floats
    """Shape (examples of the profile, candidates): the evidence of all, shared out by likeness."""
    authors: Floats
    categories: Floats
    push: Floats
    """Share of the relevance that dislikes take away: of each dislike. Shape (dislikes, candidates)."""
    wanted: Floats
    """Relevance before the push."""

    @cached_property
    def of_topics(self) -> list[list[float]]:
        """`topics` of each candidate."""
        found: list[list[float]] = self.topics.T.tolist()
        return found

    @property
    def relevance(self) -> Floats:
        """Between 0 and 1."""
        relevance: Floats = self.wanted * (1 - self.push.max(axis=0, initial=0.0))
        return relevance


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

    def prepare(self, profiles: Sequence[Profile]) -> Block:
        """What can be found out about some profiles before any candidate is looked at."""
        return self._preparation.block(profiles)

    def score(self, block: Block) -> Evidence:
        """The evidence for each profile of a block. Memory: a few dense rows of `size` for each topic and profile."""
        topics, fitting = self._topic_evidence(block)
        total = self._likeness.times(block.examples)
        np.square(total, out=total)
        total *= np.float32(THRESHOLD_EVIDENCE / EXAMPLE_LEVEL**2)
        for profile, asked in enumerate(block.asked):
            if asked.authors or asked.categories:
                for rows, enough in self._flagged(asked):
                    total[profile, rows] += _evidence(enough)
        _add_topics(total, topics, [asked.topics for asked in block.asked])
        # 1 - exp(-total), in place; `expm1` takes seven times as long.
        relevance: Floats32 = np.exp(np.negative(total, out=total), out=total)
        np.subtract(1, relevance, out=relevance)
        relevance[block.neutral] = 1
        for profile, asked in enumerate(block.asked):
            if asked.disliked:
                relevance[profile] *= 1 - self._push(asked).max(axis=0).astype(np.float32)
        return Evidence(block, topics, fitting, relevance)

    def parts(self, evidence: Evidence, profile: int, rows: Sequence[int]) -> Parts:
        """What one profile's parts say of some candidates, in more digits than `score`."""
        asked = evidence.block.asked[profile]
        those = np.array(rows, np.int64)  # once: numpy would read the list anew for each array
        topics = evidence.topics[list(asked.topics)][:, those].astype(np.float64)
        if len(topics) > 1:
            best = topics.argmax(axis=0)
            topics *= np.where(np.arange(len(topics))[:, np.newaxis] == best, 1.0, OTHER_TOPICS)
        likeness = self._likeness.rows(asked.examples)[:, those] * asked.weights[:, np.newaxis].astype(np.float64)
        alike = likeness.sum(axis=0)
        examples = likeness * alike * THRESHOLD_EVIDENCE / EXAMPLE_LEVEL**2
        flags = np.zeros((2, self.size))
        for flag, (flagged, enough) in zip(flags, self._flagged(asked), strict=True):
            flag[flagged] = _evidence(enough)
        authors, categories = flags[:, those]
        total = topics.sum(axis=0) + examples.sum(axis=0) + authors + categories
        wanted = np.ones(len(rows)) if profile in evidence.block.neutral else -np.expm1(-total)
        return Parts(topics, examples, authors, categories, self._push(asked)[:, those], wanted)

    def _topic_evidence(self, block: Block) -> tuple[Floats32, Flags]:
        """Quadratic in the score, through relevance 0.2 at the level; and what fits well. Shapes (topics, size)."""
        topics, fitting = self._topics.scores(block.topics)
        np.square(topics, out=topics)
        weights = np.array([query.weight for query in block.queries], np.float32)[:, np.newaxis]
        topics *= weights * np.float32(THRESHOLD_EVIDENCE / self._text_level**2)
        topic, candidate, evidence = block.keywords
        topics[topic, candidate] += weights[topic, 0] * evidence
        for number, (_, lost) in enumerate(block.excluded):
            if lost:
                topics[number, list(lost)] = 0
        return topics, fitting

    def _flagged(self, asked: Asked) -> tuple[tuple[list[int], float], tuple[list[int], float]]:
        """The candidates by followed authors and of followed categories, with the relevance that this gives them."""
        return (
            (list({row for row, _ in asked.authors}), AUTHOR_RELEVANCE),
            ([row for row, _ in asked.categories], CATEGORY_RELEVANCE if asked.thin else CATEGORY_PRIOR),
        )

    def _push(self, asked: Asked) -> Floats:
        """The share of its relevance that each dislike takes from a candidate. Shape (dislikes, size)."""
        if not asked.disliked:
            return np.zeros((0, self.size))
        cosines = (self._documents.vectors[[row for row, _ in asked.disliked]] @ self._vectors).toarray()
        near = np.clip((cosines - NEAR) / (VERY_NEAR - NEAR), 0.0, 1.0)
        push: Floats = PUSH * near * np.array([force for _, force in asked.disliked])[:, np.newaxis]
        return push

    def week(self, evidence: Evidence, profile: int) -> tuple[TopicWeek, ...]:
        """How many papers fitted each of a profile's topics well on the last seven days, today's candidates last."""
        block, week = evidence.block, []
        for topic in block.asked[profile].topics:
            days = np.bincount(self._days[evidence.fitting[topic]], minlength=DAYS + 1)[1:]
            days[:-1] += block.topics.days[topic]
            week.append(TopicWeek(block.queries[topic].name, tuple(days.tolist())))
        return tuple(week)

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


def _evidence(relevance: float) -> float:
    return -float(np.log1p(-relevance))


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
