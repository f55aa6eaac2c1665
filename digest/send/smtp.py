"""Delivers messages over SMTP to one relay, one connection per transport.

Here lives the conversation: commands, time-outs, and when a connection may be used again. What a reply means is
`outcome.decide`'s business; who is next, and what is written down, `outbox.drain`'s, which calls this.
Sources: RFC 5321 (SMTP; time-outs in section 4.5.3.2), 2920 (PIPELINING), 1870 (SIZE), 6531 (SMTPUTF8).

`opening.py` opens the connection, `wire.py` carries what is said on it. Where the relay offers PIPELINING, MAIL, RCPT
and DATA leave together, and a message takes two round trips; else they leave one by one. The message itself waits for
the 354 in any case, and follows in one write.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import idna

from digest.model import DeliveryStatus, Envelope, Outcome, Relay, Security
from digest.send.opening import OpeningError, open_connection, tls_context
from digest.send.outcome import Failure, Stage, decide, reusable
from digest.send.wire import Wire, WireError, dot_stuffed

_NOT_IN_A_COMMAND = re.compile(r"[\x00-\x20\x7f<>]")
_GO_AHEAD = 354


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


class _Once:
    """Calls what it is given once, however often it is called: a message may need a second connection."""

    def __init__(self, action: Callable[[], Awaitable[None]]):
        self._action: Callable[[], Awaitable[None]] | None = action

    async def __call__(self) -> None:
        action, self._action = self._action, None
        if action is not None:
            await action()


def transports(relay: Relay, timeouts: Timeouts | None = None) -> Callable[[], SmtpTransport]:
    """Makes transports for `relay` that share one TLS context; building one costs as much as many messages.

    Raises `SendError` where `relay.ca_file` cannot be read.
    """
    tls = None if relay.security is Security.NONE else tls_context(relay)
    return lambda: SmtpTransport(relay, tls, timeouts)


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


class SmtpTransport:
    """One connection to a relay: opened when first needed, used for many messages, closed after anything odd."""

    def __init__(self, relay: Relay, tls: ssl.SSLContext | None = None, timeouts: Timeouts | None = None):
        self._relay = relay
        self._tls = tls if tls or relay.security is Security.NONE else tls_context(relay)
        self._timeouts = timeouts or Timeouts()
        self._wire: Wire | None = None
        self._offers: Mapping[str, str] = {}

    async def submit(self, envelope: Envelope, message: bytes, before_data: Callable[[], Awaitable[None]]) -> Outcome:
        """As `outbox.Transport.submit`. A connection that the relay closed between two messages is opened again."""
        try:
            sender = wire_address(envelope.sender)
        except ValueError as error:
            reply = f"not an address that mail can be sent from: {error}"
            return Outcome(DeliveryStatus.BOUNCED, "5.1.7", reply, relay_trouble=True)
        try:
            recipient = wire_address(envelope.recipient)
        except ValueError as error:
            reply = f"not an address that mail can be sent to: {error}"
            return Outcome(DeliveryStatus.BOUNCED, "5.1.3", reply, personal=True)
        intent = _Once(before_data)
        was_open = self._wire is not None and self._wire.is_open
        try:
            ending = await self._converse(sender, recipient, message, intent)
            if was_open and ending.says_goodbye():
                ending = await self._converse(sender, recipient, message, intent)
        except BaseException:
            self._discard()
            raise
        return ending.outcome()

    async def close(self) -> None:
        """Says goodbye where a connection is open. Raises nothing."""
        if self._wire is not None:
            with contextlib.suppress(WireError):
                self._wire.send(b"QUIT\r\n")
                await self._wire.reply(self._timeouts.quit)
        self._discard()  # at once: TLS would wait for the relay's farewell
        await asyncio.sleep(0)  # the loop closes the socket in its next turn

    async def _converse(
        self, sender: _Address, recipient: _Address, message: bytes, before_data: Callable[[], Awaitable[None]]
    ) -> _Ending:
        """Takes one message to its end, and leaves a connection that is in step, or none."""
        try:
            wire = self._wire if self._wire is not None and self._wire.is_open else await self._open()
        except OpeningError as error:
            return _Ending(error.stage, error.code, error.text, error.failure)
        utf8 = sender.needs_utf8 or recipient.needs_utf8
        if (refusal := _unfit(self._offers, len(message), sender, recipient)) is not None:
            return _Ending(Stage.MAIL, verdict=refusal)
        mail = b"MAIL FROM:<" + sender.wire + b">"
        if "size" in self._offers:
            mail += b" SIZE=%d" % len(message)
        if utf8:
            mail += b" SMTPUTF8"
        offer = self._offer_at_once if "pipelining" in self._offers else self._offer_in_turn
        ending = await offer(wire, mail + b"\r\n", b"RCPT TO:<" + recipient.wire + b">\r\n", before_data)
        if ending is None:
            ending = await self._transmit(wire, message)
        if not ending.in_step() or not wire.in_step:
            self._discard()
        elif ending.stage in (Stage.RCPT, Stage.DATA):
            await self._reset(wire)
        return ending

    async def _offer_at_once(
        self, wire: Wire, mail: bytes, rcpt: bytes, before_data: Callable[[], Awaitable[None]]
    ) -> _Ending | None:
        """MAIL, RCPT and DATA in one write. None when all three have been accepted.

        The first refusal decides. DATA may be accepted after it all the same (RFC 2920 section 3.1): the relay then
        waits for a message, and gets none, for the connection is dropped.
        """
        await before_data()
        try:
            wire.send(mail + rcpt + b"DATA\r\n", replies=3)
        except WireError as error:
            return _Ending(Stage.MAIL, failure=error.failure, text=str(error))
        refusals = [await self._refusal(wire, stage) for stage in (Stage.MAIL, Stage.RCPT, Stage.DATA)]
        refused = [ending for ending in refusals if ending is not None]
        if not refused:
            return None
        if refusals[-1] is None or not all(ending.in_step() for ending in refused):
            self._discard()
        return refused[0]

    async def _offer_in_turn(
        self, wire: Wire, mail: bytes, rcpt: bytes, before_data: Callable[[], Awaitable[None]]
    ) -> _Ending | None:
        """MAIL, RCPT and DATA, each when the one before it has been accepted. None when all three have been."""
        said = Stage.MAIL
        for stage, command in ((Stage.MAIL, mail), (Stage.RCPT, rcpt), (Stage.DATA, b"DATA\r\n")):
            try:
                wire.check()
                if stage is Stage.DATA:
                    await before_data()
                wire.send(command)
            except WireError as error:
                return _Ending(said, failure=error.failure, text=str(error))
            said = stage
            if (refusal := await self._refusal(wire, stage)) is not None:
                return refusal
        return None

    async def _refusal(self, wire: Wire, stage: Stage) -> _Ending | None:
        """The reply to a command, or what came instead; None when it is the one that was hoped for."""
        try:
            code, text = await wire.reply(self._timeouts.data if stage is Stage.DATA else self._timeouts.command)
        except WireError as error:
            return _Ending(stage, failure=error.failure, text=str(error))
        hoped_for = code == _GO_AHEAD if stage is Stage.DATA else 200 <= code <= 299
        return None if hoped_for else _Ending(stage, code, text)

    async def _transmit(self, wire: Wire, message: bytes) -> _Ending:
        """The message, after 354, and what the relay makes of it."""
        stage = Stage.DATA
        try:
            wire.send(dot_stuffed(message))
            stage = Stage.DOT
            code, text = await wire.reply(self._timeouts.dot)
        except WireError as error:
            return _Ending(stage, failure=error.failure, text=str(error))
        if code <= 299 and wire.is_sending:
            return _Ending(stage, failure=Failure.MALFORMED, text=f"before the message's end: {code} {text}")
        return _Ending(stage, code, text)

    async def _reset(self, wire: Wire) -> None:
        """Ends a transaction that was refused half-way, so that the next message can begin with MAIL."""
        try:
            wire.send(b"RSET\r\n")
            code, _ = await wire.reply(self._timeouts.command)
        except WireError:
            code = 0
        if not 200 <= code <= 299:
            self._discard()

    def _discard(self) -> None:
        """Drops the connection at once: what is still unsent must not reach the relay after all."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.abort()

    async def _open(self) -> Wire:
        self._discard()
        opened = await open_connection(self._relay, self._tls, self._timeouts.command)
        self._wire, self._offers = opened.wire, opened.extensions
        return opened.wire


def _unfit(extensions: Mapping[str, str], size: int, sender: _Address, recipient: _Address) -> Outcome | None:
    """The refusal of a message that the relay has said it cannot take, else None."""
    limit = extensions.get("size", "").strip()
    if limit.isdecimal() and 0 < int(limit) < size:
        reply = f"the message has {size} bytes, the relay takes at most {limit} (SIZE)"
        return Outcome(DeliveryStatus.BOUNCED, "5.3.4", reply)
    if "smtputf8" not in extensions:
        reply = "the relay takes no addresses with other than ASCII letters before the @ (SMTPUTF8)"
        if sender.needs_utf8:
            return Outcome(DeliveryStatus.BOUNCED, "5.6.7", f"{reply}, and ours has some", relay_trouble=True)
        if recipient.needs_utf8:
            return Outcome(DeliveryStatus.BOUNCED, "5.6.7", reply, personal=True)
    return None
