"""Opens a connection to a relay, up to where MAIL may follow: greeting, STARTTLS, login, EHLO.

Here lives what must be true of a connection before anybody's mail is offered on it: it is encrypted and logged in as
the config says, or there is none; nothing falls back. `smtp.py` calls this, and speaks on the `Wire` that comes out.
Sources: RFC 5321 (SMTP), 3207 (STARTTLS), 4954 (AUTH).

aiosmtplib speaks the commands, and its connection is then taken over: for messages it writes one command at a time,
scans each twice, and tells neither a reply to DATA from one to the final dot nor a 251 from a refusal. It also goes on
after a reply that is followed by more than was asked for; here that ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import aiosmtplib

from digest.errors import SendError
from digest.hosts import is_loopback, no_connection
from digest.model import Relay, Security
from digest.send.outcome import Failure, Stage
from digest.send.wire import Wire

_AFTER_REPLY = re.compile(rb"(?:\d{3}-[^\n]*\n)*\d{3}[^\n]*\n(?P<more>.+)", re.DOTALL)
_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*\.)+[A-Za-z0-9-]*[A-Za-z0-9]", re.ASCII)
_AUTH_METHODS = ("plain", "login", "cram-md5")


class Opened(NamedTuple):
    """A connection that MAIL may follow on."""

    wire: Wire
    extensions: Mapping[str, str]
    """What the relay said to the last EHLO: keyword, in lower case, to parameters."""
    greeting: str = ""
    certificate_until: datetime | None = None
    """When the relay's certificate ends; None without TLS."""


class OpeningError(Exception):
    """There is no connection: at which stage it ended, by what reply or failure. For `outcome.decide`."""

    def __init__(self, stage: Stage, code: int | None = None, text: str = "", failure: Failure | None = None):
        self.stage = stage
        self.code = code
        self.text = text
        self.failure = failure
        super().__init__(text)


def tls_context(relay: Relay) -> ssl.SSLContext:
    """Verifies certificate and host name, against `relay.ca_file` alone where given, else the system's CAs."""
    try:
        return ssl.create_default_context(cafile=relay.ca_file)
    except OSError as error:
        raise SendError(f"{relay.ca_file}: cannot be used as CA certificates: {error}") from error


async def open_connection(relay: Relay, tls: ssl.SSLContext | None, patience: float) -> Opened:
    """A new connection to `relay`; `patience` is in seconds, for each reply. Raises `OpeningError`."""
    opening = _Opening(relay, tls, patience)
    try:
        return await opening.run()
    except (aiosmtplib.SMTPException, OSError) as error:
        opening.abandon()
        raise _diagnosis(relay, opening.stage, error) from error
    except BaseException:
        opening.abandon()
        raise


