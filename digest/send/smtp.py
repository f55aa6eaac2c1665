"""Delivers messages over SMTP to one relay, one connection per transport.

Here lives the conversation: commands, time-outs, TLS, login, and when a connection may be used again. What a reply
means is `outcome.decide`'s business; who is next, and what is written down, `outbox.drain`'s, which calls this.
Sources: RFC 5321 (SMTP; time-outs in section 4.5.3.2), 3207 (STARTTLS), 4954 (AUTH), 1870 (SIZE), 6531 (SMTPUTF8).

aiosmtplib opens the connection and speaks the commands. Its `data()` sends DATA and the message in one call and tells
neither a reply to DATA from one to the final dot, nor a 251 from a refusal; so DATA and the body are written here, on
its protocol. It keeps a connection after 421, and after a reply that is not SMTP: `reusable` decides instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

import aiosmtplib
import idna

from digest.errors import SendError
from digest.model import DeliveryStatus, Envelope, Outcome, Relay, Security
from digest.send.outcome import Failure, Stage, decide, reusable

_BARE_LINE_END = re.compile(rb"\r\n|\r|\n")
_AFTER_REPLY = re.compile(rb"(?:\d{3}-[^\n]*\n)*\d{3}[^\n]*\n(?P<more>.+)", re.DOTALL)
_NOT_IN_A_COMMAND = re.compile(r"[\x00-\x20\x7f<>]")
_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*\.)+[A-Za-z0-9-]*[A-Za-z0-9]", re.ASCII)
_GO_AHEAD = 354
_AUTH_METHODS = ("plain", "login", "cram-md5")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for the relay; the defaults are those of RFC 5321 section 4.5.3.2."""

    command: float = 300.0
    """For the connection, the greeting and each reply before DATA."""
    data: float = 120.0
    """For the 354 after DATA."""
    dot: float = 600.0
    """From the message's first byte to the final reply. A relay that is given up sooner may deliver all the same."""
    quit: float = 5.0


class _TroubleError(Exception):
    """The conversation cannot go on, for a reason that no reply gives."""

    def __init__(self, failure: Failure, detail: str):
        self.failure = failure
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a conversation ended: by a reply, by a failure, or by a verdict of our own that needed neither."""

    stage: Stage
    code: int | None = None
    text: str = ""
    failure: Failure | None = None
    verdict: Outcome | None = None

    def outcome(self) -> Outcome:
        return self.verdict or decide(self.stage, self.code, self.text, self.failure)

    def in_step(self) -> bool:
        return self.verdict is not None or reusable(self.stage, self.code, self.failure)

    def says_goodbye(self) -> bool:
        """The relay ended the session before this message meant anything to it."""
        return self.stage in (Stage.MAIL, Stage.RCPT) and (self.failure is Failure.LOST or self.code == 421)


def transports(relay: Relay, timeouts: Timeouts | None = None) -> Callable[[], SmtpTransport]:
    """Makes transports for `relay` that share one TLS context; building one costs as much as many messages.

    Raises `SendError` where `relay.ca_file` cannot be read.
    """
    tls = None if relay.security is Security.NONE else tls_context(relay)
    return lambda: SmtpTransport(relay, tls, timeouts)


def tls_context(relay: Relay) -> ssl.SSLContext:
    """Verifies certificate and host name, against `relay.ca_file` alone where given, else the system's CAs."""
    try:
        return ssl.create_default_context(cafile=relay.ca_file)
    except OSError as error:
        raise SendError(f"{relay.ca_file}: cannot be used as CA certificates: {error}") from error


class _Address(NamedTuple):
    wire: bytes
    needs_utf8: bool


def wire_address(address: str) -> _Address:
    """`address` as MAIL and RCPT have it: the domain in A-labels; a local part that is not ASCII needs SMTPUTF8.

    Raises `ValueError` for what would not stay one address on a command line, and for a domain that IDNA refuses.
    """
    if _NOT_IN_A_COMMAND.search(address):
        raise ValueError(f"{address!r} has a character that an address cannot have")
    local, at, domain = address.rpartition("@")
    if not domain.isascii():
        domain = idna.encode(domain, uts46=True).decode("ascii")
    return _Address(f"{local}{at}{domain}".encode(), not local.isascii())


def dot_stuffed(message: bytes) -> bytes:
    """`message` as it follows 354, with its final dot. A bare CR or LF becomes CRLF: servers differ on its meaning."""
    if not message.count(b"\n") == message.count(b"\r") == message.count(b"\r\n"):
        message = _BARE_LINE_END.sub(b"\r\n", message)
    if message.startswith(b"."):
        message = b"." + message
    end = b".\r\n" if message.endswith(b"\r\n") or not message else b"\r\n.\r\n"
    return message.replace(b"\r\n.", b"\r\n..") + end


