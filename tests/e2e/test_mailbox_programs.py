"""The Maildir as a person meets it: opened in mutt, in a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from tests.lists import DAY_ONE, write_list
from tests.test_cli import run

pytestmark = pytest.mark.system


@pytest.fixture
def mutt() -> str:
    found = shutil.which("mutt")
    if not found:
        pytest.skip("mutt is not installed (Debian package: mutt)")
    return found


def screen_of(command: list[str], keys: list[bytes], environment: dict[str, str]) -> str:
    """All that a program draws on a terminal of 200 × 40 while the keys are typed, one each time it falls silent."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
    process = subprocess.Popen(command, stdin=side, stdout=side, stderr=side, env=environment, start_new_session=True)
    os.close(side)
    drawn = b""
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            ready, _, _ = select.select([main], [], [], 1.0)
            if ready:
                try:
                    drawn += os.read(main, 65536)
                except OSError:  # the terminal's other side is closed: the program has ended
                    break
            elif keys:
                os.write(main, keys.pop(0))
            else:
                break
    finally:
        process.kill()
        process.wait()
        os.close(main)
    return drawn.decode("utf-8", "replace")


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
        "LINES": "40",
    }
    (tmp_path / ".muttrc").write_text("set read_only=yes\nalternative_order text/plain\nset charset=utf-8\n")
    drawn = screen_of([mutt, "-n", "-f", str(tmp_path / "outbox")], [b"\n", b" ", b" ", b" ", b"q", b"x"], environment)
    assert "Msgs:2" in drawn
    assert drawn.count("(9 June)") >= 2, "the index shows the subject of both"
    assert "https://arxiv.org/abs/2606." in drawn, "the opened message shows its links"
