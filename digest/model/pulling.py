"""Sources, and what came of asking them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from digest.model.papers import Announcement, AnnounceType, Signal

LONGEST_SILENCE = timedelta(days=31)
"""How far back a source is asked that has not answered for longer."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One entry of a source that could not be read, and why. `entry` names it: its id, link, title or position."""

    entry: str
    reason: str


class SourceKind(StrEnum):
    """The kinds of `[[sources]]`."""

    ARXIV = "arxiv"
    HUGGINGFACE = "huggingface"
    FEED = "feed"
    SEMANTIC_SCHOLAR = "semanticscholar"
    CROSSREF = "crossref"
    OPENALEX = "openalex"
    BIORXIV = "biorxiv"
    MEDRXIV = "medrxiv"
    PUBMED = "pubmed"
    OPENREVIEW = "openreview"


class SignalSource(StrEnum):
    """Who is asked for figures about papers already pulled."""

    GITHUB = "github"
    HACKER_NEWS = "hacker_news"
    CITATIONS = "citations"


class Period(StrEnum):
    """What one list of Daily Papers covers."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Source:
    """One `[[sources]]` table. `url` is None where the kind's own address is meant."""

    kind: SourceKind
    name: str
    url: str | None = None
    categories: tuple[str, ...] = ()
    """arXiv: its categories. bioRxiv and medRxiv: names of their subject areas."""
    kinds: tuple[AnnounceType, ...] = (AnnounceType.NEW, AnnounceType.CROSS)
    skip: tuple[str, ...] = ()
    """Regular expressions; an entry in whose title, section, category or DOI one is found is no paper."""
    period: Period = Period.DAY
    """Hugging Face: by which lists it is asked."""
    api_url: str | None = None
    """arXiv: the search API that the announcements are reconciled with; None: they are not."""
    deferral_days: tuple[date, ...] = ()
    """arXiv: Eastern days on which it announces nothing although it usually would (holidays)."""
    query: str | None = None
    """Semantic Scholar, Crossref, OpenAlex, PubMed: what to search for, in their own language."""
    journals: tuple[str, ...] = ()
    """Crossref: ISSNs."""
    venue: str | None = None
    """OpenReview: a venue id, "ICLR.cc/2027/Conference"."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How complete a part of a source is: of one arXiv category, or of a whole source that says its total."""

    part: str
    """The category; empty for the whole source."""
    received: int
    """Papers of the wanted announce types that we hold of what was announced in the window."""
    expected: int | None
    """Papers of these types that were announced; None: nobody could say."""


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What one source gave in one pull. A failed source has `error` set; what it gave before failing is kept."""

    source: str
    announcements: tuple[Announcement, ...] = ()
    signals: tuple[Signal, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    announced: tuple[date, ...] = ()
    """The days of announcement that `coverage` covers, oldest first."""
    skipped: int = 0
    """Entries that are no papers, by the patterns of the source's `skip`."""
    notes: tuple[str, ...] = ()
    """Remarks for a person: "feed is of Wednesday", "no file for 2026-06-07". They can stand in an email's footer."""
    error: str | None = None
    look_again_at: datetime | None = None
    """When the source is likely to have what is missing now."""
    unchanged_since: datetime | None = None
    """When the source was first read as it is now, if its server says that nothing has changed (304)."""


@dataclass(frozen=True, slots=True)
class Window:
    """What one pull covers: what was announced after `since` (None: a first edition) and up to `cutoff`."""

    since: datetime | None
    cutoff: datetime
    first_days: int = 1
    """How far a first edition looks back in sources that answer by date."""

    def reaching_back_to(self, answered: datetime | None) -> Window:
        """The same for a source that last answered at that time (None: never): it is asked for what came since then.

        An edition that was made without it has moved `since` on all the same. A month back at most.
        """
        if self.since is None or answered is None or answered >= self.since:
            return self
        return replace(self, since=min(self.since, max(answered, self.cutoff - LONGEST_SILENCE)))

    def dates(self) -> tuple[date, ...]:
        """The UTC dates to ask a dated source for, oldest first.

        The day of `since` is asked for again: a daily list goes on growing after the edition that read it.
        """
        last = self.cutoff.astimezone(UTC).date()
        first = self.since.astimezone(UTC).date() if self.since else last - timedelta(days=self.first_days)
        return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """What one source contributed to an edition, frozen with it and told in the email's footer."""

    source: str
    received: int
    """Announcements read, of any type, seen before or not."""
    fresh: int
    """Of those, the ones that this edition is the first to see."""
    notes: tuple[str, ...] = ()
    error: str | None = None
    coverage: tuple[Coverage, ...] = ()
    announced: tuple[date, ...] = ()
    skipped: int = 0
    rejected: int = 0
    figures: int = 0
    """Signals observed."""
    look_again_at: datetime | None = None
    unchanged_since: datetime | None = None

    @property
    def is_incomplete(self) -> bool:
        """It failed, or says itself that more is to come."""
        return bool(self.error or self.look_again_at)


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How a source was when it was last pulled, whether or not an edition was made of it."""

    summary: SourceSummary
    pulled_at: datetime
    good_at: datetime | None
    """When it last answered without an error; None: never."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """An address's last answer, kept to ask again conditionally (RFC 9110 section 13). `body` is unpacked."""

    etag: str
    last_modified: str
    body: bytes
    content_type: str
    fetched_at: datetime
