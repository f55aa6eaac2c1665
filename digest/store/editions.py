"""Editions: the frozen candidates of each, its deliveries' counts, and what is left to do.

An edition comes into being in one transaction, together with its candidates and the mark on every announcement that
it used: there is no half-made edition, and any number of processes that try at once get the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from digest.ids import keys_of, same
from digest.model import (
    Address,
    Announcement,
    BounceKind,
    Candidate,
    Delivery,
    DeliveryId,
    DeliveryStatus,
    Edition,
    EditionId,
    ListId,
    Paper,
    PaperId,
    Pick,
    Selection,
    Signal,
    SourceReport,
    SourceSummary,
    Subscriber,
    SubscriberId,
)
from digest.store import papers as paper_store
from digest.store import schema
from digest.store.bounces import bounces_of
from digest.store.codec import decode, encode
from digest.store.database import Database
from digest.store.papers import in_groups
from digest.store.postgres import add_partition
from digest.store.statements import insert
from digest.store.subscribers import people_of, reachable

Merge = Callable[[Sequence[Announcement], Sequence[Signal]], Sequence[Candidate]]

UNSETTLED = (DeliveryStatus.QUEUED, DeliveryStatus.ACTIVE, DeliveryStatus.SENDING, DeliveryStatus.DEFERRED)
"""Deliveries that somebody still has to do something about; an edition with one of these is not finished."""
NEVER_ARRIVED = (DeliveryStatus.BOUNCED, DeliveryStatus.EXPIRED, DeliveryStatus.CANCELLED)
"""Deliveries whose papers nobody has seen: a later edition may bring them again."""


@dataclass(frozen=True, slots=True)
class EditionOverview:
    """One edition and how far it has come. `recipients` is None until all of them are frozen."""

    edition: Edition
    sources: tuple[SourceSummary, ...]
    candidates: int
    recipients: int | None
    counts: Mapping[DeliveryStatus, int]
    finished_at: datetime | None
    replies: tuple[tuple[DeliveryStatus, str, int], ...]
    """Per status, what the deliveries that were not sent were told, and how many were told so."""
    next_attempt_at: datetime | None
    """When the first of the deferred deliveries is due again."""
    came_back: Mapping[BounceKind, int]
    """How many deliveries came back after a server had taken them, or were complained of."""

    @property
    def adds_up(self) -> bool:
        """The invariant: every frozen recipient has exactly one delivery."""
        return self.recipients == sum(self.counts.values())


class Editions:
    """The editions of one database."""

    def __init__(self, database: Database):
        self._database = database

    def on(self, list_id: ListId, due_on: date) -> Edition | None:
        """The list's edition of that day."""
        with self._database.read() as connection:
            return _on(connection, list_id, due_on)

    def numbered(self, list_id: ListId, number: int) -> Edition | None:
        """The list's edition of that number."""
        table = schema.editions
        query = sa.select(table).where(table.c.list_id == list_id, table.c.number == number)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return _edition(row) if row else None

    def latest(self, list_id: ListId) -> Edition | None:
        """The list's newest edition."""
        table = schema.editions
        query = sa.select(table).where(table.c.list_id == list_id).order_by(table.c.number.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return _edition(row) if row else None

    def freeze(
        self,
        list_id: ListId,
        due_on: date,
        cutoff: datetime,
        reports: Sequence[SourceReport],
        merge: Merge,
        summaries: Sequence[SourceSummary],
    ) -> Edition:
        """Makes the day's edition of what the reports and earlier pulls gave; if there is one already, gives that.

        `merge` turns announcements and signals into candidates; it is called inside the transaction and must not
        touch the store.
        """
        with self._database.write() as connection:
            existing = _on(connection, list_id, due_on)
            if existing:
                return existing
            paper_store.record(connection, list_id, reports, cutoff)
            candidates = merge(*paper_store.pending(connection, list_id))
            latest = connection.execute(
                sa.select(sa.func.max(schema.editions.c.number), sa.func.max(schema.editions.c.cutoff)).where(
                    schema.editions.c.list_id == list_id
                )
            ).one()
            number, since = (latest[0] or 0) + 1, latest[1]
            inserted = connection.execute(
                sa.insert(schema.editions)
                .values(
                    list_id=list_id,
                    number=number,
                    due_on=due_on,
                    since=since,
                    cutoff=cutoff,
                    sources=encode(tuple(summaries), tuple[SourceSummary, ...]),
                )
                .returning(schema.editions.c.id)
            )
            edition_id = EditionId(inserted.scalar_one())
            add_partition(connection, edition_id)
            if candidates:
                connection.execute(
                    sa.insert(schema.edition_papers),
                    [
                        {"edition_id": edition_id, "position": n, "paper_id": c.paper.id, "candidate": encode(c)}
                        for n, c in enumerate(candidates)
                    ],
                )
                keys = [{"key": key, "paper_id": c.paper.id} for c in candidates for key in sorted(keys_of(c.paper))]
                connection.execute(insert(schema.paper_keys).on_conflict_do_nothing(), keys)
            connection.execute(
                sa.update(schema.announcements)
                .where(schema.announcements.c.list_id == list_id, schema.announcements.c.edition_id.is_(None))
                .values(edition_id=edition_id)
            )
        return Edition(edition_id, list_id, number, due_on, since, cutoff)

    def unfinished(self, list_id: ListId) -> tuple[Edition, ...]:
        """The list's editions with anything left to do, oldest first."""
        table = schema.editions
        query = (
            sa.select(table).where(table.c.list_id == list_id, table.c.finished_at.is_(None)).order_by(table.c.number)
        )
        with self._database.read() as connection:
            return tuple(map(_edition, connection.execute(query)))

    def get(self, edition_id: EditionId) -> Edition:
        """The edition with this id, which must exist."""
        table = schema.editions
        with self._database.read() as connection:
            return _edition(connection.execute(sa.select(table).where(table.c.id == edition_id)).one())

    def candidates(self, edition: Edition) -> tuple[Candidate, ...]:
        """The frozen candidates, in the order in which they were frozen."""
        table = schema.edition_papers
        query = sa.select(table.c.candidate).where(table.c.edition_id == edition.id).order_by(table.c.position)
        with self._database.read() as connection:
            return tuple(decode(text, Candidate) for text in connection.execute(query).scalars())

    def sources(self, edition: Edition) -> tuple[SourceSummary, ...]:
        """What each source gave to the edition."""
        query = sa.select(schema.editions.c.sources).where(schema.editions.c.id == edition.id)
        with self._database.read() as connection:
            return decode(connection.execute(query).scalar_one(), tuple[SourceSummary, ...])

    def recipients(self, edition: Edition, shard: int = 1000) -> Iterator[tuple[Subscriber, ...]]:
        """Who is still to get a delivery of this edition: reachable subscribers without one, not paused, in shards.

        After `close_recipients` there are none: later subscribers wait for the next edition.
        """
        after = 0
        while True:
            with self._database.read() as connection:
                if _closed(connection, edition):
                    return
                found = people_of(connection, _without_delivery(edition, after).limit(shard))
            if not found:
                return
            yield found
            after = found[-1].id

    def shards(self, edition: Edition, shard: int = 1000) -> list[tuple[SubscriberId, SubscriberId]]:
        """The same shards as `recipients` has, each by its first and its last id."""
        query = _without_delivery(edition).with_only_columns(schema.subscribers.c.id)
        with self._database.read() as connection:
            ids = [] if _closed(connection, edition) else connection.execute(query).scalars().all()
        groups = (ids[start : start + shard] for start in range(0, len(ids), shard))
        return [(SubscriberId(group[0]), SubscriberId(group[-1])) for group in groups]

    def shard(self, edition: Edition, first: SubscriberId, last: SubscriberId) -> tuple[Subscriber, ...]:
        """One of `shards`: those of it who have no delivery yet."""
        with self._database.read() as connection:
            return people_of(connection, _without_delivery(edition, first - 1).where(schema.subscribers.c.id <= last))

    def already_sent(
        self,
        subscribers: Sequence[Subscriber],
        candidates: Sequence[Candidate],
        duplicates: Mapping[PaperId, Sequence[Paper]],
        until: Edition,
    ) -> dict[SubscriberId, dict[PaperId, date]]:
        """Which papers earlier editions brought, or still may bring, each subscriber, and the day of the last of them.

        Of the candidates, in any version and under any id: a paper that came by its DOI does not come again by its
        arXiv id. And of their near-duplicates, under the ids that these have in `duplicates`.
        """
        deliveries, editions, papers = schema.deliveries, schema.editions, schema.edition_papers
        sent: dict[SubscriberId, dict[PaperId, date]] = {}
        with self._database.read() as connection:
            wanted = _known_as(connection, candidates)
            for paper_id in {paper.id for c in candidates for paper in duplicates.get(c.paper.id, ())}:
                wanted.setdefault(paper_id, set()).add(paper_id)
            # Only editions that share a paper with this one can have brought it.
            sharing: dict[int, date] = {}
            for some_ids in in_groups(sorted(wanted)):
                found = connection.execute(
                    sa.select(editions.c.id, editions.c.due_on)
                    .join(papers, editions.c.id == papers.c.edition_id)
                    .where(
                        editions.c.list_id == until.list_id, editions.c.id != until.id, papers.c.paper_id.in_(some_ids)
                    )
                    .distinct()
                )
                sharing |= {row.id: row.due_on for row in found}
            for some in in_groups([s.id for s in subscribers]):
                rows = connection.execute(
                    sa.select(deliveries.c.subscriber_id, deliveries.c.edition_id, deliveries.c.picks)
                    .where(
                        deliveries.c.subscriber_id.in_(some),
                        deliveries.c.edition_id.in_(sorted(sharing)),
                        deliveries.c.status.not_in(NEVER_ARRIVED),
                    )
                    .order_by(deliveries.c.edition_id)
                )
                for subscriber_id, edition_id, picks in rows:
                    for pick in decode(picks, tuple[Pick, ...]):
                        brought = dict.fromkeys(wanted.get(pick.paper_id, ()), sharing[edition_id])
                        sent.setdefault(SubscriberId(subscriber_id), {}).update(brought)
        return {subscriber_id: brought for subscriber_id, brought in sent.items() if brought}

    def enqueue(
        self,
        edition: Edition,
        selected: Sequence[tuple[Subscriber, Selection, str]],
        now: datetime,
        nothing_for: str | None,
    ) -> None:
        """Gives each (subscriber, selection, Message-ID) its one delivery; whoever has one keeps it.

        A subscriber with no picks is `cancelled` with the reason `nothing_for`, or queued where that is None.
        """
        self.enqueue_rows(edition, rows_of(edition, selected, now, nothing_for))

    def enqueue_rows(self, edition: Edition, rows: Sequence[Mapping[str, object]]) -> None:
        """`enqueue` for what `rows_of` has made, here or in another process."""
        if rows:
            with self._database.write(alone=False) as connection:
                if not _closed(connection, edition, held=True):  # another process may have been quicker
                    connection.execute(insert(schema.deliveries).on_conflict_do_nothing(), list(rows))

    def recipients_are_frozen(self, edition: Edition) -> bool:
        """Whether everybody who gets the edition has a delivery."""
        with self._database.read() as connection:
            return _closed(connection, edition)

    def close_recipients(self, edition: Edition, now: datetime) -> None:
        """Freezes who gets the edition: everyone enqueued so far."""
        count = sa.select(sa.func.count()).where(schema.deliveries.c.edition_id == edition.id).scalar_subquery()
        with self._database.write() as connection:
            connection.execute(
                sa.select(schema.editions.c.id).where(schema.editions.c.id == edition.id).with_for_update()
            )
            connection.execute(
                sa.update(schema.editions)
                .where(schema.editions.c.id == edition.id, schema.editions.c.recipients_frozen_at.is_(None))
                .values(recipients=count, recipients_frozen_at=now)
            )

    def finish(self, edition: Edition, now: datetime) -> bool:
        """Marks the edition finished if its counts add up and nothing is left to do; says whether it is finished."""
        with self._database.write() as connection:
            overview = _overview(connection, edition)
            done = overview.adds_up and not any(overview.counts.get(status) for status in UNSETTLED)
            if done and overview.finished_at is None:
                connection.execute(
                    sa.update(schema.editions).where(schema.editions.c.id == edition.id).values(finished_at=now)
                )
        return done

    def overview(self, edition: Edition) -> EditionOverview:
        """How far the edition has come."""
        with self._database.read() as connection:
            return _overview(connection, edition)

    def recent(self, list_id: ListId, limit: int) -> tuple[EditionOverview, ...]:
        """The list's newest editions, newest first."""
        table = schema.editions
        query = sa.select(table).where(table.c.list_id == list_id).order_by(table.c.number.desc()).limit(limit)
        with self._database.read() as connection:
            return tuple(_overview(connection, _edition(row)) for row in connection.execute(query).all())

    def deliveries(self, edition: Edition) -> tuple[Delivery, ...]:
        """Every delivery of the edition, in the order of subscribers."""
        table = schema.deliveries
        query = sa.select(table).where(table.c.edition_id == edition.id).order_by(table.c.subscriber_id)
        with self._database.read() as connection:
            return tuple(map(delivery_of, connection.execute(query)))


def rows_of(
    edition: Edition,
    selected: Sequence[tuple[Subscriber, Selection, str]],
    now: datetime,
    nothing_for: str | None,
) -> list[dict[str, object]]:
    """The deliveries of `Editions.enqueue` as they are kept."""
    rows: list[dict[str, object]] = []
    for subscriber, selection, message_id in selected:
        empty = not selection.picks and nothing_for is not None
        rows.append(
            {
                "edition_id": edition.id,
                "subscriber_id": subscriber.id,
                "address": subscriber.address,
                "status": DeliveryStatus.CANCELLED if empty else DeliveryStatus.QUEUED,
                "reply": nothing_for if empty else "",
                "settled_at": now if empty else None,
                "message_id": message_id,
                "picks": encode(selection.picks, tuple[Pick, ...]),
                "beside": encode(replace(selection, picks=())),
                "queued_at": now,
            }
        )
    return rows


def delivery_of(row: sa.Row[Any]) -> Delivery:
    """A row of `deliveries` as a value."""
    return Delivery(
        id=DeliveryId(row.id),
        edition_id=EditionId(row.edition_id),
        subscriber_id=SubscriberId(row.subscriber_id),
        address=Address(row.address),
        status=DeliveryStatus(row.status),
        message_id=row.message_id,
        selection=replace(decode(row.beside, Selection), picks=decode(row.picks, tuple[Pick, ...])),
        queued_at=row.queued_at,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        reply=row.reply,
        relay=row.relay,
    )


def _without_delivery(edition: Edition, after: int = 0) -> sa.Select[tuple[object, ...]]:
    """The query for who is still to get a delivery of the edition, with an id above `after`."""
    people, deliveries = schema.subscribers, schema.deliveries
    has_delivery = (
        sa.select(deliveries.c.id)
        .where(deliveries.c.edition_id == edition.id, deliveries.c.subscriber_id == people.c.id)
        .exists()
    )
    return (
        reachable(edition.list_id)
        .where(people.c.id > after, ~has_delivery)
        .where(sa.or_(people.c.paused_until.is_(None), people.c.paused_until <= edition.due_on))
        .order_by(people.c.id)
    )


def _edition(row: sa.Row[Any]) -> Edition:
    return Edition(EditionId(row.id), ListId(row.list_id), row.number, row.due_on, row.since, row.cutoff)


def _known_as(connection: sa.Connection, candidates: Sequence[Candidate]) -> dict[PaperId, set[PaperId]]:
    """Every id under which an edition may have had one of the candidates, with the candidates that it means."""
    table = schema.paper_keys
    keys = {c.paper.id: keys_of(c.paper) for c in candidates}
    met: dict[PaperId, set[str]] = {}
    for some in in_groups(sorted(frozenset[str]().union(*keys.values()))):
        shared = sa.select(table.c.paper_id).where(table.c.key.in_(some))
        for row in connection.execute(sa.select(table).where(table.c.paper_id.in_(shared))):
            met.setdefault(PaperId(row.paper_id), set()).add(row.key)
    holders: dict[str, list[PaperId]] = {}
    for paper_id, its_keys in keys.items():
        for key in its_keys:
            holders.setdefault(key, []).append(paper_id)
    known_as = {paper_id: {paper_id} for paper_id in keys}
    for earlier, met_keys in met.items():
        alike = {paper_id for key in met_keys for paper_id in holders.get(key, ())}
        known_as.setdefault(earlier, set()).update(p for p in alike if same(keys[p], met_keys))
    return known_as


def _closed(connection: sa.Connection, edition: Edition, *, held: bool = False) -> bool:
    """Whether its recipients are frozen; `held`, it stays so until the transaction ends."""
    query = sa.select(schema.editions.c.recipients_frozen_at).where(schema.editions.c.id == edition.id)
    query = query.with_for_update(read=True) if held else query
    return connection.execute(query).scalar_one() is not None


def _on(connection: sa.Connection, list_id: ListId, due_on: date) -> Edition | None:
    table = schema.editions
    row = connection.execute(sa.select(table).where(table.c.list_id == list_id, table.c.due_on == due_on)).one_or_none()
    return _edition(row) if row else None


def _overview(connection: sa.Connection, edition: Edition) -> EditionOverview:
    editions, papers, deliveries = schema.editions, schema.edition_papers, schema.deliveries
    row = connection.execute(sa.select(editions).where(editions.c.id == edition.id)).one()
    candidates = connection.execute(sa.select(sa.func.count()).where(papers.c.edition_id == edition.id)).scalar_one()
    grouped = connection.execute(
        sa.select(deliveries.c.status, deliveries.c.reply, sa.func.count())
        .where(deliveries.c.edition_id == edition.id, deliveries.c.status != DeliveryStatus.SENT)
        .group_by(deliveries.c.status, deliveries.c.reply)
        .order_by(deliveries.c.status, deliveries.c.reply)
    ).all()
    sent = connection.execute(
        sa.select(sa.func.count()).where(
            deliveries.c.edition_id == edition.id, deliveries.c.status == DeliveryStatus.SENT
        )
    ).scalar_one()
    counts: dict[DeliveryStatus, int] = {DeliveryStatus.SENT: sent} if sent else {}
    for status, _, count in grouped:
        counts[DeliveryStatus(status)] = counts.get(DeliveryStatus(status), 0) + count
    return EditionOverview(
        edition=edition,
        sources=decode(row.sources, tuple[SourceSummary, ...]),
        candidates=candidates,
        recipients=row.recipients,
        counts=counts,
        finished_at=row.finished_at,
        next_attempt_at=connection.execute(
            sa.select(sa.func.min(deliveries.c.next_attempt_at)).where(
                deliveries.c.edition_id == edition.id, deliveries.c.status == DeliveryStatus.DEFERRED
            )
        ).scalar_one(),
        replies=tuple((DeliveryStatus(status), reply, count) for status, reply, count in grouped if reply),
        came_back=bounces_of(connection, edition.id),
    )
