"""`digest pause` and `digest resume`: nothing of a paused list leaves, and nothing is lost by it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from digest.app import App
from digest.holding import Hold
from digest.model import ListId, Pause
from digest.settings import load
from digest.store import Database, Pauses
from tests.factories import NOW, mailing_list
from tests.lists import DAY_ONE, write_list
from tests.servers.smtp import CollectingServer
from tests.test_cli import jsons, run
from tests.test_processes import start
from tests.test_scheduler import AT_SEVEN, World
from tests.waiting import PATIENCE, until


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(write_list(tmp_path))
    yield made
    made.loop.close()


def test_a_pause_is_kept_for_its_list_until_it_ends(database: Database) -> None:
    """The first pause holds, whoever pauses again; other lists have none; what ended is told once."""
    lab, other = Pauses(database, ListId("lab")), Pauses(database, ListId("other"))
    first, second = Pause(NOW, "ada@host", "wrong papers"), Pause(NOW + timedelta(hours=1), "bob@host")
    assert (lab.begin(first), lab.begin(second), lab.current()) == (first, first, first)
    assert other.current() is None
    assert (lab.end(), lab.end(), lab.current()) == (first, None, None)


def test_a_paused_list_is_not_sent_and_says_how_to_go_on(tmp_path: Path) -> None:
    """`send` refuses with one line, exit code 1, and makes no edition; after `resume` it sends."""
    config = str(write_list(tmp_path))
    paused = run("pause", "lab", "--reason", "wrong papers", "--config", config, "--now", DAY_ONE)
    assert paused.returncode == 0
    assert "paused since 2026-06-09 06:00 UTC by " in paused.stdout
    answer = run("send", "--config", config, "--now", DAY_ONE)
    assert (answer.returncode, answer.stderr.count("\n")) == (1, 1)
    assert answer.stderr.startswith("lab: paused since 2026-06-09 06:00 UTC by ")
    assert answer.stderr.endswith(": wrong papers; `digest resume lab` ends it\n")
    assert not (tmp_path / "outbox").exists()
    status = run("status", "--config", config)
    assert "wrong papers; `digest resume lab` ends it" in status.stdout
    assert "no edition yet" in status.stdout
    assert jsons(run("status", "--config", config, "--json").stdout)[0]["paused"]["reason"] == "wrong papers"
    resumed = run("resume", "lab", "--config", config)
    assert (resumed.returncode, "it was paused since 2026-06-09 06:00 UTC" in resumed.stdout) == (0, True)
    assert run("send", "--config", config, "--now", DAY_ONE).returncode == 0
    assert jsons(run("status", "--config", config, "--json").stdout)[0]["paused"] is None


def test_who_is_not_paused_cannot_be_resumed(tmp_path: Path) -> None:
    """It says so; exit code 3, as nothing was done. A list that there is not is a mistake of usage."""
    config = str(write_list(tmp_path))
    answer = run("resume", "--config", config)
    assert (answer.returncode, "it is not paused" in answer.stdout) == (3, True)
    assert run("pause", "no-such", "--config", config).returncode == 2


def test_who_says_what_was_sent_is_not_heard_in_vain(tmp_path: Path) -> None:
    """After a pause by hand `--sent` would change nothing: it is refused, and the list stays paused."""
    config = str(write_list(tmp_path))
    run("pause", "lab", "--config", config)
    for option in ("--sent", "--unsent"):
        answer = run("resume", "lab", option, "--config", config)
        assert answer.returncode == 2
        assert answer.stderr.startswith(f"lab: {option} answers what `digest restore` asks, and the pause is by ")
    assert jsons(run("status", "--config", config, "--json").stdout)[0]["paused"] is not None


def test_a_test_and_a_rehearsal_go_on_during_a_pause(tmp_path: Path) -> None:
    """They send nothing to the list's readers, and help to find out what was wrong."""
    config = str(write_list(tmp_path))
    run("pause", "--config", config)
    assert run("send", "--dry-run", "--config", config, "--now", DAY_ONE).returncode == 0
    assert run("send", "--test", "me@example.org", "--config", config, "--now", DAY_ONE).returncode == 0


