"""A day, a week or a month of editions: how it is written in an address, which days it has, what it is called. Pure."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from digest.render.language import Language


class Length(StrEnum):
    """How much a page of papers covers."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Span:
    """The days of one page, both included."""

    length: Length
    first: date
    last: date

    @property
    def slug(self) -> str:
        """`2026-06-10`, `2026-W24` (ISO 8601) or `2026-06`."""
        match self.length:
            case Length.DAY:
                return self.first.isoformat()
            case Length.WEEK:
                year, week, _ = self.first.isocalendar()
                return f"{year}-W{week:02}"
            case Length.MONTH:
                return f"{self.first:%Y-%m}"

    def title(self, language: Language) -> str:
        """`Wednesday, 10 June 2026`, `8 – 14 Jun 2026` or `June 2026`."""
        match self.length:
            case Length.DAY:
                return language.long_date(self.first)
            case Length.WEEK:
                return language.days(self.first, self.last)
            case Length.MONTH:
                return language.month(self.first)


def span_of(length: Length, day: date) -> Span:
    """The span of that length which the day is in; weeks begin on Monday."""
    match length:
        case Length.DAY:
            return Span(length, day, day)
        case Length.WEEK:
            monday = day - timedelta(days=day.weekday())
            return Span(length, monday, monday + timedelta(days=6))
        case Length.MONTH:
            return Span(length, day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1]))


def read_span(slug: str) -> Span | None:
    """What `Span.slug` wrote; None for anything else."""
    try:
        if re.fullmatch(r"[12]\d{3}-\d\d-\d\d", slug, re.ASCII):
            return span_of(Length.DAY, date.fromisoformat(slug))
        if re.fullmatch(r"[12]\d{3}-W\d\d", slug, re.ASCII):
            return span_of(Length.WEEK, date.fromisocalendar(int(slug[:4]), int(slug[6:]), 1))
        if re.fullmatch(r"[12]\d{3}-\d\d", slug, re.ASCII):
            return span_of(Length.MONTH, date.fromisoformat(f"{slug}-01"))
    except ValueError:
        return None
    return None
