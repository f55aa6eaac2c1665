"""`digest mailbox` and `digest suppressions`: from a mailbox to whom is sent to, whatever breaks on the way."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa

from digest import postbox, scheduler
from digest.commands.receiving import summary
from digest.console import Terminal
from digest.mailroom.handled import Fate
from digest.mailroom.reading import Mailroom
from digest.members import Preferences
from digest.membership import Membership
from digest.model import Address, DeliveryId, ListId, Relay, Security, SubscriberId
from digest.postbox import MailboxRunner
from digest.scheduler import run_until_stopped
from digest.settings import load
from digest.store import Mailboxes, Secrets, Subscribers, open_database, schema
from digest.subscribe.mailbox import BATCH, Mailbox
from digest.subscribe.tokens import Purpose, Tokens
from tests.bounce_samples import sample
from tests.lists import DAY_ONE, DAY_TWO, write_list
from tests.nursery import Nursery, die_at
from tests.servers.imap import PASSWORD, Behaviour, ImapServer, well_behaved
from tests.test_cli import Answer, jsons, run
from tests.waiting import until_async

NOW = datetime.fromisoformat(DAY_ONE)
MAILBOX = """
[mailbox]
host = "{server.host}"
port = {server.port}
security = "none"
username = "digest"
"""


_SENT: dict[str, bytes] = {}


class World:
    """A list whose edition has gone out, its mailbox, and what its messages were signed with."""

    def __init__(self, folder: Path, server: ImapServer, readers: int = 2, list_id: str = "lab", name: str = "reader"):
        self.folder, self.server, self.list_id, self.name = folder, server, ListId(list_id), name
        self.config = write_list(folder, readers, extra=MAILBOX.format(server=server))
        text = self.config.read_text().replace('"lab"', f'"{list_id}"').replace('"reader', f'"{name}')
        addresses = 'bounces = "bounces@lists.example.org"\nbase_url = "https://lists.example.org"'
        self.config.write_text(text.replace("papers = 3", f"papers = 3\n{addresses}"))
        self._send(f"{list_id}-{name}-{readers}")
        with self.store() as connection:
            rows = connection.execute(sa.select(schema.deliveries).order_by(schema.deliveries.c.id)).all()
        self.deliveries = {row.address: row for row in rows}
        database = open_database(self.url)
        self.tokens = Tokens(Secrets(database, lambda: NOW).signing_keys(), self.list_id)
        database.close()

    def _send(self, kind: str) -> None:
        """Sends the edition, once for each kind of world in a run: the others get a copy of its database."""
        if kind not in _SENT:
            assert self.digest("send").returncode == 0
            _SENT[kind] = (self.folder / "digest.db").read_bytes()
        (self.folder / "digest.db").write_bytes(_SENT[kind])

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder}/digest.db"

    def store(self) -> Any:
        return sa.create_engine(self.url).connect()

    def digest(self, *arguments: str, config: Path | None = None) -> Answer:
        command = [*arguments, "--config", str(config or self.config)]
        if arguments[0] in ("send", "mailbox"):
            command += ["--now", DAY_ONE]
        return run(*command, DIGEST_MAILBOX__PASSWORD=PASSWORD)

    def message(self, name: str, reader: int = 0, **forged: str) -> bytes:
        """A sample that answers the reader's delivery."""
        row = self.deliveries[f"{self.name}{reader}@example.org"]
        proof = {
            "tag": self.tokens.bounce_tag(DeliveryId(row.id)),
            "token": self.tokens.sign(Purpose.UNSUBSCRIBE, SubscriberId(row.subscriber_id)),
            "message_id": row.message_id,
        }
        return sample(name, **(proof | forged))

    @property
    def suppressed(self) -> list[str]:
        database = open_database(self.url)
        found = [str(each.address) for each in Subscribers(database).suppressions()]
        database.close()
        return found

    @property
    def counted(self) -> list[tuple[str, str]]:
        query = sa.select(schema.deliveries.c.address, schema.bounces.c.kind).join_from(
            schema.bounces, schema.deliveries
        )
        with self.store() as connection:
            return sorted((row.address, row.kind) for row in connection.execute(query))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes a world; `behaviour` is its mail server's."""
    servers: list[ImapServer] = []

    def made(readers: int = 4, behaviour: Behaviour = well_behaved) -> World:
        servers.append(ImapServer(behaviour=behaviour).__enter__())
        return World(tmp_path, servers[-1], readers)

    yield made
    for server in servers:
        server.__exit__(None, None, None)


