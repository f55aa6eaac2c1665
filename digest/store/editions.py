"""Editions: the frozen candidates of each, its deliveries' counts, and what is left to do.

An edition comes into being in one transaction, together with its candidates and the mark on every announcement that
it used: there is no half-made edition, and any number of processes that try at once get the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from digest.model import (
    Candidate,
    Delivery,
    DeliveryStatus,
    Edition,
    EditionId,
    Frequency,
    ListId,
    Paper,
    PaperId,
    Selection,
    SourceReport,
    SourceSummary,
    Subscriber,
    SubscriberId,
)
from digest.roundup import Material
from digest.store import papers as paper_store
from digest.store import schema
from digest.store.already_sent import already_sent, wanted_ids
from digest.store.codec import decode, named_in
from digest.store.damaged import readable, sources_of
from digest.store.database import Database
from digest.store.overviews import EditionOverview, overview_of
from digest.store.pauses import RESTORE
from digest.store.received import is_let_go
from digest.store.rounds import (
    OWN,
    edition_of,
    edition_on,
    insert_edition,
    make_due,
    material,
    parts_of,
)
from digest.store.rows import delivery_of, rows_of
from digest.store.statements import insert
from digest.store.subscribers import AT_ONCE, people_of, reachable

if TYPE_CHECKING:
    from digest.edition import Merge

table = schema.editions

UNSETTLED = (DeliveryStatus.QUEUED, DeliveryStatus.ACTIVE, DeliveryStatus.SENDING, DeliveryStatus.DEFERRED)
"""Deliveries that somebody still has to do something about; an edition with one of these is not finished."""
UNDECIDED = (*UNSETTLED, DeliveryStatus.UNKNOWN)
"""Deliveries that wait for a server, or for somebody's decision."""


