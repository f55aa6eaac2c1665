"""A small valid config for tests, ways to change it, and what `load` makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from digest.errors import ConfigError, Problem
from digest.settings import ListConfig, load

BASE = """\
[list]
id = "lab"
from = "Lab <lab@example.org>"
[[sources]]
kind = "arxiv"
categories = ["cs.CV"]
[topics.video]
text = "video"
[[subscribers]]
email = "ada@example.org"
topics = ["video"]
[smtp]
host = "localhost"
"""


def after(line: int, *text: str) -> str:
    """BASE with more lines after one of its own."""
    rows = BASE.splitlines()
    return "\n".join([*rows[:line], *text, *rows[line:]]) + "\n"


def instead(line: int, *text: str) -> str:
    """BASE with other lines in place of one of its own."""
    rows = BASE.splitlines()
    return "\n".join([*rows[: line - 1], *text, *rows[line:]]) + "\n"


def loaded(config: Path, text: str, **environ: str) -> ListConfig:
    config.write_text(text, encoding="utf-8")
    (only,) = load([config], environ).lists
    return only


def problems(config: Path, text: str | bytes, **environ: str) -> tuple[Problem, ...]:
    config.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load([config], environ)
    assert caught.value.exit_code == 2
    assert all(isinstance(p, Problem) for p in caught.value.problems)
    return tuple(p for p in caught.value.problems if isinstance(p, Problem))
