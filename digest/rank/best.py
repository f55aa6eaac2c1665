"""The best of many scores, without sorting them all. Pure; called by `topics` and `Ranker`."""

from __future__ import annotations

import numpy as np

from digest.rank.index import Floats32, Ints

GROUPS = 8
"""Into so many parts a row is cut, to be laid one over the other."""
_LOW = np.uint64(0xFFFFFFFF)


def best(scores: Floats32, count: int) -> Ints:
    """The columns of each row's `count` greatest scores, greatest first, equal ones by column.

    Shape (rows, count), or (rows, columns) if there are fewer columns. Scores are at least 0 and finite.

    The count-th greatest of the maxima over disjoint groups is at most the count-th greatest of all. So a few passes
    in the processor's vector units leave hardly more than `count` scores of a row to be sorted.
    """
    rows, columns = scores.shape
    count = min(count, columns)
    places = columns // GROUPS
    if places < 2 * count or not rows or not count:
        return np.argsort(-scores, axis=1, kind="stable")[:, :count]
    highest = scores[:, : places * GROUPS].reshape(rows, GROUPS, places).max(axis=1)
    bound = np.partition(highest, places - count, axis=1)[:, places - count]
    left = np.flatnonzero(scores >= bound[:, np.newaxis])
    row, column = np.divmod(left, columns)
    found = np.bincount(row, minlength=rows)
    place = np.arange(len(left)) - np.repeat(np.cumsum(found) - found, found)
    # One number that sorts as the score and then, downwards, as the column. Adding 0 makes a positive zero of -0.
    bits = (scores.reshape(-1)[left] + np.float32(0)).view(np.uint32).astype(np.uint64)
    keys = np.zeros((rows, int(found.max())), np.uint64)
    keys[row, place] = bits << np.uint64(32) | (_LOW - column.astype(np.uint64))
    keys.sort(axis=1)
    return (_LOW - (keys[:, : -count - 1 : -1] & _LOW)).astype(np.int64)
