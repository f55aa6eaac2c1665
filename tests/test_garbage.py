"""When the interpreter looks for garbage."""

from __future__ import annotations

import gc
import weakref

import pytest

from digest.garbage import left_alone, spare_what_lives


def test_garbage_is_left_alone_until_the_end() -> None:
    """Not looked for inside, and again afterwards, whatever went wrong."""
    seen = []

    def fails() -> None:
        with left_alone():
            seen.append(gc.isenabled())
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert [*seen, gc.isenabled()] == [False, True]


def test_who_looks_for_none_is_not_made_to() -> None:
    """Where it was off before, it stays off."""
    gc.disable()
    try:
        with left_alone():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_garbage_is_left_alone_until_the_last_has_ended() -> None:
    """Two threads may be in it, and end in any order."""
    first, second = left_alone(), left_alone()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    within = gc.isenabled()
    second.__exit__(None, None, None)
    assert [within, gc.isenabled()] == [False, True]


class Ring:
    """Refers to itself, as what is made of a config does."""

    def __init__(self) -> None:
        self.me = self


def test_what_was_spared_and_has_died_is_freed_with_the_next() -> None:
    """A worker does so with each edition, for months."""
    try:
        ring = Ring()
        seen = weakref.ref(ring)
        spare_what_lives()
        del ring
        gc.collect()
        assert seen() is not None
        spare_what_lives()
        assert seen() is None
    finally:
        gc.unfreeze()
