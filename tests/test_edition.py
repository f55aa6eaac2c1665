"""What an edition takes of what was announced."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from digest.edition import draft, duplicates_for, enqueue_all, merge_wanted, rank_for, select_for
from digest.model import (
    AnnounceType,
    Candidate,
    Change,
    Delivery,
    Edition,
    MailingList,
    Paper,
    PaperId,
    Profile,
    ReasonKind,
    Selection,
    Signal,
    Source,
    SourceKind,
    SourceReport,
    Topic,
    Vote,
)
from digest.pull.dedupe import merge
from digest.rank import Ranker
from digest.render.remarks import english
from digest.store import Database, Editions, Papers, Subscribers
from tests.factories import NOW, TODAY, announcement, mailing_list, paper, report, subscriber

SOURCES = (Source(SourceKind.ARXIV, "arxiv", categories=("cs.CV",)), Source(SourceKind.FEED, "journal", "x.xml"))


def test_what_is_withdrawn_is_no_candidate() -> None:
    """A paper that its authors have withdrawn is not sent as new, whichever source says so."""
    announced = [
        announcement(1),
        announcement(2, paper=paper(2, withdrawn=True)),
        announcement(3),
        announcement(3, "journal", paper=paper(3, withdrawn=True, version=2)),
    ]
    candidates = merge_wanted(merge, SOURCES)(announced, ())
    assert [candidate.paper.id for candidate in candidates] == [paper(1).id]


def test_only_the_wanted_types_are_candidates() -> None:
    """A replacement is not new unless the source is asked for replacements."""
    announced = [announcement(1, announce_type=AnnounceType.REPLACE), announcement(2, announce_type=AnnounceType.CROSS)]
    assert [c.paper.id for c in merge_wanted(merge, SOURCES)(announced, ())] == [paper(2).id]


def test_fresh_is_what_no_edition_has_used(database: Database) -> None:
    """What an earlier pull had recorded is still new to the edition."""
    papers, lab = Papers(database), mailing_list()
    papers.record(lab.id, [report(1)], NOW)
    made = draft(lab, papers, None, [report(1, 2), SourceReport("journal")], (), merge, TODAY, NOW)
    assert [(s.source, s.received, s.fresh) for s in made.summaries] == [("arxiv", 2, 2), ("journal", 0, 0)]
    assert len(made.candidates) == 2


# --- who gets what --------------------------------------------------------------------------------------------------

LAB = mailing_list(min_relevance=0.05)
READERS = (
    subscriber(1),
    subscriber(2, profile=Profile(authors=("Cy Stranger",))),
)


def about_video(number: int, change: str = "", **changes: object) -> Paper:
    """One work about video, under the id of its number; `change` makes another version of its abstract."""
    said = "We generate video by diffusion over whole clips at once, and we keep faces the same from frame to frame"
    return paper(number, title="Whole Clips at Once", abstract=f"{said}{change}.", **changes)


def edition_of(
    database: Database, day: int, *papers: Paper, signals: tuple[Signal, ...] = (), lab: MailingList = LAB
) -> Edition:
    """The edition of a day, frozen and enqueued."""
    announced = tuple(announcement(0, f"source{day}", paper=p) for p in papers)
    editions, now = Editions(database), NOW + timedelta(days=day)
    made = editions.freeze(
        LAB.id, TODAY + timedelta(days=day), now, [SourceReport(f"source{day}", announced, signals)], merge, ()
    )
    asyncio.run(enqueue_all(lab, made, Papers(database), editions, {}, None, now, lambda: False, at_once=True))
    return made


def picked(database: Database, edition: Edition) -> list[list[PaperId]]:
    """What each reader gets of an edition."""
    deliveries: tuple[Delivery, ...] = Editions(database).deliveries(edition)
    return [[pick.paper_id for pick in delivery.picks] for delivery in deliveries]


def selected(database: Database, edition: Edition, library: tuple[Paper, ...] = ()) -> list[Selection]:
    """What would be selected for each reader now."""
    editions, papers, named = Editions(database), Papers(database), {p.id: p for p in library}
    candidates = editions.candidates(edition)
    people = Subscribers(database).reachable(LAB.id)
    duplicates = duplicates_for(papers, candidates, edition.cutoff, named)
    ranker = rank_for(LAB, papers, candidates, [s.profile for s in people], edition.cutoff, named, None)
    sent = editions.already_sent(people, candidates, duplicates, edition)
    by_id = {c.paper.id: c for c in candidates}
    return [chosen for _, chosen in select_for(LAB, edition, ranker, by_id, people, sent, duplicates, {})]


def test_a_near_duplicate_of_what_was_sent_is_not_sent(database: Database) -> None:
    """A second record of a work that one reader has had comes to the other alone; its own new version to nobody."""
    Subscribers(database).synchronise(LAB.id, READERS)
    first = edition_of(database, 0, about_video(1))
    again = about_video(2, ", as we now show on twelve sets", authors=("Cy Stranger", "Ada Example"))
    second = edition_of(
        database, 1, again, about_video(1, version=2), paper(5, abstract="Generating video. Diffusion.")
    )
    assert picked(database, first) == [[paper(1).id], []]
    assert picked(database, second) == [[paper(5).id], [paper(2).id]]
    (hers, _) = selected(database, second)
    told = "nearly the same as “Whole Clips at Once”, which you got on 9 June"
    assert (paper(2).id, told) in [(miss.pick.paper_id, english(miss.missing)) for miss in hers.near_misses]


def test_a_near_duplicate_in_one_edition_is_sent_once(database: Database) -> None:
    """Of two records of one work in one day's sources, one comes."""
    Subscribers(database).synchronise(LAB.id, READERS[:1])
    edition = edition_of(database, 0, about_video(1), about_video(2, ", as we show on twelve sets"))
    assert [len(picks) for picks in picked(database, edition)] == [1]


