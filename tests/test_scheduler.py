"""`digest run`: what is owed is made, once, and what refuses everybody is left alone for a while."""

from __future__ import annotations

import asyncio
import mailbox
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest

from digest import scheduler, timing
from digest.app import App
from digest.console import Terminal
from digest.model import DeliveryStatus
from digest.postbox import MailboxRunner
from digest.scheduler import next_run, run_until_stopped, trigger
from digest.settings import load
from digest.store import EditionOverview
from digest.tending import ListRunner
from tests.factories import mailing_list
from tests.lists import DAY_ONE, write_list
from tests.servers.smtp import CollectingServer, rejects_data_554
from tests.test_cli import run
from tests.waiting import until_async

MONDAY = datetime(2026, 6, 8, tzinfo=UTC)
AT_SEVEN = datetime(2026, 6, 9, 7, tzinfo=UTC)


class World:
    """A list, its runner, and a clock to turn."""

    def __init__(self, config: Path):
        self.path = config
        self.now = AT_SEVEN
        self.loop = asyncio.Runner()
        self.stop = asyncio.Event()
        self.runner = ListRunner(load([config], {}).lists[0], lambda: self.now, self.stop, Terminal())

    def overviews(self) -> tuple[EditionOverview, ...]:
        with App(load([self.path], {}).lists[0], lambda: self.now) as app:
            return app.editions.recent(app.list.id, 9)

    def do(self, *work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Runs the work, one after the other; every time in the same loop, as in the program."""
        for each in work:
            self.loop.run(each())

    @property
    def copies(self) -> int:
        return len(mailbox.Maildir(self.path.parent / "outbox"))


@pytest.fixture
def make() -> Iterator[Callable[[Path], World]]:
    """Makes worlds, and ends their loops."""
    worlds: list[World] = []

    def made(config: Path) -> World:
        worlds.append(World(config))
        return worlds[-1]

    yield made
    for world in worlds:
        world.loop.close()


def test_apscheduler_fires_by_the_lists_schedule() -> None:
    """The trigger's runs are the schedule's: the next, and after each the following one."""
    fires = trigger(mailing_list(timezone="Europe/Berlin"))
    first = fires.get_next_fire_time(None, MONDAY)
    second = fires.get_next_fire_time(first, first)
    assert [f"{run:%a %H:%M %Z}" for run in (first, second)] == ["Mon 07:00 CEST", "Tue 07:00 CEST"]


def test_the_next_run_is_told_in_the_lists_time() -> None:
    """A person reads the weekday, the date and the zone."""
    assert next_run(mailing_list(timezone="Europe/Berlin"), MONDAY) == "Monday 2026-06-08 07:00 CEST"


def test_a_scheduled_run_makes_the_edition_of_its_own_day(tmp_path: Path, make: Callable[[Path], World]) -> None:
    """A run of 23:59 that starts after midnight belongs to the day on which it was due."""
    config = write_list(tmp_path)
    config.write_text(config.read_text().replace("papers = 3", 'papers = 3\nschedule = "59 23 * * *"'))
    world = make(config)
    world.now = datetime(2026, 6, 9, 0, 1, tzinfo=UTC)
    world.do(world.runner.send)
    world.now = datetime(2026, 6, 10, 0, 2, tzinfo=UTC)
    world.do(world.runner.send)
    assert [o.edition.due_on for o in world.overviews()] == [date(2026, 6, 9), date(2026, 6, 8)]
    assert world.copies == 4


def test_a_run_whose_sources_all_failed_is_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], World]
) -> None:
    """No edition is made, nothing is asked for again at once, and when the sources are back the edition goes out."""
    config = write_list(tmp_path)
    good = config.read_text()
    config.write_text(re.sub(r'url = ".*/', 'url = "nowhere/', good))
    world = make(config)
    world.do(world.runner.send)
    assert "every source" in capsys.readouterr().err
    config.write_text(good)
    world.do(world.runner.tend)
    assert world.overviews() == ()
    world.now += timedelta(minutes=7)
    world.do(world.runner.tend)
    assert world.copies == 2


def test_a_clock_put_back_does_not_lengthen_the_wait_after_a_failure(
    tmp_path: Path, make: Callable[[Path], World]
) -> None:
    """The next try was said by a clock that was an hour ahead; by the right one the run is owed all the same."""
    config = write_list(tmp_path)
    good = config.read_text()
    config.write_text(re.sub(r'url = ".*/', 'url = "nowhere/', good))
    world = make(config)
    world.now += timedelta(minutes=90)
    world.do(world.runner.send)
    config.write_text(good)
    world.now -= timedelta(hours=1)
    world.do(world.runner.tend)
    assert world.copies == 2


def test_a_clock_put_back_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked after lists, mailboxes and letters as often as before, also where one look failed."""
    config = load([write_list(tmp_path)], {}).lists[0]
    ahead, looks = timedelta(hours=1), Counter[str]()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + ahead

    async def tend(_: ListRunner) -> None:
        looks["tend"] += 1
        raise RuntimeError("one look failed")

    async def post(_: MailboxRunner) -> None:
        looks["post"] += 1

    monkeypatch.setattr(scheduler, "TEND_EVERY", timedelta(seconds=1))
    monkeypatch.setattr(ListRunner, "tend", tend)
    monkeypatch.setattr(MailboxRunner, "post", post)
    for module in ("apscheduler.schedulers.base", "apscheduler.triggers.interval"):
        monkeypatch.setattr(f"{module}.datetime", Clock)

    async def looked(times: int) -> None:
        before = looks.copy()
        await until_async(
            lambda: min(looks[each] - before[each] for each in ("tend", "post")) >= times, lambda: f"only {looks}"
        )

    async def watch() -> None:
        nonlocal ahead
        running = asyncio.create_task(run_until_stopped([config], lambda: AT_SEVEN))
        try:
            await looked(1)
            ahead = timedelta()
            await looked(3)
        finally:
            signal_self()
            await running

    asyncio.run(watch())


def test_what_a_crash_left_before_the_drain_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], World]
) -> None:
    """An edition that was frozen, and whose recipients were not, is taken up between runs."""
    world = make(write_list(tmp_path))

    async def crash(*_: object) -> None:
        raise RuntimeError("the machine goes off")

    with monkeypatch.context() as patch:
        patch.setattr("digest.edition.enqueue_all", crash)
        world.do(world.runner.send)
    assert [o.recipients for o in world.overviews()] == [None]
    world.now += timedelta(minutes=7)
    world.do(world.runner.tend)
    assert [(o.recipients, o.counts) for o in world.overviews()] == [(2, {DeliveryStatus.SENT: 2})]


