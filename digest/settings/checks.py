"""What one value of the config may be: a raw TOML or environment value in, a Python value out.

Pure, no pydantic. Each function takes whatever TOML holds and raises `WrongValue` with what it must be. `models.py`
hangs them on its fields. Addresses are in `addresses.py`; what can be said of a subscriber is in
`digest.subscribe.values`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, NoReturn, TypeVar

from digest.model import Rate, WarmUp
from digest.model.retention import MONTH, YEAR
from digest.subscribe import values
from digest.subscribe.values import WrongValue

T = TypeVar("T")


class EnvText(str):
    """A value out of the environment, where everything is text: numbers and JSON are read out of it."""

    __slots__ = ()


def text(value: object) -> str:
    """Text on one line, not empty."""
    if not isinstance(value, str):
        raise WrongValue("must be text in quotation marks")
    if not value.strip():
        raise WrongValue("must not be empty", shown=False)
    return values.one_line(str(value))


def long_text(value: object) -> str:
    """Text of one line or several, not empty."""
    if not isinstance(value, str):
        raise WrongValue("must be text in quotation marks")
    if not value.strip():
        raise WrongValue("must not be empty", shown=False)
    return str(value).strip()


def secret(value: object) -> str:
    """Text that is kept as it is and never repeated in a message."""
    if not isinstance(value, str) or not value:
        raise WrongValue("must be text in quotation marks, and not empty", shown=False)
    return str(value)


def of_text(check: Callable[[str], T]) -> Callable[[object], T]:
    """A check for text as a check for anything."""
    return lambda value: check(text(value))


def whole_number(low: int, high: int) -> Callable[[object], int]:
    """A whole number within bounds, both included."""

    def check(value: object) -> int:
        number: object = value
        if isinstance(value, EnvText) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value):
            number = int(value)
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise WrongValue(f"must be a whole number from {low} to {high}")
        return number

    return check


def number(low: float, high: float, must: str) -> Callable[[object], float]:
    """A number with `low` < or = it < or = `high`, as `must` says; an integer will do."""

    def check(value: object) -> float:
        found: object = value
        if isinstance(value, EnvText):
            try:
                found = float(value)
            except ValueError:
                found = None
        if isinstance(found, bool) or not isinstance(found, int | float) or not low <= found <= high:
            raise WrongValue(must)
        return float(found)

    return check


def flag(value: object) -> bool:
    """True or false; in the environment also 1 and 0."""
    words = {"true": True, "1": True, "false": False, "0": False}
    if isinstance(value, EnvText) and value.strip().lower() in words:
        return words[value.strip().lower()]
    if not isinstance(value, bool):
        raise WrongValue("must be true or false")
    return value


def day(value: object) -> date:
    """A calendar day, as TOML's own date or as text."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value.strip()) if isinstance(value, str) else _no_day()
    except ValueError:
        return _no_day()


def _no_day() -> NoReturn:
    raise WrongValue("must be a day such as 2026-12-24")


def pattern(value: object) -> str:
    """A regular expression of Python's `re`."""
    found = long_text(value)
    try:
        re.compile(found, re.I)
    except re.error as error:
        where = "" if error.pos is None else f" at character {error.pos + 1}"
        raise WrongValue("must be a regular expression", f"{error.msg}{where}") from None
    return found


def issn(value: object) -> str:
    """An ISSN, `0028-0836` (ISO 3297), with its check digit right."""
    found = text(value).upper()
    if not re.fullmatch(r"\d{4}-\d{3}[\dX]", found):
        raise WrongValue("must be an ISSN such as `0028-0836`")
    digits = [10 if c == "X" else int(c) for c in found.replace("-", "")]
    if sum(digit * (8 - place) for place, digit in enumerate(digits)) % 11:
        raise WrongValue("must be an ISSN such as `0028-0836`", "its check digit is wrong")
    return found


share = number(0, 1, "must be a number from 0 to 1")
weight = number(1e-6, 1e6, "must be a number greater than 0")


def sequence(example: str) -> Callable[[object], object]:
    """A list; its elements are checked one by one elsewhere."""

    def check(value: object) -> object:
        found = _from_json(value)
        if not isinstance(found, list | tuple):
            raise WrongValue(f"must be a list such as {example}")
        return found

    return check


def many_tables(label: str) -> Callable[[object], object]:
    """An array of tables."""

    def check(value: object) -> object:
        found = _from_json(value)
        if not isinstance(found, list | tuple) or not all(isinstance(item, dict) for item in found):
            raise WrongValue(f"must be written [[{label}]], with two pairs of brackets, once for each", shown=False)
        return found

    return check


