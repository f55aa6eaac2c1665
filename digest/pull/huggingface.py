"""Hugging Face Daily Papers: the JSON of https://huggingface.co/api/daily_papers, by day, week or month, to papers.

`converse` says what to ask for, `parse` reads one answer; both pure, fetching is `digest.pull`'s, which calls them.
Parameters: `date=2026-06-09`, `week=2026-W24`, `month=2026-06`, `p` from 0, `limit` up to 100
(https://huggingface.co/.well-known/openapi.json); a page past the end is an empty list. The fields are documented
nowhere; these are as answered since 2024. Outer object: paper, publishedAt (posting), title, numComments, thumbnail
(mediaUrl in 2024). Inner `paper`: id, authors, publishedAt (arXiv's date), submittedOnDailyAt, title, summary, upvotes
(only here), githubRepo, githubStars, projectPage, ai_summary, ai_keywords; `organization` is in both. A bare inner
object, as other endpoints give it, is read too, and so are archives that hold papers in Python's notation.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from digest.errors import SourceError
from digest.ids import arxiv_id, arxiv_links, paper_id
from digest.model import (
    Announcement,
    AnnounceType,
    Link,
    LinkKind,
    Paper,
    PaperId,
    Period,
    Rejection,
    Signal,
    Source,
    Window,
)
from digest.pull.addresses import shown
from digest.pull.clean import readable
from digest.pull.conversation import Ask, Conversation, Task, ask, bug
from digest.pull.http import Response, StatusError
from digest.pull.parsed import Parsed, as_count, in_utc, joined, read_date, web_address

DAILY = "https://huggingface.co/api/daily_papers"
PAGE = "https://huggingface.co/papers/"
MOST = 100
"""Papers asked for at once: the API's limit. It gives 50 when not asked for more, and days have reached that."""
MOST_PAGES = 20
"""Pages of one list; months of 2026 had over 600 papers."""
MOST_PYTHON = 500_000
"""Characters of Python's notation in one answer. Building its syntax tree can take a thousand times their memory."""
_SATURDAY = 5
_NO_BREAKS = str.maketrans("", "", "\t\r\n")
_NO_SUCH_LIST = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND})


@dataclass(frozen=True, slots=True)
class Listing:
    """One list of Daily Papers: what it covers, its name for people, its parameter, its last day."""

    period: Period
    name: str
    parameter: str
    last: date
    days: tuple[date, ...]
    """Those of its days that are asked about."""


def listings(period: Period, window: Window) -> tuple[Listing, ...]:
    """Return the lists that the window touches, oldest first."""
    found: dict[str, Listing] = {}
    for day in window.dates():
        listing = _list_of(period, day)
        days = found[listing.parameter].days if listing.parameter in found else ()
        found[listing.parameter] = replace(listing, days=(*days, day))
    return tuple(found.values())


def _list_of(period: Period, day: date) -> Listing:
    match period:
        case Period.DAY:
            return Listing(period, f"{day:%A} {day}", f"date={day}", day, (day,))
        case Period.WEEK:
            year, number, weekday = day.isocalendar()
            week = f"{year}-W{number:02}"
            return Listing(period, f"week {week}", f"week={week}", day + timedelta(days=7 - weekday), (day,))
        case Period.MONTH:
            month = f"{day:%Y-%m}"
            in_the_next = day.replace(day=1) + timedelta(days=32)
            last = in_the_next.replace(day=1) - timedelta(days=1)
            return Listing(period, f"month {month}", f"month={month}", last, (day,))


def converse(task: Task) -> Conversation:
    """Ask for each list that the window touches, page by page, or for each of the folder's files.

    A `url` that is a file or has parameters of its own is asked for once, as it is.
    """
    source = task.source
    if task.files is not None:
        parts = []
        for day, url in task.files:
            part = yield from ask(Ask(url), partial(_read_answer, task, day))
            parts.append(_remarked(part, task, _list_of(Period.DAY, day)))
        return joined(parts)
    base = source.url or DAILY
    if urlsplit(base).scheme.lower() == "file" or urlsplit(base).query:
        return (yield from ask(Ask(base), partial(_read_answer, task, None)))
    parts = []
    for listing in listings(source.period, task.window):
        part = yield from _ask_list(task, listing)
        parts.append(part)
    return joined(parts)


