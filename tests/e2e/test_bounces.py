"""The whole way back: a real Postfix cannot deliver, its report reaches a real Dovecot, `digest mailbox` reads it."""

from __future__ import annotations

import random
import re
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from digest.send.bounces import Sort, read
from digest.subscribe.mailbox import BATCH
from tests.lists import DAY_ONE, DAY_TWO, READER, write_list
from tests.nursery import Nursery, die_at
from tests.servers import dovecot, postfix
from tests.servers.dovecot import Dovecot
from tests.servers.policy import Greylist
from tests.servers.postfix import Postfix
from tests.test_cli import jsons, run
from tests.waiting import until

pytestmark = pytest.mark.system

BOUNCES = "bounces@bounces.example"
GOOD, GONE = "reader1@example.org", "reader0@example.org"
TABLES = """
[smtp]
host = "{server.host}"
port = {server.port}
ca_file = "{server.ca_file}"
username = "{server.username}"
password = "{server.password}"

[mailbox]
host = "127.0.0.1"
port = {port}
security = "{security}"
ca_file = "{mailbox.ca_file}"
address = "bounces@bounces.example"
password = "{mailbox.password}"
"""
LATE = """\
virtual_mailbox_domains = example.org
smtpd_reject_unlisted_recipient = no
transport_maps = inline:{{bounces.example=lmtp:inet:127.0.0.1:{port}}}
"""
"""Who is unknown is found out after the message was taken; bounces go to Dovecot."""


@pytest.fixture
def box() -> Iterator[Dovecot]:
    if reason := postfix.missing() or dovecot.missing():
        pytest.skip(reason)
    inboxes = Path(tempfile.mkdtemp(prefix="digest-boxes-"))  # not pytest's own folder: Dovecot drops root
    shutil.chown(inboxes, "nobody")
    with Dovecot(inboxes) as mailbox:
        yield mailbox
    shutil.rmtree(inboxes)


def files_of(mailbox: Dovecot, at_least: int) -> list[Path]:
    """The messages of the bounces' Maildir, once there are so many."""

    def found() -> list[Path]:
        return [path for name in ("new", "cur") for path in (mailbox.inboxes / BOUNCES / name).glob("*")]

    until(lambda: len(found()) >= at_least, lambda: f"{len(found())} of {at_least} reports have come")
    return found()


def config_of(folder: Path, server: Postfix, box: Dovecot, *, security: str = "tls", readers: int = 2) -> Path:
    """A list that sends through the Postfix, and whose bounces' mailbox the Dovecot shows."""
    port = box.tls_port if security == "tls" else box.port
    extra = TABLES.format(server=server, mailbox=box, port=port, security=security)
    config = write_list(folder, readers, extra=extra)
    config.write_text(config.read_text().replace("papers = 3", f'papers = 3\nbounces = "{BOUNCES}"'))
    return config


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_report_of_an_unknown_user_suppresses_her(tmp_path: Path, box: Dovecot, security: str) -> None:
    """Sent, refused later, reported, read over TLS, suppressed: the next edition goes to the other reader alone."""
    with Postfix([GOOD], main_cf=LATE.format(port=box.lmtp_port)) as server:
        config = config_of(tmp_path, server, box, security=security)
        sent = run("send", "--config", str(config), "--now", DAY_ONE)
        assert "2 sent = 2 recipients" in sent.stdout, sent.stderr
        server.inbox(GOOD, at_least=1)
        (report,) = files_of(box, 1)
        assert re.search(rb"^To: bounces\+[0-9a-f]{33,}@bounces\.example", report.read_bytes(), re.M)
        assert read(report.read_bytes()).sort is Sort.BOUNCE

        answer = run("mailbox", "--config", str(config))
        assert answer.returncode == 0, answer.stderr
        assert f"hard      {GONE}, suppressed: " in answer.stdout
        assert f"1 bounce: 1 hard ({GONE} suppressed)" in answer.stdout
        (report,) = files_of(box, 1)
        assert report.name.endswith(",S"), "seen, and still there"
        assert "nothing new" in run("mailbox", "--config", str(config)).stdout

        (row,) = jsons(run("suppressions", "list", "--config", str(config), "--json").stdout)
        assert row["address"] == GONE
        assert row["reason"].startswith("hard bounce: ")
        again = run("send", "--config", str(config), "--now", DAY_TWO, "--json")
        assert [edition["recipients"] for edition in jsons(again.stdout)[0]["editions"]] == [1]


