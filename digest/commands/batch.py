"""`digest rank --papers P.jsonl --profiles Q.jsonl`: ranks any documents for any profiles, without a config or a store.

Called by the command line. Reads both files whole, reports every mistake in them at once, then yields one ranking a
profile. One JSON object a line; keys that are not named here are passed over:

- a paper: `title` and `abstract`; optionally `id` (else made from title and first author), `authors`, `categories`,
  `published` (ISO 8601) and `signals` ({"upvotes": 12}).
- a profile: `id`; optionally `topics` ({"name", "text", "keywords", "exclude", "weight"}), `authors`, `categories`,
  `examples`, `liked`, `disliked`: these three hold ids of papers, or papers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from digest.errors import ConfigError, Problem
from digest.ids import title_id
from digest.model import Candidate, Paper, PaperId, Pick, Profile, Signal, Topic, Vote
from digest.rank import Ranker
from digest.rank.embedding import Embed
from digest.render.remarks import english

_PROFILE_KEYS = ("id", "topics", "authors", "categories", "examples", "liked", "disliked")
LOOKED_UP = 1000
"""Among more papers, or after more mistakes, no unknown id is told what it may have meant: that would take minutes."""
_TOPIC_KEYS = ("name", "text", "keywords", "exclude", "weight")


def rank_files(
    papers: Path,
    profiles: Path,
    *,
    top: int = 0,
    trend_weight: float = 0.3,
    embed: Embed | None = None,
    now: datetime | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield `{"profile": id, "ranking": [{"id", "score", "relevance", "trend", "reasons"}]}`, in the order of profiles.

    `top` 0 is all. `embed` None is by words alone. `now` is when the signals were observed. Raises ConfigError naming
    every mistake, with its line.
    """
    problems: list[Problem] = []
    now = now or datetime.now(UTC)
    candidates, named = _read_papers(papers, problems, now)
    asked, known = _read_profiles(profiles, named, problems)
    if problems:
        raise ConfigError(*problems)
    ranker = Ranker(tuple(candidates.values()), known=known, trend_weight=trend_weight, embed=embed, now=now)
    return (
        {"profile": name, "ranking": [_pick(pick) for pick in ranking]}
        for name, ranking in zip(asked, ranker.rank(asked.values(), top), strict=True)
    )


def titles(papers: Path) -> dict[PaperId, str]:
    """The titles of a file of papers by their ids, for people to read; mistakes are `rank_files`'s to report."""
    candidates, _ = _read_papers(papers, [], datetime.now(UTC))
    return {paper_id: candidate.paper.title for paper_id, candidate in candidates.items()}


def _pick(pick: Pick) -> dict[str, Any]:
    return {
        "id": pick.paper_id,
        "score": pick.score,
        "relevance": pick.relevance,
        "trend": pick.trend,
        "reasons": [{"kind": str(r.kind), "text": english(r.remark), "weight": r.weight} for r in pick.reasons],
    }


def _read_papers(path: Path, problems: list[Problem], now: datetime) -> tuple[dict[PaperId, Candidate], frozenset[str]]:
    """Candidates by their id, and all ids: those of papers with mistakes as well."""
    candidates: dict[PaperId, Candidate] = {}
    named: set[str] = set()
    lines: dict[PaperId, int] = {}
    for line in _lines(path, problems):
        paper = _paper(line)
        named.add(paper.id if paper else str(line.value.get("id")))
        signals = _signals(line, paper, now) if paper else ()
        if paper and paper.id in lines:
            same = "id" if "id" in line.value else "title and first author, and no `id`"
            line.wrong(
                "id", f"{paper.id!r} is also on line {lines[paper.id]} (the same {same}); give each paper its own `id`"
            )
        elif paper:
            lines[paper.id] = line.number
            candidates[paper.id] = Candidate(paper, (), signals)
    return candidates, frozenset(named)


