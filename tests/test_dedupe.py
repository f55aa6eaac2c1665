"""Announcements merged into candidates, and the ids that decide it."""

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.ids import (
    arxiv_id,
    arxiv_links,
    doi_id,
    doi_link,
    find_arxiv_id,
    find_doi,
    keys_of,
    paper_id,
    same,
    title_id,
    title_key,
)
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


LONG = "Short walks on very long graphs"


def journal(doi: str = "10.1/x", title: str = LONG, author: str = "Ann Lee") -> Paper:
    """A paper as its publisher knows it."""
    return Paper(id=doi_id(doi), title=title, doi=doi, authors=(author,))


def preprint(number: int = 1, title: str = LONG, author: str = "Ann Lee", doi: str | None = None) -> Paper:
    """A paper as arXiv knows it."""
    return Paper(id=PaperId(f"arxiv:2606.0000{number}"), title=title, doi=doi, authors=(author,))


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        (preprint(), journal(title="SHORT walks on very-long graphs."), True),
        (preprint(), journal(author="A. Lee"), True),
        (preprint(), journal(author="Lee A"), True),
        (preprint(), journal(author="Bo Lee"), False),
        (preprint(), journal(author="Ann Li"), False),
        (preprint(title="VBench"), journal(title="VBench"), False),
        (
            preprint(title="VBench: many tests of moving pictures"),
            journal(title="VBench++: many tests of moving pictures II"),
            False,
        ),
        (preprint(doi="10.1/x"), journal(title="Other words"), True),
        (preprint(doi="10.1/y"), journal(), False),
        (journal("10.1/x"), journal("10.1/y"), False),
        (journal("10.1/x", "Letter to the editor"), journal("10.1/y", "Letter to the editor"), False),
        (preprint(1), preprint(2), False),
        (preprint(1, doi="10.1/x"), preprint(2, doi="10.1/x"), False),
        (journal("10.26434/chemrxiv-2026-a1b2c/v1"), journal("10.26434/chemrxiv-2026-a1b2c/v2"), True),
        (Paper(title_id(LONG, "Ann Lee"), LONG, authors=("Ann Lee",)), journal(author="A. Lee"), True),
        (Paper(title_id("VBench", "Ann Lee"), "VBench", authors=("Ann Lee",)), preprint(title="VBench"), True),
        (Paper(title_id("VBench", "Ann Lee"), "VBench", authors=("Ann Lee",)), preprint(title="VBench++ II"), False),
        (Paper(title_id("VBench"), "VBench"), preprint(title="VBench"), False),
    ],
)
def test_what_makes_two_records_one_paper(one: Paper, other: Paper, are_one: bool) -> None:
    """The best kind of key that both have decides, in one edition as across editions."""
    assert same(keys_of(one), keys_of(other)) is are_one
    assert same(keys_of(other), keys_of(one)) is are_one
    for order in permutations([one, other]):
        assert len(merge(seen(paper) for paper in order)) == (1 if are_one else 2)


def test_a_preprint_takes_one_doi_by_its_title() -> None:
    """Of two journals' records with its title an arXiv paper takes the first, and then knows its DOI."""
    candidates = merge([seen(preprint()), seen(journal("10.1/x")), seen(journal("10.1/y"))])
    assert [(c.paper.id, c.paper.doi) for c in candidates] == [("arxiv:2606.00001", "10.1/x"), ("doi:10.1/y", "10.1/y")]


def test_a_paper_is_known_again_on_another_day() -> None:
    """What was sent by its DOI on Monday has a key in common with arXiv's record of Tuesday and with both merged."""
    monday, tuesday = journal(), preprint()
    (both,) = merge([seen(monday), seen(tuesday)])
    for paper in (monday, tuesday):
        assert same(keys_of(both.paper), keys_of(paper))


