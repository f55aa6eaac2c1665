"""`digest check` against real servers: Postfix with STARTTLS and SASL, Dovecot with IMAP, DNS on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lists import write_list
from tests.servers import dovecot, postfix
from tests.servers.certificates import ca_file
from tests.servers.dovecot import Dovecot
from tests.servers.postfix import Postfix
from tests.test_check import MAILBOX, check, findings

pytestmark = pytest.mark.system

RELAY = """
[smtp]
host = "{server.host}"
port = {server.port}
security = "starttls"
ca_file = "{server.ca_file}"
username = "{server.username}"
password = "{password}"
"""


@pytest.mark.parametrize("right", [True, False])
def test_real_servers_are_known_and_wrong_passwords_told(tmp_path: Path, right: bool) -> None:
    """TLS, login and limits of Postfix; login and folder of Dovecot; with wrong passwords, their own words."""
    if reason := postfix.missing() or dovecot.missing():
        pytest.skip(reason)
    with Postfix(["ada@example.org"], {}) as server, Dovecot(server.folder / "inboxes") as box:
        more = RELAY.format(server=server, password=server.password if right else "wrong")
        password = box.password if right else "wrong"
        more += MAILBOX.format(port=box.tls_port, security="tls", password=password, ca=ca_file(tmp_path))
        rows = findings(check(write_list(tmp_path, extra=more), "--json"))
    relay, mailbox = rows["relay"], rows["mailbox"]
    if right:
        says = "TLS, certificate until 2120-01-01; logged in as digest; SIZE 100 kB; PIPELINING"
        assert relay["says"] == says
        assert (mailbox["level"], mailbox["says"].endswith("logged in, INBOX; IDLE")) == ("ok", True), mailbox
    else:
        assert (relay["level"], relay["says"].startswith("535 5.7.8 ")) == ("failed", True), relay
        assert (mailbox["level"], "Authentication failed" in mailbox["says"]) == ("failed", True), mailbox
        assert "password" in relay["todo"]
        assert "password" in mailbox["todo"]
