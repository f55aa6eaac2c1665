"""What came back, in the store: each bounce once, its effect with it, and how far a mailbox was read."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from unittest import mock

import pytest
import sqlalchemy as sa

from digest.model import (
    Address,
    Attempt,
    Bounce,
    BounceKind,
    DeliveryId,
    DeliveryStatus,
    Edition,
    Frequency,
    ListId,
    Position,
    Retention,
    SubscriberId,
)
from digest.pull.dedupe import merge
from digest.send.bounces import is_worn_out, read
from digest.store import Bounces, Database, Editions, Kind, Mailboxes, Pruning, Recorded, Subscribers, schema
from digest.store import bounces as bounces_module
from digest.store.rounds import OWN
from tests.factories import NOW, TODAY, report, selection, subscriber

LAB, OTHER = ListId("lab"), ListId("other")
READER, ANOTHER = Address("reader1@example.org"), Address("reader2@example.org")
HARD, SOFT, POLICY, COMPLAINT = BounceKind.HARD, BounceKind.SOFT, BounceKind.POLICY, BounceKind.COMPLAINT


class World:
    """Lists with the same readers, and deliveries sent to them on one day after the other."""

    def __init__(self, database: Database):
        self.database = database
        self.people = Subscribers(database)
        self.editions = Editions(database)
        for list_id in (LAB, OTHER):
            self.people.synchronise(list_id, [subscriber(1), subscriber(2)])
        self.bounces = Bounces(database, LAB)

    def sent(self, day: int, list_id: ListId = LAB, status: DeliveryStatus = DeliveryStatus.SENT) -> DeliveryId:
        """An edition sent on a day; the first reader's delivery."""
        edition = self.edition(day, list_id, status)
        return next(d.id for d in self.editions.deliveries(edition) if d.address == READER)

    def edition(
        self,
        day: int,
        list_id: ListId = LAB,
        status: DeliveryStatus = DeliveryStatus.SENT,
        readers: Collection[Address] = (READER, ANOTHER),
        frequency: str = OWN,
    ) -> Edition:
        at = NOW + timedelta(days=day)
        edition = self.editions.freeze(list_id, TODAY + timedelta(days=day), at, [report(day + 1)], merge, ())
        everybody = [reader for shard in self.editions.recipients(edition) for reader in shard]
        people = [person for person in everybody if person.address in readers]
        self.editions.enqueue(edition, [(p, selection(1), f"<{edition.id}.{p.id}@x>") for p in people], at, None)
        table = schema.deliveries
        with self.database.write() as connection:
            connection.execute(
                sa.update(table).where(table.c.edition_id == edition.id).values(status=status, settled_at=at)
            )
            rows = sa.update(schema.editions).where(schema.editions.c.id == edition.id)
            connection.execute(rows.values(frequency=frequency))
        return edition

    def prune(self, day: int, kept: timedelta) -> int:
        """How many deliveries are let go of on a day, by when every edition is over."""
        now = NOW + timedelta(days=day)
        for edition in self.editions.unfinished(LAB):
            self.editions.close_recipients(edition, now)
            assert self.editions.finish(edition, now)
        counts = Pruning(self.database, {LAB: Retention(None, kept, None)}, 5000, now).batches()
        return sum(count for kind, count in counts if kind is Kind.DELIVERIES)

    def record(self, delivery_id: DeliveryId, kind: BounceKind, day: int = 0) -> Recorded | None:
        bounce = Bounce(delivery_id, kind, "5.1.1", f"550 {kind}")
        return self.bounces.record(bounce, is_worn_out, NOW + timedelta(days=day))

    @property
    def suppressed(self) -> dict[str, str]:
        return {each.address: each.reason for each in self.people.suppressions()}


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.mark.parametrize(("kind", "ends"), [(HARD, True), (COMPLAINT, True), (SOFT, False), (POLICY, False)])
def test_hard_bounces_and_complaints_suppress_at_once(world: World, kind: BounceKind, ends: bool) -> None:
    """The address, on every list; a soft bounce and a refusal for policy alone do not."""
    assert world.record(world.sent(0), kind) == Recorded(READER, True, ends)
    assert (READER in world.suppressed) is ends
    for list_id in (LAB, OTHER):
        assert (READER in {s.address for s in world.people.reachable(list_id)}) is not ends


def test_a_bounce_counts_once(world: World) -> None:
    """However often its report comes; another kind of the same delivery is another bounce."""
    delivery = world.sent(0)
    assert world.record(delivery, SOFT) == Recorded(READER, True, False)
    assert world.record(delivery, SOFT) == Recorded(READER, False, False)
    assert world.record(delivery, COMPLAINT) == Recorded(READER, True, True)


