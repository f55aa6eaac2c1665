"""The operator's mail, through a real SMTP server on loopback."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from digest import logs
from digest.console import Terminal
from digest.postbox import MailboxRunner
from digest.settings import load
from digest.status.watchman import Watchman
from digest.tending import ListRunner
from tests.lists import DAY_ONE, DAY_TWO, write_list
from tests.servers.smtp import CollectingServer, Misbehaviour
from tests.test_cli import run

OPERATOR = "ops@example.org"
LOOP = asyncio.Runner()
EXTRA = f'operator = "{OPERATOR}"\n'
refuses_readers = Misbehaviour("rcpt", b"550 5.7.1 <reader@example.org>: policy says no\r\n", only=b"reader")


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    """The log as a command begins it, and after each test as it is by default."""
    logs.set_up(quiet=True)
    yield
    logs.set_up()


def with_operator(folder: Path, port: int, readers: int = 2) -> Path:
    config = write_list(folder, readers, port=port)
    config.write_text(config.read_text().replace("papers = 3\n", f"papers = 3\n{EXTRA}"))
    return config


def mails(server: CollectingServer) -> list[EmailMessage]:
    """What the operator got."""
    return [message_from_bytes(m.data, EmailMessage, policy=policy.default) for m in server.messages
            if OPERATOR in m.recipients]  # fmt: skip


def body(message: EmailMessage) -> str:
    return str(message.get_content()).replace("\n", " ")


class World:
    """What `digest run` does for one list, and a clock to turn."""

    def __init__(self, config: Path):
        configs = load([config], {}).lists
        self.now = datetime.fromisoformat(DAY_ONE) + timedelta(hours=1)  # when the run of the day is due
        self.stop = asyncio.Event()
        self.runner = ListRunner(configs[0], lambda: self.now, self.stop, Terminal())
        self.mailboxes = MailboxRunner(configs, lambda: self.now, self.stop, Terminal())
        self.watchman = Watchman(lambda: self.mailboxes.configs, lambda: self.now)

    def do(self, work: Coroutine[None, None, None]) -> None:
        """Every time in the same loop, as in the program."""
        LOOP.run(work)

    def look(self, after: timedelta) -> None:
        """Time passes; the watchman looks, and letters are sent."""
        self.now += after
        self.watchman.look()
        self.do(self.mailboxes.post())


def test_an_edition_that_the_relay_refuses_is_told_once_and_then_daily(tmp_path: Path) -> None:
    """The subject says what the relay said, without the reader's address; a look every few minutes adds no mail."""
    with CollectingServer(refuses_readers) as server:
        world = World(with_operator(tmp_path, server.port, readers=20))
        with world.watchman.listening():
            world.do(world.runner.send())
            world.look(timedelta(minutes=5))
            assert mails(server) == [], "it may mend itself"
            for _ in range(12):
                world.look(timedelta(minutes=5))
            (mail,) = mails(server)
            world.look(timedelta(hours=24))
        assert [str(m["Subject"])[:40] for m in mails(server)][1:] == ["[lab] still: the edition does not go out"]
    assert re.match(r"\[lab\] the edition does not go out: .*policy says no", str(mail["Subject"]))
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["From"] == "Lab <digest@example.org>"
    said = body(mail)
    assert "What next: nothing is lost and it is tried again" in said
    assert f"Way out: 127.0.0.1:{server.port}" in said
    assert 'event="sending paused" list=lab' in said
    assert "reader" not in said + str(mail["Subject"])


def test_a_relay_that_is_down_is_told_when_it_is_back(tmp_path: Path) -> None:
    """The letter waits for the relay, whose own trouble it is about, and comes with the news that it is over."""
    with CollectingServer(Misbehaviour("banner", b"554 5.3.2 down\r\n", "close", times=3, over_all=True)) as server:
        world = World(with_operator(tmp_path, server.port))
        with world.watchman.listening():
            world.do(world.runner.send())
            world.look(timedelta(minutes=20))
            assert server.messages == []
            for _ in range(20):
                if len(server.messages) == 3:
                    break
                world.now += timedelta(minutes=90)
                world.do(world.runner.tend())
                world.do(world.mailboxes.post())
            world.look(timedelta(minutes=5))
    subjects = [str(m["Subject"]) for m in mails(server)]
    assert len(subjects) == 2
    assert subjects[0] == "[lab] the edition does not go out: 554 5.3.2 down (before the greeting)"
    assert subjects[1] == "[lab] over: editions go out again"


def test_a_second_relay_carries_the_mail_at_once(tmp_path: Path) -> None:
    """With a relay of weight 0 beside it, the first one's trouble keeps no letter."""
    with (
        CollectingServer(Misbehaviour("banner", b"554 5.3.2 down\r\n", "close")) as down,
        CollectingServer(refuses_readers) as spare,
    ):
        config = with_operator(tmp_path, down.port, readers=20)
        first, _, rest = config.read_text().partition("[smtp]\n")
        relay = f'[[smtp]]\nname = "spare"\nhost = "127.0.0.1"\nport = {spare.port}\nsecurity = "none"\nweight = 0\n'
        config.write_text(f'{first}[[smtp]]\nname = "first"\n{rest}{relay}')
        world = World(config)
        with world.watchman.listening():
            world.do(world.runner.send())
            world.look(timedelta(minutes=20))
        assert len(mails(spare)) == 1


