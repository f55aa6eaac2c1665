"""Pieces of a message that are made once an edition and joined for each subscriber.

A template is rendered with opaque marks where something of the subscriber's own belongs; `Marks.split` cuts the result
there into a `Fragment`, and `Fragment.fill` gives the pieces of one subscriber's message. A piece is text in
quoted-printable (RFC 2045 section 6.7) that begins at the start of a line, so that composing is a join of bytes.

Called by `stock.py`, `bodies.py` and `edition.py`. No template and no paper is known here.
"""

from __future__ import annotations

import re
from binascii import a2b_qp, b2a_qp
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import starmap
from typing import Generic, NamedTuple, TypeVar

from markupsafe import escape

from digest.errors import TemplateError
from digest.render.text import wrap

_LEADING = re.compile(rb"(?m)^(\.{1,24}|F(?=rom ))")
"""What must not begin a line; of dots as many as still leave room for a soft break."""

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")
KEPT = 16384
"""How many things of a kind are kept: what is kept may not grow with the readers."""
_JOINT = "x\n\n"
"""Stands after each of the values that are encoded together: none of them holds an empty line."""


class Kept(Generic[Key, Made]):
    """What many readers share, by what it is made of; made together, as that takes less than one by one."""

    def __init__(self, make: Callable[[Sequence[Key]], Iterable[Made]]):
        """`make` gives what belongs to each of some keys, none of which comes twice."""
        self._make = make
        self._kept: dict[Key, Made] = {}

    def __call__(self, keys: Sequence[Key]) -> list[Made]:
        """What belongs to each key."""
        kept = self._kept
        try:
            return [kept[key] for key in keys]
        except KeyError:
            if len(kept) > KEPT:
                kept = self._kept = {}
            missing = [key for key in dict.fromkeys(keys) if key not in kept]
            kept.update(zip(missing, self._make(missing), strict=True))
            return [kept[key] for key in keys]


class Wires(Generic[Key]):
    """Gives values their wire form, all at once: each call of the library costs more than most values do."""

    def __init__(self, joined: Callable[[Sequence[Key]], str]):
        """`joined` gives the text of the values, each with `_JOINT` at its end."""
        self._joined = joined
        self.kept = Kept(self.made)
        """The wire form of each value, for values that many readers share, such as reasons."""

    def made(self, values: Sequence[Key]) -> list[bytes]:
        """The wire form of each value."""
        # A letter before each line end keeps room for the soft break.
        wire = quoted_printable(self._joined(values)).replace(b"x\r\n\r\n", b"=\r\n\0")
        return wire.split(b"\0")[:-1]


html_wires = Wires[str](lambda values: escape(_JOINT.join([*values, ""])))
"""Of texts as HTML text or attributes."""
text_wires = Wires[tuple[str, int]](lambda values: _JOINT.join([*starmap(wrap, values), ""]))
"""Of texts in lines, each with the column that it begins at."""


def quoted_printable(value: str) -> bytes:
    """The text in quoted-printable, with CRLF; a last line without a newline ends in a soft break.

    Such outputs can be joined: each begins at the start of a line. No line begins with a dot, which SMTP would have to
    double, or with `From `, which mailbox files change.
    """
    if not value:
        return b""
    # The library fills a text's last line: one more letter makes room there for the soft break.
    wire = b2a_qp(value.encode()) if value.endswith("\n") else b2a_qp(f"{value}x".encode())[:-1] + b"=\n"
    several_lines = wire.find(b"\n") + 1 < len(wire)
    if wire[0] in b".F" or (several_lines and (b"\n." in wire or b"\nF" in wire)):
        while _LEADING.search(wire):
            # The soft break after it keeps the rest of the line within its 76 characters.
            wire = _LEADING.sub(lambda found: b"".join(b"=%02X" % byte for byte in found[0]) + b"=\n", wire)
    return wire.replace(b"\n", b"\r\n")


def size(wire: bytes) -> int:
    """How many bytes of UTF-8 a wire form stands for: never more than it has itself."""
    # An escaped byte takes three, the end of a line two that are one, and a soft break three that are none.
    return len(wire) - 2 * wire.count(b"=") - wire.count(b"\n")


def read_back(wire: bytes) -> str:
    """The text of a quoted-printable form."""
    return a2b_qp(wire.replace(b"\r\n", b"\n")).decode()


class Slot(NamedTuple):
    """A gap in a fragment. `column` is where in its line it begins."""

    name: str
    column: int


class Fragment:
    """Text with gaps: its stretches on the wire, with an empty one between any two where a slot is filled in."""

    __slots__ = ("_names", "bare", "slots", "wires")

    def __init__(self, wires: Sequence[bytes], slots: Sequence[Slot]):
        self.wires, self.slots = tuple(wires), tuple(slots)
        self._names = tuple([slot.name for slot in slots])
        self.bare = sum(map(size, wires))
        """How many bytes of UTF-8 its stretches stand for."""

    def place(self, name: str) -> int:
        """Where among the pieces the slot of this name stands. Raises ValueError if there is none."""
        return 2 * self._names.index(name) + 1

    def column(self, name: str) -> int:
        """Where in its line the first slot of this name begins; 0 where there is none."""
        return next((slot.column for slot in self.slots if slot.name == name), 0)

    def pieces(self, values: Mapping[str, bytes]) -> list[bytes]:
        """The fragment's stretches, and between them what fills the gaps."""
        wires = [*self.wires]
        wires[1::2] = map(values.__getitem__, self._names)
        return wires

    def size(self, values: Mapping[str, bytes]) -> int:
        """How many bytes of UTF-8 it stands for with the gaps filled."""
        return self.bare + sum([size(values[name]) for name in self._names])

    def fill(self, values: Mapping[str, bytes]) -> bytes:
        """The fragment with the gaps filled."""
        return b"".join(self.pieces(values))

    def fill_text(self, **values: str) -> bytes:
        """The text fragment with the gaps filled with these texts, wrapped as their slots need it."""
        return self.fill(self.wrapped(values))

    def wrapped(self, values: Mapping[str, str]) -> dict[str, bytes]:
        """The values on the wire, wrapped as their slots in this text need it."""
        wanted = [slot for slot in self.slots if slot.name in values]
        wires = text_wires.made([(values[slot.name], slot.column) for slot in wanted])
        return {slot.name: wire for slot, wire in zip(wanted, wires, strict=True)}


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
                slots.append(Slot(text, column))
                texts[index] = ""
                continue
            if self._nonce in text.lower():
                raise TemplateError(f"{template}: a `slot` must be shown as it is: no filter, no test, no comparison")
            if text:
                column = len(text) - text.rfind("\n") - 1
        return Fragment(tuple(map(quoted_printable, texts)), tuple(slots))
