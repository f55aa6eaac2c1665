"""A real Dovecot that shows Maildirs by IMAP, on loopback, and takes mail for them by LMTP.

Needs the Debian packages dovecot-imapd and dovecot-lmtpd, and root. Its configuration and state lie in a folder of
their own; it runs as a child of this process and is ended by its process id.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import certificates, daemons
from tests.servers.ports import free_port
from tests.waiting import PATIENCE

DOVECOT = Path("/usr/sbin/dovecot")
IMAP = Path("/usr/lib/dovecot/imap")
LMTP = Path("/usr/lib/dovecot/lmtp")

_CONF = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.pem
mail_location = maildir:{inboxes}/%u
mail_uid = 65534
mail_gid = 65534
auth_mechanisms = plain
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent allow_all_users=yes
}}
protocol lmtp {{
  postmaster_address = postmaster@example.org
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
}}
service stats {{
  unix_listener stats-reader {{
    mode = 0600
  }}
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


def missing() -> str | None:
    """Why a Dovecot cannot be started here; None when it can."""
    if not DOVECOT.exists() or not IMAP.exists() or not LMTP.exists():
        return "needs the Debian packages dovecot-imapd and dovecot-lmtpd"
    return None if os.geteuid() == 0 else "Dovecot starts as root only"


@dataclass
class Dovecot:
    """`with Dovecot(server.folder / "inboxes") as shown: shown.fetch("ada@example.org", "BODY.PEEK[]")`.

    `inboxes` is a folder of Maildirs that belong to nobody, each named by its address; LMTP takes off
    what is added after a plus. IMAP is at `port`, with STARTTLS, and at `tls_port`; LMTP at `lmtp_port`.
    """

    inboxes: Path
    port: int = 0
    tls_port: int = 0
    lmtp_port: int = 0
    password: str = "s3cret"

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="digest-dovecot-"))
        self._folder.chmod(0o755)
        (self._folder / "run").mkdir()
        (self._folder / "server.pem").write_text(certificates.LOCALHOST)
        certificates.ca_file(self._folder)
        self.port, self.tls_port, self.lmtp_port = (free_port() for _ in range(3))
        conf = self._folder / "dovecot.conf"
        values = {
            "folder": self._folder,
            "inboxes": self.inboxes,
            "port": self.port,
            "tls_port": self.tls_port,
            "lmtp_port": self.lmtp_port,
            "password": self.password,
        }
        conf.write_text(_CONF.format_map(values))
        with (self._folder / "start.log").open("wb") as log:
            command = [str(DOVECOT), "-F", "-c", str(conf)]
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            daemons.await_daemons(self._greets, "Dovecot does not answer", [self._child], self._logs)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        daemons.end([self._child])
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def ca_file(self) -> Path:
        """The CA that a client must trust."""
        return self._folder / "ca.pem"

    def fetch(self, address: str, *items: str) -> list[bytes]:
        """The items of the one message in the address's inbox, as they came over the wire."""
        with imaplib.IMAP4("127.0.0.1", self.port, timeout=PATIENCE) as client:
            client.login(address, self.password)
            kind, (count,) = client.select("INBOX", readonly=True)
            assert (kind, count) == ("OK", b"1"), (kind, count, *map(daemons.end_of, self._logs))
            found = []
            for item in items:
                kind, answer = client.fetch("1", f"({item})")
                assert kind == "OK", (kind, answer)
                assert isinstance(answer[0], tuple), answer
                found.append(answer[0][1])
            return found

    def _greets(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            return b"Dovecot" in connection.recv(1000)
        return False

    @property
    def _logs(self) -> list[Path]:
        return [self._folder / name for name in ("start.log", "dovecot.log")]
