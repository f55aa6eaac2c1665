"""What an edition says about itself, in English: the sentences around the papers.

Pure functions from the model's values to one line of plain text each; the papers' own words are in `cards.py`, the
layout is in the templates. Called by `edition.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from zoneinfo import ZoneInfo

from digest.model import Coverage, Edition, MailingList, Pick, Profile, Selection, SourceSummary, TopicWeek
from digest.render.cards import Card, source_name
from digest.render.text import clip, clock, counted, listed, plain, short_date, weekday

TRENDING = 0.6
"""From which trend score on a pick counts as trending: the usual figures of a day give about 0.5."""
MORE_FOR_YOU = "More for you"
NEWS = "News of papers you follow"
TRENDING_BESIDE = "Also trending, whatever it is about"
WEEK = "Your topics this week"
WEEK_TOP = "The week's top, whatever it is about"
MISSED = "Just missed"
CATEGORIES = 3
"""The most that the line on the day names."""
SHOWN = 12
"""How many of a subscriber's topics, authors or categories the footer names."""


def subject(edition: Edition, cards: Sequence[Card]) -> str:
    """The first paper, how many more, and the day, which keeps mail programs from threading editions together."""
    day = short_date(edition.due_on)
    if not cards:
        return f"Nothing for you today ({day})"
    more = f" + {counted(len(cards) - 1, 'more paper')}" if len(cards) > 1 else ""
    return f"{clip(cards[0].title, 90)}{more} ({day})"


def preheader(summary: str, cards: Sequence[Card]) -> str:
    """What an inbox shows beside the subject: what the subject has not said yet."""
    if len(cards) > 1:
        return clip("Also: " + " · ".join(clip(card.title, 70) for card in cards[1:4]), 160)
    return clip(cards[0].gist or summary, 160) if cards else summary


def summary(announced: int, sources: Sequence[SourceSummary], selection: Selection) -> str:
    """The day in one line: what was announced where, how much of it is here, and how much of that trends."""
    trending = sum(pick.trend >= TRENDING for pick in selection.picks) + len(selection.trending)
    categories = [clip(plain(part), 40) for part in dict.fromkeys(c.part for s in sources for c in s.coverage) if part]
    where = f" in {listed(categories)}" if 0 < len(categories) <= CATEGORIES else ""
    picked = f"{len(selection.picks):,} for you" if selection.picks else "none for you"
    parts = [f"{announced:,} announced{where}", picked]
    return " · ".join([*parts, f"{trending:,} trending"] if trending else parts)


def heading(name: str, picks: Sequence[Pick]) -> str:
    """Over the papers."""
    if not picks:
        return "A quiet day"
    return f"For {clip(plain(name), 80)}" if plain(name) else "For you"


def quiet(announced: int, sources: Sequence[SourceSummary]) -> str:
    """Why there is no paper."""
    failed = sum(1 for source in sources if source.error)
    if failed and failed == len(sources):
        return "None of the sources could be read today. What they announced will be in the next edition."
    said = (
        f"None of the {announced:,} papers announced is close enough to what you follow."
        if announced > 1
        else "The one paper announced is not close to what you follow."
        if announced
        else "No new paper was announced since the last edition."
    )
    missing = f" {counted(failed, 'source')} could not be read; see the end of this email." if failed else ""
    return said + missing + " The next edition comes as usual."


def follows(profile: Profile) -> str:
    """Why this subscriber gets this email."""
    parts = [
        _named("", [topic.name for topic in profile.topics]),
        _named("the author ", profile.authors, "the authors "),
        _named("the category ", profile.categories, "the categories "),
        _like(len(profile.examples) + len(profile.liked)),
    ]
    named = [part for part in parts if part]
    return f"You follow {'; '.join(named)}." if named else "You follow everything that this list announces."


def _named(one: str, names: Sequence[str], many: str | None = None) -> str:
    shown = [clip(plain(name), 60) for name in names[:SHOWN]]
    if len(names) > SHOWN:
        shown.append(f"{len(names) - SHOWN:,} more")
    return (one if len(names) == 1 or many is None else many) + listed(shown) if names else ""


def _like(examples: int) -> str:
    return f"papers like {counted(examples, 'paper')} of your choice" if examples else ""


def week(topic: TopicWeek) -> str:
    """What the picture of the week shows, in words."""
    return f"{topic.papers[-1]:,} today · {sum(topic.papers):,} in seven days"


def left_out(titles: Sequence[str], room: int) -> str:
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
    ending = [f"and {rest:,} more"] if named and rest else []
    return " · ".join([*named, *ending]) if named else counted(rest, "paper")


def source_line(source: SourceSummary) -> str:
    """What one source gave: how complete this edition is."""
    name = source_name(source.source)
    if source.error:
        before = f" after {counted(source.received, 'announcement')}" if source.received else ""
        return f"{name}: failed{before}: {_told(source.error, 200)}"
    complete = [f"{_part(c)}{c.received:,} of {c.expected:,}" for c in source.coverage if c.expected is not None]
    if complete:
        line = f"{name}: {listed(complete[:SHOWN])}{_on(source.announced)}"
    else:
        line = f"{name}: {source.received:,} announced"
    if source.fresh != source.received:
        line += f", {source.fresh:,} new"
    notes = "; ".join(_told(note, 120) for note in source.notes[:3])
    return f"{line} ({notes})" if notes else line


def _part(coverage: Coverage) -> str:
    return f"{clip(plain(coverage.part), 40)} " if coverage.part else ""


def _on(days: Sequence[date]) -> str:
    if not days:
        return ""
    first, last = weekday(days[0]), weekday(days[-1])
    return f", announced {first if len(days) == 1 else f'{first} to {last}'}"


_PATH = re.compile(r"(?<![\w:/.])/(?:[^\s/:;,'\"()]+/)+(?=[^\s/])")


def _told(text: str, room: int) -> str:
    """A source's own words for its readers: a file goes by its name, its folder is the operator's business."""
    return clip(_PATH.sub("", plain(text)), room)


def window(mailing_list: MailingList, edition: Edition) -> str:
    """What the edition covers, in the list's time zone."""
    zone = ZoneInfo(mailing_list.timezone)
    until = clock(edition.cutoff, zone)
    since = f"from {clock(edition.since, zone)} to {until}" if edition.since else f"up to {until}"
    return f"{since} ({plain(mailing_list.timezone)})"
