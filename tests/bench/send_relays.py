"""What the senders of `send.py` send to: Postfix's smtp-sink, and a relay that is further away or behind TLS.

Run as a program, this is that relay: it passes everything on to another port of this host, and what comes back later by
a round trip's time. For a conversation of questions and answers that is a network with such a delay; bandwidth and loss
are not played, nor is the time that a connection itself takes to stand.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

HOST = "127.0.0.1"
NAME = "bench.test"
PATIENCE = 10.0
"""Seconds for a server to come up."""


@contextlib.contextmanager
def sink() -> Iterator[int]:
    """The port of a smtp-sink that takes everything and keeps nothing."""
    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with running(["smtp-sink", *user, "-h", NAME, f"{HOST}:{port}", "1000"]):
        greeted(port)
        yield port


@contextlib.contextmanager
def distant(port: int, round_trip: float) -> Iterator[int]:
    """The port of a relay before `port` that is `round_trip` seconds away."""
    near = free_port()
    with running([sys.executable, __file__, str(near), str(port), "--round-trip", str(round_trip)]):
        greeted(near)
        yield near


@contextlib.contextmanager
def behind_tls(port: int, certificate: Path) -> Iterator[int]:
    """The port of a relay before `port` that speaks TLS from the first byte, with this certificate and key."""
    near = free_port()
    with running([sys.executable, __file__, str(near), str(port), "--certificate", str(certificate)]):
        listening(near)
        yield near


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: Sequence[str]) -> Iterator[None]:
    """A program that is ended by its process id."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def listening(port: int) -> socket.socket:
    """A connection to `port`, once somebody listens there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection((HOST, port), timeout=PATIENCE)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def greeted(port: int) -> None:
    """Waits for the sink's greeting: another server's port looks like ours."""
    with listening(port) as connection:
        greeting = connection.recv(1000)
        if NAME.encode() not in greeting:
            raise RuntimeError(f"on port {port} it is not smtp-sink that answers: {greeting!r}")
        connection.sendall(b"QUIT\r\n")
        connection.recv(1000)


class _End(asyncio.BufferedProtocol):
    """One end of a connection through the relay; what it hears leaves by the other end after `delay` seconds."""

    def __init__(self, delay: float):
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._received = memoryview(bytearray(256 * 1024))
        self.transport: asyncio.Transport | None = None
        self.other: _End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._received

    def buffer_updated(self, nbytes: int) -> None:
        heard = bytes(self._received[:nbytes])
        if self._delay:
            self._loop.call_later(self._delay, self._pass_on, heard)
        else:
            self._pass_on(heard)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self._loop.call_later(self._delay, self.other.transport.close)

    def _pass_on(self, heard: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(heard)


class _NearEnd(_End):
    """The end that a sender connects to: a connection to the relay behind is made before anything is read."""

    def __init__(self, port: int, round_trip: float):
        super().__init__(delay=0)
        self._port = port
        self._round_trip = round_trip

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        self._connecting = self._loop.create_task(self._connect(self.transport))

    async def _connect(self, transport: asyncio.Transport) -> None:
        far = _End(self._round_trip)
        far.other = self
        await self._loop.create_connection(lambda: far, HOST, self._port)
        self.other = far
        transport.resume_reading()


async def relay(port: int, behind: int, round_trip: float, certificate: Path | None) -> None:
    """Listens on `port` for ever."""
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _NearEnd(behind, round_trip), HOST, port, ssl=tls, backlog=1000)
    await server.serve_forever()


def main() -> None:
    """Is the relay that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("behind", type=int)
    parser.add_argument("--round-trip", type=float, default=0)
    parser.add_argument("--certificate", type=Path)
    asked = parser.parse_args()
    asyncio.run(relay(asked.port, asked.behind, asked.round_trip, asked.certificate))


if __name__ == "__main__":
    main()
