"""What digest says on the terminal: values in, sentences, tables or JSON out. Called by `cli.py` and `demo/`.

People get lines on standard output, plain where it is no terminal; `--json` gives one JSON object a list and line.
Errors go to standard error, one a line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from digest.app import Proof, Pulled, Sent
from digest.edition import named_papers
from digest.holding import paused_line
from digest.model import (
    AnnounceType,
    Candidate,
    Claim,
    Coverage,
    DeliveryStatus,
    Edition,
    Outcome,
    Pause,
    Pick,
    ReasonKind,
    Selection,
    SourceHealth,
    SourceReport,
    SourceSummary,
    Subscriber,
)
from digest.rank.embedding import INSTALL, available
from digest.render.remarks import english
from digest.store import EditionOverview

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

EMBEDDED_A_LINE = 256
"""Where no bar is shown, a line tells of every so many texts that were embedded."""

EVERY_LINE_UP_TO = 50
"""Editions with more recipients get a progress line every so often instead of a line each."""

SMALLEST_WEIGHT = 0.005
"""Reasons that would be shown as +0.00 are not shown; `--json` has all of them."""


class Terminal:
    """Where output goes: people or, with `as_json`, a program."""

    def __init__(self, *, as_json: bool = False):
        self.as_json = as_json

    @cached_property
    def _rich(self) -> RichConsole:
        from rich.console import Console

        class Steady(Console):
            def on_broken_pipe(self) -> None:
                raise BrokenPipeError  # rich would end the program

        return Steady(highlight=False, soft_wrap=True)

    @property
    def is_interactive(self) -> bool:
        """Whether a person watches."""
        return not self.as_json and self._rich.is_terminal

    def say(self, text: str = "", style: str | None = None) -> None:
        """One line for people."""
        if not self.as_json:
            with self.reader_may_leave():
                self._rich.print(text, style=style, markup=False)

    def emit(self, value: object) -> None:
        """One JSON line for programs."""
        if self.as_json:
            with self.reader_may_leave():
                sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")

    @contextmanager
    def reader_may_leave(self) -> Iterator[None]:
        """A closed pipe or a full disk behind standard output must not break off a send: what follows goes nowhere."""
        try:
            yield
            sys.stdout.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table for people: aligned columns without a frame, so that it can be cut and pasted."""
        if self.as_json or not rows:
            return
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="dim")
        for n, column in enumerate(columns):
            numeric = all(row[n].replace(",", "").isdigit() or not row[n] for row in rows)
            table.add_column(column, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*row)
        width = self._rich.width if self._rich.is_terminal else 200
        with self.reader_may_leave():
            self._rich.print(table, width=width, soft_wrap=False)

    def progress(self, total: int) -> SendProgress:
        """Shows how a send comes along."""
        return SendProgress(self, total)

    def counting(self, what: str) -> CountProgress:
        """Shows how many of a number of things that nobody knows yet are done."""
        return CountProgress(self, what)

    def embedding(self) -> EmbedProgress:
        """Shows how the embedding of new texts comes along, if it takes a while."""
        return EmbedProgress(self)


def complain(message: str) -> None:
    """One or more lines on standard error."""
    sys.stderr.write(message.rstrip() + "\n")


def complain_of_sources(list_id: str, summaries: Sequence[SourceSummary]) -> bool:
    """One line on standard error for each source that failed; whether there was one."""
    failed = [summary for summary in summaries if summary.error]
    for summary in failed:
        complain(f"{list_id}: source {summary.source} failed: {summary.error}")
    return bool(failed)


def explained(error: BaseException) -> str:
    """An error with what was noted on its way, such as the reply of a relay that could not be recorded."""
    return "; ".join([str(error), *getattr(error, "__notes__", [])])


class SendProgress:
    """A bar on a terminal, plain lines elsewhere: one a recipient for small editions, one a thousand for large."""

    def __init__(self, terminal: Terminal, total: int):
        self._terminal = terminal
        self._total = total
        self._done = 0
        self._task: TaskID | None = None
        self._bar: RichProgress | None = None

    def __enter__(self) -> SendProgress:
        if self._terminal.is_interactive and self._total > EVERY_LINE_UP_TO:
            from rich.progress import Progress

            self._bar = Progress()
            self._bar.start()
            self._task = self._bar.add_task("  send   ", total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def result(self, claim: Claim, outcome: Outcome) -> None:
        """Tells what became of one delivery."""
        self._done += 1
        if self._bar and self._task is not None:
            self._bar.update(self._task, advance=1)
        failed = outcome.status is not DeliveryStatus.SENT
        if failed or self._total <= EVERY_LINE_UP_TO:
            reply = f"  {outcome.reply}" if failed else ""
            count = _plural(len(claim.delivery.picks), "paper")
            self._terminal.say(f"  {outcome.status:<9} {claim.delivery.address}  {count}{reply}")
        elif not self._bar and self._done % 1000 == 0:
            self._terminal.say(f"  {self._done:,} of {self._total:,}")


class EmbedProgress:
    """A bar on a terminal, elsewhere a line every now and then; nothing for a few texts."""

    def __init__(self, terminal: Terminal):
        self._terminal = terminal
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> EmbedProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def embedded(self, done: int, total: int) -> None:
        """Tells how far it is."""
        if total <= EVERY_LINE_UP_TO:
            return
        if not self._terminal.is_interactive:
            if done % EMBEDDED_A_LINE == 0 or done == total:
                self._terminal.say(f"  embedded {done:,} of {total:,} texts")
            return
        if self._bar is None:
            from rich.progress import Progress

            self._bar = Progress(transient=True)
            self._bar.start()
            self._task = self._bar.add_task("  embed  ")
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total)


