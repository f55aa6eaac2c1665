"""Texts to sentence vectors, each text once: a memory is asked first, only what is new goes through the network.

`making.py` gives it the store as its memory, `cli/` (the batch form of `digest rank`) a dictionary. Whether a vector
is new or remembered makes no difference to its bits: all have been float16.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

import numpy as np

from digest.rank.embedding import DIMENSIONS, MODEL, Embed, Floats32, available

if TYPE_CHECKING:  # it takes a quarter of a second, and files are ranked without a config
    from digest.settings import ListConfig

REMEMBERED_AT_ONCE = 32
"""Texts embedded between two writes: a crash or Ctrl-C loses no more than these, a second or three of work."""

Embedded = Callable[[int, int], None]
"""Told after each batch: how many of how many new texts are done."""


def is_semantic(config: ListConfig) -> bool:
    """Whether meaning counts beside words: as `semantic` of [list] says, else if the extra is installed."""
    return available() if config.semantic is None else config.semantic


class Memory(Protocol):
    """What keeps vectors: little-endian float16, DIMENSIONS of them, by the key of their text."""

    def get(self, model: str, keys: Sequence[bytes]) -> Mapping[bytes, bytes]: ...  # noqa: D102
    def put(self, model: str, vectors: Mapping[bytes, bytes]) -> None: ...  # noqa: D102


class InMemory:
    """A memory for the length of one command."""

    def __init__(self) -> None:
        self._vectors: dict[tuple[str, bytes], bytes] = {}

    def get(self, model: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Those that were put."""
        return {key: self._vectors[model, key] for key in keys if (model, key) in self._vectors}

    def put(self, model: str, vectors: Mapping[bytes, bytes]) -> None:
        """Keeps vectors."""
        self._vectors |= {(model, key): vector for key, vector in vectors.items()}


class EmbeddingStopped(Exception):  # noqa: N818 - somebody wanted it
    """Somebody asked to stop; what was embedded is remembered."""


class CachedEmbed:
    """A function `Embed`, as `Ranker` takes it, with a memory. `stopped` is asked after every batch but the last."""

    def __init__(
        self,
        embed: Embed,
        memory: Memory,
        on_embedded: Embedded | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ):
        self._embed = embed
        self._memory = memory
        self._on_embedded = on_embedded
        self._stopped = stopped

    def __call__(self, texts: Sequence[str]) -> Floats32:
        """The texts' vectors, shape (texts, DIMENSIONS).

        Raises EmbeddingError, EmbeddingStopped, or what the memory raises.
        """
        keys = [text_key(text) for text in texts]
        distinct = dict(zip(keys, texts, strict=True))
        found = dict(self._memory.get(MODEL, list(distinct)))
        new = [key for key in distinct if key not in found]
        for start in range(0, len(new), REMEMBERED_AT_ONCE):
            batch = new[start : start + REMEMBERED_AT_ONCE]
            vectors = self._embed([distinct[key] for key in batch]).astype("<f2")
            made = {key: vector.tobytes() for key, vector in zip(batch, vectors, strict=True)}
            self._memory.put(MODEL, made)
            found |= made
            if self._on_embedded:
                self._on_embedded(start + len(batch), len(new))
            if self._stopped() and start + len(batch) < len(new):
                raise EmbeddingStopped
        whole = np.frombuffer(b"".join(found[key] for key in keys), "<f2")
        return whole.reshape(len(texts), DIMENSIONS).astype(np.float32)


def text_key(text: str) -> bytes:
    """What a text's vector is kept under: another text, another key."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