def test_a_broken_config_is_told_by_its_line_and_when_it_is_mended(tmp_path: Path) -> None:
    """The subject names file, line and key, while the config as it was goes on."""
    with CollectingServer() as server:
        config = with_operator(tmp_path, server.port)
        good = config.read_text()
        world = World(config)
        with world.watchman.listening():
            world.do(world.runner.send())
            config.write_text(good.replace("papers = 3", "papres = 3"))
            world.do(world.mailboxes.read())
            world.look(timedelta(minutes=20))
            config.write_text(good)
            world.do(world.mailboxes.read())
            world.look(timedelta(minutes=5))
    subjects = [str(m["Subject"]) for m in mails(server)]
    assert [bool(re.search(r"config\.toml:5: `papres` is not a key of \[list\]", each)) for each in subjects] == [
        True,
        False,
    ]
    assert subjects[1] == "[lab] over: the config can be read again"


def test_an_edition_that_is_overdue_is_told_in_the_words_of_status(tmp_path: Path) -> None:
    """What `digest status --check` says of the list is what its operator gets; when it is made, that it is over."""
    with CollectingServer() as server:
        config = with_operator(tmp_path, server.port)
        world = World(config)
        world.do(world.runner.send())
        world.look(timedelta(hours=24, minutes=20))
        assert mails(server) == [], "it may be in the making"
        world.look(timedelta(minutes=20))
        (mail,) = mails(server)
        said = run("status", "--check", "--config", str(config), "--now", world.now.isoformat())
        assert said.returncode == 1
        assert str(mail["Subject"]) == f"[lab] overdue: {said.stdout.strip().partition(' UTC: ')[2]}"
        world.do(world.runner.send())
        world.look(timedelta(minutes=5))
    assert [str(m["Subject"]) for m in mails(server)][1:] == ["[lab] over: no edition is overdue any more"]


def test_digest_send_tells_of_sources_too(tmp_path: Path) -> None:
    """Once, although it is run again; the next day, when they answer, that it is over."""
    with CollectingServer() as server:
        config = with_operator(tmp_path, server.port)
        run("send", "-q", "--config", str(config), "--now", DAY_ONE)
        good = config.read_text()
        config.write_text(re.sub(r'url = ".*/', 'url = "nowhere/', good))
        for minute in (0, 1, 30):
            answer = run("send", "-q", "--config", str(config), "--now", DAY_TWO.replace(":00:00", f":{minute:02}:00"))
            assert answer.returncode == 1
        config.write_text(good)
        run("send", "-q", "--config", str(config), "--now", DAY_TWO.replace("T06", "T09"))
    subjects = [str(m["Subject"]) for m in mails(server)]
    assert len(subjects) == 2
    assert subjects[0].startswith("[lab] every source failed: arxiv: ")
    assert subjects[1] == "[lab] over: the sources work again"


def test_many_bounces_are_told_with_what_to_look_at(tmp_path: Path) -> None:
    """Three of twenty at the relay's door: the mail says how many, and which command shows them."""
    gone = [Misbehaviour("rcpt", b"550 5.1.1 no such user\r\n", only=b"reader%d@" % n) for n in (3, 7, 11)]
    with CollectingServer(*gone) as server:
        config = with_operator(tmp_path, server.port, readers=20)
        run("send", "-q", "--config", str(config), "--now", DAY_ONE)
        (mail,) = mails(server)
    assert mail["Subject"] == "[lab] 15% of edition 1 bounced: 3 of 20"
    assert "`digest deliveries 1`" in body(mail)


def test_what_was_told_outlives_the_program(tmp_path: Path) -> None:
    """A second process does not tell again what the first one told, nor end what it cannot judge."""
    with CollectingServer(refuses_readers) as server:
        config = with_operator(tmp_path, server.port, readers=20)
        first = World(config)
        with first.watchman.listening():
            first.do(first.runner.send())
            first.look(timedelta(minutes=20))
        second = World(config)
        second.now = first.now
        second.look(timedelta(minutes=5))
        assert len(mails(server)) == 1


def test_a_full_disk_and_an_old_authority_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is free is asked where the database is; the authority is read from the relay's `ca_file`."""
    from collections import namedtuple

    from tests.servers.certificates import CA

    (tmp_path / "lab-ca.pem").write_text(CA)
    with CollectingServer() as server:
        config = with_operator(tmp_path, server.port)
        world = World(config)
        world.do(world.runner.send())
        usage = namedtuple("usage", "total used free")
        asked: list[Path] = []

        def measured(path: Path) -> object:
            asked.append(path)
            return usage(10**9, 10**9, 5_000_000)

        monkeypatch.setattr("shutil.disk_usage", measured)
        config.write_text(config.read_text().replace("[smtp]", '[smtp]\nca_file = "lab-ca.pem"'))
        world.do(world.mailboxes.read())
        world.look(timedelta(minutes=1))
        assert asked == [tmp_path]
        (mail,) = mails(server)
        assert mail["Subject"] == "[lab] the disk is nearly full: 5 MB are free where the database is"
        world.now = datetime(2120, 6, 1, tzinfo=UTC)
        world.look(timedelta())
        assert "[lab] the certificate authority in lab-ca.pem has expired on 2120-01-01" in [
            str(m["Subject"]) for m in mails(server)
        ]


def test_a_list_without_an_operator_is_left_alone(tmp_path: Path) -> None:
    """No letter is written, and nobody is asked anything."""
    with CollectingServer(refuses_readers) as server:
        config = write_list(tmp_path, 20, port=server.port)
        world = World(config)
        with world.watchman.listening():
            world.do(world.runner.send())
            world.look(timedelta(hours=2))
        assert server.messages == []
    assert not [h for h in logging.getLogger("digest.events").handlers if "Listener" in type(h).__name__]
