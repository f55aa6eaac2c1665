"""One shard worked through: what each way of ending leaves behind, and what comes out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from unittest import mock

import pytest

from digest.dispatch.shard import AFTER_ERROR, HELD_UP, run_shard
from digest.errors import StoreError, TemplateError
from digest.logs import Event
from digest.model import Edition, EditionId, ListId, Shard, ShardState, SubscriberId
from digest.send.outbox import DrainReport
from digest.store.shards import TRIES
from tests.factories import NOW, TODAY
from tests.waiting import until_async

EDITION = Edition(EditionId(1), ListId("lab"), 1, TODAY, None, NOW)
SHARD = Shard(ListId("lab"), EDITION.id, SubscriberId(1), SubscriberId(9))


@dataclass
class Board:
    """A `ShardStore` of one shard that writes down what is said to it."""

    state: ShardState = ShardState.WAITING
    told: list[object] = field(default_factory=list)

    def begin(self, shard: Shard, worker: str, now: datetime) -> ShardState:
        self.told.append("begin")
        return self.state

    def ranked(self, shard: Shard, rows: Sequence[Mapping[str, object]], edition: Edition, now: datetime) -> None:
        self.told.append(("ranked", len(rows)))

    def end(
        self, shard: Shard, now: datetime, not_before: datetime | None = None, trouble: str = ""
    ) -> datetime | None:
        self.told.append(("end", not_before, trouble) if trouble else ("end", not_before))
        return not_before

    def settle(self, edition: Edition, now: datetime) -> bool:
        self.told.append("settle")
        return True

    def put_off(self, shard: Shard, trouble: str, now: datetime, again: timedelta) -> datetime:
        self.told.append(("put off", trouble))
        return now + again

    def trouble(self, list_id: ListId) -> str:
        return next((each[1] for each in self.told if isinstance(each, tuple) and each[0] == "put off"), "")

    def failed(self, shard: Shard, error: str, now: datetime, again: timedelta) -> datetime | None:
        self.told.append(("failed", error))
        return now + again


@dataclass
class Work:
    """An `EditionWork` that drains to a report, or fails."""

    report: DrainReport | Exception
    edition: Edition = EDITION

    def rank(self, shard: Shard) -> Sequence[Mapping[str, object]]:
        return [{}] * 9

    async def drain(self, shard: Shard, stop: asyncio.Event) -> DrainReport:
        if isinstance(self.report, Exception):
            raise self.report
        return self.report


def run(board: Board, report: DrainReport | Exception, *, stopped: bool = False) -> datetime | None:
    async def ran() -> datetime | None:
        stop = asyncio.Event()
        if stopped:
            stop.set()
        return await run_shard(board, lambda _: Work(report), SHARD, "worker", lambda: NOW, stop)

    with mock.patch("digest.dispatch.shard.REST", timedelta(0)):
        return asyncio.run(ran())


def test_a_shard_is_ranked_and_sent(caplog: pytest.LogCaptureFixture) -> None:
    """In this order; who does the last tells that the edition is finished."""
    board = Board()
    with caplog.at_level(logging.INFO):
        assert run(board, DrainReport({})) is None
    assert [record.event for record in caplog.records] == [Event.EDITION_FINISHED]  # type: ignore[attr-defined]
    assert board.told == ["begin", ("ranked", 9), ("end", None), "settle"]


def test_a_shard_is_ranked_once() -> None:
    """Whoever takes it up later only sends."""
    board = Board(ShardState.RANKED)
    run(board, DrainReport({}))
    assert board.told == ["begin", ("end", None), "settle"]


@pytest.mark.parametrize("state", [ShardState.DONE, ShardState.ASIDE])
def test_what_is_done_or_set_aside_is_left_alone(state: ShardState) -> None:
    """A job that comes late does nothing."""
    board = Board(state)
    assert run(board, DrainReport({})) is None
    assert board.told == ["begin"]


@pytest.mark.parametrize(
    ("report", "said"), [(DrainReport({}, paused="535 no"), ["535 no"]), (DrainReport({}, held="paused by hand"), [])]
)
def test_what_is_held_up_is_looked_at_in_a_while(report: DrainReport, said: list[str]) -> None:
    """A relay in trouble, whose words are kept with the shard, a pause, the hours: the shard has not failed."""
    board = Board()
    assert run(board, report) == NOW + HELD_UP
    assert board.told[-1] == ("end", NOW + HELD_UP, *said)


def test_what_is_wrong_for_all_shards_is_no_failure_of_one(caplog: pytest.LogCaptureFixture) -> None:
    """A template is broken, a file of this host is missing: told once, tried again, never set aside."""
    board = Board()
    for _ in range(TRIES + 1):
        assert run(board, TemplateError("card.html:1: no such name")) == NOW + HELD_UP
    assert board.told[-1] == ("put off", "card.html:1: no such name")
    assert [r.getMessage() for r in caplog.records] == ["lab, edition 1, readers 1-9 waits: card.html:1: no such name"]


@pytest.mark.parametrize("report", [DrainReport({}, paused="535 no"), TemplateError("card.html:1: no such name")])
def test_who_cannot_send_leaves_other_shards_to_others(report: DrainReport | Exception) -> None:
    """For a while, but for a stop: it would put off in no time what another worker could send."""
    board = Board()

    async def ran() -> None:
        stop = asyncio.Event()
        work = asyncio.create_task(run_shard(board, lambda _: Work(report), SHARD, "worker", lambda: NOW, stop))
        await until_async(lambda: board.told and board.told[-1][0] in ("end", "put off"), "it was not put down")  # type: ignore[index]
        assert not (await asyncio.wait({work}, timeout=0.1))[0]
        stop.set()
        assert await work == NOW + HELD_UP

    asyncio.run(ran())


def test_who_is_stopped_leaves_the_rest_at_once() -> None:
    """To other workers."""
    board = Board()
    assert run(board, DrainReport({}, paused="stopped"), stopped=True) is None
    assert board.told[-2:] == [("end", None), "settle"]


def test_an_error_is_kept_with_the_shard() -> None:
    """And does not come out: the worker goes on with others."""
    board = Board()
    assert run(board, ValueError("poison")) == NOW + AFTER_ERROR
    assert board.told[-1] == ("failed", "ValueError: poison")


def test_the_stores_trouble_is_no_fault_of_the_shard() -> None:
    """It comes out, and no try is counted as failed."""
    board = Board()
    with pytest.raises(StoreError):
        run(board, StoreError("the server is starting up"))
    assert board.told[-1] == ("ranked", 9)
