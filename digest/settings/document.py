"""One config file as it stands on the disk: its values, and the line of each key.

Reads the file and TOML's grammar, nothing of the meaning of a key. Raises ConfigError with one problem: a file that is
no TOML is not read any further. `load` calls it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digest.errors import ConfigError, Problem
from digest.settings.toml_lines import KeyPath, key_lines
from digest.subscribe.values import show


@dataclass(frozen=True)
class Document:
    """A parsed config file. `folder` is absolute: what the paths in the file are relative to."""

    path: Path
    folder: Path
    data: Mapping[str, Any]
    lines: Mapping[KeyPath, int]


def config_files(paths: Sequence[Path]) -> tuple[list[Path], list[Problem]]:
    """The files that `paths` mean, folders looked into, each once; and a problem for each path that gives none."""
    found: dict[Path, Path] = {}
    problems = []
    for path in paths:
        if path.is_dir():
            files = sorted(f for f in path.glob("*.toml") if f.is_file() and not f.name.startswith("."))
            if not files:
                name = path / "config.toml"
                problems.append(
                    Problem(path, None, "", f"no *.toml file in this folder; `digest init {name}` writes one")
                )
        else:
            files = [path]
        for file in files:
            found.setdefault(file.resolve(), file)
    return list(found.values()), problems


def read_document(path: Path) -> Document:
    """Read and parse one config file."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        if not path.suffix:  # a folder was meant
            missing = f"no such file or folder; `digest init {path / 'config.toml'}` writes a list into it"
            raise ConfigError(Problem(path, None, "", missing)) from None
        command = "digest init" if str(path) == "config.toml" else f"digest init {path}"
        raise ConfigError(Problem(path, None, "", f"no such file; `{command}` writes one")) from None
    except OSError as error:
        raise ConfigError(Problem(path, None, "", f"cannot be read: {error.strerror}")) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(Problem(path, line, "", "is not UTF-8: save the file with that encoding")) from None
    try:
        data = tomllib.loads(text)
        lines = key_lines(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax_problem(path, text, str(error))) from None
    except RecursionError:
        raise ConfigError(Problem(path, None, "", "is not usable: brackets are nested too deeply")) from None
    return Document(path, path.resolve().parent, data, lines)


_PLAIN_WORDS = (
    ("Invalid value", "text needs quotation marks, true and false are written small"),
    ("Illegal character '\\n'", "a quotation mark is not closed on its line"),
    ("Cannot overwrite a value", "this key is there already"),
    ("Cannot declare", "this table is there already"),
    ("Cannot mutate immutable", "this table is complete already: its keys stand in one place"),
    ("Expected '=' after a key", "a key is followed by = and a value"),
    ("Expected newline or end of document", "something follows the value: text needs quotation marks, a comment a #"),
    ("Unclosed array", "a list is not closed with ]"),
    ("Expected ']'", "a bracket ] is missing"),
    ("Unterminated string", "a quotation mark is not closed"),
    ("Expected \"'''\"", "three quotation marks are not closed"),
    ("Unescaped '\\'", "a backslash is written \\\\, or the text put into 'single' quotation marks"),
    ("Invalid statement", "a line is `key = value`, [table] or # comment"),
    ("Invalid initial character for a key", "a key is a to z, digits, - and _; or its name in quotation marks"),
)


def _syntax_problem(path: Path, text: str, reason: str) -> Problem:
    """What tomllib found, where, and what is there."""
    reason, _, where = reason.rpartition(" (at ")
    words = next((plain for start, plain in _PLAIN_WORDS if reason.startswith(start)), reason)
    rows = text.split("\n")
    found = re.match(r"line (\d+), column (\d+)", where)
    line = int(found[1]) if found else len(text.rstrip().split("\n"))
    there = _harmless(rows[line - 1]) if found and line <= len(rows) else "the end of the file"
    return Problem(path, line, "", f"is not TOML at {there}: {words}")


def _harmless(row: str) -> str:
    """What stands on a line, without what may be a secret: never the value of a key."""
    key, equals, _ = row.partition("=")
    if equals:
        return f"`{key.strip()} = …`" if len(key) <= 60 else "this line"
    if re.search(r"pass|secret|token|key|auth", row, re.I) or not row.lstrip().startswith("["):
        return "this line"
    return show(row.strip())
