"""The store: what it refuses to open, and that an edition is frozen once and whole."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import StoreError
from digest.members import Ballot, CastVote
from digest.model import (
    Address,
    AnnounceType,
    Coverage,
    DeliveryStatus,
    Edition,
    ListId,
    NearMiss,
    PaperId,
    Pick,
    Profile,
    Reason,
    ReasonKind,
    Remark,
    Remembered,
    Says,
    Selection,
    Signal,
    SourceHealth,
    SourceReport,
    SourceSummary,
    Subscriber,
    SubscriberId,
    Vote,
)
from digest.pull.dedupe import merge
from digest.store import (
    Archive,
    Database,
    Editions,
    Fetches,
    Members,
    Papers,
    Sources,
    Subscribers,
    Vectors,
    open_database,
    schema,
)
from digest.store.codec import decode, encode
from tests.factories import NOW, TODAY, announcement, paper, report, selection, subscriber

LAB = ListId("lab")


def freeze(database: Database, *numbers: int, days: int = 0) -> Edition:
    moment = NOW + timedelta(days=days)
    summaries = (SourceSummary("arxiv", len(numbers), len(numbers)),)
    return Editions(database).freeze(LAB, moment.date(), moment, [report(*numbers)], merge, summaries)


def test_a_new_file_is_ours_in_wal_mode_and_of_the_present_schema(tmp_path: Path) -> None:
    """A new database carries digest's application id, the schema's version and WAL mode."""
    open_database(f"sqlite:///{tmp_path}/digest.db").close()
    with sqlite3.connect(tmp_path / "digest.db") as raw:
        assert raw.execute("PRAGMA application_id").fetchone() == (schema.APPLICATION_ID,)
        assert raw.execute("PRAGMA user_version").fetchone() == (schema.SCHEMA_VERSION,)
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_migrations_make_what_the_schema_says(database: Database) -> None:
    """A migrated database has exactly the tables, columns and constraints of `schema.py`."""
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def test_a_newer_schema_is_refused_with_advice(tmp_path: Path) -> None:
    """A database of a newer digest is left alone, and the error says to upgrade."""
    path = tmp_path / "digest.db"
    open_database(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    raw.close()
    with pytest.raises(StoreError, match=r"newer digest.*upgrade"):
        open_database(f"sqlite:///{path}")


def test_another_programs_database_is_refused_and_untouched(tmp_path: Path) -> None:
    """A SQLite file of another program is refused, and not even its journal mode changes."""
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE theirs (x)")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        open_database(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A text file in the database's place gives one clear line."""
    path = tmp_path / "digest.db"
    path.write_text("[list]\n" * 1000)
    with pytest.raises(StoreError, match="not a digest database"):
        open_database(f"sqlite:///{path}")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A database in a folder that does not exist is refused by the folder's name."""
    with pytest.raises(StoreError, match=r"there is no folder .*nowhere"):
        open_database(f"sqlite:///{tmp_path}/nowhere/digest.db")


