"""What a config may say, but probably does not mean: one honest line each, no error.

Works on the raw, merged mapping of a config that is otherwise right. `load` calls it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from digest.errors import Problem
from digest.hosts import is_loopback
from digest.render.language import languages, speaks
from digest.settings.contradictions import each_table, tables
from digest.settings.explain import Places, table_label
from digest.settings.files import public_keys
from digest.settings.people import People
from digest.settings.toml_lines import KeyPath
from digest.subscribe.taxonomy import ARCHIVES, CATEGORIES
from digest.subscribe.values import did_you_mean, show

_IN_ENGLISH = f"there is no translation yet, so these emails are in English; there are {', '.join(languages())}"


def remarks(merged: Mapping[str, Any], people: People, places: Places) -> list[Problem]:
    """All remarks, in no order."""
    found = [*people.warnings, *(places.problem(path, text) for path, text in _in_config(merged))]
    persons = merged.get("subscribers", ())
    found += (places.problem(path, text) for path, text in public_keys(merged, places.document.folder))
    found += _about_languages(merged, people, places)
    if not persons and not people.rows:
        text = "nobody is subscribed: add a [[subscribers]] table or a `subscribers_file`"
        found.append(places.problem(("list",), text))
    return found


def _about_languages(merged: Mapping[str, Any], people: People, places: Places) -> Iterator[Problem]:
    """Languages that emails cannot be in: one remark for each place where languages are set."""
    tables: dict[KeyPath, Any] = {("list", "language"): merged["list"].get("language")}
    yield from _unspoken("[list]", tables, places)
    persons = enumerate(merged.get("subscribers", ()))
    tables = {("subscribers", number, "language"): person.get("language") for number, person in persons}
    yield from _unspoken("[[subscribers]]", tables, places)
    if row := next((row for row in people.rows if row.language and not speaks(row.language)), None):
        yield Problem(people.csv, row.line, "language", f"`language` {show(row.language)}: {_IN_ENGLISH}")


def _unspoken(table: str, tags: Mapping[KeyPath, Any], places: Places) -> Iterator[Problem]:
    unknown = [(path, tag) for path, tag in tags.items() if tag and not speaks(tag)]
    if unknown:
        path, tag = unknown[0]
        more = f" ({len(unknown)} like it)" if len(unknown) > 1 else ""
        yield places.problem(path, f"`language` of {table} {show(tag)}{more}: {_IN_ENGLISH}")


def _in_config(merged: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    if "mailbox" in merged:
        yield from _about_mailbox(merged["mailbox"], merged["list"])
    if str(merged["list"].get("secret")).startswith("better kept elsewhere"):
        yield ("list", "secret"), "`secret` of [list] is the example's: everybody knows it and can sign with it"
    if str(merged.get("web", {}).get("status_password")).startswith("better kept elsewhere"):
        yield ("web", "status_password"), "`status_password` of [web] is the example's: everybody knows it"
    if "web" in merged and "base_url" not in merged["list"]:
        yield ("web",), "[web]: without `base_url` of [list] emails link to no page, and nobody can sign up on one"
    yield from _about_categories(merged)
    for path, relay in each_table("smtp", merged.get("smtp")):
        yield from _about_relay(path, table_label(path), relay)


def _about_mailbox(mailbox: Mapping[str, Any], of_list: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    missing = [
        *(["`host`"] if "host" not in mailbox else []),
        *(["`username`"] if not ("username" in mailbox or "address" in mailbox) else []),
        *(["`password` or `password_file`"] if not ("password" in mailbox or "password_file" in mailbox) else []),
    ]
    if missing:
        yield ("mailbox",), f"[mailbox] is not read: it lacks {' and '.join(missing)}"
    elif not ("address" in mailbox or "@" in str(mailbox.get("username"))):
        yield ("mailbox",), "[mailbox]: without an `address`, commands and votes by mail are neither offered nor read"
        if "bounces" not in of_list and "base_url" not in of_list:
            yield ("mailbox",), "[mailbox] is read for bounces, which prove nothing without `bounces` of [list]"
    if mailbox.get("security") == "none" and not _is_this_machine(mailbox):
        yield ("mailbox", "security"), f'`security = "none"` of [mailbox] {_READABLE}'


_READABLE = "would send the password readable for everyone on the way: it is not sent, and nothing comes through"


def _is_this_machine(server: Mapping[str, Any]) -> bool:
    return is_loopback(str(server.get("host")).strip("[]"))


def _about_categories(merged: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    for table in ("sources", "subscribers"):
        for number, item in enumerate(tables(merged.get(table))):
            categories = item.get("categories")
            for place, category in enumerate(categories if isinstance(categories, list | tuple) else ()):
                if category not in CATEGORIES | ARCHIVES:
                    near = did_you_mean(category, sorted(CATEGORIES)) or "see https://arxiv.org/category_taxonomy"
                    yield (
                        (table, number, "categories", place),
                        f"`categories` of [[{table}]]: arXiv is not known to have {show(category)}; {near}",
                    )


def _about_relay(path: KeyPath, label: str, smtp: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    security, port = smtp.get("security", "starttls"), str(smtp.get("port", ""))
    if security == "none" and "username" in smtp and not _is_this_machine(smtp):
        yield (*path, "security"), f'`security = "none"` of {label} {_READABLE}'
    if port == "465" and security != "tls":
        yield (*path, "port"), f'`port` of {label} 465 usually speaks TLS from the start: `security = "tls"`'
    if port == "587" and security == "tls":
        yield (*path, "port"), f'`port` of {label} 587 usually speaks STARTTLS: `security = "starttls"`'
