"""New abstracts in: every source of a list, fetched and read, each with a report of its own.

`pull` is called by `digest.pulling`. It joins `http.py`, which fetches and knows no format, with the source modules,
which decide and read and fetch nothing (`conversation.py` says how). Whatever becomes of one source (a refusal, a
stall, a page that is no feed, a bug of ours) is one line in its report and never touches another. `dedupe.py` makes
candidates out of all that was announced. Nothing is decided here: reports hold every announce type, the edition takes
what it wants.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from importlib import import_module
from typing import Protocol
from urllib.parse import urlsplit

from digest.errors import SourceError
from digest.model import PaperId, Source, SourceKind, SourceReport, Window
from digest.pull.addresses import shown
from digest.pull.conversation import Ask, Conversation, Task, bug
from digest.pull.files import dated_files
from digest.pull.http import Response
from digest.pull.parsed import Parsed, joined

__all__ = ["Gets", "hold", "pull", "report_of"]

_AT_ONCE = 8
"""Sources under way at the same time. Within a source, one request follows the other."""


class Gets(Protocol):
    """What `pull` needs of a fetcher; `digest.pull.http.Fetcher` is the one that there is."""

    async def get(self, url: str, /, *, headers: Sequence[tuple[str, str]] = (), body: bytes | None = None) -> Response:
        """Return what stands at an address, or raise `SourceError`."""
        ...


class HasConversation(Protocol):
    """What a source module is."""

    def converse(self, task: Task, /) -> Conversation:
        """Ask for what the task wants, and return what was given."""
        ...


async def pull(
    sources: Sequence[Source],
    window: Window,
    fetcher: Gets,
    *,
    now: datetime,
    known: Mapping[str, Mapping[PaperId, date | None]] | None = None,
    answered: Mapping[str, datetime | None] | None = None,
    contact: str = "",
    api_keys: Mapping[SourceKind, str] | None = None,
    on_report: Callable[[SourceReport], object] | None = None,
) -> tuple[SourceReport, ...]:
    """Fetch and read all sources; return their reports in the order of `sources`. Raises nothing of its own.

    `now` is the time at which figures are observed, `known` what earlier pulls had from each source, by its name,
    `answered` when each last answered without an error: one that failed since is asked for what it has not given.
    `on_report` is called with each report as it is finished.
    """
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def one(source: Source) -> SourceReport:
        async with at_once:
            try:
                own = window.reaching_back_to((answered or {}).get(source.name))
                files, notes = await _files(source, own)
                api_key = (api_keys or {}).get(source.kind)
                task = Task(source, own, now, (known or {}).get(source.name, {}), files, contact, api_key)
                conversation = _conversation(task)
            except SourceError as error:
                parsed = Parsed(error=str(error))
            else:
                parsed = joined((Parsed(notes=notes), await hold(conversation, fetcher, source.name)))
        report = report_of(source.name, parsed)
        if on_report:
            on_report(report)
        return report

    return tuple(await asyncio.gather(*(one(source) for source in sources)))


async def hold(conversation: Conversation, fetcher: Gets, where: str) -> Parsed:
    """Hold a conversation to its end: fetch what it asks for, one request after the other. Never raises.

    What its servers say has not changed is marked so, if all of it has not. `where` names the source if the
    conversation has a bug.
    """
    unchanged: list[datetime | None] = []
    step: Callable[[], Ask | Parsed] = partial(_next, conversation)
    while True:
        try:
            wanted = await asyncio.to_thread(step)
        except Exception as error:  # a bug in one module must not cost the edition its other sources
            return Parsed(error=str(error) if isinstance(error, SourceError) else bug(where, error))
        if isinstance(wanted, Parsed):
            moments = [moment for moment in unchanged if moment]
            return replace(wanted, unchanged_since=max(moments) if len(moments) == len(unchanged) > 0 else None)
        try:
            response = await fetcher.get(wanted.url, headers=wanted.headers, body=wanted.body)
        except Exception as error:
            step = partial(_fail, conversation, error)
        else:
            unchanged.append(response.unchanged_since)
            step = partial(_next, conversation, response)


def _next(conversation: Conversation, answer: Response | None = None) -> Ask | Parsed:
    """Take one step; the end is a value, as no future can hold a StopIteration."""
    try:
        return next(conversation) if answer is None else conversation.send(answer)
    except StopIteration as end:
        return _result(end)


def _fail(conversation: Conversation, error: Exception) -> Ask | Parsed:
    try:
        return conversation.throw(error)
    except StopIteration as end:
        return _result(end)


def _result(end: StopIteration) -> Parsed:
    result = end.value
    if not isinstance(result, Parsed):
        raise TypeError(f"a conversation ended with {type(result).__name__}")
    return result


def report_of(source: str, parsed: Parsed) -> SourceReport:
    """Return what a conversation gave as the report of whom it was held with."""
    return SourceReport(
        source=source,
        announcements=parsed.announcements,
        signals=parsed.signals,
        rejected=parsed.rejected,
        coverage=parsed.coverage,
        announced=parsed.announced,
        skipped=parsed.skipped,
        notes=parsed.notes,
        error=parsed.error,
        look_again_at=parsed.look_again_at,
        unchanged_since=parsed.unchanged_since,
    )


async def _files(source: Source, window: Window) -> tuple[tuple[tuple[date, str], ...] | None, tuple[str, ...]]:
    """Find the window's files where a source is a folder of files by date; None where it is none. With notes."""
    if not source.url or urlsplit(source.url).scheme.lower() != "file":
        return None, ()
    dates = window.dates()
    is_xml = source.kind in (SourceKind.ARXIV, SourceKind.FEED, SourceKind.PUBMED)
    files = await dated_files(source.url, dates, (".xml", ".rss", ".atom", ".rdf") if is_xml else (".json",))
    if files is None:
        return None, ()
    missing = [day for day in dates if day not in {found for found, _ in files}]
    return files, (f"no file for {_days(missing)} in {shown(source.url)}",) if missing else ()


def _days(days: Sequence[date]) -> str:
    """Write days briefly: single days and unbroken runs."""
    runs: list[list[date]] = []
    for day in days:
        if runs and (day - runs[-1][-1]).days == 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(f"{run[0]}…{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


_READERS = {
    SourceKind.ARXIV: "arxiv",
    SourceKind.HUGGINGFACE: "huggingface",
    SourceKind.FEED: "feeds",
    SourceKind.SEMANTIC_SCHOLAR: "semanticscholar",
    SourceKind.CROSSREF: "crossref",
    SourceKind.OPENALEX: "openalex",
    SourceKind.BIORXIV: "biorxiv",
    SourceKind.MEDRXIV: "biorxiv",
    SourceKind.PUBMED: "pubmed",
    SourceKind.OPENREVIEW: "openreview",
}
"""The module of each kind. Only those that a list needs are loaded."""


def _conversation(task: Task) -> Conversation:
    reader: HasConversation = import_module(f"digest.pull.{_READERS[task.source.kind]}")
    return reader.converse(task)
