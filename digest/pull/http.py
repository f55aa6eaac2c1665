"""The only place of `pull` that touches the world: http(s) addresses and `file://` ones to bytes, within limits.

Called by `digest.pull.pull`. It knows no feed and no format. Every fault is a `SourceError` of one line that says what
happened and where; a server's refusal is a `StatusError`, which carries the number. Limits hold for all of it together:
30 s with all tries and redirects, 10 MB after decompression, 5 redirects, 3 tries. HTTP: RFC 9110; Retry-After: its
section 10.2.3; a body that is itself gzip (`feed.xml.gz`) is unpacked whatever its headers say.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import re
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

import digest
from digest.errors import SourceError

if TYPE_CHECKING:
    import httpx2

MAX_SECONDS = 30.0
MAX_BYTES = 10_000_000
MAX_REDIRECTS = 5
TRIES = 3
CONTACT = "https://pypi.org/project/papers-digest/"

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SECRET = re.compile(r"((?:^|&)[^=&]*(?:token|key|secret|passw|auth|sig)[^=&]*=)[^&]*", re.I)


class StatusError(SourceError):
    """A server answered, but not with what was asked for. `status` is HTTP's number, `body` its words, 10 kB at most."""

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


class _Retry(Exception):  # noqa: N818  not an error: the wish to try again
    """A fault that may pass: what happened, and how long the server asks to wait, in seconds."""

    def __init__(self, error: SourceError, wait: float | None = None):
        self.error = error
        self.wait = wait


class Fetcher:
    """An HTTP client with manners, and a reader of files. An async context manager; one for any number of sources."""

    def __init__(
        self,
        *,
        contact: str = CONTACT,
        seconds: float = MAX_SECONDS,
        max_bytes: int = MAX_BYTES,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ):
        """`contact` is the address or mailbox that a server's operator can turn to; `seconds` limits one `get`."""
        self._agent = f"papers-digest/{digest.__version__} (+{contact})"
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

        With `body`, which is JSON, it is posted.
        """
        scheme = _scheme(url)
        if scheme == "file":
            return await asyncio.to_thread(self._read_file, url)
        if scheme not in ("http", "https"):
            raise SourceError(f"{shown(url)}: only http://, https:// and file:// addresses can be pulled")
        try:
            async with asyncio.timeout(self._seconds):
                return await self._get_with_retries(url)
        except TimeoutError:
            raise SourceError(f"{shown(url)} answered nothing, or not all, within {self._seconds:g} s") from None

    async def _get_with_retries(self, url: str) -> Response:
        deadline = asyncio.get_running_loop().time() + self._seconds
        for attempt in range(1, TRIES + 1):
            try:
                return await self._get_once(url)
            except _Retry as fault:
                wait = fault.wait if fault.wait is not None else (2 ** (attempt - 1)) * (0.5 + self._jitter())
                left = deadline - asyncio.get_running_loop().time()
                if attempt == TRIES:
                    raise _with_remark(fault.error, f"{TRIES} times") from fault
                if wait >= left:
                    raise _with_remark(fault.error, f"asks to wait {wait:.0f} s") from fault
                await self._sleep(wait)
        raise AssertionError("unreachable")

    async def _get_once(self, url: str) -> Response:
        """Follow redirects by hand: a server must not send us to a file or to another kind of address."""
        place = url
        for _ in range(MAX_REDIRECTS + 1):
            async with _faults_named(place, self._seconds), self._open().stream("GET", place) as answer:
                if answer.status_code not in _REDIRECTS:
                    return await self._read(place, answer)
                target = urljoin(place, answer.headers.get("location", ""))
            if _scheme(target) not in ("http", "https"):
                raise SourceError(f"{shown(url)} redirects to {shown(target)}: refused")
            place = target
        raise SourceError(f"{shown(url)} redirects more than {MAX_REDIRECTS} times")

    def _open(self) -> httpx2.AsyncClient:
        if self._client is None:
            import httpx2

            # A try gets a third of the whole time, so that there is some left for another.
            self._client = httpx2.AsyncClient(
                headers={"User-Agent": self._agent, "Accept": "*/*"}, timeout=self._seconds / TRIES, http2=False
            )
        return self._client

    async def _read(self, url: str, answer: httpx2.Response) -> Response:
        status = answer.status_code
        if status != HTTPStatus.OK:
            error = StatusError(f"{shown(url)} answered {status} {_phrase(status)}", status)
            if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise _Retry(error, _retry_after(answer.headers.get("retry-after", "")))
            raise error
        body = bytearray()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > self._max_bytes:
                raise self._too_long(url)
        return Response(url, self._unpacked(url, bytes(body)), answer.headers.get("content-type", ""))

    def _read_file(self, url: str) -> Response:
        path = file_path(url)
        try:
            if path.is_dir():
                raise SourceError(f"{path} is a folder: expected a file")
            if not path.exists():
                raise SourceError(f"no such file: {path}")
            if not path.is_file():
                raise SourceError(f"{path} is no regular file")
            with path.open("rb") as file:
                body = file.read(self._max_bytes + 1)
        except OSError as error:
            raise SourceError(f"cannot read {path}: {_reason(error)}") from error
        if len(body) > self._max_bytes:
            raise self._too_long(url)
        return Response(url, self._unpacked(url, body))

    def _unpacked(self, url: str, body: bytes) -> bytes:
        """Unpack a body that is gzip; stop at the limit, so that a bomb costs no more than that."""
        if not body.startswith(b"\x1f\x8b"):
            return body
        unpacked = bytearray()
        while body.startswith(b"\x1f\x8b"):  # members may follow one another
            stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                unpacked += stream.decompress(body, self._max_bytes + 1 - len(unpacked))
            except zlib.error as error:
                raise SourceError(f"{shown(url)} is broken gzip: {error}") from error
            if len(unpacked) > self._max_bytes:
                raise self._too_long(url)
            if not stream.eof:
                raise SourceError(f"{shown(url)} is gzip that breaks off")
            body = stream.unused_data
        return bytes(unpacked)

    def _too_long(self, url: str) -> SourceError:
        return SourceError(f"{shown(url)} is longer than {self._max_bytes / 1e6:g} MB unpacked: refused")


@contextlib.asynccontextmanager
async def _faults_named(url: str, seconds: float) -> Any:
    """Turn httpx2's exceptions into ours, those that may pass into `_Retry`."""
    import httpx2

    place = shown(url)
    try:
        yield
    except httpx2.TimeoutException as error:
        raise _Retry(SourceError(f"{place} answered nothing within {seconds / TRIES:g} s")) from error
    except httpx2.ConnectError as error:
        host = urlsplit(url).netloc.rpartition("@")[2]
        fault = SourceError(f"could not connect to {host}: {_reason(error)}")
        if _certificate_fault(error):
            raise fault from error
        raise _Retry(fault) from error
    except httpx2.DecodingError as error:
        raise SourceError(f"{place} sent a body that cannot be unpacked: {error}") from error
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
    return StatusError(message, error.status) if isinstance(error, StatusError) else SourceError(message)


