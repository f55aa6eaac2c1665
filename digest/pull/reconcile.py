"""What arXiv's feed and its search API make together: nothing missing, or what is missing named. Pure.

Called by `arxiv.py`. The feed says what was announced, with types, of one day; the API says what was submitted in time
for the announcements of the window, with no types. What the API has and we do not hold is the gap: it is announced as
`new` where the paper's own category is among the source's, else as `cross`. By the calendar (`calendar.py`) a feed that
is late, empty on a working day or a repetition is told from a quiet day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from digest.ids import find_arxiv_id
from digest.model import Announcement, AnnounceType, Coverage, Paper, PaperId, Source
from digest.pull.arxiv_api import Found
from digest.pull.calendar import GRACE, Announced, announced_on, between, latest, next_after
from digest.pull.conversation import Task
from digest.pull.parsed import Parsed

LOOK_BACK = timedelta(days=7)
"""How long before the window an announcement of which nothing was ever pulled is still asked for."""
SOON = timedelta(hours=1)
"""When to look again for what is late without a known hour."""
FEWEST_TO_REPEAT = 3
"""A feed with fewer new papers may hold only known ones by chance."""
MOST_BY_ID = 100


def missing_announcements(task: Task) -> tuple[Announced, ...]:
    """The announcements to ask the API for: those of the window, and earlier ones of which a list has nothing."""
    deferral_days = task.source.deferral_days
    if task.window.since is None:
        if task.window.first_days == 1:
            return (latest(task.now, deferral_days),)
        return between(task.now - timedelta(days=task.window.first_days), task.now, deferral_days)
    had = set(task.known.values())
    return tuple(
        a
        for a in between(task.window.since - LOOK_BACK, task.now, deferral_days)
        if a.feed_at > task.window.since or (had and a.day not in had)
    )


def lost_ids(feed: Parsed, found: Found, task: Task) -> tuple[str, ...]:
    """The arXiv ids of entries that the feed names but that could not be read, if nobody else has them."""
    held = {paper.id for paper in found.papers} | {a.paper.id for a in feed.announcements} | task.known.keys()
    named = (find_arxiv_id(rejection.entry) for rejection in feed.rejected)
    ids = dict.fromkeys(identifier[0] for identifier in named if identifier)
    return tuple(number for number in ids if PaperId(f"arxiv:{number}") not in held)[:MOST_BY_ID]


def reconcile(
    task: Task,
    feed: Parsed,
    wanted: Sequence[Announced],
    found: Found,
    by_id: Found,
    skip_days: frozenset[str] = frozenset(),
) -> Parsed:
    """Put feed and API together. `found` is empty where `wanted` is, as nothing was asked for then.

    `skip_days` are the weekdays on which the feed says that it has nothing.
    """
    in_api = _from_api(task, feed, wanted, found, by_id)
    held = {a.paper.id for a in feed.announcements} | task.known.keys()
    gap = tuple(a for a in in_api if a.paper.id not in held)
    days = {a.day for a in wanted}
    mended = bool(wanted) and found.error is None
    remark, look_again_at = _about_the_feed(task, feed, gap, mended=mended, skip_days=skip_days)
    notes = [remark] if remark else []
    taken = f"{_papers(len(gap))} {_were(gap)} taken from the search API"
    if feed.error and mended:
        notes.append(f"the feed failed ({feed.error}); {taken}")
    elif gap and feed.announcements:
        notes.append(f"the feed was not complete; {taken}")
    unread = lost_ids(feed, Found((*found.papers, *by_id.papers)), task)
    if unread:
        notes.append(f"missing: {', '.join(unread[:10])}{' and more' if len(unread) > 10 else ''}")
    error = None if mended else feed.error
    if found.error and error:
        error = f"{error}; {found.error}"
    elif found.error:
        notes.append(f"not known to be complete: {found.error}")
    return replace(
        feed,
        announcements=(*feed.announcements, *gap),
        notes=(*(() if not feed.announcements and remark else feed.notes), *notes),
        error=error,
        coverage=_coverage(task.source, (*in_api, *feed.announcements), days, confirmed=mended, unread=len(unread)),
        announced=tuple(sorted(days)),
        look_again_at=look_again_at,
    )


def _from_api(
    task: Task, feed: Parsed, wanted: Sequence[Announced], found: Found, by_id: Found
) -> tuple[Announcement, ...]:
    """What the API has of these days, and what was asked for by id, as announcements."""
    days = {a.day for a in wanted}
    dated = [
        (paper, day)
        for paper in found.papers
        if paper.published and (day := announced_on(paper.published, task.source.deferral_days)) in days
    ]
    dated += [(paper, day) for paper in by_id.papers for day in feed.announced]
    papers = {paper.id: (paper, day) for paper, day in dated}
    return tuple(
        Announcement(paper, _kind(paper, task.source), day, task.source.name) for paper, day in papers.values()
    )


def _kind(paper: Paper, source: Source) -> AnnounceType:
    return AnnounceType.NEW if _is_in(paper.primary_category or "", source.categories) else AnnounceType.CROSS


def _is_in(category: str, wanted: Iterable[str]) -> bool:
    """Say whether a category is one of these, or of one of these archives."""
    return any(category == one or category.startswith(f"{one}.") for one in wanted)


def _coverage(
    source: Source, announcements: Iterable[Announcement], days: set[date], *, confirmed: bool, unread: int
) -> tuple[Coverage, ...]:
    """How many papers of each category we hold, of how many that were announced."""
    if not days:
        return ()
    papers = {a.paper.id: a.paper for a in announcements if a.announced_on in days and a.announce_type in source.kinds}
    counts = {c: sum(any(_is_in(own, [c]) for own in p.categories) for p in papers.values()) for c in source.categories}
    # An entry that could not be read has no categories that we know: it may belong to each of them.
    return tuple(Coverage(c, n, n + unread if confirmed else None) for c, n in counts.items())


def _about_the_feed(
    task: Task, feed: Parsed, gap: Sequence[Announcement], *, mended: bool, skip_days: frozenset[str]
) -> tuple[str | None, datetime | None]:
    """Tell a late, an empty and a repeated feed from a quiet day: (a remark, when to look again)."""
    deferral_days = task.source.deferral_days
    due, current = latest(task.now - GRACE, deferral_days), latest(task.now, deferral_days)
    again = min(task.now + SOON, next_after(task.now, deferral_days).feed_at + GRACE)
    if feed.error or not feed.announced:
        return None, again if feed.error and not mended else None
    day = feed.announced[0]
    if day < due.day:
        return f"the feed is still of {day:%A}; that of {due.day:%A} is late", again
    if day < current.day:
        return f"the feed of {current.day:%A} has not come yet", current.feed_at + GRACE
    if not feed.announcements:
        is_working_day = day == current.day and f"{day:%A}" not in skip_days
        return _about_an_empty_feed(day, gap, again, mended=mended, is_working_day=is_working_day)
    fresh = [a.paper.id for a in feed.announcements if a.announce_type in (AnnounceType.NEW, AnnounceType.CROSS)]
    before = [seen for paper in fresh if (seen := task.known.get(paper)) and seen < day]
    if len(fresh) >= FEWEST_TO_REPEAT and len(before) == len(fresh):
        return f"the feed of {day:%A} repeats that of {max(before):%A}", again
    return None, None


def _about_an_empty_feed(
    day: date, gap: Sequence[Announcement], again: datetime, *, mended: bool, is_working_day: bool
) -> tuple[str, datetime | None]:
    if gap:
        taken = f"{_papers(len(gap))} {_were(gap)} taken from the search API"
        return f"the feed of {day:%A} is empty though there were papers; {taken}", None
    if not is_working_day:
        return f"arXiv announces nothing on {day:%A}", None
    if mended:
        return f"nothing was announced on {day:%A}", None
    return f"the feed of {day:%A} is empty though arXiv announces on that day", again


def _papers(count: int) -> str:
    return f"{count:,} paper{'' if count == 1 else 's'}"


def _were(counted: Sequence[object]) -> str:
    return "was" if len(counted) == 1 else "were"
