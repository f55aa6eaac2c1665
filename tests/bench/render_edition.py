"""An invented edition for the bench of rendering: papers of real lengths, and readers of whom no two are alike.

Words are made up of syllables, with those of ordinary English between them, so that sentences, wrapping and encoding
cost what they cost in earnest. Nothing here is a real paper or person.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random

from digest.model import (
    Address,
    Candidate,
    Delivery,
    DeliveryId,
    DeliveryStatus,
    Link,
    LinkKind,
    NearMiss,
    Paper,
    PaperId,
    Pick,
    Profile,
    Reason,
    ReasonKind,
    Selection,
    Subscriber,
    SubscriberId,
    Topic,
    TopicWeek,
)
from digest.render import message_id
from tests.render_samples import EDITION, LIST, candidate

PAPERS = 88
PICKS, TRENDING, MISSED, TOPICS = 15, 3, 2, 3
ABSTRACT = (900, 1600)
"""Characters."""
JOINTS = ("of", "the", "and", "with", "for", "a", "in", "by", "from", "that", "over")
OPENINGS = ("We show that", "We propose", "However,", "In this paper, we", "Existing", "Experiments on", "Code for")
FIELDS = ("cs.CV", "cs.LG", "cs.CL", "stat.ML", "eess.IV", "q-bio.BM")
SYLLABLES = [one + two for one in "bdfgklmnprstvz" for two in ("a", "e", "i", "o", "u", "an", "or", "il")]


@dataclass(frozen=True, slots=True)
class Order:
    """One message to make."""

    reader: Subscriber
    delivery: Delivery


def papers(count: int = PAPERS) -> dict[PaperId, Candidate]:
    """The papers of an edition."""
    draw = Random(88)
    made = [_paper(draw, number) for number in range(1, count + 1)]
    return {paper.id: candidate(paper) for paper in made}


def _paper(draw: Random, number: int) -> Paper:
    abstract, length = "", draw.randint(*ABSTRACT)
    while len(abstract) < length:
        abstract += f"{draw.choice(OPENINGS)} {_words(draw, draw.randint(8, 26))}. "
    arxiv = f"2606.{number:05}"
    links = [
        Link(LinkKind.ABS, f"https://arxiv.org/abs/{arxiv}"),
        Link(LinkKind.PDF, f"https://arxiv.org/pdf/{arxiv}"),
        Link(LinkKind.HTML, f"https://arxiv.org/html/{arxiv}"),
    ]
    if number % 3 == 0:
        links.append(Link(LinkKind.CODE, f"https://github.com/{_name(draw).lower()}/{_name(draw).lower()}"))
    return Paper(
        PaperId(f"arxiv:{arxiv}"),
        _words(draw, draw.randint(7, 14)).capitalize(),
        abstract[:length].rpartition(" ")[0] + ".",
        tuple(_person(draw) for _ in range(draw.randint(1, 12))),
        categories=tuple(draw.sample(FIELDS, draw.randint(1, 3))),
        links=tuple(links),
    )


def orders(first: int, count: int, ids: Sequence[PaperId]) -> Iterator[Order]:
    """Messages to readers with these numbers; a reader's number decides everything of hers."""
    for number in range(first, first + count):
        draw = Random(number)
        topics = [f"{_name(draw).lower()}-{_name(draw).lower()}" for _ in range(TOPICS)]
        profile = Profile(tuple(Topic(topic) for topic in topics), authors=(_person(draw),), categories=("cs.LG",))
        address = Address(f"{_name(draw)}.{number}@{_name(draw)}.example".lower())
        reader = Subscriber(SubscriberId(number), address, _person(draw), profile=profile)
        selection = _selection(draw, topics, ids)
        identity = message_id(LIST, EDITION, reader.id)
        due = (EDITION.id, reader.id, address, DeliveryStatus.QUEUED, identity, selection)
        yield Order(reader, Delivery(DeliveryId(number), *due))


def _selection(draw: Random, topics: Sequence[str], ids: Sequence[PaperId]) -> Selection:
    drawn = draw.sample(ids, PICKS + TRENDING + MISSED)
    picked, trending, missed = drawn[:PICKS], drawn[PICKS:-MISSED], drawn[-MISSED:]
    named = islice(cycle(topics), PICKS)
    return Selection(
        tuple(
            Pick(
                paper_id,
                draw.uniform(0.3, 0.9),
                draw.uniform(0.3, 0.9),
                draw.random() ** 3,
                (
                    Reason(ReasonKind.TOPIC, f"{topic}: {_name(draw).lower()}, {_name(draw).lower()}", 0.6),
                    Reason(ReasonKind.TREND, f"{draw.randint(9, 900)} upvotes", 0.2),
                ),
            )
            for paper_id, topic in zip(picked, named, strict=True)
        ),
        tuple(
            NearMiss(Pick(p, 0.2, 0.18, 0.0), f"relevance {draw.uniform(0.1, 0.2):.3f}, under your 0.20")
            for p in missed
        ),
        tuple(
            Pick(p, 0.9, 0.0, 0.9, (Reason(ReasonKind.TREND, f"{draw.randint(100, 999)} upvotes", 0.9),))
            for p in trending
        ),
        (),
        tuple(TopicWeek(topic, (*(draw.randint(0, 9) for _ in range(6)), 1)) for topic in topics),
    )


def _words(draw: Random, count: int) -> str:
    return " ".join(draw.choice(JOINTS) if n % 3 == 1 else _name(draw).lower() for n in range(count))


def _name(draw: Random) -> str:
    return "".join(draw.choices(SYLLABLES, k=draw.randint(2, 4))).capitalize()


def _person(draw: Random) -> str:
    """A name; every eighth is not ASCII."""
    name = f"{_name(draw)} {_name(draw)}"
    return name.replace("a", "á").replace("o", "ö") if draw.random() < 0.125 else name
