"""The inner loops of ranking give what plain products and sorts give."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from digest.rank.best import GROUPS, best
from digest.rank.index import Floats32, Ints
from digest.rank.sparse import LazyRows, Postings, Rows

SEEDS = st.integers(0, 2**32 - 1)


def plainly(scores: Floats32, count: int) -> Ints:
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


@given(SEEDS, st.integers(0, 5), st.integers(0, 400), st.integers(0, 30), st.sampled_from([1, 2, 30, 2**20]))
def test_the_best_are_those_of_a_whole_sort(seed: int, rows: int, columns: int, count: int, levels: int) -> None:
    """For any shape, with few or many equal scores: greatest first, equal ones by column."""
    drawn = np.random.default_rng(seed).integers(0, levels, (rows, columns))
    scores = (drawn / levels).astype(np.float32)
    assert best(scores, count).tolist() == plainly(scores, count).tolist()


def test_a_negative_zero_is_zero() -> None:
    """It is not sorted by its sign."""
    scores = np.zeros((1, 100 * GROUPS), np.float32)
    scores[0, 5] = -0.0
    assert best(scores, 8).tolist() == [list(range(8))]


def some_rows(draw: np.random.Generator, rows: int, width: int) -> tuple[Rows, Floats32]:
    """Rows with up to four entries, and the same dense."""
    entries = [
        [
            (int(column), float(draw.random()))
            for column in draw.choice(width, draw.integers(0, min(width, 4) + 1), False)
        ]
        for _ in range(rows)
    ]
    dense = np.zeros((rows, width), np.float32)
    for row, each in enumerate(entries):
        for column, value in each:
            dense[row, column] = value
    return Rows.of(entries), dense


@given(SEEDS, st.integers(0, 6), st.integers(1, 12), st.integers(0, 60))
def test_postings_multiply_as_a_matrix_does(seed: int, rows: int, words: int, papers: int) -> None:
    """Whether a word is in hardly any paper or in all."""
    draw = np.random.default_rng(seed)
    shares = draw.choice([0, 0.01, 0.3, 1], (words, 1))
    right = (draw.random((words, papers)) * (draw.random((words, papers)) < shares)).astype(np.float32)
    left, dense = some_rows(draw, rows, words)
    product = Postings(sp.csr_matrix(right)).times(left)
    assert product.dtype == np.float32
    assert product == pytest.approx(dense @ right, abs=1e-5)


@given(SEEDS, st.lists(st.integers(0, 6), max_size=4), st.sampled_from([0, 60, 10**6]))
def test_lazy_rows_are_the_rows(seed: int, asks: list[int], room: int) -> None:
    """With room for all, for some or for none; each row is made once while it is kept."""
    draw = np.random.default_rng(seed)
    matrix = draw.random((9, 5)).astype(np.float32)
    made: list[int] = []

    def make(numbers: Ints) -> Floats32:
        made.extend(numbers.tolist())
        return matrix[numbers]

    lazy = LazyRows((9, 5), make, room)
    for rows in asks:
        left, dense = some_rows(draw, rows, 9)
        assert lazy.times(left) == pytest.approx(dense @ matrix, abs=1e-5)
        numbers = draw.integers(0, 9, rows)
        assert lazy.rows(numbers) == pytest.approx(matrix[numbers])
    if room == 10**6:
        assert len(made) == len(set(made))


def test_a_part_and_a_choice_of_rows() -> None:
    """Rows in between, and entries by a mask; empty rows stay."""
    rows = Rows.of([[(0, 1.0), (2, 2.0)], [], [(1, 3.0)], [(2, 4.0)]])
    middle = rows.part(slice(1, 3))
    assert middle.matrix(middle.columns, 3).toarray().tolist() == [[0, 0, 0], [0, 3, 0]]
    twos = rows.where(rows.columns == 2)
    assert twos.matrix(twos.columns, 3).toarray().tolist() == [[0, 0, 2], [0, 0, 0], [0, 0, 0], [0, 0, 4]]
    assert rows.part(slice(0, 0)).matrix(np.empty(0, np.int64), 3).shape == (0, 3)
