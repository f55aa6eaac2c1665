"""The JSON APIs (and PubMed's XML) as sources. Every paper here is invented, in the services' own forms."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import SourceError
from digest.model import AnnounceType, Coverage, LinkKind, Paper, Source, SourceKind, Window
from digest.pull import biorxiv, crossref, openalex, openreview, pubmed, semanticscholar
from digest.pull.api import MOST_PAGES
from digest.pull.conversation import Ask, Task
from digest.pull.http import StatusError
from digest.pull.parsed import Parsed
from tests.conversations import hold

NOW = datetime(2026, 6, 10, 7, tzinfo=UTC)
SINCE = datetime(2026, 6, 9, 7, tzinfo=UTC)
MODULES = {
    SourceKind.BIORXIV: biorxiv,
    SourceKind.CROSSREF: crossref,
    SourceKind.OPENALEX: openalex,
    SourceKind.OPENREVIEW: openreview,
    SourceKind.PUBMED: pubmed,
    SourceKind.SEMANTIC_SCHOLAR: semanticscholar,
}


def task(kind: SourceKind, **fields: Any) -> Task:
    more = {key: fields.pop(key) for key in ("contact", "api_key") if key in fields}
    return Task(Source(kind, kind.value, **({"query": "video"} | fields)), Window(SINCE, NOW), NOW, **more)


def question(wanted: Ask) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(wanted.url).query).items()}


def read(kind: SourceKind, body: object, **fields: Any) -> Parsed:
    """Read one answer of a service."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found: Parsed | tuple[Parsed, str | None] = MODULES[kind].parse(raw, task(kind, **fields), where="x")
    return found[0] if isinstance(found, tuple) else found


def only(parsed: Parsed) -> Paper:
    (announcement,) = parsed.announcements
    assert parsed.rejected == ()
    return announcement.paper


S2_PAPER = {
    "paperId": "abc", "title": "An <i>Invented</i> Paper", "abstract": "We invent.",
    "authors": [{"authorId": "1", "name": "Ada Example"}], "externalIds": {"ArXiv": "2606.90001", "DOI": "10.5555/INV"},
    "publicationDate": "2026-06-09", "venue": "Journal of Inventions", "url": "https://s2.example/abc",
    "citationCount": 7, "openAccessPdf": None,
}  # fmt: skip
WORK = {
    "DOI": "10.5555/inv.2", "title": ["Invented Work"], "subtitle": ["A Subtitle"], "type": "journal-article",
    "abstract": "<jats:title>Abstract</jats:title><jats:p>We <jats:italic>invent</jats:italic>.</jats:p>",
    "author": [{"given": "Ada", "family": "Example"}, {"name": "The Inventors"}],
    "published-online": {"date-parts": [[2026, 6, 9]]}, "container-title": ["Inventions"],
    "URL": "https://doi.example/2",
}  # fmt: skip
OPENALEX_WORK = {
    "id": "https://openalex.org/W1", "doi": "https://doi.org/10.48550/arxiv.2606.90003", "title": "Invented",
    "publication_date": "2026-06-09", "authorships": [{"author": {"display_name": "Ada Example"}}],
    "abstract_inverted_index": {"We": [0, 2], "invent.": [3], "invent,": [1]}, "is_retracted": False,
    "cited_by_count": 3, "primary_location": {"source": {"display_name": "arXiv"}, "pdf_url": None},
}  # fmt: skip
PREPRINT = {
    "title": "Invented preprint", "authors": "Example, A.; Inventor, B.", "doi": "10.64898/2026.06.09.1",
    "date": "2026-06-09", "version": "1", "type": "new results", "category": "neuroscience", "abstract": "We invent.",
    "server": "bioRxiv", "published": "NA",
}  # fmt: skip
NOTE = {
    "id": "n1", "forum": "n1", "pdate": 1781000000000,
    "content": {
        "title": {"value": "Invented submission"}, "abstract": {"value": "We invent."},
        "authors": {"value": ["Ada Example"]}, "keywords": {"value": ["video"]}, "TLDR": {"value": "Inventing."},
        "pdf": {"value": "/pdf/x.pdf"}, "venue": {"value": "Inv 2026"}, "venueid": {"value": "inv.cc/2026/Conference"},
    },
}  # fmt: skip
RECORD = b"""<?xml version="1.0" ?>
<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle" "https://dtd.nlm.example/pubmed.dtd"><PubmedArticleSet>
<PubmedArticle><MedlineCitation><PMID>41</PMID><Article><Journal><JournalIssue><PubDate><MedlineDate>2026 Spring
</MedlineDate></PubDate></JournalIssue><Title>Inventions</Title></Journal><ArticleTitle>An <i>invented</i> record.
</ArticleTitle><ELocationID EIdType="doi">10.5555/INV.4</ELocationID><Abstract>
<AbstractText Label="METHODS">We invent.</AbstractText><AbstractText Label="RESULTS">It is new.</AbstractText>
</Abstract>
<AuthorList><Author><LastName>Example</LastName><ForeName>Ada</ForeName></Author>
<Author><CollectiveName>The Inventors</CollectiveName></Author></AuthorList>
<ArticleDate><Year>2026</Year><Month>06</Month><Day>9</Day></ArticleDate></Article>
<KeywordList><Keyword>video</Keyword></KeywordList></MedlineCitation></PubmedArticle></PubmedArticleSet>"""


