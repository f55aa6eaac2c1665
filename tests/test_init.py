"""`digest init`: six questions on a terminal, flags elsewhere, and what it writes works."""

from __future__ import annotations

import codecs
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import psutil
import pytest

from digest.commands.starter import relay_answer, relay_of_address, system_timezone
from digest.errors import ConfigError
from digest.model import Security
from digest.providers import PROVIDERS, provider_of_address, provider_of_relay
from digest.settings import load
from tests.lists import DAY_ONE, FEEDS
from tests.servers.dns import DnsServer, txt
from tests.servers.smtp import CollectingServer
from tests.test_cli import run
from tests.waiting import PATIENCE, until

CTRL_C = "^C"
RECORDED = json.dumps(
    [
        {"kind": "arxiv", "categories": ["cs.CV"], "url": (FEEDS / "arxiv").as_uri()},
        {"kind": "huggingface", "url": (FEEDS / "huggingface").as_uri()},
    ]
)


def test_without_a_terminal_flags_are_enough_and_what_is_missing_is_told(tmp_path: Path) -> None:
    """No question, no file, exit code 2, and the flag to say; with it, a config that loads without a warning."""
    missing = run("init", cwd=tmp_path)
    assert (missing.returncode, "say --email you@example.org" in missing.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []
    written = run("init", "--email", "ada@example.org", cwd=tmp_path)
    assert (written.returncode, written.stderr) == (0, "")
    (config,) = load([tmp_path / "config.toml"], {}).lists
    assert (config.warnings, config.relays, config.mailing_list.from_) == ((), (), "My Papers <ada@example.org>")


def test_what_init_writes_passes_check_and_preview_and_is_sent(tmp_path: Path) -> None:
    """Flags, a relay on this machine, recorded sources: check and preview are content, and the email arrives."""
    zone = {
        "example.org": [txt("v=spf1 ip4:192.0.2.1 ~all"), ("MX", "5 mx.example.org.")],
        "mx.example.org": [("A", "192.0.2.1")],
    }
    with CollectingServer() as server, DnsServer(zone) as dns:
        flags = ["--email", "ada@example.org", "--relay", f"127.0.0.1:{server.port}", "--name", "Lab"]
        assert run("init", *flags, cwd=tmp_path).returncode == 0
        now = ("--now", DAY_ONE)
        checked = run("check", *now, "--resolver", dns.address, cwd=tmp_path, DIGEST_SOURCES=RECORDED)
        assert checked.returncode == 0, checked.stdout
        assert run("preview", *now, cwd=tmp_path, DIGEST_SOURCES=RECORDED).returncode == 0
        sent = run("send", *now, cwd=tmp_path, DIGEST_SOURCES=RECORDED)
        assert sent.returncode == 0, sent.stderr
    assert [message.recipients for message in server.messages] == [("ada@example.org",)]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--email", "ada"], "ada: must be an email address"),
        (["--email", "ada@example.org", "--from", "x@"], "x@: must be an email address"),
        (["--email", "ada@example.org", "--categories", "cs.lg"], "did you mean `cs.LG`?"),
        (["--email", "ada@example.org", "--categories", "cs.XX"], "arXiv is not known to have it"),
        (["--email", "ada@example.org", "--categories", ", "], "name one category at least"),
        (["--email", "ada@example.org", "--relay", "smtp.example.org:ssl"], "write its host, as in smtp.example.org"),
        (
            ["--email", "ada@example.org", "--relay", "x.example", "--username", "a", "--password-file", "no"],
            "cannot be",
        ),
        (["--email", "ada@gmail.com", "--password-in-config"], "set DIGEST_SMTP__PASSWORD"),
    ],
)
def test_a_wrong_flag_writes_nothing(tmp_path: Path, flags: Sequence[str], says: str) -> None:
    """What is wrong is told with what to write, and no file stays."""
    answer = run("init", *flags, cwd=tmp_path)
    assert (answer.returncode, says in answer.stderr) == (2, True), answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_and_nothing_asked_for_it(tmp_path: Path) -> None:
    """An existing file is told of before anything else, also where it is a dead link."""
    (tmp_path / "config.toml").write_text("precious")
    assert "exists already" in run("init", cwd=tmp_path).stderr
    assert (tmp_path / "config.toml").read_text() == "precious"
    (tmp_path / "link.toml").symlink_to(tmp_path / "nowhere.toml")
    assert "exists already" in run("init", "link.toml", "--email", "ada@example.org", cwd=tmp_path).stderr
    assert not (tmp_path / "nowhere.toml").exists()