HOSTILE = """\
smtpd_recipient_restrictions = check_policy_service {greylist}, permit
smtpd_reject_unlisted_recipient = no
transport_maps = inline:{{bounces.example=lmtp:inet:127.0.0.1:{port}, {{gone.example=error:5.1.2 no such domain}}}}
"""
"""Some are greylisted, one domain fails after the message was taken."""


def test_an_edition_in_a_hostile_world(tmp_path: Path, box: Dovecot) -> None:
    """Over STARTTLS and with a login: a greylisted reader gets one copy, one whose domain is gone is suppressed."""
    nobody = "nobody@gone.example"
    with (
        Greylist(GONE) as greylist,
        Postfix([GOOD, GONE], main_cf=HOSTILE.format(greylist=greylist.name, port=box.lmtp_port)) as server,
    ):
        config = config_of(tmp_path, server, box)
        config.write_text(config.read_text() + READER.format(address=nobody, topic="video"))
        first = run("send", "--config", str(config), "--now", DAY_ONE)
        assert "2 sent, 1 deferred = 3 recipients" in first.stdout, first
        assert "Greylisted" in first.stdout
        assert greylist.turned_away == {GONE}
        assert server.inbox(GONE) == []

        at_once = run("send", "--config", str(config), "--now", DAY_ONE)
        assert "2 sent, 1 deferred = 3 recipients" in at_once.stdout, "it is not due yet"
        again = run("send", "--config", str(config), "--now", "2026-06-09T06:10:00+00:00")
        assert (again.returncode, "3 sent = 3 recipients" in again.stdout) == (0, True), again
        assert run("send", "--config", str(config), "--now", "2026-06-09T06:20:00+00:00").returncode == 0

        files_of(box, 1)
        answer = run("mailbox", "--config", str(config))
        assert f"hard      {nobody}, suppressed: " in answer.stdout, answer
        rows = jsons(run("suppressions", "list", "--config", str(config), "--json").stdout)
        assert [row["address"] for row in rows] == [nobody]
        deliveries = jsons(run("deliveries", "--config", str(config), "--json").stdout)
        tries = {d["address"]: (d["attempts"], [bounce["kind"] for bounce in d["bounces"]]) for d in deliveries}
        assert tries == {GONE: (2, []), GOOD: (1, []), nobody: (1, ["hard"])}
        assert "came back (hard): no" in run("deliveries", "--config", str(config), "--to", nobody).stdout
        for delivery in deliveries:
            arrived = server.inbox(delivery["address"], at_least=delivery["address"] != nobody)
            copies = [] if delivery["address"] == nobody else [delivery["message_id"]]
            assert [message["Message-ID"] for message in arrived] == copies


def counted(config: Path) -> int:
    with sqlite3.connect(config.parent / "digest.db") as connection:
        return int(connection.execute("SELECT count(*) FROM bounces").fetchone()[0])


def test_killed_while_it_reads_it_counts_each_once(tmp_path: Path, box: Dovecot) -> None:
    """`kill -9` in the middle of a real mailbox, five times, then once to the end: each counts once."""
    readers, gone = 60, 59
    with Postfix([GOOD], main_cf=LATE.format(port=box.lmtp_port)) as server:
        config = config_of(tmp_path, server, box, readers=readers)
        assert run("send", "--config", str(config), "--now", DAY_ONE).returncode == 0
        files_of(box, gone)
        chance = random.Random(3)
        with Nursery() as nursery:
            for _ in range(5):
                moment = chance.randrange(1, 2 * BATCH + 8)
                killed = nursery.run("mailbox", "--config", str(config), first=partial(die_at, moment))
                assert killed.returncode == -signal.SIGKILL, killed
        assert 0 < counted(config) < gone
        last = run("mailbox", "--config", str(config))
        assert last.returncode == 0, last.stderr
        assert counted(config) == gone
        assert len(jsons(run("suppressions", "list", "--config", str(config), "--json").stdout)) == gone
        assert all(path.name.endswith(",S") for path in files_of(box, gone))
