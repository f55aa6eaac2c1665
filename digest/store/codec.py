"""Frozen values to JSON text and back, the same text for the same value every time.

Called by the store alone. Fields at their default are left out, so a field added later reads as its default.
"""

import json
from functools import cache
from typing import Any, TypeVar

from cattrs.preconf.json import JsonConverter, make_converter

T = TypeVar("T")


@cache
def _converter() -> JsonConverter:
    return make_converter(omit_if_default=True)


def encode(value: Any, declared: Any = None) -> str:
    """The value as compact JSON; `declared` is its type where the value alone does not tell (a tuple's items)."""
    plain = _converter().unstructure(value, unstructure_as=declared)
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def decode(text: str, declared: type[T]) -> T:
    """What `encode` wrote, as a value of the declared type."""
    return _converter().structure(json.loads(text), declared)