def test_what_came_back_is_told_by_delivery(world: World) -> None:
    """Of an edition, every kind of bounce in the order in which it was read, and nothing of another edition."""
    first, second = world.sent(0), world.sent(1)
    world.record(first, COMPLAINT, day=3)
    world.record(first, SOFT, day=2)
    editions = {edition.number: edition.id for edition in world.editions.unfinished(LAB)}
    told = world.bounces.of(editions[1])
    assert [(bounce.kind, bounce.diagnostic) for bounce in told[first]] == [
        (SOFT, "550 soft"),
        (COMPLAINT, "550 complaint"),
    ]
    assert world.bounces.of(editions[2]) == {}
    assert second not in told


def test_a_repeated_report_does_not_suppress_again(world: World) -> None:
    """Whom somebody has taken off the suppressions is not put back by an old mailbox that is read again."""
    delivery = world.sent(0)
    world.record(delivery, HARD)
    assert world.people.release(READER)
    assert world.record(delivery, HARD) == Recorded(READER, False, False)
    assert world.suppressed == {}


def test_a_bounce_of_another_lists_delivery_is_none(world: World) -> None:
    """Nor one of no delivery at all."""
    assert world.record(world.sent(0, OTHER), HARD) is None
    assert world.record(DeliveryId(999), HARD) is None
    assert world.suppressed == {}


def test_five_soft_bounces_over_a_week_suppress(world: World) -> None:
    """The fifth does, if the first was sent a week before; it does not matter when they were read."""
    days = [0, 2, 4, 6, 7]
    deliveries = [world.sent(day) for day in days]
    recorded = [world.record(delivery, SOFT, day=30) for delivery in deliveries]
    assert [each.suppressed for each in recorded if each] == [False, False, False, False, True]
    assert world.suppressed == {READER: "soft bounces in a row, the last: 550 soft"}


KEPT = timedelta(days=60)
MONTHS = (0, 31, 62, 92, 123)


@pytest.mark.parametrize("frequency", [OWN, Frequency.MONTHLY])
def test_five_soft_bounces_of_a_monthly_edition_suppress(world: World, frequency: str) -> None:
    """Whatever [retention] says, while it comes out: of a monthly list, and of the round-ups of a daily one."""
    for n, day in enumerate(MONTHS):
        monthly = world.edition(day, readers=[READER], frequency=frequency)
        (delivery,) = world.editions.deliveries(monthly)
        world.record(delivery.id, SOFT, day + 1)
        assert (READER in world.suppressed) is (n == 4)
        if frequency != OWN:
            for later in range(1, 7):
                world.edition(day + later, readers=[ANOTHER])
        world.prune(day + 7, KEPT)
    assert world.prune(MONTHS[-1] + 30, KEPT) == 0
    daily = 0 if frequency == OWN else 2 * 6
    assert world.prune(MONTHS[-1] + 67, KEPT) == 5 + daily, "it comes out no more: all five, and two months' daily ones"


def test_the_sixth_newest_edition_is_not_kept_for_its_bounces(world: World) -> None:
    """Only those that may still count are."""
    for day in (*MONTHS, 153):
        world.edition(day)
    assert world.prune(160, KEPT) == 2, "the two deliveries of the first"


def test_a_delivery_that_arrived_begins_anew(world: World) -> None:
    """A success between them resets; deliveries that were never taken by a server are no success."""
    deliveries = [world.sent(day) for day in (0, 1, 2, 3)]
    world.sent(4)
    world.sent(5, status=DeliveryStatus.CANCELLED)
    deliveries += [world.sent(day) for day in (6, 7, 8, 20)]
    for delivery in deliveries:
        world.record(delivery, SOFT)
    assert world.suppressed == {}
    world.sent(21, status=DeliveryStatus.CANCELLED)
    world.record(world.sent(22), SOFT)
    assert READER in world.suppressed


def test_an_old_mailbox_does_not_suppress_who_is_well_again(world: World) -> None:
    """Read weeks later, the bounces are followed by deliveries that arrived."""
    deliveries = [world.sent(day) for day in (0, 2, 4, 6, 8)]
    world.sent(10)
    recorded = [world.record(delivery, SOFT, day=30) for delivery in deliveries]
    assert not any(each and each.suppressed for each in recorded)


def test_bounces_that_come_out_of_order_are_no_success(world: World) -> None:
    """What was sent later than the newest bounce is not judged yet; a report that comes late fills its gap."""
    deliveries = [world.sent(day) for day in (0, 2, 4, 6, 8, 9)]
    for at in (0, 2, 4, 1):
        assert world.record(deliveries[at], SOFT) == Recorded(READER, True, False)
    assert world.record(deliveries[3], SOFT) == Recorded(READER, True, True)


def test_other_lists_deliveries_count_as_well(world: World) -> None:
    """An address is one, whichever list writes to it: another's success resets."""
    deliveries = [world.sent(day) for day in (0, 2, 4, 6)]
    world.sent(7, OTHER)
    deliveries.append(world.sent(8))
    for delivery in deliveries:
        world.record(delivery, SOFT)
    assert world.suppressed == {}


