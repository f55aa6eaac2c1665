"""Small words that several lines share."""

from __future__ import annotations

from digest.rank.embedding import INSTALL, available


def plural(count: int, noun: str) -> str:
    """A count with its noun: "1 paper", "2,000 papers"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def ranked_by(semantic: bool) -> str:
    """What a ranking went by, for a person; where meaning is missing, how to have it."""
    if semantic:
        return "ranked by words and meaning"
    return "ranked by words alone" + ("" if available() else f"; `{INSTALL}` adds meaning")
