"""Texts to vectors, each once: what is asked of the network, and what of the memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from digest.meaning import REMEMBERED_AT_ONCE, CachedEmbed, EmbeddingStopped, InMemory, text_key
from digest.rank.embedding import DIMENSIONS, Embedder, Floats32
from digest.store import Vectors, open_database
from tests.factories import NOW
from tests.test_embedding import SOIL, VIDEO, needs_semantic


class CountingEmbed:
    """A function `Embed` that remembers what it was asked, and may be interrupted."""

    def __init__(self, interrupted_after: int = 10**9):
        self.asked: list[str] = []
        self._interrupted_after = interrupted_after

    def __call__(self, texts: Sequence[str]) -> Floats32:
        if len(self.asked) >= self._interrupted_after:
            raise KeyboardInterrupt
        self.asked += texts
        rows = [np.random.default_rng(len(text)).normal(size=DIMENSIONS) for text in texts]
        return np.array([row / np.linalg.norm(row) for row in rows], np.float32).reshape(len(texts), DIMENSIONS)


def test_stopping_keeps_what_was_embedded() -> None:
    """Asked to stop, it ends after the batch; the next run embeds the rest alone. The last batch is never in vain."""
    network, memory = CountingEmbed(), InMemory()
    texts = [f"text {n}" for n in range(2 * REMEMBERED_AT_ONCE + 3)]
    with pytest.raises(EmbeddingStopped):
        CachedEmbed(network, memory, stopped=lambda: True)(texts)
    assert CachedEmbed(CountingEmbed(), memory, stopped=lambda: True)(texts[:REMEMBERED_AT_ONCE]).shape[0] == 32
    rest = CountingEmbed()
    CachedEmbed(rest, memory)(texts)
    assert rest.asked == texts[REMEMBERED_AT_ONCE:]


def test_each_text_is_embedded_once() -> None:
    """What was asked before, or stands twice in one question, is not embedded again; the order is the question's."""
    network = CountingEmbed()
    embed = CachedEmbed(network, InMemory())
    first = embed(["a", "bb", "a"])
    second = embed(["ccc", "bb"])
    assert network.asked == ["a", "bb", "ccc"]
    assert np.array_equal(first[0], first[2])
    assert np.array_equal(second[1], first[1])
    assert embed([]).shape == (0, DIMENSIONS)


def test_a_fresh_vector_has_the_bits_of_a_remembered_one(tmp_path: Path) -> None:
    """Both have been float16: an edition does not depend on whether a text was seen before."""
    database = open_database(f"sqlite:///{tmp_path}/digest.db")
    fresh = CachedEmbed(CountingEmbed(), Vectors(database, lambda: NOW))(["a", "bb"])
    network = CountingEmbed()
    again = CachedEmbed(network, Vectors(database, lambda: NOW))(["a", "bb"])
    database.close()
    assert network.asked == []
    assert again.dtype == np.float32
    assert np.array_equal(fresh, again)
    assert np.array_equal(fresh, fresh.astype(np.float16))
    assert np.linalg.norm(fresh, axis=1) == pytest.approx(1, abs=1e-3)


def test_an_interruption_loses_one_batch_at_most() -> None:
    """What was embedded before Ctrl-C is not embedded again after it."""
    texts, memory = [f"text {n}" for n in range(3 * REMEMBERED_AT_ONCE)], InMemory()
    with pytest.raises(KeyboardInterrupt):
        CachedEmbed(CountingEmbed(interrupted_after=2 * REMEMBERED_AT_ONCE), memory)(texts)
    network = CountingEmbed()
    CachedEmbed(network, memory)(texts)
    assert network.asked == texts[2 * REMEMBERED_AT_ONCE :]


def test_progress_is_told_after_each_batch() -> None:
    """How many of how many new texts; nothing where all are known."""
    told: list[tuple[int, int]] = []
    embed = CachedEmbed(CountingEmbed(), InMemory(), lambda done, total: told.append((done, total)))
    embed(["known"])
    told.clear()
    embed(["known", *(f"text {n}" for n in range(REMEMBERED_AT_ONCE + 3))])
    assert told == [(REMEMBERED_AT_ONCE, REMEMBERED_AT_ONCE + 3), (REMEMBERED_AT_ONCE + 3, REMEMBERED_AT_ONCE + 3)]
    told.clear()
    embed(["known", "text 1"])
    assert told == []


def test_a_changed_text_has_another_key() -> None:
    """A corrected abstract is embedded anew; a half surrogate pair is a text like another."""
    assert len({text_key(text) for text in ("a", "a ", "A", "\ud800", "\udfff", "")}) == 6
    assert len(text_key("a")) == 16


@needs_semantic
def test_real_vectors_keep_their_meaning_through_the_store(tmp_path: Path) -> None:
    """The network's vectors, fresh, and out of the store a day later among others: the same bits, of length 1."""
    database = open_database(f"sqlite:///{tmp_path}/digest.db")
    fresh = CachedEmbed(Embedder().embed, Vectors(database, lambda: NOW))([VIDEO])
    later = CachedEmbed(Embedder().embed, Vectors(database, lambda: NOW + timedelta(days=1)))(["", SOIL, VIDEO])
    database.close()
    assert np.array_equal(later[2], fresh[0])
    assert not later[0].any()
    assert fresh[0] @ Embedder().embed([VIDEO])[0] == pytest.approx(1, abs=1e-3)
