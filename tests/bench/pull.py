"""What reading recorded real data costs and yields. Prints figures, asserts nothing.

Run it with `python tests/bench/pull.py`, all parts, or with the letters of some, `python tests/bench/pull.py cd`:

a. every file: read by the reader of its kind; entries against feedparser's own; the slowest
b. the nasty feeds: entries, a note or an error; the slowest
c. titles of the listings in which no TeX is left, and the others
d. the listed papers cleaned and deduplicated: time and memory of a quarter, a half and all of them

The data is looked for in `$DIGEST_RECORDED`, else in `../shared/data` beside the project.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import itertools
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import feedparser

from digest.errors import SourceError
from digest.ids import paper_id
from digest.model import Announcement, AnnounceType, Paper, Source, SourceKind, SourceReport, Window
from digest.pull import pull
from digest.pull.clean import readable
from digest.pull.dedupe import merge
from digest.pull.http import Fetcher
from digest.pull.withdrawn import is_withdrawn

ROOT = Path(__file__).resolve().parents[2]
RECORDED = Path(os.environ.get("DIGEST_RECORDED", ROOT.parent / "shared" / "data"))
NOW = datetime(2026, 6, 10, 7, tzinfo=UTC)
KINDS = {
    "arxiv_rss": SourceKind.ARXIV,
    "arxiv_atom": SourceKind.FEED,
    "hf_daily/days": SourceKind.HUGGINGFACE,
    "hf_daily/odd": SourceKind.HUGGINGFACE,
    "feeds/api_json/biorxiv": SourceKind.BIORXIV,
    "feeds/api_json/crossref": SourceKind.CROSSREF,
    "feeds/api_json/openalex": SourceKind.OPENALEX,
    "feeds/api_json/openreview": SourceKind.OPENREVIEW,
    "feeds/api_json/pubmed": SourceKind.PUBMED,
    "feeds/api_json/s2_": SourceKind.SEMANTIC_SCHOLAR,
    "feeds/api_json": None,
    "feeds": SourceKind.FEED,
}
"""Who reads the files whose path begins so; the first that fits. None: nobody."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How one file was read; `of_feedparser` counts the entries that feedparser finds, where the file is a feed."""

    name: str
    kind: SourceKind
    report: SourceReport
    seconds: float
    of_feedparser: int | None

    @property
    def entries(self) -> int:
        """Entries announced, rejected by name, or skipped."""
        return len(self.report.announcements) + len(self.report.rejected) + self.report.skipped


def kind_of(name: str) -> SourceKind | None:
    """Return whose file this is, by its path below the recorded data."""
    if name.endswith((".csv", ".md")):
        return None
    return next((kind for start, kind in KINDS.items() if name.startswith(start)), None)


def files() -> list[Path]:
    """Return every recorded file."""
    return sorted(path for path in RECORDED.rglob("*") if path.is_file())


async def read_all() -> tuple[list[Reading], list[str]]:
    """Read every file that has a reader, one after the other; return also the names of those that have none."""
    readings, others = [], []
    async with Fetcher() as fetcher:
        for path in files():
            name = path.relative_to(RECORDED).as_posix()
            kind = kind_of(name)
            if not kind:
                others.append(name)
                continue
            source = Source(kind, name, path.as_uri())
            start = time.perf_counter()
            try:
                (report,) = await pull((source,), Window(None, NOW), fetcher, now=NOW)
            except SourceError as error:
                report = SourceReport(name, error=str(error))
            seconds = time.perf_counter() - start
            is_feed = kind in (SourceKind.ARXIV, SourceKind.FEED)
            found = len(feedparser.parse(io.BytesIO(path.read_bytes())).entries) if is_feed else None
            readings.append(Reading(name, kind, report, seconds, found))
    return readings, others


def every_file(readings: list[Reading], others: list[str]) -> None:
    """Print part a."""
    print("a. every file")
    for kind, group in itertools.groupby(sorted(readings, key=lambda r: r.kind), key=lambda r: r.kind):
        of_kind = list(group)
        failed = [r for r in of_kind if r.report.error]
        crashed = [r for r in failed if "bug" in (r.report.error or "")]
        line = f"   {kind:16}{len(of_kind):4} files, {sum(r.entries for r in of_kind):6} entries"
        line += f", {sum(len(r.report.rejected) for r in of_kind)} of them rejected; {len(failed)} with an error"
        print(f"{line}, {len(crashed)} crashes" if crashed else line)
        for reading in crashed or ([] if kind == SourceKind.FEED else failed):
            print(f"      {reading.name}: {reading.report.error}")
    feeds = [r for r in readings if r.of_feedparser is not None]
    fewer = [r for r in feeds if r.entries < (r.of_feedparser or 0)]
    print(
        f"   feeds: {sum(r.entries for r in feeds)} entries, feedparser {sum(r.of_feedparser or 0 for r in feeds)};"
        f" files with fewer than feedparser: {len(fewer)}"
    )
    for reading in fewer:
        print(f"      {reading.name}: {reading.entries} of {reading.of_feedparser}: {reading.report.error}")
    slowest = max(readings, key=lambda r: r.seconds)
    print(f"   slowest: {slowest.name} {slowest.seconds:.2f} s for {slowest.entries} entries")
    folders = Counter(name.rpartition("/")[0] or "." for name in others)
    print(f"   not for a reader: {', '.join(f'{folder} {count}' for folder, count in sorted(folders.items()))}")