def test_a_mailbox_is_read_and_told_of(make: Callable[..., World]) -> None:
    """One line for each message that mattered and a summary; what counted is marked, the rest stays as it was."""
    world = make()
    world.server.add(
        world.message("postfix-unknown-user", 0),
        world.message("gmail-over-quota", 1),
        world.message("arf-microsoft", 2),
        world.message("outlook-out-of-office", 3),
        world.message("a-persons-reply", 3),
        world.message("postfix-delayed", 3),
        world.message("office365-restricted", 3),
        world.message("postfix-relayed", 3),
        world.message("read-receipt", 3),
        world.message("a-mail-systems-own-words", 3),
    )
    answer = world.digest("mailbox")
    assert answer.returncode == 0, answer.stderr
    *lines, last = answer.stdout.splitlines()[1:]
    assert [line.partition(": ")[0] for line in lines] == [
        "  hard      reader0@example.org, suppressed",
        "  soft      reader1@example.org",
        "  complaint reader2@example.org, suppressed",
        "  delayed   message 6",
        "  policy    reader3@example.org",
        "  delivered message 8",
        "  notice    message 9",
        "  notice    message 10",
    ]
    assert lines[0].endswith(" rejected: User unknown in virtual mailbox table")
    assert last == (
        "  3 bounces: 1 hard (reader0@example.org suppressed), 1 soft, 1 policy; 1 complaint (reader2@example.org "
        "suppressed); 1 delayed; 1 delivered; 2 notices left; 1 auto-reply left; 1 not ours"
    )
    assert world.suppressed == ["reader0@example.org", "reader2@example.org"]
    assert world.server.seen == {1, 2, 3, 6, 7, 8}
    assert world.digest("mailbox").stdout.splitlines()[1:] == ["  nothing new"]


def test_commands_are_done_answered_and_told(make: Callable[..., World]) -> None:
    """Each in one line, and its letter sent; what was dealt with is marked, what is no command stays as it was."""
    world = make(2)
    text = world.config.read_text()
    world.config.write_text(
        text.replace('username = "digest"', 'username = "digest"\naddress = "lab@lists.example.org"')
    )
    leave = world.tokens.sign(Purpose.UNSUBSCRIBE, SubscriberId(1))
    world.server.add(
        mail("lab+subscribe@lists.example.org", "subscribe: video, knots"),
        mail("lab+unsubscribe@lists.example.org", leave, "Auto-Submitted: auto-generated\r\n"),
        mail("lab@lists.example.org", f"Re: Confirm: weekly [{leave}]", "Auto-Submitted: auto-replied\r\n"),
        mail("lab@lists.example.org", "Lunch?"),
        world.message("qmail-qsbmf", 1),
    )
    answer = world.digest("mailbox")
    assert answer.returncode == 0, answer.stderr
    commands = "2 commands: 1 done, 1 to be confirmed"
    assert [line.partition(", suppressed:")[0] for line in answer.stdout.splitlines()[1:]] == [
        "  subscribe: video, knots: asked ada@example.net to confirm",
        "  unsubscribe: reader0@example.org",
        "  hard      reader1@example.org",
        f"  1 bounce: 1 hard (reader1@example.org suppressed); {commands}; 1 auto-reply left; 1 not ours",
    ]
    assert world.server.seen == {1, 2, 5}
    sent = [path.read_text() for path in (world.folder / "outbox" / "new").iterdir()]
    letters = sorted(text for text in sent if "X-Auto-Response-Suppress" in text)
    assert [re.findall(r"^To: .*", text, re.M) for text in letters] == [
        ["To: ada@example.net"],
        ["To: reader0@example.org"],
    ]
    assert world.digest("mailbox").stdout.splitlines()[1:] == ["  nothing new"]


def mail(to: str, subject: str, more: str = "") -> bytes:
    return f"From: ada@example.net\r\nTo: {to}\r\nSubject: {subject}\r\n{more}\r\n".encode()


