"""The store in numbers: counted cheaply, and the same as counted one by one."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from digest.members import Ballot, Standing
from digest.model import Address, BounceKind, DeliveryStatus, EditionId, ListId
from digest.store import Database, Figures, Members, Subscribers, open_database, schema
from digest.store.figures import SuppressionKind
from tests.ledgers import LAB, fill

S = DeliveryStatus
LAST = date(2026, 6, 10)
NOW = datetime(2026, 6, 10, 6, tzinfo=UTC)
OPEN = {S.QUEUED: 5, S.ACTIVE: 1, S.SENDING: 2, S.DEFERRED: 3, S.UNKNOWN: 1}
OTHER = ListId("other")


def one_by_one(database: Database) -> dict[EditionId, dict[DeliveryStatus, int]]:
    table = schema.deliveries
    with database.read() as connection:
        rows = connection.execute(sa.select(table.c.edition_id, table.c.status)).all()
    counts: dict[EditionId, Counter[DeliveryStatus]] = {}
    for edition_id, status in rows:
        counts.setdefault(EditionId(edition_id), Counter())[DeliveryStatus(status)] += 1
    return {edition_id: dict(found) for edition_id, found in counts.items()}


@pytest.mark.parametrize("under_way", [0, 1, 2])
def test_the_counts_are_those_of_the_ledger(database: Database, under_way: int) -> None:
    """Of every edition by status, with no edition under way, with one, with one of each list."""
    fill(database, LAST, 20, 90, open_counts=OPEN if under_way else None)
    fill(database, LAST, 20, 60, list_id=OTHER, open_counts={S.QUEUED: 7, S.DEFERRED: 2} if under_way > 1 else None)
    snapshot = Figures(database).read(LAST - timedelta(days=19), NOW)
    found = {e.id: e.counts for each in snapshot.lists.values() for e in each.editions}
    assert found == one_by_one(database)
    assert len(found) == 28
    assert [e.number for e in snapshot.lists[LAB].editions] == list(range(14, 0, -1))


def test_an_edition_that_is_not_frozen_is_counted_too(database: Database) -> None:
    """Its recipients are what deliveries there are by now."""
    fill(database, LAST, 3, 50, open_counts={S.QUEUED: 50})
    with database.write() as connection:
        newest = schema.editions.c.number == 3
        connection.execute(sa.update(schema.editions).where(newest).values(recipients=None, recipients_frozen_at=None))
    figures = Figures(database)
    (newest_edition, *_) = figures.read(LAST, NOW).lists[LAB].editions
    assert (newest_edition.recipients, newest_edition.counts) == (None, {S.QUEUED: 50})
    (unsent,) = figures.pulse(LAB, NOW).unsent
    assert (unsent.number, unsent.is_frozen, unsent.last_sent_at) == (3, False, None)


def test_what_a_server_has_put_off_is_not_left_unsent(database: Database) -> None:
    """What is greylisted, and what may have arrived, is nothing that somebody forgot: what waits untried is."""
    fill(database, LAST, 3, 50, open_counts={S.DEFERRED: 9, S.UNKNOWN: 2})
    assert Figures(database).pulse(LAB, NOW).unsent == ()


def test_what_came_back_and_votes_go_to_their_lists(database: Database) -> None:
    """Bounces by edition and kind, votes by what they say and by day; days before the first asked for are left out."""
    fill(database, LAST, 10, 300)
    fill(database, LAST, 10, 20, list_id=OTHER)
    since = LAST - timedelta(days=4)
    lab = Figures(database).read(since, NOW).lists[LAB]
    bounces, deliveries, votes, people = schema.bounces, schema.deliveries, schema.votes, schema.subscribers
    with database.read() as connection:
        rows = connection.execute(
            sa.select(deliveries.c.edition_id, bounces.c.kind).join_from(bounces, deliveries)
        ).all()
        cast = connection.execute(
            sa.select(votes.c.ballot, votes.c.cast_at).join_from(votes, people).where(people.c.list_id == LAB)
        ).all()
    for edition in lab.editions:
        expected = Counter(BounceKind(kind) for edition_id, kind in rows if edition_id == edition.id)
        assert edition.came_back == dict(expected)
    assert any(edition.came_back for edition in lab.editions)
    assert lab.ballots == Counter(Ballot(ballot) for ballot, _ in cast)
    assert lab.votes == Counter(at.date() for _, at in cast if at.date() >= since)
    assert [pull.due_on for pull in lab.pulls] == [LAST, LAST - timedelta(days=1), LAST - timedelta(days=2)]


def test_people_are_counted_by_how_they_stand(database: Database) -> None:
    """As `digest subscribers list` says of each; suppressions by their reasons."""
    fill(database, LAST, 2, 300)
    people = Subscribers(database)
    for n, reason in enumerate(["complaint: spam", "soft bounces in a row, the last: full", "asked by telephone"]):
        people.suppress(Address(f"reader{n + 20}@example.org"), reason, NOW)
    snapshot = Figures(database).read(LAST, NOW)
    one_by_one = Counter(member.standing(NOW.date()) for member in Members(database, LAB).all())
    assert snapshot.lists[LAB].subscribers == one_by_one
    assert one_by_one.keys() >= {Standing.CONFIRMED, Standing.PAUSED, Standing.SUPPRESSED, Standing.UNSUBSCRIBED}
    kinds = SuppressionKind
    assert snapshot.suppressions == {kinds.HARD: 5, kinds.REFUSED: 3, kinds.SOFT: 1, kinds.COMPLAINT: 1, kinds.HAND: 1}


def test_an_empty_database_has_nothing_to_count(database: Database) -> None:
    """No list, and a pulse that is none."""
    figures = Figures(database)
    assert figures.read(LAST, NOW).lists == {}
    pulse = figures.pulse(LAB, NOW)
    assert (pulse.newest, pulse.unsent, pulse.has_readers, pulse.is_paused) == (None, (), False, False)


def test_the_ledger_is_counted_by_its_index(tmp_path: Path) -> None:
    """No statement goes through all deliveries: their rows are as large as what was picked."""
    database = open_database(f"sqlite:///{tmp_path}/digest.db")
    fill(database, LAST, 5, 40, open_counts=OPEN)
    plans: list[str] = []

    def explain(connection: sa.Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if "deliveries" in statement and statement.startswith("SELECT"):
            plan = connection.connection.cursor()
            plans.extend(row[3] for row in plan.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall())

    sa.event.listen(database._engine, "before_cursor_execute", explain)
    Figures(database).read(LAST, NOW)
    Figures(database).pulse(LAB, NOW)
    about = [plan for plan in plans if "deliveries" in plan]
    assert len(about) >= 5
    assert [plan for plan in about if plan.startswith("SCAN deliveries") and "COVERING" not in plan] == []
    database.close()
