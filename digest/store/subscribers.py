"""Who is sent to, and suppressions. What members do themselves is `members.py`'s.

Subscribers of a config file are synchronised before each edition; who has left it is kept but unlisted. An
unsubscribe, a suppression or an erasure always wins over the config, and so do the preferences that she chose herself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from digest.members import Ballot, Subscription
from digest.model import Address, Frequency, ListId, PaperId, Profile, Subscriber, SubscriberId, Suppression, Vote
from digest.store import schema
from digest.store.codec import decode, encode
from digest.store.damaged import tell, tell_once
from digest.store.database import Database
from digest.store.papers import in_groups
from digest.store.statements import insert

AT_ONCE = 1000
"""Subscribers in one statement."""
PROFILES = 1000
"""Distinct ones that are kept as values, those that were used last."""
ZONES = 1000
"""More than there are."""
_CHOSEN = ("name", "timezone", "language", "profile", "frequency", "hour")
"""What a subscriber may choose herself, and the config may say of her."""
PERSON = [schema.subscribers.c[name] for name in ("id", "address", *_CHOSEN)]
"""What `subscriber_of` reads."""


def address_key(address: Address) -> str:
    """What two spellings of the same address have in common."""
    return address.casefold()


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who may be sent to, or would be if the config named her."""

    subscriber: Subscriber
    """With all her votes, each with its time, in her profile."""
    has_signed_up: bool
    """She gets the list whatever the config says."""
    has_chosen: bool
    """The config does not change her profile."""


class Subscribers:
    """The subscribers of one database."""

    def __init__(self, database: Database):
        self._database = database

    def synchronise(self, list_id: ListId, configured: Iterable[Subscriber]) -> None:
        """Makes the config file's subscribers the listed ones; their ids are the store's, those given are ignored."""
        table = schema.subscribers
        statement = insert(table)
        new = statement.excluded
        changed = {name: _unless_chosen(new[name]) for name in _CHOSEN}
        upsert = statement.on_conflict_do_update(
            index_elements=[table.c.list_id, table.c.address_key],
            # One who signed up and did not confirm has now been put there by whoever runs the list.
            set_={
                **changed,
                "address": new.address,
                "listed": True,
                "subscription": sa.case(
                    (table.c.subscription == Subscription.UNCONFIRMED, Subscription.CONFIRMED),
                    else_=table.c.subscription,
                ),
            },
        )
        people = iter(configured)
        with self._database.write() as connection:
            gone = sa.update(table).where(table.c.list_id == list_id, table.c.listed)
            connection.execute(gone.values(listed=False))
            while some := [_row(list_id, subscriber) for subscriber in islice(people, AT_ONCE)]:
                connection.execute(upsert, some)

    def reachable(self, list_id: ListId, only: Collection[str] = ()) -> tuple[Subscriber, ...]:
        """Who may be sent to, in the order in which they came; of these addresses, or all."""
        query = _of(only, reachable(list_id)).order_by(schema.subscribers.c.id)
        with self._database.read() as connection:
            return people_of(connection, query)

    def readers(self, list_id: ListId, only: Collection[str] = ()) -> Iterator[tuple[Reader, ...]]:
        """Everybody who has not left, in groups, in the order in which they came; of these addresses, or all."""
        table, after = schema.subscribers, 0
        here = sa.and_(table.c.list_id == list_id, table.c.subscription != Subscription.UNSUBSCRIBED)
        query = _of(only, sa.select(table).where(here, not_suppressed())).order_by(table.c.id).limit(AT_ONCE)
        while True:
            some = query.where(table.c.id > after)
            with self._database.read() as connection:
                rows = connection.execute(some).all()
                people = people_of(connection, some)
            if not rows:
                return
            yield tuple(
                Reader(person, row.signed_up and row.subscription == Subscription.CONFIRMED, row.has_chosen)
                for row, person in zip(rows, people, strict=True)
            )
            after = rows[-1].id

    def some_reachable(self, list_id: ListId, limit: int) -> tuple[Address, ...]:
        """The first few addresses of `reachable`."""
        query = reachable(list_id).order_by(schema.subscribers.c.id).limit(limit)
        with self._database.read() as connection:
            return tuple(Address(row.address) for row in connection.execute(query))

    def how_many(self, list_id: ListId) -> int:
        """How many are reachable."""
        with self._database.read() as connection:
            return connection.execute(
                sa.select(sa.func.count()).select_from(reachable(list_id).subquery())
            ).scalar_one()

    def departed(self, list_id: ListId) -> frozenset[str]:
        """The address keys of those who have unsubscribed from the list, or whose address is suppressed."""
        table, gone = schema.subscribers, schema.suppressions
        unsubscribed = sa.select(table.c.address_key).where(
            table.c.list_id == list_id, table.c.subscription == Subscription.UNSUBSCRIBED
        )
        with self._database.read() as connection:
            keys = connection.execute(unsubscribed.union(sa.select(gone.c.address_key))).scalars()
            return frozenset(keys)

    def suppress(self, address: Address, reason: str, now: datetime) -> bool:
        """No list sends to the address any more; False where that is so already: the first reason stays."""
        with self._database.write() as connection:
            return suppress(connection, address, reason, now)

    def release(self, address: Address) -> bool:
        """Its lists may send to the address again; False where it was not suppressed."""
        table = schema.suppressions
        with self._database.write() as connection:
            gone = connection.execute(sa.delete(table).where(table.c.address_key == address_key(address)))
            return gone.rowcount > 0

    def suppressions(self) -> tuple[Suppression, ...]:
        """Every suppressed address of the database, by name."""
        table = schema.suppressions
        with self._database.read() as connection:
            rows = connection.execute(sa.select(table).order_by(table.c.address_key))
            return tuple(Suppression(Address(row.address_key), row.reason, row.suppressed_at) for row in rows)


