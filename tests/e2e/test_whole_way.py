"""`digest send` the whole way through a real Postfix, over STARTTLS and with a login, into real mailboxes."""

from __future__ import annotations

import email
import email.policy
from pathlib import Path

import pytest

from tests.lists import DAY_ONE, write_list
from tests.servers import postfix
from tests.servers.postfix import Postfix
from tests.test_cli import run

pytestmark = pytest.mark.system

READERS = ["reader0@example.org", "reader1@example.org"]

RELAY = """
[smtp]
host = "{server.host}"
port = {server.port}
security = "starttls"
ca_file = "{ca_file}"
username = "{server.username}"
password_file = "secret"
connections = 2
"""


def test_an_edition_arrives_through_postfix_once(tmp_path: Path) -> None:
    """Each reader's mailbox holds one message, as composed; the second send adds none; a wrong password pauses."""
    if reason := postfix.missing():
        pytest.skip(reason)
    with Postfix(READERS, {}) as server:
        relay = RELAY.format(server=server, ca_file=server.ca_file)
        config = write_list(tmp_path, extra=relay)
        (tmp_path / "secret").write_text("wrong\n")
        refused = run("send", "--config", str(config), "--now", DAY_ONE)
        assert refused.returncode == 1
        assert "535" in refused.stderr
        assert "2 queued = 2 recipients" in refused.stdout
        (tmp_path / "secret").write_text(f"{server.password}\n")
        for _ in range(2):
            assert run("send", "--config", str(config), "--now", DAY_ONE).returncode == 0
        out = tmp_path / "preview"
        assert run("preview", "--config", str(config), "--now", DAY_ONE, "--out", str(out)).returncode == 0
        for reader in READERS:
            (arrived,) = server.inbox(reader, at_least=1)
            composed = email.message_from_bytes((out / "lab" / f"{reader}.eml").read_bytes(), policy=email.policy.SMTP)
            assert arrived["Message-ID"] == composed["Message-ID"]
            assert arrived["Return-Path"] == "<digest@example.org>"
            parts = [part.get_payload(decode=True) for part in arrived.walk() if not part.is_multipart()]
            sent = [part.get_payload(decode=True) for part in composed.walk() if not part.is_multipart()]
            assert [_lf(part) for part in parts] == [_lf(part) for part in sent]


def test_a_relay_with_a_size_limit_is_not_offered_what_is_too_large(tmp_path: Path) -> None:
    """The limit that Postfix announces is said to whoever runs the list; nobody is suppressed, and nothing is begun."""
    if reason := postfix.missing():
        pytest.skip(reason)
    with Postfix(READERS, main_cf="message_size_limit = 2000\n") as server:
        config = write_list(tmp_path, extra=RELAY.format(server=server, ca_file=server.ca_file))
        (tmp_path / "secret").write_text(server.password)
        refused = run("send", "--config", str(config), "--now", DAY_ONE)
        assert refused.returncode == 1
        assert "2 bounced = 2 recipients" in refused.stdout
        assert "the relay takes at most 2000 (SIZE)" in refused.stdout
        assert "no address is suppressed" in run("suppressions", "list", "--config", str(config)).stdout
        assert [server.inbox(reader) for reader in READERS] == [[], []]


def _lf(part: object) -> bytes:
    assert isinstance(part, bytes)
    return part.replace(b"\r\n", b"\n")
