"""The log: what happens, as events with stable names, and what libraries say, on one way. `docs/logs.md` lists them.

`tell` is called where something has happened; `set_up` once, by the command line. All goes through the standard
library's `logging`, so that a library's lines come out like ours, and is put into its form by structlog: key=value, or
a JSON object a line. No line can be forged by what a stranger wrote, and at level info and above there is no address
and no token in one, whoever wrote it. Nothing may depend on what is logged, save that `status/watchman.py` listens.

A person at a terminal has the lines of `console/` instead: there events show only with `--verbose`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections import deque
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, TextIO

Fields = MutableMapping[str, Any]

REMEMBERED = 200
"""Lines that are kept for whoever asks what came before a trouble."""
CHATTY = ("apscheduler", "asyncio", "cssutils", "CSSUTILS", "premailer", "httpcore2", "httpx2", "uvicorn", "aiosmtplib",
          "alembic")  # fmt: skip
"""Libraries that say at level info what interests nobody, or name addresses with secrets in them."""
_ADDRESS = re.compile(r"[^\s<>(),;]{1,200}(?:@|%40)[\w.:\[\]-]+", re.IGNORECASE)
_TOKEN = re.compile(r"\d{1,19}(?:\.\d{1,11})?\.[A-Za-z0-9_-]{24}(?![A-Za-z0-9_-])")
"""As `subscribe/tokens.py` makes them."""
_MASKED = "…@…"


class Event(StrEnum):
    """What can have happened. A name stays what it is; new ones may come."""

    EDITION_MADE = "edition made"
    EDITION_FINISHED = "edition finished"
    DELIVERIES_SETTLED = "deliveries settled"
    SENDING_PAUSED = "sending paused"
    SENDING_FAILED = "sending failed"
    SENDING_RECOVERED = "sending recovered"
    LIST_PAUSED = "list paused"
    LIST_RESUMED = "list resumed"
    SOURCE_FAILED = "source failed"
    LETTERS_SENT = "letters sent"
    BOUNCE_COUNTED = "bounce counted"
    MAILBOX_READ = "mailbox read"
    MAILBOX_FAILED = "mailbox failed"
    CONFIG_BROKEN = "config broken"
    CONFIG_READ = "config read"
    OPERATOR_TOLD = "operator told"


_events = logging.getLogger("digest.events")
_events.setLevel(logging.DEBUG)  # whoever listens chooses


def tell(event: Event, *, level: int = logging.INFO, **facts: object) -> None:
    """Something has happened. `list` and `edition` (its number) say where; facts hold no address and no token."""
    _events.log(level, event.value, extra={"event": event, "facts": facts})


@dataclass(slots=True)
class _Voice:
    """How the program speaks, chosen once at its start."""

    as_json: bool = False
    quiet: bool = False
    recent: deque[logging.LogRecord] = field(default_factory=lambda: deque(maxlen=REMEMBERED))


_voice = _Voice()


def speaks_to_people() -> bool:
    """Whether readable lines are wanted: neither with `--log-json` nor with `--quiet`."""
    return not (_voice.as_json or _voice.quiet)


def in_the_log(message: str, level: int = logging.WARNING) -> bool:
    """Takes what would be told to a person on standard error; False where she is to be told herself."""
    if _voice.as_json:
        logging.getLogger("digest").log(level, "%s", message)
    return _voice.as_json


def set_up(*, verbose: int = 0, quiet: bool = False, as_json: bool = False, stream: TextIO | None = None) -> None:
    """Lets the log begin, on standard error by default.

    As key=value it has warnings, from `verbose` 1 on also events, from 2 on everything that anybody says; as JSON it
    has events in any case. `quiet` leaves errors alone.
    """
    _voice.as_json, _voice.quiet = as_json, quiet
    _voice.recent.clear()
    level = logging.DEBUG if verbose > 1 else logging.INFO if verbose or as_json else logging.WARNING
    writer = _Writer(stream)
    writer.setLevel(logging.ERROR if quiet else level)
    writer.setFormatter(_Lines(as_json=as_json))
    if not (verbose or as_json):
        writer.addFilter(lambda record: not hasattr(record, "facts"))
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _Ours)]:
        root.removeHandler(handler)
    root.setLevel(min(level, root.level, logging.INFO))
    root.addHandler(writer)
    root.addHandler(_Rememberer(logging.INFO))
    # Where an error arose is told from -v on, by whoever asks whether this is enabled.
    logging.getLogger("digest").setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose > 2 else logging.WARNING)


def last_lines(count: int, list_id: str) -> list[str]:
    """The last lines that are about the list, or about none, oldest first; masked as any."""
    lines = _Lines(as_json=False)
    about = [r for r in _voice.recent if getattr(r, "facts", {}).get("list", list_id) == list_id]
    return [lines.format(record) for record in about[-count:]]


def masked(text: str) -> str:
    """The text on one line, without addresses and tokens."""
    return _text(text, masked=True)


class _Ours(logging.Handler):
    """A handler that `set_up` has made, and may take away."""


class _Writer(_Ours):
    """Writes to a stream, standard error as it is at that moment; where nobody reads any more, to nowhere."""

    def __init__(self, stream: TextIO | None):
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        try:
            line = self.format(record)
            stream = self._stream or sys.stderr
            stream.write(line + "\n")
            stream.flush()
        except OSError:
            pass
        except Exception:  # a line that cannot be made must not break off a send
            self.handleError(record)


class _Rememberer(_Ours):
    """Keeps the last records as they are: most are never asked for."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one."""
        _voice.recent.append(record)


