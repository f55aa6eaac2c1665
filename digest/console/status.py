"""What `digest status` says: tables and charts on a terminal, one plain line a fact elsewhere, or JSON.

The values are `digest/status/lists.py`'s; editions are counted anew, so that "adds up" is a fact. Called by `cli/`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from digest.app import App
from digest.console.editions import came_back_line, counts_line, edition_name, overview_json, pause_json
from digest.console.plot import ASCII, BLOCKS, axis, bars, columns, gathered
from digest.console.shards import show_crew, show_shards
from digest.console.sources import health_lines, summary_json
from digest.console.terminal import Terminal
from digest.console.words import plural
from digest.errors import DONE, PARTLY
from digest.holding import paused_line
from digest.model import DeliveryStatus, SourceHealth
from digest.status.lists import FAILED, Day, ListStatus, Overdue, Wrong, ago, first_day, status_of, wrong
from digest.store import EditionOverview
from digest.store.editions import UNDECIDED

if TYPE_CHECKING:
    from rich.console import RenderableType

REPLIES_SHOWN = 5
"""Of an edition; `digest deliveries` has them all."""
PLAIN_WIDTH = 80
"""Columns of a chart where no terminal says how many it has."""
LABEL = 21
"""Characters before a chart's columns."""
CHART_ROWS = 5
ALARM, CARE, GOOD, QUIET = "bold red", "yellow", "green", "dim"
GROUPS: tuple[tuple[str, tuple[DeliveryStatus, ...]], ...] = (
    ("sent", (DeliveryStatus.SENT,)),
    ("waiting", UNDECIDED),
    ("failed", FAILED),
    ("cancelled", (DeliveryStatus.CANCELLED,)),
)
BESIDE = 52
"""Characters of a table of editions without its counts by status."""
WIDEST_PLOT = 132


def show(terminal: Terminal, app: App, editions: int, days: int, *, plot: bool) -> int:
    """Shows one list; the exit code says whether every finished edition adds up."""
    now = app.now()
    snapshot = app.figures.read(first_day(app.list, now, days), now)
    status = status_of(app.config, snapshot, app.figures.pulse(app.list.id, now), now, days)
    overviews = app.editions.recent(app.list.id, editions)
    health = app.sources.health(app.list.id)
    terminal.say(f"{app.list.name} ({app.list.id})", style="bold")
    _show_state(terminal, status)
    shards = show_shards(terminal, app, overviews)
    crew = show_crew(terminal, status)
    if plot:
        _show_plot(terminal, status)
    elif terminal.is_interactive:
        _show_tables(terminal, status, overviews, health)
    else:
        _show_lines(terminal, overviews, health)
    told = _json(status, overviews, health, with_days=plot) | {"shards": shards}
    terminal.emit(told | ({"crew": crew} if crew else {}))
    return DONE if all(o.adds_up or not o.finished_at for o in overviews) else PARTLY


def check(terminal: Terminal, app: App) -> int:
    """Says in a line whether the list does what it should."""
    now = app.now()
    pulse = app.figures.pulse(app.list.id, now)
    found = wrong(app.config, pulse, now)
    told = "; ".join(f"{what} since {_utc(late.since)}: {late.why}" for what, late in found.items())
    terminal.say(f"{app.list.id}: {told or 'fine'}")
    terminal.emit({"list": app.list.id, **_wrong_json(found, has_workers=pulse.work is not None)})
    return PARTLY if found else DONE


def _show_state(terminal: Terminal, status: ListStatus) -> None:
    for what, late in status.wrong.items():
        terminal.say(f"  {what} since {_utc(late.since)}: {late.why}", style=ALARM)
    if status.pause:
        terminal.say(f"  {paused_line(status.id, status.pause)}", style=CARE)
    if not status.editions:
        terminal.say("  no edition yet: `digest send` makes the first")
    if status.next_run:
        away = ago(status.next_run - status.now)
        terminal.say(f"  next run by `digest run`: {status.next_run:%A %Y-%m-%d %H:%M %Z}, in {away}")
    for line in status.waiting:
        terminal.say(f"  waits: {line}", style=CARE)
    if status.subscribers:
        terminal.say(f"  subscribers: {_counted(status.subscribers)}")
    if status.suppressions:
        terminal.say(f"  suppressed addresses, for all lists of the database: {_counted(status.suppressions)}")
    for relay in status.relays:
        full = ", full" if relay.is_full else ""
        terminal.say(f"  relay {relay.name}: {relay.messages:,} of {relay.cap:,} messages on {relay.day}{full}")


def _show_lines(terminal: Terminal, overviews: Sequence[EditionOverview], health: Sequence[SourceHealth]) -> None:
    """One fact a line, for programs that read lines, and for files."""
    for overview in overviews:
        edition = overview.edition
        finished = f"finished {_utc(overview.finished_at)}" if overview.finished_at else "not finished yet"
        papers = plural(overview.candidates, "paper")
        terminal.say(f"  {edition_name(edition)} of {edition.due_on}: {counts_line(overview)}; {papers}; {finished}")
        for line in _edition_lines(overview):
            terminal.say(line)
    for source in health:
        for line in health_lines(source):
            terminal.say(line)


