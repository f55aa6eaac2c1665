"""Hugging Face Daily Papers: the JSON of https://huggingface.co/api/daily_papers?date=YYYY-MM-DD to announcements.

`parse` reads bytes, `address` says where a day's are; fetching is `http.py`'s, calling both is `digest.pull.pull`'s.
Format: https://huggingface.co/docs/hub/api#get-apidailypapers, which names no fields; these are as answered since 2024.
Outer object: paper, publishedAt (posting), title, numComments. Inner `paper`: id, authors, publishedAt (arXiv's date),
submittedOnDailyAt, title, summary, upvotes (only here), githubRepo, githubStars, projectPage. A bare inner object, as
other endpoints of the same API give it, is read too. A day grows while it lasts: a later answer holds more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from digest.errors import SourceError
from digest.ids import arxiv_id, arxiv_links, paper_id
from digest.model import Announcement, AnnounceType, Link, LinkKind, Paper, PaperId, Rejection, Signal, Source
from digest.pull.clean import readable
from digest.pull.conversation import Conversation, Task, ask_each
from digest.pull.parsed import Parsed, in_utc, read_date, web_address

DAILY = "https://huggingface.co/api/daily_papers"
PAGE = "https://huggingface.co/papers/"
_MOST = 100
"""Papers of one day; the API gives 50 when not asked for more, and days have reached that."""


def converse(task: Task) -> Conversation:
    """Ask for each day of the window, or for each of the folder's files."""
    source, now = task.source, task.now
    days = task.files
    if days is None:
        days = tuple((day, url) for url, day in {address(source, day): day for day in task.window.dates()}.items())
    return (yield from ask_each(days, lambda body, where, day: parse(body, source, where=where, now=now, day=day)))


def address(source: Source, day: date) -> str:
    """Return where the papers of one day are."""
    url = source.url or DAILY
    return url if urlsplit(url).query else f"{url}?date={day.isoformat()}&limit={_MOST}"


def parse(body: bytes, source: Source, *, where: str, now: datetime, day: date | None = None) -> Parsed:
    """Read one day's answer. `day` is the day asked for, `now` the time at which the figures were observed.

    An empty list is fine: weekends have one. Raises `SourceError` if the body is not a list of papers.
    """
    announcements, signals, rejected = [], [], []
    for number, item in enumerate(_items(body, where), start=1):
        try:
            announcement, figures = _read(item, source.name, day, now)
        except (ValueError, TypeError, AttributeError) as fault:
            rejected.append(Rejection(_name(item, number), str(fault)))
        else:
            announcements.append(announcement)
            signals += figures
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
    if answer and all(isinstance(item, str) for item in answer):
        raise SourceError(
            f"{where} holds strings instead of papers (written by a broken archive script): fetch it anew"
        )
    return answer


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
    identifier = arxiv_id(_string(inner, "id"))
    number, version = identifier or (None, None)
    links = list(arxiv_links(number)) if number else []
    if number:
        links.append(Link(LinkKind.HUGGINGFACE, PAGE + number))
    for kind, key in ((LinkKind.CODE, "githubRepo"), (LinkKind.PROJECT, "projectPage")):
        if url := web_address(inner.get(key)):
            links.append(Link(kind, url))
    return Paper(
        id=paper_id(arxiv=number, title=title, first_author=authors[0] if authors else ""),
        title=title,
        abstract=readable(_string(inner, "summary") or _string(item, "summary")),
        authors=authors,
        version=version,
        published=in_utc(_date(inner, "publishedAt")),
        links=tuple(links),
    )


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
        Signal(paper, name, float(value), now)
        for name, value in figures.items()
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9
    ]
