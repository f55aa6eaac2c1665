"""`digest check` as a user runs it: a line for each thing, what to do, and the exit code."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.lists import DAY_ONE, write_list
from tests.servers import http
from tests.servers.certificates import ANOTHER_HOST, OTHER_CA, ca_file, server_context
from tests.servers.dns import DnsServer, Zone, txt
from tests.servers.imap import PASSWORD, Behaviour, ImapServer, refuses_logins
from tests.servers.smtp import (
    CollectingServer,
    Misbehaviour,
    answers_421_banner,
    answers_554_banner,
    injects_after_starttls,
    refuses_auth_535,
    strips_starttls,
)
from tests.test_cli import Answer, jsons, run

ZONE: Zone = {
    "example.org": [txt("v=spf1 ip4:192.0.2.1 ~all"), ("MX", "5 mx.example.org.")],
    "mx.example.org": [("A", "192.0.2.1")],
    "_dmarc.example.org": [txt("v=DMARC1; p=none")],
}
LOGIN = '\nusername = "ada"\npassword = "hunter2"\nca_file = "{ca}"\n'
MAILBOX = """
[mailbox]
address = "digest@example.org"
username = "digest"
host = "127.0.0.1"
port = {port}
security = "{security}"
password = "{password}"
ca_file = "{ca}"
"""


def check(config: Path, *arguments: str, zone: Zone = ZONE) -> Answer:
    """Without regard to the address of the machine that the test runs on."""
    with DnsServer(zone) as server, mock.patch("digest.check.resolver.own_address", return_value=None):
        arguments = ("--config", str(config), "--resolver", server.address, "--now", DAY_ONE, *arguments)
        return run("check", *arguments)


def findings(answer: Answer) -> dict[str, dict[str, Any]]:
    """By the first word of what they are about."""
    return {row["subject"].split()[0]: row for row in jsons(answer.stdout)}


def secured(config: Path) -> Path:
    """The config with STARTTLS and a login."""
    ca = ca_file(config.parent)
    config.write_text(config.read_text().replace('security = "none"', 'security = "starttls"' + LOGIN.format(ca=ca)))
    return config


def test_a_list_that_works_exits_with_0(tmp_path: Path) -> None:
    """Every subject has a line; nothing was sent, and nothing is left behind."""
    with CollectingServer(pipelining=True) as server:
        config = write_list(tmp_path, port=server.port)
        answer = check(config)
        rows = findings(check(config, "--json"))
    assert answer.returncode == 0, answer.stdout
    assert list(rows) == [
        *("config", "templates", "source", "relay", "SPF", "DKIM", "DMARC", "MX"),
        *("links", "database", "disk", "time", "clock"),
    ]
    assert answer.stdout.splitlines()[0] == "Lab (lab)"
    assert f"  ok       relay 127.0.0.1:{server.port}: in the clear; no login; SIZE 10 MB; PIPELINING" in answer.stdout
    assert {row["list"] for row in rows.values()} == {"lab"}
    assert not any(row["level"] == "failed" for row in rows.values())
    assert server.messages == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml"]


def test_one_failure_keeps_no_other_check_from_its_line(tmp_path: Path) -> None:
    """A broken template, a dead relay, a missing source and a DNS that says nothing: each has its line; exit code 1."""
    templates = tmp_path / "own" / "email" / "daily"
    templates.mkdir(parents=True)
    (templates / "heading.html").write_text("{{ nobody }}")
    config = write_list(tmp_path, port=9, sources=["arxiv"], extra=source_of("nowhere.xml"))
    config.write_text(config.read_text().replace("papers = 3", 'papers = 3\ntemplates = "own"'))
    answer = check(config, zone={})
    assert answer.returncode == 1
    lines = answer.stdout.splitlines()
    failed = [line for line in lines if line.startswith("  failed")]
    assert any("heading.html:1: 'nobody' is undefined" in line for line in failed)
    assert any("relay 127.0.0.1:9: cannot connect: nobody answers at 127.0.0.1:9" in line for line in failed)
    assert any("source far" in line for line in failed)
    assert any("MX of example.org" in line for line in failed)
    assert any(line.startswith("  ok       database") for line in lines)
    assert "Errno" not in answer.stdout


def test_a_template_that_stands_in_for_none_is_told(tmp_path: Path) -> None:
    """With the place where it would: nobody asks for it where it is. Parts that others include have their own names."""
    own = tmp_path / "own"
    (own / "email" / "daily").mkdir(parents=True)
    for name in ("card.html", "part.html", "email/daily/line.html"):
        (own / name).write_text("")
    config = write_list(tmp_path, sources=["arxiv"])
    config.write_text(config.read_text().replace("papers = 3", 'papers = 3\ntemplates = "own"'))
    lines = [line for line in check(config, zone={}).stdout.splitlines() if " templates: " in line]
    assert len(lines) == 2
    assert lines[0].startswith("  ok       templates: daily renders")
    place = own / "email" / "daily" / "card.html"
    assert lines[1] == (
        f"  warning  templates: {own / 'card.html'} stands in for none of the shipped ones; move it to {place}"
    )


def source_of(url: str) -> str:
    return f'\n[[sources]]\nkind = "feed"\nname = "far"\nurl = "{url}"\n'


@pytest.mark.parametrize(
    ("misbehaviour", "says", "todo"),
    [
        (refuses_auth_535, "535 5.7.8 Wrong user name", "correct `username` and the password of [smtp]"),
        (strips_starttls, "not offered by the relay: STARTTLS", "use a port that offers it (587)"),
        (injects_after_starttls, "tampered with", "see `security` of [smtp]"),
        (answers_554_banner, "554 5.7.1 No SMTP service here", "ask whoever runs the relay"),
        (answers_421_banner, "421 4.3.2 Too busy", "ask whoever runs the relay"),
        (Misbehaviour("banner", b"SSH-2.0-OpenSSH\r\n", "close"), "not SMTP", "another service may answer there"),
        (Misbehaviour("banner", b"", "close"), "connection lost", "another service may answer there"),
    ],
)
def test_what_a_relay_does_wrong_is_told_with_what_to_do(
    tmp_path: Path, misbehaviour: Misbehaviour, says: str, todo: str
) -> None:
    """A scripted server for each: its words, the stage, and the key of the config to look at."""
    tls = server_context(tmp_path)
    with CollectingServer(misbehaviour, tls=tls, credentials=("ada", "hunter2")) as server:
        answer = check(secured(write_list(tmp_path, port=server.port)), "--json")
    found = findings(answer)["relay"]
    assert (answer.returncode, found["level"]) == (1, "failed")
    assert says in found["says"], found
    assert todo in found["todo"], found
    assert "hunter2" not in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("pem", "ca", "todo"),
    [
        (None, OTHER_CA, "`ca_file` of [smtp]"),
        (ANOTHER_HOST, None, "write the name that its certificate has as `host`"),
    ],
)
def test_a_certificate_that_cannot_be_believed(tmp_path: Path, pem: str | None, ca: str | None, todo: str) -> None:
    """Of an unknown authority, or of another host: which key to change."""
    tls = server_context(tmp_path, *([pem] if pem else []))
    with CollectingServer(tls=tls) as server:
        config = secured(write_list(tmp_path, port=server.port))
        if ca:
            config.write_text(config.read_text().replace("/ca.pem", f"/{ca_file(tmp_path, ca).name}"))
        found = findings(check(config, "--json"))["relay"]
    assert (found["level"], todo in found["todo"]) == ("failed", True), found


def test_a_relay_that_works_tells_what_it_can_do(tmp_path: Path) -> None:
    """TLS with the certificate's end, the login, its limit; its clock, from its greeting."""
    greeting = Misbehaviour("banner", b"220 mx.example ESMTP Thu, 1 Jan 2015 00:00:00 +0000\r\n")
    with CollectingServer(
        greeting, tls=server_context(tmp_path), credentials=("ada", "hunter2"), size=90_000
    ) as server:
        rows = findings(check(secured(write_list(tmp_path, port=server.port)), "--json"))
    says = "TLS, certificate until 2120-01-01; logged in as ada; SIZE 90 kB; no PIPELINING: slower"
    assert (rows["relay"]["says"], rows["relay"]["level"]) == (says, "warning")
    assert "lower `papers`" in rows["relay"]["todo"]
    assert (rows["clock"]["level"], "fast by 127.0.0.1's greeting" in rows["clock"]["says"]) == ("failed", True)


