"""How moments and days are kept: as text in UTC, and so in the order of time on both databases; days as each has them.

SQLite takes any text for either. Where one cannot be read, much or little hangs on it: that is an error, or is told.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Date, Dialect, String, TypeDecorator

from digest.errors import StoreError
from digest.store.damaged import tell

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def utc_text(value: datetime) -> str:
    """An aware datetime as it is kept. Raises ValueError for a naive one."""
    if value.tzinfo is None:
        raise ValueError(f"naive datetime {value}")
    return value.astimezone(UTC).isoformat(timespec="microseconds")


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC. A naive one is a mistake in the program and raises ValueError."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Aware datetime to text."""
        return None if value is None else utc_text(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Text to aware datetime. Raises StoreError where it is none: what hangs on it must not be guessed."""
        try:
            return None if value is None else _aware(value)
        except ValueError as error:
            raise _unreadable("a time", error) from error


class MinorTime(UtcTime):
    """One on which little hangs: where it cannot be read that is told, and `instead` stands for it."""

    cache_ok = True

    def __init__(self, instead: datetime | None = None):
        super().__init__()
        self.instead = instead

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Text to aware datetime."""
        try:
            return None if value is None else _aware(value)
        except ValueError as error:
            tell("a time", "it counts as long ago" if self.instead else "it counts as not known", error)
            return self.instead


class Day(TypeDecorator[date]):
    """A day. Raises StoreError where it is none: what hangs on it must not be guessed."""

    impl = Date
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], date | None] | None:
        """Around the driver's own, which raises what it finds; PostgreSQL has none, as it takes no other text."""
        read = super().result_processor(dialect, coltype)

        if read is None:
            return None

        def checked(value: Any) -> date | None:
            if not isinstance(value, str | None):  # where somebody leaves quotation marks out, 2026-07-01 is 2018
                return self._instead(ValueError(f"{value!r} is no day"))
            try:
                return read(value)
            except ValueError as error:
                return self._instead(error)

        return checked

    def _instead(self, error: ValueError) -> date | None:
        raise _unreadable("a day", error) from error


class MinorDay(Day):
    """One on which little hangs: where it cannot be read that is told, and it counts as not known."""

    cache_ok = True

    def _instead(self, error: ValueError) -> date | None:
        tell("a day", "it counts as not known", error)
        return None


def _unreadable(what: str, error: ValueError) -> StoreError:
    return StoreError(f"{what} in the database cannot be read: {error}; a backup may have it whole")


def _aware(text: str) -> datetime:
    """Without a zone, as somebody may have written it by hand, it is UTC. Raises ValueError."""
    found = datetime.fromisoformat(str(text))
    return found if found.tzinfo else found.replace(tzinfo=UTC)
