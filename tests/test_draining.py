"""One list drained in two processes at once: nobody is left out, nobody gets two copies, and all limits hold.

The second process is a real one, over one database and one real server. This process sends its second message
only when the other has connected: so both always take part.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pytest
import sqlalchemy as sa

from digest import ways_out
from digest.app import App
from digest.dispatch import draining, forwarding, outbox
from digest.errors import StoreError
from digest.model import Envelope, Outcome, Rate
from digest.results import Progress, Sent, Settled
from digest.send import drain
from digest.send.outbox import DrainReport, Transport
from digest.send.routes import Route
from digest.settings import load
from digest.store import open_database, schema
from tests.databases import BOTH, Databases
from tests.dkim_keys import pem, rsa_key
from tests.lists import DAY_ONE, write_list
from tests.servers.smtp import CollectingServer, refuses_auth_535, rejects_data_554
from tests.waiting import until_async

READERS = 24


@pytest.fixture(autouse=True)
def _in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for thousands of readers on a host with two processors; this process leaves some for the other."""
    monkeypatch.setattr(draining, "MANY", 2)
    monkeypatch.setattr(draining, "usable", lambda: 2)
    monkeypatch.setattr(drain, "CLAIMED_AT_ONCE", 3)


def others() -> list[psutil.Process]:
    """The processes that this one has started to drain beside it."""
    return [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


async def nothing() -> None: ...


@dataclass
class Send:
    """One `send` of a list over two connections, and what it was told.

    With its second message this process waits until the other has connected, and for what is done `meanwhile`.
    """

    config: Path
    server: CollectingServer
    meanwhile: Callable[[], Awaitable[None]] = nothing
    told: list[Settled] = field(default_factory=list)
    only: Sequence[str] = ()
    now: Callable[[], datetime] = lambda: datetime.fromisoformat(DAY_ONE)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    mine: list[str] = field(default_factory=list)
    """Who has been sent to from this process."""
    both: bool = False

    def run(self) -> Sent:
        (found,) = load([self.config], {}).lists

        def routes(*of: Any) -> Sequence[Route]:
            (way,) = ways_out.routes(*of)
            return (replace(way, new_transport=lambda: Waiting(way.new_transport(), self)),)

        with App(found, self.now) as app, mock.patch.object(outbox, "routes", routes):
            return asyncio.run(app.send(self.only, stop=self.stop, progress=Progress(on_result=self.told.append)))

    async def before_a_message(self, recipient: str) -> None:
        if len(self.mine) == 1 and not self.both:
            await until_async(lambda: self.server.connections == 2, "the other has not connected")
            self.both = True
            await self.meanwhile()
        self.mine.append(recipient)


@dataclass
class Waiting:
    """The transport of this process."""

    transport: Transport
    send: Send

    async def submit(self, envelope: Envelope, message: bytes, before_data: Callable[[], Awaitable[None]]) -> Outcome:
        await self.send.before_a_message(envelope.recipient)
        return await self.transport.submit(envelope, message, before_data)

    async def close(self) -> None:
        await self.transport.close()


def counts(sent: Sent) -> dict[str, int]:
    (overview,) = sent.overviews
    assert overview.adds_up
    assert overview.recipients == READERS
    return {str(status): count for status, count in overview.counts.items()}


def copies(server: CollectingServer) -> Counter[str]:
    return Counter(recipient for message in server.messages for recipient in message.recipients)


def everybody() -> dict[str, int]:
    return {f"reader{n}@example.org": 1 for n in range(READERS)}


@pytest.fixture
def no_process_is_left() -> Iterator[None]:
    before = others()
    yield
    assert [each for each in others() if each not in before] == []


pytestmark = pytest.mark.usefixtures("no_process_is_left")


@pytest.mark.parametrize("kind", BOTH)
def test_two_processes_send_one_copy_each_over_no_more_connections(
    kind: str, databases: Databases, tmp_path: Path
) -> None:
    """Both send, everybody has one copy, every result is told here, and the relay never has more connections."""
    most = 0

    def watch(_stage: str) -> None:
        nonlocal most
        most = max(most, server.open_connections)

    with CollectingServer(pipelining=True, watch=watch) as server, ExitStack() as stack:
        store = f'[store]\nurl = "{databases.url(kind, tmp_path, stack)}"\n'
        send = Send(write_list(tmp_path, READERS, port=server.port, connections=2, extra=store), server)
        sent = send.run()
    assert send.both
    assert most == 2
    assert sent.drained
    assert dict(sent.drained.counts) == counts(sent) == {"sent": READERS}
    assert copies(server) == everybody()
    assert Counter(settled.address for settled in send.told) == everybody()
    assert all(settled.status == "sent" and settled.papers in (2, 3) for settled in send.told)


@pytest.mark.skipif(sys.platform == "win32", reason="kills by SIGKILL")
@pytest.mark.parametrize("at", [3, READERS - 6])
def test_a_process_that_is_killed_loses_and_doubles_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, at: int
) -> None:
    """Of what it had claimed one message is in doubt, and said to be; the others go out from here. It is told of.

    The second time this process has had nothing more to claim, and has ended its part.
    """
    of_other, killed = 0, threading.Event()

    def watch(stage: str) -> None:
        nonlocal of_other
        if stage == "accepted" and server.messages[-1].recipients[0] not in send.mine:
            of_other += 1
            if of_other == at:  # kept, and its sender does not know
                others()[0].kill()
                killed.set()

    async def until_killed() -> None:
        await until_async(killed.is_set, "the other was not killed")

    with CollectingServer(pipelining=True, watch=watch) as server, caplog.at_level(logging.WARNING):
        config = write_list(tmp_path, READERS, port=server.port, connections=2)
        send = Send(config, server, until_killed if at == 3 else nothing)
        sent = send.run()
    assert counts(sent) == {"sent": READERS - 1, "unknown": 1}
    assert copies(server) == everybody()
    assert "was ended from outside" in caplog.text


