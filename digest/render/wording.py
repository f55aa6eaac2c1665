"""What an edition says about itself: the sentences around the papers, in a reader's language.

Pure functions from the model's values to one line of plain text each; the papers' own words are in `cards.py`, the
remarks on them in `remarks.py`, the layout is in the templates. Called by `edition.py` and `bodies.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from digest.model import (
    Coverage,
    Edition,
    Frequency,
    MailingList,
    Pick,
    Profile,
    Selection,
    SourceSummary,
    TopicWeek,
)
from digest.render.cards import Card, source_name
from digest.render.language import Language
from digest.render.text import clip, plain

TRENDING = 0.6
"""From which trend score on a pick counts as trending: the usual figures of a day give about 0.5."""
CATEGORIES = 3
"""The most that the line on the day names."""
SHOWN = 12
"""How many of a subscriber's topics, authors or categories the footer names."""


def days(mailing_list: MailingList, edition: Edition) -> tuple[date, date]:
    """The first and the last day that an edition is for: one, unless it comes less often than daily.

    The first is the day after the last edition's, which is in that one; of what has no edition before it nobody knows.
    """
    often, last = edition.frequency or mailing_list.frequency, edition.due_on
    if often is Frequency.DAILY or edition.since is None:
        return last, last
    first = edition.since.astimezone(ZoneInfo(mailing_list.timezone)).date() + timedelta(days=1)
    return min(first, last), last


def subject(language: Language, days: tuple[date, date], first: Card | None, picks: int) -> str:
    """The first paper, how many more, and the days, which tell a round-up from the list's own editions.

    They also keep mail programs from threading editions together.
    """
    day = language.short_days(*days)
    if first is None and days[0] < days[1]:
        # TRANSLATORS: the subject of an email without a paper, about several days
        return language.gettext("Nothing for you (%(day)s)", day=day)
    if first is None:
        # TRANSLATORS: the subject of an email without a paper
        return language.gettext("Nothing for you today (%(day)s)", day=day)
    title = clip(first.title, 90)
    if picks == 1:
        # TRANSLATORS: the subject of an email with one paper
        return language.gettext("%(title)s (%(day)s)", title=title, day=day)
    return language.ngettext(
        # TRANSLATORS: the subject of an email with several papers, of which it names the first
        "%(title)s + %(num)s more paper (%(day)s)",
        "%(title)s + %(num)s more papers (%(day)s)",
        picks - 1,
        title=title,
        day=day,
    )


def preheader(language: Language, summary: str, cards: Sequence[Card]) -> str:
    """What an inbox shows beside the subject: what the subject has not said yet."""
    if len(cards) > 1:
        titles = " · ".join(clip(card.title, 70) for card in cards[1:4])
        # TRANSLATORS: the titles of the next papers
        return clip(language.gettext("Also: %(titles)s", titles=titles), 160)
    return clip(cards[0].gist or summary, 160) if cards else summary


def announced(language: Language, count: int, sources: Sequence[SourceSummary]) -> str:
    """How many papers were announced, and where."""
    categories = [clip(plain(part), 40) for part in dict.fromkeys(c.part for s in sources for c in s.coverage) if part]
    if not 0 < len(categories) <= CATEGORIES:
        return language.ngettext("%(num)s announced", "%(num)s announced", count)
    return language.ngettext(
        # TRANSLATORS: papers of the day; `where` is one to three categories of arXiv's
        "%(num)s announced in %(where)s",
        "%(num)s announced in %(where)s",
        count,
        where=language.listed(categories),
    )


def summary(language: Language, announced: str, selection: Selection) -> str:
    """The day in one line: what was announced where, how much of it is here, and how much of that trends."""
    picks = len(selection.picks)
    trending = len([pick for pick in selection.picks if pick.trend >= TRENDING]) + len(selection.trending)
    parts = [
        announced,
        language.ngettext("%(num)s for you", "%(num)s for you", picks) if picks else language.gettext("none for you"),
    ]
    if trending:
        parts.append(language.ngettext("%(num)s trending", "%(num)s trending", trending))
    return " · ".join(parts)


def heading(language: Language, name: str, picks: Sequence[Pick]) -> str:
    """Over the papers."""
    if not picks:
        return language.gettext("All quiet")
    if plain(name):
        return language.gettext("For %(name)s", name=clip(plain(name), 80))
    return language.gettext("For you")


@dataclass(frozen=True, slots=True)
class Headings:
    """Over the sections; the same for all readers of a language."""

    others: str
    """Papers that belong to none of the reader's topics."""
    news: str
    trending: str
    week: str
    top: str
    """What trends, where it comes first."""
    missed: str


@lru_cache(maxsize=64)
def headings(language: Language) -> Headings:
    """The headings in a language."""
    return Headings(
        others=language.gettext("More for you"),
        news=language.gettext("News of papers you follow"),
        trending=language.gettext("Also trending, whatever it is about"),
        week=language.gettext("Your topics this week"),
        top=language.gettext("Trending, whatever it is about"),
        missed=language.gettext("Just missed"),
    )


def week(language: Language, topic: TopicWeek) -> str:
    """What the picture of the week shows of a topic, in words."""
    return _days(language, topic.papers[-1], sum(topic.papers))


@lru_cache(maxsize=4096)
def _days(language: Language, today: int, whole: int) -> str:
    """Most topics have few papers: the same two figures come again and again."""
    day = language.ngettext("%(num)s today", "%(num)s today", today)
    # TRANSLATORS: papers on a topic, after "3 today"
    week = language.ngettext("%(num)s in seven days", "%(num)s in seven days", whole)
    return f"{day} · {week}"


