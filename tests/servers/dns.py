"""A DNS server on loopback, with the records that it is given: real datagrams, by dnspython's own messages.

`with DnsServer({"example.org": [("TXT", '"v=spf1 -all"')]}) as server:` then `server.address` is `127.0.0.1:PORT`.
Names in `broken` are answered with SERVFAIL. Long answers are truncated and given again over TCP, as real ones are.
"""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Zone = Mapping[str, Sequence[tuple[str, str]]]


def txt(text: str) -> tuple[str, str]:
    """A TXT record, in strings of at most 255 bytes."""
    return "TXT", " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))


class DnsServer:
    """Answers from `with` to the end of it; `asked` has every question, `txt example.org`."""

    def __init__(self, zone: Zone, broken: Sequence[str] = ()):
        self.asked: list[str] = []
        self._zone = {name.lower(): records for name, records in zone.items()}
        self._broken = broken
        outer = self

        class Datagrams(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, sock = self.request
                answer = outer.answer(data)
                wire = answer.to_wire(max_size=65535)
                if len(wire) > 1232:
                    answer.answer.clear()
                    answer.flags |= dns.flags.TC
                    wire = answer.to_wire()
                sock.sendto(wire, self.client_address)

        class Streams(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    length = int.from_bytes(self.rfile.read(2), "big")
                    wire = outer.answer(self.rfile.read(length)).to_wire(max_size=65535)
                    self.wfile.write(len(wire).to_bytes(2, "big") + wire)

        while True:  # until a port is free for both
            self._udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Datagrams)
            self.port = self._udp.server_address[1]
            try:
                self._tcp = socketserver.ThreadingTCPServer(("127.0.0.1", self.port), Streams)
                break
            except OSError:
                self._udp.server_close()
        self._udp.daemon_threads = self._tcp.daemon_threads = True
        self._threads = [
            threading.Thread(target=s.serve_forever, args=(0.01,), daemon=True) for s in (self._udp, self._tcp)
        ]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, wire: bytes) -> Any:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text().lower().removesuffix("."), dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{kind} {name}")
        response = dns.message.make_response(query, recursion_available=True)
        if name in self._broken:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif name not in self._zone:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif texts := [text for found, text in self._zone[name] if found == kind]:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *texts))
        return response

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in (self._udp, self._tcp):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join(timeout=10)
