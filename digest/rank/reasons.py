"""Why a paper has its score, as remarks, each good for a line of an email. Pure; called by `Ranker` for the top only.

The weights of a pick's reasons add up to its score. The relevance's part of the score is shared out over the parts of
the profile by their evidence, the trend's part over the signals by theirs; what a dislike takes away is a reason of
negative weight. Reasons come heaviest first. Two kinds have weight 0 and come last: a topic that was lost to an
excluded phrase, and, where some papers have popularity figures and this one has none, that it has none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import itemgetter

import numpy as np

from digest.model import Paper, Reason, ReasonKind, Remark, Says
from digest.rank.index import Floats, Ints
from digest.rank.prepare import Asked, Block
from digest.rank.profile import TOPICS_KEPT, TopicQuery
from digest.rank.relevance import AUTHOR_EVIDENCE, Parts, Relevance, category_evidence
from digest.rank.text import COMMON_STEMS, placed_stems, short_title, shorten
from digest.rank.trending import Trend

TERMS_SHOWN = 3
PAPERS_SHOWN = 2
TERM_LENGTH = 40
_reason = partial(tuple.__new__, Reason)
"""A `Reason` of a tuple; to call the class takes three times as long, and every reader has a hundred."""
_weight = itemgetter(2)
MET_KEPT = 1 << 14
"""Pairs of topic and paper whose words are remembered: a list's own topics are followed by many."""


@dataclass(frozen=True, slots=True)
class _Wording:
    """A candidate's text, as written."""

    words: Mapping[str, str]
    """From a stem to a word."""
    phrases: tuple[tuple[str, tuple[tuple[str, int, int], ...]], ...]
    """Abstract and title, with their placed stems."""


