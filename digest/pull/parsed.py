"""What a source module makes of one answer, and the small readers that the source modules share.

Pure. `Parsed` is put together into a `SourceReport` by `digest.pull.pull`; nobody outside `digest.pull` sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from digest.model import Announcement, Coverage, Rejection, Signal


@dataclass(frozen=True, slots=True)
class Parsed:
    """One answer of a source, read, or several joined. With `error`, the announcements before the fault are kept.

    The fields are those of `SourceReport`.
    """

    announcements: tuple[Announcement, ...] = ()
    signals: tuple[Signal, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None
    coverage: tuple[Coverage, ...] = ()
    announced: tuple[date, ...] = ()
    skipped: int = 0
    look_again_at: datetime | None = None
    unchanged_since: datetime | None = None


def joined(parts: Iterable[Parsed]) -> Parsed:
    """Put the answers of one source together, in their order; faults that repeat are told once."""
    parts = tuple(parts)
    return Parsed(
        announcements=tuple(announcement for part in parts for announcement in part.announcements),
        signals=tuple(signal for part in parts for signal in part.signals),
        rejected=tuple(rejection for part in parts for rejection in part.rejected),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        error="; ".join(dict.fromkeys(part.error for part in parts if part.error)) or None,
        coverage=tuple(coverage for part in parts for coverage in part.coverage),
        announced=tuple(sorted({day for part in parts for day in part.announced})),
        skipped=sum(part.skipped for part in parts),
        look_again_at=min((part.look_again_at for part in parts if part.look_again_at), default=None),
        unchanged_since=max((part.unchanged_since for part in parts if part.unchanged_since), default=None),
    )


_RFC822 = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+)?\d{1,2}\s+(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
    r"\s+\d{4}\s+\d{1,2}:\d{2}(?::\d{2})?\s*(?P<zone>[+-]\d{4}|Z|UT|UTC|GMT|[ECMP][SD]T)?",
    re.I,
)
_ISO = re.compile(
    r"\d{4}-\d{2}(?:-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?\s?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?)?", re.I
)


def read_date(text: str) -> datetime | None:
    """Read RFC 822 and ISO 8601 dates, nothing else: better none than a wrong one. No zone means UTC.

    The zone that the source wrote is kept, so that `.date()` is the day that the source means.
    """
    text = " ".join(text.split())
    try:
        if match := _RFC822.fullmatch(text):
            parsed = parsedate_to_datetime(text if match["zone"] != "Z" else text[:-1] + "GMT")
        elif _ISO.fullmatch(text):
            parsed = datetime.fromisoformat((text + "-01" if len(text) == 7 else text).upper().replace(",", "."))
        else:
            return None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return parsed if 1900 <= parsed.year <= 2200 else None


def in_utc(moment: datetime | None) -> datetime | None:
    """Return the same moment in UTC."""
    return moment.astimezone(UTC) if moment else None


def web_address(text: object) -> str | None:
    """Return an http(s) address that can stand in a link, None for anything else (javascript:, relative, broken)."""
    if not isinstance(text, str) or len(text) > 2000:
        return None
    text = text.strip().replace(" ", "%20")
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return text if usable and not re.search(r"[\x00-\x20\x7f\"'<>\\^`{|}\s]", text) else None


def as_count(value: object) -> float | None:
    """Return a figure as a number; None where it is no count (text, negative, a truth value, beyond belief)."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
        return float(value)
    return None
