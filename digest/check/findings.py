"""What a check finds: values. Pure; everything in this package makes these.

A finding is one line for a person: what was looked at, how it is, and, where it is not well, what to do. Where a record
is to be published, it stands on a line of its own, ready to be copied.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How something is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as well or not for as long as it should."""
    FAILED = "failed"
    """Mail will not be made, or not leave, or not arrive."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record for the DNS, as one would publish it."""

    name: str
    type: str
    value: str

    def __str__(self) -> str:
        value = f'"{self.value}"' if self.type == "TXT" else self.value
        return f"{self.name}. {self.type} {value}"


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing is."""

    subject: str
    """What was looked at: "source arxiv", "SPF of example.org"."""
    level: Level
    says: str
    todo: str = ""
    """What to do; empty where nothing is."""
    publish: tuple[Record, ...] = ()

    def json(self) -> dict[str, Any]:
        """For programs."""
        records = [{"name": r.name, "type": r.type, "value": r.value} for r in self.publish]
        return {
            "subject": self.subject,
            "level": self.level.value,
            "says": self.says,
            "todo": self.todo or None,
            "publish": records,
        }


def ok(subject: str, says: str) -> Finding:
    """All is well."""
    return Finding(subject, Level.OK, says)


def warning(subject: str, says: str, todo: str, *publish: Record) -> Finding:
    """It could be better."""
    return Finding(subject, Level.WARNING, says, todo, publish)


def failed(subject: str, says: str, todo: str, *publish: Record) -> Finding:
    """It must be mended."""
    return Finding(subject, Level.FAILED, says, todo, publish)


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level there is; of nothing, ok."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.FAILED, Level.WARNING) if level in levels), Level.OK)
