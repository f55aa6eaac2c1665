"""Real papers: most revisions are known again by their words alone, and hardly any two papers are taken for one."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from digest.model import Paper, PaperId
from digest.rank import near_duplicates

pytestmark = pytest.mark.recorded

ENTRY = re.compile(r"arXiv:\S+ Announce Type: \S+\s+Abstract: (.*)", re.S)


def revisions(recorded: Path) -> list[tuple[Paper, Paper]]:
    """Versions of one paper, as arXiv announced them on 24 days, where the later one has another title or abstract."""
    versions: dict[str, list[Paper]] = {}
    for path in sorted((recorded / "arxiv_listings" / "rss_parsed").iterdir()):
        for feed in json.loads(gzip.decompress(path.read_bytes())).values():
            for entry in feed["entries"] if isinstance(feed, dict) else ():
                arxiv_id, _, _ = entry["id"].rpartition(":")[2].rpartition("v")
                if not (abstract := ENTRY.match(entry["summary"])):
                    continue
                texts = " ".join(entry["title"].split()), " ".join(abstract[1].split())
                met = versions.setdefault(arxiv_id, [])
                if texts not in [(version.title, version.abstract) for version in met]:
                    authors = tuple(name.strip() for name in entry["author"].split(","))
                    met.append(Paper(PaperId(f"arxiv:{arxiv_id}v{len(met)}"), *texts, authors))
    return [pair for met in versions.values() for pair in pairwise(met)]


def test_revisions_are_known_again(recorded: Path) -> None:
    """Of the announced revisions, nineteen in twenty are found without their ids; of those under a new title, half."""
    pairs = revisions(recorded)
    found = near_duplicates([one for one, _ in pairs], [other for _, other in pairs])
    caught = [other in found.get(one.id, ()) for one, other in pairs]
    assert len(pairs) > 300
    assert sum(caught) > 0.93 * len(pairs)
    renamed = [hit for hit, (one, other) in zip(caught, pairs, strict=True) if one.title != other.title]
    assert len(renamed) > 40
    assert sum(renamed) > 0.5 * len(renamed)


def test_hardly_any_two_papers_are_taken_for_one(recorded: Path) -> None:
    """Among the 7,385 papers of a month, one in a thousand at most has a near-duplicate."""
    lines = gzip.decompress((recorded / "arxiv_listings" / "listing_2026-05.jsonl.gz").read_bytes()).splitlines()
    papers = [
        Paper(PaperId(f"arxiv:{row['id']}"), row["title"], row["summary"], tuple(row["authors"]))
        for row in map(json.loads, lines)
    ]
    assert len(papers) > 7000
    assert len(near_duplicates(papers)) < 0.001 * len(papers)
    copies = [replace(paper, id=PaperId(f"doi:10.5555/{n}"), authors=()) for n, paper in enumerate(papers)]
    found = near_duplicates(papers[:1000], copies)
    assert all(copy in found[paper.id] for paper, copy in zip(papers[:1000], copies, strict=False))
