"""Pieces of a message that are made once an edition and joined for each subscriber.

A template is rendered with opaque marks where something of the subscriber's own belongs; `Marks.split` cuts the result
there into a `Fragment`, and `Fragment.fill` gives the pieces of one subscriber's message. A piece carries its
quoted-printable form (RFC 2045 section 6.7), so that composing is a join of bytes.

Called by `cards.py` and `edition.py`. No template and no paper is known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from markupsafe import escape

from digest.errors import TemplateError
from digest.render.text import wrap

LINE = 76
"""Characters in a line of quoted-printable, the `=` of a soft break included."""
_SAFE = frozenset(range(33, 127)) - {ord("=")} | {ord(" ")}
_ENCODED = [chr(byte) if byte in _SAFE else f"={byte:02X}" for byte in range(256)]


class Piece(NamedTuple):
    """A stretch of a body, as text and as the bytes that go over the wire."""

    text: str
    wire: bytes


class Slot(NamedTuple):
    """A gap in a fragment. `column` is where in its line it begins."""

    name: str
    column: int


Dress = Callable[[str, int], str]
"""How a bare value goes into a slot at a column: escaped for HTML, wrapped for plain text."""


def dress_html(value: str, _column: int) -> str:
    """The value as HTML text or attribute."""
    return str(escape(value))


def dress_text(value: str, column: int) -> str:
    """The value in lines that begin at the column."""
    return wrap(value, column)


@lru_cache(maxsize=8192)
def piece(text: str) -> Piece:
    """The text with its wire form. Reasons, numbers and addresses come again and again: they are encoded once."""
    return Piece(text, quoted_printable(text))


def quoted_printable(text: str) -> bytes:
    """The text in quoted-printable, with CRLF; a last line without a newline ends in a soft break.

    Such outputs can be joined: each begins at the start of a line. No line begins with a dot, which SMTP would have to
    double, or with `From `, which mailbox files change.
    """
    *lines, last = text.encode().split(b"\n")
    out = [line for raw in lines for line in _encode_line(raw, hard=True)]
    if last:
        out.extend(_encode_line(last, hard=False))
    return "".join(out).encode("ascii")


def _encode_line(raw: bytes, *, hard: bool) -> Iterator[str]:
    rest = "".join([_ENCODED[byte] for byte in raw])
    if hard and rest.endswith(" "):
        rest = rest[:-1] + "=20"
    while True:
        if rest.startswith((".", "From ")):
            rest = f"={ord(rest[0]):02X}{rest[1:]}"
        if len(rest) < LINE:
            yield rest + ("\r\n" if hard else "=\r\n")
            return
        cut = LINE - 1
        cut -= 1 if rest[cut - 1] == "=" else 2 if rest[cut - 2] == "=" else 0
        yield rest[:cut] + "=\r\n"
        rest = rest[cut:]


@dataclass(frozen=True, slots=True)
class Fragment:
    """Text with gaps. `size` counts its bytes in UTF-8, gaps apart."""

    parts: tuple[Piece | Slot, ...]
    size: int

    def cost(self, values: Mapping[str, str | Sequence[Piece]], dress: Dress) -> int:
        """The bytes in UTF-8 that the fragment takes with these values."""
        total = self.size
        for part in self.parts:
            if isinstance(part, Slot):
                value = values[part.name]
                total += (
                    len(dress(value, part.column).encode())
                    if isinstance(value, str)
                    else sum(len(p.text.encode()) for p in value)
                )
        return total

    def fill(self, values: Mapping[str, str | Sequence[Piece]], dress: Dress) -> Iterator[Piece]:
        """The pieces with the gaps filled: bare values are dressed, pieces go in as they are."""
        for part in self.parts:
            if isinstance(part, Piece):
                yield part
                continue
            value = values[part.name]
            if isinstance(value, str):
                yield piece(dress(value, part.column))
            else:
                yield from value


class Marks:
    """Marks for slots. The nonce is unguessable, so that no paper's text can contain a mark."""

    def __init__(self, nonce: str):
        self._nonce = nonce
        self._mark = re.compile(f"slot{nonce}([a-z_]+?)end")

    def slot(self, *names: str) -> dict[str, str]:
        """What a template with these slots sees as `slot`; letters and digits, which no escaping changes."""
        return {name: f"slot{self._nonce}{name}end" for name in names}

    def split(self, rendered: str, template: str) -> Fragment:
        """Cuts a rendered template at its marks. Raises TemplateError if the template has changed one."""
        texts = self._mark.split(rendered)
        parts: list[Piece | Slot] = []
        column = 0
        for index, text in enumerate(texts):
            if index % 2:
                parts.append(Slot(text, column))
                continue
            if self._nonce in text.lower():
                raise TemplateError(f"{template}: a `slot` must be shown as it is: no filter, no test, no comparison")
            if text:
                parts.append(piece(text))
                column = len(text) - text.rfind("\n") - 1
        return Fragment(tuple(parts), sum(len(text.encode()) for text in texts[::2]))
