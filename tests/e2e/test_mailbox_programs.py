"""The Maildir as a person meets it: opened in mutt, in a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import shutil
import struct
import subprocess
import termios
from pathlib import Path
from typing import Self

import pytest

from tests.lists import DAY_ONE, write_list
from tests.test_cli import run
from tests.waiting import until

pytestmark = pytest.mark.system


@pytest.fixture
def mutt() -> str:
    found = shutil.which("mutt")
    if not found:
        pytest.skip("mutt is not installed (Debian package: mutt)")
    return found


class Screen:
    """A program on a terminal of 200 × 400, a page for any message, from `with` to the end of it."""

    def __init__(self, command: list[str], environment: dict[str, str]):
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 400, 200, 0, 0))
        self._process = subprocess.Popen(
            command, stdin=side, stdout=side, stderr=side, env=environment, start_new_session=True
        )
        os.close(side)
        os.set_blocking(self._main, False)
        self._drawn = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._main)

    def press(self, key: bytes) -> None:
        os.write(self._main, key)

    def drawn(self) -> str:
        """All that it has, so far."""
        with contextlib.suppress(OSError):  # there is no more now, or the program has ended
            while True:
                self._drawn += os.read(self._main, 65536)
        return self._drawn.decode("utf-8", "replace")


def test_mutt_lists_and_opens_the_messages(tmp_path: Path, mutt: str) -> None:
    """The index of mutt shows both messages, and its pager the text part of one."""
    config = write_list(tmp_path)
    assert run("send", "--config", str(config), "--now", DAY_ONE).returncode == 0
    environment = os.environ | {
        "HOME": str(tmp_path),
        "TERM": "xterm",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "200",
        "LINES": "400",
    }
    (tmp_path / "Mail").mkdir()  # else it asks whether to
    (tmp_path / ".muttrc").write_text("set read_only=yes\nalternative_order text/plain\nset charset=utf-8\n")
    with Screen([mutt, "-n", "-f", str(tmp_path / "outbox")], environment) as screen:
        until(lambda: "Msgs:2" in screen.drawn(), screen.drawn)
        until(lambda: screen.drawn().count("(9 June)") >= 2, screen.drawn)  # the subjects of both
        screen.press(b"\n")
        until(lambda: "https://arxiv.org/abs/2606." in screen.drawn(), screen.drawn)  # the links of the opened one
