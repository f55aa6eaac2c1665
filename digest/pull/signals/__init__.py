"""Popularity figures about papers already pulled: who is asked, and what each of them is given.

`converse` is called once the sources are read and merged; `digest.pull.hold` holds what it returns. One module for each
service: `github.py`, `hackernews.py`, `citations.py`. None of them fetches, and none is needed: a service that fails
costs its figures alone. Every figure is of the time `Wanted.now`. Here lives what the three share, and no service.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from digest.errors import SourceError
from digest.model import Paper, PaperId, Signal, SignalSource
from digest.pull.addresses import shown
from digest.pull.conversation import Conversation
from digest.pull.http import Response


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one service is asked for in one pull."""

    papers: tuple[Paper, ...]
    """Already pulled, the most promising first: where requests run out, the last ones get no figure."""
    now: datetime
    """The time at which the figures are observed."""
    earlier: Mapping[tuple[PaperId, str], tuple[Signal, ...]] = field(default_factory=dict)
    """Earlier observations by paper and name of the figure, oldest first."""
    max_requests: int = 40
    token: str | None = None


def converse(kind: SignalSource, wanted: Wanted) -> Conversation:
    """Ask one service for its figures of the papers."""
    from digest.pull.signals import citations, github, hackernews

    match kind:
        case SignalSource.GITHUB:
            return github.converse(wanted)
        case SignalSource.HACKER_NEWS:
            return hackernews.converse(wanted)
        case SignalSource.CITATIONS:
            return citations.converse(wanted)


def read_json(answer: Response) -> object:
    """Return the value of a JSON answer. Raises `SourceError`."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{shown(answer.url)} is not JSON, or breaks off") from error
