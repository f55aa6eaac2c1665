"""Who is on a list, and what she has said of herself. Values alone; `store/members.py` keeps them.

A member came by the config, by a sign-up or an import, or by both; they live side by side. What she has once chosen
herself, by mail or on a page, wins over the config, and an unsubscribe wins over everything but her own confirmation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from digest.model import Address, Frequency, ListId, PaperId, Profile, Subscriber, SubscriberId


class Subscription(StrEnum):
    """The states of a subscription."""

    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"


class Standing(StrEnum):
    """How somebody stands with a list today: what alone decides whether anything is sent to her."""

    CONFIRMED = "confirmed"
    PAUSED = "paused"
    UNCONFIRMED = "unconfirmed"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"
    UNLISTED = "unlisted"
    """She was in the config, is not any more, and has never signed up."""


class Admission(StrEnum):
    """What becomes of somebody whom whoever runs the list puts on it."""

    ADDED = "added"
    MEMBER = "member"
    """She is one: she is left as she is."""
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"
    ERASED = "erased"
    NOTED = "noted"
    """She was unknown, and has unsubscribed elsewhere: that is kept, so that nobody adds her."""
    LEFT_OUT = "left out"
    """Where she comes from, nothing was sent to her either."""


class Ballot(StrEnum):
    """What a vote says of a paper."""

    MORE = "more"
    LESS = "less"
    SAVE = "save"
    """Kept for later; to the ranking it is a `more`."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a member may choose. None: as the list has it."""

    name: str = ""
    profile: Profile = field(default_factory=Profile)
    """Without votes: those are kept apart."""
    timezone: str | None = None
    language: str | None = None
    frequency: Frequency | None = None
    hour: int | None = None
    """The hour of her own day, 0 to 23, at which she wants it."""
    paused_until: date | None = None
    """The first day on which she gets an edition again."""


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody of whom a list knows, whether or not anything is sent to her."""

    id: SubscriberId
    list_id: ListId
    address: Address
    preferences: Preferences
    subscription: Subscription
    listed: bool
    """She is in the config, or in its CSV, now."""
    signed_up: bool
    """She has signed up herself, or was added or imported."""
    has_chosen: bool
    """Her preferences are her own: the config does not change them any more."""
    created_at: datetime | None = None
    """Of one who has not confirmed, when she was last asked to. None: before this was kept."""
    confirmed_at: datetime | None = None
    suppressed: bool = False
    """No list sends to her address."""

    @property
    def is_active(self) -> bool:
        """Whether she is to get editions, suppression and pause apart."""
        return self.subscription is Subscription.CONFIRMED and (self.listed or self.signed_up)

    @property
    def is_reached(self) -> bool:
        """Whether editions come to her, a pause apart."""
        return self.is_active and not self.suppressed

    def standing(self, today: date) -> Standing:
        """How she stands on that day; of several reasons to send nothing, the one that lasts longest."""
        if self.subscription is Subscription.UNSUBSCRIBED:
            return Standing.UNSUBSCRIBED
        if self.suppressed:
            return Standing.SUPPRESSED
        if self.subscription is Subscription.UNCONFIRMED:
            return Standing.UNCONFIRMED
        if not self.is_active:
            return Standing.UNLISTED
        paused = self.preferences.paused_until is not None and today < self.preferences.paused_until
        return Standing.PAUSED if paused else Standing.CONFIRMED

    def as_subscriber(self) -> Subscriber:
        """The same as whoever ranks and renders knows her; without votes."""
        chosen = self.preferences
        return Subscriber(
            self.id,
            self.address,
            chosen.name,
            chosen.timezone,
            chosen.profile,
            chosen.language,
            chosen.frequency,
            chosen.hour,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody to be put on a list, as a file or a command names her."""

    address: Address
    preferences: Preferences
    standing: Standing = Standing.CONFIRMED
    """How she stood where she comes from."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a list knows of an address."""

    subscription: Subscription | None = None
    """None: it has never heard of it."""
    is_active: bool = False
    suppressed: bool = False
    erased: bool = False


def admission(standing: Standing, known: Known) -> Admission:
    """Whether somebody may be put on a list by others than herself. An unsubscribe and an erasure always win."""
    if known.erased:
        return Admission.ERASED
    if known.subscription is Subscription.UNSUBSCRIBED:
        return Admission.UNSUBSCRIBED
    if known.suppressed:
        return Admission.SUPPRESSED
    if known.is_active:
        return Admission.MEMBER
    if standing is Standing.UNSUBSCRIBED:
        return Admission.NOTED
    return Admission.ADDED if standing in (Standing.CONFIRMED, Standing.PAUSED) else Admission.LEFT_OUT


@dataclass(frozen=True, slots=True)
class CastVote:
    """What a member said of a paper; the later one on a paper counts."""

    paper_id: PaperId
    ballot: Ballot
    at: datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to one person, waiting to be sent. `message` is in wire form."""

    id: int
    address: Address
    message: bytes
    written_at: datetime
    attempts: int
