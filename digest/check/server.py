"""How a PostgreSQL server is for a list: the database, its queue and workers, and whether its clock is ours.

`store/server.py` asks; what the answers mean is decided here, purely. `local.py` calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta

from digest.check.findings import Finding, failed, ok, warning
from digest.store import open_database
from digest.store.postgres import CONNECTIONS, QUEUE_CONNECTIONS
from digest.store.schema import SCHEMA_VERSION
from digest.store.server import ServerFacts, look

APART, TOO_FAR = timedelta(seconds=5), timedelta(seconds=30)
"""How far two clocks may be apart before it is told of; and, as the other host may be as far off to the other side,
before one host takes for free what another still sends: leases have a minute for that."""


def server(url: str, processes: int) -> Sequence[Finding]:
    """Looks at the database at a URL, for a list that a command sends in so many processes at most.

    Raises StoreError: it cannot be reached, or `digest migrate` is needed.
    """
    with closing(open_database(url)) as database:
        facts = look(database)
    return of_database(database.name, facts, processes), of_queue(facts), of_clock(facts)


def of_database(name: str, facts: ServerFacts, processes: int) -> Finding:
    """Whether it keeps every letter, and lets all workers in, and a command beside them, with its processes."""
    subject = f"database {name}"
    each = CONNECTIONS + QUEUE_CONNECTIONS
    command = processes * CONNECTIONS
    needed = facts.workers * each + command
    says = (
        f"PostgreSQL {facts.version}, {facts.encoding}, schema {SCHEMA_VERSION}; connections: {facts.in_use:,} in use, "
        f"{facts.allowed:,} allowed, up to {each} for each worker of a list and {command} for `digest send`"
    )
    if facts.encoding != "UTF8":
        return failed(subject, says, "make it anew with ENCODING 'UTF8': names and titles have any letters")
    if needed > facts.allowed:
        fewer = "run fewer workers" if facts.workers else "lower `connections` of the relay, which its processes share"
        todo = f"raise `max_connections` or the limit of the database or the user to {needed:,}, or {fewer}"
        return warning(subject, says, todo)
    return ok(subject, says)


def of_queue(facts: ServerFacts) -> Finding:
    """Whether somebody takes what is in it."""
    living = f"{facts.workers:,} {'worker lives' if facts.workers == 1 else 'workers live'}"
    says = f"its tables are those of procrastinate's migration {facts.migrated_to}; {living}"
    if not facts.workers:
        return warning("queue", says, "start `digest worker`: without one, `digest run` makes editions and sends none")
    return ok("queue", says)


def of_clock(facts: ServerFacts) -> Finding:
    """Whether this host and the server have the same time."""
    off = abs(facts.ahead)
    way = "ahead of" if facts.ahead > timedelta() else "behind"
    if off < APART:
        return ok("database clock", f"agrees with this host's within {max(off.total_seconds(), 0.1):.1f} s")
    says = f"this host is {off.total_seconds():.0f} s {way} the server"
    todo = "let NTP keep both (`timedatectl set-ntp true`): who may send what is decided by clocks"
    return failed("database clock", says, todo) if off > TOO_FAR else warning("database clock", says, todo)
