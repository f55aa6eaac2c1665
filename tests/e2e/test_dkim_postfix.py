"""Signed mail through a real Postfix: dkimpy and OpenDKIM verify what lies in the mailbox.

OpenDKIM is asked through `opendkim -t`, the mail filter's own mode for a message in a file, with public keys from a
file (`TestPublicKeys`): `opendkim-testmsg` only verifies with keys out of the real DNS.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.dkim_keys import verdicts
from tests.lists import DAY_ONE, write_list
from tests.servers import postfix
from tests.servers.postfix import Postfix
from tests.test_cli import run
from tests.test_config_example import EXAMPLE

pytestmark = pytest.mark.system

READER = "reader0@example.org"
TABLES = """
[[dkim]]
selector = "digest"
key_file = "dkim.pem"

[[dkim]]
selector = "digest-ed25519"
key_file = "dkim-ed25519.pem"

[smtp]
host = "{server.host}"
port = {server.port}
security = "starttls"
ca_file = "{server.ca_file}"
username = "{server.username}"
password = "{server.password}"
"""


def needed() -> None:
    """Skips the test where something is missing."""
    missing = [name for name in ("opendkim", "openssl") if not shutil.which(name, path="/usr/bin:/usr/sbin")]
    if reason := postfix.missing() or (missing and f"needs the Debian packages {' and '.join(missing)}"):
        pytest.skip(reason)


def make_keys(folder: Path) -> dict[str, str]:
    """Makes the keys in `folder` with the commands of `config.example.toml`; the DNS records that it tells."""
    text = EXAMPLE.read_text(encoding="utf-8")
    for command in re.findall(r"openssl gen.*", text):
        subprocess.run(command, shell=True, check=True, cwd=folder, capture_output=True)
    records = re.findall(r"# +(v=DKIM1; k=\w+; p=)….*\n# +(openssl .*)", text)
    public = [
        subprocess.run(command, shell=True, check=True, cwd=folder, capture_output=True) for _, command in records
    ]
    names = ("digest._domainkey.example.org", "digest-ed25519._domainkey.example.org")
    values = [start + printed.stdout.decode() for (start, _), printed in zip(records, public, strict=True)]
    return dict(zip(names, values, strict=True))


def opendkim(message: bytes, dns: dict[str, str], folder: Path) -> list[str]:
    """OpenDKIM's verdict on each signature: "pass", "fail" and the like, with the algorithm."""
    (folder / "keys").write_text("".join(f"{name} {record}\n" for name, record in dns.items()))
    (folder / "opendkim.conf").write_text(f"Mode v\nSyslog no\nTestPublicKeys {folder}/keys\n")
    (folder / "arrived.eml").write_bytes(message)
    command = ["/usr/sbin/opendkim", "-x", "opendkim.conf", "-vv", "-t", "arrived.eml"]
    shown = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=60)
    return [" ".join(v) for v in re.findall(r"dkim=(\w+) .*?header\.a=([\w-]+)", shown.stdout + shown.stderr)]


def test_signatures_are_whole_on_arrival(tmp_path: Path) -> None:
    """Both signatures verify after Postfix has handed on and stored the message, and not if it is altered.

    The keys are made and published as `config.example.toml` says.
    """
    needed()
    dns = make_keys(tmp_path)
    with Postfix([READER], {}) as server:
        config = write_list(tmp_path, readers=1, extra=TABLES.format(server=server))
        sent = run("send", "--config", str(config), "--now", DAY_ONE)
        assert sent.returncode == 0, sent.stderr
        server.inbox(READER, at_least=1)
        (path,) = (server.folder / "inboxes" / READER / "new").iterdir()
        arrived = path.read_bytes().replace(b"\n", b"\r\n")
    assert arrived.startswith(b"Return-Path:")
    assert verdicts(arrived, dns) == [True, True]
    assert opendkim(arrived, dns, tmp_path) == ["pass rsa-sha256", "pass ed25519-sha256"]
    for name in (b"\r\nSubject: ", b"\r\n\r\n"):
        altered = arrived.replace(name, name + b"x", 1)
        assert verdicts(altered, dns) == [False, False]
        assert [verdict.split()[0] for verdict in opendkim(altered, dns, tmp_path)] == ["fail", "fail"]
    forged = b"From: Eve <eve@example.org>\r\n" + arrived
    assert verdicts(forged, dns) == [False, False]
    assert "pass" not in " ".join(opendkim(forged, dns, tmp_path))
