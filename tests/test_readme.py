"""The README tells the truth: its commands exist, its config loads, its output is what the demo prints."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from digest.cli import cli
from digest.settings import load
from tests.test_cli import run

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def test_the_five_lines_are_a_valid_list(tmp_path: Path) -> None:
    """The five lines under "Your own list" load as printed, without a warning."""
    (text,) = blocks("toml")
    assert len(text.strip().splitlines()) == 5
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    (tmp_path / tomllib.loads(text)["smtp"]["password_file"]).write_text("secret\n")
    (config,) = load([tmp_path / "config.toml"], {}).lists
    assert config.warnings == ()
    assert [relay.host for relay in config.relays] == ["smtp.example.org"]


def test_the_demos_output_is_what_the_demo_prints(tmp_path: Path) -> None:
    """Every line of the shown output, in order; only the port, which is any free one, may differ."""
    shown = next(block for block in blocks("text") if "Pull:" in block)
    printed = run("demo", cwd=tmp_path).stdout
    lines = iter(_masked(printed).splitlines())
    for line in _masked(shown).splitlines():
        assert line == "…" or line in lines, f"the demo does not print (here): {line}"


def _masked(text: str) -> str:
    """Without what depends on the day and the system: the free port, and the program that opens files."""
    return re.sub(r"^  (?:xdg-open|open|start) ", "  OPEN ", re.sub(r"127\.0\.0\.1:\d+", "HOST:PORT", text), flags=re.M)


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


def test_every_file_it_links_to_is_there() -> None:
    """No link of the README leads nowhere."""
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target
