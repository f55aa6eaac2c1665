"""A small machine of its own, with systemd as its first process, on this machine's programs: systemd-nspawn.

Needs the Debian package systemd-container, and root. /usr is this machine's, read-only; everything else is empty and
gone afterwards; loopback is shared, so a server of a test can be reached. It runs one script and switches itself off.
The Python that runs the tests lies in /opt/python there, what it has installed and this checkout in /opt/digest, and
/opt/digest/bin/digest starts it as an installed `digest` would.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120
"""Seconds for everything; it takes about ten."""

_TRIAL = """\
[Unit]
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/sh -eu /trial/script
WorkingDirectory=/trial
StandardOutput=file:/trial/log
StandardError=file:/trial/log
"""
_PROGRAM = """\
#!/bin/sh
export LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/digest/project:/opt/digest/packages PYTHONDONTWRITEBYTECODE=1
exec /opt/python/bin/python{version} -m digest "$@"
"""


def missing() -> str | None:
    """Why no such machine can be started here; None when it can."""
    if shutil.which("systemd-nspawn") is None:
        return "needs the Debian package systemd-container"
    return None if os.geteuid() == 0 else "systemd-nspawn starts as root only"


def run(folder: Path, script: str, patience: int = PATIENCE) -> str:
    """Starts the machine, runs `script` as root, in /trial, which is `folder`; what it said, with "script ended" last.

    `sh -eu` runs it: the first command that fails ends it. systemd finds units in the folder `system`.
    """
    system = folder / "system"
    (system / "multi-user.target.wants").mkdir(parents=True)
    (system / "trial.service").write_text(_TRIAL)
    (system / "multi-user.target.wants" / "trial.service").symlink_to("../trial.service")
    presets, program = folder / "presets", folder / "bin" / "digest"
    presets.mkdir()
    (presets / "00-nothing.preset").write_text("disable *\n")  # services of this machine stay this machine's
    program.parent.mkdir()
    program.write_text(_PROGRAM.format(version=sysconfig.get_python_version()))
    program.chmod(0o755)
    (folder / "script").write_text(script + "\necho script ended\n")
    places = {
        presets: "/etc/systemd/system-preset",
        program.parent: "/opt/digest/bin",
        ROOT: "/opt/digest/project",
        Path(sysconfig.get_path("purelib")): "/opt/digest/packages",
        Path(sys.base_prefix): "/opt/python",
    }
    command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--volatile=yes", "--directory=/"]
    command += [f"--bind-ro={here}:{there}" for here, there in places.items()]
    command += [f"--bind={folder}:/trial", "--console=pipe", f"--machine=trial{os.getpid()}"]
    command += [f"--bind={system}:/etc/systemd/system"]
    log = folder / "log"
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            said, _ = process.communicate(timeout=patience)
        except BaseException as error:
            _switch_off(process)
            error.add_note(log.read_text() if log.exists() else "the script did not begin")
            raise
    return log.read_text() if log.exists() else f"{process.returncode}: {said}"


def _switch_off(process: subprocess.Popen[str]) -> None:
    """Ends the machine at once, by its first process, with which all others end; they outlive systemd-nspawn."""
    for first in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(first), signal.SIGKILL)
    process.kill()
