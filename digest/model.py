"""The words of digest as frozen values: what every other module passes around.

Standard library only. Nothing here reads a clock, a file or a socket. All times are aware datetimes in UTC; all
dates are local to the list that they belong to. Collections are tuples, so that values are hashable and shared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NewType

PaperId = NewType("PaperId", str)
"""`arxiv:2406.04325`, else `doi:10.1038/…` in lower case, else `title:` and a hash of title and first author."""
ListId = NewType("ListId", str)
Address = NewType("Address", str)
"""An email address as `email-validator` normalises it."""
SubscriberId = NewType("SubscriberId", int)
EditionId = NewType("EditionId", int)
DeliveryId = NewType("DeliveryId", int)


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
    theme: Theme = Theme.DAILY
    remote_images: bool = False
    """Whether emails show pictures that are fetched when they are read."""
    templates: Path | None = None
    """A folder whose files are preferred to the shipped templates of the same name."""
    language: str = "en"
    """BCP 47: of those who have set none of their own."""
    send_window: str | None = None
    """When messages may leave, in the form that `digest.schedule` reads; None: at any time."""


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


@dataclass(frozen=True, slots=True)
class Edition:
    """One list's dated run: the papers announced after `since` and up to `cutoff`. One per list and `due_on`."""

    id: EditionId
    list_id: ListId
    number: int
    due_on: date
    since: datetime | None
    """The last edition's cutoff; None for a list's first edition, which takes all that its sources show."""
    cutoff: datetime


class ReasonKind(StrEnum):
    """What a part of a score stands for."""

    TOPIC = "topic"
    EXAMPLE = "example"
    AUTHOR = "author"
    CATEGORY = "category"
    TREND = "trend"
    VOTES = "votes"
    EXPLORATION = "exploration"
    """Of weight 0: the paper is in although the scores of the others were better, or its own not good enough."""


class Says(StrEnum):
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


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to be told of a paper. It is data, so that it can be told in any language: `render/remarks.py` does."""

    says: Says
    names: tuple[str, ...] = ()
    figures: tuple[float, ...] = ()
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """A named part of a score. The weights of a pick's reasons add up to its score."""

    kind: ReasonKind
    remark: Remark
    weight: float


@dataclass(frozen=True, slots=True)
class Pick:
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


class DeliveryStatus(StrEnum):
    """The states of a delivery; `digest/send/outbox.py` draws the table."""

    QUEUED = "queued"
    ACTIVE = "active"
    SENDING = "sending"
    SENT = "sent"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One edition to one subscriber. `attempts` counts conversations that reached this recipient."""

    id: DeliveryId
    edition_id: EditionId
    subscriber_id: SubscriberId
    address: Address
    status: DeliveryStatus
    message_id: str
    """With its angle brackets; fixed when the delivery is queued, so every try has the same."""
    selection: Selection = Selection()
    queued_at: datetime | None = None
    attempts: int = 0
    next_attempt_at: datetime | None = None
    reply: str = ""
    relay: str = ""
    """The name of the relay that it was given to last; empty for a Maildir, and before the first try."""

    @property
    def picks(self) -> tuple[Pick, ...]:
        """The papers, best first."""
        return self.selection.picks


@dataclass(frozen=True, slots=True)
class Envelope:
    """SMTP's own sender and recipient (RFC 5321 section 2.3.1), apart from the message's header."""

    sender: str
    recipient: Address


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try. `enhanced_code` is RFC 3463's `X.Y.Z` or empty; `reply` is the server's text."""

    status: DeliveryStatus
    enhanced_code: str = ""
    reply: str = ""
    relay_trouble: bool = False
    """The relay's own trouble, and nothing of the message has left: the recipient is not charged with an attempt, and
    the send pauses."""
    suppress: bool = False
    """The address does not exist: no later edition is sent to it."""
    data_begun: bool = False
    """The recipient had been accepted: this came in reply to DATA, or to the message itself."""