def test_a_merged_paper_has_what_either_record_had() -> None:
    """Summary, keywords, organisation and picture of one record are the paper's."""
    daily = replace(
        DAILY, tldr="It walks.", keywords=("walks",), organisation="Exam", thumbnail="https://x.example/1.png"
    )
    (candidate,) = merge([seen(ARXIV), seen(daily, "Daily")])
    paper = candidate.paper
    assert (paper.tldr, paper.keywords, paper.organisation) == ("It walks.", ("walks",), "Exam")
    assert paper.thumbnail == "https://x.example/1.png"


@pytest.mark.parametrize(
    ("versions", "withdrawn"),
    [
        ([(1, False), (2, True)], True),
        ([(1, True), (2, False)], False),
        ([(2, False), (None, True)], True),
        ([(2, True), (2, False)], True),
        ([(1, False), (None, False)], False),
    ],
)
def test_the_newest_record_says_whether_a_paper_is_withdrawn(
    versions: list[tuple[int | None, bool]], withdrawn: bool
) -> None:
    """A withdrawn paper stays, marked if any newest record or one without a version says so."""
    records = [replace(ARXIV, version=version, withdrawn=marked) for version, marked in versions]
    for order in permutations(records):
        (candidate,) = merge(seen(paper) for paper in order)
        assert candidate.paper.withdrawn is withdrawn


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


def record(kind: str, number: int, title: str, author: str | None, doi: str | None, version: int | None) -> Paper:
    """A record of a paper as some source could have it."""
    authors = (author,) if author else ()
    doi = f"10.1/{number}" if kind == "doi" else doi if kind == "arxiv" else None
    identifier = {"arxiv": PaperId(f"arxiv:{number}"), "doi": PaperId(f"doi:10.1/{number}")}.get(kind)
    return Paper(id=identifier or title_id(title, author or ""), title=title, authors=authors, doi=doi, version=version)


PAPERS = st.builds(
    record,
    st.sampled_from(["arxiv", "doi", "title"]),
    st.sampled_from([1, 2]),
    st.sampled_from(["Walks", LONG, LONG.upper()]),
    st.sampled_from([None, "Ann Lee", "A. Lee"]),
    st.sampled_from([None, "10.1/1", "10.1/2"]),
    st.sampled_from([None, 1, 2]),
)


@settings(deadline=None)
@given(PAPERS, PAPERS)
def test_two_records_merge_if_they_are_the_same(one: Paper, other: Paper) -> None:
    """Within an edition holds what holds across editions."""
    assert (len(merge([seen(one), seen(other)])) == 1) is same(keys_of(one), keys_of(other))


@settings(deadline=None)
@given(st.lists(st.builds(seen, PAPERS, st.sampled_from("xyz")), max_size=12))
def test_merging_loses_and_doubles_nothing(announcements: list[Announcement]) -> None:
    """Ids are unique, and every source that announced something is seen."""
    candidates = merge(announcements)
    ids = [c.paper.id for c in candidates]
    assert len(ids) == len(set(ids))
    assert {s.source for c in candidates for s in c.sightings} == {a.source for a in announcements}


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
    assert paper_id(doi="10.21203/rs.3.rs-1/v3") == "doi:10.21203/rs.3.rs-1"
    assert paper_id(doi="10.26434/chemrxiv-2026-a1b2c-v2") == "doi:10.26434/chemrxiv-2026-a1b2c"
    assert paper_id(doi="10.20944/preprints202606.0001.v1") == "doi:10.20944/preprints202606.0001"
    assert paper_id(doi="10.1/abc-v2") == "doi:10.1/abc-v2"


def test_a_title_is_a_key_only_if_it_tells_papers_apart() -> None:
    """Short titles and titles without an author are no key."""
    assert title_key("Four words are enough", "Ann Lee") == title_key("FOUR words—are enough!", "Lee A")
    assert title_key("Three are not", "Ann Lee") is None
    assert title_key("Four words are enough", "") is None
