"""Reads an IMAP mailbox: new messages, each with its UID, and a mark on those that were ours. Never deletes or answers.

`imaplib` does the talking. imap-tools 1.16 (October 2026) was looked at: it cannot fetch a part of a message, and its
`flag` expunges the mailbox, which would delete for good what its owner has only marked.

What a message means is not known here; `mailroom/reading.py` asks for the messages behind a position and says when they
are done with. Every command may be given twice, so a lost connection is opened again once and the command repeated.
Sources: RFC 3501 (IMAP4rev1), RFC 2177 (IDLE), RFC 4616 (PLAIN), RFC 8314 (TLS).
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from types import TracebackType
from typing import Any, Self, TypeVar

from digest.errors import MailboxError
from digest.hosts import is_loopback, no_connection
from digest.model import Inbox, Position, Security

T = TypeVar("T")

LARGEST = 2 * 1024 * 1024
"""Octets of a message that are fetched: a report comes before what it returns."""
BATCH = 16
"""Messages in one answer, all of which are in memory at once."""
TIMEOUT = 30.0
"""Seconds to wait for the server at each step."""
_WINDOW = 50_000
"""UIDs in one search: its answer is one line, and imaplib takes no line of over a million characters."""
_UID = re.compile(rb"\bUID (\d+)")
_IDLE = b"WAIT IDLE\r\n"
_ARRIVED = re.compile(rb"\* \d+ EXISTS\b", re.I)


@dataclass(frozen=True, slots=True)
class Mail:
    """A message, or the first 2 MB of a longer one. `raw` is None where the server could not give it."""

    uid: int
    raw: bytes | None


class Mailbox:
    """`with Mailbox(inbox) as mailbox: for batch in mailbox.read(position, since): …`.

    Everything raises MailboxError where the server cannot be reached, does not let us in, or answers oddly twice.
    """

    def __init__(self, inbox: Inbox, timeout: float = TIMEOUT):
        self._inbox = inbox
        self._timeout = timeout
        self._uid_validity = 0
        self._next_uid = 1
        try:
            self._tls = ssl.create_default_context(cafile=inbox.ca_file)
        except OSError as error:
            raise MailboxError(f"{inbox.ca_file}: cannot be used as CA certificates: {error}") from error

    def __enter__(self) -> Self:
        with self._explained():
            self._client = self._connected()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            self._client.logout()
        _close(self._client)

    def read(self, position: Position | None, since: date) -> Iterator[tuple[Position, tuple[Mail, ...]]]:
        """The messages behind the position in batches, oldest first, each with the position behind it.

        Without a position, or where the server has numbered its messages anew, what has come since a day.
        """
        known = position is not None and position.uid_validity == self._uid_validity
        first = position.uid + 1 if position and known else 1
        condition = "" if known else f"SINCE {since.day}-{_MONTHS[since.month - 1]}-{since.year}"
        for start in range(first, self._next_uid, _WINDOW):
            end = min(start + _WINDOW, self._next_uid) - 1
            uids = self._search(start, end, condition)
            for at in range(0, len(uids), BATCH):
                batch = uids[at : at + BATCH]
                yield Position(self._uid_validity, batch[-1]), self._fetch(batch)
            yield Position(self._uid_validity, end), ()

    @property
    def greeting(self) -> str:
        """The server's first line."""
        return self._client.welcome.decode("ascii", "replace")

    @property
    def connection(self) -> ssl.SSLSocket | None:
        """What it is spoken over with TLS; None without."""
        connection = self._client.socket()
        return connection if isinstance(connection, ssl.SSLSocket) else None

    @property
    def tells_at_once(self) -> bool:
        """Whether the server offers IDLE."""
        with self._explained():
            return b"IDLE" in b" ".join(_ok(self._client.capability())).upper().split()

    def mark(self, uids: Sequence[int]) -> None:
        r"""Marks messages as seen. They stay where they are: `\Seen` is the one mark that every server keeps."""
        if uids:
            numbers = ",".join(map(str, uids))
            self._again(lambda client: _ok(client.uid("STORE", numbers, "+FLAGS.SILENT", r"(\Seen)")))

    def wait(self, seconds: float, on_news: Callable[[], None]) -> bool:
        """Waits for so long at most, and calls `on_news` at the start and for new mail; False where it is not offered.

        Another thread may `interrupt` it. The connection is good for nothing else afterwards.
        """
        client = self._client
        with self._explained():
            if not self.tells_at_once:
                return False
            client.send(_IDLE)
            client.socket().settimeout(seconds)
            until = time.monotonic() + seconds  # some servers say every few minutes that they are there
            with contextlib.suppress(TimeoutError):
                while time.monotonic() < until and (line := client.readline()):
                    if line.startswith(_IDLE[:4]):  # refused
                        return False
                    if line.startswith(b"+") or _ARRIVED.match(line):
                        on_news()
        return True

    def interrupt(self) -> None:
        """Ends a `wait` of another thread. The thread that waits closes: it holds the lock that closing takes."""
        with contextlib.suppress(OSError):
            self._client.socket().shutdown(socket.SHUT_RDWR)

    def _search(self, start: int, end: int, condition: str) -> list[int]:
        found = self._again(lambda client: _ok(client.uid("SEARCH", f"UID {start}:{end} {condition}".rstrip())))
        return sorted({int(uid) for line in found if line for uid in line.split()})

    def _fetch(self, uids: Sequence[int]) -> tuple[Mail, ...]:
        """The messages; what was deleted meanwhile is left out. If they cannot be had together, one by one."""
        numbers = ",".join(map(str, uids))
        kind, answer = self._again(lambda client: client.uid("FETCH", numbers, f"(UID BODY.PEEK[]<0.{LARGEST}>)"))
        if kind != "OK":
            if len(uids) == 1:
                return (Mail(uids[0], None),)
            return tuple(mail for uid in uids for mail in self._fetch([uid]))
        wanted = set(uids)
        return tuple(mail for mail in _mails(answer) if mail.uid in wanted)

    def _again(self, command: Callable[[imaplib.IMAP4], T]) -> T:
        """The command's result, over a new connection if the present one is lost."""
        with self._explained():
            try:
                return command(self._client)
            except (imaplib.IMAP4.abort, OSError):
                _close(self._client)
                numbered = self._uid_validity
                self._client = self._connected()
                if self._uid_validity != numbered:
                    raise MailboxError(f"{self._inbox.name}: was replaced while it was read: read it again") from None
                return command(self._client)

    def _connected(self) -> imaplib.IMAP4:
        inbox = self._inbox
        if inbox.security is Security.TLS:
            client: imaplib.IMAP4 = imaplib.IMAP4_SSL(
                inbox.host, inbox.port, ssl_context=self._tls, timeout=self._timeout
            )
        else:
            client = imaplib.IMAP4(inbox.host, inbox.port, timeout=self._timeout)
        try:
            if inbox.security is Security.STARTTLS:
                client.starttls(self._tls)
            _login(client, inbox)
            _ok(client.select("INBOX"))
            self._uid_validity, next_uid = (_number(client, name) for name in ("UIDVALIDITY", "UIDNEXT"))
        except BaseException:
            _close(client)
            raise
        self._next_uid = max(self._next_uid, next_uid)
        return client

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ssl.SSLError as error:
            raise MailboxError(f"{self._inbox.name}: TLS failed: {error}") from error
        except (ConnectionRefusedError, socket.gaierror) as error:
            reason = no_connection(self._inbox.host, self._inbox.port, error, "[mailbox]")
            raise MailboxError(f"{self._inbox.name}: {reason}") from error
        except (imaplib.IMAP4.error, OSError) as error:
            raise MailboxError(f"{self._inbox.name}: {_words(error)}") from error


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""IMAP's own, whatever language this program runs in."""


