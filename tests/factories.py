"""Small values for tests, each with sensible defaults; nothing here is a real paper."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from digest.model import (
    Address,
    Announcement,
    AnnounceType,
    Claim,
    Delivery,
    DeliveryId,
    DeliveryStatus,
    EditionId,
    ListId,
    MailingList,
    Paper,
    PaperId,
    Pick,
    Profile,
    Reason,
    ReasonKind,
    Remark,
    Says,
    Selection,
    SourceReport,
    Subscriber,
    SubscriberId,
    Topic,
)

NOW = datetime(2026, 6, 9, 7, 0, tzinfo=UTC)
TODAY = date(2026, 6, 9)


def paper(number: int = 1, **changes: Any) -> Paper:
    """An invented paper; `number` makes it another one."""
    fields: dict[str, Any] = {
        "id": PaperId(f"arxiv:2606.{90000 + number}"),
        "title": f"Invented paper number {number}",
        "abstract": f"We invent paper {number}. It generates video by diffusion.",
        "authors": ("Ada Example",),
        "categories": ("cs.CV",),
        "primary_category": "cs.CV",
        "version": 1,
    }
    return Paper(**(fields | changes))


def announcement(number: int = 1, source: str = "arxiv", **changes: Any) -> Announcement:
    """An invented paper as arXiv would announce it."""
    fields: dict[str, Any] = {"announce_type": AnnounceType.NEW, "announced_on": TODAY, "source": source}
    return Announcement(paper=changes.pop("paper", paper(number)), **(fields | changes))


def report(*numbers: int, source: str = "arxiv", **changes: Any) -> SourceReport:
    """A source's report that announces the papers of these numbers."""
    return SourceReport(source, tuple(announcement(n, source) for n in numbers), **changes)


def subscriber(number: int = 1, **changes: Any) -> Subscriber:
    """A reader who follows one topic."""
    fields: dict[str, Any] = {
        "id": SubscriberId(number),
        "address": Address(f"reader{number}@example.org"),
        "name": f"Reader {number}",
        "profile": Profile(topics=(Topic("video", "video generation by diffusion"),)),
    }
    return Subscriber(**(fields | changes))


def selection(*numbers: int) -> Selection:
    """Picks of the papers with these numbers."""
    reasons = (Reason(ReasonKind.TOPIC, Remark(Says.TOPIC, ("video", "diffusion")), 0.5),)
    return Selection(tuple(Pick(paper(n).id, 0.5, 0.5, 0.0, reasons) for n in numbers))


def mailing_list(**changes: Any) -> MailingList:
    """A list with every other setting at its default."""
    fields: dict[str, Any] = {"id": ListId("lab"), "name": "Lab", "from_": "Lab <digest@example.org>"}
    return MailingList(**(fields | changes))


def claim(number: int = 1, token: int = 1, **changes: Any) -> Claim:
    """A delivery of edition 1 to subscriber `number`, held under a lease."""
    reader = subscriber(number)
    fields: dict[str, Any] = {"status": DeliveryStatus.QUEUED, "message_id": f"<{number}@example.org>"} | changes
    return Claim(
        Delivery(DeliveryId(number), EditionId(1), reader.id, reader.address, queued_at=NOW, **fields), reader, token
    )
