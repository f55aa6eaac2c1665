"""Everything by email through a real Postfix and a real Dovecot, with no pages: joining, voting, leaving."""

from __future__ import annotations

import os
import re
import shutil
import signal
import smtplib
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.utils import make_msgid
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.lists import DAY_ONE, DAY_TWO, write_list
from tests.servers import dovecot, postfix
from tests.servers.dovecot import Dovecot
from tests.servers.postfix import Postfix
from tests.test_cli import Answer, run
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.system

ADA, BOB = "ada@example.org", "reader0@example.org"
BOX = "lab@lists.example"
DAY_THREE = "2026-06-11T06:00:00+00:00"
TABLES = """
[smtp]
host = "{server.host}"
port = {server.port}
ca_file = "{server.ca_file}"
username = "{server.username}"
password = "{server.password}"

[mailbox]
host = "127.0.0.1"
port = {box.tls_port}
ca_file = "{box.ca_file}"
address = "lab@lists.example"
password = "{box.password}"
authserv_id = "postfix.test"
"""
MAIN_CF = """\
virtual_mailbox_domains = example.org
transport_maps = inline:{{lists.example=lmtp:inet:127.0.0.1:{port}}}
smtpd_sender_restrictions = check_sender_access regexp:{{
 {{/^ada@example.org$$/ PREPEND Authentication-Results: postfix.test; dmarc=pass header.from=example.org}}
 {{/./ PREPEND Authentication-Results: postfix.test; dmarc=fail header.from=example.org}} }}
"""
"""Mail to the list goes to Dovecot. Who has Ada's envelope is Ada: the stand-in for DMARC."""


class World:
    """A list with one configured reader, its mailbox, and Ada, who writes and reads mail."""

    def __init__(self, folder: Path, server: Postfix, box: Dovecot):
        self.server, self.box = server, box
        self.config = write_list(folder, readers=1, extra=TABLES.format(server=server, box=box))
        self.config.write_text(self.config.read_text().replace("papers = 3", 'papers = 3\nwhen_empty = "send"'))
        self._written = 0

    def digest(self, command: str, now: str = DAY_ONE) -> Answer:
        answer = run(command, "--config", str(self.config), "--now", now)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer

    def writes(
        self, to: str, subject: str, body: str = "", sender: str = f"Ada <{ADA}>", envelope: str = ADA, **more: str
    ) -> None:
        """Somebody sends a message; returns when it is in the list's mailbox."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, to, subject
        message["Message-ID"] = make_msgid(domain="example.org")
        for name, value in more.items():
            message[name.replace("_", "-")] = value
        message.set_content(body)
        with smtplib.SMTP(self.server.host, self.server.port) as client:
            client.starttls(context=ssl.create_default_context(cafile=self.server.ca_file))
            client.login(self.server.username, self.server.password)
            client.send_message(message, from_addr=envelope)
        self._written += 1
        box = self.box.inboxes / BOX
        until(
            lambda: len([p for name in ("new", "cur") for p in (box / name).glob("*")]) >= self._written,
            f"{subject} has not come",
        )

    def gets(self, beginning: str, at_least: int) -> Message:
        """The message in Ada's inbox whose subject begins so, once there are so many."""
        inbox = self.server.inbox(ADA, at_least=at_least)
        assert len(inbox) == at_least
        (found,) = [message for message in inbox if subject(message).startswith(beginning)]
        return found

    def replies(self, letter: Message, body: str = "") -> None:
        """As a mail program does: to Reply-To, with the subject and the text that it answers."""
        text = letter.get_payload(decode=True)
        assert isinstance(text, bytes)
        quoted = "\n".join(f"> {line}" for line in text.decode().splitlines())
        references = {"In_Reply_To": str(letter["Message-ID"]), "References": str(letter["Message-ID"])}
        self.writes(letter["Reply-To"], f"Re: {subject(letter)}", f"{body}\n\nLab wrote:\n{quoted}\n", **references)

    def follows_mailto(self, address: str) -> None:
        """A message as a mailto address has it (RFC 6068)."""
        found = re.fullmatch(r"mailto:([^?]+)\?subject=(.*)", address)
        assert found, address
        self.writes(unquote(found[1]), unquote(found[2]))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    if reason := postfix.missing() or dovecot.missing():
        pytest.skip(reason)
    inboxes = Path(tempfile.mkdtemp(prefix="digest-boxes-"))  # not pytest's own folder: Dovecot drops root
    shutil.chown(inboxes, "nobody")
    with Dovecot(inboxes) as box, Postfix([ADA, BOB], main_cf=MAIN_CF.format(port=box.lmtp_port)) as server:
        yield World(tmp_path, server, box)
    shutil.rmtree(inboxes)


def subject(message: Message) -> str:
    return " ".join(str(make_header(decode_header(message["Subject"]))).split())


def page(edition: Message) -> str:
    (html,) = [part for part in edition.walk() if part.get_content_type() == "text/html"]
    data = html.get_payload(decode=True)
    assert isinstance(data, bytes)
    return data.decode()


def votes(edition: Message, word: str) -> dict[str, str]:
    """The addresses of a card's votes by paper, in the order of the cards."""
    found = re.findall(rf'href="(mailto:[^"]+%20{word}%20([^"]+))"', page(edition).replace("&amp;", "&"))
    return {unquote(paper): address for address, paper in found}


