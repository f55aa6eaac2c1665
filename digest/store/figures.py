"""What operators look at: how much of everything there is. Counts and times alone, no address leaves here; reads only.

`Figures.read` counts all lists of a database at once, and is cheap however long the ledger is: of a finished edition it
is known how many recipients it had, and only deliveries that were not sent are looked at, by the index on `status`.
What is left of an edition is `sent`, as every delivery has one status. While one edition alone is under way, that
index says all of it; of several at once, each delivery that waits is looked up. Of one whose deliveries are let go of
the counts are kept. `pulse.py` and `workers.py` are beside.
`status/lists.py` decides what it means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

import sqlalchemy as sa

from digest.members import Ballot, Standing, Subscription
from digest.model import (
    BounceKind,
    DeliveryStatus,
    EditionId,
    ListId,
    Pause,
    SourceHealth,
    SourceSummary,
)
from digest.store import schema
from digest.store.damaged import readable, sources_of, tell
from digest.store.database import Database
from digest.store.editions import UNSETTLED
from digest.store.members import NOT_ERASED
from digest.store.pulse import Pulse, pulse, relay_days
from digest.store.received import FinalCounts, final_counts
from digest.store.relay_turns import InUse, in_use
from digest.store.sources import health_of
from digest.store.workers import sent_lately

SETTLED_UNSENT = (DeliveryStatus.BOUNCED, DeliveryStatus.EXPIRED, DeliveryStatus.UNKNOWN, DeliveryStatus.CANCELLED)

Counts = Mapping[DeliveryStatus, int]
editions, deliveries, people = schema.editions, schema.deliveries, schema.subscribers


class SuppressionKind(StrEnum):
    """Why an address is sent nothing any more."""

    HARD = "hard bounce"
    REFUSED = "refused"
    """The relay said at once that there is no such mailbox."""
    SOFT = "soft bounces"
    COMPLAINT = "complaint"
    HAND = "by hand"


@dataclass(frozen=True, slots=True)
class EditionFigures:
    """One edition in numbers. `recipients` is None until all of them are frozen."""

    id: EditionId
    list_id: ListId
    number: int
    due_on: date
    cutoff: datetime
    recipients: int | None
    finished_at: datetime | None
    counts: Counts
    came_back: Mapping[BounceKind, int]


@dataclass(frozen=True, slots=True)
class Pull:
    """What an edition was made of."""

    due_on: date
    candidates: int
    sources: tuple[SourceSummary, ...]


@dataclass(frozen=True, slots=True)
class ListFigures:
    """One list in numbers; `pulls` and `votes` by day since the day that was asked for, the rest as it is."""

    editions: tuple[EditionFigures, ...] = ()
    """All, newest first."""
    pulls: tuple[Pull, ...] = ()
    """Newest first."""
    health: tuple[SourceHealth, ...] = ()
    pause: Pause | None = None
    subscribers: Mapping[Standing, int] = field(default_factory=dict)
    ballots: Mapping[Ballot, int] = field(default_factory=dict)
    """Of all votes, what they said."""
    votes: Mapping[date, int] = field(default_factory=dict)
    """How many were cast on each day (UTC)."""
    letters: int = 0
    """How many wait to be sent."""
    oldest_letter: datetime | None = None
    hours: tuple[int, datetime] | None = None
    """How many deliveries wait for their reader's hour, and when the first of them leaves."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All lists of one database in numbers, as of one moment."""

    lists: Mapping[ListId, ListFigures]
    suppressions: Mapping[SuppressionKind, int]
    relay_days: Mapping[tuple[str, date], int]
    """Messages of relays with a limit on the days since yesterday (UTC), which are today's everywhere."""
    sent_lately: Mapping[ListId, int] = field(default_factory=dict)
    """What workers have sent, as `workers.py` has it."""
    in_use: InUse = field(default_factory=InUse)


class Figures:
    """The numbers of one database."""

    def __init__(self, database: Database):
        self._database = database

    def read(self, since: date, now: datetime) -> Snapshot:
        """Everything, with editions' sources and votes by day from `since` on."""
        with self._database.read() as connection:
            by_list = _editions(connection)
            pulls = _pulls(connection, since)
            standings = _standings(connection, now.date())
            ballots, votes = _votes(connection, since)
            letters, hours = _letters(connection), _hours(connection, now)
            pauses, health = _pauses(connection), _health(connection)
            known = {*by_list, *pulls, *standings, *ballots, *letters, *pauses, *health}
            return Snapshot(
                lists={
                    list_id: ListFigures(
                        editions=by_list.get(list_id, ()),
                        pulls=pulls.get(list_id, ()),
                        health=health.get(list_id, ()),
                        pause=pauses.get(list_id),
                        subscribers=standings.get(list_id, {}),
                        ballots=ballots.get(list_id, {}),
                        votes=votes.get(list_id, {}),
                        letters=letters[list_id][0] if list_id in letters else 0,
                        oldest_letter=letters[list_id][1] if list_id in letters else None,
                        hours=hours.get(list_id),
                    )
                    for list_id in known
                },
                suppressions=_suppressions(connection),
                relay_days=relay_days(connection, now.date()),
                sent_lately=sent_lately(connection, now),
                in_use=in_use(connection),
            )

    def pulse(self, list_id: ListId, now: datetime) -> Pulse:
        """The little that tells whether the list does what it should."""
        with self._database.read() as connection:
            return pulse(connection, list_id, now)


