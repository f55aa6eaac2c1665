"""The log: events with stable names, one line each whatever they hold, and nobody's address in them."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest import logs
from digest.logs import Event, tell
from digest.model import SubscriberId
from digest.subscribe.tokens import Purpose, Tokens
from tests.factories import NOW
from tests.lists import DAY_ONE, DAY_TWO, write_list
from tests.servers.smtp import CollectingServer, rejects_rcpt_550
from tests.test_cli import jsons, run

DOCS = Path(__file__).parent.parent / "docs" / "logs.md"
TOKENS = Tokens([b"an invented key of 32 characters"], "lab")  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    """After each test the program speaks as it does by default."""
    yield
    logs.set_up()


def logged(*, verbose: int = 0, quiet: bool = False, as_json: bool = False) -> io.StringIO:
    stream = io.StringIO()
    logs.set_up(verbose=verbose, quiet=quiet, as_json=as_json, stream=stream)
    return stream


def test_an_event_is_one_json_object() -> None:
    """Its time, level and name come first, then its list and what it came with; counts stand for themselves."""
    stream = logged(as_json=True)
    tell(Event.DELIVERIES_SETTLED, list="lab", counts={"sent": 3, "bounced": 1})
    (line,) = jsons(stream.getvalue())
    assert list(line) == ["timestamp", "level", "event", "list", "sent", "bounced"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line.pop("timestamp")))
    assert line == {"level": "info", "event": "deliveries settled", "list": "lab", "sent": 3, "bounced": 1}


def test_as_key_value_events_show_only_where_asked_for() -> None:
    """A person has readable lines for them; with -v they show, and what libraries warn of shows in any case."""
    for verbose, shown in ((0, ["a library warns"]), (1, ["edition made", "a library warns"])):
        stream = logged(verbose=verbose)
        tell(Event.EDITION_MADE, list="lab", edition=7)
        logging.getLogger("apscheduler.scheduler").warning("a library warns")
        logging.getLogger("apscheduler.scheduler").info("a library chats")
        assert re.findall(r'event="([^"]*)"', stream.getvalue()) == shown
    assert 'level=info event="edition made" list=lab edition=7\n' in stream.getvalue()


def test_quiet_leaves_errors_alone() -> None:
    """Neither events nor warnings."""
    stream = logged(quiet=True)
    tell(Event.SOURCE_FAILED, level=logging.WARNING, list="lab", why="gone")
    logging.getLogger("digest.smtp").error("what is wrong")
    assert re.findall(r'event="([^"]*)"', stream.getvalue()) == ["what is wrong"]


@pytest.mark.parametrize("as_json", [True, False])
def test_an_exception_is_one_line(as_json: bool) -> None:
    """Its traceback holds what a stranger wrote, and is one field."""
    stream = logged(as_json=as_json)

    def refuse() -> None:
        raise ValueError("550 <ada@example.org>\nlevel=critical event=forged")

    try:
        refuse()
    except ValueError:
        logging.getLogger("digest").exception("failed")
    assert stream.getvalue().count("\n") == 1
    assert "ValueError" in stream.getvalue()
    assert "ada@" not in stream.getvalue()


@given(st.text(max_size=60), st.sampled_from(["a", "list", "why"]), st.booleans())
def test_nobody_can_forge_a_line(text: str, key: str, as_json: bool) -> None:
    """Whatever is in a field or a message: one record is one line, of printable characters, that reads back."""
    stream = logged(as_json=as_json)
    tell(Event.SOURCE_FAILED, level=logging.WARNING, **{key: text})
    logging.getLogger("digest.x").warning("%s", text)
    lines = stream.getvalue().split("\n")
    expected = 2 if as_json else 1  # without -v an event is for nobody
    assert len(lines) == expected + 1
    assert lines[-1] == ""
    assert all(line.isprintable() for line in lines)
    if as_json:
        assert json.loads(lines[0])["event"] == "source failed"


@pytest.mark.parametrize(
    "text",
    [
        "550 5.1.1 <ada@example.org>: no such user",
        "ada@example.org",
        'to "ada lovelace"@example.org, refused',
        "GET https://example.org/?to=ada%40example.org",
        "ada@[127.0.0.1] and ada+vote@mail.example.org; ada@ä.example.org",
        "bounces+1a2b@example.org",
    ],
)
def test_no_address_is_in_a_line(text: str) -> None:
    """In a message, a field or a list in it; the rest of the text stays. At level debug it is told."""
    stream = logged(verbose=2, as_json=True)
    logging.getLogger("digest.smtp").warning("%s", text)
    tell(Event.SENDING_PAUSED, list="lab", why=text, replies=[text])
    assert "…@…" in stream.getvalue()
    assert not re.search("@|%40", stream.getvalue().replace("…@…", ""))
    logging.getLogger("digest.smtp").debug("%s", text)
    assert json.loads(stream.getvalue().splitlines()[-1])["event"] == text


def test_no_token_is_in_a_line() -> None:
    """Neither a reader's nor one that confirms: whoever has it could act for her."""
    stream = logged(as_json=True)
    for token in (TOKENS.sign(Purpose.VOTE, SubscriberId(7)), TOKENS.sign_confirmation(SubscriberId(7), NOW)):
        logging.getLogger("uvicorn.error").error("GET /vote/lab/%s/up failed", token)
        assert token.rpartition(".")[2] not in stream.getvalue()
    assert "/vote/lab/…/up" in stream.getvalue()


