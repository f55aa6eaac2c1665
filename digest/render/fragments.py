"""Pieces of a message that are made once an edition and joined for each subscriber.

A template is rendered with opaque marks where something of the subscriber's own belongs; `Marks.split` cuts the result
there into a `Fragment`, and `Fragment.fill` gives the pieces of one subscriber's message. A piece carries its
quoted-printable form (RFC 2045 section 6.7), so that composing is a join of bytes.

Called by `cards.py` and `edition.py`. No template and no paper is known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from markupsafe import escape

from digest.errors import TemplateError
from digest.render.text import wrap

LINE = 76
"""Characters in a line of quoted-printable, the `=` of a soft break included."""
_UNSAFE = re.compile("[^ -<>-~\\n]")


class Piece(NamedTuple):
    """A stretch of a body, as UTF-8, whose length is what mail programs count, and as the bytes that go over the wire.

    Both are bytes, so that pieces become one piece by a plain join.
    """

    text: bytes
    wire: bytes


class Slot(NamedTuple):
    """A gap in a fragment: its place among the stretches of text. `column` is where in its line it begins."""

    place: int
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
    return Piece(text.encode(), quoted_printable(text))


def join(pieces: Iterable[Piece]) -> Piece:
    """The pieces as one."""
    made = list(pieces)
    return Piece(b"".join([p.text for p in made]), b"".join([p.wire for p in made]))


def quoted_printable(text: str) -> bytes:
    """The text in quoted-printable, with CRLF; a last line without a newline ends in a soft break.

    Such outputs can be joined: each begins at the start of a line. No line begins with a dot, which SMTP would have to
    double, or with `From `, which mailbox files change.
    """
    out: list[str] = []
    *lines, last = _UNSAFE.sub(lambda found: _escaped(found[0]), text).split("\n")
    for line in lines:
        _encode_line(line[:-1] + "=20" if line.endswith(" ") else line, "\r\n", out)
    if last:
        _encode_line(last, "=\r\n", out)
    return "".join(out).encode("ascii")


@lru_cache(maxsize=4096)
def _escaped(character: str) -> str:
    return "".join([f"={byte:02X}" for byte in character.encode()])


def _encode_line(rest: str, end: str, out: list[str]) -> None:
    while True:
        if rest.startswith((".", "From ")):
            rest = f"={ord(rest[0]):02X}{rest[1:]}"
        if len(rest) < LINE:
            out.append(rest + end)
            return
        cut = LINE - 1
        cut -= 1 if rest[cut - 1] == "=" else 2 if rest[cut - 2] == "=" else 0
        out.append(rest[:cut] + "=\r\n")
        rest = rest[cut:]


@dataclass(frozen=True, slots=True)
class Fragment:
    """Text with gaps: its stretches in UTF-8 and in wire form, empty where a slot is filled in."""

    texts: tuple[bytes, ...]
    wires: tuple[bytes, ...]
    slots: tuple[Slot, ...]

    @property
    def size(self) -> int:
        """Its bytes in UTF-8, gaps apart."""
        return sum(map(len, self.texts))

    def fill(self, values: Mapping[str, str | Piece], dress: Dress) -> Piece:
        """The fragment with the gaps filled: bare values are dressed, pieces go in as they are."""
        texts, wires = list(self.texts), list(self.wires)
        for place, name, column in self.slots:
            value = values[name]
            texts[place], wires[place] = value if isinstance(value, Piece) else piece(dress(value, column))
        return Piece(b"".join(texts), b"".join(wires))


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
        slots: list[Slot] = []
        column = 0
        for index, text in enumerate(texts):
            if index % 2:
                slots.append(Slot(index, text, column))
                texts[index] = ""
                continue
            if self._nonce in text.lower():
                raise TemplateError(f"{template}: a `slot` must be shown as it is: no filter, no test, no comparison")
            if text:
                column = len(text) - text.rfind("\n") - 1
        made = [piece(text) for text in texts]
        return Fragment(tuple(p.text for p in made), tuple(p.wire for p in made), tuple(slots))
