"""What a list's runner owes its readers: their hours, patience with sources, and no surprise after a long absence."""

from __future__ import annotations

import contextlib
import mailbox
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from digest.app import App
from digest.model import DeliveryStatus, Frequency, ListId, Pause
from digest.pulling import Gathered, gather
from digest.settings import load
from tests.lists import DAY_ONE, FEEDS, write_list
from tests.test_cli import jsons, run
from tests.test_scheduler import AT_SEVEN, World

MINUTE = timedelta(minutes=1)
YORK = 'timezone = "America/New_York"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def worlds() -> Iterator[list[World]]:
    made: list[World] = []
    yield made
    for world in made:
        world.loop.close()


def listed(folder: Path, extra: str = "", *, of_list: str = "", readers: int = 2) -> Path:
    """A list with something for everybody; `extra` belongs to its last reader."""
    config = write_list(folder, readers, extra=extra)
    text = config.read_text().replace("papers = 3", f"papers = 3\nmin_relevance = 0\n{of_list}")
    config.write_text(text)
    return config


def opened(worlds: list[World], config: Path, now: datetime = AT_SEVEN) -> World:
    world = World(config)
    world.now = now
    worlds.append(world)
    return world


def until(world: World, end: datetime) -> None:
    """Turns the clock from minute to minute, as the program looks."""
    while world.now < end:
        world.now += MINUTE
        world.do(world.runner.tend)


def at(world: World, moment: datetime) -> None:
    """Turns the clock to a minute at which the program looks."""
    world.now = moment
    world.do(world.runner.tend)


# --- her own hour ---------------------------------------------------------------------------------------------------


def test_who_waits_for_her_hour_is_counted_and_told(folder: Path, worlds: list[World]) -> None:
    """The edition of seven is made for both; New York's leaves at eleven, UTC. Nothing is done for it until then."""
    config = listed(folder, YORK)
    world = opened(worlds, config)
    world.do(world.runner.send)
    (overview,) = world.overviews()
    assert (overview.counts, overview.adds_up, world.copies) == (
        {DeliveryStatus.SENT: 1, DeliveryStatus.QUEUED: 1}, True, 1,
    )  # fmt: skip
    status = run("status", "--config", str(config), "--now", "2026-06-09T08:00Z")
    assert "  waits: 1 waits for its reader's hour; it leaves on 2026-06-09 at 11:00 UTC\n" in status.stdout
    (told,) = jsons(run("status", "--config", str(config), "--now", "2026-06-09T08:00Z", "--json").stdout)
    assert told["editions"][0]["hours"] == {"2026-06-09T11:00:00+00:00": 1}
    at(world, AT_SEVEN.replace(hour=10, minute=59))
    assert world.copies == 1
    at(world, AT_SEVEN.replace(hour=11))
    assert world.copies == 2
    (overview,) = world.overviews()
    assert (overview.counts, overview.hours) == ({DeliveryStatus.SENT: 2}, {})
    assert overview.finished_at == world.now


def test_a_send_by_hand_waits_for_nobodys_hour(folder: Path, worlds: list[World]) -> None:
    """It sends what waits, dated now; with --at-their-hour it leaves it alone, and says so."""
    config = listed(folder, YORK)
    world = opened(worlds, config)
    world.do(world.runner.send)
    waits = run("send", "--at-their-hour", "--config", str(config), "--now", "2026-06-09T08:00Z")
    assert waits.returncode == 0
    assert "nothing to send: edition 1: 1 waits for their hour, the first leaves 2026-06-09 11:00 UTC" in waits.stdout
    assert world.copies == 1
    assert run("send", "--config", str(config), "--now", "2026-06-09T08:00Z").returncode == 0
    dates = {m["To"]: parsedate_to_datetime(m["Date"]).astimezone(UTC) for m in mailbox.Maildir(folder / "outbox")}
    assert dates == {"reader0@example.org": AT_SEVEN, "reader1@example.org": AT_SEVEN.replace(hour=8)}
    assert world.overviews()[0].counts == {DeliveryStatus.SENT: 2}


