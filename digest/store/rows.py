"""A delivery as a row: written when it is queued, read when it is claimed or shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from digest.model import (
    Address,
    Delivery,
    DeliveryId,
    DeliveryStatus,
    Edition,
    EditionId,
    Pick,
    Selection,
    Subscriber,
    SubscriberId,
)
from digest.store.codec import decode, encode


def rows_of(
    edition: Edition,
    selected: Sequence[tuple[Subscriber, Selection, str]],
    now: datetime,
    nothing_for: str | None,
    leaves: Mapping[SubscriberId, datetime],
) -> list[dict[str, object]]:
    """The deliveries of `Editions.enqueue` as they are kept."""
    rows: list[dict[str, object]] = []
    for subscriber, selection, message_id in selected:
        empty = not selection.picks and nothing_for is not None
        later = None if empty else leaves.get(subscriber.id)
        rows.append(
            {
                "edition_id": edition.id,
                "subscriber_id": subscriber.id,
                "address": subscriber.address,
                "status": DeliveryStatus.CANCELLED if empty else DeliveryStatus.QUEUED,
                "reply": nothing_for if empty else "",
                "settled_at": now if empty else None,
                "message_id": message_id,
                "picks": encode(selection.picks),
                "beside": encode(replace(selection, picks=())),
                "queued_at": later or now,
                "next_attempt_at": later,
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
        frozen=partial(_selection, row.id, row.picks, row.beside),
        queued_at=row.queued_at,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        reply=row.reply,
        relay=row.relay,
    )


def _selection(delivery_id: int, picks: str, beside: str) -> Selection:
    """What was frozen for a delivery. Raises ValueError if it cannot be read."""
    try:
        return replace(decode(beside, Selection), picks=decode(picks, tuple[Pick, ...]))
    except ValueError as error:
        raise ValueError(f"what was frozen for delivery {delivery_id} cannot be read: {error}") from error