def test_a_password_in_the_environment_stays_there(tmp_path: Path) -> None:
    """It is neither in the config nor in a file, unless that is asked for; then the config is its owner's alone."""
    flags = ["--email", "ada@gmail.com"]
    assert run("init", *flags, cwd=tmp_path, DIGEST_SMTP__PASSWORD="hunter2").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]
    text = (tmp_path / "config.toml").read_text()
    assert "hunter2" not in text
    (config,) = load([tmp_path / "config.toml"], {"DIGEST_SMTP__PASSWORD": "hunter2"}).lists
    assert (config.relays[0].host, config.relays[0].username) == ("smtp.gmail.com", "ada@gmail.com")
    clear = run("init", "clear.toml", *flags, "--password-in-config", cwd=tmp_path, DIGEST_SMTP__PASSWORD="hunter2")
    assert clear.returncode == 0
    assert load([tmp_path / "clear.toml"], {}).lists[0].relays[0].password == "hunter2"
    assert (tmp_path / "clear.toml").stat().st_mode & 0o777 == 0o600


def test_a_password_file_is_named_by_its_whole_path(tmp_path: Path) -> None:
    """It may lie elsewhere than the config."""
    (tmp_path / "secret").write_text("hunter2\n")
    flags = ["--email", "ada@fastmail.com", "--password-file", "secret"]
    assert run("init", "lists/ada.toml", *flags, cwd=tmp_path).returncode == 0
    (relay,) = load([tmp_path / "lists" / "ada.toml"], {}).lists[0].relays
    assert (relay.host, relay.port, relay.security, relay.password) == ("smtp.fastmail.com", 465, "tls", "hunter2")


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX terminal")
def test_on_a_terminal_it_asks_six_questions(tmp_path: Path) -> None:
    """A wrong answer is told and asked again; Enter takes the default; the password is shown nowhere."""
    said = converse(
        tmp_path,
        ["init"],
        [
            ("What is the list called? [My Papers]", "Video Lab"),
            ("Your own address, which gets it", "ada"),
            ("must be an email address", "ada@gmail.com"),
            ("Which address does it come from? [ada@gmail.com]", ""),
            ("Which arXiv categories?", "cs.cv"),
            ("did you mean `cs.CV`?", "cs.CV  cs.GR"),
            ("What are you looking for", "video diffusion"),
            ("Which relay takes the mail?", ""),
            ("Its password", "hunter2"),
        ],
    )
    assert "[smtp.gmail.com:587]" in said
    assert "app password" in said
    assert "hunter2" not in said
    assert "The password is in smtp-password.txt, which only you can read." in said
    assert "hunter2" not in (tmp_path / "config.toml").read_text()
    assert (tmp_path / "smtp-password.txt").stat().st_mode & 0o777 == 0o600
    (config,) = load([tmp_path / "config.toml"], {}).lists
    assert (config.mailing_list.name, config.mailing_list.from_) == ("Video Lab", "Video Lab <ada@gmail.com>")
    assert config.sources[0].categories == ("cs.CV", "cs.GR")
    assert (config.relays[0].username, config.relays[0].password) == ("ada@gmail.com", "hunter2")


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX terminal")
def test_a_flag_is_no_question_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """What is said already is not asked; who breaks off finds no file."""
    flags = ["init", "--email", "ada@example.org", "--name", "Lab", "--from", "lab@example.org"]
    said = converse(tmp_path, flags, [("Which arXiv categories?", CTRL_C)])
    assert "called" not in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def converse(folder: Path, arguments: Sequence[str], talk: Sequence[tuple[str, str]]) -> str:
    """`digest …` on a terminal: what is waited for, and what is typed then. Returns all that was shown."""
    import pty
    import termios

    terminal, its = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DIGEST_")} | {"COLUMNS": "200"}
    command = [sys.executable, "-m", "digest", *arguments]
    child = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=its, stdout=its, stderr=its, start_new_session=True
    )
    os.close(its)
    shown, seen = "", 0
    decoder = codecs.getincrementaldecoder("utf-8")()
    deadline = time.monotonic() + PATIENCE

    def read() -> bytes:
        ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"it says no more, and does not end: {shown}"
        return os.read(terminal, 4096)

    def echoes() -> bool:
        return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)

    try:
        for wanted, typed in talk:
            while wanted not in shown[seen:]:
                shown += decoder.decode(read())
            seen = shown.index(wanted, seen) + len(wanted)
            if "password" in wanted:  # one that is typed before would be shown, and not read
                until(lambda: not echoes(), shown)
            if typed == CTRL_C:
                # A signal just before the prompt reads is noticed only with the next key, as in any Python program.
                until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_SLEEPING, shown)
                child.send_signal(signal.SIGINT)
            else:
                os.write(terminal, f"{typed}\n".encode())
        while True:
            try:
                data = read()
            except OSError:  # the other side has closed
                break
            if not data:
                break
            shown += decoder.decode(data)
    finally:
        os.close(terminal)
        child.wait(PATIENCE)
    return shown


