"""GitHub stars of the repositories that papers link to, and how fast they grow.

Called by `digest.pull.signals`; fetches nothing. Without a token each repository is one GET of
https://api.github.com/repos/OWNER/NAME (stargazers_count, created_at;
https://docs.github.com/en/rest/repos/repos#get-a-repository), at most 60 an hour for one host. With a token, 100 are
one query of https://api.github.com/graphql (stargazerCount, createdAt): {"data": {"r0": {…}, "r1": null}, "errors":
[{"type": "NOT_FOUND", …}]}. Limits: 429, or 403 whose message speaks of a rate limit. Renamed repositories are found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from digest.errors import SourceError
from digest.model import LinkKind, Paper, PaperId, Signal
from digest.pull.conversation import Ask, Conversation
from digest.pull.http import StatusError
from digest.pull.parsed import Parsed, as_count, read_date
from digest.pull.signals import Wanted, read_json

REST = "https://api.github.com/repos/"
GRAPHQL = "https://api.github.com/graphql"
IN_A_QUERY = 100
PATIENCE = 3
"""Failures after which GitHub is asked no more: each can take as long as the fetcher waits."""
LONG_ENOUGH = timedelta(hours=12)
"""Between two observations that tell growth; over less, a day's rhythm is taken for it."""
RECENT = timedelta(days=60)
"""Growth over a longer time says nothing of now."""
_DAY = timedelta(days=1)
_HEADERS = (("Accept", "application/vnd.github+json"), ("X-GitHub-Api-Version", "2022-11-28"))
_REPOSITORY = re.compile(
    r"(?<![\w.-])(?:https?://)?(?:www\.)?github\.com/(?P<owner>[a-z0-9][a-z0-9-]{0,38})/(?P<name>[\w.-]{1,100})",
    re.I | re.A,
)
_NO_NAMES = frozenset({"", ".", ".."})


@dataclass(slots=True)
class _Answers:
    """What has been heard so far, and what went wrong."""

    stars: dict[str, tuple[object, object]]
    """By repository: its count and its time of creation, as answered."""
    missing: int = 0
    failures: tuple[str, ...] = ()
    is_refused: bool = False
    """The token is no good; `failures` says so."""
    limit: str | None = None
    """Which limit was reached, for people."""


def converse(wanted: Wanted) -> Conversation:
    """Ask for the `stars` of the papers' repositories, and give `stars_per_day` where `growth` is known.

    A failure costs its own repositories; a limit reached, or a token refused, ends the asking with what was got.
    """
    papers: dict[str, list[PaperId]] = {}
    for paper in wanted.papers:
        if name := repository(paper):
            papers.setdefault(name, []).append(paper.id)
    size = IN_A_QUERY if wanted.token else 1
    names = list(papers)
    groups = [names[start : start + size] for start in range(0, len(names), size)]
    heard = _Answers({})
    for group in groups[: wanted.max_requests]:
        try:
            answer = yield _question(group, wanted.token)
            _listen(read_json(answer), group, heard, with_token=bool(wanted.token))
        except StatusError as error:
            _refused(error, heard, with_token=bool(wanted.token))
        except SourceError as error:
            heard.failures += (str(error),)
        if heard.limit or heard.is_refused or len(heard.failures) >= PATIENCE:
            break
    unasked = sum(len(group) for group in groups[wanted.max_requests :])
    return Parsed(
        signals=tuple(
            signal for name, found in heard.stars.items() for signal in _signals(papers[name], found, wanted)
        ),
        notes=tuple(_notes(heard, unasked)),
        error="; ".join(dict.fromkeys(heard.failures)) or None,
    )


def repository(paper: Paper) -> str | None:
    """Return the paper's repository on GitHub, "owner/name" in lower case; None if there is none, or no telling which.

    The first link to code counts, then the project's page, then a repository named in comment or abstract, if only one.
    """
    for kind in (LinkKind.CODE, LinkKind.PROJECT):
        for link in paper.links:
            if link.kind is kind and (match := _REPOSITORY.match(link.url)) and (name := _named(match)):
                return name
    text = f"{paper.comment or ''} {paper.abstract}"
    found = {name for match in _REPOSITORY.finditer(text) if (name := _named(match))}
    return found.pop() if len(found) == 1 else None


def _named(match: re.Match[str]) -> str | None:
    name = match["name"].rstrip(".").lower().removesuffix(".git")
    return f"{match['owner'].lower()}/{name}" if name not in _NO_NAMES else None