class Editions:
    """The editions of one database."""

    def __init__(self, database: Database, on_made: Callable[[sa.Connection, Edition], None] | None = None):
        """`on_made` is called with each new edition, inside the transaction that makes it."""
        self._database = database
        self._on_made = on_made

    def on(self, list_id: ListId, due_on: date, frequency: Frequency | None = None) -> Edition | None:
        """The list's own edition of that day, or its round-up."""
        with self._database.read() as connection:
            return edition_on(connection, list_id, due_on, frequency)

    def numbered(self, list_id: ListId, number: int) -> Edition | None:
        """The list's edition of that number."""
        query = sa.select(table).where(table.c.list_id == list_id, table.c.number == number)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return edition_of(row) if row else None

    def latest(self, list_id: ListId) -> Edition | None:
        """The newest of the list's own editions."""
        own = sa.select(table).where(table.c.list_id == list_id, table.c.frequency == OWN)
        query = own.order_by(table.c.number.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return edition_of(row) if row else None

    def freeze(
        self,
        list_id: ListId,
        due_on: date,
        cutoff: datetime,
        reports: Sequence[SourceReport],
        merge: Merge,
        summaries: Sequence[SourceSummary],
        apart: Collection[Frequency] = (),
        *,
        even_empty: bool = False,
    ) -> Edition:
        """Makes the day's edition of what the reports and earlier pulls gave; if there is one already, gives that.

        With it the round-ups that are due, of the frequencies `apart`; without a paper only if `even_empty`. `merge`
        turns announcements and signals into candidates; it is called inside the transaction and must not touch the
        store.
        """
        with self._database.write() as connection:
            existing = edition_on(connection, list_id, due_on)
            if existing:
                return existing
            paper_store.record(connection, list_id, reports, cutoff)
            candidates = merge(*paper_store.pending(connection, list_id))
            since = connection.execute(
                sa.select(sa.func.max(table.c.cutoff)).where(table.c.list_id == list_id, table.c.frequency == OWN)
            ).scalar_one()
            draft = Edition(EditionId(0), list_id, 0, due_on, since, cutoff)
            edition = insert_edition(connection, draft, summaries, candidates)
            connection.execute(
                sa.update(schema.announcements)
                .where(schema.announcements.c.list_id == list_id, schema.announcements.c.edition_id.is_(None))
                .values(edition_id=edition.id)
            )
            round_ups = make_due(connection, list_id, due_on, cutoff, merge, apart, even_empty=even_empty)
            self._made(connection, edition, *round_ups)
        return edition

    def round_up(
        self, list_id: ListId, due_on: date, cutoff: datetime, merge: Merge, apart: Collection[Frequency]
    ) -> tuple[Edition, ...]:
        """Makes the round-ups that are due on a day that brought the list no edition of its own."""
        with self._database.write() as connection:
            made = make_due(connection, list_id, due_on, cutoff, merge, apart, even_empty=False)
            self._made(connection, *made)
        return made

    def _made(self, connection: sa.Connection, *editions: Edition) -> None:
        if self._on_made:
            for edition in editions:
                self._on_made(connection, edition)

    def parts(self, edition: Edition) -> frozenset[EditionId]:
        """The editions whose announcements this one is made of: its own, or those that it rounds up."""
        with self._database.read() as connection:
            return parts_of(connection, edition)

    def material(self, list_id: ListId, due_on: date, frequency: Frequency) -> Material:
        """What a round-up of that day would be made of, as far as it is frozen."""
        with self._database.read() as connection:
            return material(connection, list_id, frequency, due_on)

    def take_for_sent(
        self,
        list_id: ListId,
        due_on: date,
        cutoff: datetime,
        reports: Sequence[SourceReport],
        merge: Merge,
        summaries: Sequence[SourceSummary],
    ) -> Edition:
        """An edition that stands in for those of which a restored ledger knows nothing: all its papers were sent.

        It has no recipients of its own. Where the day has an edition already, that one is left as it is.
        """
        marked = (*summaries, SourceSummary(RESTORE, 0, 0))
        edition = self.freeze(list_id, due_on, cutoff, reports, merge, marked)
        self.close_recipients(edition, cutoff)
        self.finish(edition, cutoff)
        return edition

    def unfinished(self, list_id: ListId) -> tuple[Edition, ...]:
        """The list's editions with anything left to do, oldest first."""
        query = (
            sa.select(table).where(table.c.list_id == list_id, table.c.finished_at.is_(None)).order_by(table.c.number)
        )
        with self._database.read() as connection:
            return tuple(map(edition_of, connection.execute(query)))

    def get(self, edition_id: EditionId) -> Edition:
        """The edition with this id, which must exist."""
        with self._database.read() as connection:
            return edition_of(connection.execute(sa.select(table).where(table.c.id == edition_id)).one())

    def candidates(self, edition: Edition) -> tuple[Candidate, ...]:
        """The frozen candidates, in the order in which they were frozen."""
        table = schema.edition_papers
        query = sa.select(table.c.paper_id, table.c.candidate).where(table.c.edition_id == edition.id)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.c.position))
            return tuple(readable("candidate", rows, lambda row: decode(row.candidate, Candidate)))

    def sources(self, edition: Edition) -> tuple[SourceSummary, ...]:
        """What each source gave to the edition."""
        query = sa.select(schema.editions.c.sources).where(schema.editions.c.id == edition.id)
        with self._database.read() as connection:
            return sources_of(edition.id, connection.execute(query).scalar_one())

    def recipients(
        self, edition: Edition, apart: Collection[Frequency] = (), shard: int = 1000
    ) -> Iterator[tuple[Subscriber, ...]]:
        """Who is still to get a delivery of this edition: reachable subscribers without one, not paused, in shards.

        Of a round-up those who want the list so often; of the list's own edition all but those who want it at one of
        the frequencies `apart`.

        After `close_recipients` there are none: later subscribers wait for the next edition.
        """
        after = 0
        while True:
            with self._database.read() as connection:
                if _closed(connection, edition):
                    return
                found = people_of(connection, _without_delivery(edition, apart, after).limit(shard))
            if not found:
                return
            yield found
            after = found[-1].id

    def named(self, edition: Edition, apart: Collection[Frequency] = ()) -> frozenset[PaperId]:
        """The papers that `recipients` name in their profiles and vote on. Everybody is read, nobody is held."""
        people, votes = schema.subscribers, schema.votes
        theirs = _without_delivery(edition, apart).order_by(None)
        profiles = theirs.with_only_columns(people.c.id, people.c.profile).execution_options(yield_per=AT_ONCE)
        voted = sa.select(votes.c.paper_id).where(votes.c.subscriber_id.in_(theirs.with_only_columns(people.c.id)))
        with self._database.read() as connection:
            if _closed(connection, edition):
                return frozenset()
            read = readable(
                "the profile of subscriber", connection.execute(profiles), lambda row: named_in(row.profile)
            )
            named = {paper_id for paper_ids in read for paper_id in paper_ids}
            named.update(map(PaperId, connection.execute(voted.distinct()).scalars()))
        return frozenset(named)

    def shards(
        self, edition: Edition, apart: Collection[Frequency] = (), shard: int = 1000
    ) -> list[tuple[SubscriberId, SubscriberId]]:
        """The same shards as `recipients` has, each by its first and its last id."""
        query = _without_delivery(edition, apart).with_only_columns(schema.subscribers.c.id)
        with self._database.read() as connection:
            ids = [] if _closed(connection, edition) else connection.execute(query).scalars().all()
        groups = (ids[start : start + shard] for start in range(0, len(ids), shard))
        return [(SubscriberId(group[0]), SubscriberId(group[-1])) for group in groups]

    def shard(
        self, edition: Edition, apart: Collection[Frequency], first: SubscriberId, last: SubscriberId
    ) -> tuple[Subscriber, ...]:
        """One of `shards`: those of it who have no delivery yet."""
        query = _without_delivery(edition, apart, first - 1).where(schema.subscribers.c.id <= last)
        with self._database.read() as connection:
            return people_of(connection, query)

    def already_sent(
        self,
        subscribers: Sequence[Subscriber],
        candidates: Sequence[Candidate],
        duplicates: Mapping[PaperId, Sequence[Paper]],
        until: Edition,
        *,
        in_the_past: bool = False,
    ) -> dict[SubscriberId, dict[PaperId, date]]:
        """Which papers other editions brought, or still may bring, each subscriber, and the day of the last of them.

        With `in_the_past`, only those that were made before it: what the edition itself knew of. Of the candidates, in
        any version and under any id: a paper that came by its DOI does not come again by its arXiv id. And of their
        near-duplicates, under the ids that these have in `duplicates`.
        """
        with self._database.read() as connection:
            wanted = wanted_ids(connection, candidates, duplicates)
            return already_sent(connection, [s.id for s in subscribers], wanted, until, in_the_past=in_the_past)

    def enqueue(
        self,
        edition: Edition,
        selected: Sequence[tuple[Subscriber, Selection, str]],
        now: datetime,
        nothing_for: str | None,
        leaves: Mapping[SubscriberId, datetime] | None = None,
    ) -> None:
        """Gives each (subscriber, selection, Message-ID) its one delivery; whoever has one keeps it.

        `leaves`: whose delivery waits for which time; it counts as queued for then, and is dated so.

        A subscriber with no picks is `cancelled` with the reason `nothing_for`, or queued where that is None.
        """
        self.enqueue_rows(edition, rows_of(edition, selected, now, nothing_for, leaves or {}))

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
        """Marks the edition finished if its counts add up and nothing is left to do; whether this call has done so."""
        with self._database.write() as connection:
            overview = overview_of(connection, edition)
            settled = overview.adds_up and not any(overview.counts.get(status) for status in UNSETTLED)
            if done := settled and overview.finished_at is None:
                connection.execute(
                    sa.update(schema.editions).where(schema.editions.c.id == edition.id).values(finished_at=now)
                )
        return done

    def overview(self, edition: Edition) -> EditionOverview:
        """How far the edition has come."""
        with self._database.read() as connection:
            return overview_of(connection, edition)

    def recent(self, list_id: ListId, limit: int) -> tuple[EditionOverview, ...]:
        """The list's newest editions, newest first."""
        query = sa.select(table).where(table.c.list_id == list_id).order_by(table.c.number.desc()).limit(limit)
        with self._database.read() as connection:
            return tuple(overview_of(connection, edition_of(row)) for row in connection.execute(query).all())

    def deliveries(self, edition: Edition) -> tuple[Delivery, ...]:
        """Every delivery of the edition, in the order of subscribers; none where they are let go of."""
        table = schema.deliveries
        query = sa.select(table).where(table.c.edition_id == edition.id).order_by(table.c.subscriber_id)
        with self._database.read() as connection:
            if is_let_go(connection, edition.id):
                return ()
            return tuple(map(delivery_of, connection.execute(query)))


def _without_delivery(edition: Edition, apart: Collection[Frequency], after: int = 0) -> sa.Select[tuple[object, ...]]:
    """The query for who is still to get a delivery of the edition, with an id above `after`; see `recipients`."""
    people, deliveries = schema.subscribers, schema.deliveries
    often = people.c.frequency
    theirs = often == edition.frequency if edition.frequency else sa.or_(often.is_(None), often.not_in(apart))
    has_delivery = (
        sa.select(deliveries.c.id)
        .where(deliveries.c.edition_id == edition.id, deliveries.c.subscriber_id == people.c.id)
        .exists()
    )
    return (
        reachable(edition.list_id)
        .where(people.c.id > after, ~has_delivery, theirs)
        .where(sa.or_(people.c.paused_until.is_(None), people.c.paused_until <= edition.due_on))
        .order_by(people.c.id)
    )


def _closed(connection: sa.Connection, edition: Edition, *, held: bool = False) -> bool:
    """Whether its recipients are frozen; `held`, it stays so until the transaction ends."""
    query = sa.select(schema.editions.c.recipients_frozen_at).where(schema.editions.c.id == edition.id)
    query = query.with_for_update(read=True) if held else query
    return connection.execute(query).scalar_one() is not None
