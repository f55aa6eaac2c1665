"""New abstracts in: every source of a list, fetched and read, each with a report of its own.

`pull` is called by `digest.app`. It joins `http.py`, which fetches and knows no format, with the modules that read and
fetch nothing: `arxiv.py`, `huggingface.py`, `feeds.py`. Whatever becomes of one source (a refusal, a stall, a page that
is no feed, a bug of ours) is one line in its report and never touches another. `dedupe.py` makes candidates out of all
that was announced. Nothing is decided here: reports hold every announce type, the edition takes what it wants.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

from digest.errors import SourceError
from digest.model import Source, SourceKind, SourceReport, Window
from digest.pull.http import Response, StatusError, dated_files, shown
from digest.pull.parsed import Parsed

__all__ = ["Gets", "pull"]

_AT_ONCE = 8
"""Sources under way at the same time. Within a source, one request follows the other."""
_NO_SUCH_DAY = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND})


class Gets(Protocol):
    """What `pull` needs of a fetcher; `digest.pull.http.Fetcher` is the one that there is."""

    async def get(self, url: str, /) -> Response:
        """Return what stands at an address, or raise `SourceError`."""
        ...


async def pull(
    sources: Sequence[Source],
    window: Window,
    fetcher: Gets,
    *,
    now: datetime,
    on_report: Callable[[SourceReport], object] | None = None,
) -> tuple[SourceReport, ...]:
    """Fetch and read all sources; return their reports in the order of `sources`. Raises nothing of its own.

    `now` is the time at which figures are observed. `on_report` is called with each report as it is finished.
    """
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def one(source: Source) -> SourceReport:
        async with at_once:
            report = await _report(source, window, fetcher, now)
        if on_report:
            on_report(report)
        return report

    return tuple(await asyncio.gather(*(one(source) for source in sources)))


async def _report(source: Source, window: Window, fetcher: Gets, now: datetime) -> SourceReport:
    try:
        requests, notes = await _requests(source, window)
    except SourceError as error:
        return SourceReport(source.name, error=str(error))
    parts = [Parsed(notes=notes)]
    for day, url in requests:
        try:
            response = await fetcher.get(url)
            parts.append(await asyncio.to_thread(_parse, response.body, source, url, day, now))
        except StatusError as error:
            missing = day is not None and error.status in _NO_SUCH_DAY
            parts.append(Parsed(notes=(f"{error}: no list of that day",)) if missing else Parsed(error=str(error)))
        except SourceError as error:
            parts.append(Parsed(error=str(error)))
        except Exception as error:  # a bug in one reader must not cost the edition its other sources
            bug = f"{shown(url)} could not be read: {type(error).__name__}: {error} (a bug in digest, please report it)"
            parts.append(Parsed(error=" ".join(bug.split())[:500]))
    return _joined(source, parts)


def _joined(source: Source, parts: Iterable[Parsed]) -> SourceReport:
    parts = tuple(parts)
    return SourceReport(
        source=source.name,
        announcements=tuple(announcement for part in parts for announcement in part.announcements),
        signals=tuple(signal for part in parts for signal in part.signals),
        rejected=tuple(rejection for part in parts for rejection in part.rejected),
        notes=tuple(note for part in parts for note in part.notes),
        error="; ".join(dict.fromkeys(part.error for part in parts if part.error)) or None,
    )


async def _requests(source: Source, window: Window) -> tuple[list[tuple[date | None, str]], tuple[str, ...]]:
    """Say what to fetch, oldest first: (the day it is of, or None; its address), and notes on what is not there."""
    from digest.pull import arxiv, huggingface

    dates = window.dates()
    if source.url and urlsplit(source.url).scheme.lower() == "file":
        suffixes = (".json",) if source.kind is SourceKind.HUGGINGFACE else (".xml", ".rss", ".atom", ".rdf")
        files = await dated_files(source.url, dates, suffixes)
        if files is None:
            return [(None, source.url)], ()
        missing = [day for day in dates if day not in {found for found, _ in files}]
        notes = (f"no file for {_days(missing)} in {shown(source.url)}",) if missing else ()
        return list(files), notes
    match source.kind:
        case SourceKind.ARXIV:
            return [(None, arxiv.address(source))], ()
        case SourceKind.HUGGINGFACE:
            addresses = dict.fromkeys((huggingface.address(source, day), day) for day in dates)
            return [(day, url) for url, day in addresses], ()
        case SourceKind.FEED:
            if not source.url:
                raise SourceError(f"source {source.name!r} has no url: a feed needs one")
            return [(None, source.url)], ()


def _days(days: Sequence[date]) -> str:
    """Write days briefly: single days and unbroken runs."""
    runs: list[list[date]] = []
    for day in days:
        if runs and (day - runs[-1][-1]).days == 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(f"{run[0]}…{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _parse(body: bytes, source: Source, url: str, day: date | None, now: datetime) -> Parsed:
    """Read one answer. Runs in a thread: parsing is all CPU."""
    from digest.pull import arxiv, feeds, huggingface

    where = shown(url)
    match source.kind:
        case SourceKind.ARXIV:
            return arxiv.parse(body, source, where=where, day=day)
        case SourceKind.HUGGINGFACE:
            return huggingface.parse(body, source, where=where, now=now, day=day)
        case SourceKind.FEED:
            return feeds.parse(body, source, where=where, day=day)
