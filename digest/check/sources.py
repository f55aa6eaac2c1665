"""Fetches every source as a list's first edition would, keeps nothing, and says how each is.

`describe` is pure. The servers' Date headers, which come anyway, tell whether this machine's clock is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from digest.check.findings import Finding, failed, ok, warning
from digest.check.speaking import Told
from digest.edition import FIRST_DAYS
from digest.model import SourceReport, Window
from digest.pull import Gets, pull
from digest.pull.http import CONTACT, Fetcher, Response
from digest.settings import ListConfig


class _Listening:
    """A fetcher that notes what time it is by the servers."""

    def __init__(self, fetcher: Gets):
        self._fetcher = fetcher
        self.told: list[Told] = []

    async def get(self, url: str, /, *, headers: Sequence[tuple[str, str]] = (), body: bytes | None = None) -> Response:
        response = await self._fetcher.get(url, headers=headers, body=body)
        if response.served_at:
            host = response.url.partition("://")[2].partition("/")[0].rpartition("@")[2]
            self.told.append(Told(host, response.served_at, datetime.now(UTC)))
        return response


async def sources(config: ListConfig, now: datetime) -> tuple[list[Finding], tuple[Told, ...]]:
    """How each source is, in the order of the config."""
    how = config.pulling
    window = Window(None, now, FIRST_DAYS[config.mailing_list.frequency])
    async with Fetcher(contact=how.contact or CONTACT, allow_private=how.allow_private) as fetcher:
        listening = _Listening(fetcher)
        reports = await pull(
            config.sources, window, listening, now=now, contact=how.contact or "", api_keys=how.api_keys
        )
    return [describe(report) for report in reports], tuple(listening.told)


def describe(report: SourceReport) -> Finding:
    """One line about one source: "cs.CV: 239 announced Thursday, feed fresh"."""
    subject = f"source {report.source}"
    gave = _gave(report)
    if report.error and not report.announcements:
        return failed(
            subject, report.error, "see its [[sources]] table; if only the server or the network is down, wait"
        )
    if report.error:
        return warning(subject, f"{gave}; then: {report.error}", "if it stays so, see its [[sources]] table")
    if report.rejected and len(report.rejected) >= len(report.announcements):
        first = report.rejected[0]
        says = f"{gave}; {len(report.rejected)} rejected, the first: {first.entry}: {first.reason}"
        return warning(subject, says, "see whether `kind` and `url` of its [[sources]] table go together")
    if report.notes or report.look_again_at:
        at = f"; look again at {report.look_again_at:%Y-%m-%d %H:%M} UTC" if report.look_again_at else ""
        return warning(subject, "; ".join([gave, *report.notes]) + at, "wait: it may pass by itself")
    if not report.announcements:
        todo = "on a quiet day, nothing; else see what its [[sources]] table asks for"
        return warning(subject, "it answers, and has nothing", todo)
    return ok(subject, f"{gave}, feed fresh")


def _gave(report: SourceReport) -> str:
    """What came, part by part where a part's number is known."""
    day = f" announced {_day(report.announced[-1])}" if report.announced else ""
    parts = [
        f"{part.part}: {part.received:,}"
        + (f" of {part.expected:,}" if part.expected is not None and part.expected != part.received else "")
        for part in report.coverage
        if part.part
    ]
    if parts:
        return ", ".join(parts) + day
    count = len(report.announcements)
    figures = f" and {len(report.signals):,} figures" if report.signals else ""
    return f"{count:,} paper{'' if count == 1 else 's'}{figures}{day}"


def _day(day: date) -> str:
    return f"{_DAYS[day.weekday()]} {day}"


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
"""Not the locale's: the command line is English."""
