"""What one process has made ready is the same in another, apart from what each has of its own."""

from __future__ import annotations

import pickle
from functools import lru_cache

import pytest

from digest.dispatch.packing import packed, unpacked


class Store:
    """What no other process can have."""

    def __reduce__(self) -> str:
        raise TypeError("a store is not for handing over")


class Finder:
    """Remembers what it has found."""

    def __init__(self, store: Store):
        self.store = store
        self.doubled = lru_cache(7)(self._double)

    def _double(self, number: int) -> int:
        return 2 * number


def test_a_cache_comes_over_empty_and_works() -> None:
    """It finds the same, remembers as much, and is the other value's own."""
    here = Finder(store := Store())
    here.doubled(4)
    there = unpacked(packed(here, {"store": store}), {"store": None})
    assert there.doubled.cache_info() == (0, 0, 7, 0)
    assert there.doubled(4) == 8
    assert there.doubled.__wrapped__.__self__ is there


def test_each_process_has_its_own() -> None:
    """What is left out under a name is what the other process has under it; nothing is found under no name."""
    theirs = Store()
    made = packed((Finder(store := Store()), None), {"store": store, "none": None})
    finder, nothing = unpacked(made, {"store": theirs, "none": theirs})
    assert finder.store is theirs
    assert nothing is None
    with pytest.raises(KeyError, match="store"):
        unpacked(made, {})


def test_what_cannot_be_handed_over_is_told() -> None:
    """Where it is packed, and not by a process that waits for it."""
    with pytest.raises((TypeError, pickle.PicklingError), match="not for handing over"):
        packed(Finder(Store()), {})
