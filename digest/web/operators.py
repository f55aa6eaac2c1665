"""The pages for operators: /status for people, /metrics for Prometheus, /healthz for whoever looks whether all is well.

Counts and times alone; no address, no subject, no reply of a server. /status and /metrics are there where `[web]` has a
`status_password` (HTTP Basic with any name, or a Bearer token, RFC 6750) or says `status_public`, else they answer as
any address where nothing is. Where a request comes from opens nothing: behind a proxy all come from this machine.
/healthz is everybody's, and says no more than which lists are in trouble, and the worst of it.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from digest.errors import DigestError
from digest.model import DeliveryStatus, Pages
from digest.status.lists import ListStatus, Wrong, ago, first_day, status_of, wrong
from digest.web.charts import charts
from digest.web.gate import Gate, NoSuchPageError, TooOftenError, html
from digest.web.limits import SlidingWindow
from digest.web.metrics import exposition
from digest.web.site import Site

log = logging.getLogger("digest.web")

DAYS = 60
EDITIONS_SHOWN = 14
KEPT = 5.0
"""Seconds for which what was counted holds, at least …"""
SHARE = 30
"""… and so many times as long as it took to count."""

T = TypeVar("T")


class Fresh(Generic[T]):
    """A value that is made when it is asked for, and kept so long that making it takes a small part of the time."""

    def __init__(self, make: Callable[[], T], clock: Callable[[], float] = time.monotonic):
        self._make = make
        self._clock = clock
        self._until = 0.0
        self._value: T | None = None
        self._making = threading.Lock()

    def get(self) -> T:
        """The value; while one asker makes a new one, the others get the old one, if there is any."""
        if not self._making.acquire(blocking=self._value is None):
            assert self._value is not None  # noqa: S101 - else it would have been waited for
            return self._value
        try:
            began = self._clock()
            if self._value is None or began >= self._until:
                self._value = self._make()
                ended = self._clock()
                self._until = ended + max(KEPT, SHARE * (ended - began))
            return self._value
        finally:
            self._making.release()


class Operators:
    """The endpoints, over all lists."""

    def __init__(
        self,
        sites: Mapping[str, Site],
        settings: Pages,
        now: Callable[[], datetime],
        gate: Gate,
        guesses: SlidingWindow,
    ):
        """`guesses` limits how often one client may name a wrong password."""
        self._sites = sites
        self._settings = settings
        self._now = now
        self._gate = gate
        self._guesses = guesses
        self._statuses = Fresh(self._count)
        self._health = Fresh(self._look)

    async def status(self, request: Request) -> Response:
        """All lists; of the one that is asked for, or the only one, everything."""
        if (refusal := self._refused(request)) is not None:
            return refusal
        return html(await self._gate.in_thread(self._page, request.query_params.get("list")))

    async def metrics(self, request: Request) -> Response:
        """The metrics, in the form that is asked for."""
        if (refusal := self._refused(request)) is not None:
            return refusal
        statuses = await self._gate.in_thread(self._statuses.get)
        body, media_type = exposition(statuses, request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": media_type})

    async def healthz(self, request: Request) -> Response:  # noqa: ARG002
        """200 if every list does what it should; else 503, with the lists that do not."""
        try:
            late = await self._gate.in_thread(self._health.get)
        except Exception as error:
            if not isinstance(error, DigestError):
                log.exception("the state of the lists could not be read")
            return _json({"status": "unreadable"}, 503)
        if not late:
            return _json({"status": "ok"}, 200)
        worst = next(what for what in Wrong if any(what in found for found in late.values()))
        return _json({"status": worst, "lists": sorted(late)}, 503)

    def _refused(self, request: Request) -> Response | None:
        """Why the pages are not shown; None: they are. Raises NoSuchPageError where there are none."""
        if self._settings.status_public:
            return None
        wanted = self._settings.status_password
        if not wanted:
            raise NoSuchPageError
        given = _password_in(request.headers.get("authorization", ""))
        if given is not None and hmac.compare_digest(given, wanted.encode()):
            return None
        if given is not None and (wait := self._guesses.take(self._gate.client(request))):
            raise TooOftenError(wait)
        challenge = {"WWW-Authenticate": 'Basic realm="digest", charset="UTF-8"'}
        return Response("A password is needed.\n", 401, challenge, "text/plain")

    def _count(self) -> tuple[ListStatus, ...]:
        now = self._now()
        snapshots = {}
        found = []
        for site in self._sites.values():
            app = site.app
            if (url := app.config.store_url) not in snapshots:
                snapshots[url] = app.figures.read(first_day(app.list, now, DAYS + 1), now)
            found.append(status_of(app.config, snapshots[url], app.figures.pulse(app.list.id, now), now, DAYS))
        return tuple(found)

    def _look(self) -> dict[str, Collection[Wrong]]:
        now = self._now()
        late = {
            site.list.id: wrong(site.app.config, site.app.figures.pulse(site.list.id, now), now).keys()
            for site in self._sites.values()
        }
        return {list_id: each for list_id, each in late.items() if each}

    def _page(self, wanted: str | None) -> str:
        statuses = self._statuses.get()
        if wanted is None and len(statuses) > 1:
            return self._render(statuses, None)
        chosen = next((status for status in statuses if wanted in (None, status.id)), None)
        if chosen is None:
            raise NoSuchPageError
        return self._render(statuses, chosen)

    def _render(self, statuses: tuple[ListStatus, ...], chosen: ListStatus | None) -> str:
        first = next(iter(self._sites.values()))
        editions = chosen.editions[:EDITIONS_SHOWN] if chosen else ()
        return first.render(
            "status.html",
            here=first.path("status"),
            statuses=statuses,
            status=chosen,
            charts=charts(chosen.days) if chosen else (),
            editions=editions,
            now=statuses[0].now,
            ago=ago,
            columns=tuple(s for s in DeliveryStatus if any(e.counts.get(s) for e in editions)),
        )


def _password_in(authorization: str) -> bytes | None:
    """The password of HTTP Basic (RFC 7617), or a Bearer token; None: neither is there."""
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip().encode()
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
    except ValueError:
        return b""


def _json(value: object, status: int) -> Response:
    return Response(json.dumps(value) + "\n", status, {"Cache-Control": "no-store"}, "application/json")
