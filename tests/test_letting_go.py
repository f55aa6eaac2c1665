"""Deliveries that are let go of: what stays of them counts for everybody alike, and nothing else does."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from digest.dispatch.journalling import Journals
from digest.ledger import Accepted, Entry
from digest.model import (
    Bounce,
    BounceKind,
    Claim,
    DeliveryId,
    DeliveryStatus,
    Edition,
    Outcome,
    PaperId,
    Retention,
    SubscriberId,
)
from digest.pull.dedupe import merge
from digest.send.journal import Journal
from digest.store import (
    Bounces,
    Database,
    Decisions,
    DeliveryLedger,
    Editions,
    Figures,
    Kind,
    Members,
    Past,
    Pruning,
    Subscribers,
    condensing,
    postgres,
    schema,
)
from digest.store.accepted import claims_of
from digest.store.codec import encode
from digest.store.received import Had, packed, unpacked
from tests.factories import NOW, TODAY, claim, paper, report, selection, subscriber
from tests.test_ledger import LAB
from tests.test_pruning import held_of_papers

READERS = 8
LATER = NOW + timedelta(days=400)
KEPT = Retention(None, timedelta(days=365), None)
STATUSES = (*[DeliveryStatus.SENT] * 5, DeliveryStatus.BOUNCED, DeliveryStatus.EXPIRED, DeliveryStatus.CANCELLED)
deliveries = schema.deliveries


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three ranges of readers, three batches."""
    monkeypatch.setattr(condensing, "RANGE", 3)
    monkeypatch.setattr(condensing, "IN_A_STATEMENT", 3)


class World:
    """Two editions of a year ago that are over: the first has something to let go of for every status."""

    def __init__(self, database: Database):
        self.database = database
        self.editions = Editions(database)
        self.subscribers = Subscribers(database)
        self.subscribers.synchronise(LAB, [subscriber(n) for n in range(1, READERS + 1)])
        self.people = self.subscribers.reachable(LAB)
        self.first, self.second = self.edition(0, 1, 2, 3), self.edition(1, 4)
        self.became(self.first, STATUSES)
        self.became(self.second, [DeliveryStatus.SENT] * READERS)
        back = Bounce(self.number(self.first, 0), BounceKind.SOFT, "4.2.2", "mailbox full")
        assert Bounces(database, LAB).record(back, lambda *_: False, NOW)

    def edition(self, day: int, *papers: int) -> Edition:
        """An edition in which reader n has the papers up to the nth, the last first."""
        at = NOW + timedelta(days=day)
        edition = self.editions.freeze(LAB, TODAY + timedelta(days=day), at, [report(*papers)], merge, ())
        chosen = [
            (person, selection(*reversed(papers[:n])), f"<{edition.number}.{person.id}@example.org>")
            for n, person in enumerate(self.people)
        ]
        self.editions.enqueue(edition, chosen, at, None)
        self.editions.close_recipients(edition, at)
        return edition

    def became(self, edition: Edition, statuses: Any) -> None:
        table = schema.deliveries
        with self.database.write() as connection:
            for person, status in zip(self.people, statuses, strict=True):
                hers = sa.and_(table.c.edition_id == edition.id, table.c.subscriber_id == person.id)
                connection.execute(sa.update(table).where(hers).values(status=status, settled_at=NOW, reply="said"))
        assert self.editions.finish(edition, NOW)

    def number(self, edition: Edition, reader: int) -> DeliveryId:
        return self.editions.deliveries(edition)[reader].id

    def prunes(self) -> Generator[int, None, None]:
        """One transaction more at each step; how many deliveries were let go of in it."""
        for kind, count in Pruning(self.database, {LAB: KEPT}, 5000, LATER).batches():
            assert kind is Kind.DELIVERIES
            yield count

    def prune(self) -> int:
        return sum(self.prunes())

    def facts(self) -> dict[str, Any]:
        """What everybody who asks is told."""
        members, past = Members(self.database, LAB), Past(self.database, LAB)
        ids = [person.id for person in self.people]
        later = Edition(self.second.id, LAB, 9999, TODAY, None, LATER)
        candidates = merge([a for n in (1, 2, 3, 9) for a in report(n).announcements], ())
        overview = self.editions.overview(self.first)
        return {
            "sent": self.editions.already_sent(self.people, candidates, {}, later),
            "sent to one": self.editions.already_sent(self.people[4:5], candidates, {}, later),
            "replay": (past.sent(self.first, ids), past.sent(self.first, ids[2:3]), past.recipients(self.first)),
            "counts": (overview.counts, overview.recipients, overview.adds_up, overview.came_back),
            "figures": Figures(self.database).read(TODAY, LATER).lists[LAB].editions,
            "export": [held_of_papers(members.held(member)) for member in members.all()],
        }

    def rows(self, table: sa.Table, edition: Edition | None = None) -> list[Any]:
        query = sa.select(table)
        with self.database.read() as connection:
            return list(connection.execute(query.where(table.c.edition_id == edition.id) if edition else query))


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_whatever_transaction_is_the_last_nothing_is_told_otherwise(world: World) -> None:
    """Pruning breaks off after each of its transactions and is begun anew: everybody is told the same all the time."""
    before = world.facts()
    assert before["counts"][0] == {DeliveryStatus.SENT: 5} | dict.fromkeys(STATUSES[5:], 1)
    assert [len(papers) for papers in before["replay"][0].values()] == [0, 1, 2, 3, 3, 3, 3, 3]
    counts = []
    while (count := next(world.prunes(), None)) is not None:
        counts.append(count)
        assert world.facts() == before
    assert sum(counts) == 2 * READERS
    assert len(counts) >= 8, "three ranges and the end of them, for two editions"
    assert world.editions.overview(world.first).let_go


