"""How the checks ask the DNS: the narrow interface that the pure ones take, and what can go wrong. No resolver here.

`resolver.py` is the adapter; tests give a dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class NoAnswerError(Exception):
    """The DNS gave no answer: nobody knows whether there is a record."""


class Lookup(Protocol):
    """Asks for the records of one type at a name."""

    def __call__(self, name: str, kind: str, /) -> Sequence[str]:
        """The records' texts; empty if there is none, or no such name. Raises `NoAnswerError`.

        `kind` is A, AAAA, MX, PTR or TXT. A TXT's strings are joined (RFC 7208 section 3.3); an MX is its host, best
        first, "." for a null MX (RFC 7505); names are without their last dot.
        """
        ...