class CountProgress:
    """A running count on a terminal, elsewhere a line every ten thousand."""

    def __init__(self, terminal: Terminal, what: str):
        self._terminal, self._what = terminal, what
        self._bar: RichProgress | None = None

    def __enter__(self) -> CountProgress:
        if self._terminal.is_interactive:
            from rich.progress import Progress, SpinnerColumn, TextColumn

            columns = (SpinnerColumn(), TextColumn(f"{self._what} {{task.completed:,.0f}}"))
            self._bar = Progress(*columns, transient=True)
            self._bar.start()
            self._bar.add_task(self._what, total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def done(self, count: int) -> None:
        """Tells how many there are by now."""
        if self._bar:
            if count % 100 == 0:
                self._bar.update(self._bar.task_ids[0], completed=count)
        elif count % 10_000 == 0:
            self._terminal.say(f"  {self._what} {count:,}")


# --- pull -----------------------------------------------------------------------------------------------------------


def report_line(report: SourceReport, fresh: int | None = None) -> str:
    """What one source gave: "arxiv  33 received: 24 new, 5 cross, 4 replaced; 1 rejected; 8 duplicate".

    Duplicates, which an earlier pull has seen, are told where it is known how many are `fresh`.
    """
    if report.error and not report.announcements:
        return f"  {report.source:<14} failed: {report.error}"
    parts = [f"{count} {word}" for word, count in _counts(report).items() if count]
    if report.signals and not report.announcements:
        line = f"  {report.source:<14} {_plural(len(report.signals), 'figure')}"
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


# --- rank -----------------------------------------------------------------------------------------------------------


def ranked_by(semantic: bool) -> str:
    """What a ranking went by, for a person; where meaning is missing, how to have it."""
    if semantic:
        return "ranked by words and meaning"
    return "ranked by words alone" + ("" if available() else f"; `{INSTALL}` adds meaning")


def pick_lines(pick: Pick, candidate: Candidate, place: str) -> list[str]:
    """One paper of a ranking: its score and title, and below it why."""
    return [f"  {place:>3}  {pick.score:.2f}  {candidate.paper.title}", f"             {why(pick)}"]


def why(pick: Pick) -> str:
    """A pick's reasons with what each is worth; what is worth nothing is left out, unless it is an exploration."""
    exploring = [english(reason.remark) for reason in pick.reasons if reason.kind is ReasonKind.EXPLORATION]
    telling = [reason for reason in pick.reasons if abs(reason.weight) >= SMALLEST_WEIGHT]
    worth = [f"{english(reason.remark)} {reason.weight:+.2f}" for reason in telling]
    return " · ".join(exploring + worth) or "no reason found"


def show_ranking(
    terminal: Terminal, proof: Proof, subscriber: Subscriber, selection: Selection, ranking: Sequence[Pick]
) -> None:
    """The answer of `digest rank` for one subscriber: the ranking, what she gets of it, and the near misses."""
    picked = {pick.paper_id: pick for pick in selection.picks}
    ranking = [picked.get(pick.paper_id, pick) for pick in ranking]  # a pick says more: that it is an exploration
    terminal.say(f"{subscriber.name or subscriber.address} <{subscriber.address}>", style="bold")
    for place, pick in enumerate(ranking, 1):
        mark = "*" if pick.paper_id in picked else " "
        for line in pick_lines(pick, proof.candidates[pick.paper_id], f"{place}{mark}"):
            terminal.say(line)
    for miss in selection.near_misses:
        terminal.say(f"  just missed: {proof.candidates[miss.pick.paper_id].paper.title} ({english(miss.missing)})")
    unknown = sorted(named_papers(subscriber.profile) & proof.unknown)
    for paper_id in unknown:
        terminal.say(f"  {paper_id} is in her profile, but no source has announced it yet: it does not count")
    terminal.say(f"  * {_plural(len(picked), 'pick')} of {_plural(len(proof.candidates), 'candidate')}\n")
    terminal.emit(
        {
            "subscriber": subscriber.address,
            "edition": edition_json(proof.edition),
            "picks": [pick.paper_id for pick in selection.picks],
            "ranking": [{**pick_json(p), "title": proof.candidates[p.paper_id].paper.title} for p in ranking],
            "semantic": proof.semantic,
            "unknown": unknown,
            "near_misses": [{"id": m.pick.paper_id, "missing": english(m.missing)} for m in selection.near_misses],
        }
    )


def pick_json(pick: Pick) -> dict[str, Any]:
    """A pick in the form of `digest rank --json`."""
    return {
        "id": pick.paper_id,
        "score": pick.score,
        "relevance": pick.relevance,
        "trend": pick.trend,
        "reasons": [{"kind": r.kind, "text": english(r.remark), "weight": r.weight} for r in pick.reasons],
    }


# --- send and status ------------------------------------------------------------------------------------------------


def edition_json(edition: Edition) -> dict[str, Any]:
    """An edition's dates and number."""
    return {
        "number": edition.number,
        "due_on": edition.due_on.isoformat(),
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
        "sources": [summary_json(summary) for summary in overview.sources],
    }


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


def counts_line(overview: EditionOverview) -> str:
    """The counts by status and whether they add up: "3 sent, 1 deferred = 4 recipients"."""
    counts = ", ".join(f"{overview.counts[s]:,} {s}" for s in DeliveryStatus if overview.counts.get(s)) or "nothing"
    if overview.recipients is None:
        return f"{counts}; recipients not frozen yet"
    return f"{counts} {'=' if overview.adds_up else '≠'} {_plural(overview.recipients, 'recipient')}"


def came_back_line(overview: EditionOverview) -> str:
    """What came back after servers had taken it: "2 hard, 1 soft, 1 complaint"."""
    return ", ".join(f"{count:,} {kind}" for kind, count in overview.came_back.items())


def pause_json(pause: Pause | None) -> dict[str, str] | None:
    """A pause, or none."""
    return {"since": pause.since.isoformat(), "by": pause.by, "reason": pause.reason} if pause else None


def waits_line(sent: Sent) -> str | None:
    """What keeps how many deliveries waiting: "73 wait: `send_window` opens on Monday 2026-06-08 at 07:00 CEST"."""
    if not (sent.drained and sent.drained.held):
        return None
    waiting = (DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED)
    count = sum(overview.counts.get(status, 0) for overview in sent.overviews for status in waiting)
    return f"{count:,} {'waits' if count == 1 else 'wait'}: {sent.drained.held}"


def show_sent(terminal: Terminal, list_id: str, sent: Sent, way_out: str) -> None:
    """The last lines of `digest send`."""
    if sent.semantic is not None:
        terminal.say(f"  {ranked_by(sent.semantic)}")
    for overview in sent.overviews:
        terminal.say(f"  edition {overview.edition.number} of {overview.edition.due_on}: {counts_line(overview)}")
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


def show_status(
    terminal: Terminal,
    list_id: str,
    overviews: Sequence[EditionOverview],
    sources: Sequence[SourceHealth],
    next_run: str | None,
    pause: Pause | None,
) -> None:
    """The answer of `digest status` for one list."""
    if pause:
        terminal.say(f"  {paused_line(list_id, pause)}")
    if not overviews:
        terminal.say("  no edition yet: `digest send` makes the first")
    terminal.table(
        ["  edition", "due", "papers", "deliveries", "finished"],
        [
            [
                f"  {o.edition.number}",
                o.edition.due_on.isoformat(),
                f"{o.candidates:,}",
                counts_line(o),
                f"{o.finished_at:%Y-%m-%d %H:%M} UTC" if o.finished_at else "not yet",
            ]
            for o in overviews
        ],
    )
    for overview in overviews:
        for status, reply, count in overview.replies:
            terminal.say(f"  edition {overview.edition.number}: {count:,} {status}: {reply}")
        if overview.came_back:
            terminal.say(f"  edition {overview.edition.number}: came back: {came_back_line(overview)}")
    for source in sources:
        for line in health_lines(source):
            terminal.say(line)
    if next_run:
        terminal.say(f"  next run by `digest run`: {next_run}")
    terminal.emit(
        {
            "list": list_id,
            "editions": [overview_json(overview) for overview in overviews],
            "sources": [
                {
                    **summary_json(source.summary),
                    "pulled_at": source.pulled_at.isoformat(),
                    "good_at": source.good_at.isoformat() if source.good_at else None,
                }
                for source in sources
            ],
            "next_run": next_run,
            "paused": pause_json(pause),
        }
    )


def health_lines(source: SourceHealth) -> list[str]:
    """How a source was when it was last pulled."""
    summary, at = source.summary, f"{source.pulled_at:%Y-%m-%d %H:%M} UTC"
    if summary.error:
        good = f"last good {source.good_at:%Y-%m-%d %H:%M} UTC" if source.good_at else "never good yet"
        lines = [f"  {summary.source:<14} failed at {at} ({good}): {summary.error}"]
    else:
        gave = f"{summary.received} received, {summary.fresh} fresh"
        if summary.figures and not summary.received:
            gave = _plural(summary.figures, "figure")
        lines = [f"  {summary.source:<14} {gave}; ok at {at}"]
    lines += [f"    {line}" for line in coverage_lines(summary.coverage, summary.announced)]
    return lines + _remark_lines(summary)


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
