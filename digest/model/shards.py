"""Shards: the parts into which the work on an edition is cut, so that many workers can share it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from digest.model.editions import EditionId
from digest.model.people import ListId, SubscriberId


@dataclass(frozen=True, slots=True)
class Shard:
    """The readers of an edition whose ids are from `first` to `last`; no two shards of an edition overlap."""

    list_id: ListId
    edition_id: EditionId
    first: SubscriberId
    last: SubscriberId

    def __str__(self) -> str:
        return f"{self.list_id}, edition {self.edition_id}, readers {self.first}-{self.last}"


class ShardState(StrEnum):
    """How far a shard is."""

    WAITING = "waiting"
    """Its readers have no deliveries yet."""
    RANKED = "ranked"
    """They have; some are not settled."""
    DONE = "done"
    ASIDE = "aside"
    """It has failed again and again: it waits for a person."""


@dataclass(frozen=True, slots=True)
class InHand:
    """What a worker has begun and has not ended: readers of an edition, by the edition's number."""

    list_id: ListId
    edition: int
    first: SubscriberId
    last: SubscriberId
    begun_at: datetime


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that lives, which is that the database has heard of it lately."""

    name: str
    """Its host and its process: "host-a/4711"."""
    since: datetime
    silent: timedelta
    """For how long it has not said that it lives."""
    in_hand: tuple[InHand, ...]


@dataclass(frozen=True, slots=True)
class Aside:
    """Shards of an edition that have been set aside, since the first of them was."""

    edition: int
    count: int
    since: datetime


@dataclass(frozen=True, slots=True)
class SharedWork:
    """The work on one list that hosts share: its unfinished editions' shards, and the workers of its database."""

    workers: tuple[Worker, ...]
    shards: dict[ShardState, int]
    due_since: datetime | None
    """Since when the shard that waits longest is due; of those that no worker who lives has in hand."""
    aside: tuple[Aside, ...]
    trouble: str = ""
    """What kept the shard that was put down last from its end; empty where nothing did."""


@dataclass(frozen=True, slots=True)
class ShardsOverview:
    """The shards of one edition, and who works on them."""

    counts: dict[ShardState, int]
    at_work: tuple[str, ...]
    """Who has begun one and has not ended it."""
    errors: tuple[tuple[Shard, str], ...]
    """What those that were set aside failed with."""
    oldest: datetime | None
    """Since when the one that waits longest is due."""
