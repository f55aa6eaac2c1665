"""What a mail program gets: sent by `digest send` through a real Postfix, read back by IMAP from a real Dovecot."""

from __future__ import annotations

import email
from pathlib import Path

import pytest

from tests.lists import DAY_ONE, write_list
from tests.servers import dovecot, postfix
from tests.servers.dovecot import Dovecot
from tests.servers.postfix import Postfix
from tests.test_cli import run

pytestmark = pytest.mark.system

READERS = ["reader0@example.org", "reader1@example.org"]
SET_ON_THE_WAY = {"return-path", "received", "delivered-to", "x-original-to"}
RELAY = """
[smtp]
host = "{server.host}"
port = {server.port}
security = "starttls"
ca_file = "{server.ca_file}"
username = "{server.username}"
password = "{server.password}"
"""


def fields(head: bytes) -> list[bytes]:
    """The header fields with their folding, those that servers add on the way apart."""
    whole = head.rstrip(b"\r\n").replace(b"\r\n ", b"\0 ").replace(b"\r\n\t", b"\0\t").split(b"\r\n")
    return [field for field in whole if field.partition(b":")[0].decode().lower() not in SET_ON_THE_WAY]


def test_what_was_composed_is_read_by_imap(tmp_path: Path) -> None:
    """Every header field and both parts are, to the byte, those that were composed; none was added but on the way."""
    if reason := postfix.missing() or dovecot.missing():
        pytest.skip(reason)
    with Postfix(READERS, {}) as server:
        config = write_list(tmp_path, extra=RELAY.format(server=server))
        sent = run("send", "--config", str(config), "--now", DAY_ONE)
        assert sent.returncode == 0, sent.stderr
        out = tmp_path / "preview"
        assert run("preview", "--config", str(config), "--now", DAY_ONE, "--out", str(out)).returncode == 0
        for reader in READERS:
            server.inbox(reader, at_least=1)
        with Dovecot(server.folder / "inboxes") as mailbox:
            for reader in READERS:
                composed = (out / "lab" / f"{reader}.eml").read_bytes()
                sections = ("HEADER", "1.MIME", "1", "2.MIME", "2")
                head, text_head, text, html_head, html = mailbox.fetch(reader, *(f"BODY.PEEK[{s}]" for s in sections))
                composed_head, _, body = composed.partition(b"\r\n\r\n")
                assert fields(head) == fields(composed_head)
                assert len(fields(head)) >= 12
                boundary = email.message_from_bytes(composed).get_boundary()
                line = f"\r\n--{boundary}".encode()
                start, text_part, html_part, end = (b"\r\n" + body).split(line)
                assert (start, end) == (b"", b"--\r\n")
                assert text_part == b"\r\n" + text_head + text
                assert html_part == b"\r\n" + html_head + html
                assert len(text) > 500
                assert len(html) > 5000
                (whole,) = mailbox.fetch(reader, "BODY.PEEK[]")
                assert whole.endswith(b"\r\n\r\n" + body)