def _editions(connection: sa.Connection) -> dict[ListId, tuple[EditionFigures, ...]]:
    names = ("id", "list_id", "number", "due_on", "cutoff", "recipients", "finished_at", "final_counts")
    columns = [editions.c[name] for name in names]
    rows = connection.execute(sa.select(*columns).order_by(editions.c.number.desc())).all()
    counts = _by_edition(connection, SETTLED_UNSENT)
    for edition_id, waiting in _waiting(connection, [row.id for row in rows if row.finished_at is None]).items():
        counts.setdefault(edition_id, {}).update(waiting)
    returned = _returned(connection)
    found: dict[ListId, list[EditionFigures]] = {}
    for row in rows:
        final = final_counts(row.id, row.final_counts)
        if final is None:
            other = counts.get(row.id, {})
            total = row.recipients if row.recipients is not None else _total(connection, row.id)
            sent = {DeliveryStatus.SENT: total - sum(other.values())}
            final = FinalCounts({**other, **sent}, returned.get(row.id, {}))
        figures = EditionFigures(
            id=EditionId(row.id),
            list_id=ListId(row.list_id),
            number=row.number,
            due_on=row.due_on,
            cutoff=row.cutoff,
            recipients=row.recipients,
            finished_at=row.finished_at,
            counts={status: final.deliveries[status] for status in DeliveryStatus if final.deliveries.get(status)},
            came_back=final.came_back,
        )
        found.setdefault(figures.list_id, []).append(figures)
    return {list_id: tuple(all_) for list_id, all_ in found.items()}


def _by_edition(
    connection: sa.Connection, statuses: tuple[DeliveryStatus, ...]
) -> dict[int, dict[DeliveryStatus, int]]:
    query = (
        sa.select(deliveries.c.edition_id, deliveries.c.status, sa.func.count())
        .where(deliveries.c.status.in_(statuses))
        .group_by(deliveries.c.edition_id, deliveries.c.status)
    )
    found: dict[int, dict[DeliveryStatus, int]] = {}
    for edition_id, status, count in connection.execute(query):
        found.setdefault(edition_id, {})[DeliveryStatus(status)] = count
    return found


def _waiting(connection: sa.Connection, unfinished: list[int]) -> dict[int, dict[DeliveryStatus, int]]:
    """The deliveries of unfinished editions about which there is something to do: finished ones have none."""
    if len(unfinished) != 1:
        return _by_edition(connection, UNSETTLED) if unfinished else {}
    query = (
        sa.select(deliveries.c.status, sa.func.count())
        .where(deliveries.c.status.in_(UNSETTLED))
        .group_by(deliveries.c.status)
    )
    return {unfinished[0]: {DeliveryStatus(status): count for status, count in connection.execute(query)}}


def _total(connection: sa.Connection, edition_id: int) -> int:
    query = sa.select(sa.func.count()).where(deliveries.c.edition_id == edition_id)
    return connection.execute(query).scalar_one()


def _returned(connection: sa.Connection) -> dict[int, dict[BounceKind, int]]:
    bounces = schema.bounces
    query = (
        sa.select(deliveries.c.edition_id, bounces.c.kind, sa.func.count())
        .join_from(bounces, deliveries, deliveries.c.id == bounces.c.delivery_id)
        .group_by(deliveries.c.edition_id, bounces.c.kind)
    )
    found: dict[int, dict[BounceKind, int]] = {}
    for edition_id, kind, count in connection.execute(query):
        found.setdefault(edition_id, {})[BounceKind(kind)] = count
    return found


def _pulls(connection: sa.Connection, since: date) -> dict[ListId, tuple[Pull, ...]]:
    papers = schema.edition_papers
    candidates = sa.select(sa.func.count()).where(papers.c.edition_id == editions.c.id).scalar_subquery()
    query = (
        sa.select(
            editions.c.id, editions.c.list_id, editions.c.due_on, editions.c.sources, candidates.label("candidates")
        )
        .where(editions.c.due_on >= since)
        .order_by(editions.c.number.desc())
    )
    found: dict[ListId, list[Pull]] = {}
    for row in connection.execute(query):
        pull = Pull(row.due_on, row.candidates, sources_of(row.id, row.sources))
        found.setdefault(ListId(row.list_id), []).append(pull)
    return {list_id: tuple(all_) for list_id, all_ in found.items()}


