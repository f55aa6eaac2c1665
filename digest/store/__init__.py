"""The store: what digest remembers, in one SQL database.

    opening       database.py (SQLite in WAL mode, migrated by Alembic), postgres.py (its own ways), schema.py (the
                  tables), inspection.py (a file that may be no database of ours), server.py (what `check` asks)
    writing       statements.py (for both databases), numbered.py (many rows at once), codec.py (values as text),
                  times.py (moments as text), damaged.py (rows that cannot be read)
    pulling       papers.py fetches.py sources.py
    ranking       vectors.py already_sent.py
    editions      editions.py rows.py rounds.py overviews.py runs.py archive.py (for the pages)
                  figures.py and pulse.py (for operators), past.py (for replays)
    people        subscribers.py members.py letters.py
    sending       outbox.py decisions.py pauses.py relay_days.py accepted.py (what a journal speaks of)
    many hosts    shards.py workers.py queue.py relay_turns.py
    coming back   bounces.py mailboxes.py
    signing       secrets.py
    keeping       copies.py and restored.py (backups), pruning.py
                  condensing.py and received.py (what stays of deliveries)

All statements go through SQLAlchemy Core. But for what the shell completes (`cli/completing.py`), nothing outside this
package writes SQL, and nothing in it decides what is sent.
"""

from digest.store.archive import Archive
from digest.store.bounces import Bounces, Recorded
from digest.store.database import Database, database_exists, database_file, migrate_database, open_database
from digest.store.decisions import Decisions
from digest.store.editions import Editions
from digest.store.fetches import Fetches
from digest.store.figures import Figures
from digest.store.letters import Letters
from digest.store.mailboxes import Mailboxes
from digest.store.members import Members
from digest.store.outbox import DeliveryLedger
from digest.store.overviews import EditionOverview
from digest.store.papers import Papers
from digest.store.past import Past
from digest.store.pauses import Pauses
from digest.store.pruning import Kind, Pruning
from digest.store.relay_days import RelayDays
from digest.store.runs import Runs
from digest.store.secrets import Secrets
from digest.store.shards import Shards
from digest.store.sources import Sources
from digest.store.subscribers import Reader, Subscribers
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
    "Kind",
    "Letters",
    "Mailboxes",
    "Members",
    "Papers",
    "Past",
    "Pauses",
    "Pruning",
    "Reader",
    "Recorded",
    "RelayDays",
    "Runs",
    "Secrets",
    "Shards",
    "Sources",
    "Subscribers",
    "Vectors",
    "database_exists",
    "database_file",
    "migrate_database",
    "open_database",
]