def test_rows_that_are_still_there_do_not_count(world: World) -> None:
    """Once an edition is let go of, what stands in its deliveries is nobody's concern: they are being removed."""
    before = world.facts()
    steps = world.prunes()
    while not next(steps):
        pass
    steps.close()
    values = {"status": DeliveryStatus.BOUNCED, "picks": encode(selection(9).picks), "reply": "550 no"}
    with world.database.write() as connection:
        of_it = deliveries.c.edition_id == world.first.id
        assert connection.execute(sa.update(deliveries).where(of_it).values(values)).rowcount == READERS
    assert world.facts() == before
    assert Decisions(world.database, world.first).retry(LATER) == ()
    with world.database.write() as connection:
        connection.execute(sa.update(deliveries).where(of_it).values(status=DeliveryStatus.SENT))
    assert world.facts() == before
    assert world.editions.deliveries(world.first) == ()
    assert world.editions.overview(world.first).finished_at
    assert world.editions.overview(world.first).replies == ()
    assert world.prune() == READERS, "the other edition's"
    assert world.facts() == before


def test_the_rows_are_gone(world: World) -> None:
    """With what came back of them, and the shards; on PostgreSQL the parts of the table are dropped."""
    with world.database.write() as connection:
        row = {"edition_id": world.first.id, "first": 1, "last": READERS, "state": "done"}
        connection.execute(sa.insert(schema.shards).values(row))
    world.prune()
    assert world.rows(deliveries, world.first) == world.rows(schema.bounces) == world.rows(schema.shards) == []
    if world.database.path is None:
        with world.database.read() as connection:
            parts = [postgres.has_partition(connection, edition.id) for edition in (world.first, world.second)]
        assert parts == [False, False]
    with world.database.write() as connection:
        assert not condensing.remove(connection, world.first.id), "another may have been quicker"
    (size,) = {len(row.papers) for row in world.rows(schema.received)[:1]}
    assert size < 60


