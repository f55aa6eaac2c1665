"""The fetcher against a real server on loopback that misbehaves, each misbehaviour with a name."""

import asyncio
import gzip
import socket
import zlib
from pathlib import Path
from typing import Any

import pytest

import digest
from digest.errors import SourceError, StoreError
from digest.model import Remembered
from digest.pull.addresses import shown
from digest.pull.http import Fetcher, Response, StatusError
from digest.pull.manners import Manners
from tests.servers.http import (
    BOMB,
    Misbehaviour,
    Server,
    answers_304_to,
    drips,
    goes_to,
    in_turn,
    lies_about_its_length,
    never_ends,
    packs,
    resets,
    says,
    sends_endless_headers,
    speaks_no_http,
    stalls,
    stalls_in_body,
)


class Pauses:
    """A clock whose sleep only remembers."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def fetcher_of(pauses: Pauses, **options: Any) -> Fetcher:
    """A fetcher that may ask this machine and waits for nothing."""
    manners = Manners(clock=pauses.clock, sleep=pauses)
    usual: dict[str, Any] = {"sleep": pauses, "jitter": lambda: 0.5, "manners": manners, "allow_private": True}
    return Fetcher(**(usual | options))


def fetch(path: str, /, *, fetcher: dict[str, Any] | None = None, **paths: Misbehaviour) -> tuple[Any, Server, Pauses]:
    """What `get` returns or raises for one path of a server with these paths; the server; the pauses made."""
    server, pauses = Server(**paths), Pauses()

    async def work() -> Any:
        async with server, fetcher_of(pauses, **(fetcher or {})) as client:
            try:
                return await client.get(server.url + path)
            except SourceError as error:
                return error

    return asyncio.run(work()), server, pauses


def test_a_plain_answer() -> None:
    """The body, its type and the address come back; the request names program, version and contact."""
    answer, server, pauses = fetch(
        "a", fetcher={"contact": "mailto:ada@example.org"}, a=says("200 OK", b"<rss/>", "Content-Type: text/xml")
    )
    assert answer == Response(server.url + "a", b"<rss/>", "text/xml")
    assert f"papers-digest/{digest.__version__} (+mailto:ada@example.org)" in server.requests[0]
    assert "gzip" in server.requests[0].lower()
    assert pauses.waits == []


def test_gzip_in_either_form() -> None:
    """A packed transfer and a packed file come out unpacked."""
    packed = gzip.compress(b"<rss/>")
    for headers in ((), ("Content-Encoding: gzip",)):
        answer, _, _ = fetch("a", a=says("200 OK", packed, *headers))
        assert answer.body == b"<rss/>"


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "410 Gone", "304 Not Modified", "204 No Content"])
def test_a_refusal_is_told_at_once(status: str) -> None:
    """What will not change by asking again is not asked again."""
    error, server, pauses = fetch("a", a=says(status))
    assert isinstance(error, StatusError)
    assert str(error) == f"{server.url}a answered {status}"
    assert error.status == int(status[:3])
    assert (len(server.requests), pauses.waits) == (1, [])


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable"])
def test_what_may_pass_is_tried_three_times(status: str) -> None:
    """After three tries with growing pauses the last answer is told."""
    error, server, pauses = fetch("a", a=says(status))
    assert isinstance(error, StatusError)
    assert str(error) == f"{server.url}a answered {status} (3 times)"
    assert (len(server.requests), pauses.waits) == (3, [1.0, 2.0])


def test_the_second_try_may_succeed() -> None:
    """One failure costs nothing but a pause."""
    answer, _, pauses = fetch("a", a=in_turn(says("502 Bad Gateway"), resets, says("200 OK", b"<rss/>")))
    assert answer.body == b"<rss/>"
    assert pauses.waits == [1.0, 2.0]


def test_retry_after_is_honoured() -> None:
    """The server's own word on how long to wait goes before ours."""
    busy = says("429 Too Many Requests", b"", "Retry-After: 7")
    answer, _, pauses = fetch("a", a=in_turn(busy, says("200 OK", b"<rss/>")))
    assert (answer.body, pauses.waits) == (b"<rss/>", [7.0])