def growth(stars: float, created: datetime | None, earlier: Sequence[Signal], now: datetime) -> float | None:
    """Return stars a day, 0 where they become fewer, None where nothing recent tells.

    Counted from the latest of the `earlier` observations that is 12 hours to 60 days old; without one, from the
    creation of a repository of at most 60 days, whose first day counts as a whole one.
    """
    for then in reversed(earlier):
        if LONG_ENOUGH <= now - then.observed_at <= RECENT:
            return max(stars - then.value, 0.0) / ((now - then.observed_at) / _DAY)
    if created and timedelta() <= now - created <= RECENT:
        return stars / max((now - created) / _DAY, 1.0)
    return None


def _question(names: Sequence[str], token: str | None) -> Ask:
    """Ask for one repository, or with a token for all of them at once. Names hold nothing that could end a string."""
    if not token:
        return Ask(REST + names[0], _HEADERS)
    parts = (
        f'r{number}: repository(owner: "{owner}", name: "{name}") {{ stargazerCount createdAt }}'
        for number, (owner, _, name) in enumerate(full.partition("/") for full in names)
    )
    body = json.dumps({"query": f"{{ {' '.join(parts)} }}"}).encode()
    return Ask(GRAPHQL, (*_HEADERS, ("Authorization", f"Bearer {token}")), body)


def _listen(answer: object, names: Sequence[str], heard: _Answers, *, with_token: bool) -> None:
    """Take an answer to `_question`. Raises `SourceError` if it is none."""
    if not isinstance(answer, dict):
        raise SourceError("GitHub's answer is not an object")
    if not with_token:
        heard.stars[names[0]] = answer.get("stargazers_count"), answer.get("created_at")
        return
    faults = [fault for fault in answer.get("errors") or () if isinstance(fault, dict)]
    if any(str(fault.get("type")).startswith("RATE_LIMIT") for fault in faults):
        heard.limit = _limit(with_token=True)
    data = answer.get("data")
    if not isinstance(data, dict):
        if not heard.limit:
            raise SourceError(f"GitHub's answer holds no data: {_messages(faults)}")
        return
    for number, name in enumerate(names):
        found = data.get(f"r{number}")
        if isinstance(found, dict):
            heard.stars[name] = found.get("stargazerCount"), found.get("createdAt")
        elif not heard.limit:
            heard.missing += 1


def _messages(faults: Iterable[Mapping[str, object]]) -> str:
    return " ".join("; ".join(str(fault.get("message")) for fault in faults).split())[:200] or "it says nothing of why"


def _refused(error: StatusError, heard: _Answers, *, with_token: bool) -> None:
    match error.status:
        case HTTPStatus.UNAUTHORIZED:
            heard.is_refused = True
            heard.failures += (f"{error}: check the token in $GITHUB_TOKEN",)
        case HTTPStatus.TOO_MANY_REQUESTS:
            heard.limit = _limit(with_token=with_token)
        case HTTPStatus.FORBIDDEN if b"rate limit" in error.body.lower():
            heard.limit = _limit(with_token=with_token)
        case HTTPStatus.NOT_FOUND | HTTPStatus.FORBIDDEN | HTTPStatus.GONE | HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
            heard.missing += 1
        case _:
            heard.failures += (str(error),)


def _limit(*, with_token: bool) -> str:
    """What is said of a limit. GitHub's own words hold the address of this host: they stay out of emails."""
    if with_token:
        return "GitHub's limit of requests is reached: there is more within the hour"
    return "GitHub's limit of 60 requests an hour is reached: with $GITHUB_TOKEN it is 5000"


def _signals(papers: Iterable[PaperId], found: tuple[object, object], wanted: Wanted) -> Iterable[Signal]:
    stars = as_count(found[0])
    if stars is None:
        return
    created = read_date(found[1]) if isinstance(found[1], str) else None
    for paper in papers:
        yield Signal(paper, "stars", stars, wanted.now)
        speed = growth(stars, created, wanted.earlier.get((paper, "stars"), ()), wanted.now)
        if speed is not None:
            yield Signal(paper, "stars_per_day", speed, wanted.now)


def _notes(heard: _Answers, unasked: int) -> Iterable[str]:
    if heard.limit:
        yield heard.limit
    if heard.missing:
        are = "repository is" if heard.missing == 1 else "repositories are"
        yield f"{heard.missing} linked GitHub {are} not public"
    if unasked:
        yield f"GitHub: {unasked} repositories were not asked about (max_requests)"