def test_letters_are_sent_without_a_mailbox(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`digest run` sends what is due, also what the pages have written; trouble with the relay is told once."""
    (config,) = load([write_list(tmp_path, extra='\n[mailbox]\naddress = "lab@example.org"\n')]).lists
    database = open_database(config.store_url)
    people = Membership(config, database, lambda: NOW)
    people.ask(Address("ada@example.net"), Preferences())
    nowhere = replace(config, relays=(Relay("127.0.0.1", 1, Security.NONE),))

    async def work() -> None:
        runner = MailboxRunner([config], lambda: NOW, asyncio.Event(), Terminal())
        for each in (nowhere, nowhere, config, config):
            runner._configs = [each]
            await runner.post()

    asyncio.run(work())
    database.close()
    assert len(list((tmp_path / "outbox" / "new").iterdir())) == 1
    told = capsys.readouterr()
    assert told.out.count("lab: letters: 1 sent") == 1
    assert told.err.count("lab: letters: ") == 1


def test_who_is_suppressed_gets_no_more(make: Callable[..., World]) -> None:
    """The next edition goes to the others alone."""
    world = make(2)
    world.server.add(world.message("qmail-qsbmf", 0))
    world.digest("mailbox")
    told = run("send", "--config", str(world.config), "--now", DAY_TWO, "--json").stdout
    assert [edition["recipients"] for edition in jsons(told)[0]["editions"]] == [1]


def test_json_has_every_message_that_mattered(make: Callable[..., World]) -> None:
    """One object for the list."""
    world = make(1)
    world.server.add(world.message("postfix-unknown-user"), world.message("vacation"))
    (told,) = jsons(world.digest("mailbox", "--json").stdout)
    assert told["lists"] == ["lab"]
    (message,) = told["messages"]
    diagnostic = message.pop("diagnostic")
    assert diagnostic.startswith("550 5.1.1")
    assert message == {
        "uid": 1,
        "list": "lab",
        "fate": "counted",
        "sort": "bounce",
        "kind": "hard",
        "address": "reader0@example.org",
        "delivery": 1,
        "enhanced_code": "5.1.1",
        "suppressed": True,
        "told": "",
    }


FORGED_TAG = "1" + "0" * 32


def test_a_forged_report_changes_nothing(make: Callable[..., World]) -> None:
    """Without a true tag, or a true token beside that reader's own Message-ID, it is told of and left."""
    world = make(2)
    for name in ("postfix-unknown-user", "qmail-qsbmf", "arf-yahoo", "arf-microsoft"):
        world.server.add(world.message(name, tag=FORGED_TAG, token="1." + "A" * 24))
        world.server.add(world.message(name, tag=FORGED_TAG, message_id="<other@lists.example.org>"))
    assert "8 without proof left" in world.digest("mailbox").stdout
    assert (world.counted, world.suppressed, world.server.seen) == ([], [], set())


def test_a_readers_own_proof_is_good_for_her_alone(make: Callable[..., World]) -> None:
    """Her token beside another's Message-ID proves nothing; a tag is a delivery's and no other's."""
    world = make(2)
    others = world.deliveries["reader1@example.org"].message_id
    world.server.add(world.message("arf-microsoft", 0, message_id=others))
    own, other = (world.tokens.bounce_tag(DeliveryId(n)) for n in (1, 2))
    world.server.add(world.message("qmail-qsbmf", 0, tag=other[0] + own[1:], message_id="<x@x>"))
    world.digest("mailbox")
    assert world.counted == []


def test_a_true_tag_of_a_lost_delivery_changes_nothing(make: Callable[..., World]) -> None:
    """A database out of a backup may not know what was sent after it."""
    world = make(1)
    world.server.add(world.message("qmail-qsbmf", tag=world.tokens.bounce_tag(DeliveryId(77)), message_id="<x@x>"))
    assert "1 without proof left" in world.digest("mailbox").stdout


def test_the_token_proves_where_the_tag_was_taken_out(make: Callable[..., World]) -> None:
    """A report that hides the envelope sender still counts by List-Unsubscribe and Message-ID."""
    world = make(2)
    world.server.add(world.message("postfix-unknown-user", 1, tag=FORGED_TAG))
    world.digest("mailbox")
    assert world.counted == [("reader1@example.org", "hard")]


def test_a_message_that_the_server_cannot_give_is_named(make: Callable[..., World]) -> None:
    """The others count; the exit code tells."""
    world = make(3, Behaviour(refuses=frozenset({2})))
    world.server.add(*(world.message("qmail-qsbmf", n) for n in range(3)))
    answer = world.digest("mailbox")
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1] == "lab: message 2 was skipped: the server could not give it"
    assert [address for address, _ in world.counted] == ["reader0@example.org", "reader2@example.org"]


