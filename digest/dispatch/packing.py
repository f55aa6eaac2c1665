"""What one process has made ready, as bytes for another, which reads it sooner than it would make it again.

Caches (`functools.lru_cache`) come over empty. What a process must have of its own, such as its connection to the
store, is left out under a name, and the other process puts its own there. Called by `processes.py`.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any


def packed(value: object, own: Mapping[str, object]) -> bytes:
    """The value, without what is `own`. Raises what `pickle` does."""
    written = io.BytesIO()
    _Packing(written, own).dump(value)
    return written.getvalue()


def unpacked(data: bytes, own: Mapping[str, object]) -> Any:
    """What was packed, with this process's `own` under the same names. The bytes must come from a process of ours."""
    return _Unpacking(data, own).load()


def _empty(find: Callable[..., Any], parameters: Mapping[str, Any]) -> object:
    return lru_cache(**parameters)(find)


def _emptied(cache: Any) -> tuple[Any, ...]:
    return _empty, (cache.__wrapped__, cache.cache_parameters())


class _Packing(pickle.Pickler):
    def __init__(self, to: io.BytesIO, own: Mapping[str, object]):
        super().__init__(to, pickle.HIGHEST_PROTOCOL)
        self.dispatch_table = {**copyreg.dispatch_table, type(lru_cache(repr)): _emptied}
        self._names = {id(value): name for name, value in own.items() if value is not None}

    def persistent_id(self, value: object) -> str | None:
        return self._names.get(id(value))


class _Unpacking(pickle.Unpickler):
    def __init__(self, data: bytes, own: Mapping[str, object]):
        super().__init__(io.BytesIO(data))
        self._own = own

    def persistent_load(self, name: str) -> object:
        return self._own[name]
