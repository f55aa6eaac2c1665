"""Charts for a terminal, of block characters: values in, lines out. Pure; colours and widths are `status.py`'s.

A column stands for a day, or for as many days as it takes to fit. Where a terminal has no block characters, eight of
ASCII stand for them. (A library would bring axes, cursors and colours of its own for what is forty lines.)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-=+*%#"
WIDEST = 3
"""Characters of a day's column at most."""


class Columns(NamedTuple):
    """How days are laid out: so many days a column, so many characters each."""

    days: int
    characters: int
    number: int

    @property
    def width(self) -> int:
        """Characters of the whole."""
        return self.number * self.characters


def columns(days: int, width: int) -> Columns:
    """The columns for so many days in so many characters; the newest day is always in the last one.

    What does not fit goes by weeks: columns of other lengths would have now more, now fewer of a week's quiet days.
    """
    each = -(-days // max(width, 1))
    each = each if each == 1 else -(-each // 7) * 7
    number = -(-days // each)
    return Columns(each, max(1, min(WIDEST, width // number)), number)


def gathered(values: Sequence[int | None], layout: Columns) -> list[int | None]:
    """The sum of each column's days; None for a column of days on which there was nothing to count."""
    first = len(values) - layout.days * layout.number
    cuts = [max(first + layout.days * n, 0) for n in range(layout.number + 1)]
    parts = [[v for v in values[a:b] if v is not None] for a, b in pairwise(cuts)]
    return [sum(part) if part else None for part in parts]


def bars(values: Sequence[int | None], height: int, layout: Columns, blocks: str = BLOCKS) -> list[str]:
    """Bars of `height` rows, from the top; what is more than nothing can be seen, and a zero is a base line."""
    most = max((v for v in values if v), default=0)
    rows = []
    for row in reversed(range(height)):
        line = ""
        for value in values:
            level = _level(value, most, height) - row * len(blocks)
            is_zero = value == 0 and row == 0
            line += (_mark(level, blocks) if not is_zero else "·" if blocks == BLOCKS else ",") * layout.characters
        rows.append(line.rstrip())
    return rows


def _level(value: int | None, most: int, height: int) -> int:
    """Eighths of a row."""
    return max(1, round(value / most * height * 8)) if value else 0


def _mark(level: int, blocks: str) -> str:
    return " " if level <= 0 else blocks[min(level, len(blocks)) - 1]


def axis(first: date, last: date, layout: Columns) -> str:
    """Dates under the columns where a month begins, and under the first one, as far as there is room."""
    marks = [" "] * layout.width
    free = 0
    for n in range(layout.number):
        begins = last - timedelta(days=layout.days * (layout.number - n) - 1)
        ends = begins + timedelta(days=layout.days - 1)
        at = n * layout.characters
        day = max(begins, first)
        is_month = ends.day <= layout.days
        label = f"{day:%d %b}" if n == 0 else f"{ends:%b}" if layout.days > 1 else f"{day:%d %b}"
        if (n == 0 or is_month) and at >= free and at + len(label) <= layout.width:
            marks[at : at + len(label)] = label
            free = at + len(label) + 1
    return "".join(marks).rstrip()
