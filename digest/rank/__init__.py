"""Which papers fit a profile, how much they trend, and why: pure functions over values and a clock, no I/O.

`Ranker` scores candidates for profiles and names its reasons, `near_duplicates` finds what is nearly the same,
`select` makes one subscriber's picks of a ranking.
Called by `digest.edition`, `digest.making` and `digest.commands.batch`; of the rest of digest it imports only
`digest.model`, and `embedding.py` its error.
Sentence vectors (the extra `semantic`) come to `Ranker` as a function; they are made in `embedding.py`, which loads
files.
"""

from digest.rank.duplicates import near_duplicates
from digest.rank.ranker import Ranker
from digest.rank.selection import select

__all__ = ["Ranker", "near_duplicates", "select"]
