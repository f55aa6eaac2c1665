"""The errors of digest. Each says what is wrong, where, and what to do next; none carries a secret.

DigestError
├── ConfigError          the config or the command line: exit code 2. `problems` lists every mistake found
├── SourceError          one source could not be pulled: the edition goes on without it
├── StoreError           the database: not ours, of a newer schema, locked, full
│   └── GivenUpError     it was out of reach for so long that what was to be written is given up
├── TemplateError        a template is broken: file and line, before anything is sent
├── EmbeddingError       sentence vectors cannot be made: the extra `semantic` is missing or damaged
├── SendError            the relay refuses us as a whole: nobody is marked
├── MailboxError         the mailbox cannot be read, or its mail not be understood: an extra is missing
└── LeaseLostError       a delivery is not ours any more: it is left alone
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DONE, PARTLY, USAGE, NOTHING = 0, 1, 2, 3
"""Exit codes: done; done in part, or failed; config or usage; nothing to do where something was expected."""


class DigestError(Exception):
    """Anything that digest reports to a person without a traceback."""

    exit_code = PARTLY


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a config: the file, its line (counted from 1), the key's path and what to write instead."""

    file: Path | None
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        place = str(self.file) if self.file else "environment"
        if self.line:
            place += f":{self.line}"
        return f"{place}: {self.message}"


class ConfigError(DigestError):
    """The config or the command line cannot be used."""

    exit_code = USAGE

    def __init__(self, *problems: Problem | str):
        self.problems = problems
        super().__init__("\n".join(str(p) for p in problems))


class SourceError(DigestError):
    """A source could not be pulled."""


class StoreError(DigestError):
    """The database cannot be used."""


class GivenUpError(StoreError):
    """What was to be written is given up: it is not to be tried again."""


class TemplateError(DigestError):
    """A template cannot be rendered."""


class EmbeddingError(DigestError):
    """Sentence vectors cannot be made."""


class SendError(DigestError):
    """The relay refuses us as a whole."""


class MailboxError(DigestError):
    """The mailbox cannot be read."""


class LeaseLostError(DigestError):
    """A claimed delivery is not ours any more: its lease has ended, or its reader has left."""