def test_a_stop_ends_all_processes_tidily(tmp_path: Path) -> None:
    """The other leaves signals to this one, and hands back what it has not begun; a next run goes on."""
    with CollectingServer(pipelining=True) as server:
        config = write_list(tmp_path, READERS, port=server.port, connections=2)

        async def stop() -> None:
            for other in others():
                other.terminate()
            send.stop.set()

        send = Send(config, server, stop)
        sent = send.run()
        first = counts(sent)
        assert sent.stopped
        assert first.keys() == {"sent", "queued"}
        assert first["sent"] == len(server.messages) < READERS
        assert counts(Send(config, server, both=True).run()) == {"sent": READERS}
    assert copies(server) == everybody()


def test_a_wrong_password_is_tried_once(tmp_path: Path) -> None:
    """The other is ready before this process logs in, and still waits for a first message that is accepted."""
    ready = asyncio.Event()
    hear = draining._Other._hear

    def hear_of_it(other: draining._Other, told: object) -> None:
        hear(other, told)
        ready.set()

    class Later(Send):
        async def before_a_message(self, recipient: str) -> None:
            await ready.wait()
            await asyncio.sleep(1)

    with CollectingServer(refuses_auth_535, credentials=("digest", "right")) as server:
        secret = 'username = "digest"\npassword = "wrong"\n'
        config = write_list(tmp_path, READERS, port=server.port, connections=4, extra=secret)
        with mock.patch.object(draining._Other, "_hear", hear_of_it):
            sent = Later(config, server).run()
    assert ready.is_set()
    assert sent.drained
    assert "535" in str(sent.drained.paused)
    assert counts(sent) == {"queued": READERS}
    assert sum(command.startswith(b"AUTH") for command in server.commands) == 1


