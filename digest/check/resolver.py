"""Asks the DNS, with dnspython: the adapter behind `lookup.py`. Blocking; each question ends within a few seconds."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import dns.exception
import dns.name
import dns.resolver
import idna

from digest.check.lookup import NoAnswerError
from digest.errors import ConfigError

SECONDS = 6.0
"""For one question, with all tries."""


class Resolver:
    """A `Lookup` at the system's DNS servers, or at one that is named. Threads may share it; answers are kept."""

    def __init__(self, server: str | None = None, seconds: float = SECONDS):
        """`server` is an IP address, also with a port (`127.0.0.1:5300`). Raises ConfigError where it is none."""
        self._resolver: dns.resolver.Resolver | None = None
        with contextlib.suppress(dns.resolver.NoResolverConfiguration):
            self._resolver = dns.resolver.Resolver(configure=server is None)
        if self._resolver is not None:
            if server is not None:
                address, port = server_address(server)
                self._resolver.nameservers, self._resolver.port = [address], port
            self._resolver.lifetime = seconds
            self._resolver.cache = dns.resolver.LRUCache()

    def __call__(self, name: str, kind: str) -> Sequence[str]:
        """See `Lookup`."""
        if self._resolver is None:
            raise NoAnswerError("this machine names no DNS server (/etc/resolv.conf)")
        try:
            found = self._resolver.resolve(_in_ascii(name), kind, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.name.LabelTooLong, dns.name.NameTooLong):
            return ()
        except (dns.name.EmptyLabel, dns.name.BadEscape, UnicodeError):
            return ()
        except dns.exception.DNSException as error:
            raise NoAnswerError(f"no answer about {kind} of {name}: {type(error).__name__}") from error
        if kind == "MX":
            return tuple(_name(each.exchange) for each in sorted(found, key=lambda each: each.preference))
        return tuple(_text(each, kind) for each in found)


def server_address(written: str) -> tuple[str, int]:
    """The address and port of a DNS server, as a person writes them. Raises ConfigError."""
    host, port = written, "53"
    if written.startswith("[") or written.count(":") == 1:
        host, _, port = written.rpartition(":") if not written.endswith("]") else (written, "", "53")
    try:
        return str(ip_address(host.strip("[]"))), int(port)
    except ValueError:
        raise ConfigError(f"--resolver {written}: write an IP address, as in 1.1.1.1 or 127.0.0.1:5300") from None


def own_address() -> str | None:
    """The address by which this machine reaches the world; None if nobody outside knows it. Nothing is sent."""
    for family, there in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((there, 53))
            here = str(probe.getsockname()[0])
            if ip_address(here).is_global:
                return here
    return None


def _in_ascii(name: str) -> str:
    return name if name.isascii() else idna.encode(name, uts46=True).decode()


def _name(name: dns.name.Name) -> str:
    text = name.to_text()
    return text if text == "." else text.removesuffix(".")


def _text(record: Any, kind: str) -> str:
    if kind == "TXT":
        return b"".join(record.strings).decode("utf-8", "replace")
    return _name(record.target) if kind == "PTR" else str(record.to_text())
