"""Errors of pydantic in words: file, line, key path, what is wrong and what to write instead.

Pure. No message holds the value of a password, and none is pydantic's own. `load` calls it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import ErrorDetails

from digest.errors import Problem
from digest.settings.document import Document
from digest.settings.models import TABLES, keys_of
from digest.settings.toml_lines import KeyPath, line_of
from digest.subscribe.values import WrongValue, did_you_mean, printable

_ARRAYS = frozenset({"sources", "subscribers"})
NOT_SETTINGS = frozenset({"DIGEST_CONFIG", "DIGEST_LOG_JSON", "DIGEST_RECORDED"})
"""Variables that begin like settings and are something else."""


@dataclass(frozen=True)
class Places:
    """Where each value of a merged config was written: in the file, or in the environment."""

    document: Document
    environment: Mapping[str, Any]

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem at `path`, wherever that was written."""
        if variable := self.variable(path):
            named = message if variable in message else f"{variable}: {message}"
            return Problem(None, None, dotted(path), printable(named))
        return Problem(self.document.path, line_of(self.document.lines, path) or 1, dotted(path), printable(message))

    def where(self, path: KeyPath) -> str:
        """The place of `path` in short: `config.toml:12`."""
        problem = self.problem(path, "")
        return f"{problem.file}:{problem.line}" if problem.file else "the environment"

    def variable(self, path: KeyPath) -> str | None:
        """The name of the variable that `path` comes from; None where it comes from the file."""
        found: Any = self.environment
        for depth, step in enumerate(path):
            if not isinstance(found, Mapping) or step not in found:
                return None
            found = found[step]
            if not isinstance(found, Mapping):
                return "DIGEST_" + "__".join(str(part) for part in path[: depth + 1]).upper()
        # A table of the environment alone: what it lacks is the environment's mistake.
        return None if path in self.document.lines else "DIGEST_" + "__".join(map(str, path)).upper()


def dotted(path: KeyPath) -> str:
    """`subscribers[1].email`: a key's path as a person reads it, elements counted from 0."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def table_label(table: KeyPath) -> str:
    """`[list]`, `[[sources]]`, `[topics.video]`: a table as it is written in the file."""
    if not table:
        return "the top of the file"
    if table[0] in _ARRAYS or isinstance(table[-1], int):
        return f"[[{table[0]}]]" if len(table) <= 2 else f"a topic of [[{table[0]}]]"
    return f"[{'.'.join(str(step) for step in table if not isinstance(step, int))}]"


def explain(errors: list[ErrorDetails], places: Places) -> Iterator[Problem]:
    """Each of pydantic's errors as a problem of the config."""
    for error in errors:
        path = _written(error["loc"])
        if error["type"] == "extra_forbidden":
            message = _unknown_key(path, is_table=isinstance(error["input"], dict))
        elif error["type"] == "missing":
            path, message = _missing(path, places)
        else:
            message = _wrong_value(path, error, places)
        yield places.problem(path, message)


def _written(loc: tuple[int | str, ...]) -> KeyPath:
    """The location without the tag that stands for one of two forms: of a subscriber's topic, of [smtp], of [dkim]."""
    if loc[0] in ("smtp", "dkim"):
        return (*loc[:1], *loc[2:])
    if loc[0] == "subscribers" and loc[2:3] == ("topics",) and len(loc) > 4:
        return (*loc[:4], *loc[5:])
    return loc


def _kind(table: KeyPath) -> str:
    """The table of `TABLES` that a path leads to."""
    names = [str(step) for step in table if not isinstance(step, int)]
    return "topics" if names[:1] == ["topics"] else ".".join(names)


def _subject(path: KeyPath) -> str:
    """Name it: "`papers` of [list]"; for an element of a list, the list's key."""
    *table, key = path if isinstance(path[-1], str) else path[:-1]
    if isinstance(path[-1], int) and len(path) == 2:
        return table_label(path)
    return f"`{key}` of {table_label(tuple(table))}"


def _wrong_value(path: KeyPath, error: ErrorDetails, places: Places) -> str:
    cause = error.get("ctx", {}).get("error")
    if not isinstance(cause, WrongValue):
        cause = WrongValue("is not usable", shown=False)
    variable = places.variable(path)
    is_table = len(path) == 1 and path[0] in TABLES
    subject = f"`{variable}`" if variable else f"[{path[0]}]" if is_table else _subject(path)
    return cause.about(subject, error["input"])


