"""Documents as programs: the blocks of a Markdown page, run in a folder of the page's own, and the names in its prose.

A page says what each of its blocks is; `tests/test_docs.py` runs them all. In `console` blocks, lines that begin with
`$ ` are commands for bash (`> ` goes on with one), and the lines after them all that they print. `…` alone on a line
stands for any lines, `…` at the end of one for its rest, `^C` for the key, pressed when everything above it has come. A
command without lines below it may print anything. Blank lines do not count. A command that fails fails the page,
unless it says so itself: `$ digest send; echo "exit $?"`.

`<!-- file: NAME -->` before a block: it is written to that file. `<!-- part: NAME -->`: it is a part of a config, taken
into the file NAME, or else into a small whole list; the outcome is NAME from then on, and must load without a warning.
`<!-- not run: REASON -->`: it cannot be tried here. Any other block fails.

What the world is to a page, its servers and its clock, is `tests/stand_ins.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from digest.settings import load
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[1]
HOME = "/home/you/papers"
"""What pages call the folder that they are in."""
PATIENCE = 90.0
"""Seconds for one command."""

_FENCE = re.compile(r"^( *)(`{3,})([^\s`]*)[^\n]*\n(.*?)^\1\2 *$", re.M | re.S)
_MARK = re.compile(r"<!-- (file|part|not run): ([^>]+?) -->\s*\Z")
_MASKS = {
    "MOMENT": r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?",
    "TIME": r"\b\d\d:\d\d(?::\d\d)?\b",
    "PORT": r"(?<=127\.0\.0\.1:)\d{1,5}\b|(?<=localhost:)\d{1,5}\b",
    "ID": r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b[0-9a-f]{12,}\b",
    "SECONDS": r"\b\d+(?:\.\d+)? ?(?:ms|s|seconds?)\b",
    "digest VERSION": r"\bdigest \d+\.\d+\.\d+\S*",
    "  OPEN ": r"^  (?:xdg-open|open|start) ",
}
"""What differs from one run to the next, by what it is."""


@dataclass(frozen=True)
class Block:
    """One fenced block, and what the comment before it makes of it."""

    line: int
    language: str
    text: str
    mark: str = ""
    name: str = ""


@dataclass
class Command:
    """What is typed, and the lines that are to come of it."""

    line: int
    text: str
    shown: list[str] = field(default_factory=list)


def blocks(text: str) -> list[Block]:
    """Every fenced block of a page, in order."""
    found = []
    for fence in _FENCE.finditer(text):
        indent, _, language, inside = fence.groups()
        mark = _MARK.search(text, 0, fence.start())
        lines = [line.removeprefix(indent) for line in inside.splitlines(keepends=True)]
        at = text.count("\n", 0, fence.start()) + 1
        found.append(Block(at, language, "".join(lines), *(mark.groups() if mark else ())))
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a `console` block."""
    found: list[Command] = []
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if line.startswith("$ "):
            found.append(Command(number, line[2:]))
        elif not found:
            raise AssertionError(f"line {number}: output before any command")
        elif line.startswith("> ") and not found[-1].shown:
            found[-1].text += "\n" + line[2:]
        elif line.strip():
            found[-1].shown.append(line.rstrip())
    return found


def play(page: Path, folder: Path, environ: Mapping[str, str]) -> None:
    """Does what a page says, in `folder`. Raises AssertionError where something else comes of it."""
    with Shell(folder, environ) as shell:
        for block in blocks(page.read_text(encoding="utf-8")):
            where = f"{page.relative_to(ROOT)}:{block.line}"
            if block.mark == "file":
                path = folder / block.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")
            elif block.mark == "part":
                _take_in(where, folder / block.name, block.text)
            elif block.mark == "not run":
                continue
            elif block.language == "console":
                for command in commands(block):
                    shell.run(f"{page.relative_to(ROOT)}:{command.line}", command)
            else:
                raise AssertionError(f"{where}: nobody says what this block is: a file, a part, or why it is not run")


