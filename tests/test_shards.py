"""Shards: how an edition is cut, and how far each part is, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from digest.ledger import Intent, Release, Result
from digest.model import Address, DeliveryStatus, Edition, ListId, Outcome, Shard, ShardState
from digest.pull.dedupe import merge
from digest.store import Database, Decisions, DeliveryLedger, Editions, Shards, Subscribers, schema
from digest.store.outbox import LEASE
from digest.store.rows import rows_of
from digest.store.shards import ENDS, OTHERS_LOOK, TRIES, cut
from tests.databases import BOTH
from tests.factories import NOW, TODAY, report, selection, subscriber

LAB = ListId("lab")
SENT = Outcome(DeliveryStatus.SENT, "2.0.0", "250 2.0.0 Ok")
LATER = timedelta(minutes=5)


class World:
    """A frozen edition of seven readers, cut into shards of three."""

    def __init__(self, database: Database, readers: int = 7):
        self.database = database
        self.shards = Shards(database)
        Subscribers(database).synchronise(LAB, [subscriber(n) for n in range(1, readers + 1)])
        self.cut: list[Shard] = []
        self.editions = Editions(database, self._on_made)
        self.edition: Edition = self.editions.freeze(LAB, TODAY, NOW, [report(1)], merge, ())

    def _on_made(self, connection: sa.Connection, edition: Edition) -> None:
        self.cut = cut(connection, edition, 3)

    def rank(self, shard: Shard) -> None:
        people = self.editions.shard(self.edition, (), shard.first, shard.last)
        chosen = [(person, selection(1), f"<{person.id}@example.org>") for person in people]
        self.shards.ranked(shard, rows_of(self.edition, chosen, NOW, None, {}), self.edition, NOW)

    def ledger(self, shard: Shard) -> DeliveryLedger:
        return DeliveryLedger(self.database, LAB, lambda: NOW, within=shard)

    def send(self, shard: Shard, outcome: Outcome = SENT) -> int:
        ledger = self.ledger(shard)
        claims = ledger.claim(9)
        ledger.commit([Intent(claim) for claim in claims])
        ledger.commit([Result(claim, outcome, NOW + LATER) for claim in claims])
        return len(claims)

    def due(self) -> list[Shard]:
        with self.database.read() as connection:
            return self.shards.due(connection, LAB, NOW)


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_everybody_is_in_one_shard(world: World) -> None:
    """The ranges are in order, do not overlap, and hold all who are on the list."""
    people = [person.id for shard in world.editions.recipients(world.edition) for person in shard]
    found = [[p.id for p in world.editions.shard(world.edition, (), shard.first, shard.last)] for shard in world.cut]
    assert [len(ids) for ids in found] == [3, 3, 1]
    assert [number for ids in found for number in ids] == people
    assert world.due() == world.cut


def test_an_edition_is_cut_once(world: World) -> None:
    """Whoever comes second finds it cut; who has subscribed since waits for the next edition."""
    Subscribers(world.database).synchronise(LAB, [subscriber(n) for n in range(1, 12)])
    with world.database.write() as connection:
        assert cut(connection, world.edition, 3) == []
    assert world.due() == world.cut
    assert world.shards.uncut(LAB) == ()


def test_recipients_are_frozen_with_the_last_shard(world: World) -> None:
    """And each shard's deliveries may leave before."""
    for shard in world.cut:
        assert not world.editions.recipients_are_frozen(world.edition)
        world.rank(shard)
    assert world.editions.recipients_are_frozen(world.edition)
    assert world.editions.overview(world.edition).recipients == 7


def test_a_shard_claims_its_own_alone(world: World) -> None:
    """Before all recipients are known, and none of another shard's."""
    first, second, _ = world.cut
    world.rank(first)
    world.rank(second)
    assert {claim.delivery.subscriber_id for claim in world.ledger(second).claim(9)} == {4, 5, 6}