def test_semantic_scholar() -> None:
    """A paper of the search with ids, figures and links; an arXiv id goes before a DOI."""
    parsed = read(SourceKind.SEMANTIC_SCHOLAR, {"total": 1, "token": None, "data": [S2_PAPER, None]})
    paper = only(parsed)
    assert (paper.id, paper.title, paper.abstract) == ("arxiv:2606.90001", "An Invented Paper", "We invent.")
    assert (paper.doi, paper.authors, paper.journal_ref) == ("10.5555/inv", ("Ada Example",), "Journal of Inventions")
    assert parsed.announcements[0].announced_on == date(2026, 6, 9)
    assert [(s.paper_id, s.name, s.value) for s in parsed.signals] == [(paper.id, "citations", 7)]


@pytest.mark.parametrize(
    "answer",
    [{"recommendedPapers": [S2_PAPER]}, {"offset": 0, "data": [{"citedPaper": S2_PAPER}]}, [S2_PAPER, None]],
)
def test_semantic_scholars_other_answers(answer: object) -> None:
    """Recommendations, references and batches hold the same papers."""
    assert only(read(SourceKind.SEMANTIC_SCHOLAR, answer)).id == "arxiv:2606.90001"


def test_crossref() -> None:
    """JATS and lists are read, a heading is dropped, and a subtitle belongs to the title."""
    paper = only(read(SourceKind.CROSSREF, {"status": "ok", "message": {"items": [WORK], "total-results": 1}}))
    assert (paper.id, paper.title, paper.abstract) == ("doi:10.5555/inv.2", "Invented Work: A Subtitle", "We invent.")
    assert (paper.authors, paper.journal_ref) == (("Ada Example", "The Inventors"), "Inventions")
    assert paper.published == datetime(2026, 6, 9, tzinfo=UTC)
    assert only(read(SourceKind.CROSSREF, {"status": "ok", "message": WORK})).id == paper.id


@pytest.mark.parametrize("parts", [[[2026]], [[None]], [[2026, 13, 1]], [[2026, None, 3]], [], "2026", [["2026", "6"]]])
def test_a_date_that_is_no_date(parts: object) -> None:
    """A year alone or a broken date is left out, never guessed."""
    work = {**WORK, "published-online": {"date-parts": parts}}
    assert only(read(SourceKind.CROSSREF, {"status": "ok", "message": {"items": [work]}})).published is None


def test_openalex() -> None:
    """The abstract is put together from its index; arXiv's DOI is the arXiv id; a retracted work is marked."""
    parsed = read(SourceKind.OPENALEX, {"meta": {"next_cursor": None}, "results": [OPENALEX_WORK]})
    paper = only(parsed)
    assert (paper.id, paper.doi, paper.abstract) == ("arxiv:2606.90003", None, "We invent, We invent.")
    assert [s.value for s in parsed.signals] == [3]
    retracted = only(read(SourceKind.OPENALEX, {"results": [{**OPENALEX_WORK, "is_retracted": True}]}))
    assert (paper.withdrawn, retracted.withdrawn) == (False, True)


