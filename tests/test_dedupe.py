"""Announcements merged into candidates, and the ids that decide it."""

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.ids import arxiv_id, arxiv_links, doi_link, find_arxiv_id, find_doi, paper_id, title_id
from digest.model import Announcement, AnnounceType, Link, LinkKind, Paper, PaperId, Sighting, Signal
from digest.pull.dedupe import merge

DAY = date(2026, 6, 10)
EARLY = datetime(2026, 6, 10, 7, tzinfo=UTC)
LATE = datetime(2026, 6, 10, 9, tzinfo=UTC)

ARXIV = Paper(
    id=PaperId("arxiv:2606.00001"),
    title="Walking graphs",
    abstract="Short.",
    authors=("Ann Lee",),
    version=1,
    categories=("cs.LG", "stat.ML"),
    primary_category="cs.LG",
    links=arxiv_links("2606.00001"),
)
DAILY = Paper(
    id=PaperId("arxiv:2606.00001"),
    title="Walking Graphs!",
    abstract="Short, and then some.",
    authors=("Ann Lee", "Bo Li"),
    published=datetime(2026, 6, 8, tzinfo=UTC),
    links=(
        *arxiv_links("2606.00001"),
        Link(LinkKind.HUGGINGFACE, "https://huggingface.co/papers/2606.00001"),
        Link(LinkKind.CODE, "https://github.com/example/walk"),
    ),
)


def seen(paper: Paper, source: str = "arXiv", kind: AnnounceType = AnnounceType.NEW) -> Announcement:
    return Announcement(paper, kind, DAY, source)


def test_one_paper_of_two_sources_is_one_candidate() -> None:
    """The record of arXiv leads, the other fills it; sightings and links of both are kept."""
    (candidate,) = merge([seen(DAILY, "Daily"), seen(ARXIV)])
    paper = candidate.paper
    assert (paper.title, paper.version, paper.primary_category) == ("Walking graphs", 1, "cs.LG")
    assert paper.categories == ("cs.LG", "stat.ML")
    assert (paper.abstract, paper.authors) == ("Short.", ("Ann Lee", "Bo Li"))
    assert paper.published == datetime(2026, 6, 8, tzinfo=UTC)
    assert [link.kind for link in paper.links] == [
        LinkKind.ABS,
        LinkKind.PDF,
        LinkKind.HTML,
        LinkKind.CODE,
        LinkKind.HUGGINGFACE,
    ]
    assert [s.source for s in candidate.sightings] == ["Daily", "arXiv"]


def test_versions_and_cross_lists_are_one_paper() -> None:
    """The highest version wins, whichever comes first; the same announcement twice is one sighting."""
    second = replace(ARXIV, version=2, title="Walking graphs, again")
    (candidate,) = merge([seen(ARXIV), seen(second, kind=AnnounceType.REPLACE), seen(ARXIV), seen(ARXIV, "mirror")])
    assert (candidate.paper.version, candidate.paper.title) == (2, "Walking graphs, again")
    assert candidate.sightings == (
        Sighting("arXiv", AnnounceType.NEW, DAY),
        Sighting("arXiv", AnnounceType.REPLACE, DAY),
        Sighting("mirror", AnnounceType.NEW, DAY),
    )


def test_a_doi_and_an_arxiv_id_of_one_paper_meet() -> None:
    """A paper known by its DOI in a journal's feed is arXiv's paper with that DOI, in either order."""
    journal = Paper(id=PaperId("doi:10.1/x"), title="Walking Graphs", doi="10.1/x", links=(doi_link("10.1/x"),))
    preprint = replace(ARXIV, doi="10.1/X")
    for order in permutations([seen(journal, "Journal"), seen(preprint)]):
        (candidate,) = merge(order)
        assert (candidate.paper.id, candidate.paper.doi, candidate.paper.title) == (ARXIV.id, "10.1/X", ARXIV.title)
        assert LinkKind.DOI in {link.kind for link in candidate.paper.links}


def test_two_arxiv_ids_with_one_doi_stay_two() -> None:
    """A DOI does not make one paper of two arXiv ids; the journal's record goes to the first of them."""
    one, two = replace(ARXIV, doi="10.1/x"), replace(ARXIV, id=PaperId("arxiv:2606.00002"), doi="10.1/x")
    journal = Paper(id=PaperId("doi:10.1/x"), title="J", doi="10.1/x")
    candidates = merge([seen(one), seen(two), seen(journal, "Journal")])
    assert [(c.paper.id, len(c.sightings)) for c in candidates] == [(one.id, 2), (two.id, 1)]


def test_a_paper_with_nothing_but_its_title_meets_the_one_with_an_id() -> None:
    """Title and first author make the same paper only if they are exactly the same, signs and case apart."""
    bare = Paper(id=title_id("WALKING graphs.", "Ann Lee"), title="WALKING graphs.", authors=("Ann Lee",))
    other = Paper(id=title_id("Walking graphs", "Jo Day"), title="Walking graphs", authors=("Jo Day",))
    candidates = merge([seen(bare, "Feed"), seen(ARXIV), seen(other, "Feed")])
    assert [c.paper.id for c in candidates] == [ARXIV.id, other.id]


def test_near_equal_titles_stay_two() -> None:
    """VBench and VBench++ are two papers."""
    pair = [Paper(id=title_id(t, "Z. Huang"), title=t, authors=("Z. Huang",)) for t in ("VBench", "VBench II")]
    signs = [Paper(id=title_id(t), title=t) for t in ("???", "!!!")]
    assert len(merge(seen(p) for p in (*pair, *signs))) == 4


