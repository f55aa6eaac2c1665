"""A greylist for Postfix: a policy service that turns each sender and recipient away once.

Source: the Postfix policy delegation protocol, SMTPD_POLICY_README.
"""

from __future__ import annotations

import socketserver
import threading
from types import TracebackType
from typing import Self


class Greylist:
    """`with Greylist("grey@example.org") as greylist:`, then `check_policy_service {greylist.name}` in a restriction.

    The recipients named are unknown at first; all others are let through. `turned_away` are those who came once.
    """

    def __init__(self, *recipients: str):
        self.turned_away: set[str] = set()
        greylist = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                asked: dict[str, str] = {}
                for line in self.rfile:
                    name, _, value = line.decode().rstrip("\n").partition("=")
                    if name:
                        asked[name] = value
                        continue
                    who = asked.get("recipient", "")
                    if who in recipients and who not in greylist.turned_away:
                        greylist.turned_away.add(who)
                        self.wfile.write(b"action=DEFER_IF_PERMIT 4.7.1 Greylisted, come back later\n\n")
                    else:
                        self.wfile.write(b"action=DUNNO\n\n")
                    asked = {}

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def name(self) -> str:
        """As Postfix calls it."""
        return f"inet:127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
