"""An SMTP server on loopback that takes everything, and keeps of each message what it is called: fast.

For storms of a hundred thousand messages, of which only is asked which came, and how often. `smtp.py` has the server
that keeps all, and misbehaves.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection

from tests.servers.apart import Apart

_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^>\r\n]*>)", re.IGNORECASE | re.MULTILINE)
_PATH = re.compile(rb"<([^>]*)>")
_END = b"\r\n.\r\n"


class Sink(Apart):
    """A server on 127.0.0.1 and a free port, from `with` to the end of it, in a thread of its own.

    `greylisted`: recipients who are answered 451 when they are first named.
    """

    def __init__(self, greylisted: Collection[str] = ()):
        super().__init__()
        self.port = 0
        self.ids: list[str] = []
        """The Message-IDs of all that was accepted, in order, doubles included."""
        self.greylisted = {address.encode() for address in greylisted}
        self.open: dict[asyncio.BaseTransport, asyncio.Future[None]] = {}
        """Each with what is done when it is closed."""

    async def _start(self) -> None:
        self._server = await self._loop.create_server(lambda: _Conversation(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        for transport in list(self.open):
            transport.close()
        await self._server.wait_closed()
        await self._settle()

    async def _settle(self) -> None:
        await asyncio.sleep(0.1)  # a connection that is about to be accepted
        await asyncio.gather(*self.open.values())


class _Conversation(asyncio.Protocol):
    def __init__(self, sink: Sink):
        self._sink = sink
        self._had = bytearray()
        self._looked = 0
        """How much of a message has been looked through for its end."""
        self._recipients = 0
        self._in_message = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._sink.open[transport] = asyncio.get_running_loop().create_future()
        transport.write(b"220 sink ESMTP\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._sink.open.pop(self._transport).set_result(None)

    def data_received(self, data: bytes) -> None:
        self._had += data
        replies = bytearray()
        while (reply := self._message() if self._in_message else self._command()) is not None:
            replies += reply
        self._transport.write(replies)

    def _message(self) -> bytes | None:
        """The reply to the message that is under way; None while it lasts."""
        end = self._had.find(_END, self._looked)
        if end < 0:
            self._looked = max(len(self._had) - len(_END), 0)
            return None
        found = _MESSAGE_ID.search(self._had, 0, end)
        self._sink.ids.append(found[1].decode() if found else "")  # before the reply, as a relay commits to its queue
        del self._had[: end + len(_END)]
        self._in_message, self._recipients, self._looked = False, 0, 0
        return b"250 2.0.0 Queued\r\n"

    def _command(self) -> bytes | None:
        """The reply to the next command; None if none is there."""
        end = self._had.find(b"\n") + 1
        if not end:
            return None
        line = bytes(self._had[:end])
        del self._had[:end]
        verb = line[:4].upper()
        if verb == b"RCPT":
            return self._recipient(line)
        if verb == b"DATA":
            self._in_message = self._recipients > 0
            return b"354 Go ahead\r\n" if self._in_message else b"503 5.5.1 RCPT first\r\n"
        if verb == b"EHLO":
            return b"250-sink\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 PIPELINING\r\n"
        if verb == b"QUIT":
            self._transport.write(b"221 2.0.0 Bye\r\n")
            self._transport.close()
            return b""
        if verb == b"RSET":
            self._recipients = 0
        return b"250 2.0.0 OK\r\n"

    def _recipient(self, line: bytes) -> bytes:
        found = _PATH.search(line)
        address = found[1] if found else b""
        if address in self._sink.greylisted:
            self._sink.greylisted.discard(address)
            return b"451 4.7.1 Come back\r\n"
        self._recipients += 1
        return b"250 2.1.5 OK\r\n"