def _ask_list(task: Task, listing: Listing) -> Conversation:
    """Ask for the pages of a list until one brings nothing new. What was read before a fault is kept.

    A page may hold fewer papers than asked for, so only one that is not half full is taken for the last.
    """
    base = task.source.url or DAILY
    day = listing.last if listing.period is Period.DAY else None
    parts: list[Parsed] = []
    seen: set[PaperId] = set()
    for page in range(MOST_PAGES):
        url = f"{base}?{listing.parameter}&limit={MOST}" + (f"&p={page}" if page else "")
        try:
            answer = yield Ask(url)
            part = _read_answer(task, day, answer)
        except StatusError as error:
            if page == 0 and error.status in _NO_SUCH_LIST:
                return (yield from _without(task, listing, error))
            part = Parsed(error=str(error))
        except SourceError as error:
            part = Parsed(error=str(error))
        except Exception as error:  # a bug on one page must not cost the others
            part = Parsed(error=bug(shown(url), error))
        new = tuple(a for a in part.announcements if a.paper.id not in seen)
        seen.update(a.paper.id for a in new)
        parts.append(replace(part, announcements=new))
        if part.error or not new or len(part.announcements) + len(part.rejected) < MOST // 2:
            break
    else:
        parts.append(Parsed(notes=(f"Daily Papers of {listing.name}: only the first {MOST * MOST_PAGES} were read",)))
    return _remarked(joined(parts), task, listing)


def _without(task: Task, listing: Listing, error: StatusError) -> Conversation:
    """Do without a list that the server does not have: ask for the days of a week or month, if it was one.

    Week 53 may be refused, and mirrors may know days alone.
    """
    if listing.period is Period.DAY:
        return Parsed(notes=(f"{error}: no list of that day",))
    parts = [Parsed(notes=(f"{error}: asked for each day instead",))]
    for day in listing.days:
        part = yield from _ask_list(task, _list_of(Period.DAY, day))
        parts.append(part)
    return joined(parts)


def _remarked(part: Parsed, task: Task, listing: Listing) -> Parsed:
    """Remark that a list is empty which should not be: it is complete, and not of a day of the weekend."""
    is_complete = listing.last < task.now.astimezone(UTC).date()
    is_weekend = listing.period is Period.DAY and listing.last.weekday() >= _SATURDAY
    if part != Parsed() or is_weekend or not is_complete:
        return part
    return Parsed(notes=(f"Daily Papers of {listing.name} is empty",))


def _read_answer(task: Task, day: date | None, answer: Response) -> Parsed:
    return parse(answer.body, task.source, where=shown(answer.url), now=task.now, day=day)


def parse(body: bytes, source: Source, *, where: str, now: datetime, day: date | None = None) -> Parsed:
    """Read one answer. `day` is the day asked for, `now` the time at which the figures were observed.

    An empty list is fine: weekends have one. Raises `SourceError` if the body is not a list of papers.
    """
    items = _items(body, where)
    announcements, signals, rejected = [], [], []
    for number, item in enumerate(items, start=1):
        try:
            announcement, figures = _read(_literal(item) if isinstance(item, str) else item, source.name, day, now)
        except (ValueError, TypeError, AttributeError) as fault:
            rejected.append(Rejection(_name(item, number), str(fault)))
        else:
            announcements.append(announcement)
            signals += figures
    if items and not announcements and all(isinstance(item, str) for item in items):
        raise SourceError(f"{where} holds strings instead of papers, and no paper can be read from them")
    return Parsed(tuple(announcements), tuple(signals), tuple(rejected))


def _items(body: bytes, where: str) -> list[Any]:
    if not body.strip():
        raise SourceError(f"{where} is empty: expected a JSON list of papers")
    try:
        answer = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{where} {_what_it_is(body)}: expected a JSON list of papers") from error
    if isinstance(answer, dict) and isinstance(answer.get("error"), str):
        raise SourceError(f"{where} answers: {readable(answer['error'])[:200]}")
    if isinstance(answer, dict):
        answer = next((answer[key] for key in ("data", "papers", "dailyPapers") if key in answer), answer)
    if not isinstance(answer, list):
        raise SourceError(f"{where} is JSON, but not a list of papers")
    if sum(len(item) for item in answer if isinstance(item, str)) > MOST_PYTHON:
        raise SourceError(f"{where} holds strings instead of papers, and more than {MOST_PYTHON:,} characters of them")
    return answer


