"""Round-ups: the weekly and monthly editions of a list that comes out more often. Pure.

A list's own editions are made of what its sources announced. A round-up is made of what those editions were made of,
for the readers who want the list only so often: on the list's first run of a week (ISO 8601) or a month, from all
since the run that began the last one. So it needs no marks of its own, and what was pulled is used once. Called by
`store/rounds.py`, inside the transaction that freezes an edition, and by `making.py` for previews.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from digest.model import Announcement, Coverage, EditionId, Frequency, Signal, SourceSummary

_ORDER = tuple(Frequency)


@dataclass(frozen=True, slots=True)
class Material:
    """What a round-up is made of."""

    since: datetime | None
    """The cutoff of the last edition that it does not cover."""
    parts: frozenset[EditionId]
    """The list's own editions that it covers."""
    announcements: tuple[Announcement, ...]
    signals: tuple[Signal, ...]
    sources: tuple[SourceSummary, ...]


NOTHING = Material(None, frozenset(), (), (), ())


def coarser(own: Frequency) -> tuple[Frequency, ...]:
    """The frequencies for which a list that comes out at its own makes round-ups; finer ones count as its own."""
    return _ORDER[_ORDER.index(own) + 1 :]


def is_for(edition: Frequency | None, own: Frequency, wanted: Frequency | None) -> bool:
    """Whether the round-up of that frequency, or the list's own edition (None), is for her who wants it so often."""
    return wanted not in coarser(own) if edition is None else wanted is edition


def period(frequency: Frequency, day: date) -> tuple[int, ...]:
    """What a day has in common with the others of its week or month, in order of time."""
    if frequency is Frequency.WEEKLY:
        return tuple(day.isocalendar())[:2]
    return (day.year, day.month) if frequency is Frequency.MONTHLY else (day.toordinal(),)


def opens(frequency: Frequency, day: date, before: Collection[date], last: date | None) -> bool:
    """Whether a round-up is due on a run's day: `before` had the list's own editions, `last` the last round-up."""
    present = period(frequency, day)
    begun = max((period(frequency, each) for each in before), default=None)
    return begun != present and (last is None or period(frequency, last) != present)


def covered_until(frequency: Frequency, before: Sequence[date], last: date | None) -> date | None:
    """The day up to which the list's own editions belong to earlier round-ups; None: they have brought nothing.

    `before`: the days of the list's own editions before the round-up's. The newest period that they lie in began with a
    run at which a round-up was made, or would have been had somebody wanted it: whoever comes to want it gets one
    period's papers, however long ago the last round-up was. A round-up made on a run without an edition of the list's
    own is newer than that, or of the same period.
    """
    if not before:
        return last
    newest = max(period(frequency, day) for day in before)
    began = min(day for day in before if period(frequency, day) == newest)
    return last if last is not None and period(frequency, last) >= newest else began


def combined(editions: Iterable[Sequence[SourceSummary]]) -> tuple[SourceSummary, ...]:
    """What each source gave to several editions, oldest first: figures added up, its state as it was last."""
    found: dict[str, SourceSummary] = {}
    for summary in (summary for edition in editions for summary in edition):
        earlier = found.pop(summary.source, None)  # in the order of the newest edition
        found[summary.source] = _joined(earlier, summary) if earlier else summary
    return tuple(found.values())


def _joined(earlier: SourceSummary, later: SourceSummary) -> SourceSummary:
    parts: dict[str, Coverage] = {each.part: each for each in earlier.coverage}
    for each in later.coverage:
        known = parts.get(each.part)
        if known:
            unknown = known.expected is None or each.expected is None
            expected = None if unknown else (known.expected or 0) + (each.expected or 0)
            each = Coverage(each.part, known.received + each.received, expected)  # noqa: PLW2901
        parts[each.part] = each
    return replace(
        later,
        received=earlier.received + later.received,
        fresh=earlier.fresh + later.fresh,
        coverage=tuple(parts.values()),
        announced=tuple(sorted({*earlier.announced, *later.announced})),
        skipped=earlier.skipped + later.skipped,
        rejected=earlier.rejected + later.rejected,
        figures=earlier.figures + later.figures,
    )
