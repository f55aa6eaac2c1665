"""Frozen values to JSON text and back, the same text for the same value every time.

Called by the store alone. Fields at their default are left out, so a field added later reads as its default.
"""

import json
from datetime import date
from functools import cache
from typing import Any, TypeVar

from cattrs.gen import make_dict_unstructure_fn, override
from cattrs.preconf.json import JsonConverter, make_converter

from digest.model import Pick, Reason, ReasonKind, Remark, Says

T = TypeVar("T")
_EMPTY: tuple[Any, ...] = ("", (), (), None)


@cache
def _converter() -> JsonConverter:
    made = make_converter(omit_if_default=True)
    made.register_unstructure_hook(Remark, _from_remark)
    made.register_structure_hook(Remark, _to_remark)
    # A reason's remark goes by the name that it had when it was a text.
    name = override(rename="text")
    made.register_unstructure_hook(Reason, make_dict_unstructure_fn(Reason, made, remark=name))
    # By hand: a delivery has fifteen picks with some thirty reasons, and every one is read when it is sent.
    made.register_structure_hook(Reason, _to_reason)
    made.register_structure_hook(Pick, _to_pick)
    return made


def _to_pick(fields: Any, _: Any) -> Pick:
    return Pick(
        fields["paper_id"],
        fields["score"],
        fields["relevance"],
        fields["trend"],
        tuple([_to_reason(reason) for reason in fields.get("reasons", ())]),
    )


def _to_reason(fields: Any, _: Any = None) -> Reason:
    return Reason(ReasonKind(fields["kind"]), _to_remark(fields["text"]), fields["weight"])


def _from_remark(remark: Remark) -> list[Any]:
    """A remark as a list, without what is empty at its end: there are dozens of them in each delivery."""
    parts = [remark.says, remark.names, remark.figures, remark.day.isoformat() if remark.day else None]
    while not parts[-1]:
        parts.pop()
    return parts


def _to_remark(parts: Any, _: Any = None) -> Remark:
    """What `_from_remark` gave; or a text, as it was frozen before there were remarks."""
    if isinstance(parts, str):
        return Remark(Says.WRITTEN, (parts,))
    says, names, figures, day = tuple(parts) + _EMPTY[len(parts) :]
    return Remark(Says(says), tuple(names), tuple(figures), date.fromisoformat(day) if day else None)


def encode(value: Any, declared: Any = None) -> str:
    """The value as compact JSON; `declared` is its type where the value alone does not tell (a tuple's items)."""
    plain = _converter().unstructure(value, unstructure_as=declared)
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def decode(text: str, declared: type[T]) -> T:
    """What `encode` wrote, as a value of the declared type."""
    return _converter().structure(json.loads(text), declared)