def test_every_event_is_documented() -> None:
    """docs/logs.md names each, and no other."""
    rows = re.findall(r"^\| (`.+?`) \| (?:info|debug|warning|error)[^|]* \|", DOCS.read_text(encoding="utf-8"), re.M)
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert sorted(named) == sorted(Event)


def test_under_log_json_a_send_says_nothing_else(tmp_path: Path) -> None:
    """Each line on standard error is JSON, of readers nothing is told, and nothing is on standard output."""
    with CollectingServer(rejects_rcpt_550) as server:
        config = write_list(tmp_path, port=server.port)
        answer = run("send", "--config", str(config), "--now", DAY_ONE, "--log-json")
    assert answer.stdout == ""
    lines = jsons(answer.stderr)
    assert [line["event"] for line in lines] == ["edition made", "deliveries settled", "edition finished"]
    assert lines[1]["bounced"] == 2
    assert lines[0]["edition"] == 1
    assert "@example.org" not in answer.stderr


@pytest.mark.skipif(os.name != "posix", reason="a signal as a service manager sends it")
def test_digest_run_says_nothing_but_json(tmp_path: Path) -> None:
    """From its start to its tidy end, its warnings and what libraries say included."""
    config = write_list(tmp_path)
    config.write_text(config.read_text() + '\n[topics.unused]\ntext = "nobody follows it"\n')
    command = [sys.executable, "-m", "digest", "run", "--config", str(config), "--now", DAY_ONE, "--log-json", "-vvv"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if "Scheduler started" in line:
            break
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    lines = jsons(said + err)
    assert "apscheduler.scheduler" in {line.get("logger") for line in lines}
    assert any(str(line["event"]).startswith("stopping on SIGTERM") for line in lines)


def test_the_environment_chooses_json_for_every_command(tmp_path: Path) -> None:
    """A mistake in the config is told as JSON then; without it, as the lines that it was."""
    config = write_list(tmp_path)
    config.write_text(config.read_text().replace("papers = 3", "papres = 3"))
    answer = run("status", "--config", str(config), DIGEST_LOG_JSON="1")
    assert answer.returncode == 2
    (line,) = jsons(answer.stderr)
    assert "papres" in str(line["event"])
    assert line["level"] == "error"
    assert run("status", "--config", str(config), DIGEST_LOG_JSON="0").stderr.startswith(str(config))


def test_quiet_swallows_no_error_under_log_json(tmp_path: Path) -> None:
    """Why the exit code is 2 is in the log."""
    answer = run("send", "-q", "--log-json", "--config", str(tmp_path / "none.toml"))
    assert answer.returncode == 2
    (line,) = jsons(answer.stderr)
    assert "none.toml" in str(line["event"])


def test_quiet_says_only_what_went_wrong(tmp_path: Path) -> None:
    """For cron: nothing where all is well, the failed source where it is not."""
    config = write_list(tmp_path)
    answer = run("send", "-q", "--config", str(config), "--now", DAY_ONE)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    config.write_text(config.read_text().replace("/huggingface", "/nowhere"))
    answer = run("send", "-q", "--config", str(config), "--now", DAY_TWO)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr.startswith("lab: source huggingface failed")


def test_structlog_is_loaded_with_the_first_line() -> None:
    """Most commands have none, and shall not wait for it."""
    code = (
        "import sys, logging; from digest import logs; logs.set_up(); print('structlog' in sys.modules);"
        "logging.getLogger('x').warning('y'); print('structlog' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
