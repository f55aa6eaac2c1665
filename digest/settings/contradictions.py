"""What is wrong between keys of one config, each right by itself.

Pure. Works on the raw, merged mapping before its values are checked, so that it can tell these mistakes together with
all others; what has the wrong type is passed over, as that is told elsewhere. Mistakes with other files are in
`files.py` and `people.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from digest.model import OnUnknown, SourceKind
from digest.settings import checks, cron, times
from digest.settings.explain import table_label
from digest.settings.models import ListTable, keys_of
from digest.settings.toml_lines import KeyPath
from digest.subscribe.values import WrongValue, did_you_mean, show

Found = Iterator[tuple[KeyPath, str]]
_USUAL = ListTable.model_fields["schedule"].default


def contradictions(data: Mapping[str, Any]) -> Found:
    """Each contradiction's key path and message."""
    yield from _sources(data)
    yield from _waiting(table_in(data.get("list")))
    yield from _topics(data)
    yield from _subscribers(data)
    yield from _relays(list(each_table("smtp", data.get("smtp"))))
    yield from _web(table_in(data.get("web")))


def table_in(value: object) -> Mapping[str, Any]:
    """A table; an empty one where it is something else, as JSON from the environment is."""
    return value if isinstance(value, Mapping) else {}


def tables(value: object) -> list[Mapping[str, Any]]:
    """An array of tables; nothing where it is something else, as JSON from the environment is."""
    return [table_in(item) for item in value] if isinstance(value, list | tuple) else []


def each_table(label: str, written: object) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """Each table with its path, where one is written [label] and several [[label]]."""
    try:
        found = checks.table_or_tables(label)(written)
    except WrongValue:
        return
    if isinstance(found, Mapping):
        yield (label,), found
    elif isinstance(found, list | tuple):
        for number, table in enumerate(found):
            yield (label, number), table


_ONLY_FOR = {
    "categories": ("arxiv",),
    "kinds": ("arxiv",),
    "api_url": ("arxiv",),
    "reconcile": ("arxiv",),
    "deferral_days": ("arxiv",),
    "period": ("huggingface",),
    "skip": ("feed",),
    "query": ("semanticscholar", "crossref", "openalex", "pubmed"),
    "journals": ("crossref",),
    "subjects": ("biorxiv", "medrxiv"),
    "venue": ("openreview",),
}
"""Keys of [[sources]] that some kinds only have."""
_NEEDS = (
    (("categories",), ("arxiv",), 'arXiv needs some, e.g. ["cs.CV", "cs.LG"]'),
    (("url",), ("feed",), "a feed needs its http(s):// or file:// address"),
    (("query", "url"), ("semanticscholar", "openalex", "pubmed"), 'say what to search for, e.g. "video generation"'),
    (("query", "journals", "url"), ("crossref",), 'say what to search for, or the ISSNs of journals, ["0028-0836"]'),
    (("venue", "url"), ("openreview",), 'OpenReview needs the id of a venue, e.g. "ICLR.cc/2027/Conference"'),
)
"""What a kind cannot do without: one of these keys, the kinds, and what to write."""


def _sources(data: Mapping[str, Any]) -> Found:
    if data.get("sources", []) == []:
        yield ("sources",), 'there is no [[sources]] table: say where new papers come from, e.g. `kind = "arxiv"`'
    names: dict[str, int] = {}
    for number, source in enumerate(tables(data.get("sources"))):
        path = ("sources", number)
        kind = source.get("kind")
        for key, kinds in _ONLY_FOR.items():
            if key in source and kind in tuple(SourceKind) and kind not in kinds:
                belongs = " or ".join(f'"{one}"' for one in kinds)
                yield (*path, key), f"`{key}` of [[sources]] belongs to kind = {belongs}: {kind} has none"
        for keys, needing, advice in _NEEDS:
            if kind in needing and not any(source.get(key) for key in keys):
                at: KeyPath = (*path, keys[0]) if keys[0] in source else path
                missing = " or ".join(f"`{key}`" for key in keys)
                yield at, f"{missing} of [[sources]] is missing: {advice}"
        if source.get("reconcile") is True and "url" in source and "api_url" not in source:
            yield (*path, "reconcile"), "`reconcile` of [[sources]] with a `url` needs an `api_url` to reconcile with"
        if source.get("kinds") == []:
            yield (*path, "kinds"), '`kinds` of [[sources]] is empty: leave it out for ["new", "cross"]'
        name = source.get("name")
        if isinstance(name, str) and names.setdefault(name, number) != number:
            yield (*path, "name"), f"`name` of [[sources]] {show(name)} is taken by another source: each needs its own"


