"""What there was over time as pictures (SVG) and tables beside them, of the values of `status/lists.py`. Pure.

A chart is a row of bars, one a day, in a box that stretches to whatever width there is; letters would stretch with it,
so all words and figures stand around it, in HTML. `templates/web/chart.html` draws it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from digest.model import BounceKind, DeliveryStatus
from digest.status.lists import FAILED, Day
from digest.store.editions import UNDECIDED

STEP, BAR, HEIGHT = 10, 8, 100
SEEN = 2
"""Of `HEIGHT`: a part that is more than nothing is not drawn smaller."""
COLOURS = ("c1", "c2", "c5", "c6", "c3")
"""Of sources; where there are more, the last is that of all others. Red is kept for what went wrong."""
OTHERS = "others"

CAME_BACK = (BounceKind.HARD, BounceKind.SOFT, BounceKind.POLICY)


@dataclass(frozen=True, slots=True)
class Part:
    """One colour of a chart: `colour` names it for the style sheet, `path` is the `d` of an SVG path."""

    name: str
    colour: str
    total: int
    path: str


@dataclass(frozen=True, slots=True)
class Row:
    """A day on which there was something."""

    day: date
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars by day, and the same as a table."""

    id: str
    title: str
    tells: str
    """The picture in a sentence."""
    first: date
    last: date
    width: int
    most: int
    """The highest bar."""
    parts: tuple[Part, ...]
    rows: tuple[Row, ...]
    """Newest first."""


def charts(days: Sequence[Day]) -> tuple[Chart, ...]:
    """The charts of one list; those without anything to show are left out."""

    def deliveries(*statuses: DeliveryStatus) -> list[int]:
        return [sum(d.edition.counts.get(s, 0) for s in statuses) if d.edition else 0 for d in days]

    def bounces(*kinds: BounceKind) -> list[int]:
        return [sum(d.edition.came_back.get(k, 0) for k in kinds) if d.edition else 0 for d in days]

    finished = [int(d.edition is not None and d.edition.finished_at is not None) for d in days]
    under_way = [int(d.edition is not None and d.edition.finished_at is None) for d in days]
    made = (
        chart(
            "editions", "Editions", days,
            [("finished", "c1", finished), ("not finished", "c2", under_way)],
        ),
        chart(
            "deliveries", "Deliveries", days,
            [
                ("sent", "c1", deliveries(DeliveryStatus.SENT)),
                ("waiting", "c2", deliveries(*UNDECIDED)),
                ("cancelled", "c3", deliveries(DeliveryStatus.CANCELLED)),
                ("failed", "c4", deliveries(*FAILED)),
            ],
        ),
        chart(
            "bounces", "Came back", days,
            [("bounces", "c4", bounces(*CAME_BACK)), ("complaints", "c6", bounces(BounceKind.COMPLAINT))],
        ),
        chart("papers", "New papers by source", days, _sources(days)),
        chart("votes", "Votes", days, [("votes", "c6", [day.votes for day in days])]),
    )  # fmt: skip
    return tuple(each for each in made if each.most)


def _sources(days: Sequence[Day]) -> list[tuple[str, str, list[int]]]:
    names = list(dict.fromkeys(name for day in reversed(days) for name in day.papers))
    own = names if len(names) <= len(COLOURS) else names[: len(COLOURS) - 1]
    of: Callable[[str], list[int]] = lambda name: [day.papers.get(name, 0) for day in days]  # noqa: E731
    found = [(name, colour, of(name)) for name, colour in zip(own, COLOURS, strict=False)]
    rest = [of(name) for name in names[len(own) :]]
    return [*found, (OTHERS, COLOURS[-1], [sum(some) for some in zip(*rest, strict=True)])] if rest else found


def chart(id_: str, title: str, days: Sequence[Day], series: Sequence[tuple[str, str, Sequence[int]]]) -> Chart:
    """A chart of series with a value a day each; those that are nothing on all days are left out."""
    shown = [(name, colour, values) for name, colour, values in series if any(values)]
    columns = [tuple(values[n] for _, _, values in shown) for n in range(len(days))]
    most = max((sum(column) for column in columns), default=0)
    paths = [""] * len(shown)
    for n, column in enumerate(columns):
        below = 0.0
        for at, height in enumerate(heights(column, most)):
            if height:
                x, top = STEP * n + (STEP - BAR) // 2, HEIGHT - below
                paths[at] += f"M{x} {top:g}v-{height:g}h{BAR}v{height:g}z"
                below = round(below + height, 1)
    parts = tuple(
        Part(name, colour, sum(values), path) for (name, colour, values), path in zip(shown, paths, strict=True)
    )
    rows = tuple(Row(day.on, column) for day, column in zip(days, columns, strict=True) if any(column))
    told = ", ".join(f"{part.total:,} {part.name}" for part in parts)
    where = f"{days[0].on.day} {days[0].on:%B %Y} to {days[-1].on.day} {days[-1].on:%B %Y}"
    tells = f"{where}: {told}; at most {most:,} on one day."
    return Chart(id_, title, tells, days[0].on, days[-1].on, STEP * len(days), most, parts, rows[::-1])


def heights(column: Sequence[int], most: int) -> list[float]:
    """How high each part of a bar is; what is more than nothing can be seen, and all of it fits."""
    if not any(column):
        return [0.0] * len(column)
    raised = [max(value / most * HEIGHT, SEEN) if value else 0.0 for value in column]
    over = max(sum(raised) / HEIGHT, 1.0)
    return [round(height / over, 1) for height in raised]