@pytest.mark.parametrize(
    ("written", "host", "port", "security"),
    [
        ("smtp.example.org", "smtp.example.org", 587, Security.STARTTLS),
        ("smtp.example.org:465", "smtp.example.org", 465, Security.TLS),
        ("smtp.example.org:25", "smtp.example.org", 25, Security.STARTTLS),
        ("localhost", "localhost", 25, Security.NONE),
        ("[::1]:2525", "::1", 2525, Security.NONE),
        ("127.0.0.1:587", "127.0.0.1", 587, Security.STARTTLS),
        ("smtp.fastmail.com", "smtp.fastmail.com", 465, Security.TLS),
        ("smtp.fastmail.com:587", "smtp.fastmail.com", 587, Security.STARTTLS),
    ],
)
def test_a_relay_is_known_by_its_host_and_port(written: str, host: str, port: int, security: Security) -> None:
    """The port says how it is protected; a provider's is known."""
    answer = relay_answer(written)
    assert (answer.host, answer.port, answer.security) == (host, port, security)


@pytest.mark.parametrize("written", ["", "two words", "x:99999", "https://x.example", "x:y"])
def test_what_is_no_relay_is_refused(written: str) -> None:
    """With an example of one."""
    with pytest.raises(ConfigError, match=re.escape("write its host")):
        relay_answer(written)


def test_providers_are_known_by_address_and_by_relay() -> None:
    """Gmail, Outlook, Fastmail and others; no address has two providers; Amazon's regions are all one."""
    assert getattr(relay_of_address("Ada@GMail.com"), "host", None) == "smtp.gmail.com"
    assert relay_of_address("ada@example.org") is None
    for provider in PROVIDERS:
        assert provider_of_relay(provider.host) is provider
        assert all(provider_of_address(f"ada@{domain}") is provider for domain in provider.domains)
    amazon = provider_of_relay("email-smtp.eu-west-1.amazonaws.com")
    assert amazon is not None
    assert amazon.spf == "amazonses.com"


@pytest.mark.parametrize(
    ("written", "zone"), [("Europe/Berlin", "Europe/Berlin"), (":Asia/Tokyo", "Asia/Tokyo"), ("X5", "UTC")]
)
def test_the_machines_time_zone_is_the_lists(written: str, zone: str) -> None:
    """By $TZ where it is set, else by /etc/localtime; what is no IANA name is UTC."""
    with mock.patch.dict(os.environ, {"TZ": written}):
        assert system_timezone() == zone
