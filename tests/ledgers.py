"""A store full of invented days, written straight into its tables: editions, deliveries, what came back, votes."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from digest.members import Ballot, Subscription
from digest.model import BounceKind, Coverage, DeliveryStatus, EditionId, ListId, Profile, SourceSummary
from digest.store import Database, Sources, schema
from digest.store.codec import encode
from digest.store.postgres import add_partition
from tests.factories import selection

LAB = ListId("lab")
WEEKEND = 5
AT_ONCE = 5000


def fill(
    database: Database,
    last: date,
    days: int = 60,
    readers: int = 400,
    *,
    list_id: ListId = LAB,
    open_counts: Mapping[DeliveryStatus, int] | None = None,
    picks: int = 12,
    seed: int = 1,
) -> None:
    """Working days up to `last`, the last edition with `open_counts` of its deliveries not settled."""
    dice = random.Random(seed)
    profile, chosen = encode(Profile()), encode(selection(*range(picks)).picks)
    with database.write() as connection:
        people = [_person(list_id, n, profile, last, days) for n in range(readers)]
        for some in _groups(people):
            connection.execute(sa.insert(schema.subscribers), some)
        found = sa.select(schema.subscribers.c.id).where(schema.subscribers.c.list_id == list_id)
        ids = connection.execute(found.order_by(schema.subscribers.c.id)).scalars().all()
        suppressions = [
            {"address_key": f"gone{n}.{list_id}@example.org", "reason": reason, "suppressed_at": _at(last)}
            for n, reason in enumerate(["hard bounce: gone"] * 5 + ["550 5.1.1 no such user (RCPT TO)"] * 3)
        ]
        connection.execute(sa.insert(schema.suppressions), suppressions)
        number = 0
        for day in (last - timedelta(days=days - 1 - n) for n in range(days)):
            if day.weekday() >= WEEKEND:
                continue
            number += 1
            is_open = day == last and open_counts is not None
            edition_id = _edition(connection, dice, list_id, number, day, len(ids), is_open)
            size = max(len(ids) * (days + number) // (2 * days), 1) if not is_open else len(ids)
            connection.execute(
                sa.update(schema.editions).where(schema.editions.c.id == edition_id).values(recipients=size)
            )
            _deliveries(connection, dice, edition_id, day, ids[:size], chosen, open_counts if is_open else None)
            _votes(connection, dice, ids, day, number)
    health = [_summary(dice, "arxiv", 251), _summary(dice, "huggingface", 42), _summary(dice, "nature.com", 14)]
    broken = SourceSummary("biorxiv", 0, 0, error="answered 503 Service Unavailable")
    Sources(database).record(list_id, [*health, _summary(dice, "biorxiv", 9)], _at(last - timedelta(days=4)))
    Sources(database).record(list_id, [*health, broken], _at(last))


def _person(list_id: ListId, n: int, profile: str, last: date, days: int) -> dict[str, Any]:
    kinds = {3: Subscription.UNCONFIRMED, 7: Subscription.UNSUBSCRIBED, 8: Subscription.UNSUBSCRIBED}
    return {
        "list_id": list_id,
        "address": f"reader{n}@example.org",
        "address_key": f"reader{n}@example.org",
        "name": f"Reader {n}",
        "profile": profile,
        "subscription": kinds.get(n % 97, Subscription.CONFIRMED),
        "listed": True,
        "paused_until": last + timedelta(days=7) if n % 89 == 1 else None,
        "created_at": _at(last - timedelta(days=days)),
    }


def _summary(dice: random.Random, name: str, most: int) -> SourceSummary:
    papers = dice.randint(most * 2 // 3, most)
    coverage = (Coverage("cs.CV", papers, papers + 2 * (dice.random() < 0.1)),) if name == "arxiv" else ()
    return SourceSummary(name, papers, papers - dice.randint(0, papers // 8), coverage=coverage)


def _edition(
    connection: sa.Connection, dice: random.Random, list_id: ListId, number: int, day: date, size: int, is_open: bool
) -> int:
    sources = [_summary(dice, "arxiv", 251), _summary(dice, "huggingface", 42), _summary(dice, "nature.com", 14)]
    fails = dice.random() < 0.06 or is_open
    failed = SourceSummary("biorxiv", 0, 0, error="answered 503 Service Unavailable")
    sources.append(failed if fails else _summary(dice, "biorxiv", 9))
    made = connection.execute(
        sa.insert(schema.editions)
        .values(
            list_id=list_id,
            number=number,
            due_on=day,
            cutoff=_at(day),
            sources=encode(tuple(sources)),
            recipients=size,
            recipients_frozen_at=_at(day) + timedelta(minutes=1),
            finished_at=None if is_open else _at(day) + timedelta(minutes=dice.randint(4, 90)),
        )
        .returning(schema.editions.c.id)
    )
    edition_id: int = made.scalar_one()
    add_partition(connection, EditionId(edition_id))
    rows = [
        {"edition_id": edition_id, "position": n, "paper_id": f"arxiv:{day:%y%m}.{n:05}", "candidate": "{}"}
        for n in range(sum(summary.fresh for summary in sources))
    ]
    connection.execute(sa.insert(schema.edition_papers), rows)
    return edition_id


def _deliveries(
    connection: sa.Connection,
    dice: random.Random,
    edition_id: int,
    day: date,
    ids: Sequence[int],
    chosen: str,
    open_counts: Mapping[DeliveryStatus, int] | None,
) -> None:
    statuses = [status for status, count in (open_counts or {}).items() for _ in range(count)]
    settled = ((DeliveryStatus.BOUNCED, 0.004), (DeliveryStatus.CANCELLED, 0.03), (DeliveryStatus.EXPIRED, 0.001))
    for status, share in settled:
        statuses += [status] * sum(dice.random() < share for _ in range(len(ids)))
    statuses = statuses[: len(ids)]
    statuses = [DeliveryStatus.SENT] * (len(ids) - len(statuses)) + statuses
    rows = [
        {
            "edition_id": edition_id,
            "subscriber_id": subscriber_id,
            "address": f"reader{subscriber_id}@example.org",
            "status": status,
            "message_id": f"<{edition_id}.{subscriber_id}@example.org>",
            "picks": chosen,
            "queued_at": _at(day),
            "attempts": int(status is not DeliveryStatus.QUEUED),
            "next_attempt_at": _at(day) + timedelta(minutes=50) if status is DeliveryStatus.DEFERRED else None,
            "reply": "" if status in (DeliveryStatus.SENT, DeliveryStatus.QUEUED) else f"as {status} as can be",
            "settled_at": _at(day) + timedelta(minutes=3) if status is DeliveryStatus.SENT else None,
        }
        for subscriber_id, status in zip(ids, statuses, strict=True)
    ]
    for some in _groups(rows):
        connection.execute(sa.insert(schema.deliveries), some)
    sent = sa.select(schema.deliveries.c.id).where(
        schema.deliveries.c.edition_id == edition_id, schema.deliveries.c.status == DeliveryStatus.SENT
    )
    back = [delivery for delivery in connection.execute(sent).scalars() if dice.random() < 0.006]
    kinds = [BounceKind.SOFT, BounceKind.SOFT, BounceKind.HARD, BounceKind.POLICY, BounceKind.COMPLAINT]
    if back:
        bounces = [
            {
                "delivery_id": delivery,
                "kind": dice.choice(kinds),
                "enhanced_code": "4.2.2",
                "diagnostic": "full",
                "recorded_at": _at(day) + timedelta(hours=1),
            }
            for delivery in back
        ]
        connection.execute(sa.insert(schema.bounces), bounces)


def _votes(connection: sa.Connection, dice: random.Random, ids: Sequence[int], day: date, number: int) -> None:
    ballots = [Ballot.MORE, Ballot.MORE, Ballot.MORE, Ballot.LESS, Ballot.SAVE]
    rows = [
        {
            "subscriber_id": subscriber_id,
            "paper_id": f"arxiv:2606.{number:05}",
            "ballot": dice.choice(ballots),
            "cast_at": _at(day) + timedelta(hours=dice.randint(1, 9)),
        }
        for subscriber_id in ids
        if dice.random() < 0.04
    ]
    if rows:
        connection.execute(sa.insert(schema.votes), rows)


def _groups(rows: Sequence[dict[str, Any]]) -> list[Sequence[dict[str, Any]]]:
    return [rows[n : n + AT_ONCE] for n in range(0, len(rows), AT_ONCE)]


def _at(day: date) -> datetime:
    return datetime.combine(day, time(5), UTC)
