"""The image of docs/deploy/Containerfile and its containers, with no container engine: by bubblewrap.

Needs the Debian packages bubblewrap and python3-venv, and root. The file's own RUN steps are taken on this machine's
Debian, but for the one that installs packages; what they lay out is the image. Its user, surroundings and commands are
the file's too. The network is this machine's: what runs there is to be given nothing but loopback addresses.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTAINERFILE = ROOT / "docs" / "deploy" / "Containerfile"
PATIENCE = 600
"""Seconds for the build, which downloads what digest needs."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What an engine gives where the file says nothing."""


def missing() -> str | None:
    """Why nothing can be built or run here; None when it can."""
    if shutil.which("bwrap") is None:
        return "needs the Debian package bubblewrap"
    if subprocess.run(["/usr/bin/python3", "-c", "import ensurepip"], check=False, capture_output=True).returncode:
        return "needs the Debian package python3-venv"
    return None if os.geteuid() == 0 else "an image is built as root only"


def instructions(text: str) -> list[tuple[str, str]]:
    """A Containerfile's instructions, in order, each with all that stands after its name."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


@dataclass(frozen=True)
class Image:
    """What an engine would hold of the built file."""

    root: Path
    user: int
    group: int
    environ: Mapping[str, str]
    folder: str
    """Where its commands begin."""
    volume: str
    """The one place that may be written to."""
    command: tuple[str, ...]
    """The entry point, and what it is given unless told otherwise."""
    entry: tuple[str, ...]
    health: tuple[str, ...]
    stop: signal.Signals

    def start(
        self, command: Sequence[str], mounts: Mapping[Path, str], environ: Mapping[str, str] | None = None
    ) -> Container:
        """A container with a root that nobody can write to, no privileges, and `mounts`: only the volume is writable.

        Like an engine's, its first process is the command itself.
        """
        here = {"PATH": _PATH, "HOME": self.volume, **self.environ, **(environ or {})}
        told, tell = os.pipe()
        starts = [
            "setpriv",
            f"--reuid={self.user}",
            f"--regid={self.group}",
            "--clear-groups",
            "--no-new-privs",
            "bwrap",
        ]
        starts += [
            "--unshare-user",
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
            "--as-pid-1",
            "--cap-drop",
            "ALL",
        ]
        starts += ["--die-with-parent", "--info-fd", str(tell), "--ro-bind", str(self.root), "/"]
        starts += ["--proc", "/proc", "--dev", "/dev"]
        for place, inside in mounts.items():
            starts += ["--bind" if inside == self.volume else "--ro-bind", str(place), inside]
        starts += ["--chdir", self.folder, "--clearenv"]
        for name, value in here.items():
            starts += ["--setenv", name, value]
        process = subprocess.Popen(
            [*starts, "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=[tell],
            cwd="/",
        )
        os.close(tell)
        with os.fdopen(told) as pipe:
            info = pipe.read()
        return Container(process, json.loads(info)["child-pid"] if info else 0)


@dataclass
class Container:
    """A running one."""

    process: subprocess.Popen[str]
    pid: int
    """Of its first process, as seen from here."""
    said: str = ""

    def until(self, text: str) -> None:
        """Reads what it says up to a line with `text`. Raises AssertionError if it ends before."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.said += line
            if text in line:
                return
        self.ended()
        raise AssertionError(f"ended without {text!r}:\n{self.said}")

    def kill(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def ended(self, timeout: float = 120) -> int:
        """Its exit code; kills it after `timeout` seconds."""
        try:
            rest, _ = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        self.said += rest
        return self.process.returncode


def built(folder: Path) -> Image:
    """Builds the file in `folder`, which everybody must be able to enter."""
    steps = instructions(CONTAINERFILE.read_text("utf-8"))
    stages = [at for at, (name, _) in enumerate(steps) if name == "FROM"]
    assert len(stages) == 2
    assert steps[stages[1]] == ("FROM", "scratch")
    assert steps[stages[1] + 1] == ("COPY", "--from=build /root.new /")
    for name in ("src", "opt", "root.new"):
        (folder / name).mkdir()
    for name, rest in steps[stages[0] + 1 : stages[1]]:
        if name == "COPY":
            _copy(folder, rest.split())
        elif "apt-get install" not in rest:
            assert name == "RUN"
            _run(folder, rest)
    root = folder / "root.new"
    for name in ("proc", "dev"):  # an engine makes them
        (root / name).mkdir()
    return _image(root, dict(steps[stages[1] + 2 :]))


def _copy(folder: Path, places: Sequence[str]) -> None:
    *sources, target = places
    into = folder / target.strip("/")
    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, into, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, into)


def _run(folder: Path, line: str) -> None:
    command = ["bwrap", "--unshare-pid", "--die-with-parent", "--tmpfs", "/", "--proc", "/proc", "--dev", "/dev"]
    command += ["--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc", "--tmpfs", "/tmp"]
    for name in ("bin", "lib", "lib64"):
        command += ["--symlink", f"usr/{name}", f"/{name}"]
    for place in folder.iterdir():
        command += ["--bind", str(place), f"/{place.name}"]
    done = subprocess.run(
        [*command, "--", "/bin/sh", "-c", line],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PATH": _PATH, "HOME": "/tmp"},
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def _image(root: Path, last: dict[str, str]) -> Image:
    known = {"USER", "VOLUME", "WORKDIR", "ENV", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert set(last) == known
    user, group = map(int, last["USER"].split(":"))
    entry = tuple(json.loads(last["ENTRYPOINT"]))
    health = re.search(r" CMD (\[.*\])$", last["HEALTHCHECK"])
    assert health
    return Image(
        root=root,
        user=user,
        group=group,
        environ=dict(pair.split("=", 1) for pair in shlex.split(last["ENV"])),
        folder=last["WORKDIR"],
        volume=last["VOLUME"],
        command=(*entry, *json.loads(last["CMD"])),
        entry=entry,
        health=tuple(json.loads(health[1])),
        stop=signal.Signals[last["STOPSIGNAL"]],
    )