@pytest.mark.parametrize("index", [{"x": [10**12]}, {"x": ["0"]}, {"x": [-1]}, {"x": None}, [], "x", {"x": [True]}])
def test_an_abstract_index_that_is_none(index: object) -> None:
    """A place in the far distance is no bomb, and no word."""
    work = {**OPENALEX_WORK, "abstract_inverted_index": index}
    assert only(read(SourceKind.OPENALEX, {"results": [work]})).abstract == ""


def test_biorxiv() -> None:
    """Version 1 is new, later ones replace; subjects are compared without case; what is withdrawn is marked."""
    rows = [PREPRINT, {**PREPRINT, "version": "3", "type": "withdrawn"}, {**PREPRINT, "category": "Ecology"}]
    answer = {"messages": [{"status": "ok", "cursor": 0, "total": "3"}], "collection": rows}
    parsed = read(SourceKind.BIORXIV, answer, categories=("Neuroscience",))
    first, third = parsed.announcements
    assert (first.announce_type, third.announce_type) == (AnnounceType.NEW, AnnounceType.REPLACE)
    assert (first.paper.version, third.paper.version) == (1, 3)
    assert (first.paper.withdrawn, third.paper.withdrawn) == (False, True)
    assert first.paper.authors == ("A. Example", "B. Inventor")
    assert [link.url for link in first.paper.links] == [
        "https://www.biorxiv.org/content/10.64898/2026.06.09.1v1",
        "https://www.biorxiv.org/content/10.64898/2026.06.09.1v1.full.pdf",
        "https://doi.org/10.64898/2026.06.09.1",
    ]
    assert parsed.rejected == ()


def test_biorxiv_is_counted() -> None:
    """Pages follow one another by rows, and the source knows whether all of it came."""

    def give(wanted: Ask) -> bytes:
        assert wanted.url.startswith("https://api.biorxiv.org/details/biorxiv/2026-06-09/2026-06-10/")
        cursor = int(wanted.url.rpartition("/")[2])
        rows = [{**PREPRINT, "doi": f"10.64898/{n}"} for n in range(cursor, min(cursor + 2, 5))]
        return json.dumps({"messages": [{"status": "ok", "cursor": cursor, "total": "5"}], "collection": rows}).encode()

    parsed, asked = hold(biorxiv.converse(task(SourceKind.BIORXIV)), give)
    assert [wanted.url.rpartition("/")[2] for wanted in asked] == ["0", "2", "4"]
    assert (len(parsed.announcements), parsed.coverage) == (5, (Coverage("", 5, 5),))


def test_a_quiet_day_of_biorxiv() -> None:
    """No posts is no error; other refusals are told."""
    quiet = {"messages": [{"status": "no posts found"}], "collection": []}
    assert read(SourceKind.BIORXIV, quiet) == Parsed()
    with pytest.raises(SourceError, match="answers: Error: interval"):
        read(SourceKind.BIORXIV, {"messages": [{"status": "Error: interval"}], "collection": []})


def test_openreview() -> None:
    """A submission of version 2 and one of version 1 are the same; reviews are passed over."""
    plain = {**NOTE, "content": {key: field["value"] for key, field in NOTE["content"].items()}}  # type: ignore[attr-defined]
    review = {
        "id": "r",
        "forum": "n1",
        "replyto": "n1",
        "content": {"title": {"value": "A review"}, "rating": {"value": 6}},
    }
    for note in (NOTE, plain):
        paper = only(read(SourceKind.OPENREVIEW, {"notes": [note, review], "count": 2}))
        assert (paper.title, paper.authors, paper.keywords) == ("Invented submission", ("Ada Example",), ("video",))
        assert (paper.tldr, paper.journal_ref, paper.withdrawn) == ("Inventing.", "Inv 2026", False)
        assert [(link.kind, link.url) for link in paper.links] == [
            (LinkKind.ABS, "https://openreview.net/forum?id=n1"), (LinkKind.PDF, "https://openreview.net/pdf/x.pdf"),
        ]  # fmt: skip
    content = {**NOTE["content"], "venueid": {"value": "inv.cc/2026/Conference/Withdrawn_Submission"}}  # type: ignore[dict-item]
    assert only(read(SourceKind.OPENREVIEW, {"notes": [{**NOTE, "content": content}]})).withdrawn


