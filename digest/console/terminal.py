"""The terminal itself: where lines, tables and JSON go, and how long work shows itself.

Knows nothing of papers or editions; the modules beside it say what there is to say.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING

from digest.console.progress import CountProgress, EmbedProgress, SendProgress, StepProgress
from digest.logs import in_the_log, speaks_to_people

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.console import RenderableType


class Terminal:
    """Where output goes: people or, with `as_json`, a program."""

    def __init__(self, *, as_json: bool = False):
        self.as_json = as_json

    @cached_property
    def _rich(self) -> RichConsole:
        from rich.console import Console

        class Steady(Console):
            def on_broken_pipe(self) -> None:
                raise BrokenPipeError  # rich would end the program

        console = Steady(highlight=False, soft_wrap=True)
        if not console.is_terminal:
            console.width = 10_000  # a row of a table is one line for grep and awk, however long
        return console

    @property
    def is_interactive(self) -> bool:
        """Whether a person watches."""
        return not self.as_json and speaks_to_people() and self._rich.is_terminal

    def say(self, text: str = "", style: str | None = None) -> None:
        """One line for people."""
        if not self.as_json and speaks_to_people():
            with self.reader_may_leave():
                self._rich.print(harmless(text), style=style, markup=False)

    def emit(self, value: object) -> None:
        """One JSON line for programs."""
        if self.as_json:
            with self.reader_may_leave():
                # Where the letters cannot be written (a pipe on Windows), they are spelt, and not lost.
                spelt = (sys.stdout.encoding or "utf-8").lower().replace("-", "") != "utf8"
                sys.stdout.write(json.dumps(value, ensure_ascii=spelt, default=str) + "\n")

    @contextmanager
    def reader_may_leave(self) -> Iterator[None]:
        """A closed pipe or a full disk behind standard output must not break off a send: what follows goes nowhere."""
        try:
            yield
            sys.stdout.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table for people: aligned columns without a frame, so that it can be cut and pasted."""
        if self.as_json or not rows or not speaks_to_people():
            return
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="dim")
        for n, column in enumerate(columns):
            numeric = all(row[n].replace(",", "").isdigit() or not row[n] for row in rows)
            table.add_column(column, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(harmless, row))
        self.print(table)

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None where there is none."""
        return self._rich.width if self._rich.is_terminal else None

    def print(self, table: RenderableType) -> None:
        """A table, as wide as it needs to be and the terminal is."""
        with self.reader_may_leave():
            self._rich.print(table, soft_wrap=False)

    def progress(self, total: int) -> SendProgress:
        """Shows how a send comes along."""
        return SendProgress(self, total)

    def counting(self, what: str) -> CountProgress:
        """Shows how many of a number of things that nobody knows yet are done."""
        return CountProgress(self, what)

    def steps(self, what: str, total: int) -> StepProgress:
        """Shows how many of a known number of things are done."""
        return StepProgress(self, what, total)

    def embedding(self) -> EmbedProgress:
        """Shows how the embedding of new texts comes along, if it takes a while."""
        return EmbedProgress(self)


def complain(message: str, *, level: int = logging.WARNING) -> None:
    """One or more lines on standard error; with `--log-json`, one of the log's, of that level."""
    if not in_the_log(message.rstrip(), level):
        with suppress(OSError):  # its reader has left, a terminal that was closed perhaps: that must end nothing
            sys.stderr.write(harmless(message.rstrip()) + "\n")


_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What terminals obey instead of showing it, other than a new line and a tab; and what turns a text's direction."""


def harmless(text: str) -> str:
    """A text that does nothing to a terminal or a log: what a server or a feed said may be in it."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def explained(error: BaseException) -> str:
    """An error with what was noted on its way, such as the reply of a relay that could not be recorded."""
    return "; ".join([str(error), *getattr(error, "__notes__", [])])
