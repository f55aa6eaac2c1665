"""A real Postfix on loopback, with STARTTLS, login checked by a real Dovecot, and delivery into Maildirs.

Needs the Debian packages postfix and dovecot-core, and root. Both run with configuration and queue in a folder of their
own, as children of this process, and are ended by their process ids; nothing of the host's own mail system is used.
"""

from __future__ import annotations

import contextlib
import mailbox
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import certificates, daemons
from tests.servers.ports import free_port

MASTER = Path("/usr/lib/postfix/sbin/master")
DOVECOT = Path("/usr/sbin/dovecot")
HOST_NAME = "postfix.test"
SIZE_LIMIT = 100_000

_NOBODY = 65534

_MAIN_CF = f"""\
compatibility_level = 3.6
queue_directory = {{folder}}/queue
data_directory = {{folder}}/data
daemon_directory = {MASTER.parent}
maillog_file = {{folder}}/mail.log
maillog_file_prefixes = {{folder}}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = {HOST_NAME}
mydestination =
local_recipient_maps =
alias_maps =
mynetworks_style = host
mynetworks =
message_size_limit = {SIZE_LIMIT}
virtual_mailbox_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_tls_security_level = may
smtpd_tls_cert_file = {{folder}}/server.pem
smtpd_tls_key_file = {{folder}}/server.pem
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {{folder}}/auth
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access texthash:{{folder}}/recipients, permit
virtual_mailbox_domains = example.org, refused.example
virtual_mailbox_base = {{folder}}/inboxes
virtual_mailbox_maps = texthash:{{folder}}/mailboxes
virtual_uid_maps = static:{_NOBODY}
virtual_gid_maps = static:{_NOBODY}
"""

_MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix       n - n -  0 cleanup
qmgr      unix       n - n 300 1 qmgr
rewrite   unix       - - n - - trivial-rewrite
bounce    unix       - - n -  0 bounce
defer     unix       - - n -  0 bounce
trace     unix       - - n -  0 bounce
verify    unix       - - n -  1 verify
flush     unix       n - n 1000? 0 flush
proxymap  unix       - - n - - proxymap
tlsmgr    unix       - - n 1000? 1 tlsmgr
anvil     unix       - - n -  1 anvil
error     unix       - - n - - error
retry     unix       - - n - - error
virtual   unix       - n n - - virtual
lmtp      unix       - n n - - lmtp
postlog   unix-dgram n - n -  1 postlogd
"""

_DOVECOT_CONF = """\
base_dir = {folder}/dovecot
state_dir = {folder}/dovecot
log_path = {folder}/dovecot.log
protocols =
ssl = no
auth_mechanisms = plain login
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-reader {{
    mode = 0600
  }}
  unix_listener stats-writer {{
    mode = 0600
  }}
}}
"""


def missing() -> str | None:
    """Why a Postfix cannot be started here; None when it can."""
    if not MASTER.exists() or not DOVECOT.exists():
        return "needs the Debian packages postfix and dovecot-core"
    return None if os.geteuid() == 0 else "Postfix starts as root only"


@dataclass
class Postfix:
    """`with Postfix(["ada@example.org"], {"grey@example.org": "450 4.7.1 Greylisted"}) as server:`.

    `mailboxes` are the addresses that exist, `access` maps recipients and domains to replies (access(5)). A client logs
    in as `username` with `password`, over TLS. `main_cf` are more lines for Postfix's own file.
    """

    mailboxes: list[str]
    access: dict[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 0
    username: str = "digest"
    password: str = "s3cret"
    main_cf: str = ""

    def __enter__(self) -> Self:
        # Not pytest's own folder: Postfix drops root, and must still reach its files.
        self.folder = Path(tempfile.mkdtemp(prefix="digest-postfix-"))
        self.folder.chmod(0o755)
        self._children: list[subprocess.Popen[bytes]] = []
        try:
            self._configure()
            self._start(DOVECOT, "-F", "-c", self.folder / "dovecot.conf")
            self._start(MASTER, "-c", self.folder, "-d", MAIL_CONFIG=str(self.folder))
            self._await(self._greets, "Postfix does not answer")
            self._await((self.folder / "auth").exists, "Dovecot does not answer")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        daemons.end(self._children)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def ca_file(self) -> Path:
        """The CA that a client must trust."""
        return self.folder / "ca.pem"

    def inbox(self, address: str, *, at_least: int = 0) -> list[Message]:
        """The messages delivered to `address`, once there are `at_least` so many."""
        path = self.folder / "inboxes" / address
        new = path / "new"
        self._await(
            lambda: at_least == 0 or (new.is_dir() and len(list(new.iterdir())) >= at_least),
            f"{address} has not got {at_least} messages",
        )
        return list(mailbox.Maildir(path, create=False)) if new.is_dir() else []

    def _configure(self) -> None:
        folder = self.folder
        self.port = free_port()
        values = {"folder": folder, "port": self.port}
        # One entry a parameter: each program warns of a second one, and where that makes ten lines before postlogd
        # reads them, it waits for ever for room for its own (net.unix.max_dgram_qlen).
        parameters = _parameters(_MAIN_CF.format_map(values)) | _parameters(self.main_cf)
        (folder / "main.cf").write_text("".join(parameters.values()))
        (folder / "master.cf").write_text(_MASTER_CF.format_map(values))
        (folder / "dovecot.conf").write_text(_DOVECOT_CONF.format_map(values))
        (folder / "users").write_text(f"{self.username}:{{PLAIN}}{self.password}\n")
        (folder / "mailboxes").write_text("".join(f"{address} {address}/\n" for address in self.mailboxes))
        (folder / "recipients").write_text("".join(f"{who} {reply}\n" for who, reply in self.access.items()))
        (folder / "server.pem").write_text(certificates.LOCALHOST)
        certificates.ca_file(folder)
        # Postfix reads a file of less than a second's age again and again, until it is older: it may still be written.
        for path in folder.iterdir():
            os.utime(path, (time.time() - 60,) * 2)
        queue = folder / "queue"
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private"):
            _folder(queue / name, 0o700, "postfix")
        for name in ("saved", "trace"):
            _folder(queue / name, 0o700, "postfix")
        _folder(queue / "maildrop", 0o730, "postfix", "postdrop")
        _folder(queue / "public", 0o710, "postfix", "postdrop")
        _folder(queue / "pid", 0o755, "root")
        _folder(folder / "data", 0o700, "postfix")
        _folder(folder / "dovecot", 0o755, "root")
        _folder(folder / "inboxes", 0o700, "nobody")

    def _start(self, *command: str | Path, **environment: str) -> None:
        log = (self.folder / "start.log").open("ab")
        with log:
            self._children.append(
                subprocess.Popen(
                    [str(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=os.environ | environment,
                )
            )

    def _greets(self) -> bool:
        """Whether it is our Postfix that answers: another server's port looks like ours."""
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), timeout=10) as connection:
            return HOST_NAME.encode() in connection.recv(1000)
        return False

    def _await(self, condition: Callable[[], bool], complaint: str) -> None:
        logs = [self.folder / name for name in ("start.log", "mail.log", "dovecot.log")]
        daemons.await_daemons(condition, complaint, self._children, logs)


def _parameters(main_cf: str) -> dict[str, str]:
    """The entries of a main.cf by their names; a line that begins with a blank continues one."""
    entries = re.split(r"\n(?! )", main_cf.strip())
    return {entry.partition(" =")[0]: f"{entry}\n" for entry in entries if entry}


def _folder(path: Path, mode: int, user: str, group: str | None = None) -> None:
    path.mkdir(parents=True)
    path.chmod(mode)
    shutil.chown(path, user, group)