def test_a_second_record_of_an_example_is_no_news(database: Database) -> None:
    """A reader whose library has a work does not get it under another id."""
    library = (about_video(9, id=PaperId("title:0123456789abcdef")),)
    reader = subscriber(1, profile=Profile(examples=(library[0].id,)))
    Subscribers(database).synchronise(LAB.id, [reader])
    edition = edition_of(database, 0, about_video(1))
    (selection,) = selected(database, edition, library)
    assert selection.picks == ()
    assert [english(m.missing) for m in selection.near_misses] == [
        "nearly the same as “Whole Clips at Once”, which is in your profile"
    ]


def test_an_exploration_is_frozen_with_its_reason(database: Database) -> None:
    """The delivery's last pick says that it explores, and its reasons still add up to its score."""
    Subscribers(database).synchronise(LAB.id, READERS[:1])
    clips = [paper(n, title=f"Clip {'abcdef'[n]}", abstract="Video generation by diffusion.") for n in range(4)]
    near = paper(9, title="Images", abstract="On images and sound and trees and soil and rivers, and once on a video.")
    (ranking,) = Ranker([Candidate(p, ()) for p in (*clips, near)], now=NOW).rank([READERS[0].profile])
    *_, worst, last = (pick.relevance for pick in ranking)
    lab = mailing_list(min_relevance=min(1.9 * last, worst))
    edition = edition_of(database, 0, *clips, near, signals=(Signal(near.id, "upvotes", 400.0, NOW),), lab=lab)
    (delivery,) = Editions(database).deliveries(edition)
    *picks, exploration = delivery.picks
    assert {pick.paper_id for pick in picks} == {clip.id for clip in clips}
    assert (exploration.paper_id, exploration.reasons[0].kind) == (near.id, ReasonKind.EXPLORATION)
    assert sum(reason.weight for reason in exploration.reasons) == pytest.approx(exploration.score)


