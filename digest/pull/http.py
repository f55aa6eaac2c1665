"""The only place of `pull` that touches the world: http(s) addresses and `file://` ones to bytes, within limits.

Called by `digest.pull`. It knows no feed and no format. Every fault is a `SourceError` of one line that says what
happened and where; a server's refusal is a `StatusError`, which carries the number. Limits hold for all of it together:
30 s with all tries and redirects, 10 MB after decompression, 5 redirects, 3 tries; the wait for one's turn with a host
(`manners.py`) does not count. Private addresses are refused (`guard.py`). What has been read before is asked for
conditionally. HTTP: RFC 9110; conditional requests: its section 13; Retry-After: its section 10.2.3.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import random
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

import digest
from digest.errors import DigestError, SourceError
from digest.model import Remembered
from digest.pull.addresses import host_of, scheme_of, shown
from digest.pull.manners import PATIENCE, Manners
from digest.pull.unpack import ENCODINGS, TooLongError, UnpackError, gunzip, unpacker

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger("digest.pull")

T = TypeVar("T")

MAX_SECONDS = 30.0
MAX_BYTES = 10_000_000
MAX_REDIRECTS = 5
TRIES = 3
MAX_WORDS = 10_000
"""Bytes kept of what a server says when it refuses."""
CONTACT = "https://pypi.org/project/papers-digest/"
MANNERS = Manners()
"""One for the whole process: lists that are pulled at once are one visitor to a host."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Memory(Protocol):
    """What keeps last answers; `digest.store.Fetches` is the one that there is."""

    def recall(self, url: str) -> Remembered | None:
        """Return the last answer of an address, if it can be asked for conditionally."""
        ...

    def remember(self, url: str, remembered: Remembered) -> None:
        """Keep an answer."""
        ...


class StatusError(SourceError):
    """A server answered, but not with what was asked for. `status` is HTTP's number, `body` its words (10 kB)."""

    def __init__(self, message: str, status: int, body: bytes = b""):
        super().__init__(message)
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Response:
    """What an address gave: the address after redirects, the unpacked bytes, the media type or an empty string."""

    url: str
    body: bytes
    content_type: str = ""
    unchanged_since: datetime | None = None
    """The server said that nothing has changed since then (304), and the bytes are those of that time."""
    served_at: datetime | None = None
    """What the server's clock said."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked for, and what goes only to the host that it was meant for."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None

    @property
    def may_be_remembered(self) -> bool:
        return self.body is None and not self.headers


@dataclass(frozen=True, slots=True)
class _Redirect:
    target: str


class _Retry(Exception):  # noqa: N818  not an error: the wish to try again
    """A fault that may pass: what happened, and how long the server asks to wait, in seconds."""

    def __init__(self, error: SourceError, wait: float | None = None):
        self.error = error
        self.wait = wait


class _Budget:
    """The seconds that are left for one `get`. Time spent waiting for one's turn is not counted."""

    def __init__(self, seconds: float):
        self.left = seconds

    @contextlib.asynccontextmanager
    async def counted(self) -> Any:
        clock = asyncio.get_running_loop().time
        start = clock()
        try:
            async with asyncio.timeout(self.left):
                yield
        finally:
            self.left -= clock() - start