def _standings(connection: sa.Connection, today: date) -> dict[ListId, dict[Standing, int]]:
    """`Member.standing` in the words of the database."""
    is_active = sa.or_(people.c.listed, people.c.signed_up)
    suppressed = people.c.address_key.in_(sa.select(schema.suppressions.c.address_key))  # read once, for all
    standing = sa.case(
        (people.c.subscription == Subscription.UNSUBSCRIBED, Standing.UNSUBSCRIBED),
        (suppressed, Standing.SUPPRESSED),
        (people.c.subscription == Subscription.UNCONFIRMED, Standing.UNCONFIRMED),
        (~is_active, Standing.UNLISTED),
        (sa.and_(people.c.paused_until.is_not(None), people.c.paused_until > today), Standing.PAUSED),
        else_=Standing.CONFIRMED,
    )
    query = sa.select(people.c.list_id, standing.label("standing"), sa.func.count()).where(NOT_ERASED)
    found: dict[ListId, dict[Standing, int]] = {}
    for list_id, name, count in connection.execute(query.group_by(people.c.list_id, "standing")):
        found.setdefault(ListId(list_id), {})[Standing(name)] = count
    return found


def _votes(
    connection: sa.Connection, since: date
) -> tuple[dict[ListId, dict[Ballot, int]], dict[ListId, dict[date, int]]]:
    votes = schema.votes
    day = sa.func.substr(votes.c.cast_at, 1, 10)
    recent = sa.case((day >= since.isoformat(), day), else_="")
    query = (
        sa.select(people.c.list_id, votes.c.ballot, recent.label("day"), sa.func.count())
        .join_from(votes, people, people.c.id == votes.c.subscriber_id)
        .group_by(people.c.list_id, votes.c.ballot, "day")
    )
    ballots: dict[ListId, dict[Ballot, int]] = {}
    by_day: dict[ListId, dict[date, int]] = {}
    for name, said, written, count in connection.execute(query):
        list_id, ballot, on = ListId(name), _ballot(said), _day(written)
        of_list = ballots.setdefault(list_id, {})
        if ballot:
            of_list[ballot] = of_list.get(ballot, 0) + count
        if on:
            days = by_day.setdefault(list_id, {})
            days[on] = days.get(on, 0) + count
    return ballots, by_day


def _ballot(said: str) -> Ballot | None:
    try:
        return Ballot(said)
    except ValueError as error:
        tell("what a vote says", "it counts as none", error)
        return None


def _day(written: str) -> date | None:
    try:
        return date.fromisoformat(written) if written else None
    except ValueError as error:
        tell("the day of a vote", "it counts on no day", error)
        return None


def _letters(connection: sa.Connection) -> dict[ListId, tuple[int, datetime]]:
    table = schema.letters
    oldest = sa.func.min(table.c.written_at)
    query = sa.select(table.c.list_id, sa.func.count(), oldest).where(table.c.next_attempt_at.is_not(None))
    rows = connection.execute(query.group_by(table.c.list_id))
    return {ListId(list_id): (count, written_at) for list_id, count, written_at in rows}


def _hours(connection: sa.Connection, now: datetime) -> dict[ListId, tuple[int, datetime]]:
    first = sa.func.min(deliveries.c.next_attempt_at)
    query = (
        sa.select(editions.c.list_id, sa.func.count(), first)
        .join_from(deliveries, editions, deliveries.c.edition_id == editions.c.id)
        .where(deliveries.c.status == DeliveryStatus.QUEUED, deliveries.c.next_attempt_at > now)
        .group_by(editions.c.list_id)
    )
    return {ListId(list_id): (count, leaves_at) for list_id, count, leaves_at in connection.execute(query)}


def _pauses(connection: sa.Connection) -> dict[ListId, Pause]:
    rows = connection.execute(sa.select(schema.pauses))
    return {ListId(row.list_id): Pause(row.since, row.by, row.reason) for row in rows}


def _health(connection: sa.Connection) -> dict[ListId, tuple[SourceHealth, ...]]:
    table = schema.source_health
    found: dict[ListId, tuple[SourceHealth, ...]] = {}
    columns = (table.c.source, table.c.list_id, table.c.summary, table.c.pulled_at, table.c.good_at)
    rows = connection.execute(sa.select(*columns).order_by(table.c.list_id, table.c.position))
    for list_id, health in readable("how it went with source", rows, lambda row: (ListId(row.list_id), health_of(row))):
        found[list_id] = (*found.get(list_id, ()), health)
    return found


def _suppressions(connection: sa.Connection) -> dict[SuppressionKind, int]:
    reason = schema.suppressions.c.reason
    kind = sa.case(
        (reason.startswith("hard bounce: "), SuppressionKind.HARD),
        (reason.startswith("soft bounces in a row"), SuppressionKind.SOFT),
        (reason.startswith("complaint: "), SuppressionKind.COMPLAINT),
        (sa.and_(reason >= "500", reason < "600"), SuppressionKind.REFUSED),
        else_=SuppressionKind.HAND,
    )
    rows = connection.execute(sa.select(kind.label("kind"), sa.func.count()).group_by("kind"))
    found = {SuppressionKind(name): count for name, count in rows}
    return {kind: found[kind] for kind in SuppressionKind if kind in found}
