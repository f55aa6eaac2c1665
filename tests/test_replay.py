"""`digest replay` over editions that were made and sent for real, with votes cast in between."""

from __future__ import annotations

import json
import mailbox
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from digest.members import Ballot
from tests.past_days import ABOUT, DAYS, doi, morning, send, vote, write_past
from tests.test_cli import Answer, jsons, run

Replayed = tuple[list[dict[str, Any]], dict[str, Any]]
"""What `--json` says of each email, and in all."""
VIDEO, PROTEINS = '["video"]', '["proteins"]'


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five days that were sent: ada and bob began alike, and ada has voted; eve reads something else and never did."""
    config = write_past(tmp_path_factory.mktemp("past"), [("ada", VIDEO), ("bob", VIDEO), ("eve", PROTEINS)])
    send(config, DAYS[0])
    send(config, DAYS[1])
    vote(config, "ada", doi(DAYS[0], 2), Ballot.MORE, morning(DAYS[1], 8))
    vote(config, "ada", doi(DAYS[1], 1), Ballot.LESS, morning(DAYS[1], 9))
    send(config, DAYS[2])
    vote(config, "ada", doi(DAYS[2], 2), Ballot.SAVE, morning(DAYS[2], 9))
    send(config, DAYS[3])
    send(config, DAYS[4])
    vote(config, "ada", doi(DAYS[3], 3), Ballot.MORE, morning(DAYS[4], 9))
    vote(config, "bob", doi(DAYS[4], 3), Ballot.MORE, morning(DAYS[4], 9))
    assert len(mailbox.Maildir(config.parent / "outbox")) == 15
    return config


@pytest.fixture(scope="module")
def unchanged(past: Path) -> Replayed:
    """All five days under the config that sent them."""
    return replayed("--config", str(past))


@pytest.fixture
def other(past: Path) -> Iterator[Path]:
    """The same list, changed: where a test writes another config."""
    path = past.with_name("other.toml")
    yield path
    path.unlink(missing_ok=True)


def replay(*arguments: str, since: str = DAYS[0].isoformat()) -> Answer:
    return run("replay", "--since", since, "--now", morning(DAYS[4], 12).isoformat(), *arguments)


def replayed(*arguments: str, since: str = DAYS[0].isoformat()) -> Replayed:
    """What `--json` says of each email, and in all."""
    answer = replay("--json", *arguments, since=since)
    assert answer.returncode == 0, answer
    lines = jsons(answer.stdout)
    return [line for line in lines if "to" in line], lines[-1]


def picks(emails: list[dict[str, Any]], to: str, way: str) -> list[list[str]]:
    return [each["picks"][way] for each in emails if each["to"] == f"{to}@example.org"]


def test_the_config_that_sent_them_changes_nothing(unchanged: Replayed) -> None:
    """Every email of every day is selected again as it was sent, with votes and without."""
    emails, in_all = unchanged
    assert len(emails) == 15
    assert all(each["picks"]["sent"] == each["picks"]["config.toml"] for each in emails)
    assert all(each["picks"]["sent"] for each in emails)
    assert [(c["with_votes"], c["emails"], c["changed"]) for c in in_all["changes"]] == [(True, 10, 0), (False, 5, 0)]
    assert in_all["editions"] == 5


def test_a_vote_counts_from_the_first_edition_after_it_and_not_before(unchanged: Replayed) -> None:
    """Ada was sent what bob was until she voted, and something else afterwards: the replay knows what was known."""
    emails, _ = unchanged
    known = [each["votes_known"] for each in emails if each["to"] == "ada@example.org"]
    assert known == [0, 0, 2, 3, 3]
    ada, bob = (picks(emails, name, "config.toml") for name in ("ada", "bob"))
    today = [DAYS.index(day) for day in DAYS]
    same = [[p.partition(".")[2] for p in ada[n]] == [p.partition(".")[2] for p in bob[n]] for n in today]
    assert same == [True, True, False, False, False]


def test_votes_judge_only_the_editions_that_came_before_them(unchanged: Replayed) -> None:
    """A paper that was liked after its edition counts for it; no email is judged by a vote that its ranking knew."""
    emails, in_all = unchanged
    liked = {(each["to"][:3], each["edition"]["number"]): each["liked"] for each in emails if each["liked"]}
    assert liked == {
        ("ada", 1): [doi(DAYS[0], 2)],
        ("ada", 3): [doi(DAYS[2], 2)],
        ("ada", 4): [doi(DAYS[3], 3)],
        ("bob", 5): [doi(DAYS[4], 3)],
    }
    precision, ndcg = in_all["figures"]
    assert (precision["name"], precision["emails"]) == ("precision@3", 5)
    assert (ndcg["name"], ndcg["emails"]) == ("nDCG@3", 4)
    assert in_all["judges"] == 2


def test_another_config_shows_the_change_that_is_expected(past: Path, other: Path) -> None:
    """With two papers an email instead of three, each loses its last; nothing comes and nothing moves."""
    other.write_text(past.read_text().replace("papers = 3", "papers = 2"))
    emails, in_all = replayed("--config", str(other), "--to", "bob@example.org", "--to", "eve@example.org")
    assert len(emails) == 10
    assert all(each["picks"]["other.toml"] == each["picks"]["sent"][:2] for each in emails)
    assert [(c["in"], c["out"], c["moved"]) for c in in_all["changes"]] == [(0, 5, 0), (0, 5, 0)]
    assert all(c["overlap"] == pytest.approx(2 / 3) for c in in_all["changes"])


def test_other_topics_show_in_the_figures(past: Path, other: Path) -> None:
    """Under a topic that names what bob liked, it comes, and precision and nDCG by his vote rise from 0."""
    other.write_text(past.read_text().replace('text = "video diffusion"', 'text = "video diffusion frozen lakes"'))
    _, in_all = replayed("--to", "bob@example.org", "--config", str(past), "--against", str(other))
    precision, ndcg = in_all["figures"]
    assert precision["means"]["sent"] == precision["means"]["config.toml"] == 0
    assert precision["means"]["other.toml"] == pytest.approx(1 / 3)
    assert ndcg["means"]["other.toml"] == ndcg["gain"] == 1
    assert ndcg["interval"] is None, "one email says nothing of others"
    shown = replay("--to", "bob@example.org", "--config", str(past), "--against", str(other)).stdout
    assert "sent 0.000, config.toml 0.000, other.toml 1.000: +1.000 (too few to say), n = 1 email" in shown
    assert f"{ABOUT[3]} ♥" in shown


def test_what_was_sent_later_was_not_sent_before(tmp_path: Path) -> None:
    """A paper just missed on one day, and sent on the next, comes on the first one under a config with more places."""
    config = write_past(
        tmp_path, [("eve", PROTEINS)], '\n[[sources]]\nkind = "feed"\nname = "mirror"\nurl = "mirror"\n'
    )
    feeds, mirror = tmp_path / "feeds", tmp_path / "mirror"
    mirror.mkdir()
    first = (feeds / f"{DAYS[0]}.xml").read_text()
    head, *items = first.split("<item>")
    (mirror / f"{DAYS[0]}.xml").write_text(f"{head}</channel></rss>")
    again = items[7].replace(f"{morning(DAYS[0]):%d %b}", f"{morning(DAYS[1]):%d %b}")
    for folder, text in ((mirror, f"{head}<item>{again}"), (feeds, f"{head}</channel></rss>")):
        (folder / f"{DAYS[1]}.xml").write_text(text)
    for day in DAYS[:2]:
        send(config, day)
    emails, in_all = replayed("--config", str(config))
    assert picks(emails, "eve", "sent") == [[doi(DAYS[0], n) for n in (4, 5, 6)], [doi(DAYS[0], 7)]]
    assert in_all["changes"][0]["changed"] == 0
    config.write_text(config.read_text().replace("papers = 3", "papers = 4"))
    emails, _ = replayed("--config", str(config))
    assert picks(emails, "eve", "config.toml") == [[doi(DAYS[0], n) for n in (4, 5, 6, 7)], [doi(DAYS[0], 7)]]


def test_whoever_came_later_is_shown_and_not_compared(past: Path, other: Path) -> None:
    """A reader of the other config alone would have had papers; as nothing was sent, nothing has changed."""
    other.write_text(past.read_text() + '\n[[subscribers]]\nemail = "new@example.org"\ntopics = ["proteins"]\n')
    emails, in_all = replayed("--config", str(past), "--against", str(other), "--to", "new@example.org")
    assert all(each["picks"]["sent"] is None and each["picks"]["config.toml"] is None for each in emails)
    assert [len(each["picks"]["other.toml"]) for each in emails] == [3] * 5
    assert in_all["came_later"] == 5
    assert in_all["changes"] == []


def test_each_edition_is_for_those_who_want_it_so_often(tmp_path: Path) -> None:
    """A weekly reader has her round-ups, a daily one the list's own editions: as they were sent, and nobody else."""
    config = write_past(tmp_path, [("ada", VIDEO), ("bob", VIDEO)])
    config.write_text(config.read_text() + 'frequency = "weekly"\n')
    for day in DAYS[:3]:
        send(config, day)
    monday = morning(DAYS[0] + timedelta(days=7)).isoformat()
    run("send", "--config", str(config), "--now", monday)
    lines = jsons(run("replay", "--json", "--config", str(config), "--since", f"{DAYS[0]}", "--now", monday).stdout)
    emails = [line for line in lines if "to" in line]
    assert all(each["picks"]["sent"] == each["picks"]["config.toml"] for each in emails)
    assert len(emails) == len(mailbox.Maildir(tmp_path / "outbox"))
    assert max(map(len, picks(emails, "bob", "sent"))) == 3
    assert lines[-1]["came_later"] == 0