def _waiting(of_list: Mapping[str, Any]) -> Found:
    try:
        schedule = cron.schedule(str(of_list.get("schedule", _USUAL)))
        waits = times.wait(schedule, times.time_of_day(of_list["wait_until"]))
    except (KeyError, WrongValue):
        return
    if not timedelta() < waits <= times.LONGEST_WAIT:
        yield (
            ("list", "wait_until"),
            (
                f"`wait_until` of [list] {show(of_list['wait_until'])} must come after the schedule's time, and within "
                "12 hours of it: until then an edition that is due waits for its sources"
            ),
        )


def _topics(data: Mapping[str, Any]) -> Found:
    for name, topic in table_in(data.get("topics")).items():
        if not name.strip() or ";" in name or not name.isprintable():
            yield ("topics", name), f"{show(name)} cannot be a topic's name: it must be one line, without `;`"
        elif isinstance(topic, Mapping) and _is_aimless(topic):
            yield ("topics", name), f"[topics.{name}] has nothing to look for: give `text`, `keywords` or both"


def _is_aimless(topic: Mapping[str, Any]) -> bool:
    """Nothing to look for; with a key that is no key, the mistake is there."""
    return topic.keys() <= set(keys_of("subscribers.topics")) and not (topic.get("text") or topic.get("keywords"))


_INTERESTS = ("topics", "authors", "categories", "examples", "library")


def _subscribers(data: Mapping[str, Any]) -> Found:
    topics = table_in(data.get("topics"))
    for number, person in enumerate(tables(data.get("subscribers"))):
        path = ("subscribers", number)
        if not any(person.get(key) for key in _INTERESTS) and ("topics" in person or not topics):
            yield (
                path,
                (
                    "[[subscribers]] has nothing to choose by: give `topics`, `authors`, `categories`, `examples` or "
                    "`library`, or write a [topics.NAME] table for all"
                ),
            )
        wanted = person.get("topics")
        for at, topic in enumerate(wanted if isinstance(wanted, list | tuple) else ()):
            if isinstance(topic, str) and topic and topic not in topics:
                yield (*path, "topics", at), unknown_topic(topic, topics)
            elif isinstance(topic, Mapping) and _is_aimless(topic):
                yield (*path, "topics", at), "this topic has nothing to look for: give `text`, `keywords` or both"


def unknown_topic(topic: str, topics: Mapping[str, Any]) -> str:
    """The message for a topic's name that no [topics.NAME] has."""
    advice = did_you_mean(topic, topics) or (
        f"there are {', '.join(topics)}" if topics else f"write a [topics.{topic}] table"
    )
    return f"there is no topic {show(topic)}; {advice}"


def _web(web: Mapping[str, Any]) -> Found:
    written = [key for key in ("status_password", "status_password_file") if web.get(key)]
    if web.get("status_public") is True and written:
        yield (
            ("web", written[0]),
            f"`{written[0]}` of [web] asks for nothing while `status_public = true`: take one of them out",
        )


def _relays(relays: Sequence[tuple[KeyPath, Mapping[str, Any]]]) -> Found:
    names: set[str] = set()
    for path, relay in relays:
        label = table_label(path)
        if relay.keys() <= set(keys_of("smtp")):  # what is mistyped may be the missing one
            yield from _login(path, label, relay)
        key = "name" if "name" in relay else "host"
        name = relay.get(key)
        if isinstance(name, str) and name in names:
            yield (*path, key), f"`{key}` of {label} {show(name)} is taken by another relay: give each its own `name`"
        names.add(str(name))
        if relay.get("on_unknown", OnUnknown.HOLD) != relays[0][1].get("on_unknown", OnUnknown.HOLD):
            yield (
                (*path, "on_unknown") if "on_unknown" in relay else path,
                f"`on_unknown` of {label} must be the same for all relays: write it in each table",
            )


def _login(path: KeyPath, label: str, relay: Mapping[str, Any]) -> Found:
    has_password = bool(relay.get("password") or relay.get("password_file"))
    if "username" in relay and not has_password:
        yield (*path, "username"), f"`username` of {label} needs a `password` or a `password_file` beside it"
    if has_password and "username" not in relay:
        key = "password" if "password" in relay else "password_file"
        yield (*path, key), f"`{key}` of {label} needs a `username` beside it"
