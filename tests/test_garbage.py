"""When the interpreter looks for garbage."""

from __future__ import annotations

import gc

import pytest

from digest.garbage import left_alone


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
