"""What every command says of errors, with and without `-v`, and what the shell offers after TAB."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import typer

from digest.cli import cli, completing
from digest.errors import SendError
from tests.lists import DAY_ONE, DAY_TWO, write_list
from tests.test_cli import run


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    """`-v` is of one call; in a test, of one process."""
    yield
    logging.getLogger("digest").setLevel(logging.NOTSET)


def test_every_command_takes_v() -> None:
    """`-v` is an option of each, with the same words."""
    command = typer.main.get_command(cli)
    seen = []

    def look(group: typer.core.TyperGroup, names: tuple[str, ...]) -> None:
        for name, each in group.commands.items():
            if isinstance(each, typer.core.TyperGroup):
                look(each, (*names, name))
            else:
                options = {option for parameter in each.params for option in parameter.opts}
                assert {"-v", "--verbose"} <= options, (*names, name)
                seen.append(name)

    assert isinstance(command, typer.core.TyperGroup)
    look(command, ())
    assert len(seen) >= 27


@pytest.mark.parametrize("where", ["digest.app.App.pull", "digest.settings.load"])
def test_a_bug_is_one_line_and_a_traceback_only_with_v(tmp_path: Path, where: str) -> None:
    """What nobody foresaw: its kind, its place and what to do; exit code 1. `-v` shows the way there."""
    config = str(write_list(tmp_path))
    with mock.patch(where, side_effect=KeyError("thing")):
        brief = run("pull", "--config", config, "--now", DAY_ONE)
        whole = run("pull", "--config", config, "--now", DAY_ONE, "-v")
    assert brief.returncode == whole.returncode == 1
    assert re.fullmatch(r"a bug in digest, KeyError at mock\.py:\d+: 'thing'; `-v` tells more: .*\n", brief.stderr)
    assert "Traceback (most recent call last)" in whole.stderr
    assert whole.stderr.splitlines()[-1].endswith("report it with what is above")


def test_a_bug_in_one_list_keeps_no_other_from_its_work(tmp_path: Path) -> None:
    """The second list is pulled although the first broke; exit code 1."""
    text = write_list(tmp_path).read_text()
    (tmp_path / "other.toml").write_text(text.replace('"lab"', '"other"', 1))
    from digest.app import App

    real = App.pull

    async def breaks(app: App) -> object:
        if app.list.id == "lab":
            raise KeyError("thing")
        return await real(app)

    with mock.patch("digest.app.App.pull", breaks):
        answer = run("pull", "--config", str(tmp_path), "--now", DAY_ONE)
    assert answer.returncode == 1
    assert "arxiv          25 received" in answer.stdout


def test_a_foreseen_error_shows_its_causes_with_v(tmp_path: Path) -> None:
    """Without, it is a line; with, the exception that it came from as well."""
    config = str(write_list(tmp_path))
    error = SendError("the relay is on strike")
    error.__cause__ = OSError("the reason")
    with mock.patch("digest.app.App.send", side_effect=error):
        brief = run("send", "--config", config, "--now", DAY_ONE)
        whole = run("send", "--config", config, "--now", DAY_ONE, "-v")
    assert brief.stderr == "the relay is on strike\n"
    assert "OSError: the reason" in whole.stderr
    assert whole.stderr.endswith("the relay is on strike\n")


@mock.patch("digest.send.drain.RECONNECT_AFTER", (0.01,))
def test_a_relay_that_is_not_there_is_told_in_words(tmp_path: Path) -> None:
    """Where nobody answers, and what to look at; no number of the system's."""
    answer = run("send", "--config", str(write_list(tmp_path, port=9)), "--now", DAY_ONE)
    assert answer.returncode == 1
    assert "nobody answers at 127.0.0.1:9 (connection refused): does the server run there" in answer.stderr
    assert "`host` and `port` of [smtp]" in answer.stderr
    assert "Errno" not in answer.stderr


def offered(folder: Path, words: str) -> set[str]:
    """What bash is offered at the end of a command line."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DIGEST_")}
    environment |= {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    environment["_DIGEST_COMPLETE"] = "complete_bash"
    code = "import sys; sys.argv[0] = 'digest'; from digest.cli import cli; cli(prog_name='digest')"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert answer.stderr == ""
    return set(answer.stdout.split())


def test_the_shell_offers_lists_editions_and_addresses(tmp_path: Path) -> None:
    """From the config, also one that is named, and from the database, whose tables are those of the store."""
    path = write_list(tmp_path)
    for day in (DAY_ONE, DAY_TWO):
        assert run("send", "--config", str(path), "--now", day).returncode == 0
    added = run("subscribers", "add", "zoe@example.org", "--topics", "video", "--config", str(path))
    assert added.returncode == 0, added.stderr
    assert offered(tmp_path, "digest pause ") == {"lab"}
    assert offered(tmp_path, "digest send l") == {"lab"}
    assert offered(tmp_path, "digest send x") == set()
    assert offered(tmp_path, "digest deliveries ") == {"1", "2"}
    assert offered(tmp_path, "digest preview --to read") == {"reader0@example.org", "reader1@example.org"}
    assert offered(tmp_path, "digest subscribers remove z") == {"zoe@example.org"}
    other = tmp_path / "elsewhere"
    other.mkdir()
    assert offered(other, "digest pause ") == set()
    assert offered(other, f"digest pause --config {path} ") == {"lab"}
    assert list(other.iterdir()) == []


def test_what_is_broken_offers_nothing_and_says_nothing(tmp_path: Path) -> None:
    """A config that is no TOML, a database that is none: the shell shows no error in the middle of a line."""
    (tmp_path / "config.toml").write_text('[list]\nid = "lab"\n[[subscribers]]\nemail = "ada@example.org"\n')
    (tmp_path / "digest.db").write_text("no database")
    assert offered(tmp_path, "digest preview --to ") == {"ada@example.org"}
    assert offered(tmp_path, "digest deliveries ") == set()
    (tmp_path / "config.toml").write_text("[[[")
    assert offered(tmp_path, "digest pause ") == set()


def test_completing_loads_nothing_heavy() -> None:
    """A shell waits for it."""
    heavy = "('sqlalchemy', 'pydantic', 'numpy')"
    code = f"import sys, {completing.__name__}\nprint([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
