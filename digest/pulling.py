"""One pull of a list: its sources first, then, about what they gave, the figures of whoever else is asked.

Called by `app.py`, which says what is kept of it. Nothing here writes, but for the fetcher's memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from logging import WARNING

from digest import edition as life
from digest.logs import Event, tell
from digest.model import Paper, PaperId, Signal, SignalSource, SourceKind, SourceReport, Window
from digest.pull import hold, pull, report_of, signals
from digest.pull.dedupe import merge
from digest.pull.http import CONTACT, Fetcher, Memory
from digest.settings import ListConfig
from digest.store import Papers

REMEMBERED = timedelta(days=14)
"""How long before the window a source's papers are still known to it: by them it notices a feed that repeats."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one pull gave."""

    reports: tuple[SourceReport, ...]
    """One for each source, in the order of the config."""
    figures: tuple[SourceReport, ...]
    """One for each service of `[signals]`: no announcements, signals alone."""


async def gather(
    config: ListConfig,
    papers: Papers,
    memory: Memory,
    window: Window,
    answered: Mapping[str, datetime | None],
    now: datetime,
    on_report: Callable[[SourceReport], object] | None,
) -> Gathered:
    """Ask every source, then every service for figures. A failure is in its report; raises nothing of its own.

    `answered`: when each source last answered without an error, by its name.
    """
    how = config.pulling
    windows = [window, *map(window.reaching_back_to, answered.values())]
    begins = min(each.since or now - timedelta(days=each.first_days) for each in windows)
    async with Fetcher(contact=how.contact or CONTACT, memory=memory, allow_private=how.allow_private) as fetcher:
        reports = await pull(
            config.sources,
            window,
            fetcher,
            now=now,
            known=papers.announced(config.mailing_list.id, begins - REMEMBERED),
            answered=answered,
            contact=how.contact or "",
            api_keys=how.api_keys,
            on_report=on_report,
        )
        figures = []
        if how.signals:
            asked = _about(config, papers, reports)
            earlier = _earlier(papers, asked)
            tokens = {
                SignalSource.GITHUB: how.github_token,
                SignalSource.CITATIONS: how.api_keys.get(SourceKind.SEMANTIC_SCHOLAR),
            }
            for kind in how.signals:
                wanted = signals.Wanted(asked, now, earlier, how.max_requests, tokens.get(kind))
                report = report_of(kind.value, await hold(signals.converse(kind, wanted), fetcher, kind.value))
                figures.append(report)
                if on_report:
                    on_report(report)
    for report in (*reports, *figures):
        if report.error:
            tell(
                Event.SOURCE_FAILED, level=WARNING, list=config.mailing_list.id, source=report.source, why=report.error
            )
    return Gathered(reports, tuple(figures))


def _about(config: ListConfig, papers: Papers, reports: Sequence[SourceReport]) -> tuple[Paper, ...]:
    """The papers that the next edition may send, those with the most upvotes first: requests are bounded."""
    pending, signals_known = papers.pending(config.mailing_list.id)
    unseen = papers.unseen(config.mailing_list.id, (a for report in reports for a in report.announcements))
    observed = tuple(signal for report in reports for signal in report.signals)
    candidates = life.merge_wanted(merge, config.sources)(pending + unseen, signals_known + observed)
    votes = {c.paper.id: max((s.value for s in c.signals if s.name == "upvotes"), default=0.0) for c in candidates}
    return tuple(sorted((c.paper for c in candidates), key=lambda paper: -votes[paper.id]))


def _earlier(papers: Papers, asked: Sequence[Paper]) -> dict[tuple[PaperId, str], tuple[Signal, ...]]:
    """What was observed of these papers before, oldest first."""
    earlier: dict[tuple[PaperId, str], tuple[Signal, ...]] = {}
    for signal in papers.signals([paper.id for paper in asked]):
        key = (signal.paper_id, signal.name)
        earlier[key] = (*earlier.get(key, ()), signal)
    return earlier
