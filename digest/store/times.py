"""How moments are kept: as text in UTC, and so in the order of time on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Dialect, String, TypeDecorator

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
            raise StoreError(f"a time in the database cannot be read: {error}; a backup may have it whole") from error


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


def _aware(text: str) -> datetime:
    """Without a zone, as somebody may have written it by hand, it is UTC. Raises ValueError."""
    found = datetime.fromisoformat(str(text))
    return found if found.tzinfo else found.replace(tzinfo=UTC)