def test_many_processes_at_once_migrate_once(tmp_path: Path) -> None:
    """Eight openers of a new file at the same moment all get the same, whole schema."""
    barrier, errors = Barrier(8), []

    def opener() -> None:
        barrier.wait()
        try:
            open_database(f"sqlite:///{tmp_path}/digest.db").close()
        except Exception as error:
            errors.append(error)

    threads = [Thread(target=opener) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_an_edition_is_one_per_list_and_day(database: Database) -> None:
    """Freezing the same day again gives the first edition back, with its first candidates."""
    first = freeze(database, 1, 2)
    again = freeze(database, 3)
    assert again == first
    assert [c.paper.id for c in Editions(database).candidates(first)] == [paper(1).id, paper(2).id]


def test_an_edition_continues_where_the_last_one_ended(database: Database) -> None:
    """The next edition's number is one higher, it starts at the last cutoff, and takes only what is new."""
    first = freeze(database, 1, 2)
    second = freeze(database, 2, 3, days=1)
    assert (second.number, second.since) == (2, first.cutoff)
    assert [c.paper.id for c in Editions(database).candidates(second)] == [paper(3).id]


def test_a_pull_between_editions_is_kept_for_the_next(database: Database) -> None:
    """What `digest pull` recorded is among the candidates although the sources show it no more."""
    Papers(database).record(LAB, [report(1)], NOW - timedelta(hours=5))
    edition = freeze(database, 2)
    assert [c.paper.id for c in Editions(database).candidates(edition)] == [paper(1).id, paper(2).id]


def test_lists_do_not_take_each_others_announcements(database: Database) -> None:
    """An announcement that one list has used is still new to another list of the same database."""
    freeze(database, 1)
    other = Editions(database).freeze(ListId("other"), TODAY, NOW, [report(1)], merge, ())
    assert [c.paper.id for c in Editions(database).candidates(other)] == [paper(1).id]


def test_a_paper_is_a_candidate_again_when_another_source_announces_it(database: Database) -> None:
    """Hugging Face may list on Wednesday what arXiv announced on Tuesday: it comes back, with its upvotes."""
    freeze(database, 1)
    upvotes = Signal(paper(1).id, "upvotes", 40, NOW + timedelta(days=1))
    listed = replace(report(1, source="huggingface"), signals=(upvotes,))
    later = Editions(database).freeze(LAB, TODAY + timedelta(days=1), NOW + timedelta(days=1), [listed], merge, ())
    (candidate,) = Editions(database).candidates(later)
    assert (candidate.paper.id, candidate.signals) == (paper(1).id, (upvotes,))


def test_a_frozen_candidate_reads_back_equal(database: Database) -> None:
    """Candidates are the same values after a round through the store."""
    reports = [replace(report(1, 2), signals=(Signal(paper(1).id, "upvotes", 3, NOW),))]
    edition = Editions(database).freeze(LAB, TODAY, NOW, reports, merge, ())
    expected = merge(reports[0].announcements, reports[0].signals)
    assert Editions(database).candidates(edition) == tuple(expected)


def test_an_announcement_is_told_from_one_seen_before(database: Database) -> None:
    """The same paper in a new version or of another type is another announcement; the same one is not."""
    Papers(database).record(LAB, [report(1)], NOW)
    version_two = announcement(paper=paper(1, version=2), announce_type=AnnounceType.REPLACE)
    unseen = Papers(database).unseen(LAB, [announcement(1), version_two, version_two, announcement(2)])
    assert unseen == (version_two, announcement(2))


def test_every_recipient_gets_exactly_one_delivery(database: Database) -> None:
    """Enqueuing twice, as after a crash, changes nothing; who has nothing to read is cancelled with the reason."""
    editions, people = Editions(database), Subscribers(database)
    people.synchronise(LAB, [subscriber(1), subscriber(2)])
    edition = freeze(database, 1)
    (shard,) = editions.recipients(edition)
    chosen = [(shard[0], selection(1), "<a@example.org>"), (shard[1], selection(), "<b@example.org>")]
    editions.enqueue(edition, chosen[:1], NOW, "nothing today")
    assert [[s.address for s in rest] for rest in editions.recipients(edition)] == [["reader2@example.org"]]
    editions.enqueue(edition, chosen, NOW, "nothing today")
    editions.close_recipients(edition, NOW)
    kept = editions.deliveries(edition)
    assert [(d.status, d.message_id, d.reply) for d in kept] == [
        (DeliveryStatus.QUEUED, "<a@example.org>", ""),
        (DeliveryStatus.CANCELLED, "<b@example.org>", "nothing today"),
    ]
    assert editions.overview(edition).adds_up
    assert not editions.finish(edition, NOW)
    assert list(editions.recipients(edition)) == []


def test_the_papers_that_recipients_name_are_known(database: Database) -> None:
    """By their profiles, by votes in these, and by votes that they cast; those of who has a delivery are not asked."""
    editions, people = Editions(database), Subscribers(database)
    profiles = [
        Profile(examples=(PaperId("x:1"), PaperId("x:2")), liked=(Vote(PaperId("x:3"), NOW),)),
        Profile(disliked=(Vote(PaperId("x:4")),)),
        Profile(examples=(PaperId("x:5"),)),
    ]
    people.synchronise(LAB, [subscriber(number, profile=profile) for number, profile in enumerate(profiles)])
    edition = freeze(database, 1)
    (shard,) = editions.recipients(edition)
    for reader, number in ((shard[0], 6), (shard[2], 7)):
        Members(database, LAB).vote(reader.id, CastVote(PaperId(f"x:{number}"), Ballot.MORE, NOW))
    assert editions.named(edition) == {f"x:{number}" for number in range(1, 8)}
    editions.enqueue(edition, [(shard[2], selection(1), "<a@x>")], NOW, None)
    assert editions.named(edition) == {"x:1", "x:2", "x:3", "x:4", "x:6"}
    editions.close_recipients(edition, NOW)
    assert editions.named(edition) == frozenset()


def test_who_comes_after_the_close_is_not_added(database: Database) -> None:
    """A process that was slower than another adds nobody to a closed edition: the counts go on adding up."""
    editions, people = Editions(database), Subscribers(database)
    people.synchronise(LAB, [subscriber(1)])
    edition = freeze(database, 1)
    people.synchronise(LAB, [subscriber(1), subscriber(2)])
    (shard,) = editions.recipients(edition)
    editions.enqueue(edition, [(shard[0], selection(1), "<a@x>")], NOW, None)
    editions.close_recipients(edition, NOW)
    editions.enqueue(edition, [(shard[1], selection(1), "<b@x>")], NOW, None)
    editions.close_recipients(edition, NOW + timedelta(hours=1))
    overview = editions.overview(edition)
    assert (overview.recipients, overview.counts, overview.adds_up) == (1, {DeliveryStatus.QUEUED: 1}, True)


def test_an_edition_that_does_not_add_up_says_so_and_is_not_finished(database: Database) -> None:
    """A delivery that vanished breaks the invariant: it is seen, and the edition stays open."""
    editions, people = Editions(database), Subscribers(database)
    people.synchronise(LAB, [subscriber(1), subscriber(2)])
    edition = freeze(database, 1)
    (shard,) = editions.recipients(edition)
    editions.enqueue(edition, [(s, selection(), f"<{s.id}@x>") for s in shard], NOW, "nothing today")
    editions.close_recipients(edition, NOW)
    with database.write() as connection:
        connection.execute(sa.delete(schema.deliveries).where(schema.deliveries.c.subscriber_id == shard[0].id))
    assert not editions.overview(edition).adds_up
    assert not editions.finish(edition, NOW)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_every_commit_is_durable(database: Database) -> None:
    """The outbox relies on `synchronous=FULL`: what was committed survives the machine's going off."""
    with database.write() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2


def test_someone_new_waits_for_the_next_edition(database: Database) -> None:
    """Once the recipients are frozen, a new subscriber is not among them."""
    editions, people = Editions(database), Subscribers(database)
    people.synchronise(LAB, [subscriber(1)])
    edition = freeze(database, 1)
    editions.close_recipients(edition, NOW)
    people.synchronise(LAB, [subscriber(1), subscriber(2)])
    assert list(editions.recipients(edition)) == []


def test_an_unsubscribe_wins_over_the_config(database: Database) -> None:
    """Who has unsubscribed stays so, however often her address stands in the config; removal from it unlists."""
    people = Subscribers(database)
    people.synchronise(LAB, [subscriber(1), subscriber(2), subscriber(3)])
    assert Members(database, LAB).unsubscribe(subscriber(1).id)
    people.synchronise(LAB, [subscriber(1), subscriber(2)])
    assert [s.address for s in people.reachable(LAB)] == ["reader2@example.org"]
    assert people.how_many(LAB) == 1


def test_what_was_sent_is_known_in_whatever_version(database: Database) -> None:
    """A subscriber's earlier picks among the new candidates are found; other people's are not."""
    editions, people = Editions(database), Subscribers(database)
    people.synchronise(LAB, [subscriber(1), subscriber(2)])
    first = freeze(database, 1, 2)
    (shard,) = editions.recipients(first)
    editions.enqueue(first, [(shard[0], selection(1), "<a@x>"), (shard[1], selection(2), "<b@x>")], NOW, None)
    second = editions.freeze(
        LAB, TODAY + timedelta(days=1), NOW + timedelta(days=1), [report(1, 3, source="huggingface")], merge, ()
    )
    sent = editions.already_sent(shard, editions.candidates(second), {}, second)
    assert sent == {shard[0].id: {paper(1).id: TODAY}}


def test_a_near_duplicate_of_what_was_sent_is_known_by_its_own_id(database: Database) -> None:
    """It is none of the new candidates; the day is that of the last edition that brought it."""
    editions, people = Editions(database), Subscribers(database)
    people.synchronise(LAB, [subscriber(1), subscriber(2)])
    for days, number in enumerate((1, 1, 2)):
        edition = editions.freeze(
            LAB,
            TODAY + timedelta(days=days),
            NOW + timedelta(days=days),
            [report(number, source=f"s{days}")],
            merge,
            (),
        )
        shard = tuple(people.reachable(LAB))
        editions.enqueue(edition, [(shard[0], selection(number), f"<{days}@x>")], NOW, None)
    last = editions.freeze(LAB, TODAY + timedelta(days=3), NOW + timedelta(days=3), [report(3)], merge, ())
    near = {paper(3).id: (paper(1),), paper(4).id: (paper(2),)}
    sent = editions.already_sent(shard, editions.candidates(last), near, last)
    assert sent == {shard[0].id: {paper(1).id: TODAY + timedelta(days=1)}}


def test_a_paper_that_came_by_its_doi_does_not_come_again_by_its_arxiv_id(database: Database) -> None:
    """The same paper is known across editions by DOI or by title and author; a like title, a second DOI is another."""
    editions, people = Editions(database), Subscribers(database)
    people.synchronise(LAB, [subscriber(1)])
    title = "A Title of Quite Sufficient Length"
    by_doi = paper(1, id=PaperId("doi:10.5555/one"), doi="10.5555/one", title=title)
    bare = paper(2, id=PaperId("doi:10.5555/two"), doi="10.5555/two", title="Another Title of Quite Sufficient Length")
    third = paper(7, id=PaperId("doi:10.5555/three"), doi="10.5555/three", title="A Third Title of Sufficient Length")
    monday = SourceReport("journal", tuple(announcement(0, "journal", paper=p) for p in (by_doi, bare, third)))
    first = editions.freeze(LAB, TODAY, NOW, [monday], merge, ())
    (shard,) = editions.recipients(first)
    picks = tuple(Pick(p.id, 0.5, 0.5, 0.0) for p in (by_doi, bare, third))
    editions.enqueue(first, [(shard[0], Selection(picks), "<a@x>")], NOW, None)
    tuesday = SourceReport(
        "arxiv",
        (
            announcement(3, paper=paper(3, doi="10.5555/one", title="A New Name")),
            announcement(4, paper=paper(4, title=bare.title)),
            announcement(5, paper=paper(5, title=f"{title}s")),
            announcement(6, paper=paper(6, id=PaperId("doi:10.5555/six"), doi="10.5555/six", title=third.title)),
        ),
    )
    second = editions.freeze(LAB, TODAY + timedelta(days=1), NOW + timedelta(days=1), [tuesday], merge, ())
    sent = editions.already_sent(shard, editions.candidates(second), {}, second)
    assert sent == {shard[0].id: {paper(3).id: TODAY, paper(4).id: TODAY}}


def test_what_never_arrived_may_come_again(database: Database) -> None:
    """Papers of a bounced delivery were seen by nobody, and another list's sendings are no news of this one."""
    editions, people = Editions(database), Subscribers(database)
    people.synchronise(LAB, [subscriber(1)])
    first = freeze(database, 1)
    (shard,) = editions.recipients(first)
    editions.enqueue(first, [(shard[0], selection(1), "<a@x>")], NOW, None)
    with database.write() as connection:
        connection.execute(sa.update(schema.deliveries).values(status=DeliveryStatus.BOUNCED))
    again = [report(1, source="huggingface")]
    second = editions.freeze(LAB, TODAY + timedelta(days=1), NOW + timedelta(days=1), again, merge, ())
    assert editions.already_sent(shard, editions.candidates(second), {}, second) == {}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_failed_statement_names_the_file(database: Database) -> None:
    """Trouble of the database is a StoreError with the file's name and advice."""
    with pytest.raises(StoreError, match=r"digest\.db: no such table: nowhere; "), database.read() as connection:
        connection.execute(sa.text("SELECT * FROM nowhere"))


def test_a_sources_papers_are_known_to_the_next_pull(database: Database) -> None:
    """Each source's papers of late, with their latest day; other lists' and old ones are not among them."""
    papers = Papers(database)
    papers.record(LAB, [report(1, 2)], NOW)
    papers.record(LAB, [report(9)], NOW - timedelta(days=40))
    papers.record(ListId("other"), [report(3)], NOW)
    again = announcement(1, announce_type=AnnounceType.REPLACE, announced_on=TODAY + timedelta(days=1))
    papers.record(LAB, [SourceReport("arxiv", (again,)), report(4, source="journal")], NOW)
    assert papers.announced(LAB, NOW - timedelta(days=14)) == {
        "arxiv": {paper(1).id: TODAY + timedelta(days=1), paper(2).id: TODAY},
        "journal": {paper(4).id: TODAY},
    }


def test_the_last_answer_of_an_address_is_remembered(database: Database) -> None:
    """A new answer takes the place of the old one; what nobody asked for in a month is dropped; readers add nothing."""
    later = NOW + timedelta(days=40)
    first, second = (Remembered(f'"{n}"', "", b"feed" * n, "text/xml", NOW) for n in (1, 2))
    fetches = Fetches(database, lambda: NOW)
    assert fetches.recall("https://a.example/x") is None
    fetches.remember("https://a.example/x", first)
    fetches.remember("https://a.example/x", second)
    assert fetches.recall("https://a.example/x") == second
    Fetches(database, lambda: later, keep=False).remember("https://b.example/", first)
    assert fetches.recall("https://b.example/") is None
    Fetches(database, lambda: later).remember("https://b.example/", first)
    assert fetches.recall("https://a.example/x") is None
    assert fetches.recall("https://b.example/") == first


def test_a_damaged_answer_is_named_until_the_next(database: Database) -> None:
    """Whoever asks for it is told; a new one is kept in its place."""
    fetches, answer = Fetches(database, lambda: NOW), Remembered('"1"', "", b"feed", "text/xml", NOW)
    fetches.remember("https://a.example/x", answer)
    with database.write() as connection:
        connection.execute(sa.update(schema.fetches).values(body=b"\0"))
    with pytest.raises(StoreError, match=r".: it is damaged \(.+\); the next takes its place"):
        fetches.recall("https://a.example/x")
    fetches.remember("https://a.example/x", answer)
    assert fetches.recall("https://a.example/x") == answer


def test_how_each_source_was_is_known_without_an_edition(database: Database) -> None:
    """The last pull counts; a failure remembers when the source was last good; a source that is gone is forgotten."""
    sources, later = Sources(database), NOW + timedelta(hours=1)
    good, bad = (
        SourceSummary("b", 3, 2, coverage=(Coverage("cs.CV", 2, 3),), announced=(TODAY,)),
        SourceSummary("a", 0, 0),
    )
    sources.record(LAB, [good, bad, SourceSummary("gone", 1, 1)], NOW)
    assert [h.summary.source for h in sources.health(LAB)] == ["b", "a", "gone"]
    failed = SourceSummary("b", 0, 0, error="answered 503", look_again_at=later)
    new = SourceSummary("new", 0, 0, error="no such host")
    sources.record(LAB, [failed, bad, new], later)
    assert sources.health(LAB) == (
        SourceHealth(failed, later, NOW),
        SourceHealth(bad, later, later),
        SourceHealth(new, later, None),
    )
    assert sources.health(ListId("other")) == ()


def test_vectors_are_kept_by_model_and_text(database: Database) -> None:
    """What was put is got, of the same model alone; more keys than one statement binds are no trouble."""
    vectors, many = (
        Vectors(database, lambda: NOW),
        {bytes([n // 250, n % 250]): bytes([n % 250]) * 768 for n in range(1200)},
    )
    vectors.put("model", many)
    vectors.put("model", {})
    assert vectors.get("model", [*many, b"unknown"]) == many
    assert vectors.get("model", []) == {}
    assert vectors.get("another model", list(many)) == {}


def test_vectors_that_nobody_asked_for_in_a_season_are_dropped(database: Database) -> None:
    """Whoever is asked for now and then stays, without a write for each reading; the rest goes with a later put."""

    def at(days: int) -> Vectors:
        return Vectors(database, lambda: NOW + timedelta(days=days))

    at(0).put("model", {b"used": b"1", b"unused": b"2"})
    at(60).get("model", [b"used"])
    at(100).put("model", {b"new": b"3"})
    assert at(100).get("model", [b"used", b"unused", b"new"]) == {b"used": b"1", b"new": b"3"}


def test_two_writers_of_one_vector_agree(tmp_path: Path) -> None:
    """Eight processes that embed the same text at the same moment disturb nobody, and one vector is kept."""
    open_database(f"sqlite:///{tmp_path}/digest.db").close()
    barrier, errors = Barrier(8), []

    def writer(number: int) -> None:
        database = open_database(f"sqlite:///{tmp_path}/digest.db")
        barrier.wait()
        try:
            Vectors(database, lambda: NOW).put("model", {b"same": b"vector", bytes([number]): b"own"})
        except Exception as error:
            errors.append(error)
        database.close()

    threads = [Thread(target=writer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    database = open_database(f"sqlite:///{tmp_path}/digest.db")
    assert len(Vectors(database, lambda: NOW).get("model", [b"same", *(bytes([n]) for n in range(8))])) == 9
    database.close()


def test_a_database_in_memory_is_one_for_all_threads() -> None:
    """A command without a file of its own reads in a worker thread what it wrote in the main one."""
    database = open_database("sqlite://")
    with ThreadPoolExecutor(3) as pool:
        known = [pool.submit(Papers(database).known, (PaperId("arxiv:1"),)) for _ in range(9)]
    assert [answer.result() for answer in known] == [{}] * 9
    database.close()


REMARKS = st.builds(
    Remark,
    st.sampled_from(Says),
    st.lists(st.text(), max_size=3).map(tuple),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=2).map(tuple),
    st.none() | st.dates(),
)


@given(REMARKS)
def test_a_remark_is_read_back_as_it_was(remark: Remark) -> None:
    """In a reason and in a near miss, whatever is empty in it."""
    pick = Pick(paper(1).id, 0.5, 0.4, 0.1, (Reason(ReasonKind.TOPIC, remark, 0.4),))
    whole = Selection((pick,), (NearMiss(pick, remark),))
    assert decode(encode(whole), Selection) == whole


def test_what_was_frozen_in_english_is_read_as_written() -> None:
    """Reasons and near misses of the editions before remarks were data."""
    frozen = (
        '{"near_misses":[{"missing":"2nd of 1","pick":{"paper_id":"x","relevance":0.4,"score":0.5,"trend":0.1}}],'
        '"picks":[{"paper_id":"x","reasons":[{"kind":"topic","text":"video: diffusion","weight":0.4}],'
        '"relevance":0.4,"score":0.5,"trend":0.1}]}'
    )
    read = decode(frozen, Selection)
    assert read.picks[0].reasons == (Reason(ReasonKind.TOPIC, Remark(Says.WRITTEN, ("video: diffusion",)), 0.4),)
    assert read.near_misses[0].missing == Remark(Says.WRITTEN, ("2nd of 1",))


def test_a_subscribers_language_is_kept_and_follows_the_config(database: Database) -> None:
    """It comes from the config, and goes when it is taken out of it."""
    subscribers = Subscribers(database)
    for language in ("de-AT", None, "fr"):
        subscribers.synchronise(LAB, [Subscriber(SubscriberId(0), Address("ada@example.org"), language=language)])
        assert [s.language for s in subscribers.reachable(LAB)] == [language]


@pytest.mark.parametrize("asked", ["ÅSTRÖM", "åström", "Åström", "ström Walks"])
def test_the_archive_is_searched_in_either_case(database: Database, asked: str) -> None:
    """Also beyond ASCII, whose capitals the databases do not know."""
    by = paper(1, title="Walks", authors=("Åsa Åström",))
    announced = SourceReport("arxiv", (announcement(paper=by), announcement(2)))
    Editions(database).freeze(LAB, TODAY, NOW, [announced], merge, ())
    found = Archive(database, LAB).search(asked.split(), 9)
    assert [candidate.paper.id for candidate, _ in found] == [by.id]


@pytest.mark.parametrize("asked", ["%", "_str_m", "/"])
def test_what_is_searched_is_no_pattern(database: Database, asked: str) -> None:
    """A word is looked for as it is written."""
    freeze(database, 1)
    assert Archive(database, LAB).search([asked], 9) == ()
