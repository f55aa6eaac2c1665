"""The commands as a user runs them: what they print, where, and the exit code."""

from __future__ import annotations

import contextlib
import io
import json
import mailbox
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from digest import __version__
from digest.app import App
from digest.cli import main
from digest.model import ListId, Rate
from digest.send.rate import Limiter
from digest.settings import load
from tests.lists import DAY_ONE, DAY_TWO, FEEDS, write_list
from tests.servers.smtp import CollectingServer, rejects_rcpt_550
from tests.waiting import PATIENCE, until

COMMANDS = (
    *(
        "init",
        "check",
        "pull",
        "rank",
        "preview",
        "send",
        "status",
        "deliveries",
        "retry",
        "resolve",
        "run",
        "web",
        "mailbox",
        "replay",
    ),
    *("pause", "resume", "suppressions", "subscribers", "feeds", "demo", "backup", "restore", "prune"),
)


@dataclass(frozen=True)
class Answer:
    """What a command said, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str, cwd: Path | None = None, **environ: str) -> Answer:
    """`digest …` in this process: `main()` with its own arguments, streams, folder and environment."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DIGEST_")} | environ
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["digest", *arguments]),
        mock.patch.dict(os.environ, environment, clear=True),
        contextlib.chdir(cwd or Path.cwd()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as exit_,
    ):
        main()
    return Answer(int(exit_.value.code or 0), out.getvalue(), err.getvalue())