class Fetcher:
    """An HTTP client with manners, and a reader of files. An async context manager; one for any number of sources."""

    def __init__(
        self,
        *,
        contact: str = CONTACT,
        memory: Memory | None = None,
        allow_private: bool = False,
        manners: Manners = MANNERS,
        seconds: float = MAX_SECONDS,
        max_bytes: int = MAX_BYTES,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ):
        """`contact` is the address or mailbox that a server's operator can turn to; `seconds` limits one `get`.

        With `allow_private`, hosts of one's own network may be asked, and the environment's proxies are used.
        """
        self._agent = f"papers-digest/{digest.__version__} (+{contact})"
        self._memory = memory
        self._told: set[str] = set()
        self._allow_private = allow_private
        self._manners = manners
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._sleep = sleep
        self._jitter = jitter
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Fetcher:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client:
            await self._client.aclose()
            self._client = None

    async def get(self, url: str, *, headers: Sequence[tuple[str, str]] = (), body: bytes | None = None) -> Response:
        """Return what stands at an http(s) or `file://` address. Raises `SourceError`, for a refusal `StatusError`.

        With `body`, which is JSON, it is posted. `headers` go to the address's own host only, not where it redirects.
        """
        scheme = scheme_of(url)
        if scheme == "file":
            from digest.pull.files import read_file

            try:
                return Response(url, await asyncio.to_thread(read_file, url, self._max_bytes))
            except TooLongError:
                raise self._too_long(url) from None
        if scheme not in ("http", "https"):
            raise SourceError(f"{shown(url)}: only http://, https:// and file:// addresses can be pulled")
        try:
            return await self._get_with_retries(_Request(url, tuple(headers), body))
        except TimeoutError:
            raise SourceError(f"{shown(url)} answered nothing, or not all, within {self._seconds:g} s") from None

    async def _get_with_retries(self, request: _Request) -> Response:
        budget = _Budget(self._seconds)
        for attempt in range(1, TRIES + 1):
            try:
                return await self._get_once(request, budget)
            except _Retry as fault:
                if attempt == TRIES:
                    raise _with_remark(fault.error, f"{TRIES} times") from fault
                if fault.wait is not None and fault.wait > PATIENCE:
                    raise _with_remark(fault.error, f"asks to wait {fault.wait:.0f} s") from fault
                if fault.wait is None:  # else the host's next turn comes when it wishes
                    pause = (2 ** (attempt - 1)) * (0.5 + self._jitter())
                    if pause >= budget.left:
                        raise _with_remark(fault.error, f"{attempt} times") from fault
                    async with budget.counted():
                        await self._sleep(pause)
        raise AssertionError("unreachable")

    async def _get_once(self, request: _Request, budget: _Budget) -> Response:
        """Follow redirects by hand: a server must not send us to a file or to another kind of address."""
        place = request.url
        for _ in range(MAX_REDIRECTS + 1):
            async with self._manners.turn(host_of(place)), budget.counted(), _faults_named(place, self._seconds):
                answer = await self._ask(place, request)
            if isinstance(answer, Response):
                return answer
            target = urljoin(place, answer.target)
            if scheme_of(target) not in ("http", "https"):
                raise SourceError(f"{shown(request.url)} redirects to {shown(target)}: refused")
            place = target
        raise SourceError(f"{shown(request.url)} redirects more than {MAX_REDIRECTS} times")

    async def _ask(self, place: str, request: _Request) -> Response | _Redirect:
        """Ask one host once."""
        remembered = await self._recall(place) if request.may_be_remembered else None
        headers = dict(request.headers) if host_of(place) == host_of(request.url) else {}
        if remembered and remembered.etag:
            headers["If-None-Match"] = remembered.etag
        if remembered and remembered.last_modified:
            headers["If-Modified-Since"] = remembered.last_modified
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        method = "GET" if request.body is None else "POST"
        async with self._open().stream(method, place, headers=headers, content=request.body) as answer:
            if answer.status_code in _REDIRECTS:
                return _Redirect(answer.headers.get("location", ""))
            if answer.status_code == HTTPStatus.NOT_MODIFIED and remembered:
                return Response(place, remembered.body, remembered.content_type, remembered.fetched_at)
            body = await self._read(place, answer)
            served_at = _served_at(answer.headers.get("date", ""), answer.headers.get("age", ""))
            found = Response(place, body, answer.headers.get("content-type", ""), served_at=served_at)
            if request.may_be_remembered:
                await self._remember(found, answer)
            return found

    async def _recall(self, url: str) -> Remembered | None:
        return await self._remembering(url, self._memory.recall, url) if self._memory else None

    async def _remember(self, found: Response, answer: httpx2.Response) -> None:
        etag, last_modified = answer.headers.get("etag", ""), answer.headers.get("last-modified", "")
        private = "no-store" in answer.headers.get("cache-control", "").lower()
        if self._memory and (etag or last_modified) and not private:
            remembered = Remembered(etag, last_modified, found.body, found.content_type, datetime.now(UTC))
            await self._remembering(found.url, self._memory.remember, found.url, remembered)

    async def _remembering(self, url: str, act: Callable[..., T], *arguments: object) -> T | None:
        """Use the memory; one that fails costs a whole answer, not the source, and each of its faults is told once."""
        try:
            return await asyncio.to_thread(act, *arguments)
        except Exception as error:
            fault = str(error) if isinstance(error, DigestError) else repr(error)
            if fault not in self._told:
                self._told.add(fault)
                log.warning("%s is pulled without the memory of what it last answered: %s", shown(url), fault)
            return None

    def _open(self) -> httpx2.AsyncClient:
        if self._client is None:
            import httpx2

            from digest.pull.guard import GuardedTransport

            # A try gets a third of the whole time, so that there is some left for another.
            self._client = httpx2.AsyncClient(
                headers={"User-Agent": self._agent, "Accept": "*/*", "Accept-Encoding": ENCODINGS},
                timeout=self._seconds / TRIES,
                transport=None if self._allow_private else GuardedTransport(),
            )
        return self._client

    async def _read(self, url: str, answer: httpx2.Response) -> bytes:
        status = answer.status_code
        if status != HTTPStatus.OK:
            words = await self._words(answer)
            error = StatusError(f"{shown(url)} answered {status} {_phrase(status)}", status, words)
            if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                wait = _retry_after(answer.headers.get("retry-after", ""))
                if wait:
                    self._manners.hold_off(host_of(url), wait)
                raise _Retry(error, wait or None)
            raise error
        try:
            transfer = unpacker(answer.headers.get("content-encoding", ""), self._max_bytes)
            async for piece in answer.aiter_raw():
                transfer.feed(piece)
            body = transfer.finish()
            return gunzip(body, self._max_bytes) if body.startswith(b"\x1f\x8b") else body
        except TooLongError:
            raise self._too_long(url) from None

    async def _words(self, answer: httpx2.Response) -> bytes:
        """Read what a server says when it refuses; what cannot be read is left out."""
        words = b""
        with contextlib.suppress(UnpackError):
            transfer = unpacker(answer.headers.get("content-encoding", ""), 100 * MAX_WORDS)
            taken = 0
            async for piece in answer.aiter_raw():
                transfer.feed(piece)
                taken += len(piece)
                if taken > MAX_WORDS:
                    break
            words = transfer.finish()
        return words[:MAX_WORDS]

    def _too_long(self, url: str) -> SourceError:
        return SourceError(f"{shown(url)} is longer than {self._max_bytes / 1e6:g} MB unpacked: refused")


