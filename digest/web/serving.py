"""The application of all lists, its server, and the clerk who writes and posts letters after the answers.

`digest web` runs this alone, `digest run --web` beside the scheduler. One process serves all lists of an installation;
limits and kept pages are its own. A list's config is read again when its file has changed; what `[web]` says, and which
lists there are, holds until the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from digest.app import App
from digest.console import Terminal, complain, explained
from digest.errors import ConfigError, DigestError, StoreError, TemplateError
from digest.model import Pages as Settings
from digest.settings import ListConfig
from digest.stopping import stop_on_signals
from digest.tending import read_again
from digest.web import public
from digest.web.connections import AT_ONCE, IDLE, REQUESTS, Connection
from digest.web.gate import (
    FOR_EVER,
    SIGNED,
    ForeignFormError,
    Gate,
    Headers,
    NoFormError,
    NoSuchPageError,
    TooOftenError,
    html,
)
from digest.web.joining import Desk, Joining, Wish
from digest.web.limits import SlidingWindow
from digest.web.operators import Operators
from digest.web.personal import Personal
from digest.web.site import Site

log = logging.getLogger("digest.web")

THREADS = 8
"""Requests that are worked on at once: more would only wait for the store and for each other."""
LOOK_EVERY = 15.0
"""Seconds after which it is looked for a new edition, another config, and letters that others left."""

PAGES = "the pages"
"""What is in trouble where a list's pages cannot be made."""