def test_the_clock_is_held_against_servers_that_were_asked_anyway(tmp_path: Path) -> None:
    """The Date of a feed's answer; one that agrees is enough, and nobody is asked for it alone."""
    now = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
    feed = b"<rss version='2.0'><channel><title>x</title></channel></rss>"
    with http.serving(feed=http.says("200 OK", feed, f"Date: {now}", "Content-Type: application/rss+xml")) as server:
        config = write_list(tmp_path, extra=source_of(f"{server.url}feed") + "[pull]\nallow_private = true\n")
        rows = findings(check(config, "--json"))
        assert len(server.requests) == 1
    assert (rows["clock"]["level"], "agrees with 127.0.0.1" in rows["clock"]["says"]) == ("ok", True)


def test_a_mailbox_that_works(tmp_path: Path) -> None:
    """TLS, login, folder, and whether it tells of new mail at once; nothing in it is touched."""
    pytest.importorskip("flufl.bounce")
    with ImapServer([b"Subject: hello\r\n\r\n"], Behaviour("IMAP4rev1 AUTH=PLAIN IDLE"), "tls") as server:
        more = MAILBOX.format(port=server.port, security="tls", password=PASSWORD, ca=ca_file(tmp_path))
        found = findings(check(write_list(tmp_path, extra=more), "--json"))["mailbox"]
        assert server.seen == set()
    assert (found["says"], found["level"]) == ("TLS, certificate until 2120-01-01; logged in, INBOX; IDLE", "ok")