def _literal(text: str) -> object:
    """Read a paper that an archive's script wrote as a string in Python's notation. Literals only: nothing is run."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # the last two: nested too deep
        raise ValueError("is a string that holds no paper") from None


def _what_it_is(body: bytes) -> str:
    start = body.removeprefix(b"\xef\xbb\xbf").lstrip()[:20].lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "is an HTML page"
    return "is JSON that is broken or breaks off" if start.startswith((b"[", b"{")) else "is not JSON"


def _name(item: object, number: int) -> str:
    inner = item.get("paper", item) if isinstance(item, Mapping) else {}
    named = (inner.get("id") or inner.get("title")) if isinstance(inner, Mapping) else None
    return str(named or f"paper {number}")[:200]


def _read(item: Any, source: str, day: date | None, now: datetime) -> tuple[Announcement, list[Signal]]:
    """Read one paper with its figures; ValueError and TypeError say what it lacks."""
    if not isinstance(item, Mapping):
        raise TypeError(f"is {type(item).__name__}, not an object")
    inner = item.get("paper", item)
    if not isinstance(inner, Mapping):
        raise TypeError("its `paper` is not an object")
    paper = _paper(item, inner)
    posted = _date(inner, "submittedOnDailyAt") or (_date(item, "publishedAt") if item is not inner else None)
    announcement = Announcement(paper, AnnounceType.NEW, posted.date() if posted else day, source)
    return announcement, _signals(paper.id, item, inner, now)


def _paper(item: Mapping[str, Any], inner: Mapping[str, Any]) -> Paper:
    title = readable(_string(inner, "title") or _string(item, "title"))
    if not title:
        raise ValueError("has no title")
    authors = tuple(
        dict.fromkeys(
            name
            for author in inner.get("authors") or ()
            if isinstance(author, Mapping) and not author.get("hidden")
            if (name := readable(_string(author, "name")))
        )
    )
    number, version = arxiv_id(_string(inner, "id")) or (None, None)
    thumbnails = (values.get(key) for key in ("thumbnail", "mediaUrl") for values in (item, inner))
    return Paper(
        id=paper_id(arxiv=number, title=title, first_author=authors[0] if authors else ""),
        title=title,
        abstract=readable(_string(inner, "summary") or _string(item, "summary")),
        authors=authors,
        version=version,
        published=in_utc(_date(inner, "publishedAt")),
        links=_links(number, inner),
        tldr=readable(_string(inner, "ai_summary")) or None,
        keywords=_keywords(inner.get("ai_keywords")),
        organisation=_organisation(inner.get("organization")) or _organisation(item.get("organization")),
        thumbnail=next((url for value in thumbnails if (url := web_address(value))), None),
    )


def _links(number: str | None, inner: Mapping[str, Any]) -> tuple[Link, ...]:
    links = [*arxiv_links(number), Link(LinkKind.HUGGINGFACE, PAGE + number)] if number else []
    for kind, key in ((LinkKind.CODE, "githubRepo"), (LinkKind.PROJECT, "projectPage")):
        # Some were pasted with a line break in the middle, which browsers leave out (https://url.spec.whatwg.org).
        if url := web_address(_string(inner, key).translate(_NO_BREAKS)):
            links.append(Link(kind, url))
    return tuple(links)


def _keywords(value: object) -> tuple[str, ...]:
    words = value if isinstance(value, list) else []
    return tuple(dict.fromkeys(word for text in words if isinstance(text, str) and (word := readable(text))))


def _organisation(value: object) -> str | None:
    if not isinstance(value, Mapping):
        return None
    return readable(_string(value, "fullname")) or readable(_string(value, "name")) or None


def _string(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""


def _date(values: Mapping[str, Any], key: str) -> datetime | None:
    return read_date(_string(values, key))


def _signals(paper: PaperId, item: Mapping[str, Any], inner: Mapping[str, Any], now: datetime) -> list[Signal]:
    figures = {
        "upvotes": inner.get("upvotes"),
        "comments": item.get("numComments", inner.get("numComments")),
        "stars": inner.get("githubStars"),
    }
    return [
        Signal(paper, name, count, now) for name, value in figures.items() if (count := as_count(value)) is not None
    ]