# --- what stands beside the picks -----------------------------------------------------------------------------------


def test_news_of_named_papers_are_frozen_with_the_delivery(database: Database) -> None:
    """Who has the paper as an example or liked it is told of its new version, though it is no candidate; others not."""
    old, liked = about_video(1, version=1), paper(5, title="Lamps", version=1)
    readers = (
        subscriber(1, profile=Profile((Topic("video", "video by diffusion"),), examples=(old.id,))),
        subscriber(2, profile=Profile((Topic("video", "video by diffusion"),), liked=(Vote(liked.id, NOW),))),
        subscriber(3),
    )
    Subscribers(database).synchronise(LAB.id, readers)
    edition_of(database, 0, old, liked)
    now = NOW + timedelta(days=1)
    replaced = [
        announcement(0, "source1", paper=replace(one, version=2), announce_type=AnnounceType.REPLACE)
        for one in (old, liked)
    ]
    announced = SourceReport(
        "source1", (announcement(0, "source1", paper=paper(7, title="Video by diffusion")), *replaced)
    )
    editions, papers = Editions(database), Papers(database)
    only_new = (Source(SourceKind.FEED, "source1", kinds=(AnnounceType.NEW,)),)
    made = editions.freeze(LAB.id, TODAY + timedelta(days=1), now, [announced], merge_wanted(merge, only_new), ())
    asyncio.run(enqueue_all(LAB, made, papers, editions, {}, None, now, lambda: False, at_once=True))
    told = [[(f.paper.id, f.change, f.detail) for f in d.selection.follow_ups] for d in editions.deliveries(made)]
    assert told == [[(old.id, Change.NEW_VERSION, "2")], [(liked.id, Change.NEW_VERSION, "2")], []]
    assert [c.paper.id for c in editions.candidates(made)] == [paper(7).id]


def test_all_of_a_selection_is_frozen_as_it_was_made(database: Database) -> None:
    """Near misses, what trends and the week are read back with the picks."""
    Subscribers(database).synchronise(LAB.id, READERS[:1])
    clips = [paper(n, title=f"Clip {'abcdef'[n]}", abstract="Video generation by diffusion.") for n in range(3)]
    soil = paper(9, title="Soil", abstract="On earthworms.")
    lab = mailing_list(min_relevance=0.05, papers=1)
    edition = edition_of(database, 0, *clips, soil, signals=(Signal(soil.id, "upvotes", 900.0, NOW),), lab=lab)
    (delivery,) = Editions(database).deliveries(edition)
    assert len(delivery.picks) == 1
    assert {miss.pick.paper_id for miss in delivery.selection.near_misses} == {c.id for c in clips} - {
        delivery.picks[0].paper_id
    }
    assert [pick.paper_id for pick in delivery.selection.trending] == [soil.id]
    assert [topic.name for topic in delivery.selection.week] == [READERS[0].profile.topics[0].name]


def test_the_week_remembers_what_it_said_of_each_day(database: Database) -> None:
    """Today's figure is tomorrow's of yesterday, also of papers of which no source said a day, and of old ones."""
    Subscribers(database).synchronise(LAB.id, READERS[:1])
    weeks = []
    for day, said in enumerate((None, NOW - timedelta(days=90), NOW)):
        clips = [
            paper(10 * day + n, title=f"Clip {day}-{n}: video generation by diffusion", published=said)
            for n in range(3 - day)
        ]
        soil = paper(10 * day + 9, title=f"Soil {day}", abstract=f"On earthworms, part {day}.")
        edition = edition_of(database, day, *clips, soil, lab=mailing_list(min_relevance=0))
        (delivery,) = Editions(database).deliveries(edition)
        weeks += [topic.papers for topic in delivery.selection.week]
    assert weeks == [(0, 0, 0, 0, 0, 0, 3), (0, 0, 0, 0, 0, 3, 2), (0, 0, 0, 0, 3, 2, 1)]