def test_pubmed() -> None:
    """Labels of a structured abstract stay, a season is no date, and a group is an author."""
    paper = only(read(SourceKind.PUBMED, RECORD))
    assert (paper.id, paper.title) == ("doi:10.5555/inv.4", "An invented record")
    assert paper.abstract == "METHODS: We invent. RESULTS: It is new."
    assert (paper.authors, paper.keywords) == (("Ada Example", "The Inventors"), ("video",))
    assert paper.published == datetime(2026, 6, 9, tzinfo=UTC)
    assert paper.links[0].url == "https://pubmed.ncbi.nlm.nih.gov/41"
    undated = RECORD.replace(b"ArticleDate>", b"OtherDate>")
    assert only(read(SourceKind.PUBMED, undated)).published is None


def test_pubmed_is_asked_twice() -> None:
    """First for ids, then for their records, two hundred at a time; both name tool, contact and key."""

    def give(wanted: Ask) -> bytes:
        asked = question(wanted)
        assert (asked["tool"], asked["email"], asked["api_key"]) == ("papers-digest", "a@example.org", "k")
        if "esearch" in wanted.url:
            assert (asked["term"], asked["mindate"], asked["maxdate"]) == ("video", "2026/06/09", "2026/06/10")
            return json.dumps({"esearchresult": {"count": "9000", "idlist": [str(n) for n in range(450)]}}).encode()
        return RECORD

    parsed, asked = hold(pubmed.converse(task(SourceKind.PUBMED, contact="a@example.org", api_key="k")), give)
    assert [len(question(wanted)["id"].split(",")) for wanted in asked[1:]] == [200, 200, 50]
    assert len(parsed.announcements) == 3
    assert parsed.notes == ("450 of 9,000 papers were taken",)


def test_an_xml_bomb_is_no_record() -> None:
    """Entities are not expanded, files are not read."""
    entities = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname"><!ENTITY b "&a;&a;">]>'
    record = RECORD[RECORD.index(b"<PubmedArticleSet>") :]
    bomb = entities + record.replace(b"We invent", b"&a;&b;")
    assert only(read(SourceKind.PUBMED, bomb)).abstract == "METHODS: &a;&b;. RESULTS: It is new."


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        (
            SourceKind.SEMANTIC_SCHOLAR, {"token": "t", "data": [S2_PAPER]},
            {"token": None, "data": [{**S2_PAPER, "externalIds": None}]},
        ),
        (
            SourceKind.OPENALEX, {"meta": {"next_cursor": "c"}, "results": [OPENALEX_WORK]},
            {"meta": {"next_cursor": "d"}, "results": []},
        ),
        (
            SourceKind.CROSSREF, {"status": "ok", "message": {"next-cursor": "c", "items": [WORK] * 100}},
            {"status": "ok", "message": {"next-cursor": "d", "items": [WORK]}},
        ),
    ],
)  # fmt: skip
def test_pages_are_turned_to_the_end(kind: SourceKind, first: object, second: object) -> None:
    """The second page is asked for with what the first one named, and is the last."""
    given = iter([first, second])
    converse = MODULES[kind].converse
    parsed, asked = hold(converse(task(kind)), lambda _: json.dumps(next(given)).encode())
    assert len(asked) == 2
    assert {"token": "t", "cursor": "c"}.items() & question(asked[1]).items()
    assert parsed.error is None
    assert parsed.announcements


def test_pages_have_a_bound() -> None:
    """A service that goes on for ever is left, with a remark."""
    answer = json.dumps({"token": "t", "data": [S2_PAPER]}).encode()
    parsed, asked = hold(semanticscholar.converse(task(SourceKind.SEMANTIC_SCHOLAR)), lambda _: answer)
    assert len(asked) == MOST_PAGES
    assert parsed.notes == (f"more than {MOST_PAGES} pages: the rest was left out",)


