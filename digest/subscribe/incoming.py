"""A message from outside as far as commands need it: who wrote it, to which address, what it says. Pure.

What is quoted, signed or attached is left out. `is_a_programs` tells what must never be answered (RFC 3834 section 2);
`digest/send/bounces.py` has told reports and automatic replies before. `commands.py` calls this.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses

from lxml import etree

from digest.mime import text_of
from digest.model import Address
from digest.subscribe.values import WrongValue, email_address

_FIELD_LENGTH = 1000
"""Characters of a field that are read: the library takes quadratic time for many encoded words."""
_RECIPIENTS = ("Delivered-To", "X-Original-To", "Envelope-To", "To", "Cc")
_PROGRAMS_FIELDS = (
    "List-Id", "List-Post", "List-Unsubscribe", "Feedback-ID", "X-Loop", "X-Autoreply", "X-Autorespond",
    "X-Auto-Reply", "X-Failed-Recipients",
)  # fmt: skip
_PROGRAMS_NAME = re.compile(
    r"(?:mailer-?daemon|mail-?daemon|postmaster|(?:do-?)?no[t_.-]*reply|bounces?|listserv|majordomo)(?:[+_.=-].*)?"
    r"|owner-.*|.*-(?:owner|request|bounces?)|.*[_.-]no-?reply",
    re.I,
)


def field(message: Message, name: str) -> str:
    """A header field's text, decoded; empty where there is none. Of several, the first."""
    text = next(_raw(message, name), "")
    with contextlib.suppress(LookupError, ValueError):  # a HeaderParseError is one
        text = str(make_header(decode_header(text)))
    return " ".join(text.split())


def _raw(message: Message, name: str) -> Iterator[str]:
    """The texts of all fields of a name, as they stand there; what is not ASCII is UTF-8 (RFC 6532)."""
    for key, value in message.raw_items():
        if key.lower() == name.lower():
            yield str(value)[:_FIELD_LENGTH].encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def sender(message: Message) -> tuple[str, Address] | None:
    """The name and the one address in From; None where there is none, more than one, or one that is not sound."""
    try:
        ((_, address),) = getaddresses(list(_raw(message, "From")))
        sound = email_address(address)
    except (ValueError, WrongValue):
        return None
    name = re.sub(r"\s*<[^<>]*>\s*$", "", field(message, "From")).strip("\"' ")
    return ("" if "@" in name else name), sound


def recipients(message: Message) -> Iterator[str]:
    """Every address to which it was written or delivered, as it stands there."""
    for name in _RECIPIENTS:
        yield from (address for _, address in getaddresses(list(_raw(message, name))) if "@" in address)


def without_plus(address: str) -> tuple[str, str]:
    """`digest+help@example.org` as (`digest@example.org`, `help`), case folded; the latter may be empty."""
    local, _, domain = address.casefold().rpartition("@")
    local, _, added = local.partition("+")
    return f"{local}@{domain}", added


def is_a_programs(message: Message, address: Address, own: Collection[str]) -> bool:
    """Whether a program wrote it, many get it, or it comes from an address of our own: nothing of that is answered."""
    return (
        field(message, "Auto-Submitted").partition(";")[0].strip().lower() not in ("", "no")
        or field(message, "Precedence").lower() in ("bulk", "junk", "list", "auto_reply", "auto-reply")
        or any(name in message for name in _PROGRAMS_FIELDS)
        or re.search(r"\b(all|autoreply)\b", field(message, "X-Auto-Response-Suppress"), re.I) is not None
        or field(message, "Return-Path") == "<>"
        or message.get_content_type() == "multipart/report"
        or _PROGRAMS_NAME.fullmatch(address.rpartition("@")[0]) is not None
        or without_plus(address)[0] in own
    )


_SIGNED = re.compile(
    r"--\s*|_{5,}|-{3,}.*-{3,}"
    r"|(?:sent (?:from|with|via)|get outlook|gesendet (?:von|mit)|envoyé (?:de|avec|depuis))\b.*",
    re.I,
)
"""Where a signature, or what an answer repeats, begins."""
_QUOTED = re.compile(r"[>|]")


def lines(message: Message) -> list[str]:
    """The first paragraph of what was written: lines up to an empty one, without quotes and signature."""
    found: list[str] = []
    for line in (" ".join(raw.split()) for raw in _text(message).splitlines()):
        if _SIGNED.fullmatch(line) or _QUOTED.match(line) or (found and not line):
            break
        if line:
            found.append(line)
    # "On Tuesday, Lab wrote:", before what it quotes
    return found[:-1] if len(found) > 1 and found[-1].endswith(":") else [] if found and found[0][-1:] == ":" else found


def _text(message: Message) -> str:
    parts = [part for part in message.walk() if not part.is_multipart() and part.get_filename() is None]
    for kind in ("text/plain", "text/html"):
        for part in parts:
            if part.get_content_type() == kind:
                return text_of(part) if kind == "text/plain" else _Words.of(text_of(part))
    return ""


class _Words:
    """The words of a page, line by line; what it quotes is left out. libxml2 reads it, which tells each part in turn.

    The standard library's reader takes quadratic time for tags that do not end.
    """

    _BREAKS = frozenset({"br", "p", "div", "li", "tr", "h1", "h2", "h3", "blockquote"})
    _HIDDEN = frozenset({"blockquote", "style", "script", "head", "title"})

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._hidden = 0

    @classmethod
    def of(cls, page: str) -> str:
        parser = etree.HTMLParser(target=cls())
        parser.feed(page.replace("\0", " "))
        return str(parser.close())

    def start(self, tag: str, _: object) -> None:
        self._hidden += tag in self._HIDDEN
        if tag in self._BREAKS:
            self._kept.append("\n")

    def end(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in self._HIDDEN))
        if tag in self._BREAKS - {"br"}:
            self._kept.append("\n")

    def data(self, data: str) -> None:
        if not self._hidden:
            self._kept.append(" ".join(f".{data}.".split())[1:-1])

    def close(self) -> str:
        return "".join(self._kept)