class SmtpTransport:
    """One connection to a relay: opened when first needed, used for many messages, closed after anything odd."""

    def __init__(self, relay: Relay, tls: ssl.SSLContext | None = None, timeouts: Timeouts | None = None):
        self._relay = relay
        self._tls = tls if tls or relay.security is Security.NONE else tls_context(relay)
        self._timeouts = timeouts or Timeouts()
        self._client: aiosmtplib.SMTP | None = None
        self._stage = Stage.CONNECT

    async def submit(self, envelope: Envelope, message: bytes, before_data: Callable[[], None]) -> Outcome:
        """As `outbox.Transport.submit`. A connection that the relay closed between two messages is opened again."""
        try:
            sender, recipient = wire_address(envelope.sender), wire_address(envelope.recipient)
        except ValueError as error:
            return Outcome(DeliveryStatus.BOUNCED, "5.1.3", f"not an address that mail can be sent to: {error}")
        was_open = self._is_open()
        ending = await self._ended(self._offer(sender, recipient, len(message)))
        if ending is not None and was_open and ending.says_goodbye():
            ending = await self._ended(self._offer(sender, recipient, len(message)))
        if ending is not None:
            return ending.outcome()
        try:
            before_data()
        except BaseException:
            self._discard()
            raise
        ending = await self._ended(self._transmit(message))
        return ending.outcome() if ending is not None else decide(Stage.DOT, failure=Failure.LOST)

    async def close(self) -> None:
        """Says goodbye where a connection is open. Raises nothing."""
        if self._client is not None:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await self._client.execute_command(b"QUIT", timeout=self._timeouts.quit)
        self._discard()  # at once: the library's quit() would leave TLS waiting for the relay's farewell
        await asyncio.sleep(0)  # the loop closes the socket in its next turn

    def _is_open(self) -> bool:
        return self._client is not None and self._client.is_connected

    async def _ended(self, conversation: Awaitable[_Ending | None]) -> _Ending | None:
        """Takes part of a conversation to its end and leaves a connection that is in step, or none."""
        try:
            ending = await conversation
        except (aiosmtplib.SMTPException, OSError, _TroubleError) as error:
            ending = _diagnosis(self._stage, error)
        except BaseException:
            self._discard()
            raise
        if ending is None:
            return None
        if not ending.in_step() or self._has_said_too_much():
            self._discard()
        elif ending.stage in (Stage.RCPT, Stage.DATA):
            await self._reset()
        return ending

    async def _offer(self, sender: _Address, recipient: _Address, size: int) -> _Ending | None:
        """MAIL and RCPT, on a connection opened if need be. None when the recipient has been accepted."""
        client = self._client if self._client is not None and self._is_open() else await self._open()
        self._stage = Stage.MAIL
        utf8 = sender.needs_utf8 or recipient.needs_utf8
        if (refusal := _unfit(client.esmtp_extensions, size, utf8)) is not None:
            return _Ending(Stage.MAIL, verdict=refusal)
        parameters = [b"SIZE=%d" % size] if "size" in client.esmtp_extensions else []
        parameters += [b"SMTPUTF8"] if utf8 else []
        for self._stage, command in (
            (Stage.MAIL, (b"MAIL", b"FROM:<" + sender.wire + b">", *parameters)),
            (Stage.RCPT, (b"RCPT", b"TO:<" + recipient.wire + b">")),
        ):
            code, text = await client.execute_command(*command, timeout=self._timeouts.command)
            if not 200 <= code <= 299:
                return _Ending(self._stage, code, text)
            self._expect_silence()
        return None

    async def _transmit(self, message: bytes) -> _Ending:
        self._stage = Stage.DATA
        client = self._client
        if client is None or client.protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("closed by the relay before DATA")
        protocol = client.protocol
        code, text = await client.execute_command(b"DATA", timeout=self._timeouts.data)
        if code == _GO_AHEAD:
            self._expect_silence()
            self._stage = Stage.DOT
            protocol.write(dot_stuffed(message))
            code, text = await protocol.read_response(timeout=self._timeouts.dot)
        return _Ending(self._stage, code, text)

    def _has_said_too_much(self) -> bool:
        """The relay has sent more than the reply that was read: its next words would answer the wrong command."""
        protocol = self._client.protocol if self._client is not None else None
        return protocol is not None and bool(protocol._buffer)

    def _expect_silence(self) -> None:
        if self._has_said_too_much():
            raise _TroubleError(Failure.MALFORMED, "two replies to one command")

    async def _reset(self) -> None:
        """Ends a transaction that was refused half-way, so that the next message can begin with MAIL."""
        try:
            if self._client is not None:
                await self._client.rset(timeout=self._timeouts.command)
        except (aiosmtplib.SMTPException, OSError):
            self._discard()

    def _discard(self) -> None:
        """Drops the connection at once: what is still unsent must not reach the relay after all."""
        client, self._client = self._client, None
        if client is not None:
            if isinstance(client.transport, asyncio.WriteTransport):
                client.transport.abort()
            client.close()

    async def _open(self) -> aiosmtplib.SMTP:
        relay, timeout = self._relay, self._timeouts.command
        self._discard()
        self._stage = Stage.CONNECT
        self._client = client = aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            use_tls=relay.security is Security.TLS,
            start_tls=False,
            tls_context=self._tls,
            timeout=timeout,
            local_hostname="localhost",  # unused: EHLO is given its name, without the library's DNS look-up
        )
        await client.connect()
        name = await _own_name(client.get_transport_info("sockname")[0])
        await self._greet(client, name)
        if relay.security is Security.STARTTLS:
            self._stage = Stage.STARTTLS
            await _start_tls(client)
            await self._greet(client, name)
        if relay.username is not None:
            self._stage = Stage.AUTH
            await self._log_in(client, relay.username, relay.password or "")
            self._expect_silence()
        return client

    async def _greet(self, client: aiosmtplib.SMTP, name: str) -> None:
        self._expect_silence()
        self._stage = Stage.EHLO
        await client.ehlo(hostname=name)
        self._expect_silence()

    async def _log_in(self, client: aiosmtplib.SMTP, username: str, password: str) -> None:
        if self._relay.security is Security.NONE and not _is_loopback(self._relay.host):
            raise _TroubleError(Failure.NOT_OFFERED, "a password is not sent without TLS: set security")
        methods = [name for name in _AUTH_METHODS if name in client.server_auth_methods]
        if not methods:
            raise _TroubleError(Failure.NOT_OFFERED, "AUTH, by PLAIN, LOGIN or CRAM-MD5; but a username is set")
        # One method, one try: the library's own login() goes on to the next after a wrong password.
        log_in = getattr(client, f"auth_{methods[0].replace('-', '')}")
        await log_in(username, password)