def test_of_a_figure_the_latest_counts() -> None:
    """Of one paper and name the latest observation is kept, of equal times the highest; strangers' are dropped."""
    journal = PaperId("doi:10.1/x")
    signals = [
        Signal(ARXIV.id, "upvotes", 9, EARLY),
        Signal(ARXIV.id, "upvotes", 5, LATE),
        Signal(journal, "upvotes", 7, LATE),
        Signal(ARXIV.id, "stars", 3, EARLY),
        Signal(PaperId("arxiv:9999.99999"), "stars", 3, EARLY),
    ]
    (candidate,) = merge([seen(replace(ARXIV, doi="10.1/x"))], signals)
    assert candidate.signals == (Signal(ARXIV.id, "upvotes", 7, LATE), Signal(ARXIV.id, "stars", 3, EARLY))


def test_nothing_makes_nothing() -> None:
    """No announcements, no candidates."""
    assert merge([], [Signal(ARXIV.id, "stars", 3, EARLY)]) == ()


PAPERS = st.builds(
    Paper,
    id=st.sampled_from(["arxiv:1", "arxiv:2", "doi:10.1/x", "doi:10.1/y", title_id("A", "B")]).map(PaperId),
    title=st.sampled_from(["A", "C"]),
    authors=st.sampled_from([(), ("B",)]),
    doi=st.sampled_from([None, "10.1/x", "10.1/Y"]),
    version=st.sampled_from([None, 1, 2]),
)


@settings(deadline=None)
@given(st.lists(st.builds(seen, PAPERS, st.sampled_from("xyz"))))
def test_merging_loses_and_doubles_nothing(announcements: list[Announcement]) -> None:
    """Ids are unique, every source that announced something is seen; with ids only, the merged merge to themselves."""
    candidates = merge(announcements)
    ids = [c.paper.id for c in candidates]
    assert len(ids) == len(set(ids))
    assert {s.source for c in candidates for s in c.sightings} == {a.source for a in announcements}
    if not any(a.paper.id.startswith("title:") for a in announcements):
        assert [c.paper for c in merge(seen(c.paper) for c in candidates)] == [c.paper for c in candidates]


def test_twenty_thousand_papers_merge_while_one_waits() -> None:
    """The cost grows with the number of papers, not with its square: this would otherwise not end."""
    papers = [replace(ARXIV, id=PaperId(f"arxiv:{n}"), doi=f"10.1/{n}", title=f"T{n}") for n in range(20_000)]
    journals = [Paper(id=PaperId(f"doi:10.1/{n}"), title=f"T{n}", doi=f"10.1/{n}") for n in range(20_000)]
    assert len(merge([seen(p) for p in (*papers, *journals)])) == 20_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2403.15527v1", ("2403.15527", 1)),
        ("arXiv:2403.15527", ("2403.15527", None)),
        ("oai:arXiv.org:hep-th/9901001v12", ("hep-th/9901001", 12)),
        ("oai:arXiv.org:oai:arXiv.org:2508.00864v1", ("2508.00864", 1)),
        ("math.GT/0309136", ("math/0309136", None)),
        ("2403.155", None),
        ("10.1038/2403.15527", None),
        ("", None),
    ],
)
def test_arxiv_ids(text: str, found: tuple[str, int | None] | None) -> None:
    """New and old ids are read with and without prefix and version."""
    assert arxiv_id(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://arxiv.org/pdf/2403.15527v3.pdf", ("2403.15527", 3)),
        ("http://arxiv.org/abs/hep-th/9901001", ("hep-th/9901001", None)),
        ("10.48550/arXiv.2403.15527", ("2403.15527", None)),
        ("https://huggingface.co/papers/2403.15527", ("2403.15527", None)),
        ("https://journal.example/articles/2403.15527", None),
        ("https://arxiv.org/list/cs.CV/new", None),
    ],
)
def test_arxiv_ids_inside_addresses(text: str, found: tuple[str, int | None] | None) -> None:
    """An id counts only where arXiv is named before it."""
    assert find_arxiv_id(text) == found


@pytest.mark.parametrize(
    ("text", "doi"),
    [
        ("doi:10.1038/S41586-023-01288-2.", "10.1038/s41586-023-01288-2"),
        ("https://doi.org/10.1016%2Fj.x.2026.1", "10.1016/j.x.2026.1"),
        ("(10.1000/abc(1)2)", "10.1000/abc(1)2"),
        ("10.1000/", None),
        ("version 10.4 / 7", None),
    ],
)
def test_dois(text: str, doi: str | None) -> None:
    """A DOI is found in lower case, without the signs that follow it."""
    assert find_doi(text) == doi


def test_ids_in_order_of_trust() -> None:
    """An arXiv id goes before a DOI, a before a title; arXiv's own DOIs are arXiv ids."""
    assert paper_id(arxiv="2403.1", doi="10.1/x", title="T") == "arxiv:2403.1"
    assert paper_id(doi="10.48550/arxiv.2403.15527") == "arxiv:2403.15527"
    assert paper_id(doi="10.1/X", title="T") == "doi:10.1/x"
    assert paper_id(title="Ünï, codé!", first_author="A") == title_id("uni code", "a")
    assert title_id("T", "A") != title_id("T", "B")