# --- crashes --------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    pass


@pytest.mark.parametrize(
    "where",
    [(Mailbox, "read"), (Mailbox, "mark"), (Mailboxes, "move")],
    ids=["before anything", "between the count and the mark", "between the mark and the position"],
)
def test_after_a_crash_each_bounce_has_counted_once(make: Callable[..., World], where: tuple[type, str]) -> None:
    """What was counted is met again and does nothing; at the end all is counted, marked, and behind the position."""
    world = make()
    world.server.add(*(world.message("qmail-qsbmf", n) for n in range(4)))
    (config,) = load([world.config], {"DIGEST_MAILBOX__PASSWORD": PASSWORD}).lists
    with mock.patch.object(*where, side_effect=Crash), pytest.raises(Crash), Mailroom([config], lambda: NOW) as room:
        list(room.read())
    with Mailroom([config], lambda: NOW) as room:
        fates = {handled.fate for handled in room.read()}
    assert fates == {Fate.COUNTED if where[1] == "read" else Fate.REPEATED}
    assert len(world.counted) == 4
    assert world.server.seen == {1, 2, 3, 4}
    with Mailroom([config], lambda: NOW) as room:
        assert list(room.read()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="kills by SIGKILL")
def test_killed_at_any_point_and_run_again_it_counts_once(make: Callable[..., World]) -> None:
    """`kill -9` of the program itself, again and again, until it gets through."""
    readers = 3 * BATCH
    world = make(readers)
    world.server.add(*(world.message("qmail-qsbmf", n) for n in range(readers)))
    chance = random.Random(5)
    with mock.patch.dict(os.environ, DIGEST_MAILBOX__PASSWORD=PASSWORD), Nursery() as nursery:
        command = ("mailbox", "--config", str(world.config), "--now", DAY_ONE)
        for _ in range(8):
            moment = chance.randrange(1, 2 * BATCH + 8)  # in the first batch that is left, or soon after it
            assert nursery.run(*command, first=partial(die_at, moment)).returncode == -signal.SIGKILL
    assert 0 < len(world.counted) < readers
    last = world.digest("mailbox")
    assert last.returncode == 0, last.stderr
    assert world.counted == sorted((f"reader{n}@example.org", "hard") for n in range(readers))
    assert len(world.suppressed) == readers
    assert world.server.seen == set(range(1, readers + 1))


def test_two_at_once_count_each_bounce_once(make: Callable[..., World]) -> None:
    """Between them, every message is counted by one and met again by the other, or read by one alone."""
    world = make(BATCH)
    world.server.add(*(world.message("qmail-qsbmf", n) for n in range(BATCH)))
    (config,) = load([world.config], {"DIGEST_MAILBOX__PASSWORD": PASSWORD}).lists
    fates: list[Fate] = []

    def work() -> None:
        with Mailroom([config], lambda: NOW) as room:
            fates.extend(handled.fate for handled in room.read())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fates.count(Fate.COUNTED) == BATCH
    assert set(fates) <= {Fate.COUNTED, Fate.REPEATED}
    assert len(world.counted) == BATCH


def test_it_stops_between_two_batches(make: Callable[..., World]) -> None:
    """What is left is read the next time."""
    world = make(BATCH + 1)
    world.server.add(*(world.message("qmail-qsbmf", n) for n in range(BATCH + 1)))
    (config,) = load([world.config], {"DIGEST_MAILBOX__PASSWORD": PASSWORD}).lists
    with Mailroom([config], lambda: NOW) as room:
        assert len(list(room.read(stopped=lambda: True))) == BATCH
        assert [handled.fate for handled in room.read()] == [Fate.COUNTED]


# --- what it says ---------------------------------------------------------------------------------------------------


def test_without_a_mailbox_it_says_what_is_missing(tmp_path: Path) -> None:
    """Exit code 2, and the keys to write."""
    answer = run("mailbox", "--config", str(write_list(tmp_path)))
    assert answer.returncode == 2
    assert "there is no [mailbox] with host, username and password" in answer.stderr


