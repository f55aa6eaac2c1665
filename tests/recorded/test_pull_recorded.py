"""The source modules on recorded real feeds. Each test prints its figures (`pytest -s`)."""

import asyncio
import csv
import gzip
import io
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import feedparser
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digest.errors import SourceError
from digest.model import AnnounceType, Source, SourceKind, Window
from digest.pull import arxiv, feeds, huggingface, pull
from digest.pull.clean import readable
from digest.pull.dedupe import merge
from digest.pull.http import Fetcher
from digest.pull.parsed import Parsed
from digest.pull.withdrawn import is_withdrawn

pytestmark = pytest.mark.recorded

NOW = datetime(2026, 6, 10, 7, tzinfo=UTC)
ARXIV = Source(SourceKind.ARXIV, "arXiv", categories=("stat",))
DAILY = Source(SourceKind.HUGGINGFACE, "Daily Papers")
FEED = Source(SourceKind.FEED, "feed")


def feed_files(recorded: Path, *folders: str) -> list[Path]:
    """Every feed of these folders, and none of the tables about them."""
    return sorted(
        path
        for folder in folders
        for path in (recorded / folder).rglob("*")
        if path.is_file() and path.suffix != ".csv"
    )


def test_the_whole_announcement_of_a_day(recorded: Path) -> None:
    """The complete answer of 26 March 2024 gives its 123 announcements, each whole."""
    body = (recorded / "arxiv_rss" / "rss2_stat_2024-03-26.xml").read_bytes()
    parsed = arxiv.parse(body, ARXIV, where="stat")
    assert Counter(a.announce_type for a in parsed.announcements) == {
        AnnounceType.NEW: 35,
        AnnounceType.CROSS: 27,
        AnnounceType.REPLACE: 41,
        AnnounceType.REPLACE_CROSS: 20,
    }
    assert not parsed.rejected
    assert {str(a.announced_on) for a in parsed.announcements} == {"2024-03-26"}
    for paper in (a.paper for a in parsed.announcements):
        assert paper.version
        assert paper.authors
        assert paper.primary_category
        assert len(paper.abstract) > 100
        assert not paper.abstract.startswith(("arXiv:", "Abstract"))
        assert not re.search(r"\\['\"`^~]", paper.title + "".join(paper.authors))


@pytest.mark.parametrize("part", [0.3, 0.7, 0.99])
def test_a_day_cut_short(recorded: Path, part: float) -> None:
    """A real feed cut anywhere keeps all entries before the cut, unchanged, and says so."""
    body = (recorded / "arxiv_rss" / "rss2_stat_2024-03-26.xml").read_bytes()
    whole = arxiv.parse(body, ARXIV, where="stat").announcements
    cut = body[: int(len(body) * part)]
    parsed = arxiv.parse(cut, ARXIV, where="stat")
    assert parsed.announcements == whole[: cut.count(b"</item>")]
    assert parsed.error


def test_other_arxiv_feeds_are_read(recorded: Path) -> None:
    """Trimmed, malformed, retired and third parties' arXiv feeds give what the data's own table says."""
    counts = {
        path.name: len(arxiv.parse(path.read_bytes(), ARXIV, where=path.name).announcements)
        for path in feed_files(recorded, "arxiv_rss")
    }
    print(counts)
    assert counts["dzdydx_2025-08-05_malformed.xml"] == 114
    assert counts["toseic_2025-03-11.xml"] == 101
    assert counts["toseic_2024-12-22.xml"] == 0
    assert counts["rss2_cs.AI_2026-04-27_trimmed.xml"] == 3


def test_every_day_of_daily_papers(recorded: Path) -> None:
    """All 368 days of three generations of the format are read without a loss, and upvotes are not zero."""
    with (recorded / "hf_daily" / "INDEX.csv").open() as index:
        expected = {row["day"]: int(row["papers"]) for row in csv.DictReader(index)}
    counts, upvotes = {}, 0.0
    for path in sorted((recorded / "hf_daily" / "days").glob("*.json.gz")):
        parsed = huggingface.parse(gzip.decompress(path.read_bytes()), DAILY, where=path.name, now=NOW)
        assert not parsed.rejected
        assert all(a.announced_on and a.paper.published and a.paper.abstract for a in parsed.announcements)
        counts[path.name.partition(".")[0]] = len(parsed.announcements)
        upvotes += sum(s.value for s in parsed.signals if s.name == "upvotes")
    assert counts == expected
    assert upvotes > 0
    print(f"{len(counts)} days, {sum(counts.values())} papers, {upvotes:.0f} upvotes")


def test_a_publishers_feed(recorded: Path) -> None:
    """Nature's feed gives its 75 entries with DOI, date and an abstract free of its bibliography."""
    body = (recorded / "feeds" / "publishers" / "nature_rdf_2023-04.xml").read_bytes()
    papers = [a.paper for a in feeds.parse(body, FEED, where="nature").announcements]
    assert len(papers) == 75
    assert all(p.doi and p.published and p.id.startswith("doi:10.1038/") for p in papers)
    assert not any("Published online" in p.abstract for p in papers)


