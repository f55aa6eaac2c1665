"""When the interpreter looks for garbage. Called by whoever has a shard of an edition ranked."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left_alone() -> Iterator[None]:
    """Looks for no garbage meanwhile.

    A shard's picks are a hundred objects a reader, of which each lives until all are written and none refers to
    itself. To look through them again and again took a third of the time that they took to make.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
