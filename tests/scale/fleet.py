"""Workers for a storm: processes of their own, struck down and started anew, many times a minute.

They are forks of a process that has imported all (`tests/nursery.py`): what a start computes and never writes down is
left out. What they share with those of a host is everything else. `FarFleet` has new processes instead, on any host.
"""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.nursery import Nursery, patch

IMPORTED = ("digest.worker", "digest.dispatch.procrastinate", "psycopg_pool", "sqlalchemy.dialects.postgresql.psycopg")
"""What `digest worker` imports where it is used."""

WORKER = """
import sys
from digest.dispatch import procrastinate
procrastinate.HEARTBEAT, procrastinate.STALLED_AFTER = {beats}
procrastinate.RESCUE = "* * * * * */1"
procrastinate.RECONNECT_AFTER = 0.2
from digest.store import outbox
from datetime import timedelta
from digest.dispatch import working
working.RENEWED_LEASE = timedelta(seconds={lease})
sys.argv = ["digest", "worker", "--config", {config!r}]
from digest.cli import main
main()
"""
"""The program of a process that is new."""


class Fleet:
    """So many workers, from `with` to the end of it, when those that are left are asked to stop."""

    def __init__(self, config: Path, count: int, beats: tuple[float, float], lease: float, log: Path | None = None):
        """`beats`: how often a worker says that it lives, and after how long a silence it does not; in seconds.

        `log`: where what they say is kept.
        """
        self._config, self._count, self._log = config, count, log
        self._values = {
            "digest.dispatch.procrastinate.HEARTBEAT": beats[0],
            "digest.dispatch.procrastinate.STALLED_AFTER": beats[1],
            "digest.dispatch.procrastinate.RESCUE": "* * * * * */1",
            "digest.dispatch.procrastinate.RECONNECT_AFTER": 0.2,
            "digest.dispatch.working.RENEWED_LEASE": timedelta(seconds=lease),
        }
        self._nursery = Nursery(*IMPORTED)
        self._running: set[int] = set()
        self._waking: list[threading.Timer] = []

    def __enter__(self) -> Self:
        self._nursery.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._end()
        finally:
            self._nursery.__exit__(kind, error, trace)

    def fill(self) -> None:
        """As many as there should be."""
        self._running = {pid for pid in self._running if self._nursery.poll(pid) is None}
        while len(self._running) < self._count:
            first = partial(_begin, self._values, self._log)
            self._running.add(self._nursery.start("worker", "--config", str(self._config), first=first).pid)

    def strike(self, chance: random.Random, number: signal.Signals, wake_after: float = 0.0) -> None:
        """Sends a signal to one of them; `wake_after`: seconds until it may go on."""
        if not self._running:
            return
        victim = chance.choice(sorted(self._running))
        os.kill(victim, number)
        if number == signal.SIGKILL:
            self._nursery.wait(victim)  # the storm may be over before the next look at who still runs
            self._running.discard(victim)
        if wake_after:
            self._waking.append(threading.Timer(wake_after, self._wake, (victim,)))
            self._waking[-1].start()

    def _wake(self, pid: int) -> None:
        if pid in self._running:  # nobody waits for it before it runs again, so its number is its own
            os.kill(pid, signal.SIGCONT)

    def _end(self) -> None:
        for timer in self._waking:
            timer.cancel()
        for pid in self._running:
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGTERM)
        ends = {pid: self._nursery.wait(pid) for pid in self._running}
        self._running.clear()
        # Who was only starting knows nothing of signals yet, and has nothing open.
        assert set(ends.values()) <= {0, -signal.SIGTERM}, ends


def _begin(values: Mapping[str, object], log: Path | None) -> None:
    patch(values)
    if log:
        sys.stdout = sys.stderr = log.open("a", 1, encoding="utf-8")


class FarFleet:
    """Workers on whatever host, started anew when they end."""

    def __init__(
        self,
        config: Path,
        count: int,
        beats: tuple[float, float],
        lease: float,
        log: Path,
        command: Sequence[str] = (sys.executable,),
        first: str = "",
    ):
        """`command`: what runs Python there; `first`: a program that goes before. The rest is as in `Fleet`."""
        self._command = command
        self._code = first + WORKER.format(beats=beats, lease=lease, config=str(config))
        self._count = count
        self._log = log
        self._running: list[subprocess.Popen[bytes]] = []
        self._over = False

    def fill(self) -> None:
        """As many as there should be."""
        self._running = [each for each in self._running if each.poll() is None]
        while len(self._running) < self._count and not self._over:
            with self._log.open("ab") as log:
                self._running.append(subprocess.Popen([*self._command, "-c", self._code], stdout=log, stderr=log))

    def end(self) -> list[float]:
        """All of them, tidily; how many seconds each took. One that takes over a minute is killed."""
        self._over = True
        for each in self._running:
            each.send_signal(signal.SIGCONT)
            each.terminate()
        begun, took = time.monotonic(), []
        for each in self._running:
            try:
                each.wait(max(begun + 60 - time.monotonic(), 0))
                took.append(time.monotonic() - begun)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()
                took.append(math.inf)
        return took
