"""One list's journals on this host, between their folder and the ledger: `[store] journal`.

`app.py` makes it; a drain keeps a journal (`send/journal.py`), and what the dead have left there is recorded before
anybody decides what is in doubt, or sends it again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from digest.errors import StoreError
from digest.ledger import Result
from digest.model import Claim, DeliveryId, ListId, Outcome
from digest.send import journal
from digest.send.outbox import Ledger
from digest.store import Database
from digest.store.accepted import claims_of

log = logging.getLogger(__name__)

Note = Callable[[Claim, Outcome], None]
AT_ONCE = 500
"""Entries in one transaction."""
_told: set[Path] = set()
"""Files that are left where they are: each is told of once in a process, and not read again."""


class Journals:
    """Those of one list. Without a folder there are none, and everything is as it would be without this module."""

    def __init__(self, folder: Path | None, list_id: ListId, database: Database):
        self._folder = folder
        self._list_id = list_id
        self._database = database

    def recover(self, ledger: Ledger) -> frozenset[DeliveryId]:
        """Has the ledger record what dead processes have left; which deliveries that was about. Raises StoreError."""
        known: set[DeliveryId] = set()
        for found in journal.left(self._folder, self._list_id) if self._folder else ():
            if found.path in _told:
                continue
            claims = claims_of(self._database, self._list_id, found.facts)
            results = [Result(claim, journal.outcome(fact)) for fact, claim in claims.items()]
            for start in range(0, len(results), AT_ONCE):
                ledger.commit(results[start : start + AT_ONCE])
            if claims:  # what was let go of in this moment may not have it
                claims = claims_of(self._database, self._list_id, found.facts)
            known |= {fact.delivery_id for fact in claims}
            unknown = f"tells of {len(found.facts) - len(claims)} deliveries that this database does not have"
            trouble = found.trouble or (unknown if len(claims) < len(found.facts) else "")
            if trouble:
                _told.add(found.path)
                log.warning("%s %s: it is left where it is; look at it, and remove it", found.path, trouble)
            else:
                journal.remove(found)
            if claims:
                log.info("%s: %d deliveries were taken by a relay", found.path, len(claims))
        return frozenset(known)

    def refuse_unwritable(self) -> None:
        """Raises StoreError where `keeping` would: for who is about to pull, and to send after it."""
        if self._folder is not None:
            self._begun(self._folder).close()

    @contextmanager
    def keeping(self, ledger: Ledger) -> Iterator[tuple[Ledger, Note | None]]:
        """For one drain: the ledger that it is to use, and what is to be told of each message that a relay has taken.

        Raises StoreError where the folder cannot be written.
        """
        if self._folder is None:
            yield ledger, None
            return
        kept = self._begun(self._folder)
        try:
            yield journal.JournalledLedger(ledger, kept, lambda: self.recover(ledger)), kept.note
        finally:
            kept.close()

    def _begun(self, folder: Path) -> journal.Journal:
        try:
            return journal.Journal(folder, self._list_id)
        except OSError as error:
            raise StoreError(
                f"`journal` of [store] cannot be kept in {folder}: {error.strerror}; name a folder that this user may "
                "write to, then run the same command again"
            ) from error