def test_a_send_by_hand_to_one_reader_leaves_the_others_waiting(folder: Path, worlds: list[World]) -> None:
    """Only hers is let go."""
    config = listed(folder, YORK)
    config.write_text(config.read_text().replace('"reader0@example.org"\n', f'"reader0@example.org"\n{YORK}'))
    world = opened(worlds, config)
    world.do(world.runner.send)
    assert world.copies == 0
    assert run("send", "--to", "reader1@example.org", "--config", str(config), "--now", DAY_ONE).returncode == 0
    assert [message["To"] for message in mailbox.Maildir(folder / "outbox")] == ["reader1@example.org"]
    assert world.overviews()[0].waiting(world.now) == (1, AT_SEVEN.replace(hour=11))


def test_her_hour_and_the_lists_hours_both_hold(folder: Path, worlds: list[World]) -> None:
    """Her eleven o'clock, UTC, lies before the window opens: it leaves when that does."""
    world = opened(worlds, listed(folder, YORK, of_list='send_window = "13:00-15:00"'))
    world.do(world.runner.send)
    at(world, AT_SEVEN.replace(hour=12, minute=59))
    assert world.copies == 0
    at(world, AT_SEVEN.replace(hour=13))
    assert world.copies == 2


def test_the_days_of_trying_begin_at_her_hour(folder: Path, worlds: list[World]) -> None:
    """What was queued for eleven is given up five days after eleven, and dated so."""
    world = opened(worlds, listed(folder, YORK))
    world.do(world.runner.send)
    with App(load([world.path], {}).lists[0], lambda: world.now) as app:
        one, other = app.editions.deliveries(world.overviews()[0].edition)
    assert (one.queued_at, one.next_attempt_at) == (AT_SEVEN, None)
    assert (other.queued_at, other.next_attempt_at) == (AT_SEVEN.replace(hour=11), AT_SEVEN.replace(hour=11))


# --- weekly and monthly ---------------------------------------------------------------------------------------------


def test_previews_show_each_reader_her_own_edition(folder: Path, worlds: list[World]) -> None:
    """On the second day, who gets it weekly sees what came since the last one: here nothing but the second day's."""
    config = str(listed(folder, 'frequency = "weekly"\n'))
    assert run("send", "--config", config, "--now", DAY_ONE).returncode == 0
    world = opened(worlds, Path(config))
    assert [o.edition.frequency for o in world.overviews()] == [Frequency.WEEKLY, None]
    assert [(o.counts, o.recipients) for o in world.overviews()] == [({DeliveryStatus.SENT: 1}, 1)] * 2
    later = ("--config", config, "--now", "2026-06-11T06:00Z", "--json")
    assert run("pull", "--config", config, "--now", "2026-06-10T06:00Z").returncode == 0
    daily, weekly = jsons(run("rank", *later).stdout)
    assert (daily["edition"]["frequency"], weekly["edition"]["frequency"]) == (None, "weekly")
    (previewed,) = jsons(run("preview", "--to", "reader1@example.org", "--out", str(folder / "p"), *later).stdout)
    assert (previewed["edition"]["frequency"], previewed["picks"]) == ("weekly", weekly["picks"])
    rehearsed = jsons(run("send", "--dry-run", *later).stdout)
    assert [[each["to"] for each in edition["would_send"]] for edition in rehearsed] == [
        ["reader0@example.org"], ["reader1@example.org"],
    ]  # fmt: skip


def test_a_weekly_edition_goes_by_its_number_and_is_on_no_page(folder: Path) -> None:
    """Its day means the list's own edition; the archive has that one alone; both have Message-IDs of their own."""
    config = str(listed(folder, 'frequency = "weekly"\n'))
    assert run("send", "--config", config, "--now", DAY_ONE).returncode == 0
    of_number = jsons(run("deliveries", "2", "--config", config, "--json").stdout)
    of_day = jsons(run("deliveries", "2026-06-09", "--config", config, "--json").stdout)
    assert [each["address"] for each in of_number] == ["reader1@example.org"]
    assert [(each["address"], each["edition"]) for each in of_day] == [("reader0@example.org", 1)]
    assert "weekly edition 2 of 2026-06-09: " in run("status", "--config", config).stdout
    with App(load([Path(config)], {}).lists[0], lambda: AT_SEVEN) as app:
        assert app.archive.days() == (date(2026, 6, 9),)
        assert len(app.archive.between(date(2026, 6, 1), date(2026, 6, 30))) == 1
        latest = app.editions.latest(app.list.id)
    assert latest is not None
    assert latest.number == 1