def quiet(language: Language, announced: int, sources: Sequence[SourceSummary]) -> str:
    """Why there is no paper."""
    failed = sum(1 for source in sources if source.error)
    if failed and failed == len(sources):
        return language.gettext("None of the sources could be read. What they announced will be in the next edition.")
    said = [
        language.ngettext(
            "The one paper announced is not close to what you follow.",
            "None of the %(num)s papers announced is close enough to what you follow.",
            announced,
        )
        if announced
        else language.gettext("No new paper was announced since the last edition.")
    ]
    if failed:
        said.append(
            language.ngettext(
                "%(num)s source could not be read; see the end of this email.",
                "%(num)s sources could not be read; see the end of this email.",
                failed,
            )
        )
    return " ".join([*said, language.gettext("The next edition comes as usual.")])


def follows(language: Language, profile: Profile) -> str:
    """Why this subscriber gets this email."""
    parts = []
    if profile.topics:
        parts.append(_named(language, [topic.name for topic in profile.topics]))
    if profile.authors:
        names, many = _named(language, profile.authors), len(profile.authors)
        parts.append(language.ngettext("the author %(names)s", "the authors %(names)s", many, names=names))
    if profile.categories:
        names, many = _named(language, profile.categories), len(profile.categories)
        parts.append(language.ngettext("the category %(names)s", "the categories %(names)s", many, names=names))
    if examples := len(profile.examples) + len(profile.liked):
        parts.append(
            language.ngettext(
                "papers like %(num)s paper of your choice", "papers like %(num)s papers of your choice", examples
            )
        )
    if not parts:
        return language.gettext("You follow everything that this list announces.")
    # TRANSLATORS: between two kinds of things that a reader follows, topics and authors
    return language.gettext("You follow %(interests)s.", interests=language.gettext("; ").join(parts))


def _named(language: Language, names: Sequence[str]) -> str:
    shown = [clip(plain(name), 60) for name in names[:SHOWN]]
    if rest := len(names) - len(shown):
        shown.append(language.ngettext("%(num)s more", "%(num)s more", rest))
    return language.listed(shown)


def left_out(language: Language, titles: Sequence[str], room: int) -> str:
    """The papers that found no room, by name as far as that goes."""
    named: list[str] = []
    used = 0
    for title in titles:
        short = clip(title, 90)
        used += len(short.encode()) + 3
        if used > room:
            break
        named.append(short)
    rest = len(titles) - len(named)
    if not named:
        return language.ngettext("%(num)s paper", "%(num)s papers", rest)
    ending = [language.ngettext("and %(num)s more", "and %(num)s more", rest)] if rest else []
    return " · ".join([*named, *ending])


def source_line(language: Language, source: SourceSummary) -> str:
    """What one source gave: how complete this edition is. What the source says itself is in its own words."""
    name = source_name(source.source)
    if source.error:
        error = _told(source.error, 200)
        if not source.received:
            return language.gettext("%(source)s: failed: %(error)s", source=name, error=error)
        return language.ngettext(
            "%(source)s: failed after %(num)s announcement: %(error)s",
            "%(source)s: failed after %(num)s announcements: %(error)s",
            source.received,
            source=name,
            error=error,
        )
    parts = [_complete(language, source), _on(language, source.announced)]
    if not parts[0]:
        parts = [language.ngettext("%(num)s announced", "%(num)s announced", source.received)]
    if source.fresh != source.received:
        parts.append(language.ngettext("%(num)s new", "%(num)s new", source.fresh))
    # TRANSLATORS: a source of papers, and what it gave
    line = language.gettext("%(source)s: %(gave)s", source=name, gave=", ".join(filter(None, parts)))
    notes = "; ".join(_told(note, 120) for note in source.notes[:3])
    return f"{line} ({notes})" if notes else line


def _complete(language: Language, source: SourceSummary) -> str:
    """`cs.CV 239 of 239 and cs.LG 97 of 98`; empty where nobody could say how many there are."""
    counted = [_counted(language, c, c.expected) for c in source.coverage if c.expected is not None]
    return language.listed(counted[:SHOWN])


def _counted(language: Language, coverage: Coverage, expected: int) -> str:
    # TRANSLATORS: how many announcements were received, and how many there are
    said = language.gettext(
        "%(received)s of %(expected)s",
        received=language.number(coverage.received),
        expected=language.number(expected),
    )
    return f"{clip(plain(coverage.part), 40)} {said}" if coverage.part else said


def _on(language: Language, days: Sequence[date]) -> str:
    if not days:
        return ""
    first, last = language.weekday(days[0]), language.weekday(days[-1])
    if len(days) == 1:
        return language.gettext("announced %(weekday)s", weekday=first)
    return language.gettext("announced %(weekday)s to %(last_weekday)s", weekday=first, last_weekday=last)


_PATH = re.compile(r"(?<![\w:/.])/(?:[^\s/:;,'\"()]+/)+(?=[^\s/])")


def _told(text: str, room: int) -> str:
    """A source's own words for its readers: a file goes by its name, its folder is the operator's business."""
    return clip(_PATH.sub("", plain(text)), room)


def window(language: Language, edition: Edition, timezone: str) -> str:
    """What the edition covers, in the reader's time zone."""
    zone = ZoneInfo(timezone)
    until = language.clock(edition.cutoff, zone)
    if not edition.since:
        return language.gettext(
            "This edition covers what was announced up to %(until)s (%(zone)s).", until=until, zone=timezone
        )
    return language.gettext(
        "This edition covers what was announced from %(since)s to %(until)s (%(zone)s).",
        since=language.clock(edition.since, zone),
        until=until,
        zone=timezone,
    )
