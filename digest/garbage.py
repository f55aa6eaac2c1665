"""When the interpreter looks for garbage, and among what.

Called by whoever holds much that lives: an edition that is ranked, composed, or shown on the pages.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_changing = threading.Lock()
_inside = 0
"""How many threads are in `left_alone`."""
_was_enabled = True


@contextmanager
def left_alone() -> Iterator[None]:
    """Looks for no garbage meanwhile; several threads may be in it.

    A shard's picks are a hundred objects a reader, of which each lives until all are written and none refers to
    itself. To look through them again and again took a third of the time that they took to make.
    """
    global _inside, _was_enabled  # noqa: PLW0603 - it is one switch for the whole interpreter
    with _changing:
        if not _inside:
            _was_enabled = gc.isenabled()
            gc.disable()
        _inside += 1
    try:
        yield
    finally:
        with _changing:
            _inside -= 1
            if not _inside and _was_enabled:
                gc.enable()


@contextmanager
def spared() -> Iterator[None]:
    """Never looks through what there was before the block, until that ends."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def spare_what_lives() -> None:
    """Never looks again through what there is now, until this is called again: what has died by then is freed."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