def _edition_lines(overview: EditionOverview) -> Iterable[str]:
    number = overview.edition.number
    replies = sorted(overview.replies, key=lambda told: -told[2])
    for status, reply, count in replies[:REPLIES_SHOWN]:
        yield f"  edition {number}: {count:,} {status}: {reply}"
    if (more := len(replies) - REPLIES_SHOWN) > 0:
        yield f"  edition {number}: {more:,} more replies: `digest deliveries {number}`"
    if overview.came_back:
        yield f"  edition {number}: came back: {came_back_line(overview)}"


def _show_tables(
    terminal: Terminal, status: ListStatus, overviews: Sequence[EditionOverview], health: Sequence[SourceHealth]
) -> None:
    if overviews:
        terminal.print(_editions_table(overviews, terminal.width or PLAIN_WIDTH))
        for line in _edition_lines(overviews[0]):
            terminal.say(line, style=QUIET)
    if status.sources:
        terminal.print(_sources_table(status))
        for each in health:
            for line in health_lines(each)[0 if each.summary.error else 1 :]:
                terminal.say(line, style="red" if each.summary.error else QUIET)


def _editions_table(overviews: Sequence[EditionOverview], width: int) -> RenderableType:
    """Each edition's counts, which add up: by status where there is room, else statuses that mean the same together."""
    met: list[tuple[str, tuple[DeliveryStatus, ...]]]
    met = [(str(s), (s,)) for s in DeliveryStatus if any(o.counts.get(s) for o in overviews)]
    if BESIDE + sum(max(len(name), 6) + 1 for name, _ in met) > width:
        met = [(name, group) for name, group in GROUPS if any(o.counts.get(s) for s in group for o in overviews)]
    table = _table(["no.", "day", "papers", *(name for name, _ in met), "in all", "back", "took"], left=(1,))
    for o in overviews:
        sums = [(sum(o.counts.get(s, 0) for s in group), _style_of(group[0])) for _, group in met]
        returned = sum(o.came_back.values())
        table.add_row(
            str(o.edition.number),
            f"{o.edition.due_on:%a %d %b}",
            f"{o.candidates:,}",
            *(Text(f"{count:,}" if count else "", style) for count, style in sums),
            Text(_in_all(o), "" if o.adds_up or o.recipients is None else ALARM),
            Text(f"{returned:,}" if returned else "", "red"),
            Text(_took(o), "" if o.finished_at else CARE),
        )
    return Padding(table, (1, 0, 0, 2))


def _in_all(overview: EditionOverview) -> str:
    """The frozen recipients, and whether the counts add up to them."""
    if overview.recipients is None:
        return "open"
    return f"{'=' if overview.adds_up else '≠'} {overview.recipients:,}"


def _sources_table(status: ListStatus) -> RenderableType:
    table = _table(["source", "last good", "errors in a row", "received", "expected"], left=(0, 1))
    for source in status.sources:
        missing = source.expected is not None and source.expected > source.received
        good = f"{ago(status.now - source.good_at)} ago" if source.good_at else "never"
        figures = f"{source.figures:,} figures"
        table.add_row(
            source.name,
            Text(good, "red" if source.error else GOOD),
            Text(str(source.errors_in_a_row or ""), ALARM),
            figures if source.figures and not source.received else f"{source.received:,}",
            Text("" if source.expected is None else f"{source.expected:,}", CARE if missing else ""),
        )
    return Padding(table, (1, 0, 0, 2))