def _retry_after(value: str) -> float | None:
    """Read Retry-After: seconds from now, from a number or a date; None if there is none."""
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(value).astimezone(UTC) - datetime.now(UTC)).total_seconds())
    return None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "(no status that HTTP knows)"


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme.lower()
    except ValueError:
        return ""


def shown(url: str) -> str:
    """Return an address as it may stand in a message: without password, and without the values of secret parameters."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url[:200]
    if parts.scheme == "file":
        return unquote(parts.path)
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, parts.path, _SECRET.sub(r"\1…", parts.query), ""))[:300]


def file_path(url: str) -> Path:
    """Return the path of a `file:///absolute/path` address. Raises `SourceError` for a host or a relative path."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/") or "\0" in unquote(parts.path):
        raise SourceError(
            f"{url}: a file address holds an absolute path after three slashes, file:///home/ada/feed.xml"
        )
    return Path(unquote(parts.path))


async def dated_files(url: str, dates: Sequence[date], suffixes: Sequence[str]) -> tuple[tuple[date, str], ...] | None:
    """Find a folder's files of these dates: `2026-06-10.json`, also `.gz`. None if the address is no folder.

    Returns (date, file address) in the order of `dates`. Raises `SourceError` if there is nothing at the address.
    """
    return await asyncio.to_thread(_dated_files, url, dates, suffixes)


def _dated_files(url: str, dates: Sequence[date], suffixes: Sequence[str]) -> tuple[tuple[date, str], ...] | None:
    path = file_path(url)
    try:
        if not path.exists():
            raise SourceError(f"no such file or folder: {path}")
        if not path.is_dir():
            return None
        found = []
        for day in dates:
            names = (f"{day.isoformat()}{suffix}{gz}" for suffix in suffixes for gz in ("", ".gz"))
            file = next((path / name for name in names if (path / name).is_file()), None)
            if file:
                found.append((day, "file://" + quote(str(file))))
    except OSError as error:
        raise SourceError(f"cannot read {path}: {_reason(error)}") from error
    return tuple(found)
