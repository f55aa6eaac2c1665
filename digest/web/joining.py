"""Signing up, and seeing beforehand what would have come.

The answer to a sign-up is the same, and takes the same time, whoever is subscribed: the wish is put on the desk, and
what there is to say is written and sent after the answer.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from digest.members import Preferences
from digest.model import Address, Profile, Topic
from digest.render import cards
from digest.sampling import Sampler
from digest.web import forms
from digest.web.gate import Call, NoSuchPageError, TooOftenError, html
from digest.web.limits import SlidingWindow
from digest.web.public import front_page
from digest.web.site import Shown, Site

WAITING = 1_000
"""Wishes on the desk; with more, people are asked to come again."""
WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Wish:
    """Somebody wants to be subscribed, or says so."""

    site: Site
    address: Address
    preferences: Preferences


class Desk:
    """What the pages leave to be done after their answer. They put, in threads; the loop's clerk takes."""

    def __init__(self) -> None:
        self._wishes: queue.Queue[Wish] = queue.Queue(WAITING)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bell = asyncio.Event()

    def put(self, wish: Wish) -> None:
        """Raises TooOftenError where the desk is full."""
        try:
            self._wishes.put_nowait(wish)
        except queue.Full:
            raise TooOftenError(WAIT) from None
        self.ring()

    def ring(self) -> None:
        """There may be a letter to be posted."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._bell.set)

    def all(self) -> list[Wish]:
        """Takes what lies there."""
        found: list[Wish] = []
        while True:
            try:
                found.append(self._wishes.get_nowait())
            except queue.Empty:
                return found

    async def rung(self, seconds: float) -> None:
        """Returns when there is something to be done, and after so long at the latest."""
        self._loop = asyncio.get_running_loop()
        if not self._wishes.empty():  # put before there was anybody to hear the bell
            return
        try:
            await asyncio.wait_for(self._bell.wait(), seconds)
        except TimeoutError:
            return
        self._bell.clear()


class Joining:
    """The two forms of the box on the front page."""

    def __init__(self, desk: Desk, sign_ups: SlidingWindow, in_all: SlidingWindow, looks: SlidingWindow):
        """`sign_ups` and `looks` count clients, `in_all` lists."""
        self._desk = desk
        self._sign_ups, self._in_all, self._looks = sign_ups, in_all, looks

    def subscribe(self, site: Site, call: Call) -> Response:
        """Takes the wish, if there is room for one more of this client and in all; says what comes next."""
        if not site.masthead.can_subscribe:
            raise NoSuchPageError
        asked = forms.sign_up(call.form, site.people.topics, site.language)
        if asked.address is None:
            return html(front_page(site, **_box(asked), problem=asked.problem), 422)
        if wait := self._sign_ups.take(call.client) or self._in_all.take(site.list.id):
            raise TooOftenError(wait)
        self._desk.put(Wish(site, asked.address, Preferences(profile=Profile(asked.topics))))
        return html(site.render("asked.html", address=asked.address))

    def preview(self, site: Site, call: Call) -> Response:
        """The papers that the newest edition would have brought: a part of the page for our script, else the page."""
        if wait := self._looks.take(call.client):
            raise TooOftenError(wait)
        asked = forms.sign_up(call.form, site.people.topics, site.language)
        sampler = site.sampler()
        picks = self._picked(site, sampler, asked.topics) if sampler else ()
        if call.wants_fragment:
            return html(site.render("preview.html", picks=picks, count=len(picks), has_edition=sampler is not None))
        return html(front_page(site, **_box(asked), picks=picks, has_edition=sampler is not None))

    def _picked(self, site: Site, sampler: Sampler, topics: Sequence[Topic]) -> tuple[Shown, ...]:
        picks = sampler.picks(Profile(tuple(topics) or site.people.topics))
        return tuple(site.shown(sampler.candidate(p.paper_id), why=cards.why(site.language, p)) for p in picks)


def _box(asked: forms.SignUp) -> dict[str, Any]:
    """The box as it was sent."""
    ticked = frozenset(topic.name for topic in asked.topics)
    return {"box": asked, "topics_ticked": ticked}
