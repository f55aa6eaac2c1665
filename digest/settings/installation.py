"""What `digest.settings` hands out: plain frozen values, the config files as the rest of the program sees them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from digest.model import Address, Frequency, MailingList, Paper, Profile, Relay, Source, Topic


@dataclass(frozen=True)
class ConfiguredSubscriber:
    """One person of a config file or of its `subscribers_file`."""

    address: Address
    name: str
    timezone: str | None
    language: str | None
    frequency: Frequency | None
    profile: Profile
    library: tuple[Paper, ...]
    """The papers of her BibTeX file; their ids are among `profile.examples`."""


@dataclass(frozen=True)
class ListConfig:
    """One config file: one mailing list with its sources, topics and people, and the way its mail goes out."""

    path: Path
    mailing_list: MailingList
    sources: tuple[Source, ...]
    topics: tuple[Topic, ...]
    subscribers: tuple[ConfiguredSubscriber, ...]
    relay: Relay | None
    """None: messages go to the Maildir `outbox`."""
    outbox: Path
    """Absolute: `outbox` beside the config file."""
    store_url: str
    """An SQLAlchemy URL; an SQLite file's path in it is absolute."""
    warnings: tuple[str, ...]
    """One line each, with file and line, in file order: what is allowed, but probably not meant."""


@dataclass(frozen=True)
class Installation:
    """All the lists that one call of the program serves."""

    lists: tuple[ListConfig, ...]