def jsons(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_list(tmp_path)


def test_help_names_every_command_and_teaches() -> None:
    """`digest --help` lists the commands with whole sentences, and every command's help ends with an example."""
    answer = run("--help")
    assert answer.returncode == 0
    assert "..." not in answer.stdout.partition("Commands:")[2], "no sentence is cut"
    for command in COMMANDS:
        assert re.search(rf"^ +{command} ", answer.stdout, re.M)
        help_of = run(command, "--help")
        assert "..." not in help_of.stdout.partition("Commands:")[2], "no sentence is cut"
        pythons = re.search(r"^ +\S.* <|[{}]|default: (0|False)\]", help_of.stdout, re.M)
        assert not pythons, "no types and values of Python's"
        assert help_of.returncode == 0
        assert f"Example: digest {command}" in help_of.stdout


def test_arguments_of_groups_go_by_their_names() -> None:
    """One that must be said, and one that may be said several times."""
    text = run("subscribers", "examples", "--help").stdout
    assert "examples [OPTIONS] EMAIL [FILE]...\n" in text
    assert re.search(r"^  EMAIL  A member", text, re.M)
    assert re.search(r"^  FILE   BibTeX", text, re.M)


def test_the_version_is_the_packages() -> None:
    """`digest --version` says which one this is."""
    assert run("--version").stdout == f"digest {__version__}\n"


def test_the_module_is_the_command() -> None:
    """`python -m digest` is `digest`, exit code and all."""
    answer = subprocess.run([sys.executable, "-m", "digest", "no-such"], capture_output=True, text=True, check=False)
    assert (answer.returncode, "No such command 'no-such'" in answer.stderr) == (2, True)


def test_help_imports_nothing_heavy() -> None:
    """The libraries that cost a tenth of a second each are not loaded for `--help`."""
    code = (
        "import sys\nfrom digest.cli import cli\n"
        "try: cli(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'sqlalchemy', 'premailer', 'apscheduler', 'feedparser', 'pydantic', 'httpx2',"
        " 'jinja2', 'rich', 'alembic', 'aiosmtplib'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stderr.strip() == "[]"


@pytest.mark.parametrize("command", [["pull"], ["rank"], ["preview"], ["send"], ["status"], ["run"]])
def test_a_missing_config_says_what_to_do(command: Sequence[str], tmp_path: Path) -> None:
    """No config: exit code 2, one line that names the file and the command that writes one, no traceback."""
    answer = run(*command, cwd=tmp_path)
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert "config.toml" in answer.stderr
    assert "digest init" in answer.stderr


def test_a_typo_in_the_config_is_told_by_line(tmp_path: Path) -> None:
    """An unknown key: file, line, key and the key that was meant."""
    path = write_list(tmp_path)
    path.write_text(path.read_text().replace("papers = 3", "shedule = '0 7 * * *'"))
    answer = run("send", "--config", str(path))
    assert answer.returncode == 2
    assert f"{path}:5: `shedule` is not a key of [list]; did you mean `schedule`?" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_bad_clock_is_a_usage_error(config: Path) -> None:
    """`--now yesterday` is refused with the form that is meant."""
    answer = run("pull", "--config", str(config), "--now", "yesterday")
    assert (answer.returncode, answer.stderr) == (2, "--now yesterday: not a time; write it as 2026-06-09T07:00Z\n")


def test_pull_counts_each_source_and_knows_duplicates(config: Path) -> None:
    """The second pull finds the same announcements and calls them duplicates."""
    first = run("pull", "--config", str(config), "--now", DAY_ONE, "--json")
    again = run("pull", "--config", str(config), "--now", DAY_ONE, "--json")
    assert (first.returncode, again.returncode) == (0, 0)
    for before, after in zip(jsons(first.stdout)[0]["sources"], jsons(again.stdout)[0]["sources"], strict=True):
        assert before["received"] > 0
        assert before["duplicate"] == 0
        assert after["duplicate"] == after["received"] == before["received"]
        assert before["new"] + before["cross"] + before["replaced"] == before["received"]


def test_rank_explains_and_records_nothing(config: Path) -> None:
    """A ranking's reasons add up to its scores, and no database appears."""
    answer = run("rank", "--config", str(config), "--now", DAY_ONE, "--json", "--top", "5")
    assert answer.returncode == 0
    rows = jsons(answer.stdout)
    assert [row["subscriber"] for row in rows] == ["reader0@example.org", "reader1@example.org"]
    for row in rows:
        assert len(row["ranking"]) == 5
        for pick in row["ranking"]:
            assert sum(reason["weight"] for reason in pick["reasons"]) == pytest.approx(pick["score"])
    assert not (config.parent / "digest.db").exists()


def test_rank_says_what_keeps_the_popular_out_and_where_the_picks_are(tmp_path: Path) -> None:
    """What is popular may stand above all picks: that it is too far off is said, and that picks are further down."""
    config = write_list(tmp_path, readers=2)
    settings = "[list]\ntrend_weight = 0.9\nmin_relevance = 0.3\n"
    config.write_text(config.read_text(encoding="utf-8").replace("[list]\n", settings, 1), encoding="utf-8")
    of_all, of_one = (
        run("rank", "--config", str(config), "--now", DAY_ONE, "--to", "reader1@example.org", "--top", top, *more)
        for top, more in (("0", ["--json"]), ("1", []))
    )
    (row,) = jsons(of_all.stdout)
    assert row["ranking"][0]["relevance"] < 0.3
    assert row["picks"]
    assert f" candidates, {len(row['picks'])} further down: `--top 0` shows all; 1 of those shown is " in of_one.stdout
    assert "is under min_relevance = 0.3\n" in of_one.stdout


def test_rank_says_that_a_source_failed_where_there_is_nothing(tmp_path: Path) -> None:
    """No paper is known to be new, which is not to say that there is none."""
    config = write_list(tmp_path, readers=1)
    config.write_text(re.sub(r'url = ".*"', 'url = "gone.xml"', config.read_text(encoding="utf-8")), encoding="utf-8")
    answer = run("rank", "--config", str(config), "--now", DAY_ONE)
    assert answer.returncode == 3
    assert "nothing to rank: a source failed, and there was no new paper" in answer.stdout


def test_rank_for_a_stranger_names_who_is_known(config: Path) -> None:
    """`--to` somebody who is no subscriber: exit code 2 and a hint."""
    answer = run("rank", "--config", str(config), "--now", DAY_ONE, "--to", "x@example.org")
    assert answer.returncode == 2
    assert "x@example.org is not a subscriber" in answer.stderr
    assert "reader0@example.org" in answer.stderr


def test_rank_names_the_examples_that_nobody_knows(tmp_path: Path) -> None:
    """An example paper that no source has announced is told; one of today's candidates counts, and is not sent."""
    examples = 'topics = ["proteins"]\nexamples = ["arxiv:2606.90417", "arxiv:2001.00001"]\n'
    reader = f'\n[[subscribers]]\nemail = "c@example.org"\n{examples}'
    config = write_list(tmp_path, readers=0, extra=reader)
    answer = run("rank", "--config", str(config), "--now", DAY_ONE, "--json")
    (row,) = jsons(answer.stdout)
    assert row["unknown"] == ["arxiv:2001.00001"]
    assert row["picks"]
    assert "arxiv:2606.90417" not in row["picks"]


def test_rank_ranks_any_documents(tmp_path: Path) -> None:
    """The batch form: one JSON object a profile, in order, with scores that fall."""
    papers, profiles = tmp_path / "p.jsonl", tmp_path / "q.jsonl"
    papers.write_text(
        '{"id": "a", "title": "Video diffusion", "abstract": "Generating video by diffusion."}\n'
        '{"id": "b", "title": "Soil and worms", "abstract": "Worms turn the soil."}\n'
    )
    profiles.write_text('{"id": "ada", "topics": [{"name": "video", "text": "video generation by diffusion"}]}\n')
    answer = run("rank", "--papers", str(papers), "--profiles", str(profiles), "--top", "0", "--json")
    assert answer.returncode == 0, answer.stderr
    (row,) = jsons(answer.stdout)
    assert row["profile"] == "ada"
    assert row["ranking"][0]["id"] == "a"
    assert set(row["ranking"][0]) == {"id", "score", "relevance", "trend", "reasons"}


def test_rank_of_documents_needs_both_files(tmp_path: Path) -> None:
    """Half of the batch form is a usage error, not a traceback."""
    answer = run("rank", "--papers", str(tmp_path / "p.jsonl"))
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)


def test_preview_writes_three_files_a_reader(config: Path, tmp_path: Path) -> None:
    """.html, .txt and .eml for everybody, and no database."""
    out = tmp_path / "look"
    answer = run("preview", "--config", str(config), "--now", DAY_ONE, "--out", str(out))
    assert answer.returncode == 0, answer.stderr
    names = sorted(path.name for path in (out / "lab").iterdir())
    assert names == [f"reader{n}@example.org.{kind}" for n in (0, 1) for kind in ("eml", "html", "txt")]
    assert not (config.parent / "digest.db").exists()


def test_a_dry_run_shows_and_sends_nothing(config: Path) -> None:
    """`--dry-run` names every reader's picks; no message, no database."""
    answer = run("send", "--config", str(config), "--now", DAY_ONE, "--dry-run")
    assert answer.returncode == 0, answer.stderr
    assert "reader1@example.org" in answer.stdout
    assert "nothing was sent" in answer.stdout
    assert not (config.parent / "digest.db").exists()
    assert not (config.parent / "outbox").exists()


def test_send_fills_a_maildir_once(config: Path) -> None:
    """One message a reader; the second run sends nothing, says why, and exits with 0; the second day goes on."""
    first = run("send", "--config", str(config), "--now", DAY_ONE)
    assert first.returncode == 0, first.stderr
    assert len(mailbox.Maildir(config.parent / "outbox")) == 2
    again = run("send", "--config", str(config), "--now", DAY_ONE)
    assert again.returncode == 0
    assert "nothing to send: edition 1 of 2026-06-09 is complete: sent to 2 of 2" in again.stdout
    assert len(mailbox.Maildir(config.parent / "outbox")) == 2
    next_day = run("send", "--config", str(config), "--now", DAY_TWO)
    assert next_day.returncode == 0
    assert len(mailbox.Maildir(config.parent / "outbox")) == 4


def test_the_rates_of_the_config_are_kept(tmp_path: Path) -> None:
    """Every message asks the limiter for its turn, by the rates of [smtp]."""
    rates = 'rate = "6000/minute"\nper_domain = { "example.org" = "3000/minute" }\n'
    with CollectingServer() as server, mock.patch("digest.ways_out.Limiter", wraps=Limiter) as made:
        config = write_list(tmp_path, port=server.port, extra=rates)
        with mock.patch.object(Limiter, "acquire", autospec=True, side_effect=Limiter.acquire) as asked:
            assert run("send", "--config", str(config), "--now", DAY_ONE).returncode == 0
    made.assert_called_once_with(Rate(6000, 60), {"example.org": Rate(3000, 60)})
    assert [call.args[1] for call in asked.call_args_list] == ["example.org"] * 2


def test_previews_leave_out_what_was_sent_and_who_has_left(config: Path) -> None:
    """A dry run of the next day knows what went out; a reader who unsubscribed is in no rehearsal."""
    run("send", "--config", str(config), "--now", DAY_ONE)
    with App(load([config], {}).lists[0], lambda: datetime.fromisoformat(DAY_TWO)) as app:
        sent = {
            p.paper_id
            for d in app.editions.deliveries(app.editions.recent(ListId("lab"), 1)[0].edition)
            for p in d.picks
        }
        reader = app.membership.members.find(app.config.subscribers[0].address)
        assert reader
        assert app.membership.unsubscribe(reader)
    (rehearsed,) = jsons(run("send", "--config", str(config), "--now", DAY_TWO, "--dry-run", "--json").stdout)
    (only,) = rehearsed["would_send"]
    assert only["to"] == "reader1@example.org"
    assert not sent & set(only["picks"])
    done = run("send", "--config", str(config), "--now", DAY_TWO)
    assert done.returncode == 0
    (row,) = jsons(run("status", "--config", str(config), "--json").stdout)
    assert row["editions"][0]["recipients"] == 1


def test_status_adds_up(config: Path) -> None:
    """After a send the counts equal the frozen recipients; before it there is a hint."""
    before = run("status", "--config", str(config))
    assert (before.returncode, "no edition yet" in before.stdout) == (0, True)
    run("send", "--config", str(config), "--now", DAY_ONE)
    (row,) = jsons(run("status", "--config", str(config), "--json").stdout)
    (edition,) = row["editions"]
    assert (edition["counts"], edition["recipients"], edition["adds_up"]) == ({"sent": 2}, 2, True)
    assert "2 sent = 2 recipients" in run("status", "--config", str(config)).stdout


def test_to_sends_to_one_and_the_rest_waits(config: Path) -> None:
    """`--to` leaves the others queued; the next send without it finishes the edition."""
    one = run("send", "--config", str(config), "--now", DAY_ONE, "--to", "reader1@example.org")
    assert one.returncode == 0, one.stderr
    assert len(mailbox.Maildir(config.parent / "outbox")) == 1
    assert "1 queued, 1 sent" in one.stdout
    rest = run("send", "--config", str(config), "--now", DAY_ONE)
    assert rest.returncode == 0
    assert len(mailbox.Maildir(config.parent / "outbox")) == 2


def test_a_test_message_is_not_recorded(config: Path) -> None:
    """`--test` sends one real message to another address and leaves no trace in the ledger."""
    answer = run("send", "--config", str(config), "--now", DAY_ONE, "--test", "me@example.net")
    assert answer.returncode == 0, answer.stderr
    (message,) = mailbox.Maildir(config.parent / "outbox")
    assert "me@example.net" in message["To"]
    assert not (config.parent / "digest.db").exists()


def test_one_bad_source_is_named_and_the_rest_goes_out(tmp_path: Path) -> None:
    """A missing file costs exit code 1 and one line; the edition is sent all the same."""
    config = write_list(tmp_path, extra='\n[[sources]]\nkind = "feed"\nname = "gone"\nurl = "nowhere.xml"\n')
    answer = run("send", "--config", str(config), "--now", DAY_ONE)
    assert answer.returncode == 1
    assert re.search(r"^lab: source gone failed: .*nowhere\.xml", answer.stderr, re.M)
    assert len(mailbox.Maildir(tmp_path / "outbox")) == 2


WHOLE = (FEEDS / "journal" / "2026-06-09.xml").read_bytes()
BAD_SOURCES = {
    "a missing file": (None, "no such file"),
    "an empty file": (b"", "empty"),
    "a page instead of a feed": (b"<!doctype html><html><body><h1>Sign in</h1></body></html>", "page"),
    "a feed cut in mid-entry": (WHOLE[: len(WHOLE) * 2 // 3], "breaks off"),
}


@pytest.mark.parametrize(("content", "complaint"), BAD_SOURCES.values(), ids=BAD_SOURCES.keys())
def test_a_bad_source_costs_one_clear_line(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    """Whatever is wrong with one source: one line names it, the file and the trouble; the edition goes out; code 1."""
    if content is not None:
        (tmp_path / "bad.xml").write_bytes(content)
    config = write_list(tmp_path, extra='\n[[sources]]\nkind = "feed"\nname = "bad"\nurl = "bad.xml"\n')
    answer = run("send", "--config", str(config), "--now", DAY_ONE)
    assert answer.returncode == 1
    (line,) = answer.stderr.splitlines()
    assert line.startswith("lab: source bad failed: ")
    assert str(tmp_path / "bad.xml") in line
    assert complaint in line
    assert len(mailbox.Maildir(tmp_path / "outbox")) == 2


def test_what_an_earlier_pull_had_is_new_to_the_edition(config: Path) -> None:
    """`pull` before `send` takes nothing from what the edition's footer counts as new."""
    run("pull", "--config", str(config), "--now", DAY_ONE)
    (sent,) = jsons(run("send", "--config", str(config), "--now", DAY_ONE, "--json").stdout)
    assert [(s["source"], s["fresh"]) for s in sent["editions"][0]["sources"]] == [("arxiv", 25), ("huggingface", 9)]
    assert [s["fresh"] for s in sent["sources"]] == [0, 0]


@mock.patch("digest.pull.http.TRIES", 1)
def test_an_unreachable_server_costs_one_clear_line(tmp_path: Path) -> None:
    """A source whose server is not there is named with its address; the others go on."""
    config = write_list(tmp_path, extra='\n[[sources]]\nkind = "feed"\nname = "far"\nurl = "http://127.0.0.1:9/feed"\n')
    refused = run("pull", "--config", str(config), "--now", DAY_ONE)
    assert refused.returncode == 1
    assert "127.0.0.1 is no public address: refused; if this source is meant to be on this" in refused.stdout
    answer = run("send", "--config", str(config), "--now", DAY_ONE, DIGEST_PULL__ALLOW_PRIVATE="true")
    assert answer.returncode == 1
    assert re.fullmatch(
        r"lab: source far failed: could not connect to 127\.0\.0\.1:9: connection refused.*\n", answer.stderr
    )
    assert len(mailbox.Maildir(tmp_path / "outbox")) == 2


def test_a_relay_that_refuses_one_keeps_the_others(tmp_path: Path) -> None:
    """One refused recipient is named and bounced; everybody else gets the message; exit code 1."""
    with CollectingServer(replace(rejects_rcpt_550, only=b"reader0@")) as server:
        answer = run("send", "--config", str(write_list(tmp_path, port=server.port)), "--now", DAY_ONE)
        assert answer.returncode == 1
        assert "1 sent, 1 bounced = 2 recipients" in answer.stdout
        assert [message.recipients for message in server.messages] == [("reader1@example.org",)]


def test_when_every_source_fails_no_edition_is_made(tmp_path: Path) -> None:
    """Nothing is frozen, so that the next run can do better; exit code 1."""
    config = write_list(tmp_path)
    config.write_text(re.sub(r'url = ".*/', 'url = "nowhere/', config.read_text()))
    answer = run("send", "--config", str(config), "--now", DAY_ONE)
    assert answer.returncode == 1
    assert "every source" in answer.stderr
    assert "no edition yet" in run("status", "--config", str(config)).stdout


def test_a_list_without_readers_expects_some(tmp_path: Path) -> None:
    """No subscriber at all is exit code 3 with advice."""
    answer = run("send", "--config", str(write_list(tmp_path, readers=0)), "--now", DAY_ONE)
    assert answer.returncode == 3
    assert "[[subscribers]]" in answer.stdout


@mock.patch("digest.send.drain.RECONNECT_AFTER", (0.01,))
def test_a_server_that_is_not_there_pauses_and_charges_nobody(tmp_path: Path) -> None:
    """Connection refused: exit code 1, one clear line, everybody still queued; a later run goes on."""
    config = write_list(tmp_path, port=9)
    answer = run("send", "--config", str(config), "--now", DAY_ONE)
    assert answer.returncode == 1
    assert "127.0.0.1:9" in answer.stderr
    assert "2 queued = 2 recipients" in answer.stdout
    config.write_text(config.read_text().partition("[smtp]")[0])
    assert run("send", "--config", str(config), "--now", DAY_ONE).returncode == 0
    assert len(mailbox.Maildir(tmp_path / "outbox")) == 2


def test_a_folder_of_lists_is_an_installation(tmp_path: Path) -> None:
    """`--config FOLDER` works on every list in it; a list's id chooses one."""
    path = write_list(tmp_path)
    other = tmp_path / "other.toml"
    other.write_text(path.read_text().replace('id = "lab"', 'id = "other"'))
    answer = run("status", "--config", str(tmp_path), "--json")
    assert [row["list"] for row in jsons(answer.stdout)] == ["lab", "other"]
    one = run("send", "other", "--config", str(tmp_path), "--now", DAY_ONE, "--json")
    assert [row["list"] for row in jsons(one.stdout)] == ["other"]
    assert run("send", "nobody", "--config", str(tmp_path)).returncode == 2


def test_the_config_may_come_from_the_environment(config: Path) -> None:
    """$DIGEST_CONFIG stands for --config, and DIGEST_LIST__NAME for a key."""
    answer = run("status", DIGEST_CONFIG=str(config), DIGEST_LIST__NAME="Renamed")
    assert answer.stdout.startswith("Renamed (lab)")


def test_init_then_preview_needs_no_edit(tmp_path: Path) -> None:
    """`digest init` writes a file that the next commands take."""
    assert run("init", "--email", "ada@example.org", cwd=tmp_path).returncode == 0
    assert run("status", cwd=tmp_path).returncode == 0
    assert run("init", "--email", "ada@example.org", cwd=tmp_path).returncode == 2


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_catches_up_and_stops_tidily(config: Path, number: signal.Signals) -> None:
    """A run that was missed is made at the start; Ctrl-C and SIGTERM end the program with 0."""
    run("send", "--config", str(config), "--now", DAY_ONE)
    process = subprocess.Popen(
        [sys.executable, "-m", "digest", "run", "--config", str(config), "--now", "2026-06-10T09:00Z"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    until(lambda: len(mailbox.Maildir(config.parent / "outbox")) == 4, "four letters are not in the outbox")
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err.partition(":")[0]) == (0, f"stopping on {number.name}")
    assert "was missed: catching up" in out
    assert "edition 2 of 2026-06-10: 2 sent = 2 recipients" in out
    assert out.endswith("stopped\n")