def _read_profiles(
    path: Path, papers: frozenset[str], problems: list[Problem]
) -> tuple[dict[str, Profile], dict[PaperId, Paper]]:
    """Profiles by their id, and the papers that they bring along."""
    profiles: dict[str, Profile] = {}
    lines: dict[str, int] = {}
    known: dict[PaperId, Paper] = {}
    for line in _lines(path, problems):
        line.spelling(_PROFILE_KEYS, "a profile")
        name = line.text("id", needed='every profile needs an `id`, such as "ada"')
        profile = _profile(line, papers, known)
        if name in lines:
            line.wrong("id", f"`id` {name!r} is also on line {lines[name]}; give each profile its own")
        elif name:
            lines[name] = line.number
            profiles[name] = profile
    return profiles, known


@dataclass(frozen=True)
class _Line:
    """A JSON object with its place, for reading values of the right type and telling what is wrong with others."""

    path: Path
    number: int
    value: Mapping[str, Any]
    problems: list[Problem]
    prefix: str = ""
    """The key path of `value` in its line, with a dot, where it is not the line itself."""

    def wrong(self, key: str, message: str) -> None:
        self.problems.append(Problem(self.path, self.number, self.prefix + key, _encodable(message)))

    def inner(self, value: Mapping[str, Any], key: str) -> _Line:
        return _Line(self.path, self.number, value, self.problems, f"{self.prefix}{key}.")

    def spelling(self, keys: tuple[str, ...], what: str) -> None:
        """Tell of unknown keys that are nearly known ones; others are none of our business."""
        for key in self.value:
            if key not in keys and (near := get_close_matches(key, keys, 1, 0.75)):
                self.wrong(key, f"`{self.prefix}{key}` is not a key of {what}; did you mean `{near[0]}`?")

    def text(self, key: str, needed: str = "") -> str:
        value = self.value.get(key)
        if isinstance(value, str) and (value.strip() or not needed):
            return _encodable(value)
        if value is not None and not isinstance(value, str):
            self.wrong(key, f"`{self.prefix}{key}` must be a string, not {_shown(value)}")
        elif needed:
            self.wrong(key, needed)
        return ""

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.value.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.wrong(key, f'`{self.prefix}{key}` must be a list of strings, such as ["…"], not {_shown(value)}')
            return ()
        return tuple(_encodable(item) for item in value if item.strip())

    def items(self, key: str, what: str) -> list[Any]:
        value = self.value.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(key, f"`{self.prefix}{key}` must be a list of {what}, not {_shown(value)}")
            return []
        return value


def _lines(path: Path, problems: list[Problem]) -> Iterator[_Line]:
    """The JSON objects of a file, each with its place; every other line becomes a problem."""
    found = False
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if not raw.strip():
                    continue
                found = True
                try:
                    value = json.loads(raw.decode("utf-8-sig"))
                except (ValueError, RecursionError) as error:
                    message = f"not JSON ({_json_error(error)}); write one object a line"
                    problems.append(Problem(path, number, "", message))
                    continue
                if isinstance(value, dict):
                    yield _Line(path, number, value, problems)
                else:
                    problems.append(Problem(path, number, "", f"must be an object {{…}}, not {_shown(value)}"))
    except OSError as error:
        problems.append(Problem(path, None, "", f"cannot be read ({error.strerror or error}); give a JSON Lines file"))
        return
    if not found:
        problems.append(Problem(path, None, "", "is empty; write one JSON object a line"))


