"""On which line of a TOML document each key stands.

The standard `tomllib` gives values without positions. This module scans the same text once more and keeps only
positions; it is called after `tomllib` has accepted the text, so it may rely on the grammar (https://toml.io/en/v1.0.0)
and reports nothing itself. Values are skipped, never interpreted. Only `document` calls it.

Paths are those of the parsed value: `("list", "papers")`, `("subscribers", 1, "email")`, `("topics", "video", "text")`,
`("sources", 0, "categories", 2)`. Lines count from 1.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
# A multi-line string may end in up to two quotes of its own, before the three that close it.
_STRING = re.compile(
    r"""
      "{3} (?: [^"\\] | \\. | "{1,2} (?!") )* "{3,5}
    | '{3} (?: [^'] | '{1,2} (?!') )* '{3,5}
    | " (?: [^"\\\n] | \\. )* "
    | ' [^'\n]* '
    """,
    re.DOTALL | re.VERBOSE,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The first line of every key, table and array element of a valid TOML document."""
    return _Scanner(text.replace("\r\n", "\n")).scan()


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """The line of `path`, else of the nearest thing around it that the document has; None if it has none."""
    for end in range(len(path), 0, -1):
        if line := lines.get(path[:end]):
            return line
    return None


class _Scanner:
    def __init__(self, text: str):
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self.elements: dict[KeyPath, int] = {}  # arrays of tables: how many `[[…]]` so far
        self._line, self._counted = 1, 0

    def scan(self) -> dict[KeyPath, int]:
        base: KeyPath = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            base = self._header() if self.text[self.at] == "[" else self._pair(base)
            self._skip(_BLANK)
        return self.lines

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:  # the text is no TOML: stop rather than guess
            self.at = len(self.text)
            return ""
        self.at = found.end()
        return found[0]

    def _note(self, path: KeyPath) -> None:
        """Keep the current line for `path` and everything around it, unless an earlier line is known."""
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        for end in range(1, len(path) + 1):
            self.lines.setdefault(path[:end], self._line)

    def _keys(self) -> list[str]:
        keys = [_unquoted(self._skip(_KEY))]
        while self.text.startswith(".", self.at):
            self.at += 1
            keys.append(_unquoted(self._skip(_KEY)))
        return keys

    def _header(self) -> KeyPath:
        """`[a.b]` or `[[a.b]]`: the path that the keys below it belong to."""
        start = self.at
        is_array = self.text.startswith("[[", start)
        self.at += 2 if is_array else 1
        *outer, last = self._keys()
        end = self.at + (2 if is_array else 1)
        path: KeyPath = ()
        for key in outer:
            path = self._current((*path, key))
        path = (*path, last)
        if is_array:
            self.elements[path] = self.elements.get(path, -1) + 1
        path = self._current(path)
        self.at = start
        self._note(path)
        self.at = end
        return path

    def _current(self, path: KeyPath) -> KeyPath:
        """A path into an array of tables means its last element."""
        return (*path, self.elements[path]) if path in self.elements else path

    def _pair(self, base: KeyPath) -> KeyPath:
        path = base
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        for key in self._keys():
            path = (*path, key)
        self._note(path)
        self.at += 1  # the equals sign
        self._value(path)
        return base

    def _value(self, path: KeyPath) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1
        first = self.text[self.at : self.at + 1]
        if first in ('"', "'"):
            self._skip(_STRING)
        elif first == "[":
            self._sequence(path, "]")
        elif first == "{":
            self._sequence(path, "}")
        else:
            self._skip(_SCALAR)

    def _sequence(self, path: KeyPath, closing: str) -> None:
        """An array, whose elements are noted by number, or an inline table, whose keys are noted."""
        self.at += 1
        self._skip(_BLANK)
        number = 0
        while self.at < len(self.text) and self.text[self.at] != closing:
            before = self.at
            if closing == "]":
                self._note((*path, number))
                self._value((*path, number))
            else:
                self._pair(path)
            number += 1
            self._skip(_BLANK)
            if self.text.startswith(",", self.at):
                self.at += 1
                self._skip(_BLANK)
            if self.at == before:  # the text is no TOML
                self.at = len(self.text)
        self.at += 1


def _unquoted(key: str) -> str:
    key = key.strip(" \t")
    if not key.startswith(('"', "'")):
        return key
    try:
        return next(iter(tomllib.loads(f"{key} = 0")))
    except tomllib.TOMLDecodeError:  # the text is no TOML
        return ""