def test_the_whole_way_by_mail(world: World) -> None:
    """Subscribe, confirm by reply, get an edition, vote, get another order, leave by List-Unsubscribe, get nothing."""
    world.writes("lab+subscribe@lists.example", "subscribe video")
    assert f"subscribe: video: asked {ADA} to confirm" in world.digest("mailbox").stdout
    letter = world.gets("Confirm your subscription", 1)
    world.replies(letter)
    assert f"confirm: {ADA}" in world.digest("mailbox").stdout
    world.gets("Welcome to Lab", 2)

    assert "2 sent = 2 recipients" in world.digest("send").stdout
    inbox = world.server.inbox(ADA, at_least=3)
    (edition,) = [message for message in inbox if message["List-Id"]]
    (bobs,) = world.server.inbox(BOB, at_least=1)
    assert list(votes(edition, "more")) == list(votes(bobs, "more")), "they follow the same"
    paper, address = list(votes(edition, "more").items())[1]
    world.follows_mailto(address)
    assert f"more {paper}: {ADA}" in world.digest("mailbox").stdout

    assert "2 sent = 2 recipients" in world.digest("send", DAY_TWO).stdout
    (second,) = [
        m for m in world.server.inbox(ADA, at_least=4) if m["List-Id"] and m["Message-ID"] != edition["Message-ID"]
    ]
    (bobs,) = [m for m in world.server.inbox(BOB, at_least=2) if m["Message-ID"] != bobs["Message-ID"]]
    assert list(votes(second, "more")) != list(votes(bobs, "more")), "she has voted"

    found = re.fullmatch(r"<(mailto:\S+)>", " ".join(second["List-Unsubscribe"].split()))
    assert found
    world.follows_mailto(found[1])
    assert f"unsubscribe: {ADA}" in world.digest("mailbox", DAY_TWO).stdout
    world.gets("You are unsubscribed", 5)
    assert "1 sent = 1 recipient" in world.digest("send", DAY_THREE).stdout
    world.server.inbox(BOB, at_least=3)
    assert len(world.server.inbox(ADA)) == 5
    assert all(path.name.endswith("S") for path in (world.box.inboxes / BOX / "cur").glob("*")), "seen, and still there"
    assert "nothing new" in world.digest("mailbox", DAY_THREE).stdout


def test_what_her_own_server_vouches_for_is_done_at_once(world: World) -> None:
    """A member's command needs no second message; the letter says what she gets now."""
    world.writes(BOX, "subscribe video")
    world.digest("mailbox")
    world.replies(world.gets("Confirm your subscription", 1))
    world.writes(BOX, "topics: proteins, knot theory")
    told = world.digest("mailbox").stdout
    assert f"topics: proteins, knot theory: {ADA}" in told
    assert "2 commands: 2 done" in told
    assert "knot theory" in str(world.gets("Done: topics: proteins", 3).get_payload())


def test_forged_mail_changes_nothing(world: World) -> None:
    """In a reader's name, with a claim that our server did not make: one question, and editions as before."""
    world.digest("send")
    claim = {
        "Authentication_Results": "postfix.test; dmarc=pass header.from=example.org",
        "envelope": "eve@example.org",
    }
    for place, said in (("lab", "unsubscribe"), ("lab+topics", "topics: spam"), ("lab", "pause until 2027-01-01")):
        world.writes(f"{place}@lists.example", said, sender=BOB, **claim)
    world.writes("lab+unsubscribe@lists.example", "1.AbCdEfGhIjKlMnOpQrStUv-_", sender=BOB, **claim)
    world.writes("lab+vote@lists.example", "1.AbCdEfGhIjKlMnOpQrStUv-_ less arxiv:2606.00001", sender="eve@example.org")
    world.writes("lab@lists.example", "help", sender="MAILER-DAEMON@example.org")
    world.writes("lab@lists.example", "help", Auto_Submitted="auto-replied")
    told = world.digest("mailbox").stdout
    assert "commands: " in told
    bobs = world.server.inbox(BOB, at_least=2)
    assert sum(subject(message).startswith("Confirm: unsubscribe [") for message in bobs) == 1
    assert len(bobs) == 2
    assert "1 sent = 1 recipient" in world.digest("send", DAY_TWO).stdout


def test_run_answers_within_seconds(world: World) -> None:
    """By IDLE: it reads every five minutes otherwise. It ends at once when it is told to."""
    command = [sys.executable, "-m", "digest", "run", "--config", str(world.config), "--now", DAY_ONE]
    log = world.config.with_name("run.log")
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=os.environ) as running:
        try:
            until(lambda: "next run" in log.read_text(), log.read_text)
            world.writes("lab@lists.example", "subscribe video")  # which it may have read at the start
            until(lambda: "1 command: 1 to be confirmed" in log.read_text(), log.read_text)
            world.replies(world.gets("Confirm your subscription", 1))
            world.gets("Welcome to Lab", 2)
            until(lambda: "1 command: 1 done" in log.read_text(), log.read_text)
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(PATIENCE)
    told = log.read_text()
    assert told.endswith("stopped\n")
    assert not re.search(r"ada@|\d\.\d+\.[\w-]{24}", told), "no address and no token"