class Security(StrEnum):
    """How the connection to a relay or a mailbox is protected. It never falls back by itself."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class BounceKind(StrEnum):
    """What a bounce says of the address. `digest/send/bounces.py` says which is which, and why."""

    HARD = "hard"
    """There is no such mailbox: nothing is sent to it any more."""
    SOFT = "soft"
    """It failed this time."""
    POLICY = "policy"
    """We or this one message were refused: nothing is said of the address."""
    COMPLAINT = "complaint"
    """Its owner called the message spam."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """What came back of a delivery. `enhanced_code` is RFC 3463's `X.Y.Z` or empty; `diagnostic` is one line."""

    delivery_id: DeliveryId
    kind: BounceKind
    enhanced_code: str = ""
    diagnostic: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A delivery that a server took, as its reader's bounces are counted."""

    at: datetime
    """When the server took it."""
    bounce: BounceKind | None
    """How it came back; None: it did not, so far."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address to which no list sends."""

    address: Address
    """In lower case."""
    reason: str
    at: datetime


class OnUnknown(StrEnum):
    """What happens to a message of which nobody knows whether the server took it."""

    HOLD = "hold"
    RESEND = "resend"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` messages in `seconds`."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How a relay that no receiver knows yet is made known: few messages on the first day, `growth` times more a day.

    Receivers mistrust an address that they have never had mail from and that sends thousands at once.
    """

    start: date
    """The first day, in the list's time zone. Days before it count like it."""
    first: int
    """How many messages on that day."""
    growth: float


@dataclass(frozen=True, slots=True)
class Relay:
    """The `[smtp]` table, or one of `[[smtp]]`: a server that takes our messages."""

    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    connections: int = 8
    rate: Rate | None = None
    per_domain: tuple[tuple[str, Rate], ...] = ()
    ca_file: Path | None = None
    on_unknown: OnUnknown = OnUnknown.HOLD
    name: str = ""
    """What tells it from every other relay, for a person and for the store, where its messages of a day are counted."""
    weight: int = 1
    """Its share of the messages, beside the other relays'; 0: it is used while no other one takes any."""
    per_day: int | None = None
    """At most so many messages on one day of the list's time zone."""
    warm_up: WarmUp | None = None


@dataclass(frozen=True, slots=True)
class Pages:
    """How the pages are served. The limits hold for each process."""

    host: str = "127.0.0.1"
    port: int = 8000
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Networks whose word on who asks (X-Forwarded-For) is taken."""
    sign_ups: Rate = Rate(10, 3600.0)
    """Of one client."""
    sign_ups_in_all: Rate = Rate(300, 3600.0)
    """Of all clients together, for one list: nobody can have strangers written to without end."""
    looks: Rate = Rate(120, 60.0)
    """Previews and searches of one client."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a list sends nothing, since when, and by whose order."""

    since: datetime
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Inbox:
    """The `[mailbox]` table: the IMAP mailbox that takes commands and votes, and to which bounces come back."""

    host: str
    port: int
    security: Security
    username: str
    password: str = field(repr=False)
    ca_file: Path | None = None

    @property
    def name(self) -> str:
        """What tells it from every other mailbox, for a person and for the store."""
        return f"{self.username} at {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a mailbox has been read: up to `uid`, which means something with this UIDVALIDITY only (RFC 3501)."""

    uid_validity: int
    uid: int


@dataclass(frozen=True, slots=True)
class Window:
    """What one pull covers: what was announced after `since` (None: a first edition) and up to `cutoff`."""

    since: datetime | None
    cutoff: datetime
    first_days: int = 1
    """How far a first edition looks back in sources that answer by date."""

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


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery held under a lease. A result is accepted only with the lease's fencing token."""

    delivery: Delivery
    subscriber: Subscriber
    token: int
    relay: str = ""
    """The name of the relay that it is given to."""