def test_a_pause_ends_a_send_under_way_in_another_process(tmp_path: Path) -> None:
    """It ends by itself: what has not left is queued, nothing is in doubt, and later each reader has one copy."""
    with CollectingServer() as server:
        config = write_list(tmp_path, readers=12, port=server.port, extra='rate = "1/second"\n')
        process = start(config)
        until(lambda: server.messages, "no message has come")
        assert run("pause", "--config", str(config)).returncode == 0
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1, err
        sent = json.loads(out)
        assert sent["held"].startswith("paused since ")
        (overview,) = sent["editions"]
        assert overview["counts"] == {"sent": len(server.messages), "queued": 12 - len(server.messages)}
        assert 1 <= len(server.messages) < 12
        run("resume", "--config", str(config))
        config.write_text(config.read_text().replace('rate = "1/second"\n', ""))
        assert run("send", "--config", str(config), "--now", DAY_ONE).returncode == 0
        assert Counter(m.recipients for m in server.messages) == {(f"reader{n}@example.org",): 1 for n in range(12)}


def pauses(world: World, act: Callable[[Pauses], object]) -> None:
    with App(load([world.path], {}).lists[0], lambda: world.now) as app:
        act(app.pauses)


def test_a_run_that_falls_into_a_pause_pulls_and_makes_its_edition_later(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is made or sent meanwhile, which is told once; resumed, one edition brings what was pulled."""
    pauses(world, lambda list_: list_.begin(Pause(world.now, "ada@host", "holiday")))
    world.do(world.runner.send, world.runner.tend, world.runner.tend)
    assert (world.overviews(), world.copies) == ((), 0)
    assert capsys.readouterr().out.count("waits: paused since ") == 1
    world.now += timedelta(hours=2)
    pauses(world, Pauses.end)
    world.do(world.runner.tend)
    (overview,) = world.overviews()
    assert (overview.edition.due_on, world.copies) == (AT_SEVEN.date(), 2)
    assert "waits" not in capsys.readouterr().out


def test_what_was_pulled_during_a_pause_is_not_lost(world: World) -> None:
    """A source that shows nothing any more when the list is resumed: its papers are in the edition all the same."""
    pauses(world, lambda list_: list_.begin(Pause(world.now, "ada@host")))
    world.do(world.runner.send)
    pauses(world, Pauses.end)
    empty = world.path.parent / "empty"
    empty.mkdir()
    text = world.path.read_text()
    for line in [line for line in text.splitlines() if line.startswith("url = ")]:
        text = text.replace(line, f'url = "{empty.as_posix()}"')
    world.path.write_text(text)
    world.do(world.runner.tend)
    (overview,) = world.overviews()
    assert overview.candidates > 0
    assert world.copies == 2


def test_a_list_goes_on_by_itself_when_its_hours_begin(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The edition of seven is made at seven and leaves at nine; why it waits is told once, and is no failure."""
    world.path.write_text(world.path.read_text().replace("papers = 3", 'papers = 3\nsend_window = "09:00-17:00"'))
    world.do(world.runner.send, world.runner.tend, world.runner.tend)
    (overview,) = world.overviews()
    assert (overview.edition.due_on, world.copies) == (AT_SEVEN.date(), 0)
    captured = capsys.readouterr()
    assert captured.out.count("waits: `send_window` opens on Tuesday 2026-06-09 at 09:00 UTC") == 1
    assert captured.err == ""
    world.now = AT_SEVEN.replace(hour=9)
    world.do(world.runner.tend)
    assert world.copies == 2
    assert world.overviews()[0].finished_at is not None


def test_hours_that_end_are_noticed_when_they_do(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked again when the window closes, and not only every so often."""
    monkeypatch.setattr("digest.holding.LOOK_EVERY", timedelta(hours=1))
    closes = datetime(2026, 6, 9, 21, tzinfo=UTC)
    clock = [closes - timedelta(milliseconds=30)]

    def now() -> datetime:
        clock[0] += timedelta(milliseconds=10)
        return clock[0]

    list_ = mailing_list(send_window="* 07:00-21:00")
    hold = Hold(list_, Pauses(database, list_.id), now)
    assert hold.reason() is None

    async def main() -> str:
        async with asyncio.timeout(PATIENCE):
            return await hold.wait()

    assert asyncio.run(main()) == "`send_window` opens on Wednesday 2026-06-10 at 07:00 UTC"
