"""An SMTP connection once it stands: commands and messages out, replies in, each asked for and each in its turn.

Here live the reading of replies (RFC 5321 section 4.2) and the bytes of a message on the wire (sections 2.3.8, 4.5.2).
`smtp.py` opens the connection, with TLS and login, hands it over to a `Wire`, and leads the conversation.

A `Wire` is strict. After a line that is not SMTP, a reply that nobody asked for, one that comes too late, or the end of
the connection, it is closed and takes nothing more; replies that came before are still read. It needs no flow control:
nothing is written before everything that was written has been answered, so what waits to be sent is one message.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from digest.send.outcome import Failure

LONGEST_REPLY = 16_384
"""Bytes of one reply with all its lines; RFC 5321 section 4.5.3.1.5 has 512 a line."""

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\r\n]*))?\r")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_DOT_AT_START = re.compile(rb"^\.", re.MULTILINE)
_LF, _CR, _DOT = b"\n\r."


class Reply(NamedTuple):
    """A reply's code, from 200 to 599, and its text without it; lines are parted by a newline."""

    code: int
    text: str


class WireError(Exception):
    """The connection has come to its end, for a reason that no reply gives."""

    def __init__(self, failure: Failure, detail: str = ""):
        self.failure = failure
        super().__init__(detail)


class ReplyReader:
    """Takes bytes as they come, and gives the replies that they complete."""

    def __init__(self) -> None:
        self._rest = b""
        self._code = b""
        self._lines: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Each reply that `data` completes. Raises `WireError` at the first line that cannot be a reply's."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._check_length(len(line))
            found = _LINE.fullmatch(line)
            if found is None or (self._lines and found[1] != self._code):
                raise WireError(Failure.MALFORMED, line.decode("utf-8", "replace"))
            self._code = found[1]
            self._size += len(line)
            self._lines.append(found[3] or b"")
            if found[2] != b"-":
                text = b"\n".join(self._lines).decode("utf-8", "replace")
                self._lines, self._size = [], 0
                yield Reply(int(self._code), text)
        self._check_length(len(self._rest))

    def _check_length(self, more: int) -> None:
        if self._size + more > LONGEST_REPLY:
            raise WireError(Failure.MALFORMED, f"longer than {LONGEST_REPLY} bytes")


class Wire(asyncio.BufferedProtocol):
    """One open connection, taken over from whoever opened it, with nothing left to answer.

    Buffered, because asyncio allocates 256 KiB for each read of a plain protocol, which costs more than all the rest.
    """

    def __init__(self, transport: asyncio.Transport):
        self._transport = transport
        # TLS has encrypted all of a message at once, and does not count what waits beneath it.
        beneath = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
        self._beneath: asyncio.Transport = beneath or transport
        self._loop = asyncio.get_running_loop()
        self._received = memoryview(bytearray(4096))  # a view: asyncio's TLS fills slices of what it is given
        self._reader = ReplyReader()
        self._replies: deque[Reply] = deque()
        self._awaited = 0
        self._waiter: asyncio.Future[None] | None = None
        self._end: WireError | None = None
        transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        """Whether more can be sent, as far as is known here."""
        return self._end is None and not self._transport.is_closing()

    @property
    def is_sending(self) -> bool:
        """Something of what was sent is known not to have left yet."""
        return self._transport.get_write_buffer_size() > 0 or self._beneath.get_write_buffer_size() > 0

    @property
    def in_step(self) -> bool:
        """Whether all that was sent has left, and has been answered."""
        return self.is_open and self._awaited == 0 and not self.is_sending

    def check(self) -> None:
        """Raises `WireError` if the connection has ended."""
        if self._end is not None:
            raise self._end

    def send(self, data: bytes, replies: int = 1) -> None:
        """Sends what will be answered by so many replies. Raises `WireError` if the connection has ended."""
        self.check()
        self._awaited += replies
        self._transport.write(data)

    async def reply(self, patience: float) -> Reply:
        """The next reply. Raises `WireError` if the connection ends first, or `patience` (in seconds) does."""
        if not self._replies and self._end is None:
            self._waiter = self._loop.create_future()
            timer = self._loop.call_later(patience, self._finish, Failure.TIMEOUT)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        if self._replies:
            return self._replies.popleft()
        raise self._end or WireError(Failure.LOST)

    def abort(self) -> None:
        """Drops the connection at once: what has not left yet never will."""
        self._finish(Failure.LOST)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - replies are short, whatever the loop hints
        """For the event loop."""
        return self._received

    def buffer_updated(self, nbytes: int) -> None:
        """For the event loop."""
        try:
            for reply in self._reader.feed(bytes(self._received[:nbytes])):
                if not self._awaited:
                    self._finish(Failure.MALFORMED, f"nobody asked for {reply.code} {reply.text}")
                    break
                self._awaited -= 1
                self._replies.append(reply)
        except WireError as error:
            self._finish(error.failure, str(error))
        if self._replies:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - its text is the system's
        """For the event loop."""
        self._finish(Failure.LOST)

    def _finish(self, failure: Failure, detail: str = "") -> None:
        if self._end is None:
            self._end = WireError(failure, detail)
            self._transport.abort()
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def dot_stuffed(message: bytes) -> bytes:
    """`message` as it follows 354, with its final dot. A bare CR or LF becomes CRLF: servers differ on its meaning."""
    if _is_in_wire_form(message):
        return message + b".\r\n"
    message = _LINE_END.sub(b"\r\n", message)
    if message and not message.endswith(b"\r\n"):
        message += b"\r\n"
    return _DOT_AT_START.sub(b"..", message) + b".\r\n"


def _is_in_wire_form(message: bytes) -> bool:
    """Whether each CR and each LF is half of a CRLF, with one at the end, and no line begins with a dot.

    Composed messages are so, and it must still be seen of each: numpy takes a tenth of the time of bytes' methods.
    """
    if message.startswith((b".", b"\n")) or not message.endswith(b"\r\n"):
        return False
    octets = np.frombuffer(message, np.uint8)
    is_feed, is_return = octets == _LF, octets == _CR
    begins_with_dot = is_feed[:-1] & (octets[1:] == _DOT)
    return bool((is_return[:-1] == is_feed[1:]).all() and not begins_with_dot.any())