@pytest.mark.parametrize("value", ["3600", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_wait_beyond_the_time_limit_is_not_begun(value: str) -> None:
    """Who asks for an hour is told to the reader, not waited for."""
    error, server, pauses = fetch("a", a=says("503 Service Unavailable", b"", f"Retry-After: {value}"))
    assert isinstance(error, StatusError)
    assert "answered 503 Service Unavailable (asks to wait " in str(error)
    assert (len(server.requests), pauses.waits) == (1, [])


@pytest.mark.parametrize("value", ["soon", "", "Fri, 01 Jan 1999 00:00:00 GMT", "٣"])
def test_a_retry_after_that_says_nothing(value: str) -> None:
    """Words, the past and foreign digits ask for no long wait."""
    busy = says("503 Service Unavailable", b"", f"Retry-After: {value}")
    answer, _, pauses = fetch("a", a=in_turn(busy, says("200 OK", b"<rss/>")))
    assert answer.body == b"<rss/>"
    assert pauses.waits[0] <= 3


def test_a_server_that_stalls() -> None:
    """Silence ends within the time limit."""
    error, _, _ = fetch("a", fetcher={"seconds": 0.3}, a=stalls)
    assert "answered nothing" in str(error)


def test_a_server_that_drips() -> None:
    """One byte now and then keeps no connection open beyond the time limit."""
    error, server, _ = fetch("a", fetcher={"seconds": 1.5}, a=drips)  # a third of it is waited for one byte
    assert str(error) == f"{server.url}a answered nothing, or not all, within 1.5 s"


@pytest.mark.parametrize("misbehaves", [resets, lies_about_its_length, speaks_no_http])
def test_a_connection_that_breaks(misbehaves: Misbehaviour) -> None:
    """Resets, short bodies and other protocols are tried again, then named."""
    error, server, _ = fetch("a", a=misbehaves)
    assert str(error).startswith(f"{server.url}a broke off the connection: ")
    assert str(error).endswith("(3 times)")


def test_nobody_listens() -> None:
    """A refused connection names host, port and reason."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

        async def work() -> None:
            async with fetcher_of(Pauses()) as client:
                await client.get(f"http://127.0.0.1:{port}/a")

        with pytest.raises(
            SourceError, match=rf"^could not connect to 127\.0\.0\.1:{port}: connection refused \(3 times\)$"
        ):
            asyncio.run(work())


def test_a_body_without_end() -> None:
    """Reading stops at the limit."""
    error, _, _ = fetch("a", fetcher={"max_bytes": 1_000_000}, a=never_ends)
    assert str(error).endswith("/a is longer than 1 MB unpacked: refused")


@pytest.mark.parametrize("headers", [("Content-Encoding: gzip",), ()])
def test_a_gzip_bomb(headers: tuple[str, ...]) -> None:
    """A small body that unpacks to a large one ends at the limit, packed by transfer or as a file."""
    bomb = gzip.compress(b"\0" * 20_000_000)
    error, _, _ = fetch("a", a=says("200 OK", bomb, *headers))
    assert str(error).endswith("/a is longer than 10 MB unpacked: refused")


@pytest.mark.parametrize("headers", [("Content-Encoding: gzip",), ()])
def test_broken_gzip(headers: tuple[str, ...]) -> None:
    """Gzip that is none is named."""
    error, _, _ = fetch("a", a=says("200 OK", b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 40, *headers))
    assert isinstance(error, SourceError)
    assert "unpacked" in str(error) or "broken gzip" in str(error)


def test_redirects_are_followed() -> None:
    """Relative and absolute ones; the address that answered comes back."""
    answer, server, _ = fetch("a", a=goes_to("/b"), b=goes_to("{}c"), c=says("200 OK", b"<rss/>"))
    assert answer == Response(server.url + "c", b"<rss/>")


def test_redirects_end() -> None:
    """A circle is left after five."""
    error, server, _ = fetch("a", a=goes_to("/a"))
    assert str(error) == f"{server.url}a redirects more than 5 times"
    assert len(server.requests) == 6


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://x.example/", "data:text/xml,x", "gopher://x"])
def test_redirects_lead_to_the_web_only(target: str) -> None:
    """A server cannot make us read a file."""
    error, _, _ = fetch("a", a=goes_to(target))
    assert "refused" in str(error)
    assert "redirects to" in str(error)


@pytest.mark.parametrize(
    "url", ["ftp://x.example/a", "javascript:1", "a.xml", "", "http://", "http://[::1", "http://x y/"]
)
def test_addresses_that_are_none(url: str) -> None:
    """Other schemes and broken addresses are refused in one line."""

    async def work() -> None:
        async with fetcher_of(Pauses(), seconds=3) as client:
            await client.get(url)

    with pytest.raises(SourceError) as caught:
        asyncio.run(work())
    assert "\n" not in str(caught.value)


def read(path: Path | str, **options: Any) -> Response:
    url = path.as_uri() if isinstance(path, Path) else path
    return asyncio.run(Fetcher(**options).get(url))


def test_files(tmp_path: Path) -> None:
    """A file is read, packed or not, of one gzip member or several."""
    (tmp_path / "ä b.xml").write_bytes(b"<rss/>")
    (tmp_path / "x.xml.gz").write_bytes(gzip.compress(b"<rss") + gzip.compress(b"/>"))
    assert read(tmp_path / "ä b.xml").body == b"<rss/>"
    assert read(tmp_path / "x.xml.gz").body == b"<rss/>"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """What is missing, a folder, too long, a bomb or cut is named by its path."""
    (tmp_path / "long").write_bytes(b"x" * 1001)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"x" * 1001))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"some text that is long enough to be cut")[:30])
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8b\x08\x00" + zlib.compress(b"x") * 3)
    for name, message in {
        "gone.xml": "no such file: {}",
        "": "{} is a folder: expected a file",
        "long": "{} is longer than 0.001 MB unpacked: refused",
        "bomb.gz": "{} is longer than 0.001 MB unpacked: refused",
        "cut.gz": "{} is gzip that breaks off",
        "broken.gz": "{} is broken gzip: ",
    }.items():
        with pytest.raises(SourceError) as caught:
            read(tmp_path / name, max_bytes=1000)
        assert str(caught.value).startswith(message.format(tmp_path / name))


def test_a_device_is_no_file() -> None:
    """/dev/zero is not read."""
    with pytest.raises(SourceError, match="is no regular file"):
        read("file:///dev/zero")


def test_a_file_of_another_host() -> None:
    """A file address with two slashes names a host: it says how to write it."""
    with pytest.raises(SourceError, match="after three slashes"):
        read("file://feeds/a.xml")


def test_messages_hold_no_secrets() -> None:
    """Passwords and secret parameters of an address are not shown."""
    assert shown("https://ada:pw@x.example:8443/a?api_key=abc&date=2026-06-10#f") == (
        "https://x.example:8443/a?api_key=…&date=2026-06-10"
    )


class Shelf:
    """A memory of answers; with `broken`, one whose disk is full."""

    def __init__(self, *, broken: bool = False):
        self.kept: dict[str, Remembered] = {}
        self.broken = broken

    def recall(self, url: str) -> Remembered | None:
        if self.broken:
            raise StoreError("digest.db: disk full; free some space")
        return self.kept.get(url)

    def remember(self, url: str, remembered: Remembered) -> None:
        if self.broken:
            raise StoreError("digest.db: disk full; free some space")
        self.kept[url] = remembered


def fetch_twice(misbehaviour: Misbehaviour, shelf: Shelf, **options: Any) -> tuple[Response, Response, Server]:
    server = Server(a=misbehaviour)

    async def work() -> tuple[Response, Response, Server]:
        async with server, fetcher_of(Pauses(), memory=shelf) as client:
            return await client.get(server.url + "a", **options), await client.get(server.url + "a", **options), server

    return asyncio.run(work())


def test_what_has_not_changed_is_not_sent_again() -> None:
    """The second request names the ETag, the answer is 304, and the bytes are those of the first."""
    first, second, server = fetch_twice(answers_304_to('"v1"', b"<rss/>"), Shelf())
    assert (first.body, first.unchanged_since) == (b"<rss/>", None)
    assert second.body == b"<rss/>"
    assert second.unchanged_since
    assert 'if-none-match: "v1"' in server.requests[1].lower()
    assert "if-none-match" not in server.requests[0].lower()


def test_a_time_of_change_will_do() -> None:
    """Without an ETag, Last-Modified is what the next request names."""
    when = "Tue, 09 Jun 2026 04:00:00 GMT"
    answers = in_turn(says("200 OK", b"<rss/>", f"Last-Modified: {when}"), says("304 Not Modified"))
    _, second, server = fetch_twice(answers, Shelf())
    assert f"if-modified-since: {when.lower()}" in server.requests[1].lower()
    assert second.body == b"<rss/>"


@pytest.mark.parametrize(
    ("answer", "options"),
    [
        (says("200 OK", b"x"), {}),
        (says("200 OK", b"x", 'ETag: "1"', "Cache-Control: private, no-store"), {}),
        (says("200 OK", b"x", 'ETag: "1"'), {"headers": [("x-api-key", "secret")]}),
        (says("200 OK", b"x", 'ETag: "1"'), {"body": b"{}"}),
    ],
)
def test_what_is_not_remembered(answer: Misbehaviour, options: dict[str, Any]) -> None:
    """Answers without a mark, those not to be stored, and those to a key's holder or to a question are not kept."""
    shelf = Shelf()
    fetch_twice(answer, shelf, **options)
    assert shelf.kept == {}


def test_a_broken_memory_costs_only_bytes(caplog: pytest.LogCaptureFixture) -> None:
    """A memory that fails is as good as none, and what is wrong with it is said, once."""
    first, second, server = fetch_twice(says("200 OK", b"<rss/>", 'ETag: "1"'), Shelf(broken=True))
    assert first.body == second.body == b"<rss/>"
    told = f"{server.url}a is pulled without the memory of what it last answered: digest.db: disk full; free some space"
    assert caplog.messages == [told]


def test_a_304_that_nobody_asked_for_is_an_error() -> None:
    """A server that says "unchanged" to a stranger has said nothing."""
    error, _, _ = fetch("a", fetcher={"memory": Shelf()}, a=says("304 Not Modified"))
    assert str(error).endswith("answered 304 Not Modified")


def test_a_question_is_posted_with_its_headers() -> None:
    """JSON goes out as POST; the headers do not follow a redirect to another host."""
    server, other = Server(a=goes_to("/b"), b=says("200 OK", b"{}")), Server(b=says("200 OK", b"there"))

    async def work() -> None:
        async with server, other, fetcher_of(Pauses()) as client:
            answer = await client.get(server.url + "a", headers=[("X-Api-Key", "secret")], body=b'{"ids": []}')
            assert answer.body == b"{}"
            server.paths["a"] = goes_to(other.url.replace("127.0.0.1", "localhost") + "b")
            assert (await client.get(server.url + "a", headers=[("X-Api-Key", "secret")])).body == b"there"

    asyncio.run(work())
    assert server.requests[0].startswith("POST /a ")
    assert "x-api-key: secret" in server.requests[1].lower()
    assert "content-type: application/json" in server.requests[1].lower()
    assert "x-api-key" not in other.requests[0].lower()


def test_a_refusal_keeps_its_words() -> None:
    """What a server says with a refusal can be read, packed or not, ten kilobytes of it, also after retries."""
    words = b"incorrect id " * 2000
    packed = gzip.compress(b"slow down")
    error, _, _ = fetch("a", a=says("400 Bad Request", words))
    assert (error.status, error.body) == (400, words[:10_000])
    error, _, _ = fetch("a", a=says("429 Too Many Requests", packed, "Content-Encoding: gzip"))
    assert (error.status, error.body) == (429, b"slow down")


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_packed_transfers(encoding: str) -> None:
    """Both packings are unpacked; a bomb ends at the limit, and a transfer that breaks off is noticed."""
    answer, _, _ = fetch("a", a=packs(b"<rss/>" * 1000, encoding))
    assert answer.body == b"<rss/>" * 1000
    error, _, _ = fetch("a", a=packs(BOMB, encoding))
    assert str(error).endswith("/a is longer than 10 MB unpacked: refused")
    error, _, _ = fetch("a", a=packs(b"<rss/>" * 1000, encoding, cut=5))
    assert "that breaks off" in str(error)
    error, _, _ = fetch("a", a=says("200 OK", b"\x00nonsense", f"Content-Encoding: {encoding}"))
    assert "is broken" in str(error)


def test_a_packing_that_was_not_asked_for() -> None:
    """A server that packs as it likes is told apart from a broken feed."""
    error, _, _ = fetch("a", a=says("200 OK", b"x", "Content-Encoding: compress"))
    assert str(error).endswith("/a is packed in a way that was not asked for (compress)")


def test_headers_without_end_and_a_body_that_stops() -> None:
    """Both end within the limits."""
    for misbehaves in (sends_endless_headers, stalls_in_body):
        error, _, _ = fetch("a", fetcher={"seconds": 0.6}, a=misbehaves)
        assert isinstance(error, SourceError)


def test_a_wish_to_wait_is_kept_for_the_next_request() -> None:
    """Whoever was told to come back in an hour is not asked again before, by nobody in this process."""
    server, pauses = Server(a=says("429 Too Many Requests", b"", "Retry-After: 3600")), Pauses()

    async def work() -> list[str]:
        errors = []
        async with server, fetcher_of(pauses) as client:
            for _ in range(2):
                with pytest.raises(SourceError) as caught:
                    await client.get(server.url + "a")
                errors.append(str(caught.value))
        return errors

    first, second = asyncio.run(work())
    assert first.endswith("(asks to wait 3600 s)")
    assert second.startswith("127.0.0.1 asked us to wait: it is not asked again before")
    assert len(server.requests) == 1