def test_the_edition_is_finished_with_the_last_shard(world: World) -> None:
    """When each is done, and not before."""
    for shard in world.cut:
        assert world.shards.begin(shard, "worker", NOW) is ShardState.WAITING
        world.rank(shard)
        assert world.editions.overview(world.edition).finished_at is None
        assert world.send(shard) == shard.last - shard.first + 1
        assert world.shards.end(shard, NOW) is None
        assert world.shards.begin(shard, "another", NOW) is ShardState.DONE
        assert world.shards.settle(world.edition, NOW) == (shard == world.cut[-1])
    assert not world.shards.settle(world.edition, NOW)  # told once
    assert world.editions.overview(world.edition).finished_at == NOW
    assert world.due() == []


def test_who_is_killed_at_the_end_leaves_no_edition_open(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a shard's last step and its edition's: whoever looks next takes that."""
    with monkeypatch.context() as killed:
        killed.setattr(Shards, "settle", lambda *_: False)
        for shard in world.cut:
            world.rank(shard)
            world.send(shard)
            assert world.shards.end(shard, NOW) is None
    assert not world.editions.recipients_are_frozen(world.edition)
    assert world.shards.settle(world.edition, NOW)
    assert world.editions.overview(world.edition).finished_at == NOW


def test_what_is_put_off_is_never_set_aside(world: World) -> None:
    """Nor ranked by that; it comes when it is due, with what keeps it."""
    shard = world.cut[0]
    for _ in range(ENDS + 1):
        assert world.shards.begin(shard, "host/1", NOW) is ShardState.WAITING
        assert world.shards.put_off(shard, "a template is broken", NOW, LATER) == NOW + LATER
    assert world.shards.trouble(LAB) == "a template is broken"
    assert world.due() == world.cut[1:]
    world.rank(shard)
    world.send(shard)
    world.shards.end(shard, NOW)
    assert world.shards.trouble(LAB) == ""


def test_what_is_deferred_is_looked_at_when_it_is_due(world: World) -> None:
    """Not before; and at once when somebody wants it retried."""
    shard = world.cut[0]
    world.rank(shard)
    world.send(shard, Outcome(DeliveryStatus.DEFERRED, "4.7.1", "451 4.7.1 later"))
    assert world.shards.end(shard, NOW) == NOW + LATER
    assert world.due() == world.cut[1:]
    Decisions(world.database, world.edition).retry(NOW)
    assert world.due() == world.cut


def test_what_another_holds_is_looked_at_soon(world: World) -> None:
    """A worker that has gone may have it, or one that lets it go in a moment; and no later than its lease ends."""
    shard = world.cut[0]
    world.rank(shard)
    claims = world.ledger(shard).claim(9)
    assert world.shards.end(shard, NOW) == NOW + OTHERS_LOOK
    lease_ends = NOW + LEASE
    assert world.shards.end(shard, lease_ends - timedelta(seconds=1)) == lease_ends
    world.ledger(shard).commit([Release(claims[0])])
    assert world.shards.end(shard, NOW) == NOW


def test_a_renewed_lease_ends_later(world: World) -> None:
    """For as long as its holder lives."""
    shard = world.cut[0]
    world.rank(shard)
    now = NOW
    ledger = DeliveryLedger(world.database, LAB, lambda: now, within=shard)
    ledger.claim(9)
    now += LATER
    ledger.renew()
    with world.database.read() as connection:
        leases = connection.execute(sa.select(schema.deliveries.c.lease_until)).scalars().all()
    assert leases == [NOW + LATER + ledger.lease] * 3


@pytest.mark.parametrize("database", BOTH[1:], indirect=True)
def test_leases_are_renewed_beside_what_is_being_written(world: World) -> None:
    """Whoever writes takes rows in their order, and a renewal in any: if they waited, they could wait in a circle.

    SQLite has one writer at a time.
    """
    shard = world.cut[0]
    world.rank(shard)
    now = NOW
    ledger = DeliveryLedger(world.database, LAB, lambda: now, within=shard)
    first, *_ = ledger.claim(9)
    now += LATER
    table = schema.deliveries
    with world.database.write(alone=False) as writing:
        writing.execute(sa.select(table.c.id).where(table.c.id == first.delivery.id).with_for_update())
        ledger.renew()
    with world.database.read() as connection:
        leases = connection.execute(sa.select(table.c.lease_until).order_by(table.c.id)).scalars().all()
    assert leases == [NOW + ledger.lease, *[NOW + LATER + ledger.lease] * 2]


@pytest.mark.parametrize("database", BOTH[1:], indirect=True)
def test_leases_are_ended_beside_what_is_being_written(world: World) -> None:
    """Whoever writes into a delivery lives: nobody waits to take it from him, and the others' is free at once."""
    shard = world.cut[0]
    world.rank(shard)
    first, *others = world.ledger(shard).claim(9)
    table, after = schema.deliveries, NOW + LEASE + LATER
    with world.database.write(alone=False) as writing:
        writing.execute(sa.select(table.c.id).where(table.c.id == first.delivery.id).with_for_update())
        taken = DeliveryLedger(world.database, LAB, lambda: after, within=shard).claim(9)
    assert [claim.delivery.id for claim in taken] == [claim.delivery.id for claim in others]


def test_an_edition_for_nobody_is_finished(database: Database) -> None:
    """By whoever takes its one shard."""
    world = World(database, readers=0)
    (shard,) = world.due()
    world.rank(shard)
    assert world.send(shard) == 0
    assert world.shards.end(shard, NOW) is None
    assert world.shards.settle(world.edition, NOW)
    assert world.due() == []


def test_a_poisoned_shard_is_set_aside_and_the_rest_goes_on(world: World) -> None:
    """With what it failed with; `retry` takes it up again."""
    poisoned, *others = world.cut
    for tries in range(1, TRIES + 1):
        assert world.shards.begin(poisoned, "worker", NOW) is ShardState.WAITING
        again = world.shards.failed(poisoned, "ValueError: a broken template", NOW, timedelta(seconds=15))
        assert (again is None) == (tries == TRIES)
    assert world.shards.begin(poisoned, "worker", NOW) is ShardState.ASIDE
    assert world.due() == others
    overview = world.shards.overview(world.edition)
    assert overview is not None
    assert overview.errors == ((poisoned, "ValueError: a broken template"),)
    assert overview.counts == {ShardState.WAITING: 2, ShardState.ASIDE: 1}


def test_a_shard_that_ends_its_worker_is_set_aside(world: World) -> None:
    """Nobody lives to tell of an error: tries that settled nothing count."""
    shard = world.cut[0]
    world.rank(shard)
    states = [world.shards.begin(shard, "worker", NOW) for _ in range(ENDS + 2)]
    assert states == [ShardState.RANKED] * ENDS + [ShardState.ASIDE] * 2


def test_a_shard_that_gets_on_is_not_set_aside(world: World) -> None:
    """However often its workers are killed."""
    shard = world.cut[0]
    world.rank(shard)
    ledger = world.ledger(shard)
    claims = list(ledger.claim(9))
    for tries in range(ENDS * 2):
        assert world.shards.begin(shard, "worker", NOW) is ShardState.RANKED
        if tries % ENDS == 1:
            claim = claims.pop()
            ledger.commit([Intent(claim)])
            ledger.commit([Result(claim, SENT)])


def test_a_retry_of_one_reader_wakes_the_shards(world: World) -> None:
    """Of an edition that was finished, too."""
    for shard in world.cut:
        world.rank(shard)
        world.send(shard, Outcome(DeliveryStatus.BOUNCED, "5.7.1", "550 5.7.1 no"))
        world.shards.end(shard, NOW)
    assert world.due() == []
    Decisions(world.database, world.edition, [Address("reader5@example.org")]).retry(NOW)
    assert world.due() == world.cut
    assert [world.send(shard) for shard in world.cut] == [0, 1, 0]
