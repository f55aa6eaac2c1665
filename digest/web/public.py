"""The pages that everybody sees: the front page, the archive with its search, a paper, the feeds. They change nothing.

Nothing of readers is on them: neither an address nor a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from starlette.responses import Response

from digest.model import Edition, Profile
from digest.render.text import clip, plain
from digest.subscribe.values import WrongValue, paper_id
from digest.web import feed
from digest.web.gate import Call, NoSuchPageError, TooOftenError, html
from digest.web.limits import SlidingWindow
from digest.web.site import Made, Shown, Site, made
from digest.web.spans import Length, Span, read_span, span_of

ON_A_PAGE = 20
"""Papers: with the beginnings of their abstracts they stay below 60 KB."""
FOUND = 40
IN_A_FEED = 50
FEED_DAYS = 7
"""Editions in a list's feed."""
DAYS_LISTED = 70
"""How many editions the archive lists by their days; older ones are found by their months."""
QUERY = 200


@dataclass(frozen=True, slots=True)
class Turn:
    """A link to other papers."""

    label: str
    path: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Papers:
    """One page of papers; `first` is the place of its first among all."""

    title: str
    shown: tuple[Shown, ...]
    first: int
    count: int
    lengths: tuple[Turn, ...]
    before: Turn | None
    after: Turn | None
    pages: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the archive, and its days where they are listed."""

    label: str
    path: str
    days: tuple[Turn, ...]


def front(site: Site, call: Call) -> Made:
    """The list's front page: its newest edition's papers under the box to subscribe."""
    return made(front_page(site, _page_of(call)))


def front_page(site: Site, page: int = 1, **box: object) -> str:
    """The front page; `box` is what the box to subscribe says by now."""
    newest = site.newest()
    if newest is None:
        return site.render("list.html", papers=None, **(EMPTY_BOX | box))
    papers = papers_of(site, span_of(Length.DAY, newest.due_on), page, site.home)
    return site.render("list.html", papers=papers, **(EMPTY_BOX | box))


EMPTY_BOX: dict[str, object] = {"box": None, "picks": None, "problem": "", "topics_ticked": frozenset()}


def span(site: Site, call: Call) -> Made:
    """The papers of a day, a week or a month."""
    wanted = read_span(call.path["span"])
    if wanted is None or not site.app.archive.between(wanted.first, wanted.last):
        raise NoSuchPageError
    papers = papers_of(site, wanted, _page_of(call), site.span_path(wanted))
    return made(site.render("list.html", papers=papers, **EMPTY_BOX))


def papers_of(site: Site, wanted: Span, page: int, path: str) -> Papers:
    """One page of a span's papers, and where to turn from it."""
    ranked = site.ranked(wanted)
    first = (page - 1) * ON_A_PAGE
    some = ranked[first : first + ON_A_PAGE]
    if not some and page > 1:
        raise NoSuchPageError
    before, after = site.app.archive.around(wanted.first, wanted.last)
    _ = site.language.gettext
    names = {Length.DAY: _("Day"), Length.WEEK: _("Week"), Length.MONTH: _("Month")}
    turned = [(length, span_of(length, wanted.last if wanted.length is Length.DAY else _last(site, wanted)))
              for length in Length]  # fmt: skip
    return Papers(
        title=wanted.title(site.language),
        shown=tuple(site.shown(each.candidate, each.figures) for each in some),
        first=first + 1,
        count=len(ranked),
        lengths=tuple(Turn(names[length], site.span_path(span), length is wanted.length) for length, span in turned),
        before=_turn(site, wanted.length, before),
        after=_turn(site, wanted.length, after),
        pages=_pages(site, page, -(-len(ranked) // ON_A_PAGE), path),
    )


def _last(site: Site, wanted: Span) -> date:
    """The newest day with an edition: to turn from a month to its days is to turn to one that is there."""
    editions = site.app.archive.between(wanted.first, wanted.last)
    return editions[0].due_on if editions else wanted.last


def _turn(site: Site, length: Length, day: date | None) -> Turn | None:
    if day is None:
        return None
    there = span_of(length, day)
    return Turn(there.title(site.language) if length is not Length.DAY else site.language.short_date(day),
                site.span_path(there))  # fmt: skip


def _pages(site: Site, page: int, count: int, path: str) -> tuple[Turn, ...]:
    """The first, the last, and those around this one."""
    near = sorted({n for n in (1, page - 1, page, page + 1, count) if 1 <= n <= count}) if count > 1 else ()
    return tuple(Turn(site.language.number(n), path if n == 1 else f"{path}?page={n}", n == page) for n in near)


def _page_of(call: Call) -> int:
    written = call.query.get("page", "1")
    if not (written.isascii() and written.isdigit() and 1 <= len(written) <= 4 and int(written)):
        raise NoSuchPageError
    return int(written)


class Searching:
    """The archive: its days and months, or what a search finds in it."""

    def __init__(self, looks: SlidingWindow):
        self._looks = looks

    def __call__(self, site: Site, call: Call) -> Response | Made:
        """The page; a search is made anew each time, and counts."""
        query = plain(call.query.get("q", ""))[:QUERY]
        if not query:
            return made(site.render("archive.html", months=_months(site), query="", found=None))
        if wait := self._looks.take(call.client):
            raise TooOftenError(wait)
        found = site.app.archive.search(query.split(), FOUND)
        shown = [(site.shown(candidate), site.language.long_date(day)) for candidate, day in found]
        return html(site.render("archive.html", months=_months(site), query=query, found=shown))


def _months(site: Site) -> tuple[Month, ...]:
    days = site.app.archive.days()
    listed = set(days[:DAYS_LISTED])
    return tuple(
        Month(
            month.title(site.language),
            site.span_path(month),
            tuple(
                Turn(site.language.long_date(day), site.span_path(span_of(Length.DAY, day)))
                for day in some
                if day in listed
            ),
        )
        for month, some in groupby(days, key=lambda day: span_of(Length.MONTH, day))
    )


def one_paper(site: Site, call: Call) -> Made:
    """A paper's page, with all of its abstract."""
    try:
        wanted = paper_id(call.path["paper"])
    except WrongValue:  # an id made of title and author
        wanted = call.path["paper"]  # type: ignore[assignment]
    found = site.app.archive.paper(wanted)
    if found is None:
        raise NoSuchPageError
    candidate, days = found

    paper = candidate.paper
    return made(
        site.render(
            "paper.html",
            paper=site.shown(candidate),
            authors=tuple(clip(plain(author), 120) for author in paper.authors),
            abstract=plain(paper.abstract),
            journal=plain(paper.journal_ref or ""),
            days=tuple(
                Turn(site.language.long_date(day), site.span_path(span_of(Length.DAY, day))) for day in days[:10]
            ),
        )
    )


def list_feed(site: Site, call: Call) -> Made:
    """The papers that trended most in the last editions."""
    return made(_list_feed(site, call.base), feed.MEDIA_TYPE)


def _list_feed(site: Site, base: str) -> str:
    days = site.app.archive.days()[:FEED_DAYS]
    editions = site.app.archive.between(days[-1], days[0]) if days else ()
    entries: dict[str, feed.Entry] = {}
    for edition in editions:
        for ranked in site.ranked(span_of(Length.DAY, edition.due_on))[: site.list.papers]:
            page = base + site.paper_path(ranked.candidate.paper.id)
            entries.setdefault(page, feed.Entry(ranked.candidate.paper, edition.cutoff, page))
    return _feed(site, base, site.list.name, site.masthead.feed, editions, tuple(entries.values())[:IN_A_FEED])


def topic_feed(site: Site, call: Call) -> Made | Response:
    """What the newest edition would have brought somebody who follows one of the list's topics alone."""
    topic = next((topic for topic in site.app.config.topics if topic.name == call.path["topic"]), None)
    if topic is None:
        raise NoSuchPageError
    sampler = site.sampler()
    entries = [
        feed.Entry(
            sampler.candidate(pick.paper_id).paper, sampler.edition.cutoff, call.base + site.paper_path(pick.paper_id)
        )
        for pick in sampler.picks(Profile((topic,)))
    ] if sampler else []  # fmt: skip
    path = site.path("feed", site.list.id, topic.name)
    editions = (sampler.edition,) if sampler else ()
    body = _feed(site, call.base, f"{site.list.name}: {topic.name}", path, editions, entries)
    is_newest = not sampler or sampler.edition == site.newest()
    return made(body, feed.MEDIA_TYPE) if is_newest else Response(body, media_type=feed.MEDIA_TYPE)


def _feed(
    site: Site, base: str, title: str, path: str, editions: Sequence[Edition], entries: Sequence[feed.Entry]
) -> str:
    updated = editions[0].cutoff if editions else site.app.now()
    head = feed.Feed(title, base + path, base + site.home, site.list.from_, site.language.tag, updated)
    return feed.atom(head, entries)
