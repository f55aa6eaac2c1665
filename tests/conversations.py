"""Holding a source module's conversation by hand: answers go in, what was asked comes out. No network."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from digest.pull.conversation import Ask
from digest.pull.http import Response

T = TypeVar("T")


def hold(conversation: Generator[Ask, Response, T], give: Callable[[Ask], bytes | Exception]) -> tuple[T, list[Ask]]:
    """What a conversation ends with, and all that it asked for; an exception that is given is thrown in."""
    asked: list[Ask] = []
    try:
        wanted = next(conversation)
        while True:
            asked.append(wanted)
            given = give(wanted)
            if isinstance(given, Exception):
                wanted = conversation.throw(given)
            else:
                wanted = conversation.send(Response(wanted.url, given))
    except StopIteration as end:
        return end.value, asked
