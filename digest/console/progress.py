"""How long work shows itself: a bar where a person watches, plain lines elsewhere. Made by `terminal.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from digest.console.words import plural
from digest.model import DeliveryStatus
from digest.results import Settled

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from digest.console.terminal import Terminal

EMBEDDED_A_LINE = 256
"""Where no bar is shown, a line tells of every so many texts that were embedded."""

EVERY_LINE_UP_TO = 50
"""Editions with more recipients get a progress line every so often instead of a line each."""


class _Progress:
    """What all of them are: a context in which rich may show a bar."""

    def __init__(self, terminal: Terminal):
        self._terminal = terminal
        self._bar: RichProgress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            with self._terminal.reader_may_leave():
                self._bar.stop()


class SendProgress(_Progress):
    """A bar on a terminal, plain lines elsewhere: one a recipient for small editions, one a thousand for large."""

    def __init__(self, terminal: Terminal, total: int):
        super().__init__(terminal)
        self._total = total
        self._done = 0
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._terminal.is_interactive and self._total > EVERY_LINE_UP_TO:
            from rich.progress import Progress

            self._bar = Progress()
            self._bar.start()
            self._task = self._bar.add_task("  send   ", total=self._total)
        return self

    def result(self, settled: Settled) -> None:
        """Tells what became of one delivery."""
        self._done += 1
        if self._bar and self._task is not None:
            self._bar.update(self._task, advance=1)
        failed = settled.status is not DeliveryStatus.SENT
        if failed or self._total <= EVERY_LINE_UP_TO:
            reply = f"  {settled.reply}" if failed else ""
            self._terminal.say(f"  {settled.status:<9} {settled.address}  {plural(settled.papers, 'paper')}{reply}")
        elif not self._bar and self._done % 1000 == 0:
            self._terminal.say(f"  {self._done:,} of {self._total:,}")


class EmbedProgress(_Progress):
    """A bar on a terminal, elsewhere a line every now and then; nothing for a few texts."""

    def __init__(self, terminal: Terminal):
        super().__init__(terminal)
        self._task: TaskID | None = None

    def embedded(self, done: int, total: int) -> None:
        """Tells how far it is."""
        if total <= EVERY_LINE_UP_TO:
            return
        if not self._terminal.is_interactive:
            if done % EMBEDDED_A_LINE == 0 or done == total:
                self._terminal.say(f"  embedded {done:,} of {total:,} texts")
            return
        if self._bar is None:
            from rich.progress import Progress

            self._bar = Progress(transient=True)
            self._bar.start()
            self._task = self._bar.add_task("  embed  ")
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total)


class CountProgress(_Progress):
    """A running count on a terminal, elsewhere a line every ten thousand."""

    def __init__(self, terminal: Terminal, what: str):
        super().__init__(terminal)
        self._what = what

    def __enter__(self) -> Self:
        if self._terminal.is_interactive:
            from rich.progress import Progress, SpinnerColumn, TextColumn

            columns = (SpinnerColumn(), TextColumn(f"{self._what} {{task.completed:,.0f}}"))
            self._bar = Progress(*columns, transient=True)
            self._bar.start()
            self._bar.add_task(self._what, total=None)
        return self

    def done(self, count: int) -> None:
        """Tells how many there are by now."""
        if self._bar:
            if count % 100 == 0:
                self._bar.update(self._bar.task_ids[0], completed=count)
        elif count % 10_000 == 0:
            self._terminal.say(f"  {self._what} {count:,}")


class StepProgress(_Progress):
    """A bar on a terminal that says what was done last; elsewhere nothing: the lines follow soon."""

    def __init__(self, terminal: Terminal, what: str, total: int):
        super().__init__(terminal)
        self._what, self._total = what, total

    def __enter__(self) -> Self:
        if self._terminal.is_interactive:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._bar = Progress(TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), transient=True)
            self._bar.start()
            self._bar.add_task(self._what, total=self._total)
        return self

    def done(self, name: str) -> None:
        """Tells of one thing that is done."""
        if self._bar:
            self._bar.update(self._bar.task_ids[0], advance=1, description=f"{self._what}: {name} done")
