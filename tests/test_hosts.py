"""Which hosts are this machine, and what is said of one that does not answer."""

from __future__ import annotations

import errno
import socket

import pytest

from digest.hosts import is_loopback, no_connection


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("LocalHost", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("a.org", False),
    ],
)
def test_this_machine_has_many_names(host: str, here: bool) -> None:
    """Every address of its loopback is its own."""
    assert is_loopback(host) is here


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "again"), "no name server answers"),
        (socket.gaierror(socket.EAI_NONAME, "none"), "there is no host ::1: correct `host` of [smtp]"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "no"), "nobody answers at [::1]:25 (connection refused): "),
        (TimeoutError(), "nobody answers at [::1]:25 in time: "),
        (OSError(errno.EHOSTUNREACH, "no"), "there is no way to [::1]:25 from here"),
        (OSError(errno.EACCES, "no"), "no connection to [::1]:25: Permission denied"),
        (OSError("in words alone"), "no connection to [::1]:25: in words alone"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, OSError) else "",
)
def test_what_keeps_from_a_host_is_told_with_what_to_do(error: OSError, why: str) -> None:
    """Each kind of fault in words of its own, in place of the system's number."""
    assert no_connection("::1", 25, error, "[smtp]").startswith(why)