class _Opening:
    """The conversation up to MAIL, and the stage that it has reached."""

    def __init__(self, relay: Relay, tls: ssl.SSLContext | None, patience: float):
        self.stage = Stage.CONNECT
        self._relay = relay
        self._client = aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            use_tls=relay.security is Security.TLS,
            start_tls=False,
            tls_context=tls,
            timeout=patience,
            local_hostname="localhost",  # unused: EHLO is given its name, without the library's DNS look-up
        )

    async def run(self) -> Opened:
        greeting = await self._client.connect()
        name = await _own_name(self._client.get_transport_info("sockname")[0])
        await self._greet(name)
        if self._relay.security is Security.STARTTLS:
            self.stage = Stage.STARTTLS
            await self._start_tls()
            await self._greet(name)
        if self._relay.username is not None:
            self.stage = Stage.AUTH
            await self._log_in(self._relay.username, self._relay.password or "")
            self._expect_silence()
        if not isinstance(self._client.transport, asyncio.Transport):
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        until = certificate_end(self._client.get_transport_info("ssl_object"))
        return Opened(Wire(self._client.transport), self._client.esmtp_extensions, greeting.message, until)

    def abandon(self) -> None:
        """Drops the connection at once."""
        if isinstance(self._client.transport, asyncio.WriteTransport):
            self._client.transport.abort()
        self._client.close()

    async def _greet(self, name: str) -> None:
        self._expect_silence()
        self.stage = Stage.EHLO
        await self._client.ehlo(hostname=name)
        self._expect_silence()

    async def _start_tls(self) -> None:
        """STARTTLS, and no further if it is not offered or if anything follows its reply in the clear (RFC 3207)."""
        client = self._client
        if not client.supports_extension("starttls"):
            raise self._failed(Failure.NOT_OFFERED, "STARTTLS; nothing was sent, nor will be in the clear")
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
            reason = "something spoke in the clear after STARTTLS: the connection is tampered with"
            raise self._failed(Failure.TLS, reason)

    async def _log_in(self, username: str, password: str) -> None:
        if self._relay.security is Security.NONE and not is_loopback(self._relay.host):
            raise self._failed(Failure.NOT_OFFERED, "a password is not sent without TLS: set security")
        methods = [name for name in _AUTH_METHODS if name in self._client.server_auth_methods]
        if not methods:
            raise self._failed(Failure.NOT_OFFERED, "AUTH, by PLAIN, LOGIN or CRAM-MD5; but a username is set")
        # One method, one try: the library's own login() goes on to the next after a wrong password.
        log_in = getattr(self._client, f"auth_{methods[0].replace('-', '')}")
        await log_in(username, password)

    def _expect_silence(self) -> None:
        """The relay has sent no more than the reply that was read; its next words would answer the wrong command."""
        protocol = self._client.protocol
        if protocol is not None and protocol._buffer:
            raise self._failed(Failure.MALFORMED, "two replies to one command")

    def _failed(self, failure: Failure, reason: str) -> OpeningError:
        return OpeningError(self.stage, text=reason, failure=failure)


def certificate_end(connection: ssl.SSLObject | ssl.SSLSocket | None) -> datetime | None:
    """Until when the other side's certificate is valid; None without TLS."""
    certificate = connection.getpeercert() if connection else None
    if certificate and isinstance(end := certificate.get("notAfter"), str):
        with contextlib.suppress(ValueError):
            return datetime.fromtimestamp(ssl.cert_time_to_seconds(end), UTC)
    return None


async def _own_name(own_ip: str) -> str:
    """What we call ourselves at EHLO: this host's full name, else its address as a literal (RFC 5321 section 4.1.3)."""
    address = ipaddress.ip_address(own_ip.partition("%")[0])
    literal = f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"
    if address.is_loopback:
        return literal
    try:
        name = await asyncio.to_thread(socket.getfqdn)
    except UnicodeError:  # a host may have 64 letters, one more than a name in DNS
        return literal
    return name if _HOST_NAME.fullmatch(name) else literal


def _diagnosis(relay: Relay, stage: Stage, error: Exception) -> OpeningError:  # noqa: PLR0911 - one line for each kind of exception
    """What an exception of the library's or the system's during `stage` says about how the opening ended."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        if isinstance(error, aiosmtplib.SMTPConnectResponseError):
            stage = Stage.BANNER
        if error.code == aiosmtplib.SMTPStatus.invalid_response:
            return OpeningError(stage, text=error.message, failure=Failure.MALFORMED)
        return OpeningError(stage, error.code, error.message)
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLError):
        reason = getattr(cause, "verify_message", "") or str(cause)
        return OpeningError(stage, text=reason, failure=Failure.TLS)
    if isinstance(error, TimeoutError):
        return OpeningError(stage, failure=Failure.TIMEOUT)
    if isinstance(cause, aiosmtplib.SMTPServerDisconnected):
        return OpeningError(Stage.BANNER if stage is Stage.CONNECT else stage, failure=Failure.LOST)
    if stage is Stage.CONNECT:
        reason = no_connection(relay.host, relay.port, cause, "[smtp]")
        return OpeningError(stage, text=reason, failure=Failure.UNREACHABLE)
    return OpeningError(stage, failure=Failure.LOST)
