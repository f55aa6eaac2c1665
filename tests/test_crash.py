"""Kills `digest send` at every transaction, runs it again, and counts: one delivery a subscriber, no second copy."""

from __future__ import annotations

import mailbox
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from digest.model import Delivery, DeliveryStatus, ListId
from digest.store import EditionOverview, Editions, open_database
from tests.lists import DAY_ONE, write_list
from tests.nursery import Nursery, die_at, folder_in_memory
from tests.servers.smtp import CollectingServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by SIGKILL")

FIRST_OF_THE_DRAIN = 11
"""Moments before it: two each for migration, subscribers, freeze, enqueue and close."""
A_MESSAGE = 8
"""Moments of one message, and two of the next: claim, intent and result, each before and after its commit."""


@dataclass(frozen=True)
class Aftermath:
    """What is left when a `digest send` was killed at one moment and another one has run to its end."""

    killed: bool
    overview: EditionOverview
    deliveries: tuple[Delivery, ...]

    def ids(self, *statuses: DeliveryStatus) -> set[str]:
        return {d.message_id for d in self.deliveries if d.status in statuses}


def kill_and_go_on(nursery: Nursery, config: Path, at: int) -> Aftermath:
    """Kills one run at that moment, runs another, and reads the ledger; what holds after every kill is asserted."""
    send = ("send", "--config", str(config), "--now", DAY_ONE, "--json")
    first = nursery.run(*send, first=partial(die_at, at)).returncode
    assert first in {0, -signal.SIGKILL}
    second = nursery.run(*send).returncode
    database = open_database(f"sqlite:///{config.parent}/digest.db")
    editions = Editions(database)
    edition = editions.latest(ListId("lab"))
    assert edition is not None
    after = Aftermath(first != 0, editions.overview(edition), editions.deliveries(edition))
    database.close()
    in_doubt = after.ids(DeliveryStatus.UNKNOWN)
    assert second == (1 if in_doubt else 0), f"killed at moment {at}"
    assert after.overview.adds_up, f"killed at moment {at}"
    assert after.overview.finished_at is not None, f"killed at moment {at}"
    assert [d.address for d in after.deliveries] == ["reader0@example.org", "reader1@example.org"]
    return after


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as running, folder_in_memory() as folder:
        config = write_list(folder, sources=["huggingface"])
        running.keep_renderers("--config", str(config), "--now", DAY_ONE, "--out", str(folder))
        yield running


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_in_memory() as made:
        yield made


def at_every_moment(
    nursery: Nursery, configs: Callable[[int], Path], first: int, last: int = sys.maxsize
) -> Iterator[tuple[int, Aftermath]]:
    """Kills at each moment from `first` to `last`, or until a run gets away with its life; two at a time."""
    with ThreadPoolExecutor(2) as pool:
        for start in range(first, last, 2):
            moments = (start, start + 1)
            for at, after in zip(
                moments, pool.map(lambda n: kill_and_go_on(nursery, configs(n), n), moments), strict=True
            ):
                yield at, after
                if not after.killed:
                    return


def test_a_kill_at_any_transaction_loses_and_doubles_nothing(nursery: Nursery, folder: Path) -> None:
    """Into a Maildir: whatever the moment of death, everybody has exactly one copy in the end."""

    def config(at: int) -> Path:
        place = folder / str(at)
        place.mkdir()
        return write_list(place, sources=["huggingface"])

    tried_again, at = 0, 0
    for at, after in at_every_moment(nursery, config, 1):
        copies = [message["Message-ID"] for message in mailbox.Maildir(folder / str(at) / "outbox")]
        assert sorted(copies) == sorted(after.ids(DeliveryStatus.SENT)), f"killed at moment {at}"
        assert len(copies) == 2, f"killed at moment {at}"
        tried_again += sum(d.attempts > 1 for d in after.deliveries)
    assert at > FIRST_OF_THE_DRAIN + 10, "the moments are where we think they are"
    assert tried_again, "some moment lies between the intent and the result"


def test_a_kill_while_sending_leaves_at_most_one_in_doubt(nursery: Nursery, folder: Path) -> None:
    """Over SMTP: no second copy, nothing lost; the one message that nobody can know of is `unknown`."""
    with ExitStack() as stack:
        servers: dict[int, CollectingServer] = {}

        def config(at: int) -> Path:
            place = folder / str(at)
            place.mkdir()
            servers[at] = stack.enter_context(CollectingServer())
            return write_list(place, port=servers[at].port, sources=["huggingface"])

        in_doubt = 0
        for at, after in at_every_moment(nursery, config, FIRST_OF_THE_DRAIN, FIRST_OF_THE_DRAIN + A_MESSAGE):
            accepted = servers[at].message_ids
            sent, unknown = after.ids(DeliveryStatus.SENT), after.ids(DeliveryStatus.UNKNOWN)
            assert len(accepted) == len(set(accepted)), f"killed at moment {at}"
            assert sent <= set(accepted) <= sent | unknown, f"killed at moment {at}"
            assert len(sent | unknown) == 2, f"killed at moment {at}"
            assert len(unknown) <= 1, f"killed at moment {at}"
            in_doubt += len(unknown)
    assert in_doubt