def nasty_feeds(readings: list[Reading]) -> None:
    """Print part b."""
    print("b. nasty feeds")
    for folder in ("feedparser", "feed-rs"):
        here = [r for r in readings if r.name.startswith(f"feeds/nasty/{folder}/")]
        outcomes = Counter(outcome(r.report) for r in here)
        slowest = max(here, key=lambda r: r.seconds)
        told = ", ".join(f"{count} {word}" for word, count in outcomes.most_common())
        print(f"   {folder}: {len(here)} files: {told}; slowest {slowest.seconds:.3f} s")


def outcome(report: SourceReport) -> str:
    """Say in a word what became of a feed."""
    if report.error:
        clear = "\n" not in report.error and "bug" not in report.error
        return "clear error" if clear else f"UNCLEAR: {report.error}"
    if report.announcements:
        return "entries"
    return "all entries rejected by name" if report.rejected else "noted as empty" if report.notes else "SILENT"


def rows() -> Iterator[dict[str, Any]]:
    """Yield the listed papers as they were recorded."""
    for path in sorted((RECORDED / "arxiv_listings").glob("listing_*.jsonl.gz")):
        with gzip.open(path) as lines:
            yield from map(json.loads, lines)


def titles() -> None:
    """Print part c."""
    count = with_tex = 0
    left = []
    for row in rows():
        count += 1
        with_tex += bool(re.search(r"[\\${]", row["title"]))
        title = readable(row["title"])
        if re.search(r"\{|\\[A-Za-z]|\$", title):
            left.append(f"{row['id']} {title}")
    print(f"c. {count} titles, {with_tex} with TeX; free of it {1 - len(left) / count:.4%}; left: {len(left)}")
    for title in left:
        print(f"   {title}")


def announcement(row: dict[str, Any]) -> Announcement:
    """Make an announcement of a listed paper, every text of it cleaned."""
    title, abstract, comment = (readable(row[key] or "") for key in ("title", "summary", "comment"))
    paper = Paper(
        id=paper_id(arxiv=row["id"]),
        title=title,
        abstract=abstract,
        authors=tuple(map(readable, row["authors"])),
        categories=tuple(row["categories"]),
        comment=comment or None,
        withdrawn=is_withdrawn(title, abstract, comment),
    )
    return Announcement(paper, AnnounceType.NEW, None, "listing")


def papers(most: int) -> None:
    """Clean and deduplicate so many listed papers; print one line of JSON."""
    wall, cpu = time.perf_counter(), time.process_time()
    candidates = merge([announcement(row) for row in itertools.islice(rows(), most)])
    figures = {
        "papers": len(candidates),
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "withdrawn": sum(candidate.paper.withdrawn for candidate in candidates),
    }
    print(json.dumps(figures))


def growth() -> None:
    """Print part d, each number of papers in a process of its own."""
    print("d. papers cleaned and deduplicated")
    whole = sum(1 for _ in rows())
    first = 0.0
    for most in (whole // 4, whole // 2, whole):
        output = subprocess.run([sys.executable, __file__, f"--papers={most}"], check=True, stdout=subprocess.PIPE)
        figures = json.loads(output.stdout)
        first = first or figures["cpu"] / most
        print(
            f"   {most:6} papers, {figures['papers']} candidates, {figures['withdrawn']} withdrawn: "
            f"{figures['wall']:.1f} s, {figures['cpu']:.1f} s of CPU, {figures['megabytes']:.0f} MB; "
            f"CPU a paper {figures['cpu'] / most / first:.2f} of the quarter's"
        )


def main(parts: str) -> None:
    """Print the parts whose letters are given."""
    if {"a", "b"} & set(parts):
        readings, others = asyncio.run(read_all())
        if "a" in parts:
            every_file(readings, others)
        if "b" in parts:
            nasty_feeds(readings)
    if "c" in parts:
        titles()
    if "d" in parts:
        growth()


if __name__ == "__main__":
    argument = sys.argv[1] if len(sys.argv) > 1 else "abcd"
    if not (RECORDED / "README.md").is_file():
        sys.exit(f"recorded data not found in {RECORDED}: set DIGEST_RECORDED to its folder")
    if argument.startswith("--papers="):
        papers(int(argument.partition("=")[2]))
    else:
        main(argument)
