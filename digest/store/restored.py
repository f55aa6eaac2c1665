"""What a database needs before it takes the place of a younger one: it must not send again what the younger one sent.

A restored ledger is older than what was sent. So, in the copy that is about to be put in place:

- deliveries that were not settled are `unknown`, held until somebody decides; no policy sends them again by itself
- letters that were due are settled: most went out within a minute of the moment of the backup
- every list is paused, and its resuming asks what became of the editions since (`digest/commands/restoring.py`)
- no number is given twice: links and bounces of what was sent since name deliveries and people by their numbers
- who has left since stays away: unsubscribed, suppressed and erased people are taken over, and secrets as well

Called by `digest/commands/backups.py`, on a file that nobody else knows yet.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import sqlalchemy as sa

from digest.members import Subscription
from digest.model import Address, DeliveryStatus, ListId, Profile
from digest.store import schema
from digest.store.codec import encode
from digest.store.database import Database
from digest.store.editions import UNSETTLED
from digest.store.members import NOT_ERASED, Members, erased_address, hash_of
from digest.store.papers import in_groups
from digest.store.pauses import RESTORE
from digest.store.secrets import ERASURE_KEY, Secrets
from digest.store.statements import insert

NOBODYS = ListId("")
"""The list of the rows that only hold numbers; none of a config has this id."""
UNKNOWN_GAP = 1_000_000
"""How many numbers are left out where it is not known how many were given."""

editions, deliveries, people = schema.editions, schema.deliveries, schema.subscribers


@dataclass(frozen=True, slots=True)
class Departed:
    """How many people's leaving was taken over from the younger database."""

    unsubscribed: int
    suppressed: int
    erased: int


@dataclass(frozen=True, slots=True)
class Held:
    """What was not settled of one edition."""

    list_id: ListId
    number: int
    due_on: date
    count: int


def lists_of(database: Database) -> frozenset[ListId]:
    """The lists of which there are editions or people."""
    with database.read() as connection:
        query = sa.select(editions.c.list_id).union(sa.select(people.c.list_id))
        return frozenset(ListId(each) for each in connection.execute(query).scalars() if each != NOBODYS)


def newest(database: Database) -> datetime | None:
    """When the last thing happened that the database knows of."""
    columns = (
        *(editions.c.cutoff, deliveries.c.queued_at, deliveries.c.settled_at, schema.source_health.c.pulled_at),
        *(schema.votes.c.cast_at, people.c.created_at, people.c.confirmed_at, schema.letters.c.written_at),
    )
    with database.read() as connection:
        found = [connection.execute(sa.select(sa.func.max(column))).scalar_one() for column in columns]
    return max((each for each in found if each), default=None)


def hold(database: Database, lists: Collection[ListId], reason: str, now: datetime) -> tuple[tuple[Held, ...], int]:
    """Holds what is not settled and pauses the lists; the editions with such deliveries, and how many letters."""
    unsettled = deliveries.c.status.in_(UNSETTLED)
    counted = (
        sa.select(editions.c.list_id, editions.c.number, editions.c.due_on, sa.func.count())
        .join_from(editions, deliveries, deliveries.c.edition_id == editions.c.id)
        .where(unsettled)
        .group_by(editions.c.id)
        .order_by(editions.c.id)
    )
    reply = f"{reason}: it may have been sent since"
    unknown = {"status": DeliveryStatus.UNKNOWN, "owner": RESTORE, "lease_until": None, "next_attempt_at": None}
    pauses, letters = schema.pauses, schema.letters
    with database.write() as connection:
        held = tuple(Held(ListId(row[0]), row[1], row[2], row[3]) for row in connection.execute(counted))
        connection.execute(sa.update(deliveries).where(unsettled).values(**unknown, reply=reply, settled_at=now))
        settled = connection.execute(
            sa.update(letters)
            .where(letters.c.next_attempt_at.is_not(None))
            .values(next_attempt_at=None, message=b"", reply=reply)
        )
        for list_id in lists:
            before = connection.execute(sa.select(pauses).where(pauses.c.list_id == list_id)).one_or_none()
            also = f"; before that by {before.by}: {before.reason}" if before and before.by != RESTORE else ""
            row = {"since": now, "by": RESTORE, "reason": reason + also}
            connection.execute(
                insert(pauses)
                .values(list_id=list_id, **row)
                .on_conflict_do_update(index_elements=["list_id"], set_=row)
            )
    return held, settled.rowcount


def take_over(database: Database, younger: Path | None, now: datetime) -> Departed | None:
    """Takes over from the younger database what holds whatever is restored; None where it cannot be read."""
    found = _read(younger) if younger else None
    _leave_out(database, found.numbers if found else None, now)
    if found is None:
        return None
    with database.write() as connection:
        suppressed = _add(connection, schema.suppressions, found.suppressions)
        _add(connection, schema.secrets, found.secrets)
        _add(connection, schema.erasures, found.erasures)
        unsubscribed = _unsubscribe(connection, found.unsubscribed)
        for row in found.relay_days:
            more = {"messages": sa.func.max(schema.relay_days.c.messages, row["messages"])}
            statement = insert(schema.relay_days).values(row)
            connection.execute(statement.on_conflict_do_update(index_elements=["relay", "day"], set_=more))
    return Departed(unsubscribed, suppressed, _erase(database, now))


