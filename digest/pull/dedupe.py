"""Announcements from many sources to one candidate a paper: the same paper across sources, versions and cross-lists.

Pure, linear in the number of announcements, and its order is the order of first appearance. Called by whoever opens an
edition. There is one rule, within an edition and across editions: two records are compared by the best kind of key
that both have (`keys_of`), which is the arXiv id, else the DOI, else title and first author; they are the same paper
if these are equal. So an arXiv paper meets its journal's record by the DOI, or where it has none by the title; but two
arXiv ids that share a DOI stay two, and so do two DOIs with one title, and titles that are merely alike ("VBench",
"VBench++").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from digest.ids import doi_id, title_id, title_key
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
    """Map the ids that mean a paper with a better id to that id: `same`, without comparing all with all.

    Where several could be meant, the first to appear is: an arXiv paper takes one DOI, and a DOI one arXiv paper.
    """
    papers = [announcement.paper for announcement in announcements]
    known_as: dict[PaperId, PaperId] = {}
    for paper in papers:
        if paper.doi and paper.id.startswith("arxiv:"):
            known_as.setdefault(doi_id(paper.doi), paper.id)
    with_doi = {paper.id for paper in papers if paper.doi}
    titled: dict[str, dict[PaperId, None]] = {}  # dictionaries for their order
    for paper in papers:
        if paper.authors:
            for key in (title_id(paper.title, paper.authors[0]), title_key(paper.title, paper.authors[0])):
                if key:
                    titled.setdefault(key, {})[paper.id] = None
    for key, ids in titled.items():
        if key.startswith("titled:"):
            homeless = [one for one in ids if one.startswith("doi:") and one not in known_as]
            without = [one for one in ids if one.startswith("arxiv:") and one not in with_doi]
            known_as.update(zip(homeless, without, strict=False))
            with_doi.update(without[: len(homeless)])
    for ids in titled.values():
        best = min(ids, key=lambda one: (one.startswith("title:"), one.startswith("doi:")))
        for one in ids:
            if one != best and one.startswith("title:") and known_as.get(one, "title:").startswith("title:"):
                known_as[one] = best
    return known_as


def _canonical(paper: PaperId, known_as: dict[PaperId, PaperId]) -> PaperId:
    """Follow title → DOI → arXiv; each step leads to a better kind of id, or to an earlier title."""
    while better := known_as.get(paper):
        paper = better
    return paper


def _merged(identifier: PaperId, papers: list[Paper]) -> Paper:
    """Put together what the sources know of one paper, the best record first: arXiv's own, then the fullest."""
    if len(papers) == 1:
        return papers[0]
    ranked = sorted(papers, key=_rank, reverse=True)  # stable: of equals the first announced
    best = ranked[0]
    newest = max((paper.version for paper in papers if paper.version is not None), default=None)
    return Paper(
        id=identifier,
        title=best.title,
        abstract=next((paper.abstract for paper in ranked if paper.abstract), ""),
        authors=max((paper.authors for paper in ranked), key=len),
        version=newest,
        categories=tuple(dict.fromkeys(category for paper in ranked for category in paper.categories)),
        primary_category=next((paper.primary_category for paper in ranked if paper.primary_category), None),
        doi=next((paper.doi for paper in ranked if paper.doi), None),
        journal_ref=next((paper.journal_ref for paper in ranked if paper.journal_ref), None),
        comment=next((paper.comment for paper in ranked if paper.comment), None),
        published=min((paper.published for paper in papers if paper.published), default=None),
        links=_links(link for paper in ranked for link in paper.links),
        tldr=next((paper.tldr for paper in ranked if paper.tldr), None),
        keywords=next((paper.keywords for paper in ranked if paper.keywords), ()),
        organisation=next((paper.organisation for paper in ranked if paper.organisation), None),
        thumbnail=next((paper.thumbnail for paper in ranked if paper.thumbnail), None),
        withdrawn=any(paper.withdrawn for paper in papers if paper.version in (None, newest)),
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