def test_a_relay_that_refuses_everybody_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], World]
) -> None:
    """Five equal refusals pause the drain, and the minute job does not go on bouncing five by five."""
    with CollectingServer(rejects_data_554) as server:
        world = make(write_list(tmp_path, readers=20, port=server.port))
        world.do(world.runner.send)
        for _ in range(4):
            world.now += timedelta(minutes=1)
            world.do(world.runner.tend)
    (overview,) = world.overviews()
    assert overview.counts[DeliveryStatus.BOUNCED] == 5
    assert overview.counts[DeliveryStatus.QUEUED] + overview.counts.get(DeliveryStatus.DEFERRED, 0) == 15
    assert "paused" in capsys.readouterr().err


def test_who_was_taken_out_of_the_config_gets_nothing_more(tmp_path: Path, make: Callable[[Path], World]) -> None:
    """The config is read again for every run: no restart is needed to remove a reader."""
    config = write_list(tmp_path, readers=2)
    world = make(config)
    config.write_text(config.read_text().rpartition("[[subscribers]]")[0])
    world.do(world.runner.send)
    assert [message["To"] for message in mailbox.Maildir(tmp_path / "outbox")] == ["reader0@example.org"]


def test_a_config_that_breaks_meanwhile_is_told_and_the_old_one_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], World]
) -> None:
    """A typo made while the program runs costs a line, not the edition."""
    config = write_list(tmp_path)
    world = make(config)
    config.write_text(config.read_text().replace("papers = 3", "papres = 3"))
    world.do(world.runner.send)
    assert "papres" in capsys.readouterr().err
    assert world.copies == 2


def test_the_program_fires_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a schedule that comes due in a moment, the edition is made with nobody's help."""
    config = load([write_list(tmp_path)], {}).lists[0]

    class Soon:
        def after(self, moment: datetime) -> datetime:
            return moment + timedelta(milliseconds=200)

        def until(self, moment: datetime) -> datetime:
            return moment

    monkeypatch.setattr(scheduler, "read_schedule", lambda *_: Soon())
    monkeypatch.setattr(timing, "read_schedule", lambda *_: Soon())
    offset = datetime.fromisoformat(DAY_ONE) - datetime.now(UTC)

    async def watch() -> None:
        running = asyncio.create_task(run_until_stopped([replace(config)], lambda: datetime.now(UTC) + offset))
        new = tmp_path / "outbox" / "new"
        await until_async(lambda: len(list(new.glob("*"))) == 2, "two letters are not in the outbox")
        signal_self()
        await running

    asyncio.run(watch())
    assert len(mailbox.Maildir(tmp_path / "outbox")) == 2


def signal_self() -> None:
    """Ctrl-C, as the terminal sends it."""
    import signal

    signal.raise_signal(signal.SIGINT)


def test_one_lists_failure_keeps_no_other_from_its_send(tmp_path: Path) -> None:
    """A list whose sources all fail costs exit code 1; the other list is sent."""
    good = write_list(tmp_path)
    bad = re.sub(r'url = ".*/', 'url = "nowhere/', good.read_text()).replace('id = "lab"', 'id = "a-bad-one"')
    (tmp_path / "bad.toml").write_text(bad)
    answer = run("send", "--config", str(tmp_path), "--now", DAY_ONE)
    assert answer.returncode == 1
    assert "every source" in answer.stderr
    assert len(mailbox.Maildir(tmp_path / "outbox")) == 2