class _Lines(logging.Formatter):
    """One record, one line. structlog is loaded with the first line: most commands have none."""

    def __init__(self, *, as_json: bool):
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        return self._formatter.format(record)

    @cached_property
    def _formatter(self) -> logging.Formatter:
        import structlog

        first = ["timestamp", "level", "event", "list", "edition"]
        render: Callable[..., Any] = structlog.processors.LogfmtRenderer(key_order=first, drop_missing=True)
        if self._as_json:
            render = structlog.processors.JSONRenderer(sort_keys=False, ensure_ascii=False, default=str)
        return structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                _moment,
                structlog.stdlib.add_logger_name,
                _facts,
                structlog.processors.format_exc_info,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _in_order(first), _safe, render],
        )


def _moment(_logger: object, _method: str, fields: Fields) -> Fields:
    from datetime import UTC, datetime

    made = datetime.fromtimestamp(fields["_record"].created, UTC)
    fields["timestamp"] = made.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return fields


def _facts(_logger: object, _method: str, fields: Fields) -> Fields:
    """What an event came with; the name of its logger says nothing."""
    record: logging.LogRecord = fields["_record"]
    if hasattr(record, "facts"):
        for name, value in record.facts.items():
            # Counts stand for themselves: `sent=3` is easier to search for than a table in a field.
            fields.update(value if name == "counts" else {name: value})
        del fields["logger"]
    return fields


def _in_order(first: Sequence[str]) -> Callable[[object, str, Fields], Fields]:
    def ordered(_logger: object, _method: str, fields: Fields) -> Fields:
        return {
            key: fields[key] for key in (*(k for k in first if k in fields), *(k for k in fields if k not in first))
        }

    return ordered


def _safe(_logger: object, _method: str, fields: Fields) -> Fields:
    """Nothing that ends a line or turns a terminal over, and from level info on no address."""
    masked = fields.get("level") != "debug"
    return {"_".join(key.split()): _plain(value, masked=masked) for key, value in fields.items()}


def _plain(value: object, *, masked: bool) -> object:
    if isinstance(value, dict):
        return {_text(str(key), masked=masked): _plain(each, masked=masked) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each, masked=masked) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _text(str(value), masked=masked)


def _text(text: str, *, masked: bool) -> str:
    """What cannot be printed is written as Python writes it in quotation marks: a backslash and letters."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return _TOKEN.sub("…", _ADDRESS.sub(_MASKED, text)) if masked else text