async def _start_tls(client: aiosmtplib.SMTP) -> None:
    """STARTTLS, and no further if it is not offered or if anything follows its reply in the clear (RFC 3207)."""
    if not client.supports_extension("starttls"):
        raise _TroubleError(Failure.NOT_OFFERED, "STARTTLS; nothing was sent, nor will be in the clear")
    protocol = client.protocol
    if protocol is None:
        raise aiosmtplib.SMTPServerDisconnected("Connection lost")
    heard = bytearray()
    receive = protocol.data_received

    def listen(data: bytes) -> None:
        heard.extend(data)
        receive(data)

    protocol.data_received = listen  # type: ignore[method-assign]
    try:
        await client.starttls()
    finally:
        protocol.data_received = receive  # type: ignore[method-assign]
    if _AFTER_REPLY.fullmatch(heard):
        raise _TroubleError(Failure.TLS, "something spoke in the clear after STARTTLS: the connection is tampered with")


async def _own_name(own_ip: str) -> str:
    """What we call ourselves at EHLO: this host's full name, else its address as a literal (RFC 5321 section 4.1.3)."""
    address = ipaddress.ip_address(own_ip.partition("%")[0])
    literal = f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"
    if address.is_loopback:
        return literal
    name = await asyncio.to_thread(socket.getfqdn)
    return name if _HOST_NAME.fullmatch(name) else literal


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _unfit(extensions: dict[str, str], size: int, utf8: bool) -> Outcome | None:
    """The refusal of a message that the relay has said it cannot take, else None."""
    limit = extensions.get("size", "").strip()
    if limit.isdecimal() and 0 < int(limit) < size:
        reply = f"the message has {size} bytes, the relay takes at most {limit} (SIZE)"
        return Outcome(DeliveryStatus.BOUNCED, "5.3.4", reply)
    if utf8 and "smtputf8" not in extensions:
        reply = "the relay takes no addresses with other than ASCII letters before the @ (SMTPUTF8)"
        return Outcome(DeliveryStatus.BOUNCED, "5.6.7", reply)
    return None


def _diagnosis(stage: Stage, error: Exception) -> _Ending:  # noqa: PLR0911 - one line for each kind of exception
    """What an exception during `stage` says about how the conversation ended."""
    if isinstance(error, _TroubleError):
        return _Ending(stage, failure=error.failure, text=str(error))
    if isinstance(error, aiosmtplib.SMTPResponseException):
        if isinstance(error, aiosmtplib.SMTPConnectResponseError):
            stage = Stage.BANNER
        if error.code == aiosmtplib.SMTPStatus.invalid_response:
            return _Ending(stage, failure=Failure.MALFORMED, text=error.message)
        return _Ending(stage, error.code, error.message)
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLError):
        return _Ending(stage, failure=Failure.TLS, text=getattr(cause, "verify_message", "") or str(cause))
    if isinstance(error, TimeoutError):
        return _Ending(stage, failure=Failure.TIMEOUT)
    if isinstance(cause, aiosmtplib.SMTPServerDisconnected):
        return _Ending(Stage.BANNER if stage is Stage.CONNECT else stage, failure=Failure.LOST)
    if stage is Stage.CONNECT:
        return _Ending(stage, failure=Failure.UNREACHABLE, text=str(error))
    return _Ending(stage, failure=Failure.LOST)
