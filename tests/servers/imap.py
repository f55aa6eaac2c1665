"""A small IMAP server on loopback whose misbehaviours have names; what it was asked is kept. A real one is Dovecot.

It knows what `digest.subscribe.mailbox` says: AUTHENTICATE PLAIN, LOGIN, STARTTLS, SELECT, UID SEARCH, FETCH and STORE,
and IDLE if its capabilities say so.
Anything else is answered with BAD, so that a test sees it.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import certificates
from tests.waiting import PATIENCE

PASSWORD = "s3crét"


@dataclass(frozen=True)
class Behaviour:
    """How the server behaves; by default well."""

    capabilities: str = "IMAP4rev1 AUTH=PLAIN"
    refuses: frozenset[int] = frozenset()
    """UIDs whose messages it cannot read."""
    drops_fetch: frozenset[int] = frozenset()
    """The connection is lost in the middle of so manieth FETCH, counted from 1."""
    never_answers: bool = False
    renumbers: bool = False
    """At each connection the messages have another UIDVALIDITY."""
    uid_behind: bool = False
    """The UID stands behind the message, as RFC 3501 allows."""
    says_nothing_of_uids: bool = False
    chats: bool = False
    """Whoever waits is told all the time that it is still there."""
    ends_idle: bool = False
    """It hangs up as soon as a client waits."""


well_behaved = Behaviour()
drops_the_second_fetch = Behaviour(drops_fetch=frozenset({2}))
drops_every_fetch = Behaviour(drops_fetch=frozenset(range(1, 99)))
offers_idle = Behaviour("IMAP4rev1 AUTH=PLAIN IDLE")
chats_while_idle = Behaviour("IMAP4rev1 AUTH=PLAIN IDLE", chats=True)
hangs_up_on_idle = Behaviour("IMAP4rev1 AUTH=PLAIN IDLE", ends_idle=True)
has_no_plain = Behaviour("IMAP4rev1")
refuses_logins = Behaviour("IMAP4rev1 LOGINDISABLED")


@dataclass
class ImapServer:
    """`with ImapServer([raw, …]) as server:`; `server.messages` are by UID, `server.seen` the UIDs marked so."""

    raw: Iterable[bytes] = ()
    behaviour: Behaviour = well_behaved
    security: str = "none"
    host: str = "127.0.0.1"
    port: int = 0
    uid_validity: int = 1
    messages: dict[int, bytes] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    commands: list[str] = field(default_factory=list)
    """What was asked, without tags and passwords."""
    fetched: int = 0
    tls: ssl.SSLContext | None = None
    """Its certificate and key; by default those for localhost."""

    def __enter__(self) -> Self:
        for raw in self.raw:
            self.add(raw)
        with tempfile.TemporaryDirectory(prefix="digest-imap-") as folder:
            self._tls = self.tls or certificates.server_context(Path(folder))
        self._stopping = threading.Event()
        self._socket = socket.create_server((self.host, 0))
        self.port = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(timeout=10)

    def add(self, *raw: bytes) -> None:
        """Delivers messages."""
        for each in raw:
            self.messages[max(self.messages, default=0) + 1] = each

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            if self.behaviour.renumbers:
                self.uid_validity += 1
            try:
                if self.security == "tls":
                    connection = self._tls.wrap_socket(connection, server_side=True)
                _Conversation(self, connection).run()
            except (OSError, _LostError):
                return
            finally:
                connection.close()

    def upgraded(self, connection: socket.socket) -> socket.socket:
        """The connection under TLS."""
        return self._tls.wrap_socket(connection, server_side=True)

    def stopping(self) -> threading.Event:
        """Set when the server ends."""
        return self._stopping


class _LostError(Exception):
    pass


class _Conversation:
    def __init__(self, server: ImapServer, connection: socket.socket):
        self._server = server
        self._connection = connection
        self._file = connection.makefile("rb")
        self._is_secure = server.security == "tls"

    def run(self) -> None:
        try:
            self._converse()
        finally:
            self._file.close()
            self._connection.close()

    def _converse(self) -> None:
        if self._server.behaviour.never_answers:
            self._server.stopping().wait()
            return
        self._send("* OK ready")
        while line := self._file.readline():
            tag, _, command = line.decode().rstrip("\r\n").partition(" ")
            self._server.commands.append(re.sub(r"^(LOGIN|AUTHENTICATE \S+).*", r"\1", command))
            if not self._answer(tag, command):
                return

    def _answer(self, tag: str, command: str) -> bool:
        """Whether the conversation goes on."""
        word, _, rest = command.partition(" ")
        end = f"{tag} OK done"
        match word.upper():
            case "CAPABILITY":
                offered = " STARTTLS" if self._server.security == "starttls" and not self._is_secure else ""
                self._send(f"* CAPABILITY {self._server.behaviour.capabilities}{offered}")
            case "STARTTLS":
                self._send(end)
                self._file.close()
                self._connection = self._server.upgraded(self._connection)
                self._file, self._is_secure = self._connection.makefile("rb"), True
                return True
            case "LOGIN":
                end = end if rest == f'"digest" "{PASSWORD}"' else f"{tag} NO [AUTHENTICATIONFAILED] Wrong password"
            case "AUTHENTICATE":
                self._send("+ ")
                given = base64.b64decode(self._file.readline()).decode()
                end = end if given == f"\0digest\0{PASSWORD}" else f"{tag} NO [AUTHENTICATIONFAILED] Wrong password"
            case "SELECT":
                self._select()
            case "UID":
                end = self._uid(tag, rest, end)
            case "IDLE":
                self._idle()
            case "LOGOUT":
                self._send("* BYE")
            case _:
                end = f"{tag} BAD unknown"
        self._send(end)
        return word.upper() != "LOGOUT"

    def _idle(self) -> None:
        """Tells of new messages until the client says that it is done, or hangs up."""
        known = len(self._server.messages)  # before the client hears that it waits: it may have mail sent at once
        self._send("+ idling")
        self._connection.settimeout(0.02)
        while not (self._server.behaviour.ends_idle or self._server.stopping().is_set()):
            with contextlib.suppress(TimeoutError):
                if self._connection.recv(100):
                    return
                break
            if self._server.behaviour.chats:
                self._send("* OK Still here")
            if (now := len(self._server.messages)) != known:
                self._send(f"* {now} EXISTS")
                known = now
        raise _LostError

    def _select(self) -> None:
        self._send(f"* {len(self._server.messages)} EXISTS")
        if not self._server.behaviour.says_nothing_of_uids:
            self._send(f"* OK [UIDVALIDITY {self._server.uid_validity}] valid")
            self._send(f"* OK [UIDNEXT {max(self._server.messages, default=0) + 1}] next")

    def _uid(self, tag: str, rest: str, end: str) -> str:
        word, _, rest = rest.partition(" ")
        if word == "SEARCH":
            found = re.fullmatch(r"UID (\d+):(\d+)(?: SINCE (\S+))?", rest)
            assert found, rest
            since = parsedate_to_datetime(f"{found[3].replace('-', ' ')} 00:00:00").date() if found[3] else date.min
            self._send("* SEARCH " + " ".join(str(uid) for uid in self._between(int(found[1]), int(found[2]), since)))
        elif word == "FETCH":
            numbers, _, _ = rest.partition(" ")
            return self._fetch([int(uid) for uid in numbers.split(",")], int(re.findall(r"<0\.(\d+)>", rest)[0]), end)
        elif word == "STORE":
            numbers, _, what = rest.partition(" ")
            assert what == r"+FLAGS.SILENT (\Seen)", what
            self._server.seen |= {int(uid) for uid in numbers.split(",")}
        else:
            return f"{tag} BAD unknown"
        return end

    def _between(self, first: int, last: int, since: date) -> list[int]:
        messages = self._server.messages
        return [uid for uid in sorted(messages) if first <= uid <= last and _came(messages[uid]) >= since]

    def _fetch(self, uids: list[int], most: int, end: str) -> str:
        self._server.fetched += 1
        behaviour = self._server.behaviour
        if behaviour.refuses.intersection(uids):
            return f"{end.partition(' ')[0]} NO [SERVERBUG] cannot read it"
        for uid in uids:
            if (raw := self._server.messages.get(uid)) is None:
                continue
            part = raw[:most]
            name = f"BODY[]<0> {{{len(part)}}}"
            head, tail = (name, f" UID {uid})") if behaviour.uid_behind else (f"UID {uid} {name}", ")")
            self._connection.sendall(f"* {uid} FETCH ({head}\r\n".encode())
            if self._server.fetched in behaviour.drops_fetch:
                self._connection.sendall(part[: len(part) // 2])
                raise _LostError
            self._connection.sendall(part + f"{tail}\r\n".encode())
        return end

    def _send(self, line: str) -> None:
        self._connection.sendall(f"{line}\r\n".encode())


def _came(raw: bytes) -> date:
    """INTERNALDATE: the day in the message's own Date, else a day that is always recent enough."""
    found = re.search(rb"^Date: (.*)$", raw, re.M)
    return parsedate_to_datetime(found[1].decode().strip()).date() if found else date.max