class Shell:
    """A page's own shell: what one command exports, and where it goes, holds for the next."""

    _SCRIPT = '[ -r "$1.env" ] && . "$1.env"; cd "$(cat "$1.cwd")" || exit; eval "$2"; code=$?\n'
    _SCRIPT += 'export -p >"$1.env"; pwd >"$1.cwd"; exit $code'

    def __init__(self, folder: Path, environ: Mapping[str, str]):
        self._folder = folder
        self._environ = dict(environ)
        self._state = folder.with_name(folder.name + "-state")
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Shell:
        self._state.with_suffix(".cwd").write_text(str(self._folder))
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what a page left running in the background
            process.wait()  # else the next test is blamed for it

    def run(self, where: str, command: Command) -> None:
        """Types the command. Raises AssertionError where it fails, or prints something else than is shown."""
        output = self._state.with_suffix(".out")
        with output.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-c", self._SCRIPT, "bash", str(self._state), command.text],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=self._environ,
                start_new_session=True,
            )  # fmt: skip
        self._started.append(process)
        shown = [masked(line) for line in command.shown]

        def printed() -> list[str]:
            text = output.read_text(encoding="utf-8", errors="replace").replace(str(self._folder), HOME)
            return [line.rstrip() for line in text.splitlines() if line.strip()]

        def told() -> str:
            said = "\n    ".join(printed())
            return f"{where}: $ {command.text}\nprinted:\n    {said}\n"

        if "^C" in shown:
            at = shown.index("^C")
            before = [*shown[:at], "…"]
            until(
                lambda: process.poll() is not None or matches(before, [masked(line) for line in printed()]),
                lambda: f"{told()}and not all that stands above ^C",
                patience=PATIENCE,
            )
            os.killpg(process.pid, signal.SIGINT)
            shown[at : at + 1] = []
        until(lambda: process.poll() is not None, lambda: f"{told()}and did not end", patience=PATIENCE)
        assert process.returncode == 0, f"{told()}and failed: exit code {process.returncode}"
        if shown:
            assert matches(shown, [masked(line) for line in printed()]), f"{told()}and the page shows something else"


def masked(line: str) -> str:
    """The line without what differs from one run to the next."""
    for name, pattern in _MASKS.items():
        line = re.sub(pattern, name, line)
    return line.rstrip()


def matches(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether just these lines were printed; `…` is any lines, or the rest of one."""
    if not shown:
        return not printed
    if shown[0] == "…":
        return any(matches(shown[1:], printed[at:]) for at in range(len(printed) + 1))
    return bool(printed) and _same(shown[0], printed[0]) and matches(shown[1:], printed[1:])


def _same(shown: str, printed: str) -> bool:
    return shown == printed or (shown.endswith("…") and printed.startswith(shown[:-1].rstrip()))


# --- Parts of a config ----------------------------------------------------------------------------------------------

BASE: dict[str, Any] = {
    "list": {"id": "lab", "name": "Lab", "from": "Lab <digest@example.org>"},
    "sources": [
        {"kind": "arxiv", "categories": ["cs.CV", "cs.LG"]},
        {"kind": "huggingface"},
    ],
    "topics": {"video": {"text": "diffusion models that generate video"}},
    "subscribers": [{"email": "ada@example.org", "topics": ["video"]}],
}
"""The list that a part is taken into where a page has none of its own."""


def _take_in(where: str, path: Path, text: str) -> None:
    whole = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else BASE
    path.write_text(toml(_merged(whole, tomllib.loads(text))), encoding="utf-8")
    (config,) = load([path], {}).lists
    assert config.warnings == (), f"{where}: {config.warnings}"


def _merged(whole: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are joined key by key; a list of tables stands in for the one that was there."""
    both = dict(whole)
    for key, value in part.items():
        old = both.get(key)
        both[key] = _merged(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
    return both


def toml(data: Mapping[str, Any]) -> str:
    """The data as TOML, one key of the top a line."""
    return "".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in data.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool | int | float) else value.isoformat()


# --- Prose ----------------------------------------------------------------------------------------------------------


def prose(text: str) -> str:
    """A page without its blocks and comments."""
    return re.sub(r"<!--.*?-->", "", _FENCE.sub("", text), flags=re.S)


def spans(text: str) -> Iterator[str]:
    """What stands in backticks in a page's prose, on one line each."""
    for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose(text)):
        yield " ".join(span.split())


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+?) *$", _FENCE.sub("", text), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