def test_a_delivery_with_several_kinds_counts_by_the_worst(world: World) -> None:
    """And a complaint, which only who got it can make, is no failure."""
    delivery, complained, last = (world.sent(day) for day in range(3))
    for kind in (POLICY, SOFT, COMPLAINT):
        world.record(delivery, kind)
    world.record(complained, COMPLAINT)
    seen: list[Attempt] = []

    def look(attempts: Iterable[Attempt], _: datetime) -> bool:
        seen.extend(attempts)
        return False

    world.bounces.record(Bounce(last, SOFT), look, NOW)
    assert [attempt.bounce for attempt in seen] == [SOFT, None, SOFT]
    assert [attempt.at for attempt in seen] == [NOW + timedelta(days=day) for day in (2, 1, 0)]


def test_a_crash_leaves_neither_the_bounce_nor_its_effect(world: World) -> None:
    """Both are one transaction: after a crash between them, the same report counts as new."""
    delivery = world.sent(0)
    with mock.patch.object(bounces_module, "suppress", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        world.record(delivery, HARD)
    assert world.suppressed == {}
    assert world.record(delivery, HARD) == Recorded(READER, True, True)


def test_two_readers_of_one_mailbox_count_once(world: World) -> None:
    """Whoever is second finds it counted."""
    deliveries = [world.sent(day) for day in range(10)]
    found: list[bool] = []
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()
        for delivery in deliveries:
            recorded = world.record(delivery, SOFT)
            assert recorded
            found.append(recorded.is_new)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(True) == len(deliveries)
    assert len(found) == 4 * len(deliveries)


def test_a_delivery_is_found_by_its_message_id_and_its_reader(world: World) -> None:
    """Both must be right, and of this list."""
    delivery = world.sent(0)
    with world.database.read() as connection:
        row = connection.execute(sa.select(schema.deliveries).where(schema.deliveries.c.id == delivery)).one()
    reader = SubscriberId(row.subscriber_id)
    assert world.bounces.delivery_with(row.message_id, reader) == delivery
    assert world.bounces.delivery_with(row.message_id, SubscriberId(reader + 1)) is None
    assert world.bounces.delivery_with("<other@x>", reader) is None
    assert Bounces(world.database, OTHER).delivery_with(row.message_id, reader) is None


# --- positions and suppressions -------------------------------------------------------------------------------------


def test_a_message_id_that_no_database_takes_proves_nothing(world: World) -> None:
    """PostgreSQL knows no text with a NUL: a report of such a message would end every reading of the mailbox."""
    raw = b"From: mailer-daemon@example.net\r\n\r\nMessage-ID: <a\0b@x>\r\nMessage-ID: <c@x>\r\n"
    found = [world.bounces.delivery_with(each, SubscriberId(1)) for each in read(raw).evidence.message_ids]
    assert found == [None]


def test_a_position_never_moves_back(database: Database) -> None:
    """Each list has its own in each mailbox; a slower process does not undo a quicker one; a new numbering counts."""
    mailboxes = Mailboxes(database, LAB)
    assert mailboxes.position("box") is None
    for to, then in [((1, 5), (1, 5)), ((1, 3), (1, 5)), ((1, 9), (1, 9)), ((2, 1), (2, 1))]:
        mailboxes.move("box", Position(*to), NOW)
        assert mailboxes.position("box") == Position(*then)
    assert mailboxes.position("another") is None
    assert Mailboxes(database, OTHER).position("box") is None


def test_suppressions_are_listed_added_and_taken_off(database: Database) -> None:
    """Case does not make another address; the first reason stays."""
    people = Subscribers(database)
    later = datetime(2026, 7, 1, tzinfo=NOW.tzinfo)
    assert people.suppress(Address("Ada@example.org"), "asked", NOW)
    assert not people.suppress(Address("ada@Example.org"), "again", later)
    (found,) = people.suppressions()
    assert (found.address, found.reason, found.at) == ("ada@example.org", "asked", NOW)
    assert people.release(Address("ADA@example.org"))
    assert not people.release(Address("ada@example.org"))
    assert people.suppressions() == ()


def test_what_came_back_is_counted_for_its_edition(world: World) -> None:
    """By kind, worst first; other editions' and lists' bounces are their own."""
    first, second, _ = world.sent(0), world.sent(1), world.sent(1, OTHER)
    for delivery_id, kind in ((first, COMPLAINT), (first, HARD), (second, SOFT)):
        world.record(delivery_id, kind)
    counts = [dict(overview.came_back) for overview in world.editions.recent(LAB, 9)]
    assert counts == [{SOFT: 1}, {HARD: 1, COMPLAINT: 1}]
    assert [dict(overview.came_back) for overview in world.editions.recent(OTHER, 9)] == [{}]
