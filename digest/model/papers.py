"""Papers, where they were seen, and what was observed of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NewType

PaperId = NewType("PaperId", str)
"""`arxiv:2406.04325`, else `doi:10.1038/…` in lower case, else `title:` and a hash of title and first author."""


class AnnounceType(StrEnum):
    """How arXiv announces a paper, in its own words; every other source announces only `new`."""

    NEW = "new"
    CROSS = "cross"
    REPLACE = "replace"
    REPLACE_CROSS = "replace-cross"


class LinkKind(StrEnum):
    """Where a link of a paper leads; the order is the order in which they are shown."""

    ABS = "abs"
    PDF = "pdf"
    HTML = "html"
    CODE = "code"
    PROJECT = "project"
    HUGGINGFACE = "huggingface"
    DOI = "doi"


@dataclass(frozen=True, slots=True)
class Link:
    """One http(s) address of a paper."""

    kind: LinkKind
    url: str


@dataclass(frozen=True, slots=True)
class Paper:
    """One paper; its versions and cross-lists are the same paper. Texts are readable Unicode, no markup."""

    id: PaperId
    title: str
    abstract: str = ""
    authors: tuple[str, ...] = ()
    version: int | None = None
    categories: tuple[str, ...] = ()
    primary_category: str | None = None
    doi: str | None = None
    journal_ref: str | None = None
    comment: str | None = None
    published: datetime | None = None
    links: tuple[Link, ...] = ()
    tldr: str | None = None
    """One sentence about the paper, written by a program of the source's."""
    keywords: tuple[str, ...] = ()
    organisation: str | None = None
    thumbnail: str | None = None
    """The http(s) address of a picture."""
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Announcement:
    """A paper as a source announced it."""

    paper: Paper
    announce_type: AnnounceType
    announced_on: date | None
    source: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """An announcement without its paper: which source announced it, how and when."""

    source: str
    announce_type: AnnounceType
    announced_on: date | None


@dataclass(frozen=True, slots=True)
class Signal:
    """An observed popularity figure with its time.

    `upvotes` and `comments` (Hugging Face), `stars` and `stars_per_day` (GitHub), `points` (Hacker News),
    `citations` (Semantic Scholar).
    """

    paper_id: PaperId
    name: str
    value: float
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """A paper that an edition may send: all its sightings and signals merged."""

    paper: Paper
    sightings: tuple[Sighting, ...]
    signals: tuple[Signal, ...] = ()
