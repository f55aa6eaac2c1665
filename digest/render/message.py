"""Headers, MIME and Message-ID: two joined bodies become a message in wire form.

Written out by hand, not through `email.message`: that encodes each body again for every subscriber, and turns a
List-Unsubscribe longer than 77 characters into an encoded word, which no client understands.
RFC 5322 (message), 2045 to 2047 (MIME, encoded words), 6532 (addresses beyond ASCII), 2919 (List-Id),
2369 (List-Unsubscribe, List-Archive, List-Help), 8058 (List-Unsubscribe-Post), 3834 (Auto-Submitted), 3492 (A-labels);
Feedback-ID as Gmail documents it (https://support.google.com/a/answer/6254652).

Every value passes through `plain` on its way in, so that no CR or LF reaches a header. Called by `edition.py`; the
Message-ID also by the life of the edition, which fixes it when a delivery is queued.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from itertools import product
from typing import NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

from digest.errors import ConfigError
from digest.model import Edition, MailingList, SubscriberId
from digest.render.text import clip, plain

Sign = Callable[[bytes, bytes], bytes]
"""Takes a message's header fields and its body, both in wire form, and gives the fields that vouch for them."""
LINE = 78
ADDRESS_LENGTH = 900
"""A longer one is left out: with what stands around it, it would pass the 998 octets of a line (RFC 5322 2.1.1)."""
ENCODED_WORD = 75
NAME_LENGTH = 100
SUBJECT_LENGTH = 250
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")
_DOT_ATOM = re.compile(r"[^\x00-\x20\x7f-\xa0()<>\[\]:;@\\,.\"]+(?:\.[^\x00-\x20\x7f-\xa0()<>\[\]:;@\\,.\"]+)*")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_Q_WORD = [chr(byte) if byte in _Q_SAFE else "_" if byte == 0x20 else f"={byte:02X}" for byte in range(256)]
"""Each byte as it stands in a "Q"-encoded word (RFC 2047 section 4.2), fit for a phrase too."""

_PAIRS = [first + second for first, second in product("abcdefghijklmnopqrstuvwxyz234567", repeat=2)]
"""The base32 of every ten bits."""


class Mailbox(NamedTuple):
    """A name and an address, which is fit for a header."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """The address's domain, in A-labels."""
        return self.address.rpartition("@")[2]


@lru_cache(maxsize=256)
def mailbox(written: str) -> Mailbox:
    """Reads `Name <address>`. Raises ConfigError if there is no address in it."""
    name, address = parseaddr(plain(written))
    if "@" not in address:
        raise ConfigError(f'{written!r} is not a mailbox: write "Name <address@example.org>"')
    return Mailbox(name, wire_address(address))


def wire_address(address: str) -> str:
    """The address with its domain in A-labels and its local part quoted where it must be."""
    local, _, domain = plain(address).rpartition("@")
    if local.startswith('"') and local.endswith('"') and len(local) > 1:
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    if not _DOT_ATOM.fullmatch(local):
        local = _quoted(local)
    return f"{local}@{a_labels(domain)}"


@lru_cache(maxsize=4096)
def a_labels(domain: str) -> str:
    """The domain in ASCII. Labels are encoded as they stand: Python's `idna` codec would turn `ß` into `ss`."""
    labels = unicodedata.normalize("NFC", domain.strip(".").lower()).split(".")
    ascii_labels = [label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels]
    return re.sub(r"[^a-z0-9.:\[\]_-]", "", ".".join(ascii_labels))


def message_id(mailing_list: MailingList, edition: Edition, subscriber_id: SubscriberId) -> str:
    """The Message-ID of an edition to a subscriber: the same on every try, and it tells nothing.

    Raises ConfigError if the list's `from` is not a mailbox.
    """
    key = "\0".join(
        [mailing_list.id, str(edition.id), edition.due_on.isoformat(), edition.cutoff.isoformat(), str(subscriber_id)]
    )
    return f"<{_hashed(key)}@{mailbox(mailing_list.from_).domain}>"


