"""Invented papers, readers and editions for the tests of rendering; nothing here asserts."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from email.message import EmailMessage
from typing import Any

from digest.model import (
    Address,
    AnnounceType,
    Candidate,
    Change,
    Delivery,
    DeliveryId,
    DeliveryStatus,
    Edition,
    EditionId,
    FollowUp,
    Link,
    LinkKind,
    ListId,
    MailingList,
    NearMiss,
    Paper,
    PaperId,
    Pick,
    Profile,
    Reason,
    ReasonKind,
    Remark,
    Says,
    Selection,
    Sighting,
    SourceSummary,
    Subscriber,
    SubscriberId,
    Topic,
    TopicWeek,
)
from digest.render import EditionRenderer, message_id
from digest.render.addresses import ListLinks, ReaderLinks, VoteWords

LIST = MailingList(
    ListId("offprint"),
    "The Morning Offprint",
    "The Morning Offprint <digest@example.org>",
    timezone="Europe/Berlin",
    postal_address="12 Galley Row\nInkwell",
)
EDITION = Edition(
    EditionId(7),
    LIST.id,
    42,
    date(2026, 6, 10),
    datetime(2026, 6, 9, 6, tzinfo=UTC),
    datetime(2026, 6, 10, 6, tzinfo=UTC),
)
SOURCES = (
    SourceSummary("arxiv", 123, 62),
    SourceSummary("huggingface", 45, 45),
    SourceSummary("journal", 0, 0, error="the server did not answer within 20 s"),
)
ADA = Subscriber(
    SubscriberId(3),
    Address("ada@example.net"),
    "Ada Quill",
    profile=Profile((Topic("video-generation"),), authors=("Wren Okonjo-Hale",), categories=("cs.CV",)),
)
ABSTRACT = (
    "Video diffusion models forget. Past a few hundred frames the attention window slides on, and the red kettle on "
    "the stove comes back blue. We propose tidal attention, which keeps a bounded memory of past frames, e.g. Those "
    "of Fig. 3, and lets it ebb and flow: a token is washed out when the model can predict it from the others, and "
    "kept when it cannot. The memory costs nothing in the length of the video. In a study with 312 viewers, objects "
    "that had left the scene for a minute returned unchanged. We release weights, code and clips."
)


def paper(number: int = 1, **changes: Any) -> Paper:
    """A paper with everything, or what `changes` make of it."""
    arxiv = f"2606.9{number:04}"
    given: dict[str, Any] = {
        "id": PaperId(f"arxiv:{arxiv}"),
        "title": f"Tidal Attention, Part {number}: Streaming Video Diffusion with Bounded Memory",
        "abstract": ABSTRACT,
        "authors": ("Wren Okonjo-Hale", "Mathilde Fauré-Lindgren", "Tae-yang Mok", "Isaura Bettencourt"),
        "categories": ("cs.CV", "cs.LG"),
        "links": (
            Link(LinkKind.HUGGINGFACE, f"https://huggingface.co/papers/{arxiv}"),
            Link(LinkKind.ABS, f"https://arxiv.org/abs/{arxiv}"),
            Link(LinkKind.PDF, f"https://arxiv.org/pdf/{arxiv}"),
        ),
    }
    return Paper(**given | changes)


def candidate(of: Paper) -> Candidate:
    """The paper, announced by arXiv on the day before and by Hugging Face on the day of the edition."""
    return Candidate(
        of,
        (
            Sighting("arxiv", AnnounceType.NEW, date(2026, 6, 9)),
            Sighting("huggingface", AnnounceType.NEW, date(2026, 6, 10)),
        ),
    )


def candidates(papers: Sequence[Paper]) -> Mapping[PaperId, Candidate]:
    """The papers as an edition holds them."""
    return {p.id: candidate(p) for p in papers}


ON_VIDEO = Remark(Says.TOPIC, ("video-generation", "text-to-video", "diffusion"))


def picks(papers: Sequence[Paper], reason: Remark | str = ON_VIDEO) -> tuple[Pick, ...]:
    """All of the papers, the first of them trending."""
    told = Remark(Says.WRITTEN, (reason,)) if isinstance(reason, str) else reason
    return tuple(
        Pick(
            p.id,
            0.8,
            0.7,
            0.1 if index else 0.9,
            (Reason(ReasonKind.TOPIC, told, 0.6),)
            + (() if index else (Reason(ReasonKind.TREND, Remark(Says.SIGNAL, ("upvotes",), (412,)), 0.2),)),
        )
        for index, p in enumerate(papers)
    )


def renderer(papers: Sequence[Paper], mailing_list: MailingList = LIST) -> EditionRenderer:
    """An edition of the papers."""
    return EditionRenderer(mailing_list, EDITION, candidates(papers), SOURCES)


def delivery(to: Subscriber, picked: Sequence[Pick], mailing_list: MailingList = LIST) -> Delivery:
    """The edition's delivery to the subscriber."""
    identity = message_id(mailing_list, EDITION, to.id)
    return Delivery(
        DeliveryId(1), EDITION.id, to.id, to.address, DeliveryStatus.QUEUED, identity, lambda: Selection(tuple(picked))
    )


def read(message: bytes) -> EmailMessage:
    """The message as a mail program reads it."""
    read_back = email.message_from_bytes(message, policy=email.policy.default)
    assert isinstance(read_back, EmailMessage)
    return read_back


def body(message: EmailMessage, kind: str) -> str:
    """The part `plain` or `html`, with plain newlines."""
    part = message.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content()).replace("\r\n", "\n")


VOTING = ListLinks(
    lambda reader: ReaderLinks(
        f"https://digest.example.org/unsubscribe/offprint/{reader.id}.abc",
        f"https://digest.example.org/preferences/offprint/{reader.id}.abc",
        f"https://digest.example.org/vote/offprint/{reader.id}.abc/",
    ),
    VoteWords("more/", "less/", "save/"),
    "https://digest.example.org/archive/offprint",
)
"""The addresses of a list with pages."""


def whole_selection(papers: Sequence[Paper]) -> Selection:
    """Everything that an email can hold: five papers or more, the last two of them beside the picks."""
    *picked, trending, missed = papers
    by_topic, by_author, *others = picks(picked)
    by_author = by_author._replace(reasons=(Reason(ReasonKind.AUTHOR, Remark(Says.AUTHORS, ("Tim Brooks",)), 0.5),))
    trends = Reason(ReasonKind.TREND, Remark(Says.SIGNAL, ("upvotes",), (812,)), 0.9)
    return Selection(
        (by_topic, by_author, *others),
        (NearMiss(Pick(missed.id, 0.2, 0.18, 0.0), Remark(Says.IRRELEVANT, figures=(0.18, 0.2))),),
        (Pick(trending.id, 0.9, 0.0, 0.9, (trends,)),),
        (
            FollowUp(paper(30, title="Old Lamps", version=3), Change.NEW_VERSION, "3"),
            FollowUp(paper(31, title="Slow Glass"), Change.PUBLISHED, "Invented Letters 12"),
            FollowUp(paper(32, title="Wrong Turns"), Change.WITHDRAWN),
        ),
        (TopicWeek("video-generation", (2, 5, 3, 0, 0, 9, 4)), TopicWeek("stamps", (0, 0, 0, 0, 0, 0, 0))),
    )