def _unknown_key(path: KeyPath, *, is_table: bool) -> str:
    *table, name = path
    label, known = table_label(tuple(table)), keys_of(_kind(tuple(table)))
    if not table:
        return _unknown_top(str(name), known, is_table=is_table)
    homes = [home for home in TABLES if home != "subscribers.topics" and name in keys_of(home)]
    if "" in homes and name == "subscribers_file":
        advice = "it belongs at the top of the file, before the first [table]"
    elif near := did_you_mean(str(name), known):
        advice = near
    elif len(homes) == 1:
        advice = f"it belongs in {_home_label(homes[0])}"
    else:
        advice = f"its keys are {', '.join(known)}"
    return f"`{name}` is not a key of {label}; {advice}"


def _unknown_top(name: str, known: tuple[str, ...], *, is_table: bool) -> str:
    homes = [home for home in TABLES if home not in ("", "subscribers.topics") and name in keys_of(home)]
    everywhere = {key: home for home in TABLES if home not in ("", "subscribers.topics") for key in keys_of(home)}
    if near := did_you_mean(name, known):
        advice = near
    elif not (homes or is_table) and (near := did_you_mean(name, everywhere)):
        advice = f"{near[:-1]} of {_home_label(everywhere[near.split('`')[1]])}?"
    elif homes:
        advice = f"it belongs in {' or '.join(_home_label(home) for home in homes)}"
    else:
        advice = f"its tables are {', '.join(_home_label(t) for t in TABLES if t not in ('', 'subscribers.topics'))}"
    return f"`{name}` is not a key of the top of the file; {advice}"


def _home_label(home: str) -> str:
    return f"[[{home}]]" if home in _ARRAYS else "[topics.NAME]" if home == "topics" else f"[{home}]"


_FOR_EXAMPLE = {
    "id": 'id = "video-lab"',
    "from": 'from = "Video Lab <digest@example.org>"',
    "kind": 'kind = "arxiv"',
    "email": 'email = "ada@example.org"',
    "host": 'host = "smtp.example.org"',
    "selector": 'selector = "digest"',
    "key_file": 'key_file = "dkim.pem"',
}


def _missing(path: KeyPath, places: Places) -> tuple[KeyPath, str]:
    *table, name = path
    if not table:
        return path, f"[{name}] is missing: a config has a table [{name}] with at least `id` and `from`"
    message = f"`{name}` of {table_label(tuple(table))} is missing: write e.g. `{_FOR_EXAMPLE[str(name)]}`"
    if set_by := places.variable(tuple(table)):
        message += f"; the table is there because a variable {set_by}__… is set"
    return tuple(table), message


def nameless_variables(document: Document, environment: Mapping[str, Any]) -> list[Problem]:
    """Variables for a table of which the file has several: they cannot say which one they mean."""
    found = []
    for label, keys in environment.items():
        if isinstance(keys, Mapping) and isinstance(document.data.get(label), list) and label not in _ARRAYS:
            for key in keys:
                name = f"DIGEST_{label}__{key}".upper()
                what = "`password_file`" if key == "password" else f"`{key}`"
                message = f"`{name}` cannot say which [[{label}]] it means: give each table its own {what}"
                found.append(Problem(None, None, dotted((label, key)), message))
    return found


def unknown_variables(environ: Mapping[str, str]) -> Iterator[Problem]:
    """Variables that look like settings and are none: a mistyped password must not go unnoticed."""
    for name in sorted(environ):
        if not name.upper().startswith("DIGEST_") or name.upper() in NOT_SETTINGS or not environ[name]:
            continue
        table, nested, _ = name.upper().removeprefix("DIGEST_").lower().partition("__")
        if table in keys_of(""):
            continue
        if nested:
            near = difflib.get_close_matches(name.upper(), _variables(), n=1)
            advice = f"did you mean `{near[0]}`?" if near else f"its tables are {', '.join(keys_of(''))}"
            yield Problem(None, None, table, f"`{name}` is not a setting; {advice}")
        else:
            meant = [v for v in _variables() if v.replace("__", "_") == name.upper()]
            if meant:
                yield Problem(None, None, table, f"`{name}` is not a setting; did you mean `{meant[0]}`?")


def _variables() -> Iterator[str]:
    for table in TABLES:
        if table and table not in _ARRAYS and "." not in table and table != "topics":
            yield from (f"DIGEST_{table}__{key}".upper() for key in keys_of(table))
