"""The reference pages of the docs, made from the code: `python -m tests.reference` writes them.

The config's comes from the settings' models (tables, keys, defaults) and from `config.example.toml` (what it says of
each); the commands' from Typer. `tests/test_docs.py` fails while a committed page is not what the code gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic_core import PydanticUndefined

from digest.cli import cli
from digest.settings.models import TABLES

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "config.example.toml"
_MADE = "<!-- Made by `python -m tests.reference`: change the code, not this page. -->\n"

_ABOUT_CONFIG = """\
One TOML file is one mailing list; a folder of them is an installation. `digest init` writes a short file to begin with,
and `digest check` looks through yours. This page is what [config.example.toml](../../config.example.toml) says of each
key, with the defaults of the code.
"""
_ABOUT_COMMANDS = """\
What `digest COMMAND --help` says. Exit codes: 0 done; 1 done in part or failed, each failure named; 2 config or usage;
3 nothing to do where something was expected; 130 broken off by Ctrl-C.
"""

# --- The config -----------------------------------------------------------------------------------------------------

_TITLE = re.compile(r"# --- (.+?) -+$")
_HEADER = re.compile(r"(?:# )?(\[+[a-z][\w.-]*\]+)(?: +# (.*))?$")
_KEY = re.compile(r"(?:# )?([a-z]\w*) = (.*)$")
_MORE = re.compile(r"#? {10,}# ?(.*)$")


def config_page() -> str:
    """Every table and key, in the example's order and with its words."""
    out = [
        "# The config\n",
        _MADE,
        _ABOUT_CONFIG,
    ]
    table, open_rows = "", False
    text = EXAMPLE.read_text(encoding="utf-8")
    for kind, first, second in _parsed(text[text.index("# Paths are relative") :]):  # before: how to use that file
        if kind == "key":
            if not open_rows:
                out.append("\n| key | by default | e.g. | |\n|---|---|---|---|")
            out.append(f"| `{first}` | {_default(table, first)} | {_example(second[0])} | {_cell(second[1])} |")
            open_rows = True
            continue
        open_rows = False
        if kind == "title":
            out.append(f"\n## {_escaped(first[0].upper() + first[1:])}\n")
        elif kind == "table":
            name = first.strip("[]")
            table = "topics" if name.startswith("topics.") else name
            shown = "[topics.NAME]" if table == "topics" else first
            out.append(f"\n`{shown}`" + (f": {_cell(second)}" if second else ""))
        else:
            out.append(f"\n{first}\n")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).rstrip() + "\n"


def _parsed(text: str) -> Iterator[tuple[str, str, Any]]:
    """("title", words, ""), ("table", header, comment), ("key", name, (value, comment)), ("words", paragraph, "")."""
    lines = text.splitlines()
    paragraph: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        title, header, key = _TITLE.match(line), _HEADER.match(line), _KEY.match(line)
        if (title or header or key or not line.strip("# ")) and paragraph:
            yield "words", _paragraph(paragraph), ""
            paragraph = []
        if title:
            yield "title", title[1], ""
        elif header or key:
            value, _, comment = (header[2] or "", "", "") if header else _split(key[2])  # type: ignore[index]
            more = []
            while at < len(lines) and (found := _MORE.match(lines[at])):
                more.append(found[1])
                at += 1
            if header:
                yield "table", header[1], " ".join([value, *more]).strip()
            elif key:
                yield "key", key[1], (value, " ".join([comment, *more]).strip())
        elif line.startswith("#"):
            paragraph.append(line.removeprefix("#").removeprefix(" "))
    if paragraph:
        yield "words", _paragraph(paragraph), ""


def _paragraph(lines: list[str]) -> str:
    """Prose as it is; indented lines, which are shown as they would be typed, as one block each."""
    out: list[str] = []
    for line in lines:
        indented = line.startswith("    ")
        if indented:
            out.append(f"`` {line.strip()} ``  ")
        else:
            out.append(_escaped(line))
    return "\n".join(out)


def _split(rest: str) -> tuple[str, str, str]:
    """A value, and the comment behind it: `"a # b"  # words`."""
    found = re.match(r"""((?:"[^"]*"|'[^']*'|[^"'#])*)(#? ?)(.*)$""", rest)
    assert found
    return found[1].strip(), found[2], found[3]


def _default(table: str, key: str) -> str:
    fields = TABLES[table].model_fields
    field = next(f for name, f in fields.items() if (f.alias or name) == key)
    if field.is_required():
        return "must be there"
    value = field.default
    if value in (None, PydanticUndefined, ()):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{each}"' for each in value) + "]`"
    return f"`{value}`" if isinstance(value, int | float) else f'`"{value}"`'


def _example(value: str) -> str:
    return f"`{value.replace('|', chr(92) + '|')}`"


def _cell(text: str) -> str:
    return _escaped(text).replace("|", "\\|")


def _escaped(text: str) -> str:
    """Plain words as Markdown: tables and variables in backticks, and nothing that is taken for a sign of its own."""
    tables = "|".join(filter(None, TABLES))
    text = re.sub(rf"(?<![`\[])(\[+(?:{tables})\]+|\$?DIGEST_[A-Z_]*[A-Z])(?!`)", r"`\1`", text)
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [re.sub(r"([\[\]*<])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


# --- The commands ---------------------------------------------------------------------------------------------------


def commands_page() -> str:
    """Every command with its arguments, options and example."""
    out = [
        "# The commands\n",
        _MADE,
        _ABOUT_COMMANDS,
    ]
    for words, command in _commands("digest", typer.main.get_command(cli)):
        out.append(f"\n## {words}\n\n{_escaped(_unwrapped(command.help or ''))}\n")
        arguments = " ".join(_metavar(p) for p in command.params if p.param_type_name == "argument")
        if command.epilog:
            example = command.epilog.removeprefix("Example: ")
            out.append(f"`{words}{' ' + arguments if arguments else ''} [OPTIONS]`, e.g. `{example}`\n")
        rows = [row for parameter in command.params if (row := _row(command, parameter))]
        if rows:
            out += ["| | |", "|---|---|", *rows]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).rstrip() + "\n"


def _commands(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    for name, each in getattr(command, "commands", {}).items():
        if getattr(each, "commands", None):
            yield from _commands(f"{words} {name}", each)
        else:
            yield f"{words} {name}", each


def _metavar(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    many = "..." if parameter.nargs != 1 else ""
    return (name if parameter.required else f"[{name}]") + many


def _row(command: Any, parameter: Any) -> str | None:
    if parameter.param_type_name == "argument":
        name, said = _metavar(parameter), parameter.help or ""
    else:
        record = parameter.get_help_record(typer.Context(command))
        if record is None:
            return None
        name, said = record[0], parameter.help or ""
    default = parameter.default
    has_default = isinstance(default, str | int | float | Path) and not isinstance(default, bool) and default != ""
    has_default = has_default and parameter.show_default
    name = name.replace("|", "\\|")
    return f"| `{name}` | {_cell(_unwrapped(said))}{f' By default `{default}`.' if has_default else ''} |"


def _unwrapped(text: str) -> str:
    """Help as paragraphs of one line each."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))


PAGES = {"docs/reference/config.md": config_page, "docs/reference/commands.md": commands_page}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (ROOT / name).write_text(make(), encoding="utf-8")
