"""The source modules on recorded real feeds. Each test prints its figures (`pytest -s`)."""

import asyncio
import csv
import gzip
import json
import re
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from digest.errors import SourceError
from digest.model import AnnounceType, Source, SourceKind, Window
from digest.pull import arxiv, feeds, huggingface, pull
from digest.pull.clean import readable
from digest.pull.dedupe import merge
from digest.pull.http import Fetcher

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


def test_archives_written_as_python_are_refused(recorded: Path) -> None:
    """The two odd files hold Python's notation in strings: an error that says so."""
    for path in (recorded / "hf_daily" / "odd").iterdir():
        with pytest.raises(SourceError, match="holds strings instead of papers"):
            huggingface.parse(path.read_bytes(), DAILY, where=path.name, now=NOW)


def test_a_publishers_feed(recorded: Path) -> None:
    """Nature's feed gives its 75 entries with DOI, date and an abstract free of its bibliography."""
    body = (recorded / "feeds" / "publishers" / "nature_rdf_2023-04.xml").read_bytes()
    papers = [a.paper for a in feeds.parse(body, FEED, where="nature").announcements]
    assert len(papers) == 75
    assert all(p.doi and p.published and p.id.startswith("doi:10.1038/") for p in papers)
    assert not any("Published online" in p.abstract for p in papers)


def test_dates_that_cannot_be_trusted(recorded: Path) -> None:
    """German weekdays and slashed dates give no date; the date that feedparser would misread is not there."""
    folder = recorded / "feeds" / "publishers"
    for name in ("ojs_entomology_german_dates.xml", "cnjournals_odd_dates.xml"):
        parsed = feeds.parse((folder / name).read_bytes(), FEED, where=name)
        assert parsed.announcements
        assert not any(a.paper.published for a in parsed.announcements)


def test_every_feed_is_read_or_refused(recorded: Path) -> None:
    """Publishers', mirrored, general and nasty feeds give entries, a note or one clear error; none hangs."""
    outcomes: Counter[str] = Counter()
    slowest = (0.0, "")
    folders = ("publishers", "mirrored", "hf_rss", "general", "nasty", "api_json")
    for path in feed_files(recorded, *(f"feeds/{folder}" for folder in folders)) + feed_files(recorded, "arxiv_atom"):
        start = time.process_time()
        try:
            parsed = feeds.parse(path.read_bytes(), FEED, where=path.name)
        except SourceError as error:
            fault = str(error)
            outcomes["error" if path.name in fault and "\n" not in fault else f"unclear error: {fault}"] += 1
        else:
            assert parsed.announcements or parsed.rejected or parsed.notes or parsed.error
            outcomes["entries" if parsed.announcements else "no usable entries"] += 1
        slowest = max(slowest, (time.process_time() - start, path.name))
    print(dict(outcomes), f"slowest: {slowest[1]} {slowest[0]:.2f} s of CPU")
    assert set(outcomes) == {"entries", "no usable entries", "error"}
    assert outcomes["entries"] > 100


def test_titles_of_the_listings_hold_no_tex(recorded: Path) -> None:
    """In 99 of 100 titles with TeX nothing of it is left; cleaning all abstracts too takes seconds."""
    start = time.process_time()
    titles = with_tex = 0
    left = []
    for path in sorted((recorded / "arxiv_listings").glob("listing_*.jsonl.gz")):
        with gzip.open(path) as lines:
            for line in lines:
                row = json.loads(line)
                titles += 1
                with_tex += bool(re.search(r"[\\${]", row["title"]))
                title = readable(row["title"])
                readable(row["summary"])
                if re.search(r"\{|\\[A-Za-z]|\$", title):
                    left.append(title)
    print(f"{titles} titles, {with_tex} with TeX, left: {left}; {time.process_time() - start:.1f} s of CPU")
    assert len(left) < 0.01 * titles
    assert len(left) < 0.05 * with_tex


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
