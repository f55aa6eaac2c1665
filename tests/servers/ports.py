"""Ports of loopback for servers that are told theirs before they start, and so cannot ask for any that is free."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket

_PORTS = range(20_000, 32_768)
"""None of these is given to whoever asks for any port: Linux hands out those from 32768 on, others from 49152 on."""
_next = itertools.cycle(random.SystemRandom().sample(_PORTS, len(_PORTS)))


def free_port() -> int:
    """A port at which nobody listens, nor will by chance before our server does; each time another one."""
    for port in _next:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("a cycle has no end")
