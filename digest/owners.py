"""Who holds something that must be let go when its holder is gone: a process, told from every other one.

Here: what a process is called, and whether one may still live. `store/outbox.py` asks about claims, `send/journal.py`
about files.
"""

from __future__ import annotations

import os
import re
import socket
from functools import cache
from pathlib import Path

CLOCK_STEP = 2.0
"""Seconds by which a process's start time may seem to move when the system clock is corrected; on Linux it does not."""

_IDENTITY = re.compile(r"([^/]+)/(\d+)/(\d+(?:\.\d+)?)(?:/|$)")


@cache
def _host() -> str:
    """With what tells two of the same name apart: machines by since when they run, containers by whose ids they use."""
    since, processes = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if not since.exists():
        return socket.gethostname()
    container = f".{processes.stat().st_ino}" if processes.exists() else ""
    return f"{socket.gethostname()}~{since.read_text()[:8]}{container}"


def _started(pid: int) -> float:
    """When a process started; on Linux in seconds since the system did: who sets the clock changes all other times."""
    import psutil

    origin = psutil.boot_time() if psutil.LINUX else 0.0
    return float(psutil.Process(pid).create_time() - origin)


def identity() -> str:
    """`host/pid/start time` of this process: a process id alone comes round again. A ledger adds its number."""
    return f"{_host()}/{os.getpid()}/{_started(os.getpid()):.2f}"


def may_live(owner: str, *, is_shared: bool) -> bool:
    """False only for a process that is certainly gone, or for what names none of ours.

    `is_shared`: machines or containers of one name may work on the database.
    """
    import psutil

    if (found := _IDENTITY.match(owner)) is None:
        return False
    host, pid, started = found.groups()
    (name, _, boot), (here, _, this_boot) = host.partition("~"), _host().partition("~")
    if name != here:
        return True
    if boot and boot != this_boot:  # this machine or container before it was started anew; or another of its name
        return is_shared
    try:
        is_it = abs(_started(int(pid)) - float(started)) < CLOCK_STEP
        # One that nobody has waited for does nothing.
        return bool(is_it and psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