def test_keys_and_contact_go_where_the_services_want_them() -> None:
    """Semantic Scholar wants a header, OpenAlex and Crossref parameters."""

    def asked(kind: SourceKind, **fields: Any) -> Ask:
        empty = {"data": [], "results": [], "status": "ok", "message": {"items": []}, "notes": []}
        converse = MODULES[kind].converse
        return hold(converse(task(kind, **fields)), lambda _: json.dumps(empty).encode())[1][0]

    assert asked(SourceKind.SEMANTIC_SCHOLAR, api_key="k").headers == (("x-api-key", "k"),)
    assert asked(SourceKind.SEMANTIC_SCHOLAR).headers == ()
    there = question(asked(SourceKind.OPENALEX, api_key="k", contact="a@example.org"))
    assert (there["api_key"], there["mailto"]) == ("k", "a@example.org")
    there = question(asked(SourceKind.CROSSREF, journals=("0028-0836",), query=None, contact="https://x.example"))
    assert there["filter"] == "from-created-date:2026-06-09,until-created-date:2026-06-10,issn:0028-0836"
    assert "mailto" not in there
    there = question(asked(SourceKind.OPENREVIEW, venue="inv.cc/2026/Conference"))
    assert there["content.venueid"] == "inv.cc/2026/Conference"


@pytest.mark.parametrize("kind", [kind for kind in MODULES if kind is not SourceKind.PUBMED])
def test_a_failure_is_told_and_what_came_is_kept(kind: SourceKind) -> None:
    """A refusal, a page of HTML, an empty body and JSON of somebody else are one clear line each."""
    converse = MODULES[kind].converse
    for fault in (StatusError("x answered 429", 429), b"<html>", b"", b'{"a": 1}', b"[1", b'{"error": "bad query"}'):
        parsed, _ = hold(converse(task(kind)), lambda _, fault=fault: fault)  # type: ignore[misc]
        assert parsed.error
        assert "\n" not in parsed.error
        assert "bug in digest" not in parsed.error
        assert not parsed.announcements


def test_one_bad_entry_is_a_rejection() -> None:
    """Entries that are no objects, have no title or nonsense in their fields are named; the others are whole."""
    bad = [{"paperId": "b"}, "text", 7, {**S2_PAPER, "paperId": "c", "authors": 5}, {**S2_PAPER, "externalIds": "x"}]
    parsed = read(SourceKind.SEMANTIC_SCHOLAR, {"data": [S2_PAPER, *bad]})
    assert len(parsed.announcements) == 1
    assert [r.entry for r in parsed.rejected] == ["b", "entry 3", "entry 4", "c", "abc"]


def test_a_file_is_asked_for_once() -> None:
    """A file of one's own is read as an answer, whatever it says of further pages."""
    own = task(SourceKind.SEMANTIC_SCHOLAR, url="file:///own.json")
    parsed, asked = hold(
        semanticscholar.converse(own), lambda _: json.dumps({"token": "t", "data": [S2_PAPER]}).encode()
    )
    assert [wanted.url for wanted in asked] == ["file:///own.json"]
    assert len(parsed.announcements) == 1
    folder = replace(own, files=((date(2026, 6, 9), "file:///a"), (date(2026, 6, 10), "file:///b")))
    _, asked = hold(semanticscholar.converse(folder), lambda _: b'{"data": []}')
    assert [wanted.url for wanted in asked] == ["file:///a", "file:///b"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**15) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
FORMS: list[tuple[SourceKind, Callable[[Any], Any], dict[str, Any]]] = [
    (SourceKind.SEMANTIC_SCHOLAR, lambda entry: {"data": [entry]}, S2_PAPER),
    (SourceKind.CROSSREF, lambda entry: {"status": "ok", "message": {"items": [entry]}}, WORK),
    (SourceKind.OPENALEX, lambda entry: {"results": [entry]}, OPENALEX_WORK),
    (SourceKind.BIORXIV, lambda entry: {"messages": [entry], "collection": [entry]}, PREPRINT),
    (SourceKind.OPENREVIEW, lambda entry: {"notes": [entry]}, NOTE),
]


@given(st.sampled_from(FORMS), JSON, JSON, st.data())
def test_nonsense_in_any_place_is_an_error_or_a_rejection(
    form: tuple[SourceKind, Callable[[Any], Any], dict[str, Any]], one: Any, other: Any, data: st.DataObject
) -> None:
    """Any JSON value in any place of an answer gives a SourceError or a Parsed, nothing else."""
    kind, wrap, entry = form
    key = data.draw(st.sampled_from(sorted(entry)))
    for answer in (wrap({**entry, key: one}), wrap(one), one, {**wrap(entry), "meta": other, "token": one}):
        try:
            parsed = read(kind, answer)
        except SourceError:
            continue
        assert isinstance(parsed, Parsed)
