"""What became of papers that a profile names: a new version, a publication, code, a withdrawal. Pure.

Called when an edition's recipients are frozen, with the announcements of the edition and all earlier ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from digest.model import Announcement, AnnounceType, Change, FollowUp, LinkKind, Paper, PaperId

REPLACED = (AnnounceType.REPLACE, AnnounceType.REPLACE_CROSS)
SHOWN = 5
"""The most that one email tells."""


def follow_ups(
    named: Collection[PaperId], before: Iterable[Announcement], now: Iterable[Announcement]
) -> dict[PaperId, FollowUp]:
    """For each named paper that has news, the weightiest: withdrawn, published, a new version, code.

    `before` are the announcements of earlier editions, `now` those of this one. What is announced for the first time,
    and not as a replacement, has no news: it is new as a whole.
    """
    old, new = _of(named, before), _of(named, now)
    found = {
        paper_id: _news([a.paper for a in old[paper_id]], [a.paper for a in announced])
        for paper_id, announced in new.items()
        if paper_id in old or any(a.announce_type in REPLACED for a in announced)
    }
    return {paper_id: news for paper_id, news in found.items() if news}


def chosen(found: Mapping[PaperId, FollowUp], named: Iterable[PaperId]) -> tuple[FollowUp, ...]:
    """One subscriber's follow-ups, in the order of what happened and then as her profile names the papers."""
    order = list(Change)
    hers = [found[paper_id] for paper_id in dict.fromkeys(named) if paper_id in found]
    return tuple(sorted(hers, key=lambda news: order.index(news.change))[:SHOWN])


def _of(named: Collection[PaperId], announcements: Iterable[Announcement]) -> dict[PaperId, list[Announcement]]:
    found: dict[PaperId, list[Announcement]] = defaultdict(list)
    for announcement in announcements:
        if announcement.paper.id in named:
            found[announcement.paper.id].append(announcement)
    return found


def _news(old: list[Paper], new: list[Paper]) -> FollowUp | None:
    latest = max(new, key=lambda paper: (paper.version or 0, bool(paper.abstract)))
    if any(paper.withdrawn for paper in new) and not any(paper.withdrawn for paper in old):
        return FollowUp(latest, Change.WITHDRAWN)
    journal = _first(paper.journal_ref or paper.doi for paper in new)
    if journal and old and not any(paper.journal_ref or paper.doi for paper in old):
        return FollowUp(latest, Change.PUBLISHED, journal)
    if (latest.version or 0) > max((paper.version or 1 for paper in old), default=1):
        return FollowUp(latest, Change.NEW_VERSION, str(latest.version))
    known = {link.url for paper in old for link in paper.links if link.kind is LinkKind.CODE}
    code = _first(link.url for paper in new for link in paper.links if link.kind is LinkKind.CODE)
    return FollowUp(latest, Change.CODE, code) if code and old and not known else None


def _first(values: Iterable[str | None]) -> str:
    return next((value for value in values if value), "")
