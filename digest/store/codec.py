"""Frozen values to JSON text and back, the same text for the same value every time.

Called by the store alone. Fields at their default are left out, so a field added later reads as its default. msgspec
reads dataclasses by itself; what an edition has by the million, picks with their reasons, goes through structs that
are what a pick is in the text: both ways it is one call for all picks of a delivery.
"""

from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from datetime import date
from functools import cache, lru_cache
from typing import Any, TypeVar, cast

from msgspec import Raw, Struct
from msgspec.json import Decoder, Encoder

from digest.model import FollowUp, NearMiss, PaperId, Pick, Reason, ReasonKind, Remark, Says, Selection, TopicWeek

T = TypeVar("T")
REMARKS = 1 << 14
"""How many remarks are remembered: few of a list's topics meet its few papers."""


# Not looked through for garbage, as none of them is part of a cycle: that would cost more than to make them.
class _Reason(Struct, gc=False):
    kind: ReasonKind
    text: Raw
    """A reason's remark goes by the name that it had when it was a text."""
    weight: float


class _Pick(Struct, gc=False, kw_only=True, omit_defaults=True):
    paper_id: PaperId
    reasons: tuple[_Reason, ...] = ()
    relevance: float
    score: float
    trend: float


class _NearMiss(Struct, gc=False):
    missing: Raw
    pick: _Pick


class _Selection(Struct, gc=False, omit_defaults=True):
    follow_ups: tuple[FollowUp, ...] = ()
    near_misses: tuple[_NearMiss, ...] = ()
    picks: tuple[_Pick, ...] = ()
    trending: tuple[_Pick, ...] = ()
    week: tuple[TopicWeek, ...] = ()


class _Named(Struct, gc=False):
    """Of a pick or a vote, what paper it is."""

    paper_id: PaperId


class _Naming(Struct, gc=False):
    """Of a profile, the papers that it names."""

    examples: tuple[PaperId, ...] = ()
    liked: tuple[_Named, ...] = ()
    disliked: tuple[_Named, ...] = ()


def encode(value: Any) -> str:
    """The value as compact JSON."""
    return _written(_plain(value))


def decode(text: str, declared: type[T]) -> T:
    """What `encode` wrote, as a value of the declared type. Raises msgspec.ValidationError if it is none."""
    form, value_of = _FORMS.get(declared, (declared, _itself))
    return cast(T, value_of(_decoder(form).decode(text)))


def paper_ids(picks: str) -> list[PaperId]:
    """The papers of frozen picks; whatever else is in them is not read."""
    return [pick.paper_id for pick in _decoder(tuple[_Named, ...]).decode(picks)]


def named_in(profile: str) -> list[PaperId]:
    """The papers that a profile names; whatever else is in it is not read."""
    naming = _decoder(_Naming).decode(profile)
    return [*naming.examples, *(vote.paper_id for vote in naming.liked + naming.disliked)]


def without_abstract(text: str) -> str:
    """A frozen paper, or a candidate, as it is without the abstract."""
    fields = _decoder(dict[str, Any]).decode(text)
    fields.get("paper", fields).pop("abstract", None)
    return _written(fields)


_ENCODER = Encoder(order="deterministic")


def _written(plain: Any) -> str:
    return _ENCODER.encode(plain).decode()


@cache
def _decoder(form: Any) -> Decoder[Any]:
    return Decoder(form)


def _plain(value: Any) -> Any:
    """The value as it looks in the text."""
    if isinstance(value, Pick):
        return _pick_form(value)
    if isinstance(value, Selection):
        return _selection_form(value)
    if isinstance(value, tuple):
        return tuple([_plain(item) for item in value])
    if isinstance(value, date):
        return value.isoformat()
    kind: Any = type(value)
    defaults = _defaults(kind)
    if defaults is None:
        return value
    kept = ((name, getattr(value, name), default) for name, default in defaults)
    return {name: _plain(held) for name, held, default in kept if held != default}


@cache
def _defaults(kind: type) -> tuple[tuple[str, Any], ...] | None:
    """The fields of a dataclass with their defaults, none of which is made by a factory; None for anything else."""
    return tuple((field.name, field.default) for field in fields(kind)) if is_dataclass(kind) else None


def _remark_form(remark: Remark) -> Any:
    """A remark is a list, without what is empty at its end: there are dozens of them in each delivery."""
    return remark if remark.day else remark[:3] if remark.figures else remark[:2] if remark.names else remark[:1]


def _pick_form(pick: Pick) -> _Pick:
    return _Pick(
        paper_id=pick.paper_id,
        reasons=tuple([_Reason(kind, _remark_form(remark), weight) for kind, remark, weight in pick.reasons]),
        relevance=pick.relevance,
        score=pick.score,
        trend=pick.trend,
    )


def _selection_form(selection: Selection) -> _Selection:
    return _Selection(
        _plain(selection.follow_ups),
        tuple([_NearMiss(_remark_form(miss.missing), _pick_form(miss.pick)) for miss in selection.near_misses]),
        tuple(map(_pick_form, selection.picks)),
        tuple(map(_pick_form, selection.trending)),
        selection.week,
    )


def _itself(form: Any) -> Any:
    return form


@lru_cache(maxsize=REMARKS)
def _remark(form: bytes) -> Remark:
    """A text is as it was frozen before there were remarks."""
    read = _decoder(Remark | str).decode(form)
    return Remark(Says.WRITTEN, (read,)) if isinstance(read, str) else read


_new = tuple.__new__


def _pick(form: _Pick) -> Pick:
    # There are dozens of reasons in a delivery, and the constructor of a named tuple is Python code.
    reasons = tuple(
        [_new(Reason, (reason.kind, _remark(bytes(reason.text)), reason.weight)) for reason in form.reasons]
    )
    return Pick(form.paper_id, form.score, form.relevance, form.trend, reasons)


def _picks(forms: Iterable[_Pick]) -> tuple[Pick, ...]:
    return tuple([_pick(form) for form in forms])


def _selection(form: _Selection) -> Selection:
    return Selection(
        _picks(form.picks),
        tuple([NearMiss(_pick(miss.pick), _remark(bytes(miss.missing))) for miss in form.near_misses]),
        _picks(form.trending),
        form.follow_ups,
        form.week,
    )


_FORMS: dict[Any, tuple[Any, Callable[[Any], Any]]] = {
    tuple[Pick, ...]: (tuple[_Pick, ...], _picks),
    Selection: (_Selection, _selection),
}
"""What looks otherwise in the text than in the model: as what it is read, and what makes a value of that."""
