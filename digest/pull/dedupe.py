"""Announcements from many sources to one candidate a paper: the same paper across sources, versions and cross-lists.

Pure, linear in the number of announcements, and its order is the order of first appearance. Called by whoever opens an
edition. Papers are the same if they have the same id, if one is known by a DOI that the other, an arXiv paper, has too,
or if one has no id but title and first author and these are exactly the other's. Titles that are merely alike
("VBench", "VBench++") are two papers; so are two arXiv ids that share a DOI.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from digest.ids import title_id
from digest.model import Announcement, Candidate, Link, LinkKind, Paper, PaperId, Sighting, Signal

_ONE_OF_A_KIND = frozenset({LinkKind.ABS, LinkKind.PDF, LinkKind.HTML, LinkKind.HUGGINGFACE, LinkKind.DOI})
_SHOWN = {kind: place for place, kind in enumerate(LinkKind)}


def merge(announcements: Iterable[Announcement], signals: Iterable[Signal] = ()) -> tuple[Candidate, ...]:
    """Merge announcements of the same paper, and give each its signals.

    Of one figure of one paper the latest observation counts, of several at once the highest. Signals of papers that
    nobody announced are dropped.
    """
    announcements = tuple(announcements)
    known_as = _aliases(announcements)
    groups: dict[PaperId, list[Announcement]] = {}
    for announcement in announcements:
        groups.setdefault(_canonical(announcement.paper.id, known_as), []).append(announcement)
    figures: dict[PaperId, dict[str, Signal]] = {}
    for signal in signals:
        paper = _canonical(signal.paper_id, known_as)
        best = figures.setdefault(paper, {})
        if signal.name not in best or _freshness(signal) > _freshness(best[signal.name]):
            best[signal.name] = replace(signal, paper_id=paper)
    return tuple(
        Candidate(
            paper=_merged(paper, [announcement.paper for announcement in group]),
            sightings=tuple(dict.fromkeys(Sighting(a.source, a.announce_type, a.announced_on) for a in group)),
            signals=tuple(figures.get(paper, {}).values()),
        )
        for paper, group in groups.items()
    )


def _freshness(signal: Signal) -> tuple[datetime, float]:
    return signal.observed_at, signal.value


def _aliases(announcements: Iterable[Announcement]) -> dict[PaperId, PaperId]:
    """Map the ids that mean a paper with a better id to that id; the first paper to claim an alias has it."""
    known_as: dict[PaperId, PaperId] = {}
    papers = [announcement.paper for announcement in announcements]
    for paper in papers:
        if paper.doi and paper.id.startswith("arxiv:"):
            known_as.setdefault(PaperId(f"doi:{paper.doi.lower()}"), paper.id)
    if any(paper.id.startswith("title:") for paper in papers):
        for paper in papers:
            if paper.authors and not paper.id.startswith("title:"):
                known_as.setdefault(title_id(paper.title, paper.authors[0]), paper.id)
    return known_as


def _canonical(paper: PaperId, known_as: dict[PaperId, PaperId]) -> PaperId:
    """Follow title → DOI → arXiv, two steps at most."""
    paper = known_as.get(paper, paper)
    return known_as.get(paper, paper)


def _merged(identifier: PaperId, papers: list[Paper]) -> Paper:
    """Put together what the sources know of one paper, the best record first: arXiv's own, then the fullest."""
    if len(papers) == 1:
        return papers[0]
    ranked = sorted(papers, key=_rank, reverse=True)  # stable: of equals the first announced
    best = ranked[0]
    versions = [paper.version for paper in papers if paper.version is not None]
    return Paper(
        id=identifier,
        title=best.title,
        abstract=next((paper.abstract for paper in ranked if paper.abstract), ""),
        authors=max((paper.authors for paper in ranked), key=len),
        version=max(versions, default=None),
        categories=tuple(dict.fromkeys(category for paper in ranked for category in paper.categories)),
        primary_category=next((paper.primary_category for paper in ranked if paper.primary_category), None),
        doi=next((paper.doi for paper in ranked if paper.doi), None),
        journal_ref=next((paper.journal_ref for paper in ranked if paper.journal_ref), None),
        comment=next((paper.comment for paper in ranked if paper.comment), None),
        published=min((paper.published for paper in papers if paper.published), default=None),
        links=_links(link for paper in ranked for link in paper.links),
    )


def _rank(paper: Paper) -> tuple[bool, bool, int, int]:
    return paper.id.startswith("arxiv:"), bool(paper.categories), paper.version or 0, len(paper.abstract)


def _links(links: Iterable[Link]) -> tuple[Link, ...]:
    """Keep one link of the kinds of which a paper has one, all code and project pages, in the order shown."""
    kept: list[Link] = []
    for link in dict.fromkeys(links):
        if link.kind not in _ONE_OF_A_KIND or all(other.kind != link.kind for other in kept):
            kept.append(link)
    return tuple(sorted(kept, key=lambda link: _SHOWN[link.kind]))
