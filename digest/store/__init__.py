"""The store: what digest remembers, in one SQL database.

`database.py` opens it: SQLite in WAL mode, migrated by Alembic, or PostgreSQL, whose own ways are in `postgres.py`.
`schema.py` names its tables, and one module per aggregate holds the statements: `papers.py`, `editions.py`, for people
`subscribers.py`, `members.py` and `letters.py`, for sending `outbox.py`, `decisions.py`, `pauses.py` and
`relay_days.py`, for what comes back `bounces.py` and `mailboxes.py`, for the pages `archive.py`, for operators
`figures.py`, for pulling `fetches.py` and `sources.py`, for ranking `vectors.py`, for signing `secrets.py`;
`inspection.py` looks at a file that may be no database of ours. All other statements go through SQLAlchemy Core. But for what the shell completes
(`cli/completing.py`), nothing outside this package writes SQL, and nothing in it decides what is sent.
"""

from digest.store.archive import Archive
from digest.store.bounces import Bounces, Recorded
from digest.store.database import Database, database_exists, migrate_database, open_database
from digest.store.decisions import Decisions
from digest.store.editions import EditionOverview, Editions
from digest.store.fetches import Fetches
from digest.store.figures import Figures
from digest.store.letters import Letters
from digest.store.mailboxes import Mailboxes
from digest.store.members import Members
from digest.store.outbox import DeliveryLedger
from digest.store.papers import Papers
from digest.store.pauses import Pauses
from digest.store.relay_days import RelayDays
from digest.store.secrets import Secrets
from digest.store.sources import Sources
from digest.store.subscribers import Subscribers
from digest.store.vectors import Vectors

__all__ = [
    "Archive",
    "Bounces",
    "Database",
    "Decisions",
    "DeliveryLedger",
    "EditionOverview",
    "Editions",
    "Fetches",
    "Figures",
    "Letters",
    "Mailboxes",
    "Members",
    "Papers",
    "Pauses",
    "Recorded",
    "RelayDays",
    "Secrets",
    "Sources",
    "Subscribers",
    "Vectors",
    "database_exists",
    "migrate_database",
    "open_database",
]
