"""Invented papers and subscribers for `render.py`: as long as real ones, the same on every run.

88 papers with abstracts of 900 to 1,600 characters, of made-up words. Each subscriber is another: her name, address,
topics and authors are hers, and so are the words in the reasons of her fifteen picks.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

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
from digest.render import message_id

PAPERS = 88
PICKS = 15
LIST = MailingList(
    ListId("gazette"),
    "The Invented Gazette",
    "The Invented Gazette <gazette@example.org>",
    timezone="Europe/Berlin",
    postal_address="3 Nowhere Lane\nInkwell",
)
EDITION = Edition(
    EditionId(7),
    LIST.id,
    42,
    date(2026, 6, 10),
    datetime(2026, 6, 9, 6, tzinfo=UTC),
    datetime(2026, 6, 10, 6, tzinfo=UTC),
)
SOURCES = (SourceSummary("arxiv", 80, 71), SourceSummary("huggingface", 24, 17))
_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "or", "il", "é")]
_CUES = ("We propose", "However,", "Here, we show that", "In contrast,", "This is", "It follows that", "Code:")


def _words(draw: random.Random, count: int) -> list[str]:
    return ["".join(draw.choices(_SYLLABLES, k=draw.randint(1, 4))) for _ in range(count)]


TOPICS = [Topic(" ".join(_words(random.Random(n), 2))) for n in range(30)]
"""What the list offers to follow."""


def _abstract(draw: random.Random) -> str:
    """Sentences up to a length between 900 and 1,600."""
    length, text = draw.randint(960, 1600), ""
    while len(text) < length:
        said = _words(draw, draw.randint(12, 26))
        said[draw.randrange(len(said))] = f"{draw.randint(2, 99)}.{draw.randint(0, 9)}%"
        cue = draw.choice(_CUES) if draw.random() < 0.4 else _words(draw, 1)[0].title()
        text += f"{cue} {' '.join(said)}. "
    return text[: length - 1].rsplit(" ", 1)[0] + "."


def _paper(number: int, draw: random.Random) -> Paper:
    arxiv = f"2606.{number:05}"
    links = [(LinkKind.ABS, f"https://arxiv.org/abs/{arxiv}"), (LinkKind.PDF, f"https://arxiv.org/pdf/{arxiv}")]
    if draw.random() < 0.3:
        links.append((LinkKind.HUGGINGFACE, f"https://huggingface.co/papers/{arxiv}"))
    if draw.random() < 0.3:
        links.append((LinkKind.CODE, f"https://example.org/code/{number}?a=1&b=2"))
    return Paper(
        PaperId(f"arxiv:{arxiv}"),
        # In ASCII: where `email` folds a subject with other letters, it moves spaces from one word to the next.
        " ".join(_words(draw, draw.randint(6, 13))).capitalize().replace("é", "e"),
        _abstract(draw),
        tuple(" ".join(_words(draw, 2)).title() for _ in range(draw.randint(1, 14))),
        categories=tuple(draw.sample(("cs.CV", "cs.LG", "cs.CL", "cs.GR", "stat.ML"), draw.randint(1, 3))),
        links=tuple(Link(kind, url) for kind, url in links),
    )


def candidates() -> Mapping[PaperId, Candidate]:
    """The papers, as an edition holds them."""
    draw = random.Random(1)
    seen = (Sighting("arxiv", AnnounceType.NEW, date(2026, 6, 9)),)
    also = (*seen, Sighting("huggingface", AnnounceType.NEW, date(2026, 6, 10)))
    papers = [_paper(number, draw) for number in range(PAPERS)]
    return {paper.id: Candidate(paper, also if draw.random() < 0.3 else seen) for paper in papers}


def _pick(paper: Paper, topic: Topic, author: str, weight: float) -> Pick:
    """What speaks for a paper is the same for all who follow a topic; how much that counts is not."""
    draw = random.Random(f"{topic.name}{paper.id}")
    shared = draw.sample(paper.abstract.lower().rstrip(".").split(), 3)
    reasons = [Reason(ReasonKind.TOPIC, Remark(Says.TOPIC, (topic.name, *shared)), weight)]
    if author:
        reasons.insert(0, Reason(ReasonKind.AUTHOR, Remark(Says.AUTHORS, (author,)), 0.5))
    trend = random.Random(paper.id).random()
    if trend > 0.6:
        reasons.append(Reason(ReasonKind.TREND, Remark(Says.SIGNAL, ("upvotes",), (int(trend * 900),)), 0.3))
    return Pick(paper.id, 0.8, 0.7, trend, tuple(reasons))


def _week(topic: Topic) -> TopicWeek:
    return TopicWeek(topic.name, tuple(random.Random(topic.name).choices(range(9), k=7)))


def subscription(number: int, papers: Sequence[Paper], *, own_words: bool = True) -> tuple[Subscriber, Delivery]:
    """The subscriber of this number, and what is due to her. Without words of her own she follows three of `TOPICS`."""
    draw = random.Random(number)
    chosen = draw.sample(papers, PICKS + 5)
    followed = draw.choice(chosen[0].authors)
    topics = tuple(Topic(" ".join(_words(draw, 2))) for _ in range(3)) if own_words else tuple(draw.sample(TOPICS, 3))
    profile = Profile(topics, authors=(followed, " ".join(_words(draw, 2))))
    reader = Subscriber(
        SubscriberId(number),
        Address(f"reader{number}@example.net"),
        " ".join(_words(draw, 2)).title() if number % 4 else "",
        profile=profile,
    )
    picks = [
        _pick(paper, draw.choice(topics), "" if place else followed, draw.random())
        for place, paper in enumerate(chosen)
    ]
    selection = Selection(
        tuple(picks[:PICKS]),
        tuple(NearMiss(pick, Remark(Says.IRRELEVANT, figures=(draw.uniform(0.1, 0.199), 0.2))) for pick in picks[-3:]),
        tuple(picks[PICKS:-3]),
        (FollowUp(draw.choice(papers), Change.NEW_VERSION, "2"),),
        tuple(map(_week, topics)),
    )
    return reader, Delivery(
        DeliveryId(number),
        EDITION.id,
        reader.id,
        reader.address,
        DeliveryStatus.QUEUED,
        message_id(LIST, EDITION, reader.id),
        lambda: selection,
    )
