"""An SMTP server on loopback that keeps what it accepts, and misbehaves where told to.

`CollectingServer()` is a good server: `with CollectingServer() as server:` then `server.host`, `server.port` and, any
time, `server.messages`. It runs in a thread of its own, so that it serves blocking code and async code alike.
Given `Misbehaviour`s it does each of them at its stage; the common ones have names below. What it has accepted is in
`messages` even where its client never heard so: it is the judge of what was delivered.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.servers.apart import Apart

STAGES = ("banner", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot")
_STUFFED = re.compile(rb"^\.", re.MULTILINE)
_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^>\r\n]*>)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Received:
    """A message that the server accepted: its envelope, and its bytes as they were before dot-stuffing."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    tls: bool
    user: str | None

    @property
    def message_id(self) -> str:
        """With its angle brackets; empty where there is none."""
        found = _MESSAGE_ID.search(self.data)
        return found[1].decode() if found else ""


@dataclass(frozen=True)
class Misbehaviour:
    """What the server does at `stage` in place of its usual reply.

    It sends `say` (raw bytes; nothing when empty), and then goes on, closes, resets the connection, or stalls. With
    `accepts` the command has had its usual effect all the same: at the dot, the message is kept. It happens from the
    `skip`th occasion on, `times` times (0: always), and only where the command (at the dot: a recipient) has `only`;
    occasions are counted on each connection, or `over_all`. DATA without a recipient has a stage of its own,
    "data without rcpt".
    """

    stage: str
    say: bytes = b""
    then: Literal["go on", "close", "reset", "stall"] = "go on"
    accepts: bool = False
    skip: int = 0
    times: int = 0
    only: bytes = b""
    over_all: bool = False


answers_421_banner = Misbehaviour("banner", b"421 4.3.2 Too busy, try later\r\n", "close")
answers_554_banner = Misbehaviour("banner", b"554 5.7.1 No SMTP service here\r\n", "close")
strips_starttls = Misbehaviour("ehlo", b"250-test\r\n250 SIZE 10000000\r\n")
injects_after_starttls = Misbehaviour("starttls", b"220 2.0.0 Ready\r\n250 injected\r\n", accepts=True)
refuses_auth_535 = Misbehaviour("auth", b"535 5.7.8 Wrong user name or password\r\n")
rejects_mail_from = Misbehaviour("mail", b"550 5.7.1 Sender not allowed\r\n")
rejects_rcpt_550 = Misbehaviour("rcpt", b"550 5.1.1 No such user\r\n")
defers_rcpt_451 = Misbehaviour("rcpt", b"451 4.7.1 Greylisted, come back in 5 minutes\r\n")
rejects_data_554 = Misbehaviour("dot", b"554 5.7.1 Spam\r\n")
answers_251 = Misbehaviour("dot", b"251 2.1.5 User not local, will forward\r\n", accepts=True)
resets_after_dot = Misbehaviour("dot", then="reset", accepts=True)
garbage_reply = Misbehaviour("dot", b"\x00\xfftwo hundred and fifty\r\n", accepts=True)
half_a_line = Misbehaviour("dot", b"250 2.0", "close", accepts=True)
stalls = Misbehaviour("dot", then="stall", accepts=True)
wants_data_without_rcpt = Misbehaviour("data without rcpt", b"354 Go ahead\r\n", accepts=True)


def closes_after_n(messages: int) -> Misbehaviour:
    """Takes `messages` messages on each connection, then closes it when the next one begins."""
    return Misbehaviour("mail", then="close", skip=messages)


@dataclass
class _Session:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    tls: bool = False
    occasions: dict[Misbehaviour, int] = field(default_factory=dict)
    user: str | None = None
    sender: str | None = None
    recipients: list[str] = field(default_factory=list)

    async def say(self, reply: bytes) -> None:
        self.writer.write(reply)
        await self.writer.drain()


