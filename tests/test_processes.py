"""`digest send` beside itself, and stopped on its way: real processes, real SMTP, the server's log as the judge."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from digest import edition as life
from tests.lists import DAY_ONE, write_list
from tests.servers.http import goes_to, serving, stalls_in_body
from tests.servers.ports import free_port
from tests.servers.smtp import CollectingServer, resets_after_dot
from tests.test_cli import jsons, run
from tests.waiting import PATIENCE, until


def start(config: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "digest", "send", "--config", str(config), "--now", DAY_ONE, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_at_once_send_one_copy_each(tmp_path: Path) -> None:
    """Two processes on one list make one edition, and every reader gets it once."""
    with CollectingServer() as server:
        config = write_list(tmp_path, readers=12, port=server.port, connections=3)
        both = [start(config), start(config)]
        answers = [process.communicate(timeout=PATIENCE) for process in both]
        assert [process.returncode for process in both] == [0, 0], [err for _, err in answers]
        copies = Counter(message.recipients for message in server.messages)
        assert copies == {(f"reader{n}@example.org",): 1 for n in range(12)}
    sent_now = [json.loads(out)["sent_now"].get("sent", 0) for out, _ in answers]
    assert sum(sent_now) == 12
    (status,) = jsons(run("status", "--config", str(config), "--json").stdout)
    (edition,) = status["editions"]
    assert (edition["counts"], edition["recipients"], edition["adds_up"]) == ({"sent": 12}, 12, True)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_send_ends_tidily_and_goes_on_later(tmp_path: Path, number: signal.Signals) -> None:
    """After a signal the open conversations end, nothing is left in doubt, and the next run sends the rest once."""
    with CollectingServer() as server:
        config = write_list(tmp_path, readers=8, port=server.port, extra='rate = "2/second"\n')
        process = start(config)
        until(lambda: server.messages, "no message has come")
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1, err
        assert f"stopping on {number.name}" in err
        (overview,) = json.loads(out)["editions"]
        assert 1 <= overview["counts"]["sent"] < 8
        assert overview["counts"]["sent"] + overview["counts"]["queued"] == 8 == overview["recipients"]
        config.write_text(config.read_text().replace('rate = "2/second"\n', ""))
        assert run("send", "--config", str(config), "--now", DAY_ONE).returncode == 0
        copies = Counter(message.recipients for message in server.messages)
    assert copies == {(f"reader{n}@example.org",): 1 for n in range(8)}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_send_of_several_lists_is_stopped_once_for_all(tmp_path: Path) -> None:
    """After a signal no list is begun that was not yet: who asks to stop does not ask once for each."""
    with CollectingServer() as server:
        first = write_list(tmp_path, readers=8, port=server.port, extra='rate = "2/second"\n')
        text = first.read_text().replace('id = "lab"', 'id = "other"').replace("@example.org", "@example.net")
        first.with_name("other.toml").write_text(text)
        process = start(tmp_path)
        until(lambda: server.messages, "no message has come")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1, err
        assert err.count("stopping on SIGINT") == 1
        assert [sent["list"] for sent in jsons(out)] == ["lab"]
        assert {message.recipients[0].partition("@")[2] for message in server.messages} == {"example.org"}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_of_the_output_who_leaves_breaks_off_nothing(tmp_path: Path) -> None:
    """`digest send | head -1`: the pipe closes, every message goes out all the same, exactly once."""
    with CollectingServer() as server:
        config = write_list(tmp_path, readers=6, port=server.port)
        process = subprocess.Popen(
            [sys.executable, "-m", "digest", "send", "--config", str(config), "--now", DAY_ONE],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        assert (process.wait(PATIENCE), err) == (0, "")
        assert Counter(message.recipients for message in server.messages) == {
            (f"reader{n}@example.org",): 1 for n in range(6)
        }


def test_what_was_held_goes_out_when_the_policy_changes(tmp_path: Path) -> None:
    """A message lost after the dot is held and told; with `resend` it is sent again under the same Message-ID."""
    with CollectingServer(replace(resets_after_dot, only=b"reader0@", accepts=False, times=1, over_all=True)) as server:
        config = write_list(tmp_path, port=server.port)
        held = run("send", "--config", str(config), "--now", DAY_ONE)
        assert held.returncode == 1
        assert "1 sent, 1 unknown = 2 recipients" in held.stdout
        config.write_text(config.read_text().replace("[smtp]", '[smtp]\non_unknown = "resend"'))
        assert run("send", "--config", str(config), "--now", DAY_ONE).returncode == 0
        assert Counter(message.recipients for message in server.messages) == {
            (f"reader{n}@example.org",): 1 for n in range(2)
        }
    assert "2 sent = 2 recipients" in run("status", "--config", str(config)).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("command", [("web",), ("run", "--web")])
def test_pages_are_served_until_a_signal(tmp_path: Path, command: tuple[str, ...]) -> None:
    """By themselves and beside the scheduler: a wish is taken, its letter leaves, and SIGTERM ends it tidily."""
    pytest.importorskip("uvicorn", reason="the extra `web` is not installed")
    port = free_port()
    here = f"http://127.0.0.1:{port}"
    pages = f"\n[web]\nport = {port}\n"
    with CollectingServer() as server:
        config = write_list(tmp_path, port=server.port, extra=pages)
        config.write_text(
            config.read_text().replace("papers = 3", f'papers = 3\nbase_url = "{here}"\nschedule = "0 7 1 1 *"')
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "digest", *command, "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            front = until(lambda: _answer(f"{here}/"), "the pages do not answer")
            assert "Get trending papers in your email inbox!" in front
            wish = urllib.parse.urlencode({"email": "ada@example.org"}).encode()
            _answer(urllib.request.Request(f"{here}/subscribe/lab", wish, {"Origin": here}))
            (letter,) = until(lambda: server.messages, "no letter has come")
        finally:
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert letter.recipients == ("ada@example.org",)
    assert f"{here}/confirm/lab/".encode() in letter.data.replace(b"=\r\n", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("pull", "of the list under way nothing new is kept; the next pull asks its sources again"),
        ("check", "what is shown above holds, the rest was not looked at"),
    ],
)
def test_ctrl_c_is_told_in_a_line(tmp_path: Path, command: str, kept: str) -> None:
    """While a source's server says nothing."""
    with serving(feed=stalls_in_body) as server:
        feed = f'\n[[sources]]\nkind = "feed"\nurl = "{server.url}feed"\n[pull]\nallow_private = true\n'
        config = write_list(tmp_path, readers=1, sources=(), extra=feed)
        process = subprocess.Popen(
            [sys.executable, "-m", "digest", command, "--config", str(config), "--json"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            until(lambda: server.requests, "the feed was not asked for")
        finally:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err.splitlines()[-1]) == (130, f"stopped by Ctrl-C: {kept}")


@pytest.mark.parametrize("command", [("preview",), ("send", "--dry-run"), ("rank",)])
def test_ctrl_c_is_heard_while_papers_are_ranked(
    tmp_path: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That takes seconds, and has nothing to finish."""

    def hears_ctrl_c(*_: object) -> NoReturn:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it went on")

    monkeypatch.setattr(life, "rank_for", hears_ctrl_c)
    answer = run(*command, "--config", str(write_list(tmp_path)), "--now", DAY_ONE)
    assert answer.returncode == 130
    assert answer.stderr.startswith("stopped by Ctrl-C: ")
    assert answer.stderr.count("\n") == 1


def _answer(asked: str | urllib.request.Request) -> str:
    with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(asked, timeout=PATIENCE) as response:
        return str(response.read().decode())
    return ""


def test_nothing_that_a_server_says_is_obeyed_by_a_terminal(tmp_path: Path) -> None:
    """A feed's server that redirects to escape sequences is quoted in the complaint, and the terminal obeys none."""
    with serving(feed=goes_to("ftp://x/\x9b31m\x9d0;owned\x9c\u202eno")) as server:
        feed = f'\n[[sources]]\nkind = "feed"\nurl = "{server.url}feed"\n[pull]\nallow_private = true\n'
        config = write_list(tmp_path, readers=1, sources=(), extra=feed)
        said = run("pull", "--config", str(config), "--now", DAY_ONE)
    assert "redirects to ftp" in said.stdout
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", said.stdout + said.stderr)
