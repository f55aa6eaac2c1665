"""How long what is not needed any more is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

YEAR, MONTH = timedelta(days=365), timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Retention:
    """One list's times; None is for ever."""

    papers: timedelta | None = YEAR
    """Abstracts, and figures such as upvotes."""
    deliveries: timedelta | None = YEAR
    """Deliveries: why each paper was picked, what just was not, what servers said and what came back.

    Who had which paper stays; so do the newest few editions', by which soft bounces are counted.
    """
    letters: timedelta | None = 3 * MONTH
    """Letters to single people, and addresses that were last asked so long ago and have not confirmed."""
