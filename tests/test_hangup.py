"""A terminal that is closed while `digest send` runs in it, an ssh session that breaks off say: a real one."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from digest.console import complain
from digest.stopping import stop_on_signals
from tests.kills import SOURCES, query
from tests.lists import DAY_ONE, write_list
from tests.servers.smtp import CollectingServer
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")

READERS = 20
IN_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "digest", *sys.argv[1:]])
"""


def test_what_is_open_ends_when_the_terminal_is_closed(tmp_path: Path) -> None:
    """Nothing is in doubt, nothing is lost, and the next send goes on."""
    closed = threading.Event()

    def watch(stage: str) -> None:
        if stage == "accepted" and len(server.messages) == 2:
            closed.wait(PATIENCE)

    with CollectingServer(pipelining=True, watch=watch) as server:
        extra = 'rate = "30/second"\n'  # so that it lasts
        config = write_list(tmp_path, READERS, port=server.port, extra=extra, sources=SOURCES)
        arguments = ["send", "--config", str(config), "--now", DAY_ONE]
        ours, its = os.openpty()
        process = subprocess.Popen([sys.executable, "-c", IN_A_TERMINAL, *arguments], stdin=its, stdout=its, stderr=its)
        os.close(its)
        until(lambda: server.messages[1:], "no second message has come")
        os.close(ours)
        closed.set()
        assert process.wait(PATIENCE) != -signal.SIGHUP
        found = dict(query(tmp_path, "SELECT status, count(*) FROM deliveries GROUP BY status"))
        assert found.keys() == {"sent", "queued"}, found
        assert found["sent"] == len(server.message_ids)
        subprocess.run([sys.executable, "-m", "digest", *arguments], check=True, capture_output=True)
        assert len(set(server.message_ids)) == len(server.message_ids) == READERS


def test_under_nohup_it_goes_on(tmp_path: Path) -> None:
    """Whoever starts it under nohup has said that a terminal is of no matter."""
    with CollectingServer(pipelining=True) as server:
        extra = 'rate = "60/second"\n'
        config = write_list(tmp_path, READERS, port=server.port, extra=extra, sources=SOURCES)
        process = subprocess.Popen(
            ["nohup", sys.executable, "-m", "digest", "send", "--config", str(config), "--now", DAY_ONE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: server.message_ids, "no message has come")
        process.send_signal(signal.SIGHUP)
        assert process.wait(PATIENCE) == 0
        assert len(server.message_ids) == READERS


def test_told_of_twice_it_counts_once() -> None:
    """The shell tells its programs of a closed terminal as the system does: that is no second Ctrl-C."""
    said: list[str] = []

    async def hears_twice() -> None:
        stop = asyncio.Event()
        with stop_on_signals(stop, said.append):
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGHUP)
        assert stop.is_set()

    before = signal.signal(signal.SIGHUP, lambda *_: said.append("broken off"))
    try:
        asyncio.run(hears_twice())
    finally:
        signal.signal(signal.SIGHUP, before)
    assert [words.partition(":")[0] for words in said] == ["stopping on SIGHUP"]


def test_what_can_no_longer_be_said_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write to a terminal that was closed fails, and there is nobody to be told of that."""

    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, text)

    monkeypatch.setattr(sys, "stderr", Closed())
    complain("stopping on SIGHUP")