def _close(client: imaplib.IMAP4) -> None:
    with contextlib.suppress(OSError):
        client.shutdown()


def _ok(answer: tuple[str, list[Any]]) -> list[Any]:
    kind, data = answer
    if kind != "OK":
        raise imaplib.IMAP4.error(data[0] if data else kind)
    return data


def _login(client: imaplib.IMAP4, inbox: Inbox) -> None:
    """By PLAIN where it is offered: LOGIN has no way to say what is not ASCII."""
    if inbox.security is Security.NONE and not is_loopback(inbox.host):
        raise imaplib.IMAP4.error("a password is not sent without TLS: set `security`")
    if "AUTH=PLAIN" in client.capabilities:
        secret = f"\0{inbox.username}\0{inbox.password}".encode()
        client.authenticate("PLAIN", lambda _: secret)
    elif "LOGINDISABLED" in client.capabilities or not (inbox.username + inbox.password).isascii():
        raise imaplib.IMAP4.error("it offers no login that we can use")
    else:
        client.login(_quoted(inbox.username), inbox.password)


def _quoted(name: str) -> str:
    """A quoted string (RFC 9051 section 4.3): the library quotes passwords only."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _number(client: imaplib.IMAP4, name: str) -> int:
    """What the server said of the selected mailbox. Without numbers, messages could not be told from one another."""
    _, data = client.response(name)
    if not data or not data[-1] or not data[-1].isdigit():
        raise imaplib.IMAP4.error(f"it does not say {name}")
    return int(data[-1])


def _mails(answer: Sequence[Any]) -> Iterator[Mail]:
    """Messages of a FETCH answer: of each, a pair (what stands before it, the message), then what stands behind it."""
    for at, item in enumerate(answer):
        if isinstance(item, tuple):
            behind = answer[at + 1] if at + 1 < len(answer) and isinstance(answer[at + 1], bytes) else b""
            if found := _UID.search(item[0]) or _UID.search(behind):
                yield Mail(int(found[1]), item[1])


def _words(error: BaseException) -> str:
    """An error's text, which imaplib has as bytes at times."""
    first = error.args[0] if error.args else ""
    text = first.decode("ascii", "replace") if isinstance(first, bytes) else str(error)
    return "".join(char if char.isprintable() else "?" for char in text) or type(error).__name__
