"""Lists, and whoever reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NewType

from digest.model.papers import PaperId

ListId = NewType("ListId", str)
Address = NewType("Address", str)
"""An email address as `email-validator` normalises it."""
SubscriberId = NewType("SubscriberId", int)
NOBODY = SubscriberId(0)
"""The id of whoever is none of the store's subscribers: a stranger, or somebody whom it does not know yet."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A named interest. `text` is free prose, `keywords` are phrases, a paper that matches `exclude` is left out."""

    name: str
    text: str = ""
    keywords: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Vote:
    """A like or dislike of a paper and when it was given."""

    paper_id: PaperId
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What a subscriber wants. Equal profiles are ranked once."""

    topics: tuple[Topic, ...] = ()
    authors: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    examples: tuple[PaperId, ...] = ()
    liked: tuple[Vote, ...] = ()
    disliked: tuple[Vote, ...] = ()


class Frequency(StrEnum):
    """The window that an edition covers."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class WhenEmpty(StrEnum):
    """What happens on a day with no paper for a subscriber."""

    SKIP = "skip"
    SEND = "send"


class Theme(StrEnum):
    """How an email looks; each is a folder of templates."""

    DAILY = "daily"
    COMPACT = "compact"
    """Titles and one sentence each."""
    WEEKLY = "weekly"
    """A roundup, topic by topic."""


@dataclass(frozen=True, slots=True)
class MailingList:
    """A mailing list: the `[list]` table of one config file. `from_` and `reply_to` are RFC 5322 mailboxes."""

    id: ListId
    name: str
    from_: str
    reply_to: str | None = None
    schedule: str = "0 7 * * mon-fri"
    timezone: str = "UTC"
    papers: int = 12
    min_relevance: float = 0.2
    when_empty: WhenEmpty = WhenEmpty.SKIP
    frequency: Frequency = Frequency.DAILY
    trend_weight: float = 0.3
    explore: bool = True
    base_url: str | None = None
    bounces: Address | None = None
    """Where bounces go: each delivery's envelope sender is this address with a tag after a plus. None: to `from_`."""
    postal_address: str | None = None
    operator: Address | None = None
    """Who is told of trouble; None: nobody."""
    theme: Theme = Theme.DAILY
    remote_images: bool = False
    """Whether emails show pictures that are fetched when they are read."""
    templates: Path | None = None
    """A folder whose files are preferred to the shipped templates of the same name."""
    language: str = "en"
    """BCP 47: of those who have set none of their own."""
    send_window: str | None = None
    """When messages may leave, in the form that `digest.schedule` reads; None: at any time."""
    wait_until: time | None = None
    """How long an edition that is due stays open while a source is not complete; None: it is made at once."""
    max_lateness: timedelta | None = None
    """How late a missed run may be to be made by itself; None: however late."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One confirmed recipient of a list."""

    id: SubscriberId
    address: Address
    name: str = ""
    timezone: str | None = None
    profile: Profile = Profile()
    language: str | None = None
    """BCP 47; None: the list's."""
    frequency: Frequency | None = None
    """None: the list's."""
    hour: int | None = None
    """The hour of her own day, 0 to 23, at which she wants it."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address to which no list sends."""

    address: Address
    """In lower case."""
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a list sends nothing, since when, and by whose order."""

    since: datetime
    by: str
    reason: str = ""
