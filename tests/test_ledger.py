"""The ledger of deliveries: leases, fencing tokens, and what is left after a crash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import psutil
import pytest
import sqlalchemy as sa

from digest.ledger import Intent, Release, Result, TakeBack
from digest.model import Address, Claim, Delivery, DeliveryStatus, Edition, ListId, OnUnknown, Outcome
from digest.owners import _host
from digest.pull.dedupe import merge
from digest.send.outbox import next_attempt
from digest.store import Database, DeliveryLedger, Editions, Members, Subscribers, schema
from digest.store.outbox import LEASE
from tests.factories import NOW, TODAY, report, selection, subscriber

LAB = ListId("lab")
SENT = Outcome(DeliveryStatus.SENT, "2.0.0", "250 2.0.0 Ok")
DEFERRED = Outcome(DeliveryStatus.DEFERRED, "4.7.1", "451 4.7.1 Greylisted")
UNKNOWN = Outcome(DeliveryStatus.UNKNOWN, "", "connection lost after the dot")


class World:
    """A frozen edition with queued deliveries, and a clock to turn."""

    def __init__(self, database: Database, readers: int):
        self.database = database
        self.editions = Editions(database)
        self.people = Subscribers(database)
        self.now = NOW
        self.people.synchronise(LAB, [subscriber(n) for n in range(1, readers + 1)])
        self.edition: Edition = self.editions.freeze(LAB, TODAY, NOW, [report(1)], merge, ())
        for shard in self.editions.recipients(self.edition):
            chosen = [(s, selection(1), f"<{s.id}@example.org>") for s in shard]
            self.editions.enqueue(self.edition, chosen, NOW, None)
        self.editions.close_recipients(self.edition, NOW)

    def clock(self) -> datetime:
        return self.now

    def ledger(self, on_unknown: OnUnknown = OnUnknown.HOLD, only: Sequence[Address] = ()) -> DeliveryLedger:
        return DeliveryLedger(self.database, LAB, self.clock, on_unknown=on_unknown, only=only)

    def deliveries(self) -> tuple[Delivery, ...]:
        return self.editions.deliveries(self.edition)

    def statuses(self) -> list[DeliveryStatus]:
        return [d.status for d in self.deliveries()]

    def disown(self, owner: str) -> None:
        """As if another process held every claim."""
        with self.database.write() as connection:
            connection.execute(sa.update(schema.deliveries).values(owner=owner))


@pytest.fixture
def world(database: Database) -> World:
    return World(database, readers=3)


def sending(world: World, ledger: DeliveryLedger) -> Claim:
    (claim,) = ledger.claim(1)
    ledger.commit([Intent(claim)])
    return claim


def dead_owner() -> str:
    """The identity of a process of this host that has ended."""
    code = "from digest.owners import identity; print(identity())"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_a_delivery_is_claimed_once(world: World) -> None:
    """Two ledgers never hold the same delivery."""
    first, second = world.ledger().claim(2), world.ledger().claim(2)
    assert [len(first), len(second)] == [2, 1]
    assert len({c.delivery.id for c in (*first, *second)}) == 3


def test_a_claim_carries_the_reader_and_the_picks(world: World) -> None:
    """What is needed to compose the message comes with the claim."""
    claim = world.ledger().claim(1)[0]
    assert claim.subscriber.address == claim.delivery.address == "reader1@example.org"
    assert claim.delivery.picks == selection(1).picks


def test_a_sent_delivery_is_settled(world: World) -> None:
    """`sent` is kept with its reply, and never claimed again."""
    ledger = world.ledger()
    ledger.commit([Result(sending(world, ledger), SENT)])
    world.now += timedelta(days=30)
    assert [d.reply for d in world.deliveries() if d.status is DeliveryStatus.SENT] == ["250 2.0.0 Ok"]
    assert len(ledger.claim(9)) == 2


def test_a_deferred_delivery_is_claimed_when_it_is_due(world: World) -> None:
    """Before `next_attempt_at` it is left alone; then it comes with one attempt charged."""
    ledger = world.ledger()
    for claim in ledger.claim(3):
        ledger.commit([Intent(claim)])
        ledger.commit([Result(claim, DEFERRED, NOW + timedelta(minutes=5))])
    assert ledger.claim(3) == ()
    world.now += timedelta(minutes=5)
    assert [c.delivery.attempts for c in ledger.claim(3)] == [1, 1, 1]


def test_a_released_claim_is_as_it_was(world: World) -> None:
    """Releasing charges nothing and keeps the state before the claim."""
    ledger = world.ledger()
    for claim in ledger.claim(3):
        ledger.commit([Release(claim)])
    assert world.statuses() == [DeliveryStatus.QUEUED] * 3
    assert {d.attempts for d in world.deliveries()} == {0}


def test_who_has_left_is_cancelled_at_claim_time(world: World) -> None:
    """An unsubscribe, a suppression and a removal from the config after the freeze each cancel."""
    Members(world.database, LAB).unsubscribe(subscriber(1).id)
    world.people.suppress(subscriber(2).address, "complaint", NOW)
    world.people.synchronise(LAB, [subscriber(1), subscriber(2)])
    assert world.ledger().claim(9) == ()
    assert world.statuses() == [DeliveryStatus.CANCELLED] * 3
    assert world.editions.finish(world.edition, NOW)


def test_who_leaves_during_the_conversation_is_not_sent_to(world: World) -> None:
    """The last look is taken just before DATA: the delivery is cancelled and the sender told."""
    ledger = world.ledger(only=[subscriber(1).address])
    (claim,) = ledger.claim(1)
    Members(world.database, LAB).unsubscribe(subscriber(1).id)
    assert ledger.commit([Intent(claim)]) == [False]
    assert world.statuses()[0] is DeliveryStatus.CANCELLED


def test_only_the_named_readers_are_claimed(world: World) -> None:
    """`--to` sends to one and leaves the others queued."""
    claims = world.ledger(only=[Address("READER2@example.org")]).claim(9)
    assert [c.delivery.address for c in claims] == ["reader2@example.org"]
    assert world.statuses().count(DeliveryStatus.QUEUED) == 2


def test_a_dead_process_gives_its_claims_back_at_once(world: World) -> None:
    """A claim of a process that is gone is claimed anew without waiting for its lease."""
    world.ledger().claim(3)
    world.disown(dead_owner())
    assert len(world.ledger().claim(3)) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="looks at a process that nobody has waited for")
def test_a_dead_process_that_nobody_waited_for_is_dead(world: World) -> None:
    """In a container without an init the killed stay in the table of processes; their claims need not."""
    world.ledger().claim(3)
    code = "from digest.owners import identity; print(identity())"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        world.disown(child.stdout.readline().strip())
        child.stdout.read()  # its end; it is not waited for before the claim
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert len(world.ledger().claim(3)) == 3


def test_a_live_process_keeps_its_claims(world: World) -> None:
    """A claim of a living process is left alone until its lease ends."""
    world.ledger().claim(3)
    assert world.ledger().claim(3) == ()
    world.now += LEASE + timedelta(seconds=1)
    assert len(world.ledger().claim(3)) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep when a process started, not since when")
def test_a_live_process_keeps_its_claims_when_the_clock_is_set(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux tells when it was started by the clock as it is now: set back by an hour, all processes seem older."""
    world.ledger().claim(3)
    since = psutil.boot_time()
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: since - 3600)
    assert world.ledger().claim(3) == ()


