"""What sources gave, and how they are: the answers of `digest pull`, and their part of `digest status`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from digest.console.terminal import Terminal, complain
from digest.console.words import plural
from digest.model import AnnounceType, Coverage, SourceHealth, SourceReport, SourceSummary
from digest.results import Pulled


def complain_of_sources(list_id: str, summaries: Sequence[SourceSummary]) -> bool:
    """One line on standard error for each source that failed; whether there was one."""
    failed = [summary for summary in summaries if summary.error]
    for summary in failed:
        complain(f"{list_id}: source {summary.source} failed: {summary.error}")
    return bool(failed)


def report_line(report: SourceReport, fresh: int | None = None) -> str:
    """What one source gave: "arxiv  33 received: 24 new, 5 cross, 4 replaced; 1 rejected; 8 duplicate".

    Duplicates, which an earlier pull has seen, are told where it is known how many are `fresh`.
    """
    if report.error and not report.announcements:
        return f"  {report.source:<14} failed: {report.error}"
    parts = [f"{count} {word}" for word, count in _counts(report).items() if count]
    if report.signals and not report.announcements:
        line = f"  {report.source:<14} {plural(len(report.signals), 'figure')}"
        return f"{line}; failed: {report.error}" if report.error else line
    line = f"  {report.source:<14} {len(report.announcements)} received"
    line += f": {', '.join(parts)}" if parts else ""
    if report.skipped:
        line += f"; {report.skipped} skipped"
    if report.rejected:
        line += f"; {len(report.rejected)} rejected"
    if fresh is not None and fresh < len(report.announcements):
        line += f"; {len(report.announcements) - fresh} duplicate"
    return f"{line}; failed: {report.error}" if report.error else line


def rejection_lines(report: SourceReport) -> list[str]:
    """How complete each part is, every entry that could not be read, and every remark."""
    lines = [f"    {line}" for line in coverage_lines(report.coverage, report.announced)]
    lines += [f"    rejected: {r.entry}: {r.reason}" for r in report.rejected]
    return lines + _remark_lines(report)


def _remark_lines(source: SourceReport | SourceSummary) -> list[str]:
    lines = [f"    {note}" for note in source.notes]
    if source.unchanged_since:
        lines.append(f"    has not changed since {source.unchanged_since:%Y-%m-%d %H:%M} UTC")
    if source.look_again_at:
        lines.append(f"    look again at {source.look_again_at:%Y-%m-%d %H:%M} UTC")
    return lines


def coverage_lines(coverage: Sequence[Coverage], announced: Sequence[date]) -> list[str]:
    """How complete each part of a source is: "cs.CV 239 of 239, announced 2026-06-09"."""
    days = f", announced {_span(announced)}" if announced else ""
    return [
        f"{f'{c.part} ' if c.part else ''}{c.received:,} of {'?' if c.expected is None else f'{c.expected:,}'}{days}"
        for c in coverage
    ]


def _span(days: Sequence[date]) -> str:
    return f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _counts(report: SourceReport) -> dict[str, int]:
    kinds = [a.announce_type for a in report.announcements]
    withdrawn = sum(1 for a in report.announcements if a.paper.withdrawn)
    return {
        "new": kinds.count(AnnounceType.NEW),
        "cross": kinds.count(AnnounceType.CROSS),
        "replaced": kinds.count(AnnounceType.REPLACE) + kinds.count(AnnounceType.REPLACE_CROSS),
        "withdrawn": withdrawn,
    }


def show_pulled(terminal: Terminal, list_id: str, pulled: Pulled) -> None:
    """The answer of `digest pull`."""
    fresh = {summary.source: summary.fresh for summary in pulled.summaries}
    for report in pulled.all_reports:
        terminal.say(report_line(report, fresh.get(report.source)), style="red" if report.error else None)
        for line in rejection_lines(report):
            terminal.say(line)
    terminal.emit(
        {
            "list": list_id,
            "sources": [
                {
                    "source": report.source,
                    "received": len(report.announcements),
                    **_counts(report),
                    "coverage": coverage_json(report.coverage),
                    "announced": [day.isoformat() for day in report.announced],
                    "skipped": report.skipped,
                    "duplicate": len(report.announcements) - fresh.get(report.source, 0),
                    "figures": len(report.signals),
                    "rejected": [{"entry": r.entry, "reason": r.reason} for r in report.rejected],
                    "notes": report.notes,
                    "error": report.error,
                    **_times_json(report),
                }
                for report in pulled.all_reports
            ],
        }
    )


def summary_json(summary: SourceSummary) -> dict[str, Any]:
    """What one source contributed."""
    return {
        "source": summary.source,
        "received": summary.received,
        "fresh": summary.fresh,
        "coverage": coverage_json(summary.coverage),
        "announced": [day.isoformat() for day in summary.announced],
        "skipped": summary.skipped,
        "rejected": summary.rejected,
        "figures": summary.figures,
        "notes": summary.notes,
        "error": summary.error,
        **_times_json(summary),
    }


def _times_json(source: SourceReport | SourceSummary) -> dict[str, str | None]:
    times = {"look_again_at": source.look_again_at, "unchanged_since": source.unchanged_since}
    return {name: moment.isoformat() if moment else None for name, moment in times.items()}


def coverage_json(coverage: Sequence[Coverage]) -> list[dict[str, Any]]:
    """How complete each part of a source is."""
    return [{"part": c.part, "received": c.received, "expected": c.expected} for c in coverage]


def health_lines(source: SourceHealth) -> list[str]:
    """How a source was when it was last pulled."""
    summary, at = source.summary, f"{source.pulled_at:%Y-%m-%d %H:%M} UTC"
    if summary.error:
        good = f"last good {source.good_at:%Y-%m-%d %H:%M} UTC" if source.good_at else "never good yet"
        lines = [f"  {summary.source:<14} failed at {at} ({good}): {summary.error}"]
    else:
        gave = f"{summary.received} received, {summary.fresh} fresh"
        if summary.figures and not summary.received:
            gave = plural(summary.figures, "figure")
        lines = [f"  {summary.source:<14} {gave}; ok at {at}"]
    lines += [f"    {line}" for line in coverage_lines(summary.coverage, summary.announced)]
    return lines + _remark_lines(summary)