def mailto(mailing_list: MailingList, subject: str) -> str:
    """A mailto address that writes `subject LIST` to those who answer for the list."""
    to = mailbox(mailing_list.reply_to or mailing_list.from_).address
    return f"mailto:{quote(to, safe='@')}?subject={quote(f'{subject} {plain(mailing_list.id)}')}"


class Letterhead:
    """The headers that all messages of an edition share, and what is each reader's own among them.

    Each field occurs once, and all stand before the body's, so that a DKIM signature can cover every one of them.
    """

    def __init__(self, mailing_list: MailingList, edition: int = 0, archive: str = "", helping: str = ""):
        """`edition` is its number, `archive` the page of the list's editions, `helping` a mailto if one is read.

        Raises ConfigError if `from` or `reply_to` is not a mailbox.
        """
        sender = mailbox(mailing_list.from_)
        list_id = re.sub(r"[^A-Za-z0-9._-]", "-", mailing_list.id).strip(".")
        self._zone = ZoneInfo(mailing_list.timezone)
        self._from = _field("From", _mailbox_words(sender))
        if mailing_list.reply_to:
            self._from += _field("Reply-To", _mailbox_words(mailbox(mailing_list.reply_to)))
        self._list_id = _field("List-Id", [*_phrase(mailing_list.name), f"<{list_id}.{sender.domain}>"])
        self._by_mail = f"<{mailto(mailing_list, 'unsubscribe')}>"
        page = _address(archive, "https://", "http://")
        helped = _address(helping, "mailto:") or mailto(mailing_list, "help")
        self._list = (
            (_field("List-Archive", [f"<{page}>"]) if page else "")
            + _field("List-Help", [f"<{helped}>"])
            + _field("Feedback-ID", [_feedback_id(edition, list_id, sender.domain)])
            + "Auto-Submitted: auto-generated\r\nPrecedence: bulk\r\nMIME-Version: 1.0\r\n"
        )

    def head(
        self, to: Mailbox, subject: str, date: datetime, message_id: str, unsubscribe: str = "", by_mail: str = ""
    ) -> bytes:
        """All header fields but Content-Type. `unsubscribe` and `by_mail`: the reader's own page and mailto for it."""
        return "".join(
            [
                self._from,
                _field("To", _mailbox_words(to)),
                _subject(subject),
                _date(date, self._zone),
                f"Message-ID: {re.sub(r'[^!-~]', '', message_id)}\r\n",
                self._list_id,
                self._unsubscribe(unsubscribe, by_mail),
                self._list,
            ]
        ).encode()

    def _unsubscribe(self, address: str, by_mail: str) -> str:
        """The page comes first, as programs take the first that they can use; the mailto is for those without a web.

        One click is promised of https only, and in exactly these words (RFC 8058 sections 3.1 and 3.2).
        """
        page, own = _address(address, "https://", "http://"), _address(by_mail, "mailto:")
        by_mail = f"<{own}>" if own else self._by_mail
        if not page:
            return _field("List-Unsubscribe", [by_mail])
        one_click = "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" if page.startswith("https:") else ""
        return _field("List-Unsubscribe", [f"<{page}>,", by_mail]) + one_click


@lru_cache(maxsize=64)
def _date(moment: datetime, zone: ZoneInfo) -> str:
    """Deliveries are queued together, by the shard: the same moments come again and again."""
    return f"Date: {format_datetime(moment.astimezone(zone))}\r\n"


def assemble(
    head: bytes, message_id: str, text: Iterable[bytes], html: Iterable[bytes], sign: Sign | None = None
) -> bytes:
    """A multipart/alternative of two bodies in quoted-printable, each ending in CRLF; `sign`'s fields come first.

    The bodies come in pieces, so that what is long is copied once; twice if it is signed.

    The boundary holds `=_`, which quoted-printable cannot.
    """
    boundary = f"=_{_hashed(message_id)}".encode()
    head += b'Content-Type: multipart/alternative;\r\n boundary="%b"\r\n' % boundary
    body = [
        b"--%b\r\nContent-Type: text/plain; charset=utf-8\r\n" % boundary,
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n",
        *text,
        b"\r\n--%b\r\nContent-Type: text/html; charset=utf-8\r\n" % boundary,
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n",
        *html,
        b"\r\n--%b--\r\n" % boundary,
    ]
    if sign:
        body = [b"".join(body)]
        head = sign(head, body[0]) + head
    return b"".join([head, b"\r\n", *body])


