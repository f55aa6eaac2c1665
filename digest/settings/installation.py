"""What `digest.settings` hands out: plain frozen values, the config files as the rest of the program sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from digest.model import (
    Address,
    Frequency,
    Inbox,
    MailingList,
    Pages,
    Paper,
    Profile,
    Relay,
    Retention,
    SignalSource,
    Source,
    SourceKind,
    Topic,
)

if TYPE_CHECKING:  # it imports `cryptography`, which only who signs shall wait for
    from digest.send.dkim import DkimKey


@dataclass(frozen=True, slots=True)
class ConfiguredSubscriber:
    """One person of a config file or of its `subscribers_file`."""

    address: Address
    name: str
    timezone: str | None
    language: str | None
    frequency: Frequency | None
    hour: int | None
    profile: Profile
    library: tuple[Paper, ...]
    """The papers of her `library`; their ids are among `profile.examples`."""


@dataclass(frozen=True)
class Pulling:
    """How sources are asked, and who else is asked for figures: the tables `[pull]` and `[signals]`."""

    contact: str | None = None
    """A mail address or a page; None: the program's own page."""
    allow_private: bool = False
    """Whether sources may lie on this machine or in this network."""
    api_keys: Mapping[SourceKind, str] = field(default_factory=dict, repr=False)
    signals: tuple[SignalSource, ...] = ()
    max_requests: int = 40
    """At most, for each of `signals`, in one pull."""
    github_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ListConfig:
    """One config file: one mailing list with its sources, topics and people, and the way its mail goes out."""

    path: Path
    mailing_list: MailingList
    sources: tuple[Source, ...]
    pulling: Pulling
    topics: tuple[Topic, ...]
    subscribers: tuple[ConfiguredSubscriber, ...]
    relays: tuple[Relay, ...]
    """Empty: messages go to the Maildir `outbox`."""
    outbox: Path
    """Absolute: `outbox` beside the config file."""
    store_url: str = field(repr=False)
    """An SQLAlchemy URL; an SQLite file's path in it is absolute. It may hold a password."""
    warnings: tuple[str, ...]
    """One line each, with file and line, in file order: what is allowed, but probably not meant."""
    journal: Path | None = None
    """Absolute: the folder in which a host keeps what relays have said until the store has it; None: it does not."""
    retention: Retention = field(default_factory=Retention)
    """How long what is not needed any more is kept."""
    semantic: bool | None = None
    """Whether meaning counts beside words; None: if the extra `semantic` is installed."""
    signing: tuple[DkimKey, ...] = ()
    """The keys that sign each message, in the order of their tables; without one, none is signed."""
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    """What signs links, the first, and what still verifies them; empty: the key that the store keeps."""
    mailbox: Address | None = None
    """The address that `[mailbox]` receives."""
    inbox: Inbox | None = None
    """How it is read; None: there is nothing to log in with."""
    authserv_id: str = ""
    """Whose Authentication-Results (RFC 8601) are believed in the mail that comes there; empty: nobody's."""
    pages: Pages | None = None
    """How pages are served; None: the file says nothing of it."""


@dataclass(frozen=True)
class Installation:
    """All the lists that one call of the program serves."""

    lists: tuple[ListConfig, ...]