def test_no_number_is_given_twice(world: World) -> None:
    """The highest stays where SQLite counts on from it, with nothing about anybody, until there is a higher one."""
    highest = max(row.id for row in world.rows(deliveries))
    world.prune()
    for row in world.rows(deliveries):
        assert (row.id, row.address, row.message_id, row.picks, row.reply) == (highest, "", "", "[]", "")
    assert world.prune() == 0
    third = world.edition(2, 5)
    assert min(row.id for row in world.rows(deliveries, third)) > highest
    world.prune()
    assert {row.edition_id for row in world.rows(deliveries)} == {third.id}


def test_what_a_retry_brought_meanwhile_counts(world: World) -> None:
    """Sent again after she was noted as not having got it: it is begun anew, and what she got does not come twice."""
    steps = world.prunes()
    next(steps), next(steps)
    (address,) = Decisions(world.database, world.first, [world.people[5].address]).retry(LATER)
    assert address == world.people[5].address
    assert sum(steps) == READERS, "the other edition's"
    assert not world.editions.overview(world.first).let_go, "it may still be sent"
    ledger = DeliveryLedger(world.database, LAB, lambda: LATER)
    assert len(ledger.claim(10)) == 1
    world.became(world.first, (*STATUSES[:5], DeliveryStatus.SENT, *STATUSES[6:]))
    before = world.facts()
    assert set(before["sent"][world.people[5].id]) == {paper(n).id for n in (1, 2, 3)}
    assert world.prune() == 0
    assert not world.editions.overview(world.first).let_go
    assert world.prune() == READERS
    assert world.facts() == before


def test_two_that_prune_at_once_do_it_once(world: World) -> None:
    """Each takes up what the other has done."""
    before = world.facts()
    with ThreadPoolExecutor(2) as pool:
        counts = [done.result(60) for done in [pool.submit(world.prune) for _ in range(2)]]
    assert sum(counts) == 2 * READERS
    assert world.facts() == before


@pytest.mark.parametrize("steps", [2, 100])
def test_who_is_erased_is_erased_there_too(world: World, steps: int) -> None:
    """Before an edition is let go of and after: that she had it stays, and of no paper that it was hers."""
    if world.database.path:
        with world.database.write() as connection:
            connection.exec_driver_sql("PRAGMA secure_delete=OFF")  # which some are built with
    for _, _ in zip(range(steps), world.prunes(), strict=False):
        pass
    members = Members(world.database, LAB)
    her = members.find(world.people[2].address)
    assert her
    others = {person: got for person, got in world.facts()["sent"].items() if person != her.id}
    members.erase(her, b"key", LATER)
    world.prune()
    assert world.facts()["sent"] == others
    had = [unpacked(row.first, row.papers) for row in world.rows(schema.received)]
    assert [readers[her.id] for readers in had if her.id in readers] == [Had((), True)] * 2
    assert sum(map(len, had)) == 2 * READERS
    assert world.editions.overview(world.first).adds_up
    if world.database.path:
        with closing(sqlite3.connect(world.database.path)) as raw:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert her.address.encode() not in world.database.path.read_bytes(), "nor in the pages that are free now"


@pytest.mark.parametrize("whole", [False, True])
def test_whatever_names_a_delivery_that_is_gone_finds_none(world: World, whole: bool) -> None:
    """A late bounce and a journal of last year are told of as those of any delivery that is not known."""
    delivery = world.editions.deliveries(world.first)[0]
    fact = Accepted(delivery.id, delivery.edition_id, 1, delivery.message_id, "relay", "2.0.0", "250 Ok")
    assert claims_of(world.database, LAB, [fact])
    for _ in world.prunes():
        if not whole and world.editions.overview(world.first).let_go:
            break  # its rows are still there
    bounces = Bounces(world.database, LAB)
    late = Bounce(delivery.id, BounceKind.HARD, "5.1.1", "gone")
    assert bounces.record(late, lambda *_: True, LATER) is None
    assert bounces.delivery_with(delivery.message_id, delivery.subscriber_id) is None
    assert claims_of(world.database, LAB, [fact]) == {}
    assert bounces.of(world.first.id) == {}