def test_a_process_of_another_container_is_not_taken_for_dead(world: World) -> None:
    """Containers on the host's network have its name, and each its own process 1. One that was restarted is gone."""
    code = "from digest.owners import identity; print(identity(), flush=True); input()"
    apart = ["unshare", "--pid", "--fork", "--mount-proc"]
    if not shutil.which(apart[0]) or subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs `unshare`, and to be root")
    world.ledger().claim(3)
    command = [*apart, sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        world.disown(child.stdout.readline().strip())
        is_shared = not world.database.path
        assert len(world.ledger().claim(3)) == (0 if is_shared else 3)
        child.communicate("\n")


def test_another_hosts_claims_wait_for_the_lease(world: World) -> None:
    """Nothing can be known of another host's processes: its claims are kept until the lease ends."""
    world.ledger().claim(3)
    world.disown("elsewhere.example/1/0.00")
    assert world.ledger().claim(3) == ()


def test_a_machine_that_was_started_anew_holds_nothing(world: World) -> None:
    """Whoever held claims before that is gone. Where hosts share a database, it may be another of that name."""
    name, _, boot = _host().partition("~")
    if not boot:
        pytest.skip("this system does not say since when it runs")
    world.ledger().claim(3)
    world.disown(f"{name}~another/{os.getpid()}/{psutil.Process().create_time():.2f}/0")
    with world.database.read() as connection:
        is_shared = connection.dialect.name == "postgresql"
    assert len(world.ledger().claim(3)) == (0 if is_shared else 3)


def test_a_crash_while_sending_is_held(world: World) -> None:
    """`sending` becomes `unknown`, never `queued`: nobody knows whether the server took the message."""
    sending(world, world.ledger())
    world.disown(dead_owner())
    world.ledger().claim(9)
    assert world.statuses()[0] is DeliveryStatus.UNKNOWN


def test_a_crash_while_sending_is_resent_on_demand(world: World) -> None:
    """Under `resend` it is tried again, with the same Message-ID."""
    claim = sending(world, world.ledger())
    world.disown(dead_owner())
    again = world.ledger(OnUnknown.RESEND).claim(1)[0]
    assert (again.delivery.message_id, again.delivery.attempts) == (claim.delivery.message_id, 1)


def test_an_unknown_outcome_follows_the_policy(world: World) -> None:
    """Held by default, deferred under `resend`, which takes up what was held before too."""
    held, resent = world.ledger(), world.ledger(OnUnknown.RESEND)
    resent.commit([Result(sending(world, resent), UNKNOWN, NOW + timedelta(minutes=5))])
    held.commit([Result(sending(world, held), UNKNOWN)])
    assert world.statuses()[:2] == [DeliveryStatus.DEFERRED, DeliveryStatus.UNKNOWN]
    assert resent.claim(1)[0].delivery.address == "reader2@example.org"


def test_what_stays_in_doubt_is_not_sent_for_ever(world: World) -> None:
    """Under `resend`, to a relay that breaks off every time: ever more seldom, and held after five days."""
    ledger, tries = world.ledger(OnUnknown.RESEND, only=[Address("reader1@example.org")]), 0
    while world.now < NOW + timedelta(days=10):
        for claim in ledger.claim(1):
            tries += 1
            again = next_attempt(claim.delivery.attempts + 1, world.now, claim.delivery.queued_at)
            ledger.commit([Intent(claim)])
            ledger.commit([Result(claim, UNKNOWN, again)])
        world.now += timedelta(minutes=5)
    assert world.statuses()[0] is DeliveryStatus.UNKNOWN
    assert 50 < tries < 120


def test_a_late_result_is_refused_unless_it_was_sent(world: World) -> None:
    """After its lease was taken over, a holder may only report that the message went out."""
    ledger = world.ledger(OnUnknown.RESEND)
    late = sending(world, ledger)
    world.now += LEASE + timedelta(seconds=1)
    newer = world.ledger(OnUnknown.RESEND).claim(1)[0]
    assert newer.delivery.id == late.delivery.id
    assert ledger.commit([Result(late, DEFERRED, NOW)]) == [False]
    ledger.commit([Result(late, SENT)])
    assert world.statuses()[0] is DeliveryStatus.SENT
    assert world.ledger().commit([Intent(newer)]) == [False]
    assert world.ledger().commit([Result(newer, DEFERRED, NOW)]) == [False]
    assert world.statuses()[0] is DeliveryStatus.SENT


def test_a_bounce_of_a_missing_address_suppresses_it(world: World) -> None:
    """No later edition of any list is sent to an address that does not exist."""
    ledger = world.ledger()
    gone = Outcome(DeliveryStatus.BOUNCED, "5.1.1", "550 5.1.1 no such user", suppress=True)
    ledger.commit([Result(sending(world, ledger), gone)])
    assert [s.address for s in world.people.reachable(LAB)] == ["reader2@example.org", "reader3@example.org"]


def test_an_edition_is_finished_when_nothing_is_left_to_do(world: World) -> None:
    """`finish` holds back while anything is queued, and is true for good afterwards."""
    ledger = world.ledger()
    for claim in ledger.claim(3):
        assert not world.editions.finish(world.edition, NOW)
        ledger.commit([Intent(claim)])
        ledger.commit([Result(claim, SENT)])
    assert world.editions.finish(world.edition, NOW)
    overview = world.editions.overview(world.edition)
    assert (overview.counts, overview.recipients, overview.finished_at) == ({DeliveryStatus.SENT: 3}, 3, NOW)
    assert world.editions.unfinished(LAB) == ()


def test_a_stale_claim_can_neither_be_sent_nor_released(world: World) -> None:
    """When a lease has gone to another holder, the old one's token opens nothing."""
    stale = world.ledger().claim(1)[0]
    world.now += LEASE + timedelta(seconds=1)
    fresh_ledger = world.ledger()
    fresh = fresh_ledger.claim(1)[0]
    assert fresh.delivery.id == stale.delivery.id
    assert world.ledger().commit([Intent(stale)]) == [False]
    world.ledger().commit([Release(stale)])
    fresh_ledger.commit([Intent(fresh)])
    assert world.statuses()[0] is DeliveryStatus.SENDING


def test_an_intent_can_be_taken_back_by_its_holder_alone(world: World) -> None:
    """The claim is kept, and may be sent or released; a crash finds it not tried; a stale token changes nothing."""
    ledger = world.ledger()
    claim = sending(world, ledger)
    world.ledger().commit([TakeBack(replace(claim, token=claim.token - 1))])
    assert world.statuses()[0] is DeliveryStatus.SENDING
    ledger.commit([TakeBack(claim)])
    assert world.statuses()[0] is DeliveryStatus.ACTIVE
    ledger.commit([Intent(claim)])
    ledger.commit([TakeBack(claim)])
    ledger.commit([Release(claim)])
    assert world.statuses()[0] is DeliveryStatus.QUEUED


def test_what_has_become_unknown_is_not_taken_back(world: World) -> None:
    """A lease that ended while its message was `sending` is not undone by a late reply."""
    ledger = world.ledger()
    claim = sending(world, ledger)
    world.now += LEASE + timedelta(seconds=1)
    world.ledger().claim(1)
    ledger.commit([TakeBack(claim)])
    assert world.statuses()[0] is DeliveryStatus.UNKNOWN


def test_entries_of_several_deliveries_are_one_transaction(world: World) -> None:
    """Each is judged by itself, in its order, and those in force are written together."""
    ledger = world.ledger()
    one, two, three = ledger.claim(3)
    stale = replace(three, token=three.token - 1)
    assert ledger.commit([Intent(one), Intent(two), Intent(stale)]) == [True, True, False]
    assert ledger.commit([Result(one, SENT), TakeBack(two), Release(two), Release(two), Result(stale, DEFERRED)]) == [
        *(True, True, True, False, False)
    ]
    assert world.statuses() == [DeliveryStatus.SENT, DeliveryStatus.QUEUED, DeliveryStatus.ACTIVE]


def test_a_transaction_that_fails_has_written_nothing(world: World) -> None:
    """All entries or none: what cannot be written takes the others with it."""
    ledger = world.ledger()
    one, two, _ = ledger.claim(3)
    unwritable = Outcome(DeliveryStatus.BOUNCED, "5.0.0", "\ud800")
    with pytest.raises(UnicodeEncodeError):
        ledger.commit([Intent(one), Result(two, unwritable)])
    assert world.statuses() == [DeliveryStatus.ACTIVE] * 3


def test_ones_own_claims_may_wait_long_for_their_turn(world: World) -> None:
    """A slow rate holds claims beyond the lease: the process that holds them does not take them from itself."""
    ledger = world.ledger()
    held = ledger.claim(3)
    world.now += LEASE * 3
    assert ledger.claim(3) == ()
    for claim in held:
        ledger.commit([Intent(claim)])
        ledger.commit([Result(claim, SENT)])
    assert world.statuses() == [DeliveryStatus.SENT] * 3


def test_a_changed_mind_reopens_what_was_held(world: World) -> None:
    """`resend` after `hold`: the edition is unfinished again and the held delivery due; an old one stays."""
    held = world.ledger()
    for claim, outcome in zip(held.claim(3), (UNKNOWN, SENT, SENT), strict=True):
        held.commit([Intent(claim)])
        held.commit([Result(claim, outcome)])
    assert world.editions.finish(world.edition, NOW)
    world.now += timedelta(days=6)
    assert world.ledger(OnUnknown.RESEND).claim(3) == ()
    world.now = NOW + timedelta(hours=1)
    (again,) = world.ledger(OnUnknown.RESEND).claim(3)
    assert again.delivery.address == "reader1@example.org"
    assert world.editions.unfinished(LAB) == (world.edition,)


@pytest.mark.parametrize("owner", [None, "", "me", "host/me/now"])
def test_what_a_hand_has_left_without_a_holder_is_let_go(world: World, owner: str | None) -> None:
    """Nobody holds it: what was claimed is claimed again, what may have left is in doubt, and the rest goes on."""
    ledger = world.ledger()
    sending(world, ledger)
    ledger.claim(1)
    with world.database.write() as connection:
        held = schema.deliveries.c.owner.is_not(None)
        connection.execute(sa.update(schema.deliveries).where(held).values(owner=owner, lease_until=None))
    assert len(world.ledger().claim(3)) == 2
    assert world.statuses() == [DeliveryStatus.UNKNOWN, DeliveryStatus.ACTIVE, DeliveryStatus.ACTIVE]


def test_nothing_is_claimed_before_all_recipients_are_known(database: Database) -> None:
    """While an edition is being enqueued, nobody sends of it: its set of recipients is not final."""
    editions, people = Editions(database), Subscribers(database)
    people.synchronise(LAB, [subscriber(1)])
    edition = editions.freeze(LAB, TODAY, NOW, [report(1)], merge, ())
    (shard,) = editions.recipients(edition)
    editions.enqueue(edition, [(shard[0], selection(1), "<1@example.org>")], NOW, None)
    ledger = DeliveryLedger(database, LAB, lambda: NOW)
    assert ledger.claim(1) == ()
    editions.close_recipients(edition, NOW)
    assert len(ledger.claim(1)) == 1


def test_the_relay_is_on_record_before_the_message_leaves(world: World) -> None:
    """Also of a delivery in doubt it is known whose log to look into; a later try may have another one."""
    ledger = world.ledger()
    (claim,) = ledger.claim(1)
    ledger.commit([Intent(replace(claim, relay="first"))])
    assert [d.relay for d in world.deliveries()] == ["first", "", ""]
    ledger.commit([Result(replace(claim, relay="second"), SENT)])
    assert [d.relay for d in world.deliveries()] == ["second", "", ""]
