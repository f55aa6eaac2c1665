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
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from digest.model import Edition, MailingList
from digest.render import EditionRenderer
from tests.test_cli import Answer

PATIENCE = 60.0
"""Seconds for a child to end; far more than any takes."""
HEAVY = (
    *("alembic.command", "aiosmtplib", "feedparser", "jinja2", "nh3", "numpy", "premailer", "psutil", "pylatexenc"),
    *("scipy.sparse", "digest.scheduler", "digest.sending", "apscheduler.schedulers.asyncio"),
)
"""What `digest` imports where it is used."""


@contextlib.contextmanager
def folder_in_memory() -> Iterator[Path]:
    """A folder that costs no time to commit to, where there is one: a kill is no power cut, so it proves as much."""
    memory = Path("/dev/shm")  # noqa: S108 - a name of its own is made in it
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
        """Returns when the words are on its standard error."""
        deadline = time.monotonic() + PATIENCE
        while words not in (self._streams / "err").read_text(encoding="utf-8"):
            assert time.monotonic() < deadline, words
            time.sleep(0.01)

    def wait(self) -> Answer:
        """What it said and its exit code, minus the signal that killed it."""
        code = self._nursery.ask("wait", self.pid)
        out, err = ((self._streams / name).read_text(encoding="utf-8") for name in ("out", "err"))
        return Answer(code, out, err)


class Nursery:
    """From `with` to the end of it, a process that forks; children that still run at the end are killed."""

    def __init__(self, *, keep_renderers: bool = False):
        """`keep_renderers`: the process that forks makes an edition's renderer, by `run("preview", …)`; no child does.

        Of what a `digest send` computes that is the most, and nothing of it is ever written down.
        """
        self._keep_renderers = keep_renderers
        self._started: list[Child] = []

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")  # this process may have threads
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._keep_renderers))
        self._process.start()
        theirs.close()
        self._folder = Path(tempfile.mkdtemp(prefix="digest-nursery-"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.send(("end",))
        self._process.join(PATIENCE)
        self._pipe.close()
        shutil.rmtree(self._folder)

    def start(self, *arguments: str, patches: Mapping[str, object] = MappingProxyType({})) -> Child:
        """`digest …` in a child; `patches` are other values for module attributes, by their full names."""
        streams = self._folder / str(len(self._started))
        streams.mkdir()
        for name in ("out", "err"):
            (streams / name).touch()  # a child may be killed before it does
        child = Child(self.ask("start", arguments, streams, dict(patches)), streams, self)
        self._started.append(child)
        return child

    def run(self, *arguments: str, patches: Mapping[str, object] = MappingProxyType({})) -> Answer:
        """`digest …` in a child, to its end."""
        return self.start(*arguments, patches=patches).wait()

    def warm(self, *arguments: str) -> None:
        """`digest …` in the process that forks, for what later children find done."""
        assert self.ask("warm", arguments, self._folder, {}) == 0

    def ask(self, *order: Any) -> int:
        """Has the process that forks do something. Fails if that takes too long."""
        self._pipe.send(order)
        assert self._pipe.poll(PATIENCE), f"no end of {order}"
        answer = self._pipe.recv()
        assert isinstance(answer, int)
        return answer


def _serve(pipe: Connection, keep_renderers: bool) -> None:
    for name in HEAVY:
        importlib.import_module(name)
    if keep_renderers:
        _keep_renderers()
    children: set[int] = set()
    while True:
        order, *rest = pipe.recv()
        if order == "end":
            break
        if order == "start":
            gc.freeze()  # a child that looks for garbage here would copy all of it
            pid = os.fork()
            if pid == 0:
                pipe.close()
                os._exit(_digest(*rest))
            children.add(pid)
            pipe.send(pid)
        elif order == "warm":
            pipe.send(_digest(*rest))
        else:
            _, status = os.waitpid(rest[0], 0)
            children.discard(rest[0])
            pipe.send(os.waitstatus_to_exitcode(status))
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _keep_renderers() -> None:
    import digest.app

    make = EditionRenderer
    kept: dict[int, EditionRenderer] = {}

    def made(mailing_list: MailingList, edition: Edition, *rest: Any) -> EditionRenderer:
        if edition.number not in kept:
            kept[edition.number] = make(mailing_list, edition, *rest)
        return kept[edition.number]

    digest.app.EditionRenderer = made  # type: ignore[assignment,misc]


def _digest(arguments: tuple[str, ...], streams: Path, patches: Mapping[str, object]) -> int:
    """The exit code of `digest …`, whose streams go into files."""
    from digest.cli import main

    for name, value in patches.items():
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name
        setattr(sys.modules[module], attribute, value)
    sys.argv = ["digest", *arguments]
    with (
        (streams / "out").open("w", 1, encoding="utf-8") as out,
        (streams / "err").open("w", 1, encoding="utf-8") as err,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
        except BaseException:
            traceback.print_exc()
            return 70
    return 0