def tables_in(value: object) -> list[dict[str, Any]]:
    """The array of tables that a variable holds as JSON; empty where it holds something else."""
    found = _from_json(value) if isinstance(value, EnvText) else ()
    return found if isinstance(found, list) and all(isinstance(item, dict) for item in found) else []


def table(label: str) -> Callable[[object], object]:
    """A table, of which there is one."""

    def check(value: object) -> object:
        found = _from_json(value)
        if not isinstance(found, dict):
            raise WrongValue(f"must be a table, written [{label}] with the keys below it", shown=False)
        return found

    return check


def table_or_tables(label: str) -> Callable[[object], object]:
    """A table, or an array of such tables."""

    def check(value: object) -> object:
        found = _from_json(value)
        each = [found] if isinstance(found, dict) else found
        if not isinstance(each, list | tuple) or not all(isinstance(item, dict) for item in each):
            raise WrongValue(
                f"must be a table, written [{label}], or [[{label}]] once for each of several", shown=False
            )
        return found

    return check


def _from_json(value: object) -> object:
    if isinstance(value, EnvText):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def list_id(value: object) -> str:
    """The stable name of a list; it becomes a part of addresses and headers."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", value):
        raise WrongValue(
            "must be at most 64 letters, digits, dots, dashes and underscores, with a letter or digit at both ends"
        )
    return str(value)


def signing_keys(value: object) -> str:
    """Keys that sign links, one a line: the first signs, the others still verify. Never repeated in a message."""
    found = secret(value)
    if any(len(key) < 32 for key in keys_in(found)) or not keys_in(found):
        raise WrongValue("must be at least 32 characters, made at random", f"print some with `{_RANDOM}`", shown=False)
    return found


def status_password(value: object) -> str:
    """A password that nobody can guess who may try as often as the pages let him. Never repeated in a message."""
    found = secret(value)
    if len(found) < 16 or not found.isascii() or not found.isprintable():
        raise WrongValue("must be at least 16 characters of ASCII", f"print one with `{_RANDOM}`", shown=False)
    return found


_RANDOM = "python -c 'import secrets; print(secrets.token_hex(32))'"


def keys_in(text: str) -> tuple[str, ...]:
    """The keys of a text with one a line."""
    return tuple(filter(None, (line.strip() for line in text.splitlines())))


_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}


def rate(value: object) -> Rate:
    """At most so many messages in a time: `600/minute`."""
    found = (
        re.fullmatch(r"\s*([1-9]\d{0,8})\s*/\s*(second|minute|hour|day)\s*", value) if isinstance(value, str) else None
    )
    if not found:
        raise WrongValue('must be a rate such as "600/minute" (second, minute, hour or day)')
    return Rate(int(found[1]), _SECONDS[found[2]])


_AGES = {"day": timedelta(days=1), "month": MONTH, "year": YEAR}
SHORTEST = 2 * MONTH
"""A monthly round-up reads the announcements of all the month before it."""


def age(value: object) -> timedelta | None:
    """How long something is kept: `1 year`, a month being 30 days, a year 365; None is for ever."""
    found = re.fullmatch(r"\s*([1-9]\d{0,3})\s+(day|month|year)s?\s*", value) if isinstance(value, str) else None
    if isinstance(value, str) and value.strip() == "forever":
        return None
    kept = int(found[1]) * _AGES[found[2]] if found else timedelta()
    if kept < SHORTEST:
        raise WrongValue('must be a time of at least 60 days, such as "90 days", "6 months" or "1 year", or "forever"')
    return kept


def warm_up(value: object) -> WarmUp:
    """The first day of a relay, its messages on that day, and how many times more there are each day."""
    found = _from_json(value)
    must = "must be a table such as { from = 2026-12-24, first = 50, growth = 1.3 }"
    if not isinstance(found, dict) or found.keys() != _WARM_UP.keys():
        raise WrongValue(must, shown=False)
    read = {}
    for key, check in _WARM_UP.items():
        try:
            read[key] = check(found[key])
        except WrongValue as error:
            raise WrongValue(must, f"`{key}` {error.must}, not {values.show(found[key])}", shown=False) from None
    return WarmUp(read["from"], read["first"], read["growth"])


_WARM_UP: dict[str, Callable[[object], Any]] = {
    "from": day,
    "first": whole_number(1, 1_000_000),
    "growth": number(1, 10, "must be a number from 1 to 10"),
}
