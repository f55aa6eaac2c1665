"""`file://` addresses to bytes: a file, or of a folder the files that are named by date. Packed files are unpacked.

Called by `http.py` and by `digest.pull`. Only a config names such an address; no server can (`http.py` sees to that).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from digest.errors import SourceError
from digest.pull.unpack import TooLongError, UnpackError, gunzip


def read_file(url: str, limit: int) -> bytes:
    """Return the bytes of a file, unpacked if it is gzip. Raises `SourceError`, and `TooLongError` at the limit."""
    path = file_path(url)
    try:
        if path.is_dir():
            raise SourceError(f"{path} is a folder: expected a file")
        if not path.exists():
            raise SourceError(f"no such file: {path}")
        if not path.is_file():
            raise SourceError(f"{path} is no regular file")
        with path.open("rb") as file:
            body = file.read(limit + 1)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {_reason(error)}") from error
    if len(body) > limit:
        raise TooLongError
    try:
        return gunzip(body, limit) if body.startswith(b"\x1f\x8b") else body
    except TooLongError:
        raise
    except UnpackError as error:
        raise SourceError(f"{path} {error}") from error


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)


def file_path(url: str) -> Path:
    """Return the path of a `file:///absolute/path` address. Raises `SourceError` for a host or a relative path."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/") or "\0" in unquote(parts.path):
        raise SourceError(
            f"{url}: a file address holds an absolute path after three slashes, file:///home/ada/feed.xml"
        )
    return Path(url2pathname(parts.path))


async def dated_files(url: str, dates: Sequence[date], suffixes: Sequence[str]) -> tuple[tuple[date, str], ...] | None:
    """Find a folder's files of these dates: `2026-06-10.json`, also `.gz`. None if the address is no folder.

    Returns (date, file address) in the order of `dates`. Raises `SourceError` if there is nothing at the address.
    """
    return await asyncio.to_thread(_dated_files, url, dates, suffixes)


def _dated_files(url: str, dates: Sequence[date], suffixes: Sequence[str]) -> tuple[tuple[date, str], ...] | None:
    path = file_path(url)
    try:
        if not path.exists():
            raise SourceError(f"no such file or folder: {path}")
        if not path.is_dir():
            return None
        found = []
        for day in dates:
            names = (f"{day.isoformat()}{suffix}{gz}" for suffix in suffixes for gz in ("", ".gz"))
            file = next((path / name for name in names if (path / name).is_file()), None)
            if file:
                found.append((day, file.as_uri()))
    except OSError as error:
        raise SourceError(f"cannot read {path}: {_reason(error)}") from error
    return tuple(found)
