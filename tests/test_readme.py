"""The README tells the truth about the commands, and its config is complete.

What it shows is run, and what it names and links to is looked up, as in every other page: `test_docs.py`.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from digest.cli import cli
from digest.settings import load
from tests.documents import blocks
from tests.test_cli import run

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_five_lines_are_a_valid_list(tmp_path: Path) -> None:
    """The five lines under "Your own list" load as printed, without a warning."""
    (text,) = (block.text for block in blocks(README) if block.language == "toml")
    assert len(text.strip().splitlines()) == 5
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    (tmp_path / tomllib.loads(text)["smtp"]["password_file"]).write_text("secret\n")
    (config,) = load([tmp_path / "config.toml"], {}).lists
    assert config.warnings == ()
    assert [relay.host for relay in config.relays] == ["smtp.example.org"]


def test_the_commands_are_those_that_there_are() -> None:
    """The table names every command once, and no other."""
    named = re.findall(r"^\| `digest (\w+)", README, re.M)
    there = [command.callback.__name__ for command in cli.registered_commands if command.callback]
    there += [str(group.name) for group in cli.registered_groups]
    assert sorted(named) == sorted(there)


def test_the_options_in_the_table_exist() -> None:
    """Every `--option` of the table's rows is in that command's help."""
    for command, rest in re.findall(r"^\| `digest (\w+)([^|]*)\|.*$", README, re.M):
        shown = run(command, "--help").stdout
        for option in re.findall(r"--[\w-]+", rest):
            assert option in shown


def test_its_first_screen_stays() -> None:
    """What it is, a picture and two commands with their output come first; the rest is short."""
    lines = README.splitlines()
    assert [block.text.splitlines()[0] for block in blocks(README)[:2]] == [
        "$ pip install . && digest demo", "$ pip install '.[test]' && pytest",
    ]  # fmt: skip
    assert README.index("](docs/email.png)") < README.index("```console")
    assert len(lines) <= 170
