"""What an edition would have brought somebody who is not a subscriber: the preview of the pages.

Everything that does not depend on the profile is done once, when a `Sampler` is made: seconds of work, then
milliseconds for each profile. Keeps nothing in the store, whatever strangers type.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache

from digest import edition as life
from digest.edition import PaperStore
from digest.meaning import InMemory, Memory
from digest.model import (
    NOBODY,
    Address,
    Candidate,
    Edition,
    MailingList,
    PaperId,
    Pick,
    Profile,
    Subscriber,
)
from digest.rank.embedding import Embed

STRANGERS = 2_000
"""Vectors of what was typed that are remembered."""
REMEMBERED = 500
"""Profiles whose picks are: most people tick the list's topics."""


class Sampler:
    """One frozen edition, ready to be picked from for anybody. May be asked by several threads."""

    def __init__(
        self,
        mailing_list: MailingList,
        edition: Edition,
        candidates: Sequence[Candidate],
        papers: PaperStore,
        embed: Embed | None,
    ):
        self.edition = edition
        self._list = mailing_list
        self._candidates = {candidate.paper.id: candidate for candidate in candidates}
        self._duplicates = life.duplicates_for(papers, candidates, edition.cutoff, {})
        self._ranker = life.rank_for(mailing_list, papers, candidates, (), edition.cutoff, {}, embed)
        self._one_at_a_time = threading.Lock()
        self.picks = lru_cache(REMEMBERED)(self._picks)
        """The papers that the edition would have brought whoever has a profile, best first."""

    def candidate(self, paper_id: PaperId) -> Candidate:
        """One of the edition's candidates."""
        return self._candidates[paper_id]

    def _picks(self, profile: Profile) -> tuple[Pick, ...]:
        stranger = Subscriber(NOBODY, Address(""), profile=profile)
        with self._one_at_a_time:
            chosen = life.select_for(
                self._list, self.edition, self._ranker, self._candidates, [stranger], {}, self._duplicates, {}
            )
            return next(iter(chosen))[1].picks


class Borrowed:
    """A memory of vectors that reads another and keeps what is new to itself."""

    def __init__(self, lender: Memory):
        self._lender: Memory | None = lender
        self._own = InMemory()
        self._kept = 0

    def get(self, model: str, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Those that either has."""
        own = self._own.get(model, keys)
        missing = [key for key in keys if key not in own]
        return {**own, **self._lender.get(model, missing)} if missing and self._lender else own

    def return_it(self) -> None:
        """Asks the lender no more: the store notes what is asked for, and a page's visitor must not change it."""
        self._lender = None

    def put(self, model: str, vectors: Mapping[bytes, bytes]) -> None:
        """Remembers vectors; the lender does not learn of them."""
        self._kept += len(vectors)
        if self._kept > STRANGERS:
            self._own, self._kept = InMemory(), len(vectors)
        self._own.put(model, vectors)