def _json_error(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return "the text is not UTF-8"
    return "nested too deep" if isinstance(error, RecursionError) else str(error).partition(";")[0]


def _paper(line: _Line) -> Paper | None:
    """A paper, or None where title and abstract say nothing."""
    before = len(line.problems)
    identifier = line.text("id")
    title, abstract = line.text("title"), line.text("abstract")
    if line.value.get("title") is None or not (identifier.strip() or title.strip()):
        line.wrong("title", "every paper needs a `title`; it may be empty only where there is an `id`")
    authors = line.texts("authors")
    paper = Paper(
        PaperId(identifier if identifier.strip() else title_id(title, authors[0] if authors else "")),
        title,
        abstract,
        authors,
        categories=line.texts("categories"),
        published=_published(line),
    )
    return paper if len(line.problems) == before else None


def _published(line: _Line) -> datetime | None:
    text = line.text("published").strip()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        line.wrong("published", f"`published` must be a date or time such as 2026-06-10T08:00:00Z, not {text!r}")
        return None


def _signals(line: _Line, paper: Paper, now: datetime) -> tuple[Signal, ...]:
    value = line.value.get("signals")
    if value is None:
        return ()
    if not isinstance(value, dict):
        line.wrong("signals", f'`signals` must be an object such as {{"upvotes": 12}}, not {_shown(value)}')
        return ()
    found = []
    for name, figure in value.items():
        if figure is None:
            continue
        if _is_number(figure) and figure >= 0:
            found.append(Signal(paper.id, _encodable(name), float(figure), now))
        else:
            line.wrong(f"signals.{name}", f"`signals.{name}` must be a number of at least 0, not {_shown(figure)}")
    return tuple(found)


def _profile(line: _Line, papers: frozenset[str], known: dict[PaperId, Paper]) -> Profile:
    def votes(key: str) -> tuple[Vote, ...]:
        return tuple(Vote(paper_id) for paper_id in _named_papers(line, key, papers, known))

    return Profile(
        tuple(_topics(line)),
        line.texts("authors"),
        line.texts("categories"),
        tuple(_named_papers(line, "examples", papers, known)),
        votes("liked"),
        votes("disliked"),
    )


def _topics(line: _Line) -> Iterator[Topic]:
    for number, value in enumerate(line.items("topics", "objects"), 1):
        if not isinstance(value, dict):
            line.wrong(
                "topics", f'`topics` must hold objects such as {{"name": "…", "text": "…"}}, not {_shown(value)}'
            )
            continue
        topic = line.inner(value, "topics")
        topic.spelling(_TOPIC_KEYS, "a topic")
        weight = 1.0 if value.get("weight") is None else value["weight"]
        if not _is_number(weight) or weight <= 0:
            topic.wrong("weight", f"`topics.weight` must be a number above 0, not {_shown(weight)}")
            weight = 1.0
        found = Topic(
            topic.text("name") or f"topic {number}",
            topic.text("text"),
            topic.texts("keywords"),
            topic.texts("exclude"),
            float(weight),
        )
        if not (value.get("name") or value.get("text") or value.get("keywords")):
            topic.wrong("text", "a topic needs a `text`, `keywords` or at least a `name` to go by")
        yield found


def _named_papers(line: _Line, key: str, papers: frozenset[str], known: dict[PaperId, Paper]) -> Iterator[PaperId]:
    for value in line.items(key, "papers' ids"):
        if isinstance(value, str) and _encodable(value) in papers:
            yield PaperId(_encodable(value))
        elif isinstance(value, str) and not papers:
            pass  # that the file of papers cannot be used is told already
        elif isinstance(value, str):
            looked_up = len(papers) <= LOOKED_UP and len(line.problems) <= LOOKED_UP
            near = get_close_matches(value, sorted(papers), 1) if looked_up else []
            hint = (
                f"did you mean {near[0]!r}?" if near else 'write an id of --papers, or {"title": "…", "abstract": "…"}'
            )
            line.wrong(key, f"`{key}` names {value!r}, which is not an id in --papers; {hint}")
        elif isinstance(value, dict):
            if paper := _paper(line.inner(value, key)):
                known.setdefault(paper.id, paper)
                yield paper.id
        else:
            line.wrong(key, f"`{key}` must hold ids or papers, not {_shown(value)}")


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _encodable(text: str) -> str:
    """The text without half surrogate pairs, which JSON can spell and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:39] + "…"