def test_a_relay_that_refuses_everybody_pauses_all_processes(tmp_path: Path) -> None:
    """Five equal refusals in one of them stop the others: this one has had one when it hears of them, and ends."""
    paused = asyncio.Event()
    hear = draining._Other._hear

    def hear_of_it(other: draining._Other, told: object) -> None:
        hear(other, told)
        if isinstance(told, DrainReport):
            paused.set()

    async def until_paused() -> None:
        await paused.wait()

    with CollectingServer(replace(rejects_data_554, skip=1), pipelining=True) as server:
        config = write_list(tmp_path, READERS, port=server.port, connections=2)
        with mock.patch.object(draining._Other, "_hear", hear_of_it):
            sent = Send(config, server, until_paused).run()
    assert sent.drained
    assert sent.drained.lasting
    assert "refused 5 recipients in a row" in str(sent.drained.paused)
    assert counts(sent) == {"sent": 2, "bounced": 5 + 1, "queued": READERS - 2 - 6}


def test_only_those_who_were_asked_for_are_sent_to(tmp_path: Path) -> None:
    """By no process."""
    named = [f"reader{n}@example.org" for n in range(0, READERS, 2)]
    with CollectingServer(pipelining=True) as server:
        send = Send(write_list(tmp_path, READERS, port=server.port, connections=2), server, only=named)
        sent = send.run()
    assert send.both
    assert counts(sent) == {"sent": len(named), "queued": READERS - len(named)}
    assert copies(server) == dict.fromkeys(named, 1)


def test_a_signed_list_is_drained_in_two_processes(tmp_path: Path) -> None:
    """The other has the key."""
    (tmp_path / "rsa.pem").write_bytes(pem(rsa_key().key))
    signed = '[[dkim]]\nselector = "rsa"\nkey_file = "rsa.pem"\n'
    with CollectingServer(pipelining=True) as server:
        send = Send(write_list(tmp_path, READERS, port=server.port, connections=2, extra=signed), server)
        assert counts(send.run()) == {"sent": READERS}
    assert send.both
    assert all(b"DKIM-Signature" in message.data for message in server.messages)


def test_both_processes_have_one_clock(tmp_path: Path) -> None:
    """However long the other took to start: what it sends is recorded for when that was."""
    apart = datetime.fromisoformat(DAY_ONE) - datetime.now(UTC)
    connected: list[datetime] = []

    def watch(stage: str) -> None:
        if stage == "ehlo":
            connected.append(datetime.now(UTC) + apart)

    with CollectingServer(pipelining=True, watch=watch) as server:
        config = write_list(tmp_path, READERS, port=server.port, connections=2)
        send = Send(config, server, now=lambda: datetime.now(UTC) + apart)
        send.run()
    (found,) = load([config], {}).lists
    with contextlib.closing(open_database(found.store_url)) as database, database.read() as connection:
        rows = connection.execute(sa.select(schema.deliveries)).all()
    theirs = [row.settled_at for row in rows if row.address not in send.mine]
    assert send.both
    assert min(theirs) > connected[1]


def of_another_kind(monkeypatch: pytest.MonkeyPatch, make: Callable[[Any, Any], draining._Other]) -> asyncio.Event:
    """Others are made so; set when the first has been heard of."""
    heard = asyncio.Event()
    hear = draining._Other._hear

    def hear_of_it(other: draining._Other, told: object) -> None:
        hear(other, told)
        heard.set()

    monkeypatch.setattr(draining._Other, "_hear", hear_of_it)
    monkeypatch.setattr(draining, "_Other", make)
    return heard


