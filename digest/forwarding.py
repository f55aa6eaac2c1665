"""What one process says and raises in another: lines of its log, and errors that can be read there.

For processes that work beside the one that the command is (`draining.py`).
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from typing import NamedTuple


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
        """For `logging`."""
        self._tell(Line(record.name, record.levelno, record.getMessage()))


def sendable(error: Exception) -> Exception:
    """The error, or one that says the same: not each can be read again by whoever is told."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