def _address(address: str, *schemes: str) -> str:
    """The address if it has one of the schemes, fit for angle brackets: it is encoded, so nothing else is in it."""
    clean = re.sub(r"[^!-~]|[<>]", "", address)
    return clean if clean.startswith(schemes) and len(clean) <= ADDRESS_LENGTH else ""


def _feedback_id(edition: int, list_id: str, domain: str) -> str:
    """`edition:list:kind:sender`: by what Gmail counts complaints, each part by itself over all of a sender's mail.

    So no part may mean two things: edition 12 names its list, and a list called `digest` leaves the kind empty. The
    sender must have 5 to 15 characters, and be the same in all of a domain's mail.
    """
    kind = "digest" if list_id != "digest" else ""
    return f"{edition}.{list_id}:{list_id}:{kind}:{_hashed(domain)[:12]}"


def _hashed(key: str) -> str:
    """160 bits of a hash in base32 (RFC 4648 section 6), two letters at a time: `base64` takes longer."""
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:20], "big")
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(150, -1, -10)])


def _mailbox_words(box: Mailbox) -> list[str]:
    return [*_phrase(box.name), f"<{box.address}>"] if plain(box.name) else [box.address]


def _phrase(name: str) -> list[str]:
    """A display name (RFC 5322 section 3.2.5) as words between which the line may be folded."""
    text = clip(plain(name), NAME_LENGTH)
    if not text.isascii() or "=?" in text:
        return list(_encoded_words(text))
    words = text.split(" ")
    return words if all(_ATOM.fullmatch(word) for word in words) else _quoted(text).split(" ")


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def mailbox_field(name: str, box: Mailbox) -> bytes:
    """A field with one mailbox in wire form, also one beyond ASCII (RFC 6532), which the email package refuses."""
    return _field(name, _mailbox_words(box)).encode()


def subject_field(subject: str) -> bytes:
    """A Subject in wire form. The email package loses spaces between encoded words where it folds (gh-92081)."""
    return _subject(subject).encode()


@lru_cache(maxsize=1024)
def _subject(subject: str) -> str:
    """It names the best paper: few lead the emails of all readers."""
    return _field("Subject", _unstructured(clip(plain(subject), SUBJECT_LENGTH)))


def _unstructured(text: str) -> list[str]:
    words = text.split(" ")
    if text.isascii() and "=?" not in text and max(map(len, words)) < LINE - 2:
        return words
    return list(_encoded_words(text))


def _encoded_words(text: str) -> Iterator[str]:
    """The text in encoded words of whole characters (RFC 2047 section 5), in the shorter of the two encodings."""
    encode = min((_b_encoded, _q_encoded), key=lambda encoding: len(encoding(text)))
    room = ENCODED_WORD - len("=?utf-8?q??=")
    letter = "b" if encode is _b_encoded else "q"
    # The first one has to leave room for the field's name.
    start, length = 0, 0
    for index, character in enumerate(text):
        taken = len(character.encode()) if letter == "b" else _q_length(character)
        length += taken
        size = (length + 2) // 3 * 4 if letter == "b" else length
        if size > room - (12 if start == 0 else 0):
            yield f"=?utf-8?{letter}?{encode(text[start:index])}?="
            start, length = index, taken
    yield f"=?utf-8?{letter}?{encode(text[start:])}?="


def _b_encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _q_encoded(text: str) -> str:
    return "".join([_Q_WORD[byte] for byte in text.encode()])


def _q_length(character: str) -> int:
    return len(_Q_WORD[ord(character)]) if character < "\x80" else 3 * len(character.encode())


def _field(name: str, words: Sequence[str]) -> str:
    """A header field, folded before the words that would pass the line; a word itself is never broken."""
    lines = [f"{name}:"]
    for index, word in enumerate(words):
        if index and len(lines[-1]) + 1 + len(word) > LINE:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines) + "\r\n"
