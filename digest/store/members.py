"""What members do and choose: sign-ups, confirmations, preferences, votes, and their right to be told and forgotten.

The rules of who may do what are `digest/membership.py`'s; here each method is one durable transaction. Who gets
editions is `subscribers.py`'s.
"""

from __future__ import annotations

import hmac
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from digest.members import (
    Admission,
    Ballot,
    CastVote,
    Entry,
    Known,
    Member,
    Preferences,
    Standing,
    Subscription,
    admission,
)
from digest.model import Address, ListId, PaperId, SubscriberId
from digest.store import schema
from digest.store.codec import encode
from digest.store.database import Database
from digest.store.received import all_had, forget, let_go
from digest.store.statements import insert, overwrite
from digest.store.subscribers import address_key, frequency_of, profile_of, subscription_of

AT_ONCE = 500
"""Members read or written in one statement."""

table = schema.subscribers
suppressed = (
    sa.select(schema.suppressions.c.address_key)
    .where(schema.suppressions.c.address_key == table.c.address_key)
    .exists()
)
_ERASED = "erased-"
NOT_ERASED = ~table.c.address_key.startswith(_ERASED)
everything = sa.select(table, suppressed.label("suppressed"))


class Members:
    """The members of one list."""

    def __init__(self, database: Database, list_id: ListId):
        self._database = database
        self._list_id = list_id

    def get(self, member_id: SubscriberId) -> Member | None:
        """The member with this id; None where there is none, or she was erased."""
        return self._one(table.c.id == member_id)

    def find(self, address: Address) -> Member | None:
        """The member with this address, however it is spelt."""
        return self._one(table.c.address_key == address_key(address))

    def known(self, address: Address) -> Known:
        """What the list knows of an address, but for its having been erased."""
        key = address_key(address)
        with self._database.read() as connection:
            return self._known(connection, [key]).get(key, Known())

    def all(self) -> Iterator[Member]:
        """Everybody who was not erased, in the order in which they came."""
        after = 0
        while True:
            query = everything.where(self._here(), table.c.id > after).order_by(table.c.id).limit(AT_ONCE)
            with self._database.read() as connection:
                rows = connection.execute(query).all()
            if not rows:
                return
            yield from map(_member, rows)
            after = rows[-1].id

    def add(self, address: Address, preferences: Preferences, now: datetime) -> Member:
        """Notes what somebody who has proved nothing asks for: it counts once she confirms.

        Whoever is a member is left as she is: that somebody asks in her name must change nothing. Of several wishes the
        last one counts; the config's, where she is put there meanwhile, before all.
        """
        row = {
            "list_id": self._list_id,
            "address": address,
            "address_key": address_key(address),
            "subscription": Subscription.UNCONFIRMED,
            "listed": False,
            "created_at": now,
            **_columns(preferences),
        }
        is_member = sa.and_(table.c.subscription == Subscription.CONFIRMED, sa.or_(table.c.listed, table.c.signed_up))
        statement = insert(table).values(row)
        # Whoever has not confirmed is forgotten some time after this, and not while she is being asked again.
        asked_at = sa.case(
            (table.c.subscription == Subscription.UNCONFIRMED, statement.excluded.created_at), else_=table.c.created_at
        )
        again = statement.on_conflict_do_update(
            index_elements=[table.c.list_id, table.c.address_key],
            set_={**_columns(preferences), "created_at": asked_at},
            where=~is_member,
        )
        with self._database.write() as connection:
            connection.execute(again)
            found = connection.execute(everything.where(self._here(), table.c.address_key == address_key(address)))
            return _member(found.one())

    def enrol(
        self, people: Iterable[Entry], was_erased: Callable[[Address], bool], now: datetime, *, keep: bool = True
    ) -> Counter[Admission]:
        """Puts people on the list, each address once, in one transaction; what `admission` says of each is counted.

        They are read to the end before the transaction begins: what their reader raises leaves nothing behind, and
        nobody waits for it. Without `keep` nothing is written.
        """
        counts: Counter[Admission] = Counter()
        with tempfile.TemporaryFile("w+", encoding="utf-8") as spool:
            for person in people:
                spool.write(json.dumps({**_as_row(person), "erased": was_erased(person.address)}) + "\n")
            spool.seek(0)
            with self._database.write() if keep else self._database.read() as connection:
                while some := [json.loads(line) for line in islice(spool, AT_ONCE)]:
                    counts += self._enrol(connection, some, now, keep=keep)
        return counts

    def _enrol(
        self, connection: sa.Connection, rows: list[dict[str, Any]], now: datetime, *, keep: bool
    ) -> Counter[Admission]:
        known = self._known(connection, [row["address_key"] for row in rows])
        by_fate: dict[Admission, list[dict[str, Any]]] = {}
        for row in rows:
            what = replace(known.get(row["address_key"], Known()), erased=row.pop("erased"))
            by_fate.setdefault(admission(Standing(row.pop("standing")), what), []).append(row)
        if keep and (added := by_fate.get(Admission.ADDED)):
            for row in added:
                paused = row["paused_until"]
                row["paused_until"] = date.fromisoformat(paused) if paused else None
            arrival = {"subscription": Subscription.CONFIRMED, "signed_up": True, "has_chosen": True}
            statement = insert(table).values(
                list_id=self._list_id, listed=False, created_at=now, confirmed_at=now, **arrival
            )
            new = statement.excluded
            changed = {name: new[name] for name in (*_columns(Preferences()), *arrival, "confirmed_at")}
            again = statement.on_conflict_do_update(index_elements=[table.c.list_id, table.c.address_key], set_=changed)
            connection.execute(again, added)
        if keep and (noted := by_fate.get(Admission.NOTED)):
            connection.execute(
                insert(table)
                .values(list_id=self._list_id, subscription=Subscription.UNSUBSCRIBED, listed=False, created_at=now)
                .on_conflict_do_update(
                    index_elements=[table.c.list_id, table.c.address_key],
                    set_={"subscription": Subscription.UNSUBSCRIBED},
                ),
                [{name: row[name] for name in ("address", "address_key", "name", "profile")} for row in noted],
            )
        return Counter({fate: len(some) for fate, some in by_fate.items()})

    def _known(self, connection: sa.Connection, keys: list[str]) -> dict[str, Known]:
        gone = schema.suppressions.c.address_key
        suppressed = set(connection.execute(sa.select(gone).where(gone.in_(keys))).scalars())
        query = sa.select(table.c.id, table.c.address_key, table.c.subscription, table.c.listed, table.c.signed_up)
        rows = connection.execute(query.where(self._here(), table.c.address_key.in_(keys)))
        found = {key: Known(suppressed=True) for key in suppressed}
        for row in rows:
            active = row.subscription == Subscription.CONFIRMED and (row.listed or row.signed_up)
            found[row.address_key] = Known(subscription_of(row), active, row.address_key in suppressed)
        return found

    def confirm(self, member_id: SubscriberId, now: datetime) -> Member | None:
        """She has proved that the address is hers and that she wants it: whatever stood against it is over."""
        with self._database.write() as connection:
            row = connection.execute(everything.where(self._here(), table.c.id == member_id)).one_or_none()
            return _confirm(connection, _member(row), now) if row else None

    def unsubscribe(self, member_id: SubscriberId) -> bool:
        """Ends a subscription for good; False where it had ended. What is queued for her becomes `cancelled`."""
        with self._database.write() as connection:
            ended = connection.execute(
                sa.update(table)
                .where(self._here(), table.c.id == member_id, table.c.subscription != Subscription.UNSUBSCRIBED)
                .values(subscription=Subscription.UNSUBSCRIBED)
            )
            return ended.rowcount > 0

    def choose(self, member_id: SubscriberId, preferences: Preferences) -> Member | None:
        """Her own preferences, which the config does not change any more."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(table)
                .where(self._here(), table.c.id == member_id)
                .values(**_columns(preferences), has_chosen=True)
            )
        return self.get(member_id)

    def vote(self, member_id: SubscriberId, vote: CastVote) -> bool:
        """Keeps her last word on a paper; False where that is what she had said before."""
        votes = schema.votes
        row = {"subscriber_id": member_id, "paper_id": vote.paper_id, "ballot": vote.ballot, "cast_at": vote.at}
        statement = insert(votes).values(row)
        with self._database.write() as connection:
            changed = connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[votes.c.subscriber_id, votes.c.paper_id],
                    set_={"ballot": vote.ballot, "cast_at": vote.at},
                    where=votes.c.ballot != vote.ballot,
                )
            )
            return changed.rowcount > 0

    def votes(self, member_id: SubscriberId) -> tuple[CastVote, ...]:
        """All her votes, newest first."""
        votes = schema.votes
        query = sa.select(votes).where(votes.c.subscriber_id == member_id).order_by(votes.c.cast_at.desc())
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return tuple(CastVote(PaperId(row.paper_id), Ballot(row.ballot), row.cast_at) for row in rows)

    def held(self, member: Member) -> dict[str, Any]:
        """Everything that is held about her, as plain JSON values."""
        deliveries, editions, bounces = schema.deliveries, schema.editions, schema.bounces
        hers = sa.and_(deliveries.c.subscriber_id == member.id, ~let_go())
        made = sa.join(deliveries, editions, deliveries.c.edition_id == editions.c.id)
        dated = sa.select(deliveries, editions.c.number, editions.c.due_on).select_from(made)
        sent = dated.where(hers).order_by(deliveries.c.id)
        came_back = made.join(bounces, bounces.c.delivery_id == deliveries.c.id)
        returned = sa.select(bounces).select_from(came_back).where(hers)
        gone, letters = schema.suppressions, schema.letters
        written = sa.select(letters.c.kind, letters.c.written_at, letters.c.reply).where(
            letters.c.list_id == self._list_id, letters.c.address_key == address_key(member.address)
        )
        votes = self.votes(member.id)
        with self._database.read() as connection:
            row = connection.execute(sa.select(table).where(table.c.id == member.id)).one()
            suppression = connection.execute(
                sa.select(gone).where(gone.c.address_key == address_key(member.address))
            ).one_or_none()
            return {
                "list": member.list_id,
                "subscriber": _plain(row),
                "votes": [{"paper": vote.paper_id, "vote": vote.ballot, "at": vote.at.isoformat()} for vote in votes],
                "suppression": _plain(suppression) if suppression else None,
                "deliveries": [_plain(each) for each in connection.execute(sent)],
                "bounces": [_plain(each) for each in connection.execute(returned)],
                "received": list(all_had(connection, member.list_id, member.id)),
                "letters": [_plain(each) for each in connection.execute(written)],
            }

    def erase(self, member: Member, key: bytes, now: datetime) -> None:
        """Forgets her: all that is left is a keyed hash of the address, and that so many deliveries were made."""
        deliveries, bounces = schema.deliveries, schema.bounces
        hers = sa.select(deliveries.c.id).where(deliveries.c.subscriber_id == member.id)
        nobody = erased_address(member.id)
        with self._database.write() as connection:
            overwrite(connection)
            letters, gone, key_ = schema.letters, schema.suppressions, address_key(member.address)
            connection.execute(
                sa.delete(letters).where(letters.c.list_id == self._list_id, letters.c.address_key == key_)
            )
            # A suppression holds for all lists of the database: as long as one of them knows her, it stays.
            elsewhere = sa.select(table.c.id).where(table.c.address_key == key_, table.c.id != member.id)
            connection.execute(sa.delete(gone).where(gone.c.address_key == key_, ~elsewhere.exists()))
            connection.execute(sa.delete(schema.votes).where(schema.votes.c.subscriber_id == member.id))
            connection.execute(sa.update(bounces).where(bounces.c.delivery_id.in_(hers)).values(diagnostic=""))
            connection.execute(
                sa.update(deliveries)
                .where(deliveries.c.subscriber_id == member.id)
                .values(address=nobody, picks="[]", beside="{}", reply="")
            )
            forget(connection, member.id)
            connection.execute(sa.update(table).where(table.c.id == member.id).values(nobody_left()))
            connection.execute(
                insert(schema.erasures)
                .values(address_hash=hash_of(member.address, key), erased_at=now)
                .on_conflict_do_nothing()
            )

    def erased(self) -> frozenset[bytes]:
        """The hashes (`hash_of`) of all who were erased from any list of the database."""
        with self._database.read() as connection:
            return frozenset(connection.execute(sa.select(schema.erasures.c.address_hash)).scalars())

    def forgive(self, address: Address, key: bytes) -> None:
        """She came again, by herself: nothing is left of the erasure."""
        erasures = schema.erasures
        with self._database.write() as connection:
            connection.execute(sa.delete(erasures).where(erasures.c.address_hash == hash_of(address, key)))

    def _here(self) -> sa.ColumnElement[bool]:
        return sa.and_(table.c.list_id == self._list_id, NOT_ERASED)

    def _one(self, condition: sa.ColumnElement[bool]) -> Member | None:
        with self._database.read() as connection:
            row = connection.execute(everything.where(self._here(), condition)).one_or_none()
        return _member(row) if row else None


def nobody_left() -> dict[str, Any]:
    """What a row of `subscribers` holds whose person is forgotten: her number, which nobody is given again."""
    nobody = sa.literal(_ERASED) + sa.cast(table.c.id, sa.String)
    return {
        **_columns(Preferences()),
        "address": nobody,
        "address_key": nobody,
        "subscription": Subscription.UNSUBSCRIBED,
        "listed": False,
        "signed_up": False,
        "has_chosen": True,
        "created_at": None,
        "confirmed_at": None,
    }


def erased_address(number: int) -> str:
    """What stands in the place of an address, and of its key, where the person with that number was erased."""
    return f"{_ERASED}{number}"


def hash_of(address: Address, key: bytes) -> bytes:
    """HMAC-SHA256 of the address as it is compared: without the key nobody can try addresses against it."""
    return hmac.digest(key, address_key(address).encode(), "sha256")


def _confirm(connection: sa.Connection, member: Member, now: datetime) -> Member:
    connection.execute(
        sa.update(table)
        .where(table.c.id == member.id)
        .values(subscription=Subscription.CONFIRMED, signed_up=True, has_chosen=True, confirmed_at=now)
    )
    gone = schema.suppressions.c.address_key == address_key(member.address)
    connection.execute(sa.delete(schema.suppressions).where(gone))
    return replace(
        member, subscription=Subscription.CONFIRMED, signed_up=True, has_chosen=True, confirmed_at=now, suppressed=False
    )


def _as_row(person: Entry) -> dict[str, Any]:
    paused = person.preferences.paused_until
    return {
        "address": person.address,
        "address_key": address_key(person.address),
        "standing": person.standing,
        **_columns(person.preferences),
        "paused_until": paused.isoformat() if paused else None,
    }


def _columns(preferences: Preferences) -> dict[str, Any]:
    return {
        "name": preferences.name,
        "profile": encode(preferences.profile),
        "timezone": preferences.timezone,
        "language": preferences.language,
        "frequency": preferences.frequency,
        "hour": preferences.hour,
        "paused_until": preferences.paused_until,
    }


def _member(row: sa.Row[Any]) -> Member:
    preferences = Preferences(
        row.name,
        profile_of(row),
        row.timezone,
        row.language,
        frequency_of(row),
        row.hour,
        row.paused_until,
    )
    return Member(
        SubscriberId(row.id),
        ListId(row.list_id),
        Address(row.address),
        preferences,
        subscription_of(row),
        row.listed,
        row.signed_up,
        row.has_chosen,
        row.created_at,
        row.confirmed_at,
        row.suppressed,
    )


_KEPT_AS_JSON = ("profile", "picks", "beside")


def _plain(row: sa.Row[*tuple[Any, ...]]) -> dict[str, Any]:
    """A row as JSON has it: what is kept as JSON is part of it, times are in ISO 8601."""
    return {name: _plain_value(name, value) for name, value in row._mapping.items()}


def _plain_value(name: str, value: Any) -> Any:
    if name in _KEPT_AS_JSON:
        return json.loads(value)
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
