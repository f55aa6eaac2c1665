"""HTTP: who asks, for which list, with what in a form; and what every answer says of itself.

Pages that act by the token in their address need no further protection from forgery: who does not know the token cannot
write the address, and nothing is remembered in a cookie that a foreign page could make use of. The sign-up form has no
secret either; that a foreign page posts it would only lend its visitors' addresses to somebody who wants past the
limits of one client, and is refused by what browsers say of themselves (Sec-Fetch-Site, else Origin).

An unknown page, a list that there is not and a token that does not hold get one and the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import MutableHeaders, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digest.web.limits import Networks, client_of
from digest.web.site import HTML, Made, Site

LARGEST_FORM = 2_000_000
"""Bytes: room for a library of a thousand papers."""
FIELDS = 500
PUBLIC = "public, max-age=60"
PRIVATE = "no-store"
FOR_EVER = "public, max-age=31536000, immutable"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy: everything is our own, and in files."""


SIGNED = ("confirm", "unsubscribe", "preferences", "vote")
"""What the paths of the pages behind a signed link begin with."""


class NoSuchPageError(Exception):
    """Nothing is here, or nothing for whoever asks: why is not told."""


class ForeignFormError(Exception):
    """Another site's page has sent the form."""


class NoFormError(Exception):
    """What was sent says nothing, or cannot be read: a field is too long, or there are too many."""


class TooOftenError(Exception):
    """The client is to wait so many seconds."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        super().__init__(f"for {seconds} s")


@dataclass(frozen=True, slots=True)
class Form:
    """What a form said; an empty one for everything that cannot be read."""

    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def one(self, name: str) -> str:
        """The field's value without the white space around it; empty where it is missing."""
        return next(iter(self.fields.get(name, ())), "").strip()

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of the field."""
        return tuple(self.fields.get(name, ()))


@dataclass(frozen=True, slots=True)
class Call:
    """A request, as the pages know it."""

    is_post: bool
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Form
    client: str
    base: str
    """Scheme, host and prefix before every path of ours, for what must be a whole address."""
    wants_fragment: bool
    """Our own script asks, for a part of the page."""


Page = Callable[[Site, Call], Response]


def html(body: str, status: int = 200, *, cache: str = PRIVATE) -> Response:
    """A page for one reader, or an answer to a form."""
    return Response(body, status, {"Cache-Control": cache}, HTML)


def unchanged_or(made: Made, request: Request) -> Response:
    """A page that everybody sees; without its body where the client has it already (RFC 9110 section 13.1.2)."""
    headers = {"Cache-Control": PUBLIC, "ETag": made.etag}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")}
    if made.etag in known:
        return Response(status_code=304, headers=headers)
    return Response(made.body, 200, headers, made.media_type)


class Gate:
    """Makes endpoints of functions that know nothing of HTTP: each runs in a thread, as it asks the store."""

    def __init__(self, sites: Mapping[str, Site], trusted: Networks, threads: int):
        self._sites = sites
        self._trusted = trusted
        self._threads = threads
        self._limiter: CapacityLimiter | None = None

    def endpoint(self, page: Callable[[Site, Call], Response | Made], *, own_forms_only: bool = False) -> Any:
        """The endpoint of a function; `own_forms_only` refuses forms that another site has sent."""

        async def answer(request: Request) -> Response:
            site = self._sites.get(request.path_params.get("list", "")) or self._only(request)
            if site is None:
                raise NoSuchPageError
            is_post = request.method == "POST"
            if is_post and own_forms_only and not _is_own(request, site):
                raise ForeignFormError
            address = (request.url.path, request.url.query, _base(request, site))
            if not is_post and (kept := site.kept(address)):
                return unchanged_or(kept, request)
            call = Call(
                is_post=is_post,
                path=request.path_params,
                query=dict(request.query_params),
                form=await _form_of(request) if is_post else Form(),
                client=self.client(request),
                base=address[-1],
                wants_fragment="x-fragment" in request.headers,
            )
            answered = await self.in_thread(page, site, call)
            if not isinstance(answered, Made):
                return cast(Response, answered)
            site.keep(address, answered)
            return unchanged_or(answered, request)

        return answer

    async def in_thread(self, work: Callable[..., Any], *arguments: object) -> Any:
        """The work's result; so much of it at once that the rest of the process goes on."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(self._threads)
        return await to_thread.run_sync(work, *arguments, limiter=self._limiter)

    def _only(self, request: Request) -> Site | None:
        """The one list, at addresses that name none."""
        return next(iter(self._sites.values())) if "list" not in request.path_params and len(self._sites) == 1 else None

    def client(self, request: Request) -> str:
        """Who asks, as its limits go."""
        peer = request.client.host if request.client else ""
        return client_of(peer, request.headers.getlist("x-forwarded-for"), self._trusted)


def _base(request: Request, site: Site) -> str:
    if site.list.base_url:
        parts = urlsplit(site.list.base_url)
        return f"{parts.scheme}://{parts.netloc}"
    return f"{request.url.scheme}://{request.url.netloc}"


def _is_own(request: Request, site: Site) -> bool:
    """Whether the form was on a page of ours, as far as browsers say; who is no browser may post as well."""
    if (fetched := request.headers.get("sec-fetch-site")) is not None:
        return fetched in {"same-origin", "none"}
    origin = request.headers.get("origin")
    hosts = {request.headers.get("host", ""), urlsplit(site.list.base_url or "").netloc} - {""}
    return origin is None or urlsplit(origin).netloc in hosts


async def _form_of(request: Request) -> Form:
    """The form, urlencoded or multipart. What is none says nothing: an unsubscribe holds all the same."""
    left = LARGEST_FORM

    async def bounded() -> Message:
        nonlocal left
        message = await request.receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413)
        return message

    reading = Request(request.scope, bounded)
    fields: dict[str, list[str]] = {}
    files: dict[str, bytes] = {}
    try:
        async with reading.form(max_files=2, max_fields=FIELDS, max_part_size=200_000) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    files[name] = await value.read()
                else:
                    fields.setdefault(name, []).append(value.replace("\0", ""))
    except HTTPException as error:
        if error.status_code == 413:
            raise
        return Form()
    return Form(fields, files)


class Headers:
    """What every answer says of itself, and the prefix under which a proxy may have left the path."""

    def __init__(self, app: ASGIApp, sites: Mapping[str, Site]):
        """`sites` may change: they know the paths before ours, and whether they are reached by https."""
        self._app = app
        self._sites = sites

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and adds to the answer's head."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        path = scope["path"]
        for prefix in sorted({site.prefix for site in self._sites.values()} - {""}, key=len, reverse=True):
            if path == prefix or path.startswith(f"{prefix}/"):
                path = path[len(prefix) :]
                break
        # A slash too many at the end is passed over: Starlette would lead to the address as it is behind the proxy. An
        # encoded one belongs to the name of a paper.
        path = (path.removesuffix("/") if scope["raw_path"].endswith(b"/") else path) or "/"
        # A token in an address goes nowhere; where there is none, our own pages may know each other.
        signed = path.lstrip("/").partition("/")[0] in SIGNED  # `*`, as of OPTIONS, has no slash at all

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Permissions-Policy"] = "interest-cohort=()"
                headers["Referrer-Policy"] = "no-referrer" if signed else "same-origin"
                headers.setdefault("Cache-Control", PRIVATE)
                if any(site.is_secure for site in self._sites.values()):
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        await self._app({**scope, "path": path}, receive, sent)