Rows = list[dict[str, object]]


@dataclass(frozen=True, slots=True)
class _Younger:
    """What is read of the database that was in place."""

    numbers: tuple[int, int, int]
    """The highest of editions, people, deliveries."""
    suppressions: Rows
    secrets: Rows
    erasures: Rows
    relay_days: Rows
    unsubscribed: Rows


def _read(younger: Path) -> _Younger | None:
    """None where the file is damaged, or of a schema in which these things are not where we know them."""
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(younger)), hide_parameters=True)
    gone = sa.select(people.c.list_id, people.c.address, people.c.address_key).where(
        people.c.subscription == Subscription.UNSUBSCRIBED, NOT_ERASED
    )
    tables = (schema.suppressions, schema.secrets, schema.erasures, schema.relay_days)
    try:
        with engine.connect() as connection:
            highest = [
                connection.execute(sa.select(sa.func.max(t.c.id))).scalar() for t in (editions, people, deliveries)
            ]
            suppressions, secrets, erasures, relay_days, unsubscribed = (
                [dict(row._mapping) for row in connection.execute(query)]
                for query in (*(sa.select(table) for table in tables), gone)
            )
    except sa.exc.DatabaseError:
        return None
    finally:
        engine.dispose()
    numbers = (highest[0] or 0, highest[1] or 0, highest[2] or 0)
    days = [row for row in relay_days if row["day"]]  # of one that cannot be read nothing is known
    return _Younger(numbers, suppressions, secrets, erasures, days, unsubscribed)


def _add(connection: sa.Connection, table: sa.Table, rows: Rows) -> int:
    """Adds rows that are not there; how many that were."""
    before = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    if rows:
        connection.execute(insert(table).on_conflict_do_nothing(), rows)
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() - before)


def _unsubscribe(connection: sa.Connection, rows: Rows) -> int:
    """Ends subscriptions; who was not there yet is noted, so that no config brings her back. How many that changed."""
    gone = {"subscription": Subscription.UNSUBSCRIBED}
    counted = sa.select(sa.func.count()).select_from(people).where(people.c.subscription == Subscription.UNSUBSCRIBED)
    before = connection.execute(counted).scalar_one()
    nothing = {"name": "", "profile": encode(Profile()), "listed": False}
    for some in in_groups(rows):
        statement = insert(people).on_conflict_do_update(index_elements=["list_id", "address_key"], set_=gone)
        connection.execute(statement, [{**row, **nothing, **gone} for row in some])
    return int(connection.execute(counted).scalar_one() - before)


def _erase(database: Database, now: datetime) -> int:
    """Erases again who was erased since the backup."""
    key = Secrets(database, lambda: now).get(ERASURE_KEY)
    erased, count = Members(database, NOBODYS).erased(), 0
    if key is None or not erased:
        return 0
    for list_id in lists_of(database):
        members = Members(database, list_id)
        for member in members.all():
            if hash_of(Address(member.address), key) in erased:
                members.erase(member, key, now)
                count += 1
    return count


def _leave_out(database: Database, given: tuple[int, int, int] | None, now: datetime) -> None:
    """Has the next edition, person and delivery numbered beyond those given: by a row of each, of nobody's list.

    Numbers that are given are 1 more than the highest there is (sqlite.org/autoinc.html).
    """
    with database.write() as connection:
        known = [
            connection.execute(sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0))).scalar_one()
            for table in (editions, people, deliveries)
        ]
        if given and all(n <= k for n, k in zip(given, known, strict=True)):
            return
        edition, person, delivery = (
            max(n, k) + 1 for n, k in zip(given or [k + UNKNOWN_GAP for k in known], known, strict=True)
        )
        former = sa.select(editions.c.id).where(editions.c.list_id == NOBODYS)
        connection.execute(sa.delete(deliveries).where(deliveries.c.edition_id.in_(former)))
        connection.execute(sa.delete(editions).where(editions.c.list_id == NOBODYS))
        connection.execute(sa.delete(people).where(people.c.list_id == NOBODYS))
        connection.execute(
            sa.insert(editions).values(
                id=edition,
                list_id=NOBODYS,
                number=1,
                due_on=now.date(),
                cutoff=now,
                sources="[]",
                recipients=1,
                recipients_frozen_at=now,
                finished_at=now,
            )
        )
        nobody = erased_address(person)
        connection.execute(
            sa.insert(people).values(
                id=person,
                list_id=NOBODYS,
                address=nobody,
                address_key=nobody,
                name="",
                profile=encode(Profile()),
                subscription=Subscription.UNSUBSCRIBED,
                listed=False,
            )
        )
        connection.execute(
            sa.insert(deliveries).values(
                id=delivery,
                edition_id=edition,
                subscriber_id=person,
                address=nobody,
                status=DeliveryStatus.CANCELLED,
                message_id="",
                picks="[]",
                reply=RESTORE,
                queued_at=now,
                settled_at=now,
            )
        )
