"""Editions: what was picked for whom, and why.

What a ranking makes by the hundred for each reader is a named tuple: a frozen dataclass takes three times as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple, NewType

from digest.model.papers import Paper, PaperId
from digest.model.people import Frequency, ListId

EditionId = NewType("EditionId", int)


@dataclass(frozen=True, slots=True)
class Edition:
    """One list's dated run: the papers announced after `since` and up to `cutoff`.

    One per list, `frequency` and `due_on`.
    """

    id: EditionId
    list_id: ListId
    number: int
    due_on: date
    since: datetime | None
    """The last edition's cutoff; None for a list's first edition, which takes all that its sources show."""
    cutoff: datetime
    frequency: Frequency | None = None
    """None: one of the list's own. Else a round-up of these, for the readers who want the list only so often."""


class _Word(StrEnum):
    """A text from a fixed few, which is hashed as the text that it equals: an enum's own hash is many times as slow."""

    __hash__ = str.__hash__


class ReasonKind(_Word):
    """What a part of a score stands for."""

    TOPIC = "topic"
    EXAMPLE = "example"
    AUTHOR = "author"
    CATEGORY = "category"
    TREND = "trend"
    VOTES = "votes"
    EXPLORATION = "exploration"
    """Of weight 0: the paper is in although the scores of the others were better, or its own not good enough."""


class Says(_Word):
    """What a remark says, with what it names and which figures it gives."""

    NO_TOPICS = "no topics"
    """The profile has no topics: every paper counts the same."""
    TOPIC = "topic"
    """A topic is met; names the topic, then words of the paper's that belong to it, or none."""
    EXCLUDED = "excluded"
    """A topic is lost; names the topic and the phrases that it excludes."""
    LIKE = "like"
    """The paper is like an example; names the example."""
    LIKE_MORE = "like more"
    """It is like so many more examples."""
    LIKE_LIKED = "like liked"
    """It is like a paper that was liked; names that paper."""
    LIKE_MORE_LIKED = "like more liked"
    """It is like so many more papers that were liked."""
    NEAR_DISLIKED = "near disliked"
    """It is near to a paper that was disliked; names that paper."""
    AUTHORS = "authors"
    """Names the authors that are followed."""
    CATEGORIES = "categories"
    """Names the categories that are followed."""
    SIGNAL = "signal"
    """A figure; names the `Signal`."""
    SOURCES = "sources"
    """So many sources announced it."""
    NO_SIGNAL = "no signal"
    """Nobody knows a figure of the paper's; names the signals that others have."""
    INTEREST_WAITED = "interest waited"
    """An exploration: an interest that had no place."""
    JUST_UNDER = "just under"
    """An exploration: it is not quite relevant enough, and trends."""
    SENT_BEFORE = "sent before"
    """A near miss: nearly the same as a paper that she got on a day; names that paper."""
    IN_PROFILE = "in profile"
    """A near miss: nearly the same as a paper of her profile; names that paper."""
    SAME_AS_PICK = "same as pick"
    """A near miss: nearly the same as a pick; names that pick."""
    SAME_AS_DISPLACED = "same as displaced"
    """A near miss: nearly the same as a paper that gave its place to an exploration; names that paper."""
    CLOSE_TO_PICK = "close to pick"
    """A near miss: close to a pick; names that pick."""
    CLOSE_TO_DISPLACED = "close to displaced"
    """A near miss: close to a paper that gave its place to an exploration; names that paper."""
    DISPLACED = "displaced"
    """A near miss: it gave its place to an exploration."""
    TOPIC_PREFERRED = "topic preferred"
    """A near miss: it gave its place to another of her topics."""
    PLACE = "place"
    """A near miss: its place, and how many places there are."""
    IRRELEVANT = "irrelevant"
    """A near miss: its relevance, and how much is asked for."""
    WRITTEN = "written"
    """The remark in English, as editions made before this enumeration hold it."""


class Remark(NamedTuple):
    """Something to be told of a paper. It is data, so that it can be told in any language: `render/remarks.py` does."""

    says: Says
    names: tuple[str, ...] = ()
    figures: tuple[float, ...] = ()
    day: date | None = None


class Reason(NamedTuple):
    """A named part of a score. The weights of a pick's reasons add up to its score."""

    kind: ReasonKind
    remark: Remark
    weight: float


class Pick(NamedTuple):
    """A paper selected for a subscriber. `score`, `relevance` and `trend` lie between 0 and 1."""

    paper_id: PaperId
    score: float
    relevance: float
    trend: float
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A paper that was not picked, and what it lacked."""

    pick: Pick
    missing: Remark


class Change(StrEnum):
    """What can happen to a paper after it was announced."""

    WITHDRAWN = "withdrawn"
    PUBLISHED = "published"
    NEW_VERSION = "new version"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """News of a paper that a subscriber's profile names."""

    paper: Paper
    """As it is now."""
    change: Change
    detail: str = ""
    """The version's number, the journal, or the code's address."""


@dataclass(frozen=True, slots=True)
class TopicWeek:
    """How many papers fitted a topic on each of the last seven days, oldest first; the last day is the edition's."""

    name: str
    papers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """What one subscriber gets of an edition, best first, and what stands beside it."""

    picks: tuple[Pick, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()
    trending: tuple[Pick, ...] = ()
    """What trends most of the rest, whatever it is about."""
    follow_ups: tuple[FollowUp, ...] = ()
    week: tuple[TopicWeek, ...] = ()
