"""What the senders of `send.py` send to: Postfix's smtp-sink, and another sink that is far away or behind TLS.

Run as a program, this is the other sink. It takes everything and keeps nothing, and each of its answers comes later by
a round trip's time: for a conversation of questions and answers that is a network with such a delay. Bandwidth and loss
are not played, nor the time that a connection itself takes to stand. It computes less than smtp-sink, so that on a host
with few processors it is the delay that is measured.
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
def postfix_sink() -> Iterator[int]:
    """The port of a smtp-sink."""
    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with running(["smtp-sink", *user, "-h", NAME, f"{HOST}:{port}", "1000"]):
        await_greeting(port)
        yield port


@contextlib.contextmanager
def distant_sink(round_trip: float) -> Iterator[int]:
    """The port of a sink that is `round_trip` seconds away."""
    port = free_port()
    with running([sys.executable, __file__, str(port), "--round-trip", str(round_trip)]):
        await_greeting(port)
        yield port


@contextlib.contextmanager
def tls_sink(certificate: Path) -> Iterator[int]:
    """The port of a sink that speaks TLS from the first byte, with the certificate and key of this file."""
    port = free_port()
    with running([sys.executable, __file__, str(port), "--certificate", str(certificate)]):
        connected(port).close()
        yield port


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


def connected(port: int) -> socket.socket:
    """A connection to `port`, once somebody listens there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection((HOST, port), timeout=PATIENCE)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def await_greeting(port: int) -> None:
    """Waits for the sink's greeting: another server's port looks like ours."""
    with connected(port) as connection:
        greeting = connection.recv(1000)
        if NAME.encode() not in greeting:
            raise RuntimeError(f"on port {port} it is no sink that answers: {greeting!r}")
        connection.sendall(b"QUIT\r\n")
        connection.recv(1000)


ANSWERS = {
    b"EHLO": f"250-{NAME}\r\n250 PIPELINING\r\n".encode(),
    b"DATA": b"354 Go ahead\r\n",
    b"QUIT": b"221 2.0.0 Bye\r\n",
}
"""What the other sink says to a verb. To all others, and to a message, it says OK."""
OK = b"250 2.0.0 Ok\r\n"
END = b"\r\n.\r\n"


class Sink(asyncio.BufferedProtocol):
    """One connection to the other sink."""

    def __init__(self, round_trip: float):
        self._round_trip = round_trip
        self._loop = asyncio.get_running_loop()
        self._received = memoryview(bytearray(256 * 1024))
        self._in_message = False
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._answer(f"220 {NAME} ESMTP\r\n".encode())

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._received

    def buffer_updated(self, nbytes: int) -> None:
        if self._in_message:
            self._rest = (self._rest + bytes(self._received[max(0, nbytes - len(END)) : nbytes]))[-len(END) :]
            if self._rest == END:  # a sender waits for its answer, so nothing comes behind it
                self._in_message, self._rest = False, b""
                self._answer(OK)
            return
        *commands, self._rest = (self._rest + bytes(self._received[:nbytes])).split(b"\r\n")
        if commands:
            self._in_message = commands[-1].upper() == b"DATA"
            self._answer(b"".join(ANSWERS.get(line[:4].upper(), OK) for line in commands))

    def _answer(self, reply: bytes) -> None:
        self._loop.call_later(self._round_trip, self._transport.write, reply)


async def listen(port: int, round_trip: float, certificate: Path | None) -> None:
    """Is the other sink, for ever."""
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Sink(round_trip), HOST, port, ssl=tls, backlog=1000)
    await server.serve_forever()


def main() -> None:
    """Is the sink that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("--round-trip", type=float, default=0)
    parser.add_argument("--certificate", type=Path)
    asked = parser.parse_args()
    asyncio.run(listen(asked.port, asked.round_trip, asked.certificate))


if __name__ == "__main__":
    main()