def test_a_round_up_has_the_news_of_all_its_days(folder: Path, worlds: list[World]) -> None:
    """It is made on the next Monday, of Tuesday's and Wednesday's papers together, each source's figures added up."""
    config = listed(folder, 'frequency = "weekly"\n')
    world = opened(worlds, config, AT_SEVEN - timedelta(days=1))
    world.do(world.runner.catch_up)  # Monday: nothing yet, and the week begins
    for day in (1, 2, 7):
        world.now = AT_SEVEN - timedelta(days=1) + timedelta(days=day)
        world.do(world.runner.tend)
    weekly = [o for o in world.overviews() if o.edition.frequency]
    own = [o for o in world.overviews() if not o.edition.frequency]
    assert [f"{o.edition.due_on:%a %d}" for o in weekly] == ["Mon 15", "Tue 09"]
    assert [f"{o.edition.due_on:%a %d}" for o in own] == ["Wed 10", "Tue 09"]
    assert weekly[0].candidates == own[0].candidates
    assert (weekly[0].edition.since, weekly[0].edition.cutoff) == (own[1].edition.cutoff, world.now)


# --- patience with sources ------------------------------------------------------------------------------------------


def counted(monkeypatch: pytest.MonkeyPatch, world: World) -> list[str]:
    """When the sources were asked."""
    looks: list[str] = []
    fetch = App.fetch

    async def fetched(app: App, *arguments: Any) -> Any:
        looks.append(f"{world.now:%H:%M}")
        return await fetch(app, *arguments)

    monkeypatch.setattr(App, "fetch", fetched)
    return looks


WAITING = 'wait_until = "09:00"'


def broken(config: Path) -> str:
    """The config as it was; now Hugging Face's folder is not there."""
    good = config.read_text()
    config.write_text(good.replace(f"{FEEDS.as_posix()}/huggingface", "nowhere"))
    return good


