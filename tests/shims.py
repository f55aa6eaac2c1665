"""The `digest` that a shell script types: a few lines that have another process fork which has imported everything.

The pages of the docs start a hundred of them, and most of what a new one does is to import. The fork has the shim's
arguments, folder, environment, streams and signals, ends as a process of its own does, and dies with it. POSIX only.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import io
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import typer.main

ROOT = Path(__file__).resolve().parents[1]
PRELOADED = (
    *("alembic.command", "aiosmtplib", "cryptography.x509", "dns.asyncresolver", "feedparser", "flufl.bounce", "h11"),
    *("httpx2", "jinja2.ext", "nh3", "numpy", "premailer", "psutil", "pylatexenc.latex2text", "scipy.sparse"),
    *("apscheduler.schedulers.asyncio", "starlette.applications", "uvicorn"),
    *("digest.check.doctor", "digest.scheduler", "digest.commands.sending", "digest.web.serving"),
)
"""What `digest` imports where it is used, here or there."""
_CLIENT = """\
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect(sys.argv[1])
ignored = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is signal.SIG_IGN]
for number in {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} - set(ignored):
    signal.signal(number, lambda number, _: server.send(bytes([number])))
umask = os.umask(0)
request = {"words": sys.argv[2:], "folder": os.getcwd(), "environ": dict(os.environ)}
body = json.dumps(request | {"ignored": ignored, "umask": umask}).encode()
socket.send_fds(server, [len(body).to_bytes(4, "big")], [0, 1, 2])
server.sendall(body)
code = int.from_bytes(server.recv(4), "big", signed=True)
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


def write(path: Path) -> None:
    """Makes the shim at `path`."""
    folder = _server()
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{folder}/client.py" "{folder}/socket" "$@"\n')
    path.chmod(0o755)


@functools.cache
def _server() -> Path:
    """Starts the process that forks, which ends with this one; the folder of its socket."""
    folder = Path(tempfile.mkdtemp(prefix="digest-shims-"))
    (folder / "client.py").write_text(_CLIENT)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.shims", str(folder / "socket")],
        env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip

    @atexit.register
    def end() -> None:
        with process:
            process.kill()
        shutil.rmtree(folder)

    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    return folder


# --- In the process that forks --------------------------------------------------------------------------------------


def _serve(path: str) -> dict[str, Any]:
    """What a shim asks for, in a new process for each; the one that asks of them returns never."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(100)
        gc.freeze()  # a child that looked for garbage here would copy all of it
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        print("ready", flush=True)
        while True:
            if sys.stdin in select.select([listener, sys.stdin], [], [])[0]:
                os._exit(0)  # the test process has ended
            shim, _ = listener.accept()
            if os.fork() == 0:
                break
            shim.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(shim, 4, 3)
    request: dict[str, Any] = json.loads(shim.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
    if child := os.fork():
        for stream in streams:
            os.close(stream)
        _stand_by(shim, child)
    shim.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # Made anew: what they lead to may be of another kind than what this process had.
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _unbuffered(1, "surrogateescape")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _unbuffered(2, "backslashreplace")  # type: ignore[misc]
    return request


def _unbuffered(number: int, errors: str) -> io.TextIOWrapper:
    """As with PYTHONUNBUFFERED."""
    return io.TextIOWrapper(open(number, "wb", 0, closefd=False), "utf-8", errors, write_through=True)


def _stand_by(shim: socket.socket, child: int) -> None:
    """Passes the shim's signals on to the child, and its exit code back; without the shim the child is killed."""

    def reap() -> None:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with contextlib.suppress(OSError):  # the shim has gone
            shim.sendall(code.to_bytes(4, "big", signed=True))
        os._exit(0)

    threading.Thread(target=reap).start()
    with contextlib.suppress(ProcessLookupError):
        while number := shim.recv(1):
            os.kill(child, number[0])
        os.kill(child, signal.SIGKILL)
    threading.Event().wait()  # until it is reaped


def _become(request: dict[str, Any]) -> None:
    """Makes this process what a new one would be."""
    os.umask(request["umask"])
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    tempfile.tempdir = None
    sys.modules["__main__"].__package__ = None  # as of the installed script: `Usage: digest`
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in request["ignored"]:
        signal.signal(number, signal.SIG_IGN)


def main() -> None:
    """The process that forks, and each fork."""
    from digest import cli
    from tests import stand_ins

    typer.main.get_command = functools.cache(typer.main.get_command)  # it builds all commands anew for each that is run
    for name in PRELOADED:
        importlib.import_module(name)
    request = _serve(sys.argv[1])
    _become(request)
    sys.argv = ["digest", *request["words"]]
    if world := os.environ.get(stand_ins.VARIABLE):
        stand_ins.digest(request["words"], json.loads(world))
    else:
        cli.main()


if __name__ == "__main__":
    main()
