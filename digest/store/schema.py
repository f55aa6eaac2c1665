"""The tables. A change here comes with a new file in `migrations/versions` and a higher `SCHEMA_VERSION`.

Frozen values (papers, candidates, picks, profiles) are JSON in the form of `codec.py`; whatever is searched, counted
or joined is a column. Times are ISO 8601 text in UTC with microseconds, so that text order is time order.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from digest.store.times import LONG_AGO, Day, MinorDay, MinorTime, UtcTime

APPLICATION_ID = 0x44475354
"""SQLite's `PRAGMA application_id` of our files: "DGST"."""
SCHEMA_VERSION = 12
"""`PRAGMA user_version`; equals the number of the newest migration."""

Many = Integer().with_variant(BigInteger(), "postgresql")
"""The number of a row of which there may be thousands of millions; SQLite's integers are as long as they need to be."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

papers = Table(
    "papers",
    metadata,
    Column("id", String, primary_key=True),
    Column("paper", Text, nullable=False),
    Column("first_seen_at", UtcTime, nullable=False, index=True),
)

announcements = Table(
    "announcements",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("list_id", String, nullable=False),
    Column("source", String, nullable=False),
    Column("paper_id", String, nullable=False),
    Column("announce_type", String, nullable=False),
    Column("version", Integer, nullable=False, server_default=text("0")),
    Column("announced_on", MinorDay),
    Column("paper", Text, nullable=False),
    Column("first_seen_at", UtcTime, nullable=False),
    # NULL until an edition has taken it among its candidates: each announcement is used once per list.
    Column("edition_id", ForeignKey("editions.id"), index=True),
    UniqueConstraint("list_id", "source", "paper_id", "announce_type", "version"),
    Index("ix_announcements_list_id_first_seen_at", "list_id", "first_seen_at"),
)

# Under which names a paper may be met again: the same paper may come by its DOI on Monday, by its arXiv id on Tuesday.
paper_keys = Table(
    "paper_keys",
    metadata,
    Column("key", String, primary_key=True),
    Column("paper_id", String, primary_key=True, index=True),
)

signals = Table(
    "signals",
    metadata,
    Column("paper_id", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("observed_at", MinorTime(LONG_AGO), primary_key=True),
    Column("value", Float, nullable=False),
)

# The last answer of each address, to ask conditionally (RFC 9110 section 13). `body` is compressed (zlib).
fetches = Table(
    "fetches",
    metadata,
    Column("url", String, primary_key=True),
    Column("etag", String, nullable=False),
    Column("last_modified", String, nullable=False),
    Column("content_type", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("fetched_at", UtcTime, nullable=False),
    Column("used_at", UtcTime, nullable=False),
)

# Sentence vectors: 384 float16, little-endian, by the BLAKE2b digest of their text (16 bytes).
vectors = Table(
    "vectors",
    metadata,
    Column("model", String, primary_key=True),
    Column("text_key", LargeBinary(16), primary_key=True),
    Column("vector", LargeBinary, nullable=False),
    Column("used_on", Day, nullable=False, index=True),
)

# How each source of a list was when it was last pulled, whether or not an edition was made of it.
source_health = Table(
    "source_health",
    metadata,
    Column("list_id", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("pulled_at", MinorTime(LONG_AGO), nullable=False),
    # NULL: it never worked.
    Column("good_at", MinorTime()),
    Column("summary", Text, nullable=False),
)

editions = Table(
    "editions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("list_id", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("due_on", Day, nullable=False),
    Column("since", UtcTime),
    Column("cutoff", UtcTime, nullable=False),
    Column("sources", Text, nullable=False),
    Column("recipients", Integer),
    Column("recipients_frozen_at", UtcTime),
    Column("finished_at", UtcTime),
    # Empty: one of the list's own. Else a round-up of these, weekly or monthly.
    Column("frequency", String, nullable=False, server_default=""),
    # NULL: its deliveries are rows. Else what they came to: they have been let go of, whatever rows are still there.
    Column("final_counts", Text),
    UniqueConstraint("list_id", "frequency", "due_on"),
    UniqueConstraint("list_id", "number"),
)

edition_papers = Table(
    "edition_papers",
    metadata,
    Column("edition_id", ForeignKey("editions.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("paper_id", String, nullable=False),
    Column("candidate", Text, nullable=False),
    UniqueConstraint("edition_id", "paper_id"),
)

subscribers = Table(
    "subscribers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("list_id", String, nullable=False),
    Column("address", String, nullable=False),
    # The address folded to lower case: what "the same address" means.
    Column("address_key", String, nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("timezone", String),
    Column("language", String),
    Column("profile", Text, nullable=False),
    Column("subscription", String, nullable=False),
    # False: no longer in the config file she came from. She is kept, for the ledger's sake, and gets nothing.
    Column("listed", Boolean, nullable=False),
    # She has signed up herself, or was added or imported: whatever the config says.
    Column("signed_up", Boolean, nullable=False, server_default=false()),
    # What is in this row is her own choice, which the config does not change any more.
    Column("has_chosen", Boolean, nullable=False, server_default=false()),
    Column("frequency", String),
    Column("hour", Integer),
    Column("paused_until", MinorDay),
    # NULL: before this was kept.
    Column("created_at", MinorTime()),
    Column("confirmed_at", MinorTime()),
    UniqueConstraint("list_id", "address_key"),
    # A list is read in parts, in the order of ids: without it each part would sort the whole list.
    Index("ix_subscribers_list_id_id", "list_id", "id"),
)

# What a subscriber said of a paper: the last word on each counts.
votes = Table(
    "votes",
    metadata,
    Column("subscriber_id", ForeignKey("subscribers.id"), primary_key=True),
    Column("paper_id", String, primary_key=True),
    Column("ballot", String, nullable=False),
    Column("cast_at", MinorTime(LONG_AGO), nullable=False),
)

# Messages to single people: confirmations, answers. What has been sent keeps no text.
letters = Table(
    "letters",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("list_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("address", String, nullable=False),
    Column("address_key", String, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Column("written_at", MinorTime(LONG_AGO), nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # NULL: it is settled, sent or given up.
    Column("next_attempt_at", UtcTime),
    Column("reply", Text, nullable=False, server_default=""),
    Index("ix_letters_list_id_next_attempt_at", "list_id", "next_attempt_at"),
    Index("ix_letters_list_id_address_key", "list_id", "address_key"),
)

# All that is left of those who were erased: a keyed hash (HMAC-SHA256) of the address, which stops an import.
erasures = Table(
    "erasures",
    metadata,
    Column("address_hash", LargeBinary(32), primary_key=True),
    Column("erased_at", UtcTime, nullable=False),
)

# What this installation alone knows, made at random when it is first asked for: the key that signs links.
secrets = Table(
    "secrets",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("address_key", String, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("suppressed_at", MinorTime(LONG_AGO), nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Many, primary_key=True),
    Column("edition_id", ForeignKey("editions.id"), nullable=False),
    Column("subscriber_id", ForeignKey("subscribers.id"), nullable=False),
    Column("address", String, nullable=False),
    Column("status", String, nullable=False),
    Column("message_id", String, nullable=False),
    Column("picks", Text, nullable=False),
    # The rest of the selection: near misses, what trends, follow-ups, the week.
    Column("beside", Text, nullable=False, server_default="{}"),
    # When it was queued, or what hour for: its reader's own.
    Column("queued_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # Of a queued one its reader's hour, of a deferred one the next try; NULL: at once.
    Column("next_attempt_at", UtcTime),
    Column("enhanced_code", String, nullable=False, server_default=""),
    Column("reply", Text, nullable=False, server_default=""),
    Column("settled_at", UtcTime),
    Column("owner", String),
    Column("lease_until", UtcTime),
    Column("token", Integer, nullable=False, server_default=text("0")),
    # The relay that it was given to last, by its name in the config.
    Column("relay", String, nullable=False, server_default=""),
    UniqueConstraint("edition_id", "subscriber_id"),
    Index("ix_deliveries_status_next_attempt_at", "status", "next_attempt_at"),
    Index("ix_deliveries_subscriber_id", "subscriber_id"),
)

# What came back of deliveries. Each kind counts once for a delivery, however often its report is read or repeated.
bounces = Table(
    "bounces",
    metadata,
    Column("delivery_id", Many, ForeignKey("deliveries.id"), primary_key=True),
    Column("kind", String, primary_key=True),
    Column("enhanced_code", String, nullable=False),
    Column("diagnostic", Text, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
)

# What readers had of editions whose deliveries are let go of, by ranges of subscribers' ids; see `received.py`.
received = Table(
    "received",
    metadata,
    Column("edition_id", ForeignKey("editions.id"), primary_key=True),
    Column("first", Integer, primary_key=True),
    Column("last", Integer, nullable=False),
    # For how many of them there was a delivery, and how many of these arrived.
    Column("readers", Integer, nullable=False),
    Column("arrived", Integer, nullable=False),
    Column("papers", LargeBinary, nullable=False),
)

# How far each list has read each mailbox.
mailboxes = Table(
    "mailboxes",
    metadata,
    Column("list_id", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("uid_validity", Integer, nullable=False),
    Column("uid", Integer, nullable=False),
    Column("read_at", UtcTime, nullable=False),
)

# Up to when each list's runs have been dealt with.
runs = Table(
    "runs",
    metadata,
    Column("list_id", String, primary_key=True),
    Column("done_until", UtcTime, nullable=False),
)

# Lists that send nothing until somebody resumes them.
pauses = Table(
    "pauses",
    metadata,
    Column("list_id", String, primary_key=True),
    Column("since", UtcTime, nullable=False),
    Column("by", String, nullable=False),
    Column("reason", Text, nullable=False),
)

# How many messages a relay with a limit was given, or is about to be, on each day.
relay_days = Table(
    "relay_days",
    metadata,
    Column("relay", String, primary_key=True),
    Column("day", MinorDay, primary_key=True),
    Column("messages", Integer, nullable=False),
)

# Parts of an edition, by ranges of subscribers' ids: what one worker at a time takes on. See `digest/dispatch`.
shards = Table(
    "shards",
    metadata,
    Column("edition_id", ForeignKey("editions.id"), primary_key=True),
    Column("first", Integer, primary_key=True),
    Column("last", Integer, nullable=False),
    Column("state", String, nullable=False),
    # When it is worth a look again; NULL: at once.
    Column("due_at", UtcTime),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    # NULL: its readers have no deliveries yet.
    Column("ranked_at", UtcTime),
    # How many of these were unsettled when it was last begun.
    Column("unsettled", Integer),
    Column("error", Text, nullable=False, server_default=""),
    Column("worker", String, nullable=False, server_default=""),
    Column("begun_at", UtcTime),
    Column("ended_at", UtcTime),
)

# When the next message may go to a relay with a rate, and to a domain with its own, for all hosts: seconds since 1970.
relay_turns = Table(
    "relay_turns",
    metadata,
    Column("relay", String, primary_key=True),
    Column("domain", String, primary_key=True),
    Column("free_at", Float, nullable=False),
)
