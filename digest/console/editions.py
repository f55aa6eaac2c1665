"""Editions and how far they are: the answer of `digest send`, and what `status.py` says of them too."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from digest.console.sources import summary_json
from digest.console.terminal import Terminal
from digest.console.words import plural, ranked_by
from digest.model import DeliveryStatus, Edition, Pause
from digest.results import Sent
from digest.store import EditionOverview


def edition_name(edition: Edition) -> str:
    """The edition, or what sort of round-up it is, and its number."""
    return f"{edition.frequency or ''} edition {edition.number}".lstrip()


def edition_json(edition: Edition) -> dict[str, Any]:
    """An edition's dates and number."""
    return {
        "number": edition.number,
        "due_on": edition.due_on.isoformat(),
        "frequency": edition.frequency,
        "since": edition.since.isoformat() if edition.since else None,
        "cutoff": edition.cutoff.isoformat(),
    }


def overview_json(overview: EditionOverview) -> dict[str, Any]:
    """An edition and its counts."""
    return {
        "edition": edition_json(overview.edition),
        "candidates": overview.candidates,
        "recipients": overview.recipients,
        "counts": dict(overview.counts),
        "adds_up": overview.adds_up,
        "finished_at": overview.finished_at.isoformat() if overview.finished_at else None,
        "replies": [{"status": s, "reply": reply, "count": n} for s, reply, n in overview.replies],
        "came_back": dict(overview.came_back),
        "hours": {at.isoformat(): count for at, count in overview.hours.items()},
        "sources": [summary_json(summary) for summary in overview.sources],
    }


def counts_line(overview: EditionOverview) -> str:
    """The counts by status and whether they add up: "3 sent, 1 deferred = 4 recipients"."""
    counts = ", ".join(f"{overview.counts[s]:,} {s}" for s in DeliveryStatus if overview.counts.get(s))
    if overview.recipients is None:
        return f"{counts}; its recipients are not all chosen yet" if counts else "its recipients are not chosen yet"
    return f"{counts or 'nothing'} {'=' if overview.adds_up else '≠'} {plural(overview.recipients, 'recipient')}"


def came_back_line(overview: EditionOverview) -> str:
    """What came back after servers had taken it: "2 hard, 1 soft, 1 complaint"."""
    return ", ".join(f"{count:,} {kind}" for kind, count in overview.came_back.items())


def pause_json(pause: Pause | None) -> dict[str, str] | None:
    """A pause, or none."""
    return {"since": pause.since.isoformat(), "by": pause.by, "reason": pause.reason} if pause else None


def hours_line(overview: EditionOverview, now: datetime) -> str | None:
    """How many wait for their hour: "12 wait for their hour, the first leaves on 2026-06-09 at 11:00 UTC"."""
    count, first = overview.waiting(now)
    leaves = f"{'it' if count == 1 else 'the first'} leaves on {first:%Y-%m-%d at %H:%M} UTC" if first else ""
    return f"{count:,} {'waits' if count == 1 else 'wait'} for their hour, {leaves}" if first else None


def waits_line(sent: Sent) -> str | None:
    """What keeps how many deliveries waiting: "73 wait: `send_window` opens on Monday 2026-06-08 at 07:00 CEST"."""
    if not (sent.drained and sent.drained.held):
        return None
    waiting = (DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED)
    count = sum(overview.counts.get(status, 0) for overview in sent.overviews for status in waiting)
    return f"{count:,} {'waits' if count == 1 else 'wait'}: {sent.drained.held}"


def show_sent(terminal: Terminal, list_id: str, sent: Sent, way_out: str, now: datetime) -> None:
    """The last lines of `digest send`."""
    if sent.semantic is not None:
        terminal.say(f"  {ranked_by(sent.semantic)}")
    for overview in sent.overviews:
        terminal.say(f"  {edition_name(overview.edition)} of {overview.edition.due_on}: {counts_line(overview)}")
        if waiting := hours_line(overview, now):
            terminal.say(f"    {waiting}")
        for status, reply, count in overview.replies:
            terminal.say(f"    {count:,} {status}: {reply}")
    if sent.nothing_because:
        terminal.say(f"  nothing to send: {sent.nothing_because}")
    elif sent.drained and sent.drained.counts.get(DeliveryStatus.SENT):
        terminal.say(f"  sent through {way_out}")
    if waits := waits_line(sent):
        terminal.say(f"  {waits}")
    terminal.emit(
        {
            "list": list_id,
            "editions": [overview_json(overview) for overview in sent.overviews],
            "semantic": sent.semantic,
            "sources": [summary_json(summary) for summary in sent.pulled.summaries] if sent.pulled else [],
            "sent_now": dict(sent.drained.counts) if sent.drained else {},
            "paused": sent.drained.paused if sent.drained else None,
            "held": sent.drained.held if sent.drained else None,
            "nothing_because": sent.nothing_because,
        }
    )