def test_a_process_that_cannot_begin_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds no database, say because that lets no more in: this one sends all the same."""
    other = draining._Other

    def make(work: draining._Work, told: Any) -> draining._Other:
        elsewhere = f"sqlite:///{tmp_path}/nowhere/digest.db"
        return other(work._replace(config=replace(work.config, store_url=elsewhere)), told)

    heard = of_another_kind(monkeypatch, make)

    class Alone(Send):
        async def before_a_message(self, recipient: str) -> None:
            await heard.wait()

    with CollectingServer(pipelining=True) as server, caplog.at_level(logging.WARNING):
        sent = Alone(write_list(tmp_path, READERS, port=server.port, connections=2), server).run()
    assert counts(sent) == {"sent": READERS}
    assert sent.drained
    assert not sent.drained.paused
    assert "there is no folder" in caplog.text
    assert "in doubt" not in caplog.text


def test_a_host_that_starts_no_more_processes_sends_with_those_it_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is left to wait for ever."""
    other = draining._Other
    made: list[draining._Other] = []

    def make(work: draining._Work, told: Any) -> draining._Other:
        if made:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        made.append(other(work, told))
        return made[0]

    monkeypatch.setattr(draining, "usable", lambda: 3)
    of_another_kind(monkeypatch, make)
    with CollectingServer(pipelining=True) as server, caplog.at_level(logging.WARNING):
        send = Send(write_list(tmp_path, READERS, port=server.port, connections=3), server)
        sent = send.run()
    assert counts(sent) == {"sent": READERS}
    assert send.both
    assert "temporarily unavailable" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="another console, other signals")
def test_a_process_that_is_only_starting_hears_of_no_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C comes to all processes; what the other does is this one's to say."""
    other = draining._Other

    def make(work: draining._Work, told: Any) -> draining._Other:
        made = other(work, told)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(int(made._process.pid or 0), number)
        return made

    of_another_kind(monkeypatch, make)
    with CollectingServer(pipelining=True) as server:
        send = Send(write_list(tmp_path, READERS, port=server.port, connections=2), server)
        assert counts(send.run()) == {"sent": READERS}
    assert send.both


class TwoWordsError(Exception):
    """Pickled, and never read again."""

    def __init__(self, first: str, second: str):
        super().__init__(f"{first} {second}")


def test_an_error_that_no_other_process_could_read_is_told_in_words() -> None:
    """Else whoever waits for it would wait for ever."""
    plain = StoreError("full")
    assert forwarding.sendable(plain) is plain
    assert str(forwarding.sendable(TwoWordsError("disk", "gone"))) == "TwoWordsError: disk gone"
    held = KeyError(threading.Lock())
    assert str(forwarding.sendable(held)).startswith("KeyError: ")


def test_where_a_bug_of_another_process_arose_is_told_here() -> None:
    """Its traceback is in the line of the log, and goes with the error; an error with advice has none."""
    said: list[forwarding.Line] = []
    child = logging.Logger("digest.other")
    child.addHandler(forwarding.Forwarded(said.append))
    try:
        everybody()["nobody"]
    except KeyError as error:
        child.exception("delivery %d failed", 7)
        sent = pickle.loads(pickle.dumps(forwarding.sendable(error)))
    here = "in test_where_a_bug_of_another_process_arose_is_told_here"
    (line,) = said
    assert line.text.startswith("delivery 7 failed\nTraceback")
    assert here in line.text
    assert here in "".join(traceback.format_exception(sent))
    assert not hasattr(forwarding.sendable(StoreError("full")), "__notes__")


def test_a_list_whose_limits_are_kept_in_memory_is_drained_in_one_process(tmp_path: Path) -> None:
    """A rate, several relays, a Maildir, one connection, few deliveries."""
    (found,) = load([write_list(tmp_path, 3, port=25, connections=4)], {}).lists
    (relay,) = found.relays
    ways = [
        replace(found, relays=relays)
        for relays in (
            (),
            (relay, replace(relay, name="other")),
            (replace(relay, connections=1),),
            (replace(relay, rate=Rate(60, 60)),),
            (replace(relay, per_domain=(("example.org", Rate(60, 60)),)),),
        )
    ]
    with App(found, lambda: datetime.now(UTC)) as app:
        ledger = app.outbox.ledger()
        assert draining._how_many(found, ledger) == 1
        ledger.has_due = lambda count: True  # type: ignore[method-assign]
        assert draining._how_many(found, ledger) == 2
        assert [draining._how_many(way, ledger) for way in ways] == [1] * len(ways)
