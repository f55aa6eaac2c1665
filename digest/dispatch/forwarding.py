"""What one process says and raises in another: lines of its log, and errors that can be read there.

For processes that work beside the one that the command is (`draining.py`, `processes.py`).
"""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable
from typing import NamedTuple

from digest.errors import DigestError
from digest.store import damaged


class Line(NamedTuple):
    """What another process has to log."""

    logger: str
    level: int
    text: str


class Forwarded(logging.Handler):
    """Logs in the process that started this one."""

    def __init__(self, tell: Callable[[Line], None]):
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """For `logging`. A traceback is part of the text: the error that it is of may not be one that can be sent."""
        self._tell(Line(record.name, record.levelno, self.format(record)))


def log(line: Line) -> None:
    """Logs here what another process had to. What is damaged each finds out for itself, and it is told once."""
    if (line.logger, line.level) == (damaged.log.name, logging.WARNING):
        damaged.tell_once(line.text)
    else:
        logging.getLogger(line.logger).log(line.level, "%s", line.text)


def sendable(error: Exception) -> Exception:
    """The error, or one that says the same: not each can be read again by whoever is told.

    Where a bug arose is lost on the way, and so is noted with it.
    """
    sent = error
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:
        sent = RuntimeError(f"{type(error).__name__}: {error}")
    if not isinstance(error, DigestError):
        sent.add_note("".join(traceback.format_exception(error)))
    return sent
