"""The answers of services as others recorded them: what each parser finds in each."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from digest.errors import SourceError
from digest.model import Source, SourceKind, Window
from digest.pull import arxiv_api, biorxiv, crossref, openalex, openreview, pubmed, semanticscholar
from digest.pull.conversation import Task
from digest.pull.parsed import Parsed

pytestmark = pytest.mark.recorded

NOW = datetime(2026, 8, 6, 7, tzinfo=UTC)
MODULES = {
    SourceKind.BIORXIV: biorxiv,
    SourceKind.CROSSREF: crossref,
    SourceKind.OPENALEX: openalex,
    SourceKind.OPENREVIEW: openreview,
    SourceKind.PUBMED: pubmed,
    SourceKind.SEMANTIC_SCHOLAR: semanticscholar,
}
FOUND = [  # file, kind, papers, of them with abstract, authors, DOI, date; citations
    ("biorxiv_api.json", SourceKind.BIORXIV, (10, 10, 10, 10, 10, 0)),
    ("crossref_journal_works.json", SourceKind.CROSSREF, (20, 16, 20, 20, 20, 0)),
    ("crossref_radar.json", SourceKind.CROSSREF, (6, 0, 5, 6, 1, 0)),
    ("crossref_with_abstract.json", SourceKind.CROSSREF, (1, 1, 1, 1, 1, 0)),
    ("crossref_works_many_ids_0.json", SourceKind.CROSSREF, (1, 0, 1, 1, 1, 0)),
    ("crossref_works_query.json", SourceKind.CROSSREF, (2, 2, 1, 2, 2, 0)),
    ("openalex_works.json", SourceKind.OPENALEX, (6, 5, 6, 6, 6, 6)),
    ("openreview_notes_2018.json", SourceKind.OPENREVIEW, (2, 2, 2, 0, 2, 0)),
    ("pubmed_efetch.xml", SourceKind.PUBMED, (6, 6, 6, 6, 6, 0)),
    ("s2_batch_with_null.json", SourceKind.SEMANTIC_SCHOLAR, (3, 3, 3, 3, 2, 3)),
    ("s2_recommended.json", SourceKind.SEMANTIC_SCHOLAR, (100, 0, 0, 0, 0, 0)),
    ("s2_references_null_paperid.json", SourceKind.SEMANTIC_SCHOLAR, (17, 0, 0, 0, 0, 0)),
    ("s2_search_2024.json", SourceKind.SEMANTIC_SCHOLAR, (77, 0, 0, 0, 0, 0)),
    ("s2_search_turing.json", SourceKind.SEMANTIC_SCHOLAR, (100, 0, 0, 0, 0, 0)),
]
REFUSED = [
    ("crossref_error_400.json", SourceKind.CROSSREF, "answers: Integer specified as"),
    ("crossref_error_404.txt", SourceKind.CROSSREF, "is no JSON"),
    ("s2_error_400.json", SourceKind.SEMANTIC_SCHOLAR, "answers: No positive paper examples"),
]


def read(path: Path, kind: SourceKind) -> Parsed:
    task = Task(Source(kind, kind.value, url="file:///x"), Window(None, NOW), NOW)
    found: Parsed | tuple[Parsed, str | None] = MODULES[kind].parse(path.read_bytes(), task, where=path.name)
    return found[0] if isinstance(found, tuple) else found


@pytest.mark.parametrize(("name", "kind", "figures"), FOUND)
def test_what_is_found_in_each_answer(
    recorded: Path, name: str, kind: SourceKind, figures: tuple[int, int, int, int, int, int]
) -> None:
    """Every paper of every recorded answer is read, with what it has; none is rejected."""
    parsed = read(recorded / "feeds" / "api_json" / name, kind)
    papers = [a.paper for a in parsed.announcements]
    assert parsed.rejected == ()
    assert figures == (
        len(papers),
        sum(bool(p.abstract) for p in papers),
        sum(bool(p.authors) for p in papers),
        sum(bool(p.doi) for p in papers),
        sum(bool(p.published) for p in papers),
        len(parsed.signals),
    )
    assert not any("<" in p.title or "jats" in p.abstract for p in papers)


@pytest.mark.parametrize(("name", "kind", "said"), REFUSED)
def test_what_is_refused(recorded: Path, name: str, kind: SourceKind, said: str) -> None:
    """Recorded refusals are told in the service's own words."""
    with pytest.raises(SourceError, match=said):
        read(recorded / "feeds" / "api_json" / name, kind)


def test_no_parser_crashes_on_anothers_answer(recorded: Path) -> None:
    """Every recorded file given to every parser is read or refused in one line."""
    tried = 0
    for path in sorted((recorded / "feeds" / "api_json").iterdir()):
        for kind in MODULES:
            try:
                assert isinstance(read(path, kind), Parsed)
            except SourceError as error:
                assert str(error).count("\n") == 0  # noqa: PT017
            tried += 1
    assert tried >= 100


def test_the_answers_of_arxivs_api(recorded: Path) -> None:
    """All recorded answers of arXiv's search API, of 2016 to 2026: papers, the paper called "0", the error."""
    counts = {}
    for path in sorted((recorded / "arxiv_atom").glob("*.xml")):
        if path.name.startswith("error"):
            with pytest.raises(SourceError, match=r"^arXiv reports: incorrect id format for abc$"):
                arxiv_api.parse(path.read_bytes(), where=path.name)
            continue
        page = arxiv_api.parse(path.read_bytes(), where=path.name)
        assert len(page.papers) == page.entries <= max(page.total, page.entries)
        assert all(p.version and p.published and p.primary_category and p.abstract and p.authors for p in page.papers)
        counts[path.name] = (len(page.papers), page.total)
    assert counts["id_2104.12255v1.xml"] == (1, 1)
    assert counts["id_0000.0000_empty.xml"] == (0, 0)
    assert counts["ids_one_unknown.xml"] == (1, 1)
    assert counts["old2016_search_query_au_del_maestro.xml"] == (10, 31)
    assert counts["search_testing_0_100.xml"] == (100, 214881)
    assert sum(found for found, _ in counts.values()) == 234
    (zero,) = arxiv_api.parse((recorded / "arxiv_atom" / "id_2104.12255v1.xml").read_bytes(), where="x").papers
    assert zero.title == "0"
