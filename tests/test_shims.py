"""`tests/shims.py`: what is forked for a shell script is to it what a new `digest` would be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import shims
from tests.lists import DAY_ONE, write_list
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")
SCRIPT = "import sys; sys.argv[0] = 'digest'; from digest.cli import main; main()"
"""What pip installs as `digest`."""


@pytest.fixture
def shim(tmp_path: Path) -> Path:
    shims.write(tmp_path / "digest")
    return tmp_path / "digest"


@pytest.mark.parametrize("words", [["--version"], ["no-such"], ["status"], ["send", "--dry-run", "--now", DAY_ONE]])
def test_it_says_what_a_new_process_says(tmp_path: Path, shim: Path, words: list[str]) -> None:
    """On the same streams, in the same folder and environment, with the same exit code."""
    folder = tmp_path / "list"
    folder.mkdir()
    write_list(folder).rename(folder / "other.toml")
    environ = os.environ | {"DIGEST_CONFIG": "other.toml", "PYTHONPATH": str(shims.ROOT), "COLUMNS": "80"}
    done = [
        subprocess.run([*command, *words], cwd=folder, env=environ, capture_output=True, text=True, check=False)
        for command in ([str(shim)], [sys.executable, "-c", SCRIPT])
    ]
    forked, new = [(each.returncode, each.stdout, each.stderr) for each in done]
    assert forked == new


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_stops_with_the_shim(tmp_path: Path, shim: Path, number: signal.Signals) -> None:
    """A signal reaches it; a shim that is killed leaves nothing behind."""
    write_list(tmp_path)
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([shim, "run", "--now", DAY_ONE], cwd=tmp_path, stdout=out, stderr=out)
    until(lambda: "next" in log.read_text() and len(_in(tmp_path)) >= 2, log.read_text)
    process.send_signal(number)
    assert process.wait(PATIENCE) == (-number if number is signal.SIGKILL else 0), log.read_text()
    assert (f"stopping on {number.name}" in log.read_text()) == (number is not signal.SIGKILL)
    until(lambda: not _in(tmp_path), "it has left a process behind")


def _in(folder: Path) -> list[psutil.Process]:
    """The processes whose working folder that is."""
    return [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(folder)]