def _table(names: Sequence[str], left: Sequence[int]) -> Table:
    """A table that fits 80 characters, as long as numbers do."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style=QUIET)
    for n, name in enumerate(names):
        table.add_column(name, justify="left" if n in left else "right", overflow="fold")
    return table


def _took(overview: EditionOverview) -> str:
    """How long after its cutoff the edition was finished."""
    return ago(overview.finished_at - overview.edition.cutoff) if overview.finished_at else "not yet"


def _style_of(status: DeliveryStatus) -> str:
    if status is DeliveryStatus.SENT:
        return GOOD
    return "red" if status in FAILED else QUIET if status is DeliveryStatus.CANCELLED else CARE


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _counted(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items())


# --- over time ------------------------------------------------------------------------------------------------------


def _show_plot(terminal: Terminal, status: ListStatus) -> None:
    days = status.days
    layout = columns(len(days), min(terminal.width or PLAIN_WIDTH, WIDEST_PLOT) - LABEL - 2)
    blocks = BLOCKS if _can_show(BLOCKS) else ASCII

    def draw(name: str, values: Sequence[int | None], style: str, height: int = 1) -> None:
        shown = gathered(values, layout)
        most = max((value for value in shown if value), default=0)
        for n, line in enumerate(bars(shown, height, layout, blocks)):
            figure = compact(most) if n == 0 else "0" if n == height - 1 else ""
            label = f"  {clipped(name if n == 0 else '', LABEL - 8)}"
            terminal.say(f"{label:<{LABEL - 5}}{figure:>5}  {line}".rstrip(), style=style if most else QUIET)

    def counted(*statuses: DeliveryStatus) -> list[int | None]:
        return [sum(d.edition.counts.get(s, 0) for s in statuses) if d.edition else None for d in days]

    each = "" if layout.days == 1 else f"; a column stands for {layout.days} days"
    terminal.say(f"  {days[0].on} to {days[-1].on}{each}", style=QUIET)
    returned = [sum(day.edition.came_back.values()) if day.edition else None for day in days]
    draw("sent", counted(DeliveryStatus.SENT), GOOD, CHART_ROWS)
    terminal.say(f"{'':<{LABEL}}  {axis(days[0].on, days[-1].on, layout)}", style=QUIET)
    draw("editions", [1 if day.edition else None for day in days], "")
    draw("waiting", counted(*UNDECIDED), CARE)
    draw("not delivered", counted(*FAILED), "red")
    draw("came back", returned, "red")
    draw("votes", [day.votes or None for day in days], "magenta")
    names = dict.fromkeys(name for day in reversed(days) for name in day.papers)
    for name in names:
        draw(name, [day.papers.get(name) for day in days], "cyan")
    sums = {
        "sent": _sum(counted(DeliveryStatus.SENT)),
        "not delivered": _sum(counted(*FAILED)),
        "came back": _sum(returned),
    }
    told = [f"{count:,} {what}" for what, count in sums.items()]
    editions, votes = sum(1 for day in days if day.edition), sum(day.votes for day in days)
    terminal.say(f"  in all: {', '.join([plural(editions, 'edition'), *told, plural(votes, 'vote')])}")
    papers = {name: sum(day.papers.get(name, 0) for day in days) for name in names}
    if papers:
        terminal.say(f"  new papers: {', '.join(f'{count:,} {name}' for name, count in papers.items())}")


def _sum(values: Sequence[int | None]) -> int:
    return sum(value or 0 for value in values)


def compact(count: int) -> str:
    """At most five characters: "9,999", "37k", "1.2M"."""
    if count < 10_000:
        return f"{count:,}"
    return f"{count // 1000}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"


def clipped(name: str, most: int) -> str:
    """A name in so many characters."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _can_show(characters: str) -> bool:
    try:
        characters.encode(sys.stdout.encoding or "ascii")
    except UnicodeError:
        return False
    return True


# --- JSON -----------------------------------------------------------------------------------------------------------


def _json(
    status: ListStatus, overviews: Sequence[EditionOverview], health: Sequence[SourceHealth], *, with_days: bool
) -> dict[str, Any]:
    in_a_row = {source.name: source.errors_in_a_row for source in status.sources}
    found: dict[str, Any] = {
        "list": status.id,
        "editions": [overview_json(overview) for overview in overviews],
        "sources": [
            {
                **summary_json(source.summary),
                "pulled_at": source.pulled_at.isoformat(),
                "good_at": source.good_at.isoformat() if source.good_at else None,
                "errors_in_a_row": in_a_row[source.summary.source],
            }
            for source in health
        ],
        "next_run": f"{status.next_run:%A %Y-%m-%d %H:%M %Z}" if status.next_run else None,
        "next_run_at": status.next_run.isoformat() if status.next_run else None,
        "paused": pause_json(status.pause),
        **_wrong_json(status.wrong, has_workers=status.crew is not None),
        "waiting": list(status.waiting),
        "waits_since": status.waits_since.isoformat() if status.waits_since else None,
        "letters": status.letters,
        "deliveries": status.deliveries,
        "bounces": status.bounces,
        "subscribers": status.subscribers,
        "suppressions": status.suppressions,
        "votes": status.ballots,
        "relays": [
            {"relay": r.name, "day": r.day.isoformat(), "messages": r.messages, "limit": r.cap, "full": r.is_full}
            for r in status.relays
        ],
    }
    return found | ({"days": [_day_json(day) for day in status.days]} if with_days else {})


def _wrong_json(found: Mapping[Wrong, Overdue], *, has_workers: bool) -> dict[str, dict[str, str] | None]:
    """What is wrong and what is not; only where there are workers can all of it be."""
    return {
        what.replace(" ", "_"): {"since": found[what].since.isoformat(), "why": found[what].why}
        if what in found
        else None
        for what in (Wrong if has_workers else (Wrong.OVERDUE,))
    }


def _day_json(day: Day) -> dict[str, Any]:
    edition = day.edition
    return {
        "day": day.on.isoformat(),
        "edition": edition.number if edition else None,
        "deliveries": edition.counts if edition else {},
        "came_back": edition.came_back if edition else {},
        "votes": day.votes,
        "papers": day.papers,
    }