class CollectingServer(Apart):
    """An SMTP server on a free port of loopback, or of another `host`, from `with` to the end of it.

    `tls` makes it offer STARTTLS, or speak TLS at once with `implicit_tls`. With `credentials` it wants AUTH PLAIN
    before MAIL. `watch` is told each stage as it begins, before anything is answered or kept, and of each message also
    "accepted", when it is kept and its sender does not know yet; it is called in the server's thread.
    """

    def __init__(
        self,
        *misbehaviours: Misbehaviour,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        credentials: tuple[str, str] | None = None,
        size: int = 10_000_000,
        smtputf8: bool = False,
        pipelining: bool = False,
        watch: Callable[[str], None] = lambda stage: None,
        host: str = "127.0.0.1",
    ):
        super().__init__()
        self.host = host
        self.port = 0
        self.messages: list[Received] = []
        self.commands: list[bytes] = []
        """Every line that a client sent outside of DATA, in order, over all connections."""
        self.fragments: list[bytes] = []
        """What came of messages that were broken off before their final dot."""
        self.connections = 0
        self._misbehaviours = misbehaviours
        self._tls = tls
        self._implicit_tls = implicit_tls
        self._credentials = credentials
        self._size = size
        self._smtputf8 = smtputf8
        self._pipelining = pipelining
        self._watch = watch
        self._occasions: dict[Misbehaviour, int] = {}
        self._sessions: set[asyncio.Task[None]] = set()

    @property
    def message_ids(self) -> list[str]:
        """The Message-IDs of all that was accepted, in order, doubles included."""
        return [message.message_id for message in self.messages]

    @property
    def open_connections(self) -> int:
        """How many there are now."""
        return len(self._sessions)

    async def _start(self) -> None:
        self._loop.set_exception_handler(lambda loop, context: None)  # clients that break off are what this is for
        self._server = await asyncio.start_server(
            self._serve, self.host, 0, ssl=self._tls if self._implicit_tls else None, limit=2**24
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        await self._server.wait_closed()

    async def _settle(self) -> None:
        await asyncio.sleep(0)  # a connection that is about to be accepted
        while self._sessions:
            await asyncio.wait(self._sessions)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        self.connections += 1
        session = _Session(reader, writer, self._implicit_tls)
        try:
            with contextlib.suppress(OSError, EOFError, ssl.SSLError, asyncio.CancelledError):
                await self._talk(session)
        finally:
            self._sessions.discard(task)
            session.writer.close()
            with contextlib.suppress(OSError, ssl.SSLError, asyncio.CancelledError):
                await session.writer.wait_closed()

    async def _talk(self, session: _Session) -> None:
        await self._reply(session, "banner", b"", b"220 test ESMTP\r\n")
        while line := await session.reader.readline():
            self.commands.append(line.rstrip(b"\r\n"))
            verb = line[:4].upper().strip()
            if verb == b"QUIT":
                await session.say(b"221 2.0.0 Bye\r\n")
                return
            handler = getattr(self, f"_on_{verb.decode('ascii', 'replace').lower()}", None)
            if handler is None:
                await session.say(b"502 5.5.2 What?\r\n")
            else:
                await handler(session, line)

    async def _reply(self, session: _Session, stage: str, command: bytes, usual: bytes) -> bool:
        """Says what is due at `stage`. Whether the command has had its effect."""
        misbehaviour = self._due(session, stage, command)
        if misbehaviour is None:
            await session.say(usual)
            return True
        await self._misbehave(session, misbehaviour)
        return misbehaviour.accepts

    def _due(self, session: _Session, stage: str, command: bytes) -> Misbehaviour | None:
        self._watch(stage)
        for misbehaviour in self._misbehaviours:
            if misbehaviour.stage == stage and misbehaviour.only in command:
                counted = self._occasions if misbehaviour.over_all else session.occasions
                occasion = counted.get(misbehaviour, 0) - misbehaviour.skip
                counted[misbehaviour] = occasion + misbehaviour.skip + 1
                if occasion >= 0 and (misbehaviour.times == 0 or occasion < misbehaviour.times):
                    return misbehaviour
        return None

    async def _misbehave(self, session: _Session, misbehaviour: Misbehaviour) -> None:
        if misbehaviour.say:
            await session.say(misbehaviour.say)
        if misbehaviour.then == "stall":
            await asyncio.Event().wait()
        if misbehaviour.then == "reset":
            raw: socket.socket = session.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            session.writer.transport.abort()
        if misbehaviour.then in ("reset", "close"):
            raise EOFError

    async def _on_ehlo(self, session: _Session, line: bytes) -> None:
        offers = [b"test", b"SIZE %d" % self._size, b"8BITMIME", b"ENHANCEDSTATUSCODES"]
        if self._tls is not None and not session.tls:
            offers.append(b"STARTTLS")
        if self._credentials is not None:
            offers.append(b"AUTH PLAIN LOGIN")
        if self._smtputf8:
            offers.append(b"SMTPUTF8")
        if self._pipelining:
            offers.append(b"PIPELINING")
        lines = [b"250-%s\r\n" % offer for offer in offers[:-1]] + [b"250 %s\r\n" % offers[-1]]
        await self._reply(session, "ehlo", line, b"".join(lines))

    async def _on_star(self, session: _Session, line: bytes) -> None:
        if self._tls is not None and await self._reply(session, "starttls", line, b"220 2.0.0 Ready\r\n"):
            await session.writer.start_tls(self._tls)
            session.tls = True

    async def _on_auth(self, session: _Session, line: bytes) -> None:
        _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
        if (user, password) != self._credentials:
            await session.say(b"535 5.7.8 Wrong user name or password\r\n")
        elif await self._reply(session, "auth", line, b"235 2.7.0 Welcome\r\n"):
            session.user = user

    async def _on_mail(self, session: _Session, line: bytes) -> None:
        if self._credentials is not None and session.user is None:
            await session.say(b"530 5.7.0 Log in first\r\n")
        elif session.sender is not None:
            await session.say(b"503 5.5.1 A transaction is open already\r\n")
        elif await self._reply(session, "mail", line, b"250 2.1.0 OK\r\n"):
            session.sender = _path(line)

    async def _on_rcpt(self, session: _Session, line: bytes) -> None:
        if session.sender is None:
            await session.say(b"503 5.5.1 MAIL first\r\n")
        elif await self._reply(session, "rcpt", line, b"250 2.1.5 OK\r\n"):
            session.recipients.append(_path(line))

    async def _on_rset(self, session: _Session, line: bytes) -> None:
        session.sender, session.recipients = None, []
        await session.say(b"250 2.0.0 OK\r\n")

    async def _on_noop(self, session: _Session, line: bytes) -> None:
        await session.say(b"250 2.0.0 OK\r\n")

    async def _on_data(self, session: _Session, line: bytes) -> None:
        if session.recipients:
            if await self._reply(session, "data", line, b"354 Go ahead\r\n"):
                await self._take_message(session)
        elif (misbehaviour := self._due(session, "data without rcpt", line)) is None:
            await session.say(b"503 5.5.1 RCPT first\r\n")
        else:
            await self._misbehave(session, misbehaviour)
            if misbehaviour.accepts:
                await self._take_message(session)

    async def _take_message(self, session: _Session) -> None:
        received = bytearray()
        try:
            while received != b".\r\n" and not received.endswith(b"\r\n.\r\n"):
                received += await session.reader.readuntil(b".\r\n")
        except asyncio.IncompleteReadError as broken_off:
            received += broken_off.partial
            self.fragments += [bytes(received)] if received else []
            raise
        data = _STUFFED.sub(b"", received[: -len(b".\r\n")])
        message = Received(session.sender or "", tuple(session.recipients), data, session.tls, session.user)
        session.sender, session.recipients = None, []
        misbehaviour = self._due(session, "dot", " ".join(message.recipients).encode())
        if misbehaviour is None or misbehaviour.accepts:
            self.messages.append(message)  # before the reply goes out, as a relay commits to its queue first
            self._watch("accepted")
        if misbehaviour is None:
            await session.say(b"250 2.0.0 Queued\r\n")
        else:
            await self._misbehave(session, misbehaviour)


def _path(line: bytes) -> str:
    found = re.search(rb"<([^>]*)>", line)
    return found[1].decode() if found else ""