class Hall:
    """All lists' pages, with what they share. Use as a context manager: it holds the stores open."""

    def __init__(self, configs: Sequence[ListConfig], now: Callable[[], datetime]):
        self.settings = next((config.pages for config in configs if config.pages), Settings())
        self._now = now
        self._open = contextlib.ExitStack()
        self._written = {config.mailing_list.id: _written(config.path) for config in configs}
        apps = [self._open.enter_context(App(config, now)) for config in configs]
        self.sites: dict[str, Site] = {app.list.id: Site(app, alone=len(apps) == 1) for app in apps}
        self.desk = Desk()
        self._left: list[Wish] = []
        self._troubles: dict[str, str] = {}
        self._gate = Gate(self.sites, tuple(map(ip_network, self.settings.trusted_proxies)), THREADS)
        self._files = {key: file for site in self.sites.values() for key, file in site.files.items()}
        self._nothing_here = self._nothing_page()

    def __enter__(self) -> Hall:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def _first(self) -> Site:
        return next(iter(self.sites.values()))

    def application(self) -> Starlette:
        """The ASGI application."""
        limits = self.settings
        looks = SlidingWindow(limits.looks, time.monotonic)
        joining = Joining(
            self.desk,
            SlidingWindow(limits.sign_ups, time.monotonic),
            SlidingWindow(limits.sign_ups_in_all, time.monotonic),
            looks,
        )
        personal = Personal(self.desk)
        guesses = SlidingWindow(limits.looks, time.monotonic)
        operators = Operators(self.sites, self.settings, self._now, self._gate, guesses)
        at, both = self._gate.endpoint, ["GET", "POST"]
        first = at(public.front) if len(self.sites) == 1 else self._lists
        own = "/{list}/{token}"
        application = Starlette(
            routes=[
                Route("/", first),
                Route("/robots.txt", self._robots),
                Route("/static/{hash}/{name}", self._static),
                *self._for_operators(operators),
                Route("/{list}", at(public.front)),
                *(Route(f"/{box}/{{list}}", at(public.front), methods=["GET"]) for box in ("subscribe", "preview")),
                Route("/subscribe/{list}", at(joining.subscribe, own_forms_only=True), methods=["POST"]),
                Route("/preview/{list}", at(joining.preview, own_forms_only=True), methods=["POST"]),
                Route("/archive/{list}", at(public.Searching(looks))),
                Route("/archive/{list}/{span}", at(public.span)),
                Route("/paper/{list}/{paper:path}", at(public.one_paper)),
                Route("/feed/{list}", at(public.list_feed)),
                Route("/feed/{list}/{topic}", at(public.topic_feed)),
                Route(f"/confirm{own}", at(personal.confirm), methods=both),
                Route(f"/unsubscribe{own}", at(personal.unsubscribe), methods=both),
                Route(f"/preferences{own}", at(personal.preferences), methods=both),
                Route(f"/preferences{own}/export", at(personal.export)),
                Route(f"/preferences{own}/erase", at(personal.erase), methods=both),
                Route(f"/vote{own}/{{ballot}}/{{paper:path}}", at(personal.vote), methods=both),
            ],
            exception_handlers={
                NoSuchPageError: self._nothing,
                ForeignFormError: self._refused,
                NoFormError: self._no_form,
                ClientDisconnect: self._no_form,  # in the middle of one: nobody hears the answer, and nothing is wrong
                TooOftenError: self._too_often,
                DigestError: self._not_now,
                HTTPException: self._http_error,
            },
            middleware=[
                Middleware(Headers, sites=self.sites),
            ],
        )
        application.router.redirect_slashes = False
        return application

    def _for_operators(self, operators: Operators) -> list[Route]:
        """Their pages; of several lists, one that has such a name keeps its front page."""
        pages = {"status": operators.status, "metrics": operators.metrics, "healthz": operators.healthz}
        taken = self.sites if len(self.sites) > 1 else ()
        return [Route(f"/{name}", page) for name, page in pages.items() if name not in taken]

    async def attend(self, stop: asyncio.Event) -> None:
        """Until stopped: writes letters that were asked for and posts them, and looks for new editions and configs."""
        while not stop.is_set():
            await asyncio.gather(*(self._gate.in_thread(self._tend, site) for site in self.sites.values()))
            if not stop.is_set():
                await self.desk.rung(LOOK_EVERY)
            await self.clear_desk()

    async def clear_desk(self) -> None:
        """Answers the wishes that lie there, and posts every letter that is due. Trouble is told and ends nothing.

        A wish that the store does not take is tried again the next time: whoever signed up was told of a letter.
        """
        wishes, self._left = [*self._left, *self.desk.all()], []
        for wish in wishes:
            with self._told(wish.site, "a letter could not be written"):
                try:
                    await self._gate.in_thread(wish.site.people.ask, wish.address, wish.preferences)
                except StoreError:
                    self._left.append(wish)
                    raise
        for site in self.sites.values():
            with self._told(site, "letters could not be posted"):
                if await self._gate.in_thread(site.people.letters.is_due, site.app.now()):
                    await self._gate.in_thread(asyncio.run, site.app.post())

    def _tend(self, site: Site) -> None:
        with self._told(site, PAGES):
            self._renew(site)
            self.sites[site.list.id].warm()

    @contextlib.contextmanager
    def _told(self, site: Site, what: str) -> Iterator[None]:
        """What goes wrong within is told, and ends nothing; once it went well, the next time is told again."""
        try:
            yield
            self._troubles.pop(f"{site.list.id}: {what}", None)
        except Exception as error:
            self._tell(site, what, error)

    def _tell(self, site: Site, what: str, error: Exception) -> None:
        """What a person can mend is a line, once as long as it stays the same; a mistake of ours has its traceback."""
        what = f"{site.list.id}: {what}"
        if not isinstance(error, DigestError):
            log.error("%s", what, exc_info=error)
        elif self._troubles.get(what) != str(error):
            self._troubles[what] = str(error)
            complain(f"{what}: {explained(error)}")

    def _renew(self, site: Site) -> None:
        """Makes the list's pages anew where its config is another by now; while that is broken, they stay as they are.

        What is being answered goes on with the pages as they were, so their store is closed at the end only.
        """
        config, written = site.app.config, _written(site.app.config.path)
        if written == self._written[site.list.id]:
            return
        try:
            read = read_again(config)
            if read != config:
                renewed = Site(self._open.enter_context(App(read, self._now)), alone=len(self.sites) == 1)
                self._files |= renewed.files  # the former ones are still on pages that are read
                renewed.warm()
                self.sites[site.list.id] = renewed
                self._nothing_here = self._nothing_page()
        except TemplateError as error:
            complain(f"{error}; the pages as they were go on")
        self._written[site.list.id] = written

    async def _lists(self, request: Request) -> Response:  # noqa: ARG002
        # In the first list's language: nothing is known of who asks, and the config's order is its writer's.
        lists = [(site.list.name, site.home) for site in self.sites.values()]
        return html(self._first.render("lists.html", lists=lists))

    async def _robots(self, request: Request) -> Response:  # noqa: ARG002
        lines = ["User-agent: *", *(f"Disallow: {self._first.prefix}/{part}/" for part in SIGNED)]
        return PlainTextResponse("\n".join(lines) + "\n", headers={"Cache-Control": "public, max-age=3600"})

    async def _static(self, request: Request) -> Response:
        found = self._files.get("{hash}/{name}".format_map(request.path_params))
        if found is None:
            raise NoSuchPageError
        content, kind = found
        return Response(content, 200, {"Cache-Control": FOR_EVER}, kind)

    def _nothing_page(self) -> str:
        """Made once: the same for all who have no business here. It leads on where all lists have one front."""
        fronts = {site.list.base_url for site in self.sites.values()}
        return self._first.render("nothing.html", front=self._first.path("") if len(fronts) == 1 else "")

    async def _nothing(self, request: Request, error: Exception) -> Response:  # noqa: ARG002
        return html(self._nothing_here, 404)

    async def _refused(self, request: Request, error: Exception) -> Response:  # noqa: ARG002
        return self._trouble(request, "foreign", 403)

    async def _no_form(self, request: Request, error: Exception) -> Response:  # noqa: ARG002
        return self._trouble(request, "other", 400)

    async def _too_often(self, request: Request, error: Exception) -> Response:
        seconds = error.seconds if isinstance(error, TooOftenError) else 0.0
        answer = self._trouble(request, "often", 429)
        answer.headers["Retry-After"] = str(int(seconds) + 1)
        return answer

    async def _not_now(self, request: Request, error: Exception) -> Response:
        """The store does not answer, say: the operator is told, and whoever asked is to come again."""
        self._tell(self._asked(request), PAGES, error)
        answer = self._trouble(request, "later", 503)
        answer.headers["Retry-After"] = "60"
        return answer

    async def _http_error(self, request: Request, error: Exception) -> Response:
        """Starlette's own: 404 of a path that no route has, 405, 413."""
        assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for nothing else
        if error.status_code == 404:
            return await self._nothing(request, error)
        answer = self._trouble(request, "other", error.status_code)
        answer.headers.update(error.headers or {})  # 405 has to say what is allowed (RFC 9110 section 15.5.6)
        return answer

    def _trouble(self, request: Request, what: str, status: int) -> Response:
        """In the language of the list that was asked, if that much is known."""
        return html(self._asked(request).render("trouble.html", what=what), status)

    def _asked(self, request: Request) -> Site:
        return self.sites.get(request.path_params.get("list", ""), self._first)