def test_a_journal_that_is_read_while_its_edition_is_let_go_of(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever prunes between the reading and the recording has not counted it: the file is told of, and left."""
    ledger = DeliveryLedger(world.database, LAB, lambda: LATER)
    missed = replace(claim(), delivery=world.editions.deliveries(world.first)[STATUSES.index(DeliveryStatus.EXPIRED)])
    kept = Journal(tmp_path, LAB)
    kept.note(missed, Outcome(DeliveryStatus.SENT, "2.0.0", "250 Ok"))
    kept.close()

    class Late:
        def claim(self, limit: int) -> Sequence[Claim]:
            return ledger.claim(limit)

        def commit(self, entries: Sequence[Entry]) -> Sequence[bool]:
            world.prune()
            return ledger.commit(entries)

    assert Journals(tmp_path, LAB, world.database).recover(Late()) == set()
    assert "tells of 1 deliveries that this database does not have" in caplog.text
    assert len(list(tmp_path.glob("*.journal"))) == 1


@pytest.mark.parametrize("status", [DeliveryStatus.UNKNOWN, DeliveryStatus.DEFERRED])
def test_what_may_still_be_sent_stays(world: World, status: DeliveryStatus) -> None:
    """An edition with a delivery in doubt is kept, however old, as is one that is not finished."""
    with world.database.write() as connection:
        of_it = deliveries.c.id == world.number(world.first, 1)
        connection.execute(sa.update(deliveries).where(of_it).values(status=status))
    assert world.prune() == READERS
    with world.database.write() as connection:  # it may have become so while it was being let go of
        assert not condensing.condense(connection, world.first.id)
        assert condensing.close(connection, world.first.id) is None
    assert not world.editions.overview(world.first).let_go
    assert len(world.rows(deliveries, world.first)) == READERS


def test_what_is_damaged_brings_no_paper_twice(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Whose picks cannot be read had all papers of the edition, and so has everybody in a range that cannot be read."""
    everything = {paper(n).id for n in (1, 2, 3)}
    with world.database.write() as connection:
        hers = deliveries.c.id == world.number(world.first, 0)
        connection.execute(sa.update(deliveries).where(hers).values(picks="[{"))
    world.prune()
    assert set(world.facts()["sent"][world.people[0].id]) == everything
    table = schema.received
    with world.database.write() as connection:
        of_it = sa.and_(table.c.edition_id == world.first.id, table.c.first == world.people[0].id)
        connection.execute(sa.update(table).where(of_it).values(papers=b"\x00"))
        connection.execute(sa.update(schema.editions).values(final_counts="{"))
    facts = world.facts()
    assert [set(facts["sent"][person.id]) for person in world.people[:3]] == [everything] * 3
    assert len(facts["replay"][0]) == READERS - 3
    assert facts["counts"] == ({}, READERS, False, {})
    Members(world.database, LAB).erase(next(Members(world.database, LAB).all()), b"key", LATER)
    assert f"what edition {world.first.id} had for subscribers 1 to 3 cannot be read" in caplog.text


reader_ids = st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=50, unique=True).map(sorted)
places = st.lists(st.integers(0, 400) | st.text(max_size=20)).map(tuple)


@given(st.data(), reader_ids)
def test_what_is_packed_is_there_again(data: st.DataObject, ids: list[int]) -> None:
    """Readers, places in their order, papers that are no candidate's, and whether they arrived."""
    readers = {SubscriberId(each): Had(data.draw(places), data.draw(st.booleans())) for each in ids}
    assert unpacked(ids[0], packed(readers)) == readers


def test_a_paper_that_is_no_candidate_goes_by_its_id(world: World) -> None:
    """Nobody knows how it came there; it is told of all the same."""
    with world.database.write() as connection:
        hers = deliveries.c.id == world.number(world.first, 1)
        other = '[{"paper_id":"doi:10.1/x","score":0.5,"relevance":0.5,"trend":0.0}]'
        connection.execute(sa.update(deliveries).where(hers).values(picks=other))
    before = world.facts()
    assert before["replay"][0][world.people[1].id] == (PaperId("doi:10.1/x"),)
    world.prune()
    assert world.facts() == before
