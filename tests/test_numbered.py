"""Groups of the ledger's entries that one statement writes: each delivery gets what is its own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from digest.ledger import Intent, Result
from digest.model import DeliveryStatus, Outcome
from digest.pull.dedupe import merge
from digest.store import Database, Members
from digest.store.numbered import by_edition
from tests.factories import NOW, TODAY, report, selection, subscriber
from tests.test_ledger import LAB, World


@pytest.fixture
def world(database: Database) -> World:
    return World(database, readers=4)


def test_results_of_one_group_keep_what_is_their_own(world: World) -> None:
    """Status, reply, code and next try differ within one transaction, whatever characters a reply has."""
    ledger = world.ledger()
    claims = ledger.claim(4)
    again = NOW + timedelta(minutes=5)
    outcomes = [
        Outcome(DeliveryStatus.SENT, "2.0.0", "250 queued as 1"),
        Outcome(DeliveryStatus.SENT, "2.0.0", 'a "quoted" reply, \\ and ümlaut \U0001f4ec'),
        Outcome(DeliveryStatus.DEFERRED, "4.7.1", "451 later"),
        Outcome(DeliveryStatus.BOUNCED, "5.2.1", "550 'no'; {1,2}"),
    ]
    ledger.commit([Intent(claim) for claim in claims])
    ledger.commit(
        [
            Result(claim, outcome, again if outcome.status is DeliveryStatus.DEFERRED else None)
            for claim, outcome in zip(claims, outcomes, strict=True)
        ]
    )
    kept = world.deliveries()
    assert [(d.status, d.reply) for d in kept] == [(o.status, o.reply) for o in outcomes]
    assert [d.next_attempt_at for d in kept] == [None, None, again, None]
    assert {d.attempts for d in kept} == {1}


def test_a_group_of_two_editions_is_written_in_both(world: World) -> None:
    """What is left of yesterday and what is of today go through one commit."""
    today = world.editions.freeze(LAB, TODAY + timedelta(days=1), NOW, [report(2)], merge, ())
    for shard in world.editions.recipients(today):
        world.editions.enqueue(today, [(s, selection(2), f"<2.{s.id}@example.org>") for s in shard], NOW, None)
    world.editions.close_recipients(today, NOW)
    ledger = world.ledger()
    claims = ledger.claim(8)
    assert {claim.delivery.edition_id for claim in claims} == {world.edition.id, today.id}
    assert ledger.commit([Intent(claim) for claim in reversed(claims)]) == [True] * 8
    sent = [Result(c, Outcome(DeliveryStatus.SENT, "2.0.0", f"250 {c.delivery.message_id}")) for c in claims]
    assert ledger.commit(sent) == [True] * 8
    for edition in (world.edition, today):
        kept = world.editions.deliveries(edition)
        assert [(d.status, d.reply) for d in kept] == [(DeliveryStatus.SENT, f"250 {d.message_id}") for d in kept]


def test_only_who_has_left_is_cancelled_of_a_group(world: World) -> None:
    """Of several intents in one transaction, each is judged by its own reader."""
    ledger = world.ledger()
    claims = ledger.claim(4)
    Members(world.database, LAB).unsubscribe(subscriber(2).id)
    world.people.suppress(subscriber(3).address, "complaint", NOW)
    assert ledger.commit([Intent(claim) for claim in claims]) == [True, False, False, True]
    sending, gone = DeliveryStatus.SENDING, DeliveryStatus.CANCELLED
    assert world.statuses() == [sending, gone, gone, sending]


def test_rows_are_taken_in_one_order(world: World) -> None:
    """By edition, then by number: two transactions that want the same rows do not wait for each other in a circle."""
    numbers = [(delivery.edition_id, delivery.id) for delivery in world.deliveries()]
    assert by_edition(reversed(numbers)) == by_edition(numbers) == [(world.edition.id, [n for _, n in numbers])]