def _written(path: Path) -> tuple[int, int] | None:
    """What is different once the file was written anew; None while there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


class _Server(uvicorn.Server):
    """Uvicorn without its own handling of signals: who runs it says when it ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves them alone."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises ConfigError."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise ConfigError(
            f"the pages cannot be served on {host}:{port}: {error.strerror}; name another with --host and --port, or "
            "`host` and `port` of [web]"
        ) from None
    # Connections inherit it. asyncio would set it only on sockets that were made by the protocol's number, and head and
    # body of an answer are two writes: between them the client's acknowledgement would be waited for, for 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


@contextlib.contextmanager
def opened(
    configs: Sequence[ListConfig],
    now: Callable[[], datetime],
    terminal: Terminal,
    host: str | None,
    port: int | None,
) -> Iterator[Pages]:
    """The pages, ready to be served on `host` and `port`, else where the config says. Raises ConfigError."""
    with Hall(configs, now) as hall:
        place = host or hall.settings.host, port or hall.settings.port
        with listen(*place) as listening:
            yield Pages(hall, listening, terminal)


class Pages:
    """The pages on a socket that listens."""

    def __init__(self, hall: Hall, listening: socket.socket, terminal: Terminal):
        self._hall = hall
        self._listening = listening
        self._terminal = terminal

    async def serve(self, stop: asyncio.Event) -> None:
        """Serves them until stopped."""
        host, port = self._listening.getsockname()[:2]
        for site in self._hall.sites.values():
            where = site.list.base_url or f"http://{f'[{host}]' if ':' in host else host}:{port}{site.home}"
            self._terminal.say(f"{site.list.name} ({site.list.id}): pages at {where}")
        self._terminal.say(f"listening on {host}:{port}")
        await serve(self._hall, self._listening, stop)

    async def serve_until_stopped(self) -> None:
        """The same until a signal comes."""
        stop = asyncio.Event()
        with stop_on_signals(stop, complain):
            await self.serve(stop)
        self._terminal.say("stopped")


async def serve(hall: Hall, listening: socket.socket, stop: asyncio.Event) -> None:
    """Serves the pages until stopped; requests that are being answered are finished, and so is the desk."""
    config = uvicorn.Config(
        hall.application(),
        log_config=None,  # no line a request: their addresses hold tokens
        access_log=False,
        proxy_headers=False,  # `limits.client_of` knows whom to believe
        server_header=False,
        lifespan="off",
        http=Connection,
        ws="none",
        backlog=AT_ONCE,
        limit_concurrency=REQUESTS,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=10,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    attending = asyncio.create_task(hall.attend(stop))
    try:
        await asyncio.wait((asyncio.create_task(stop.wait()), serving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        hall.desk.ring()
        server.should_exit = True
        await asyncio.gather(serving, attending)
