"""What must be on the disk before the program goes on, on every system. Called by whoever writes files that count.

A rename is durable when its folder is synced; Windows opens no folders, and writes a rename through by itself. On macOS
`fsync` leaves the bytes in the drive's cache, F_FULLFSYNC does not (fsync(2) there).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def sync(descriptor: int) -> None:
    """What was written to an open file is on the disk. Raises OSError."""
    try:
        from fcntl import F_FULLFSYNC, fcntl  # type: ignore[attr-defined,unused-ignore]
    except ImportError:
        os.fsync(descriptor)
        return
    try:
        fcntl(descriptor, F_FULLFSYNC)
    except OSError:  # a network's file system may not know it
        os.fsync(descriptor)


def sync_file(path: Path) -> None:
    """What others have written to a closed file is on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR)  # Windows syncs only what it may write
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Files that were made, renamed or removed in the folder are so for good. Raises OSError."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def private_file(path: Path) -> None:
    """Makes an empty file that its owner alone may read; a file that is there is an error. Raises OSError."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def private_folder(folder: Path) -> None:
    """Makes the folder, for its owner alone, unless it is there. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def replace(source: Path, target: Path) -> None:
    """Renames a file over another, for good. Raises OSError: on Windows also while somebody has the target open."""
    source.replace(target)
    sync_folder(target.parent)


def remove(path: Path) -> None:
    """Removes a file, if it is there and can be removed."""
    with contextlib.suppress(OSError):
        path.unlink()