def test_lists_without_a_mailbox_are_passed_over(make: Callable[..., World]) -> None:
    """In a folder of lists, those that have one are read."""
    world = make(1)
    world.server.add(world.message("qmail-qsbmf"))
    text = world.config.read_text().partition("[mailbox]")[0].replace('id = "lab"', 'id = "plain"')
    (world.folder / "plain.toml").write_text(text)
    answer = run("mailbox", "--config", str(world.folder), DIGEST_MAILBOX__PASSWORD=PASSWORD)
    assert answer.returncode == 0, answer.stderr


def test_lists_share_a_mailbox(make: Callable[..., World]) -> None:
    """It is read once for all that name it, and each bounce counts for the list that sent."""
    world = make(2)
    (world.folder / "second").mkdir()
    second = World(world.folder / "second", world.server, 2, "second", "other")
    world.server.add(world.message("qmail-qsbmf", 0), second.message("qmail-qsbmf", 1), world.message("qmail-qsbmf", 1))
    answer = world.digest("mailbox", "--config", str(second.config))
    assert answer.stdout.startswith("Lab (second), Lab (lab)\n")
    assert "3 bounces: 3 hard" in answer.stdout
    assert (world.suppressed, second.suppressed) == (
        ["reader0@example.org", "reader1@example.org"],
        ["other1@example.org"],
    )
    assert world.server.fetched == 1


def test_a_list_that_is_new_to_a_mailbox_reads_what_came_before(make: Callable[..., World]) -> None:
    """The others meet their messages again, which does nothing."""
    world = make(1)
    world.server.add(world.message("qmail-qsbmf"))
    world.digest("mailbox")
    second = world.folder / "second.toml"
    second.write_text(world.config.read_text().replace('id = "lab"', 'id = "second"'))
    answer = world.digest("mailbox", "--config", str(second))
    assert "  1 dealt with before" in answer.stdout
    assert "nothing new" in world.digest("mailbox", "--config", str(second)).stdout


def test_without_the_extra_it_names_it(make: Callable[..., World]) -> None:
    """One line that says what to install."""
    world = make(1)
    with mock.patch.dict(sys.modules, {"flufl.bounce": None}):
        answer = world.digest("mailbox")
    assert answer.returncode == 1
    assert "pip install 'papers-digest[mailbox]'" in answer.stderr


def test_a_wrong_password_is_told_and_not_shown(make: Callable[..., World]) -> None:
    """Exit code 1, the server's words, and no secret."""
    world = make(1)
    answer = run("mailbox", "--config", str(world.config), DIGEST_MAILBOX__PASSWORD="wrong-one")
    assert answer.returncode == 1
    assert "Wrong password" in answer.stderr
    assert "wrong-one" not in answer.stdout + answer.stderr


def test_a_summary_names_a_few_and_counts_the_rest(make: Callable[..., World]) -> None:
    """A thousand suppressed addresses are one line."""
    world = make(5)
    world.server.add(*(world.message("qmail-qsbmf", n) for n in range(5)), world.message("qmail-qsbmf", 0))
    assert (
        "5 bounces: 5 hard (reader0@example.org, reader1@example.org, reader2@example.org and 2 more suppressed); "
        "1 dealt with before"
    ) in world.digest("mailbox").stdout
    assert summary(()) == "nothing new"


# --- digest run -----------------------------------------------------------------------------------------------------


def test_run_reads_the_mailbox_beside_the_schedule(
    make: Callable[..., World], capsys: pytest.CaptureFixture[str]
) -> None:
    """At the start, and every few minutes; one line tells what came."""
    world = make(2)
    world.server.add(world.message("qmail-qsbmf", 0))
    (config,) = load([world.config], {"DIGEST_MAILBOX__PASSWORD": PASSWORD}).lists

    async def watch() -> None:
        running = asyncio.create_task(run_until_stopped([config], lambda: NOW))
        await until_async(lambda: len(world.counted) == 1, "the first bounce was not counted")
        world.server.add(world.message("qmail-qsbmf", 1))
        await until_async(lambda: len(world.counted) == 2, "the second bounce was not counted")
        signal.raise_signal(signal.SIGINT)
        await running

    with (
        mock.patch.object(scheduler, "READ_EVERY", timedelta(seconds=1)),
        mock.patch.object(postbox, "READ_EVERY", timedelta(seconds=1)),
        mock.patch.dict(os.environ, DIGEST_MAILBOX__PASSWORD=PASSWORD),
    ):
        asyncio.run(watch())
    assert world.suppressed == ["reader0@example.org", "reader1@example.org"]
    assert "lab: mailbox: 1 bounce: 1 hard (reader0@example.org suppressed)" in capsys.readouterr().out


