"""A real HTTP/1.1 server on loopback that misbehaves, each misbehaviour with a name."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import brotli

from tests.waiting import PATIENCE

Writer = asyncio.StreamWriter
Misbehaviour = Callable[["Server", Writer], Awaitable[None]]


class Server:
    """An HTTP/1.1 server that answers each path by the function of that name, and remembers the requests."""

    def __init__(self, **paths: Misbehaviour):
        self.paths = paths
        self.requests: list[str] = []
        self.url = ""

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(request)
            await self.paths[request.split()[1].strip("/").partition("?")[0]](self, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@contextmanager
def serving(**paths: Misbehaviour) -> Iterator[Server]:
    """The server in a thread of its own, for programs that run in this one."""
    server, ready = Server(**paths), threading.Event()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def work() -> None:
        stop = asyncio.Event()
        running.append((asyncio.get_running_loop(), stop))
        async with server:
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield server
    finally:
        ((loop, stop),) = running
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def says(status: str, body: bytes = b"", *headers: str) -> Misbehaviour:
    async def answer(_: Server, writer: Writer) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    return answer


def in_turn(*answers: Misbehaviour) -> Misbehaviour:
    left = list(answers)

    async def answer(server: Server, writer: Writer) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(server, writer)

    return answer


async def stalls(_: Server, writer: Writer) -> None:
    await asyncio.sleep(60)


async def drips(_: Server, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


async def resets(_: Server, writer: Writer) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def lies_about_its_length(_: Server, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n<rss>")


async def speaks_no_http(_: Server, writer: Writer) -> None:
    writer.write(b"220 mail.example ESMTP\r\n")


async def never_ends(_: Server, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


def goes_to(target: str) -> Misbehaviour:
    async def answer(server: Server, writer: Writer) -> None:
        await says("302 Found", b"", f"Location: {target.format(server.url)}")(server, writer)

    return answer


def answers_304_to(etag: str, body: bytes) -> Misbehaviour:
    """Send the body with an ETag, and to whoever names that ETag nothing but 304."""

    async def answer(server: Server, writer: Writer) -> None:
        known = f"if-none-match: {etag}" in server.requests[-1].lower()
        await (says("304 Not Modified") if known else says("200 OK", body, f"ETag: {etag}"))(server, writer)

    return answer


async def stalls_in_body(_: Server, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<rss")
    await writer.drain()
    await asyncio.sleep(60)


async def sends_endless_headers(_: Server, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
        await writer.drain()


def packs(body: bytes, encoding: str, cut: int = 0) -> Misbehaviour:
    """Send a body packed as "gzip" or "br", without its last `cut` bytes."""
    packed = gzip.compress(body) if encoding == "gzip" else brotli.compress(body)
    return says("200 OK", packed[: len(packed) - cut], f"Content-Encoding: {encoding}")


BOMB = b"\0" * 20_000_000


def xml_bomb() -> bytes:
    """A billion laughs: a kilobyte that stands for gigabytes."""
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return (
        f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY l0 "laugh">{entities}]>'
        "<rss version='2.0'><channel><item><title>&l9;</title></item></channel></rss>"
    ).encode()