@pytest.mark.parametrize(
    ("behaviour", "password", "todo"),
    [
        (Behaviour(), "wrong", "correct `username` and the password of [mailbox]"),
        (refuses_logins, PASSWORD, "correct `username` and the password"),
        (None, PASSWORD, ""),
    ],
)
def test_a_mailbox_that_lets_nobody_in(tmp_path: Path, behaviour: Behaviour | None, password: str, todo: str) -> None:
    """A wrong password, no login at all, nobody there."""
    pytest.importorskip("flufl.bounce")
    with ImapServer([], behaviour or Behaviour()) as server:
        port = server.port if behaviour else 9
        more = MAILBOX.format(port=port, security="none", password=password, ca=ca_file(tmp_path))
        answer = check(write_list(tmp_path, extra=more), "--json")
    found = findings(answer)["mailbox"]
    assert (answer.returncode, found["level"], todo in found["todo"]) == (1, "failed", True), found
    assert PASSWORD not in answer.stdout
    if behaviour is None:
        assert "nobody answers at 127.0.0.1:9" in found["says"]


@pytest.mark.parametrize(
    ("page", "level", "says"),
    [
        (http.says("200 OK", b"<p>", "Content-Type: text/html"), "ok", "answers"),
        (http.says("200 OK", b"{}", "Content-Type: application/json"), "warning", "no page of ours"),
        (http.says("502 Bad Gateway"), "failed", "every link in an email is dead"),
    ],
)
def test_the_page_that_emails_link_to_is_asked_for(
    tmp_path: Path, page: http.Misbehaviour, level: str, says: str
) -> None:
    """As a reader's browser would."""
    with http.serving(lab=page) as server:
        config = write_list(tmp_path)
        config.write_text(config.read_text().replace("papers = 3", f'papers = 3\nbase_url = "{server.url}"'))
        found = findings(check(config, "--json"))["pages"]
    assert (found["level"], says in found["says"]) == (level, True), found


def test_a_config_with_a_mistake_does_not_keep_the_other_list(tmp_path: Path) -> None:
    """Exit code 2 with the line and the key; the list beside it is checked all the same."""
    config = write_list(tmp_path)
    (tmp_path / "other.toml").write_text(
        config.read_text().replace("papers = 3", "shedule = ''").replace('"lab"', '"o"')
    )
    answer = check(tmp_path)
    assert answer.returncode == 2
    assert "failed   config: " in answer.stdout
    assert "other.toml:5: `shedule` is not a key of [list]; did you mean `schedule`?" in answer.stdout
    assert "Lab (lab)\n" in answer.stdout
    assert "ok       templates" in answer.stdout


