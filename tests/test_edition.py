"""What an edition takes of what was announced."""

from __future__ import annotations

from digest.edition import draft, merge_wanted
from digest.model import AnnounceType, Source, SourceKind, SourceReport
from digest.pull.dedupe import merge
from digest.store import Papers, open_database
from tests.factories import NOW, TODAY, announcement, mailing_list, paper, report

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


def test_fresh_is_what_no_edition_has_used() -> None:
    """What an earlier pull had recorded is still new to the edition."""
    database = open_database("sqlite://")
    papers, lab = Papers(database), mailing_list()
    papers.record(lab.id, [report(1)], NOW)
    made = draft(lab, papers, None, [report(1, 2), SourceReport("journal")], (), merge, TODAY, NOW)
    assert [(s.source, s.received, s.fresh) for s in made.summaries] == [("arxiv", 2, 2), ("journal", 0, 0)]
    assert len(made.candidates) == 2
    database.close()