def test_dates_that_a_parser_would_misread(recorded: Path) -> None:
    """German dates and those with the year first are the days that they say: here in the second half of 2021."""
    folder = recorded / "feeds" / "publishers"
    for name in ("ojs_entomology_german_dates.xml", "cnjournals_odd_dates.xml"):
        parsed = feeds.parse((folder / name).read_bytes(), FEED, where=name)
        assert parsed.announcements
        assert all(
            a.paper.published and datetime(2021, 6, 1, tzinfo=UTC) < a.paper.published for a in parsed.announcements
        )
        assert all(a.announced_on and str(a.announced_on) < "2022" for a in parsed.announcements)
    chinese = feeds.parse((folder / "cnjournals_odd_dates.xml").read_bytes(), FEED, where="journal")
    assert str(chinese.announcements[0].announced_on) == "2021-10-16"


WHAT_PUBLISHERS_GIVE = {
    # entries, and of these with abstract, authors, DOI and date
    "biorxiv_plant_rdf_2019.xml": (30, 30, 30, 30, 30),
    "cambridge_canent_atom.xml": (15, 13, 13, 15, 15),
    "cnjournals_odd_dates.xml": (10, 0, 10, 0, 10),
    "cnki_ahr.xml": (20, 20, 20, 0, 20),
    "jstage_empty_atom.xml": (0, 0, 0, 0, 0),
    "nature_rdf_2023-04.xml": (75, 69, 61, 75, 75),
    "ojs_entomology_atom.xml": (9, 9, 9, 0, 9),
    "ojs_entomology_german_dates.xml": (9, 9, 9, 0, 9),
    "ojs_jott_rdf.xml": (27, 26, 27, 27, 27),
    "ojs_phytotaxa_rdf.xml": (8, 6, 8, 8, 8),
    "oup_zoolinnean.xml": (14, 14, 14, 14, 14),
    "pensoft_zookeys_rss091.xml": (100, 99, 100, 100, 100),
    "pubmed_search_rss.xml": (15, 15, 15, 15, 15),
    "schweizerbart_nova_hedwigia.xml": (10, 10, 9, 0, 10),
    "sciencedirect_mpe.xml": (51, 0, 50, 0, 0),
    "tandf_zme_rdf.xml": (13, 0, 13, 13, 13),
    "treebase_rdf.xml": (3, 3, 0, 0, 0),
    "wiley_taxon.xml": (66, 28, 63, 66, 66),
    "zoobank_hst_dates.xml": (79, 79, 0, 0, 79),
    "chem_sci.xml": (98, 0, 97, 98, 98),
    "chemrxiv.xml": (150, 147, 0, 150, 150),
    "eur_j_med_chem.xml": (100, 0, 100, 0, 100),
    "jacs_au.xml": (99, 14, 0, 99, 99),
}


@pytest.mark.parametrize("name", WHAT_PUBLISHERS_GIVE)
def test_what_each_publisher_gives_is_found(recorded: Path, name: str) -> None:
    """Of each publisher's feed all abstracts, authors, DOIs and dates that are in it are found."""
    folder = "publishers" if (recorded / "feeds" / "publishers" / name).is_file() else "mirrored"
    papers = [
        a.paper for a in feeds.parse((recorded / "feeds" / folder / name).read_bytes(), FEED, where=name).announcements
    ]
    found = [(p.abstract, p.authors, p.doi, p.published) for p in papers]
    assert (len(papers), *(sum(map(bool, column)) for column in zip(*found, strict=True))) == WHAT_PUBLISHERS_GIVE[
        name
    ][: 5 if papers else 1]
    assert not any(re.search(r"[<>@\d]|\b(?:and|et al)\b", author) for p in papers for author in p.authors)
    assert not any(len(p.doi or "") > 60 for p in papers)


def test_names_are_not_torn(recorded: Path) -> None:
    """Where a publisher writes surnames first, one field is one author, first name first."""
    body = (recorded / "feeds" / "publishers" / "cambridge_canent_atom.xml").read_bytes()
    authors = [len(a.paper.authors) for a in feeds.parse(body, FEED, where="journal").announcements]
    assert sum(authors) == body.count(b"<dc:creator>")


