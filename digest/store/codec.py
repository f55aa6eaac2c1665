"""Frozen values to JSON text and back, the same text for the same value every time.

Called by the store alone. Fields at their default are left out, so a field added later reads as its default.
"""

import json
from datetime import date
from functools import cache
from typing import Any, TypeVar

from cattrs.preconf.json import JsonConverter, make_converter

from digest.model import FollowUp, NearMiss, Pick, Reason, ReasonKind, Remark, Says, Selection, TopicWeek

T = TypeVar("T")
_EMPTY: tuple[Any, ...] = ("", (), (), None)
_KINDS = {str(kind): kind for kind in ReasonKind}
_SAYS = {str(says): says for says in Says}


@cache
def _converter() -> JsonConverter:
    made = make_converter(omit_if_default=True)
    # By hand: a delivery has fifteen picks with some thirty reasons, and every one is read when it is sent.
    made.register_unstructure_hook(Remark, _from_remark)
    made.register_structure_hook(Remark, _to_remark)
    made.register_unstructure_hook(Reason, _from_reason)
    made.register_structure_hook(Reason, _to_reason)
    made.register_unstructure_hook(Pick, _from_pick)
    made.register_structure_hook(Pick, _to_pick)
    made.register_structure_hook_func(lambda declared: declared == tuple[Pick, ...], _to_picks)
    made.register_structure_hook(Selection, _to_selection)
    return made


def _from_pick(pick: Pick) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "paper_id": pick.paper_id,
        "score": pick.score,
        "relevance": pick.relevance,
        "trend": pick.trend,
    }
    if pick.reasons:
        fields["reasons"] = [_from_reason(reason) for reason in pick.reasons]
    return fields


def _to_pick(fields: Any, _: Any = None) -> Pick:
    return Pick(
        fields["paper_id"],
        fields["score"],
        fields["relevance"],
        fields["trend"],
        tuple([_to_reason(reason) for reason in fields.get("reasons", ())]),
    )


def _to_picks(listed: Any, _: Any = None) -> tuple[Pick, ...]:
    return tuple([_to_pick(fields) for fields in listed])


def _to_selection(fields: Any, _: Any) -> Selection:
    missed, followed, week = (fields.get(name, ()) for name in ("near_misses", "follow_ups", "week"))
    return Selection(
        _to_picks(fields.get("picks", ())),
        tuple([NearMiss(_to_pick(miss["pick"]), _to_remark(miss["missing"])) for miss in missed]),
        _to_picks(fields.get("trending", ())),
        _converter().structure(followed, tuple[FollowUp, ...]) if followed else (),
        tuple([TopicWeek(topic["name"], tuple(topic["papers"])) for topic in week]),
    )


def _from_reason(reason: Reason) -> dict[str, Any]:
    # A reason's remark goes by the name that it had when it was a text.
    return {"kind": reason.kind, "text": _from_remark(reason.remark), "weight": reason.weight}


def _to_reason(fields: Any, _: Any = None) -> Reason:
    return Reason(_KINDS[fields["kind"]], _to_remark(fields["text"]), fields["weight"])


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
    if len(parts) == 2:  # as most are
        return Remark(_SAYS[parts[0]], tuple(parts[1]))
    says, names, figures, day = tuple(parts) + _EMPTY[len(parts) :]
    return Remark(_SAYS[says], tuple(names), tuple(figures), date.fromisoformat(day) if day else None)


def encode(value: Any, declared: Any = None) -> str:
    """The value as compact JSON; `declared` is its type where the value alone does not tell (a tuple's items)."""
    return _compact(_converter().unstructure(value, unstructure_as=declared))


def _compact(plain: Any) -> str:
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def decode(text: str, declared: type[T]) -> T:
    """What `encode` wrote, as a value of the declared type."""
    return _converter().structure(json.loads(text), declared)


def without_abstract(text: str) -> str:
    """A frozen paper, or a candidate, as it is without the abstract."""
    fields = json.loads(text)
    fields.get("paper", fields).pop("abstract", None)
    return _compact(fields)


def without_reasons(text: str) -> str:
    """Frozen picks as they are without their reasons: which papers, and their figures."""
    return _compact([{name: value for name, value in pick.items() if name != "reasons"} for pick in json.loads(text)])
