"""The line of every key of a TOML document."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.settings.toml_lines import KeyPath, key_lines, line_of

DOCUMENT = '''\
# a comment with [brackets] and a = 1
top = 1

[list]            # [no]
id = "x = [y]"    # id = 2
"quoted key" = 'C:\\'
text = """
[not.a.table]
key = 3
\\""" still inside, "quoted" ""\\
"""""
'single' . "dots.in it".c = 4
when = 1979-05-27 07:32:00Z

[[sources]]
categories = [ "a", # ]
  "b]",
  { k = [1,
    2], "l" = {m = 5} },
  \'\'\'it''s
  [here]\'\'\'\'\',
  6,
]
after = true
[[sources]]
 [ sources . options ]
  deep = 7
[[sources.more]]
[[sources.more]]
x.y = 8
[a.b]
[a]
c = 9
empty = []
none = {}
last = "no line end"'''

EXPECTED: dict[KeyPath, int] = {
    ("top",): 2,
    ("list",): 4,
    ("list", "id"): 5,
    ("list", "quoted key"): 6,
    ("list", "text"): 7,
    ("list", "single"): 12,
    ("list", "single", "dots.in it"): 12,
    ("list", "single", "dots.in it", "c"): 12,
    ("list", "when"): 13,
    ("sources",): 15,
    ("sources", 0): 15,
    ("sources", 0, "categories"): 16,
    ("sources", 0, "categories", 0): 16,
    ("sources", 0, "categories", 1): 17,
    ("sources", 0, "categories", 2): 18,
    ("sources", 0, "categories", 2, "k"): 18,
    ("sources", 0, "categories", 2, "k", 0): 18,
    ("sources", 0, "categories", 2, "k", 1): 19,
    ("sources", 0, "categories", 2, "l"): 19,
    ("sources", 0, "categories", 2, "l", "m"): 19,
    ("sources", 0, "categories", 3): 20,
    ("sources", 0, "categories", 4): 22,
    ("sources", 0, "after"): 24,
    ("sources", 1): 25,
    ("sources", 1, "options"): 26,
    ("sources", 1, "options", "deep"): 27,
    ("sources", 1, "more"): 28,
    ("sources", 1, "more", 0): 28,
    ("sources", 1, "more", 1): 29,
    ("sources", 1, "more", 1, "x"): 30,
    ("sources", 1, "more", 1, "x", "y"): 30,
    ("a",): 31,
    ("a", "b"): 31,
    ("a", "c"): 33,
    ("a", "empty"): 34,
    ("a", "none"): 35,
    ("a", "last"): 36,
}


def paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key path of a parsed document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from paths(inner, (*path, key))


def test_every_form_of_toml_has_its_line() -> None:
    """Comments, quoted and dotted keys, arrays of tables, inline tables, long strings and arrays: each is counted."""
    assert key_lines(DOCUMENT) == EXPECTED
    assert set(EXPECTED) == set(paths(tomllib.loads(DOCUMENT)))


def test_windows_line_ends_count_once() -> None:
    """CRLF is one line end, in strings too."""
    assert key_lines(DOCUMENT.replace("\n", "\r\n")) == EXPECTED


def test_a_path_that_is_not_there_has_the_line_of_what_is_around_it() -> None:
    """What is missing from a table stands, for a reader, where the table does."""
    assert line_of(EXPECTED, ("sources", 1, "kind")) == 25
    assert line_of(EXPECTED, ("list", "id", "x", 3)) == 5
    assert line_of(EXPECTED, ("smtp", "host")) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "# only a comment",
        "[[]",
        "= 3",
        '"""',
        "[a",
        "a = [1",
        "a = {b",
        "a = [}",
        "a = [1}]",
        "a = {]",
        '"\\x" = 1',
        "\x00",
    ],
)
def test_what_is_no_toml_ends_the_scan(text: str) -> None:
    """The scan ends on any text, valid or not, without an error: those are for the parser to tell."""
    assert all(isinstance(line, int) for line in key_lines(text).values())


_keys = st.text("ab_-.'\" é\\]=#", min_size=1, max_size=4)
_strings = st.text("ab'\"\\\n[]{}=,# ", max_size=12)
_values = st.recursive(
    st.integers(-9, 99) | st.booleans() | _strings,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=8,
)


class _Writer:
    """Writes TOML and remembers the line on which it writes each key."""

    def __init__(self, draw: st.DrawFn):
        self.draw = draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def note(self, path: KeyPath) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def space(self) -> str:
        return self.draw(st.sampled_from(["", " ", "\t"]))

    def line_break(self) -> str:
        return self.draw(st.sampled_from(["", " ", "\n", " # x = [\n", "\n\n  # '\n"]))

    def table(self, data: dict[str, Any]) -> None:
        for key, value in data.items():
            self.text += self.draw(st.sampled_from(["", "\n", "# [c] = 'x\n", "  "]))
            self.pair((), key, value)
            self.text += self.draw(st.sampled_from(["\n", " # it's\n", "\n\n"]))

    def pair(self, path: KeyPath, key: str, value: Any) -> None:
        self.note((*path, key))
        self.text += self.quoted(key) + self.space() + "=" + self.space()
        self.value((*path, key), value)

    def value(self, path: KeyPath, value: Any) -> None:
        if isinstance(value, dict):
            self.text += "{"
            for number, (key, inner) in enumerate(value.items()):
                self.text += ", " if number else " "
                self.pair(path, key, inner)
            self.text += self.space() + "}"
        elif isinstance(value, list):
            self.text += "["
            for number, inner in enumerate(value):
                self.text += self.line_break()
                self.note((*path, number))
                self.value((*path, number), inner)
                self.text += self.line_break() + ("," if number < len(value) - 1 or self.draw(st.booleans()) else "")
            self.text += self.line_break() + "]"
        elif isinstance(value, str):
            self.text += self.string(value)
        else:
            self.text += str(value).lower()

    def quoted(self, key: str) -> str:
        if "'" not in key and self.draw(st.booleans()):
            return f"'{key}'"
        return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def string(self, value: str) -> str:
        if "'''" not in value and not value.endswith("'") and self.draw(st.booleans()):
            return f"'''\n{value}'''"
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        if self.draw(st.booleans()):
            return f'"""\n{escaped}"""'
        return '"' + escaped.replace("\n", "\\n") + '"'


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[KeyPath, int]]:
    """A document and the lines of its keys, written down while it was written."""
    writer = _Writer(draw)
    writer.table(draw(st.dictionaries(_keys, _values, max_size=4)))
    return writer.text, writer.lines


@given(documents())
def test_the_lines_are_those_on_which_the_keys_were_written(document: tuple[str, dict[KeyPath, int]]) -> None:
    """Whatever strings, comments and line breaks a document has, no key is missed, invented or misplaced."""
    text, lines = document
    assert set(paths(tomllib.loads(text))) == set(lines)
    assert key_lines(text) == lines


@given(st.text("a1.=[]{},#'\"\\\n ", max_size=40))
def test_any_text_is_scanned_to_its_end(text: str) -> None:
    """Hostile text neither hangs the scan nor breaks it; of valid TOML every key is found."""
    found = key_lines(text)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(found) == set(paths(data))