def test_every_feed_is_read_or_refused(recorded: Path) -> None:
    """Of each feed as many entries are accounted for as feedparser finds, or it is refused clearly; none hangs."""
    outcomes: Counter[str] = Counter()
    slowest = (0.0, "")
    folders = ("publishers", "mirrored", "hf_rss", "general", "nasty", "api_json")
    for path in feed_files(recorded, *(f"feeds/{folder}" for folder in folders)) + feed_files(recorded, "arxiv_atom"):
        body = path.read_bytes()
        start = time.process_time()
        try:
            parsed = feeds.parse(body, FEED, where=path.name)
        except SourceError as error:
            parsed = Parsed(error=str(error))
        seconds = time.process_time() - start
        slowest = max(slowest, (seconds, path.name))
        assert len(parsed.announcements) + len(parsed.rejected) >= len(feedparser.parse(io.BytesIO(body)).entries)
        assert parsed.announcements or parsed.rejected or parsed.notes or parsed.error
        if parsed.error:
            assert path.name in parsed.error
            assert "\n" not in parsed.error
        outcomes["entries" if parsed.announcements else "no usable entries" if not parsed.error else "error"] += 1
    print(dict(outcomes), f"slowest: {slowest[1]} {slowest[0]:.2f} s of CPU")
    assert outcomes["entries"] > 130
    assert slowest[0] < 5  # it takes a fiftieth; a machine may be slow, but this is no time for a feed


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_real_feeds_spliced_and_cut(recorded: Path, data: st.DataObject) -> None:
    """Two real feeds of any kind, cut anywhere and put together, are read or refused by every reader."""
    paths = feed_files(recorded, "arxiv_rss", "arxiv_atom", "feeds/publishers", "feeds/nasty/feed-rs")
    paths = [path for path in paths if path.stat().st_size < 50_000]
    one, other = (data.draw(st.sampled_from(paths)).read_bytes() for _ in range(2))
    body = one[: data.draw(st.integers(0, len(one)))] + other[data.draw(st.integers(0, len(other))) :]
    for parse, source in ((feeds.parse, FEED), (arxiv.parse, ARXIV)):
        try:
            parsed = parse(body, source, where="spliced")
        except SourceError as error:
            parsed = Parsed(error=str(error))
        assert all(a.paper.title for a in parsed.announcements)


NOT_WITHDRAWN = {
    "1002.1718", "1208.6501", "1905.1115100000002", "physics/0010017", "physics/0201036", "707.0091", "707.0156",
    "1308.4842", "1006.4642", "1408.2863",
}  # fmt: skip
"""Of the sample, by its own ids, the papers that use the word otherwise: of bids, fluids, earlier versions."""


def test_withdrawn_papers_are_told_from_papers_that_use_the_word(recorded: Path) -> None:
    """Of 228 records with the word, read by hand, all 218 withdrawn ones are found and no other."""
    with (recorded / "arxiv_listings" / "withdrawn_sample.jsonl").open() as lines:
        records = [json.loads(line) for line in lines]
    marked = {r["arxiv_id"] for r in records if is_withdrawn(r["title"], r["abstract"], r["comments"])}
    every = {r["arxiv_id"] for r in records}
    assert len(every) == 228
    assert every - marked == NOT_WITHDRAWN


def test_no_listed_paper_is_taken_for_withdrawn(recorded: Path) -> None:
    """Of 24,155 papers of one spring, some about withdrawing and retracting, none was withdrawn when it was listed."""
    marked = [row["id"] for row in listed(recorded) if is_withdrawn(row["title"], row["summary"], row["comment"])]
    assert marked == []


def listed(recorded: Path) -> Iterator[dict[str, Any]]:
    """Every listed paper."""
    for path in sorted((recorded / "arxiv_listings").glob("listing_*.jsonl.gz")):
        with gzip.open(path) as lines:
            yield from map(json.loads, lines)


def test_titles_of_the_listings_hold_no_tex(recorded: Path) -> None:
    """In 99 of 100 titles nothing of TeX is left, nor in 95 of 100 of those that had some."""
    titles = [row["title"] for row in listed(recorded)]
    with_tex = [title for title in titles if re.search(r"[\\${]", title)]
    left = [title for title in map(readable, titles) if re.search(r"\{|\\[A-Za-z]|\$", title)]
    print(f"{len(titles)} titles, {len(with_tex)} with TeX, left: {left}")
    assert len(left) < 0.01 * len(titles)
    assert len(left) < 0.05 * len(with_tex)


def test_a_whole_pull_of_three_kinds(recorded: Path) -> None:
    """arXiv, a day of Daily Papers and a journal are pulled together and merged."""
    sources = (
        Source(SourceKind.ARXIV, "arXiv", (recorded / "arxiv_rss" / "rss2_stat_2024-03-26.xml").as_uri()),
        Source(SourceKind.HUGGINGFACE, "Daily", (recorded / "hf_daily" / "days").as_uri()),
        Source(SourceKind.FEED, "Nature", (recorded / "feeds" / "publishers" / "nature_rdf_2023-04.xml").as_uri()),
    )
    window = Window(datetime(2026, 4, 10, tzinfo=UTC), datetime(2026, 4, 16, 12, tzinfo=UTC))

    async def work() -> None:
        async with Fetcher() as fetcher:
            reports = await pull(sources, window, fetcher, now=NOW)
        assert not any(r.error for r in reports)
        assert reports[1].notes == (f"no file for 2026-04-11…2026-04-12 in {recorded}/hf_daily/days",)
        announcements = [a for r in reports for a in r.announcements]
        candidates = merge(announcements, [s for r in reports for s in r.signals])
        twice = next(c for c in candidates if c.paper.id == "arxiv:2604.07429")
        assert len(twice.sightings) == 2  # listed on the 10th and again on the 16th
        assert len(candidates) < len(announcements)
        assert [s.name for s in twice.signals][:2] == ["upvotes", "comments"]

    asyncio.run(work())
