"""Connections to the pages, over real sockets: many idle ones, and slow ones, keep nobody else out."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from digest.web import connections
from digest.web.connections import Connection
from digest.web.serving import serve
from tests.asking import Pages
from tests.waiting import until_async

ASKING = b"GET / HTTP/1.1\r\nHost: lab.example.org\r\n\r\n"
FORM = (
    b"POST /subscribe/lab HTTP/1.1\r\nHost: lab.example.org\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\n"
)
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[[bytes], Awaitable[Stream]]
"""Opens a connection and sends so much."""


@asynccontextmanager
async def served(pages: Pages) -> AsyncIterator[Open]:
    """The pages on a port of this machine."""
    stop, opened = asyncio.Event(), list[asyncio.StreamWriter]()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(serve(pages.hall, listening, stop))

        async def connect(sent: bytes) -> Stream:
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            opened.append(writer)
            writer.write(sent)
            return reader, writer

        try:
            async with asyncio.timeout(20):
                yield connect
        finally:
            for writer in opened:
                writer.close()
            stop.set()
            await serving


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The status line of the answer; the rest is read."""
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return head.partition(b"\r\n")[0]


async def has_ended(reader: asyncio.StreamReader) -> bool:
    """Waits for it; what still comes is passed over."""
    try:
        while await reader.read(65_536):
            pass
    except ConnectionResetError:
        pass
    return True


def test_whoever_keeps_us_waiting_makes_room(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent, slow, or idle after an answer: the one since the longest goes, and who comes is answered."""
    monkeypatch.setattr(connections, "MOST", 3)

    async def main() -> None:
        async with served(pages) as connect:
            silent, _ = await connect(b"")
            first, first_writer = await connect(ASKING)
            assert await answer(first) == b"HTTP/1.1 200 OK"
            slow, _ = await connect(ASKING[:20])
            forms, _ = await connect(FORM)
            assert await has_ended(silent)
            first_writer.write(ASKING)  # the same connection asks again, and is the newest
            assert await answer(first) == b"HTTP/1.1 200 OK"
            for gone in (slow, forms, first):
                newest, _ = await connect(ASKING)
                assert await answer(newest) == b"HTTP/1.1 200 OK"
                assert await has_ended(gone)

    asyncio.run(main())


def test_whoever_is_being_answered_stays(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newcomer goes instead, and later ones are answered."""
    monkeypatch.setattr(connections, "MOST", 1)
    asked, may_answer = asyncio.Event(), asyncio.Event()
    application = pages.hall.application()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        asked.set()
        await may_answer.wait()
        await application(scope, receive, send)

    monkeypatch.setattr(pages.hall, "application", lambda: slow)

    async def main() -> None:
        async with served(pages) as connect:
            first, _ = await connect(ASKING)
            await asked.wait()
            newcomer, _ = await connect(ASKING)
            assert await has_ended(newcomer)
            may_answer.set()
            assert await answer(first) == b"HTTP/1.1 200 OK"
            later, _ = await connect(ASKING)
            assert await answer(later) == b"HTTP/1.1 200 OK"

    asyncio.run(main())


@pytest.mark.parametrize(
    "sent",
    [b"G", ASKING[:-2], FORM + b"x", ASKING + b"G"],
)
def test_a_request_that_takes_too_long_ends(pages: Pages, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """In its head, in its form, and after an answer."""
    monkeypatch.setattr(connections, "SLOWEST", 0.2)

    async def main() -> None:
        async with served(pages) as connect:
            reader, _ = await connect(sent)
            assert await has_ended(reader)

    asyncio.run(main())


def test_an_answer_that_is_not_taken_ends(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client asks and does not read."""
    monkeypatch.setattr(connections, "SLOWEST", 0.2)
    broken_off = asyncio.Event()

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 20_000_000, "more_body": True})
        await receive()
        await receive()
        broken_off.set()

    monkeypatch.setattr(pages.hall, "application", lambda: large)

    async def main() -> None:
        async with served(pages) as connect:
            await connect(ASKING)
            await broken_off.wait()

    asyncio.run(main())


def test_one_that_never_asks_ends(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as one that asks no more."""
    monkeypatch.setattr("digest.web.serving.IDLE", 0.1)

    async def main() -> None:
        async with served(pages) as connect:
            for sent in (b"", ASKING):
                reader, _ = await connect(sent)
                assert await has_ended(reader)

    asyncio.run(main())


def test_requests_of_those_who_have_gone_have_an_end(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks and leaves makes work all the same: of more than there may be, nothing is begun."""
    monkeypatch.setattr("digest.web.serving.REQUESTS", 3)
    begun, may_answer = list[Scope](), asyncio.Event()
    application = pages.hall.application()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope)
        await may_answer.wait()
        await application(scope, receive, send)

    monkeypatch.setattr(pages.hall, "application", lambda: slow)

    async def main() -> None:
        async with served(pages) as connect:
            for number in range(1, 4):
                _, writer = await connect(ASKING)
                await until_async(lambda number=number: len(begun) == number, "the request was not begun")  # type: ignore[misc]
                writer.close()
            await until_async(lambda: not _connected(), "who has gone is still there")
            reader, _ = await connect(ASKING)
            assert await answer(reader) == b"HTTP/1.1 503 Service Unavailable"
            assert len(begun) == 3
            may_answer.set()
            while await answer((await connect(ASKING))[0]) != b"HTTP/1.1 200 OK":
                pass  # until the three have ended

    asyncio.run(main())


def _connected() -> list[Connection]:
    """The connections that a server of this process has."""
    return [each for each in gc.get_objects() if type(each) is Connection and each in each.connections]


def test_nothing_is_held_of_a_connection_that_broke(pages: Pages) -> None:
    """Whoever comes, resets and comes again costs no memory until its time would have been over."""

    def let_go(broken: weakref.ref[Connection]) -> bool:
        gc.collect()
        return broken() is None

    async def main() -> None:
        async with served(pages) as connect:
            _, writer = await connect(b"")
            broken = weakref.ref((await until_async(_connected, "there is no connection"))[0])
            at_once = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            writer.close()
            await until_async(lambda: let_go(broken), "it is still held")

    asyncio.run(main())


def test_newcomers_are_taken_as_fast_as_others_make_room(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many come at once, there are never many more than there may be: files are left for the rest."""
    monkeypatch.setattr(connections, "MOST", 3)
    monkeypatch.setattr("digest.web.serving.AT_ONCE", 10)
    made, lost, most = 0, 0, 0

    class Counted(Connection):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            nonlocal made, most
            made += 1
            most = max(most, made - lost)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            nonlocal lost
            lost += 1
            super().connection_lost(exc)

    monkeypatch.setattr("digest.web.serving.Connection", Counted)

    async def main() -> None:
        async with served(pages) as connect:
            reader, _ = await connect(ASKING)
            await answer(reader)
            crowd = [socket.socket() for _ in range(80)]
            address = reader._transport.get_extra_info("peername")  # type: ignore[attr-defined]
            for each in crowd:
                each.setblocking(False)
                each.connect_ex(address)
            await until_async(lambda: made > 10, "nobody has come")
            for each in crowd:
                each.close()
        assert most <= 3 + 4 * 11

    asyncio.run(main())