def test_whoever_has_left_is_told_of(tmp_path: Path) -> None:
    """She is not selected for any more, and the figures say that she is missing."""
    config = write_past(tmp_path, [("ada", VIDEO), ("bob", VIDEO)])
    send(config, DAYS[0])
    run("subscribers", "remove", "bob@example.org", "--config", str(config))
    answer = replay("--config", str(config))
    assert "1 of its 2 readers have left" in answer.stdout
    assert "0 of 1 email changed" in answer.stdout


def test_nothing_is_recorded(past: Path, other: Path) -> None:
    """The database holds the same after it, word for word; no message leaves."""
    other.write_text(past.read_text().replace("papers = 3", "papers = 1"))

    def held() -> list[str]:
        with sqlite3.connect(past.parent / "digest.db") as connection:
            dump = list(connection.iterdump())
        connection.close()
        return dump

    before = held()
    replayed("--config", str(other))
    assert held() == before
    assert len(mailbox.Maildir(past.parent / "outbox")) == 15
    assert not (past.parent / "config.db").exists()


def test_days_are_chosen_and_a_past_without_editions_is_said(past: Path, tmp_path: Path) -> None:
    """--since and --until count the edition's own day, both included; where nothing was sent the exit code is 3."""
    _, in_all = replayed("--config", str(past), "--until", str(DAYS[2]), since=str(DAYS[1]))
    assert in_all["editions"] == 2
    answer = replay("--config", str(past), since=str(DAYS[4] + timedelta(days=1)))
    assert answer.returncode == 2
    assert "--since" in answer.stderr
    fresh = write_past(tmp_path, [("ada", VIDEO)])
    answer = replay("--config", str(fresh))
    assert answer.returncode == 3
    assert "no edition" in answer.stdout
    assert not (tmp_path / "digest.db").exists()