def _of(only: Collection[str], query: sa.Select[Any]) -> sa.Select[Any]:
    """The query for these addresses, or for all."""
    if not only:
        return query
    return query.where(schema.subscribers.c.address_key.in_([address_key(Address(a)) for a in only]))


def _row(list_id: ListId, subscriber: Subscriber) -> dict[str, object]:
    return {
        "list_id": list_id,
        "address": subscriber.address,
        "address_key": address_key(subscriber.address),
        "name": subscriber.name,
        "timezone": subscriber.timezone,
        "language": subscriber.language,
        "frequency": subscriber.frequency,
        "hour": subscriber.hour,
        "profile": encode(subscriber.profile),
        "subscription": Subscription.CONFIRMED,
        "listed": True,
    }


def _unless_chosen(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The config's value, or the present one where she has chosen herself."""
    return sa.case((schema.subscribers.c.has_chosen, schema.subscribers.c[str(value.key)]), else_=value)


def suppress(connection: sa.Connection, address: Address, reason: str, now: datetime) -> bool:
    """`Subscribers.suppress` inside somebody's transaction."""
    added = connection.execute(
        insert(schema.suppressions)
        .values(address_key=address_key(address), reason=reason, suppressed_at=now)
        .on_conflict_do_nothing()
    )
    return added.rowcount > 0


def is_reachable() -> sa.ColumnElement[bool]:
    """The condition on `subscribers` under which anything is sent to her."""
    table = schema.subscribers
    wanted = sa.or_(table.c.listed, table.c.signed_up)
    return sa.and_(table.c.subscription == Subscription.CONFIRMED, wanted, not_suppressed())


def not_suppressed() -> sa.ColumnElement[bool]:
    """The condition on `subscribers` that her address is not suppressed."""
    gone = schema.suppressions.c.address_key
    return ~sa.select(gone).where(gone == schema.subscribers.c.address_key).exists()


def reachable(list_id: ListId) -> sa.Select[tuple[object, ...]]:
    """The query for a list's reachable subscribers."""
    return sa.select(schema.subscribers).where(schema.subscribers.c.list_id == list_id, is_reachable())


def subscriber_of(row: sa.Row[Any]) -> Subscriber:
    """A row of `subscribers` as a value."""
    return Subscriber(
        SubscriberId(row.id),
        Address(row.address),
        row.name,
        _zone_of(row),
        profile_of(row),
        row.language,
        frequency_of(row),
        _hour_of(row),
    )


def _zone_of(row: sa.Row[*tuple[Any, ...]]) -> str | None:
    """Where a row of `subscribers` says that she is; None, where the list is, if this machine knows no such zone."""
    if not row.timezone or _is_zone(row.timezone):
        return row.timezone or None
    tell_once(
        f"this machine does not know the time zone {row.timezone}: the list's counts for whoever is there, until "
        "tzdata is brought up to date here or another is chosen"
    )
    return None


@lru_cache(ZONES)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a path out of the database of zones, a folder of it, no such name
        return False
    return True


def _hour_of(row: sa.Row[*tuple[Any, ...]]) -> int | None:
    """At which hour a row of `subscribers` says that she wants it; None, at the list's, where that is no hour."""
    hour: int | None = row.hour
    if hour is None or hour in range(24):
        return hour
    tell(f"the hour of subscriber {row.id}", "the list's counts", ValueError(f"{hour!r} is no hour of a day"))
    return None


def frequency_of(row: sa.Row[*tuple[Any, ...]]) -> Frequency | None:
    """How often a row of `subscribers` says that she wants it; as often as it comes out where that cannot be read."""
    try:
        return Frequency(row.frequency) if row.frequency else None
    except ValueError as error:
        tell(f"how often subscriber {row.id} wants it", "she gets it as often as it comes out", error)
        return None


def profile_of(row: sa.Row[*tuple[Any, ...]]) -> Profile:
    """What a row of `subscribers` says that she wants; nothing where it cannot be read, until she chooses anew."""
    try:
        return _profile(row.profile)
    except ValueError as error:
        tell(f"what subscriber {row.id} wants", "she counts as one who has not said", error)
        return Profile()


def subscription_of(row: sa.Row[*tuple[Any, ...]]) -> Subscription:
    """How it stands with a row of `subscribers`; where that cannot be read she is sent nothing, as if she had left."""
    try:
        return Subscription(row.subscription)
    except ValueError as error:
        tell(f"whether subscriber {row.id} is subscribed", "she counts as one who is not", error)
        return Subscription.UNSUBSCRIBED


@lru_cache(PROFILES)
def _profile(text: str) -> Profile:
    """Many readers of a list follow the same topics, by name: one value does for all of them."""
    return decode(text, Profile)


def people_of(connection: sa.Connection, query: sa.Select[Any]) -> tuple[Subscriber, ...]:
    """The rows of `subscribers` that a query finds, with their votes in their profiles."""
    people = tuple(map(subscriber_of, connection.execute(query)))
    table = schema.votes
    cast: dict[int, list[sa.Row[Any]]] = {}
    for some in in_groups([person.id for person in people]):
        votes = sa.select(table).where(table.c.subscriber_id.in_(some)).order_by(table.c.cast_at.desc())
        for row in connection.execute(votes):
            cast.setdefault(row.subscriber_id, []).append(row)
    return tuple(_with_votes(person, cast[person.id]) if person.id in cast else person for person in people)


def _with_votes(person: Subscriber, rows: Sequence[sa.Row[Any]]) -> Subscriber:
    liked = tuple(Vote(PaperId(row.paper_id), row.cast_at) for row in rows if row.ballot != Ballot.LESS)
    disliked = tuple(Vote(PaperId(row.paper_id), row.cast_at) for row in rows if row.ballot == Ballot.LESS)
    profile = replace(person.profile, liked=person.profile.liked + liked, disliked=person.profile.disliked + disliked)
    return replace(person, profile=profile)