def test_a_failed_source_is_asked_again_until_it_is_in(
    folder: Path, worlds: list[World], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After growing pauses; the edition is made as soon as it has answered, and says nothing of the failure."""
    config = listed(folder, of_list=WAITING)
    good = broken(config)
    world = opened(worlds, config)
    looks = counted(monkeypatch, world)
    world.do(world.runner.send)
    assert "lab: waits until 09:00 UTC at the latest for huggingface; looks again at 07:0" in capsys.readouterr().out
    until(world, AT_SEVEN.replace(minute=30))
    assert world.overviews() == ()
    config.write_text(good)
    until(world, AT_SEVEN.replace(minute=59))
    (overview,) = world.overviews()
    assert [summary.error for summary in overview.sources] == [None, None]
    assert (overview.edition.due_on, world.copies) == (AT_SEVEN.date(), 2)
    assert looks[0] == "07:00"
    assert 3 <= len(looks) <= 4, looks


def test_the_edition_closes_at_wait_until_with_what_there_is(
    folder: Path, worlds: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At nine, to the minute; what the other sources gave at seven is in it, and the failure at its foot."""
    config = listed(folder, of_list=WAITING)
    broken(config)
    world = opened(worlds, config)
    looks = counted(monkeypatch, world)
    world.do(world.runner.send)
    config.write_text(config.read_text().replace(f"{FEEDS.as_posix()}/arxiv", "nowhere/either"))
    until(world, AT_SEVEN.replace(minute=20))
    at(world, AT_SEVEN.replace(hour=8, minute=59))
    assert world.overviews() == ()
    at(world, AT_SEVEN.replace(hour=9))
    (overview,) = world.overviews()
    assert all(summary.error for summary in overview.sources)
    assert overview.candidates > 0
    assert world.copies == 2
    assert looks[-1] == "09:00"


def test_a_source_that_says_when_it_has_the_rest_is_asked_then(
    folder: Path, worlds: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ArXiv's announcement is late: it is not asked every few minutes, but when it is expected."""
    there = AT_SEVEN + timedelta(minutes=70)

    async def late(*arguments: Any) -> Gathered:
        found = await gather(*arguments)
        if world.now >= there:
            return found
        return replace(found, reports=tuple(replace(r, look_again_at=there) for r in found.reports))

    monkeypatch.setattr("digest.app.gather", late)
    world = opened(worlds, listed(folder, of_list=WAITING))
    looks = counted(monkeypatch, world)
    world.do(world.runner.send)
    until(world, AT_SEVEN.replace(hour=8, minute=15))
    assert looks == ["07:00", "08:10"]
    assert world.overviews()[0].edition.cutoff == there


def test_a_restart_goes_on_waiting(folder: Path, worlds: list[World]) -> None:
    """The run is owed still; the new process looks at once, and closes at nine as well."""
    config = listed(folder, of_list=WAITING)
    broken(config)
    world = opened(worlds, config)
    world.do(world.runner.send)
    world = opened(worlds, config, AT_SEVEN.replace(minute=40))
    world.do(world.runner.catch_up)
    at(world, AT_SEVEN.replace(hour=8, minute=59))
    assert world.overviews() == ()
    at(world, AT_SEVEN.replace(hour=9))
    assert world.copies == 2


def test_another_id_under_a_running_program_is_told_and_not_taken(
    folder: Path, worlds: list[World], capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be another list, whose readers have had nothing: they would get all papers again."""
    config = listed(folder)
    world = opened(worlds, config)
    world.do(world.runner.send)
    assert world.copies == 2
    config.write_text(config.read_text().replace('id = "lab"', 'id = "labour"'))
    world.do(world.runner.send)
    told = "`id` is labour now, which is another list: write lab again, or start digest anew if that is meant"
    assert f"{config}: {told}; the config as it was goes on" in capsys.readouterr().err
    assert world.copies == 2
    with contextlib.closing(sqlite3.connect(config.parent / "digest.db")) as database:
        assert database.execute("SELECT DISTINCT list_id FROM editions").fetchall() == [("lab",)]


def test_without_the_key_no_reader_waits_for_a_source(folder: Path, worlds: list[World]) -> None:
    """The edition leaves on time with what there is; the failure is named, and is made up for by the next."""
    config = listed(folder)
    broken(config)
    world = opened(worlds, config)
    world.do(world.runner.send)
    assert world.copies == 2
    assert [bool(summary.error) for summary in world.overviews()[0].sources] == [False, True]


# --- late runs ------------------------------------------------------------------------------------------------------

LATE = 'max_lateness = "3 hours"'


def test_a_machine_that_slept_makes_the_run_within_a_minute_of_waking(
    folder: Path, worlds: list[World], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing but the look of every minute tells it: the job on the schedule is late by as long as it slept."""
    world = opened(worlds, listed(folder), AT_SEVEN - timedelta(hours=3))
    world.do(world.runner.catch_up)
    world.now = AT_SEVEN + timedelta(hours=2)
    world.do(world.runner.tend)
    assert world.copies == 2
    assert capsys.readouterr().err == ""
    world.do(world.runner.send)  # the job on the schedule, after all
    assert world.copies == 2


def test_what_is_too_late_waits_for_approval(
    folder: Path, worlds: list[World], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said once, `digest status` shows it, what sources show now is kept, and `digest send` makes it."""
    config = listed(folder, of_list=LATE)
    world = opened(worlds, config, AT_SEVEN - timedelta(hours=3))
    world.do(world.runner.catch_up)
    world.now = AT_SEVEN + timedelta(hours=3, minutes=1)
    world.do(world.runner.tend, world.runner.tend)
    world.now += timedelta(hours=1)
    world.do(world.runner.tend)
    assert (world.overviews(), world.copies) == ((), 0)
    said = (
        "the run of Tuesday 2026-06-09 07:00 UTC was missed, and is later than `max_lateness` allows: "
        "`digest send lab` makes it now; else the run of Wednesday 2026-06-10 07:00 brings all of it"
    )
    assert capsys.readouterr().err == f"lab: {said}\n"
    at = ("--config", str(config), "--now", "2026-06-09T12:00Z")
    assert f"  overdue since 2026-06-09 07:00 UTC: {said}\n" in run("status", *at).stdout
    assert jsons(run("status", *at, "--json").stdout)[0]["overdue"]["why"] == said
    assert run("send", "lab", *at).returncode == 0
    assert world.copies == 2
    assert jsons(run("status", *at, "--json").stdout)[0]["overdue"] is None
    world.do(world.runner.tend)
    assert len(world.overviews()) == 1


def test_what_nobody_approved_is_in_the_next_run(folder: Path, worlds: list[World]) -> None:
    """One edition with all of it, by itself."""
    world = opened(worlds, listed(folder, of_list=LATE), AT_SEVEN - timedelta(hours=3))
    world.do(world.runner.catch_up)
    world.now = AT_SEVEN + timedelta(hours=4)
    world.do(world.runner.tend)
    world.now = AT_SEVEN + timedelta(days=1)
    world.do(world.runner.tend)
    (overview,) = world.overviews()
    assert overview.edition.due_on == AT_SEVEN.date() + timedelta(days=1)
    assert world.copies == 2


def test_a_run_that_brought_nothing_is_not_missed_after_a_restart(
    folder: Path, worlds: list[World], capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty day leaves no edition, and yet is dealt with: nobody is asked to approve nothing."""
    config = listed(folder, of_list=LATE)
    friday = datetime(2026, 6, 12, 7, tzinfo=UTC)
    world = opened(worlds, config)
    world.do(world.runner.send)
    for day in (1, 2, 3):
        world.now = AT_SEVEN + timedelta(days=day)
        world.do(world.runner.tend)
    assert world.now == friday
    assert world.overviews()[0].edition.due_on < friday.date()
    world = opened(worlds, config, friday + timedelta(hours=20))
    world.do(world.runner.catch_up)
    captured = capsys.readouterr()
    assert "missed" not in captured.out + captured.err


def test_a_new_list_that_was_down_at_its_first_run_makes_it(folder: Path, worlds: list[World]) -> None:
    """It was started before, so it is owed; a list that was never started before owes nothing."""
    config = listed(folder)
    world = opened(worlds, config, AT_SEVEN + timedelta(hours=1))
    world.do(world.runner.catch_up, world.runner.tend)
    assert world.copies == 0
    world = opened(worlds, config, AT_SEVEN + timedelta(days=1, hours=2))
    world.do(world.runner.catch_up)
    assert [o.edition.due_on for o in world.overviews()] == [date(2026, 6, 10)]


def test_a_rehearsal_in_the_future_does_not_silence_a_list(folder: Path, worlds: list[World]) -> None:
    """Somebody sent with --now in another year: today's run is made all the same."""
    config = listed(folder)
    assert run("send", "--config", str(config), "--now", "2027-01-01T09:00Z").returncode in (0, 3)
    world = opened(worlds, config)
    world.do(world.runner.send)
    assert AT_SEVEN.date() in [o.edition.due_on for o in world.overviews()]


def test_a_paused_list_asks_for_no_approval(
    folder: Path, worlds: list[World], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is somebody's will that it waits; that it was overdue is said when it is resumed."""
    world = opened(worlds, listed(folder, of_list=LATE))
    with App(load([world.path], {}).lists[0], lambda: world.now) as app:
        app.pauses.begin(Pause(world.now, "ada@host"))
    world.do(world.runner.send)
    world.now += timedelta(hours=5)
    world.do(world.runner.tend)
    assert "max_lateness" not in capsys.readouterr().err


# --- two schedulers -------------------------------------------------------------------------------------------------


@pytest.mark.no_cover
@pytest.mark.parametrize("turn", range(6))
def test_two_schedulers_make_one_edition_of_each_kind(folder: Path, turn: int) -> None:
    """At the same moment, with weekly and monthly readers and hours: one of each, and each reader one copy."""
    config = listed(folder, 'frequency = "weekly"\n', readers=4)
    text = config.read_text()
    text = text.replace('"reader0@example.org"\n', '"reader0@example.org"\nfrequency = "monthly"\n')
    config.write_text(text.replace('"reader1@example.org"\n', f'"reader1@example.org"\n{YORK}'))
    with App(load([config], {}).lists[0], lambda: AT_SEVEN) as app:
        app.runs.settle(AT_SEVEN - timedelta(days=1))
    both = threading.Barrier(2)
    failed: list[BaseException] = []

    def one() -> None:
        world = World(config)
        try:
            both.wait(60)
            world.do(world.runner.send if turn % 2 else world.runner.tend)
            world.now = AT_SEVEN.replace(hour=11)
            both.wait(60)
            world.do(world.runner.tend)
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            world.loop.close()

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failed == []
    with App(load([config], {}).lists[0], lambda: AT_SEVEN) as app:
        made = app.editions.recent(ListId("lab"), 9)
        assert sorted(str(o.edition.frequency) for o in made) == ["None", "monthly", "weekly"]
        assert all(o.adds_up and o.finished_at for o in made)
    copies = Counter(message["To"] for message in mailbox.Maildir(folder / "outbox"))
    assert copies == {f"reader{n}@example.org": 1 for n in range(4)}