def test_mistakes_are_told(past: Path, other: Path) -> None:
    """A day that is none, a stranger, and another list's config each cost a line that says what to do."""
    wrong = replay("--config", str(past), since="yesterday")
    assert (wrong.returncode, "write it as 2026-06-01" in wrong.stderr) == (2, True)
    stranger = replay("--config", str(past), "--to", "who@example.org")
    assert (stranger.returncode, "who@example.org is not a subscriber" in stranger.stderr) == (2, True)
    other.write_text(past.read_text().replace('id = "lab"', 'id = "another"'))
    another = replay("--config", str(past), "--against", str(other))
    assert (another.returncode, "is the list another, not lab" in another.stderr) == (2, True)


@pytest.mark.skipif(sys.platform != "linux", reason="pipes of a chosen size, and a signal as a terminal sends it")
def test_ctrl_c_ends_it_and_leaves_nothing(past: Path) -> None:
    """A line that says so, no traceback, no lock, no file that was not there."""
    import fcntl

    before = sorted(path.name for path in past.parent.iterdir())
    command = [sys.executable, "-m", "digest", "replay", "--config", str(past), "--since", str(DAYS[0]), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)  # it cannot have said all before it is interrupted
    assert json.loads(process.stdout.readline())["to"] == "ada@example.org"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "stopped by Ctrl-C: nothing is recorded\n"
    left = sorted(path.name for path in past.parent.iterdir() if not path.name.endswith(("-wal", "-shm")))
    assert left == [name for name in before if not name.endswith(("-wal", "-shm"))]
    assert replay("--config", str(past)).returncode == 0
