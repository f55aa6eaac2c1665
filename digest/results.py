"""What an `App` gives back: what a pull gave, what an edition would be or was, what a send did. Values; no adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, Self

from digest import edition as life
from digest.meaning import Embedded
from digest.model import (
    Address,
    Candidate,
    Claim,
    Delivery,
    DeliveryId,
    DeliveryStatus,
    Edition,
    MailingList,
    Outcome,
    PaperId,
    Selection,
    SourceReport,
    SourceSummary,
    Subscriber,
)
from digest.render import EditionRenderer, Rendered, message_id
from digest.send.outbox import DrainReport
from digest.store import EditionOverview


@dataclass(frozen=True, slots=True)
class Pulled:
    """What one pull gave, and what of it was new to this list."""

    reports: tuple[SourceReport, ...]
    summaries: tuple[SourceSummary, ...]
    figures: tuple[SourceReport, ...] = ()
    """What others said about the papers: signals alone."""

    @property
    def all_reports(self) -> tuple[SourceReport, ...]:
        """What is to be kept."""
        return self.reports + self.figures

    @property
    def health(self) -> tuple[SourceSummary, ...]:
        """How everyone who was asked did."""
        return self.summaries + life.summarise(self.figures, ())


@dataclass(frozen=True, slots=True)
class Proof:
    """An edition as it would be, or was, made: what `rank`, `preview` and `send --dry-run` show."""

    edition: Edition
    frozen: bool
    candidates: Mapping[PaperId, Candidate]
    summaries: tuple[SourceSummary, ...]
    selections: tuple[tuple[Subscriber, Selection], ...]
    renderer: EditionRenderer
    semantic: bool
    """Whether meaning counted beside words."""
    unknown: frozenset[PaperId] = frozenset()
    """Papers that profiles name and no source has announced: they cannot count."""

    def render(self, subscriber: Subscriber, selection: Selection) -> Rendered:
        """Her email, as a person reads it."""
        return self.renderer.render(subscriber, selection)

    def compose(self, subscriber: Subscriber, selection: Selection, mailing_list: MailingList, salt: str = "") -> bytes:
        """Her email, as it goes over the wire; salted, it has a Message-ID of its own."""
        delivery = unrecorded(self.edition, subscriber, selection, mailing_list)
        salted = replace(delivery, message_id=delivery.message_id.replace("@", f".{salt}@")) if salt else delivery
        return self.renderer.compose(subscriber, salted)


@dataclass(frozen=True, slots=True)
class Sent:
    """What one `send` did. `nothing_because` is set where there was nothing to do."""

    pulled: Pulled | None
    overviews: tuple[EditionOverview, ...]
    drained: DrainReport | None
    nothing_because: str | None = None
    expected_something: bool = False
    """Nothing was done although something should have been: no subscriber, or nothing in a first edition."""
    stopped: bool = False
    """It was asked to stop before it was done."""
    semantic: bool | None = None
    """Whether meaning counted beside words, where an edition was made."""
    look_again_at: datetime | None = None
    """The edition that is due stays open until then, as a source is not complete."""


class Settled(NamedTuple):
    """What became of one delivery, as much as is shown of it."""

    address: Address
    papers: int
    status: DeliveryStatus
    reply: str

    @classmethod
    def of(cls, claim: Claim, outcome: Outcome) -> Self:
        """Of a claim."""
        delivery = claim.delivery
        return cls(delivery.address, len(delivery.picks), outcome.status, outcome.reply)


OnResult = Callable[[Settled], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """Whom to tell what while it happens."""

    on_report: Callable[[SourceReport], None] | None = None
    on_edition: Callable[[Edition], None] | None = None
    on_result: OnResult | None = None
    on_embedded: Embedded | None = None


QUIET = Progress()
"""Tells nobody."""


def nobody_gets_a_paper(overviews: Sequence[EditionOverview]) -> bool:
    """Whether the editions hold no paper for anybody."""
    return bool(overviews) and all(overview.counts.keys() == {DeliveryStatus.CANCELLED} for overview in overviews)


def why_nothing_is_due(overviews: Sequence[EditionOverview], now: datetime) -> str | None:
    """What keeps unfinished editions waiting, where it is not this process."""
    if nobody_gets_a_paper(overviews):
        return "no paper reached min_relevance for anybody: `digest rank` shows how near they came"
    for overview in overviews:
        if any(overview.counts.get(status) for status in (DeliveryStatus.ACTIVE, DeliveryStatus.SENDING)):
            return f"another process is sending edition {overview.edition.number}"
        if overview.next_attempt_at:
            due = f"{overview.next_attempt_at:%Y-%m-%d %H:%M} UTC"
            return f"edition {overview.edition.number} waits for deferred deliveries, the next is due {due}"
        waiting, first = overview.waiting(now)
        if first:
            wait = f"{waiting:,} {'waits' if waiting == 1 else 'wait'} for their hour"
            return f"edition {overview.edition.number}: {wait}, the first leaves {first:%Y-%m-%d %H:%M} UTC"
    return None


def unrecorded(edition: Edition, subscriber: Subscriber, selection: Selection, mailing_list: MailingList) -> Delivery:
    """Her delivery as it would be, on no record."""
    return Delivery(
        id=DeliveryId(0),
        edition_id=edition.id,
        subscriber_id=subscriber.id,
        address=subscriber.address,
        status=DeliveryStatus.QUEUED,
        message_id=message_id(mailing_list, edition, subscriber.id),
        frozen=lambda: selection,
        queued_at=edition.cutoff,
    )