@contextlib.asynccontextmanager
async def _faults_named(url: str, seconds: float) -> Any:
    """Turn httpx2's exceptions into ours, those that may pass into `_Retry`."""
    import httpx2

    place = shown(url)
    try:
        yield
    except UnpackError as error:
        raise SourceError(f"{place} {error}") from error
    except httpx2.TimeoutException as error:
        raise _Retry(SourceError(f"{place} answered nothing within {seconds / TRIES:g} s")) from error
    except httpx2.ConnectError as error:
        host = urlsplit(url).netloc.rpartition("@")[2]
        fault = SourceError(f"could not connect to {host}: {_reason(error)}")
        if _certificate_fault(error):
            raise fault from error
        raise _Retry(fault) from error
    except (httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
        raise _Retry(SourceError(f"{place} broke off the connection: {_reason(error)}")) from error
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise SourceError(f"{place} cannot be fetched: {_reason(error)}") from error


def _causes(error: BaseException) -> list[BaseException]:
    """Return an exception and all that it was raised from."""
    found: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is not None and one not in found:
            found.append(one)
            todo += [one.__context__, one.__cause__, *(one.exceptions if isinstance(one, BaseExceptionGroup) else ())]
    return found


def _certificate_fault(error: BaseException) -> bool:
    return any(isinstance(cause, ssl.SSLError) for cause in _causes(error))


def _reason(error: BaseException) -> str:
    """Say in a few words why, as the operating system would."""
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return f"its certificate is not valid ({cause.verify_message})"
            case ssl.SSLError():
                return "no TLS connection can be made"
            case socket.gaierror():
                return "no such host, or no network"
            case OSError(errno=number) if number and number in errno.errorcode:
                return os.strerror(number).lower()
    return str(error).splitlines()[0][:200] if str(error).strip() else type(error).__name__


def _with_remark(error: SourceError, remark: str) -> SourceError:
    message = f"{error} ({remark})"
    return StatusError(message, error.status, error.body) if isinstance(error, StatusError) else SourceError(message)


def _retry_after(value: str) -> float | None:
    """Read Retry-After: seconds from now, from a number or a date; None if there is none."""
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(value).astimezone(UTC) - datetime.now(UTC)).total_seconds())
    return None


def _served_at(date: str, age: str) -> datetime | None:
    """Read the server's time; a copy's Date is that of its origin, `age` seconds ago (RFC 9111 section 5.1)."""
    with contextlib.suppress(ValueError, TypeError):
        served = parsedate_to_datetime(date).astimezone(UTC)
        return served + timedelta(seconds=int(age[:9])) if age.isdecimal() else served
    return None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "(no status that HTTP knows)"