def test_a_mailbox_that_fails_is_told_once_and_ends_nothing(
    make: Callable[..., World], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same trouble is one line; a new trouble is another; afterwards it is read."""
    world = make(1)
    world.server.add(world.message("qmail-qsbmf"))
    (config,) = load([world.config], {"DIGEST_MAILBOX__PASSWORD": PASSWORD}).lists

    async def work() -> None:
        runner = MailboxRunner([config], lambda: NOW, asyncio.Event(), Terminal())
        for password in ("wrong", "wrong", PASSWORD):
            with mock.patch.dict(os.environ, DIGEST_MAILBOX__PASSWORD=password):
                await runner.read()
        with (
            mock.patch.dict(os.environ, DIGEST_MAILBOX__PASSWORD=PASSWORD),
            mock.patch.object(Mailbox, "read", side_effect=ZeroDivisionError),
        ):
            await runner.read()

    asyncio.run(work())
    told = capsys.readouterr()
    troubles = [line.partition(": mailbox: ")[2] for line in told.err.splitlines()]
    assert [trouble.partition(";")[0] for trouble in troubles if trouble] == [
        f"digest at {world.server.host}:{world.server.port}: [AUTHENTICATIONFAILED] Wrong password",
        "ZeroDivisionError()",
    ]
    assert "1 hard (reader0@example.org suppressed)" in told.out


# --- suppressions ---------------------------------------------------------------------------------------------------


def test_suppressions_by_hand(tmp_path: Path) -> None:
    """Added with a reason, listed, taken off; what is not there is exit code 3, what is no address 2."""
    config = str(write_list(tmp_path))

    def suppressions(*arguments: str) -> Answer:
        return run("suppressions", *arguments, "--config", config)

    assert suppressions("list").stdout == "no address is suppressed\n"
    added = suppressions(
        "add", "Ada@Example.org", "bob@example.org", "--reason", "asked by telephone", "--now", DAY_ONE
    )
    assert added.stdout == "Ada@example.org: suppressed\nbob@example.org: suppressed\n"
    assert "suppressed already" in suppressions("add", "bob@example.org").stdout
    assert suppressions("list").stdout.splitlines()[1].split() == [
        "ada@example.org", "2026-06-09", "06:00", "UTC", "asked", "by", "telephone",
    ]  # fmt: skip
    assert [row["address"] for row in jsons(suppressions("list", "--json").stdout)] == [
        "ada@example.org",
        "bob@example.org",
    ]
    removed = suppressions("remove", "ADA@example.org")
    assert (removed.returncode, removed.stdout) == (0, "ADA@example.org: may be sent to again\n")
    missing = suppressions("remove", "ada@example.org")
    assert (missing.returncode, missing.stderr) == (3, "ada@example.org is not suppressed\n")
    assert suppressions("add", "nobody").returncode == 2


def test_a_suppressed_address_gets_nothing(tmp_path: Path) -> None:
    """Added by hand before an edition, it is no recipient of it."""
    config = write_list(tmp_path)
    assert run("suppressions", "add", "reader0@example.org", "--config", str(config)).returncode == 0
    told = run("send", "--config", str(config), "--now", DAY_ONE, "--json")
    assert [edition["recipients"] for edition in json.loads(told.stdout)["editions"]] == [1]


def test_lists_that_share_a_database_share_its_suppressions(tmp_path: Path) -> None:
    """Each is told once."""
    first = write_list(tmp_path)
    (tmp_path / "second.toml").write_text(first.read_text().replace('id = "lab"', 'id = "second"'))
    added = run("suppressions", "add", "reader0@example.org", "--config", str(tmp_path), "--json")
    assert jsons(added.stdout) == [{"address": "reader0@example.org", "suppressed": True}]
    assert len(jsons(run("suppressions", "list", "--config", str(tmp_path), "--json").stdout)) == 1


def test_dates_are_utc(tmp_path: Path) -> None:
    """As everywhere in JSON."""
    config = str(write_list(tmp_path))
    run("suppressions", "add", "ada@example.org", "--config", config, "--now", DAY_ONE)
    (row,) = jsons(run("suppressions", "list", "--config", config, "--json").stdout)
    assert datetime.fromisoformat(row["suppressed_at"]).astimezone(UTC) == NOW