def test_fix_makes_what_is_missing_and_narrows_what_is_open(tmp_path: Path) -> None:
    """Folders, a DKIM key and a link key of mode 600, and the record to publish; the second time nothing is done."""
    password = tmp_path / "password.txt"
    password.write_text("hunter2")
    password.chmod(0o644)
    extra = '\n[dkim]\nselector = "s1"\nkey_file = "keys/dkim.pem"\n[store]\nurl = "sqlite:///new/digest.db"\n'
    with CollectingServer() as server:
        config = write_list(tmp_path, port=server.port)
        text = config.read_text().replace("papers = 3", 'papers = 3\nsecret_file = "secret.txt"\ntemplates = "own"')
        config.write_text(text + 'username = "ada"\npassword_file = "password.txt"\n' + extra)
        broken = check(config)
        assert broken.returncode == 2
        answer = check(config, "--fix")
        made = (tmp_path / "keys" / "dkim.pem").read_bytes()
        again = check(config, "--fix")
    key = tmp_path / "keys" / "dkim.pem"
    for path in (key, tmp_path / "secret.txt", password):
        assert path.stat().st_mode & 0o777 == (0o640 if path == password else 0o600)
    assert (tmp_path / "new").is_dir()
    assert (tmp_path / "own").is_dir()
    assert answer.stdout.count("ok       fixed") == 5, answer.stdout
    assert 's1._domainkey.example.org. TXT "v=DKIM1; k=rsa; p=MII' in answer.stdout
    assert "fixed" not in again.stdout
    assert key.read_bytes() == made
    assert "hunter2" not in answer.stdout


def test_fix_overwrites_nothing(tmp_path: Path) -> None:
    """A key file that is there and wrong stays as it is, and is told of."""
    (tmp_path / "dkim.pem").write_text("precious")
    config = write_list(tmp_path, extra='\n[dkim]\nselector = "s1"\nkey_file = "dkim.pem"\n')
    answer = check(config, "--fix")
    assert answer.returncode == 2
    assert (tmp_path / "dkim.pem").read_text() == "precious"
    assert "is not a private key in PEM" in answer.stdout


def test_a_missing_config_says_what_to_do(tmp_path: Path) -> None:
    """As every command: exit code 2, and the command that writes one."""
    answer = run("check", cwd=tmp_path)
    assert (answer.returncode, "digest init" in answer.stdout) == (2, True)


def test_a_database_server_that_is_not_there_is_a_line(tmp_path: Path) -> None:
    """PostgreSQL is looked at where it is; the password is nowhere."""
    pytest.importorskip("psycopg")
    extra = '\n[store]\nurl = "postgresql://digest@127.0.0.1:9/digest"\npassword = "hunter2"\n'
    answer = check(write_list(tmp_path, extra=extra), "--json")
    found = findings(answer)["database"]
    assert (answer.returncode, found["level"], "127.0.0.1" in found["says"]) == (1, "failed", True), found
    assert "hunter2" not in answer.stdout + answer.stderr


def test_ctrl_c_ends_it_at_once_whatever_hangs(tmp_path: Path) -> None:
    """A relay that never greets and a DNS server that never answers: one Ctrl-C, no traceback, nothing waited for."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, socket.create_server(("127.0.0.1", 0)) as relay:
        silent.bind(("127.0.0.1", 0))
        config = write_list(tmp_path, port=relay.getsockname()[1])
        command = [sys.executable, "-m", "digest", "check", "--config", str(config)]
        command += ["--resolver", f"127.0.0.1:{silent.getsockname()[1]}"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        ) as process:
            try:
                relay.settimeout(60)
                connection, _ = relay.accept()
                silent.settimeout(60)
                silent.recv(500)
                with connection:
                    process.send_signal(signal.SIGINT)
                    out, err = process.communicate(timeout=10)
            finally:
                process.kill()
    assert process.returncode in (1, 130)
    assert "Traceback" not in out + err


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("DIGEST_")}


@pytest.mark.parametrize(
    ("written", "todo"),
    [("papres = 3", None), ('templates = "own"', "where it is not there, `digest check --fix` makes it")],
)
def test_a_mistake_is_told_with_what_can_be_made(tmp_path: Path, written: str, todo: str | None) -> None:
    """A mistake says itself what to write; `--fix` is named where it helps."""
    config = write_list(tmp_path)
    config.write_text(config.read_text().replace("papers = 3", written))
    answer = check(config, "--json")
    assert answer.returncode == 2
    assert [row["todo"] for row in jsons(answer.stdout)] == [todo]