class Explainer:
    """Finds the reasons of one set of candidates, the first rows of an index."""

    def __init__(self, papers: Sequence[Paper], relevance: Relevance, trend: Trend, trend_weight: float):
        self._papers = papers
        self._relevance = relevance
        self._trend = trend
        self._trend_weight = trend_weight
        self._wordings: dict[int, _Wording] = {}
        self._names: dict[int, str] = {}
        self._telling_words = lru_cache(TOPICS_KEPT)(self._find_telling_words)
        self._topic = lru_cache(MET_KEPT)(self._find_topic)
        self._trends = lru_cache(len(papers))(partial(self._trending, share=trend_weight))

    def figures(self, relevance: Floats, rows: Ints) -> tuple[Floats, Floats]:
        """(score, trend) of some candidates of some profiles, by their relevance. All of one shape."""
        trend = self._trend.trend[rows]
        return (1 - self._trend_weight) * relevance + self._trend_weight * trend, trend

    def explain(self, block: Block, profile: int, row: int, parts: Parts, place: int) -> tuple[Reason, ...]:
        """The reasons of one candidate for one profile of a block, heaviest first; `place` is where `parts` has it."""
        asked = block.asked[profile]
        weight = (1 - self._trend_weight) * float(parts.wanted[place])
        if asked.neutral:
            reasons = [Reason(ReasonKind.TOPIC, Remark(Says.NO_TOPICS), weight)] if weight else []
        else:
            reasons = self._wanted(block, asked, parts, place, row, weight)
        if asked.disliked:
            reasons += self._unwanted(asked, parts.push[:, place], weight)
        reasons += self._trends(row)
        reasons.sort(key=_heaviest_first if asked.disliked else _weight, reverse=True)
        return tuple(reasons)

    def _unwanted(self, asked: Asked, push: Floats, weight: float) -> list[Reason]:
        if not push.any():
            return []
        nearest, _ = asked.disliked[int(push.argmax())]
        remark = Remark(Says.NEAR_DISLIKED, (self._name(nearest),))
        return [Reason(ReasonKind.VOTES, remark, -weight * float(push.max()))]

    def _wanted(self, block: Block, asked: Asked, parts: Parts, place: int, row: int, weight: float) -> list[Reason]:
        """The positive parts of the relevance, and the topics lost."""
        said: list[tuple[ReasonKind, Remark]] = []
        shares: list[float] = []
        for number, share in zip(asked.topics, parts.of_topics[place], strict=False):
            if share:
                said.append(self._topic(block.queries[number], row))
                shares.append(share)
            elif row in block.excluded[number][1]:
                name, phrases = block.queries[number].name, block.excluded[number][0]
                said.append((ReasonKind.TOPIC, Remark(Says.EXCLUDED, (name, phrases))))
                shares.append(0.0)
        if len(asked.examples):
            for like, share in self._like(asked, parts.examples[:, place]):
                said.append(like)
                shares.append(share)
        if row in asked.authors:
            said.append((ReasonKind.AUTHOR, Remark(Says.AUTHORS, asked.authors[row])))
            shares.append(AUTHOR_EVIDENCE)
        if row in asked.categories:
            said.append((ReasonKind.CATEGORY, Remark(Says.CATEGORIES, (asked.categories[row],))))
            shares.append(category_evidence(asked))
        total = sum(shares) or 1.0
        return [_reason((*what, weight * share / total)) for what, share in zip(said, shares, strict=True)]

    def _find_topic(self, query: TopicQuery, row: int) -> tuple[ReasonKind, Remark]:
        """Without a word of the topic's own where it is met by meaning, or by papers that have its words."""
        wording = self._wording(row)
        shown: list[str] = []
        used: set[str] = set()
        for keyword in query.keywords:
            variants = self._relevance.variants(keyword)
            found = next(filter(None, (_written(wording, variant) for variant in variants)), "")
            if len(shown) < TERMS_SHOWN and found and not used.issuperset(keyword):
                shown.append(shorten(found, TERM_LENGTH))
                used.update(keyword)
        for word in self._telling_words(query):
            if len(shown) == TERMS_SHOWN:
                break
            if word in wording.words and word not in used:
                shown.append(shorten(wording.words[word], TERM_LENGTH))
        return ReasonKind.TOPIC, Remark(Says.TOPIC, (query.name, *dict.fromkeys(shown)))

    def _find_telling_words(self, query: TopicQuery) -> tuple[str, ...]:
        """The topic's words, those that say most first; words common in every field last."""
        worth = {word: (word not in COMMON_STEMS, self._relevance.worth(word, n)) for word, n in query.words}
        return tuple(sorted(worth, key=worth.__getitem__, reverse=True))

    def _like(self, asked: Asked, shares: Floats) -> Iterator[tuple[tuple[ReasonKind, Remark], float]]:
        """The nearest examples by title, and the rest together."""
        nearest = np.argsort(-shares, kind="stable")[:PAPERS_SHOWN].tolist()
        for place in nearest:
            liked = asked.votes[place]
            kind, says = (ReasonKind.VOTES, Says.LIKE_LIKED) if liked else (ReasonKind.EXAMPLE, Says.LIKE)
            if shares[place] > 0:
                yield (kind, Remark(says, (self._name(int(asked.examples[place])),))), float(shares[place])
        for kind, those, says in (
            (ReasonKind.EXAMPLE, ~asked.votes, Says.LIKE_MORE),
            (ReasonKind.VOTES, asked.votes.copy(), Says.LIKE_MORE_LIKED),
        ):
            those[nearest] = False
            if (share := float(shares[those].sum())) > 0:
                yield (kind, Remark(says, figures=(int(those.sum()),))), share

    def trend(self, row: int) -> tuple[Reason, ...]:
        """The reasons of a candidate's trend alone."""
        return tuple(sorted(self._trending(row, 1.0), key=lambda reason: -reason.weight))

    def _trending(self, row: int, share: float) -> Sequence[Reason]:
        if not share:
            return ()
        weight, parts = share * float(self._trend.trend[row]), self._trend.parts(row)
        total = sum(part for _, part in parts)
        return [Reason(ReasonKind.TREND, remark, weight * part / total if total else 0.0) for remark, part in parts]

    def _name(self, row: int) -> str:
        if row not in self._names:
            self._names[row] = short_title(self._papers[row])
        return self._names[row]

    def _wording(self, row: int) -> _Wording:
        if row not in self._wordings:
            texts = tuple((t, tuple(placed_stems(t))) for t in (self._papers[row].abstract, self._papers[row].title))
            words: dict[str, str] = {}
            for text, placed in texts:
                for word, start, end in placed:
                    # The form inside a sentence reads better than the one that begins it.
                    if word not in words or (text[start:end].islower() and words[word].istitle()):
                        words[word] = text[start:end]
            self._wordings[row] = _Wording(words, texts)
        return self._wordings[row]


def _heaviest_first(reason: Reason) -> float:
    return reason.weight or -math.inf  # what weighs nothing comes after what takes away


def _written(wording: _Wording, phrase: Sequence[str]) -> str:
    """A phrase as the text has it; empty if it does not."""
    if not all(word in wording.words for word in phrase):
        return ""
    found = [
        text[placed[at][1] : placed[at + len(phrase) - 1][2]]
        for text, placed in wording.phrases
        for at in range(len(placed) - len(phrase) + 1)
        if all(placed[at + offset][0] == word for offset, word in enumerate(phrase))
    ]
    shortest = min(found, key=len, default="")
    return "".join(sign for sign in shortest if sign not in "()[]{}")
