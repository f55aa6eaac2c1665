"""What each entry of the ledger makes of a delivery's row: the state table, cell by cell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.ledger import Entry, Intent, Release, Result, Row, TakeBack, after
from digest.model import DeliveryStatus, Outcome
from tests.factories import claim

QUEUED, ACTIVE, SENDING, SENT, DEFERRED, BOUNCED, EXPIRED, UNKNOWN, CANCELLED = DeliveryStatus
HELD = claim(token=7)
INTENT, TAKE_BACK, RELEASE = Intent(HELD), TakeBack(HELD), Release(HELD)

TABLE: list[tuple[Entry, DeliveryStatus, DeliveryStatus | None]] = [
    # entry, the row's status, its status afterwards (None: nothing changes)
    # An intent that is written already comes again where the answer to its commit was lost: it is still made.
    *((INTENT, status, SENDING if status in (ACTIVE, SENDING) else None) for status in DeliveryStatus),
    *((TAKE_BACK, status, ACTIVE if status is SENDING else None) for status in DeliveryStatus),
    *((RELEASE, status, QUEUED if status is ACTIVE else None) for status in DeliveryStatus),
    *(
        (Result(HELD, Outcome(result)), status, None if status is SENT else result)
        for status in DeliveryStatus
        for result in (SENT, DEFERRED, BOUNCED, EXPIRED, UNKNOWN)
    ),
]


@pytest.mark.parametrize(("entry", "status", "expected"), TABLE)
def test_the_state_table(entry: Entry, status: DeliveryStatus, expected: DeliveryStatus | None) -> None:
    """With the token of the newest claim, each entry does what the table says and charges only for a result."""
    row = after(entry, Row(status, token=7, attempts=0, has_left=False))
    assert row == (None if expected is None else Row(expected, 7, int(isinstance(entry, Result)), has_left=False))


@given(st.sampled_from(TABLE), st.integers(0, 20).filter(lambda token: token != 7))
def test_another_token_opens_nothing_but_sent(
    cell: tuple[Entry, DeliveryStatus, DeliveryStatus | None], token: int
) -> None:
    """Whoever has lost the lease can change nothing, save that `sent` is a fact."""
    entry, status, expected = cell
    row = after(entry, Row(status, token, attempts=0, has_left=False))
    is_fact = isinstance(entry, Result) and entry.outcome.status is SENT
    assert (row.status if row else None) == (expected if is_fact else None)


def test_an_intent_for_a_reader_who_has_left_cancels() -> None:
    """The last look is taken in the same transaction as the intent."""
    row = after(INTENT, Row(ACTIVE, 7, 0, has_left=True))
    assert row is not None
    assert row.status is CANCELLED


def test_a_release_after_a_first_try_is_deferred_again() -> None:
    """`queued` is what has never been tried."""
    row = after(RELEASE, Row(ACTIVE, 7, 2, has_left=False))
    assert row == Row(DEFERRED, 7, 2, has_left=False)
