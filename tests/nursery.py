"""Starts many `digest` processes cheaply: one process imports everything once, and forks a child for each command.

    with Nursery() as nursery:
        send = nursery.start("send", "--config", str(config))
        os.kill(send.pid, signal.SIGKILL)
        assert send.wait().returncode == -signal.SIGKILL

A child is `digest.cli.main` with its own arguments and streams: all that a new process is, save the time it takes to
start. POSIX only.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import sqlalchemy as sa
import typer.main

from digest.model import Edition, MailingList
from digest.render import EditionRenderer
from digest.store import Database
from tests.test_cli import Answer
from tests.waiting import PATIENCE, until

T = TypeVar("T")
HEAVY = (
    *("alembic.command", "aiosmtplib", "feedparser", "jinja2", "nh3", "numpy", "premailer", "psutil", "pylatexenc"),
    *("scipy.sparse", "digest.scheduler", "digest.commands.sending", "apscheduler.schedulers.asyncio"),
)
"""What `digest` imports where it is used."""


@contextlib.contextmanager
def folder_in_memory() -> Iterator[Path]:
    """A folder that costs no time to commit to, where there is one: a kill is no power cut, so it proves as much."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="digest-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Child:
    """A `digest` that runs, or has run."""

    pid: int
    _streams: Path
    _nursery: Nursery

    def until_it_says(self, words: str) -> None:
        """Returns when the words are on its standard output or error."""

        def said() -> str:
            return "".join((self._streams / name).read_text(encoding="utf-8") for name in ("out", "err"))

        until(lambda: words in said(), lambda: f"no {words!r} in: {said()}")

    def wait(self) -> Answer:
        """What it said and its exit code, minus the signal that killed it."""
        code = self._nursery.wait(self.pid)
        out, err = ((self._streams / name).read_text(encoding="utf-8") for name in ("out", "err"))
        return Answer(code, out, err)


class Nursery:
    """From `with` to the end of it, a process that forks; children that still run at the end are killed.

    Several threads may use it. `more`: modules that it imports beside `HEAVY`.
    """

    def __init__(self, *more: str):
        self._more = more

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")  # this process may have threads, which do not fork well
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, HEAVY + self._more))
        self._process.start()
        theirs.close()
        self._folder = Path(tempfile.mkdtemp(prefix="digest-nursery-"))
        self._started, self._turn = itertools.count(), threading.Lock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join(PATIENCE)
        shutil.rmtree(self._folder)

    def start(self, *arguments: str, first: Callable[[], object] | None = None) -> Child:
        """`digest …` in a child, which calls `first` before it."""
        streams = self._folder / str(next(self._started))
        streams.mkdir()
        for name in ("out", "err"):
            (streams / name).touch()  # a child may be killed before it does
        return Child(self._ask(_start, first, arguments, streams), streams, self)

    def run(self, *arguments: str, first: Callable[[], object] | None = None) -> Answer:
        """`digest …` in a child, to its end."""
        return self.start(*arguments, first=first).wait()

    def keep_renderers(self, *arguments: str) -> None:
        """Has the process that forks make the renderers that `digest preview …` makes; from now on no child makes one.

        Of what a `digest send` computes that is the most, and nothing of it is ever written down. An edition is known
        by its number: whatever is sent from now on must be a copy of the same editions.
        """
        assert self._ask(_digest, keep_renderers, ("preview", *arguments), self._folder) == 0

    def wait(self, pid: int) -> int:
        """The exit code of a child, when it has ended. Fails if that takes too long."""
        (code,) = until(
            lambda: [code] if (code := self.poll(pid)) is not None else [],  # 0 is one, too
            f"process {pid} does not end",
        )
        return code

    def poll(self, pid: int) -> int | None:
        """The exit code of a child; None while it runs. To be asked no more once there is one."""
        return self._ask(_poll, pid)

    def _ask(self, function: Callable[..., T], *arguments: object) -> T:
        """What the function gives in the process that forks."""
        with self._turn:
            self._pipe.send((function, arguments))
            answer: T = self._pipe.recv()
        return answer


def patch(values: Mapping[str, object]) -> None:
    """Sets module attributes, by their full names."""
    for name, value in values.items():
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name
        setattr(sys.modules[module], attribute, value)


def die_at(at: int) -> None:
    """Has this process killed at the `at`th moment, the moments being before and after each commit; 0: never."""
    moments = 0

    def moment() -> None:
        nonlocal moments
        moments += 1
        if moments == at:
            os.kill(os.getpid(), signal.SIGKILL)

    original = Database.write

    @contextlib.contextmanager
    def write(self: Database, *, alone: bool = True) -> Iterator[sa.Connection]:
        with original(self, alone=alone) as connection:
            yield connection
            moment()
        moment()

    Database.write = write  # type: ignore[method-assign]


def keep_renderers() -> None:
    """Makes each edition's renderer once; an edition is known by its number."""
    import digest.making

    def made(mailing_list: MailingList, edition: Edition, *rest: Any) -> EditionRenderer:
        if edition.number not in _renderers:
            _renderers[edition.number] = EditionRenderer(mailing_list, edition, *rest)
        return _renderers[edition.number]

    digest.making.EditionRenderer = made  # type: ignore[assignment,attr-defined]


_children: set[int] = set()
_renderers: dict[int, EditionRenderer] = {}
"""Of the process that forks, as `_children` are."""


def _serve(pipe: Connection, heavy: Sequence[str]) -> None:
    typer.main.get_command = cache(typer.main.get_command)  # typer builds all commands anew for each that is run
    for name in heavy:
        importlib.import_module(name)
    try:
        while True:
            function, arguments = pipe.recv()
            pipe.send(function(*arguments))
    except EOFError:
        for pid in _children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _start(first: Callable[[], object] | None, arguments: tuple[str, ...], streams: Path) -> int:
    gc.freeze()  # a child that looked for garbage here would copy all of it
    pid = os.fork()
    if pid == 0:
        os._exit(_digest(first, arguments, streams))
    _children.add(pid)
    return pid


def _poll(pid: int) -> int | None:
    """The exit code of a child; None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    _children.discard(ended)
    return os.waitstatus_to_exitcode(status) if ended else None


def _digest(first: Callable[[], object] | None, arguments: tuple[str, ...], streams: Path) -> int:
    """The exit code of `digest …`, whose streams go into files."""
    from digest.cli import main

    sys.argv = ["digest", *arguments]
    with (
        (streams / "out").open("w", 1, encoding="utf-8") as out,
        (streams / "err").open("w", 1, encoding="utf-8") as err,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            if first is not None:
                first()
            main()
        except SystemExit as end:
            return int(end.code or 0)
        except BaseException:
            traceback.print_exc()
            return 70
    return 0
