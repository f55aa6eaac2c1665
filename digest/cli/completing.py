"""What the shell offers after TAB: ids of lists, numbers of editions, addresses of subscribers.

A shell waits for it, so nothing is loaded but the standard library: the config is read as TOML, without any check, and
the database by one statement, the only ones outside of `digest.store`, whose libraries take three times as long to load
as all the rest. Whatever is wrong, there is nothing to offer; the command itself will say why.
"""

from __future__ import annotations

import os
import sqlite3
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import typer

MOST = 100
"""Offered at once: a list of a million people is not to be looked through."""


def list_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """The lists of the config."""
    return _beginning(incomplete, (str(table.get("id", "")) for _, table in _lists(ctx)))


def editions(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Numbers of editions, the newest first, each with its day."""
    statement = "SELECT number, due_on FROM editions WHERE number LIKE ? || '%' ORDER BY due_on DESC LIMIT ?"
    found = dict(_rows(ctx, statement, incomplete))
    return [(str(number), str(day)) for number, day in found.items()]


def addresses(ctx: typer.Context, incomplete: str) -> list[str]:
    """Subscribers of the config and of the database."""
    configured = (
        str(person.get("email", ""))
        for config, _ in _lists(ctx)
        for person in _tables(config.get("subscribers"))
    )  # fmt: skip
    statement = "SELECT address FROM subscribers WHERE address_key LIKE lower(?) || '%' ORDER BY address_key LIMIT ?"
    known = (str(address) for (address,) in _rows(ctx, statement, incomplete))
    return _beginning(incomplete, [*configured, *known])


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    wanted = incomplete.casefold()
    return [word for word in dict.fromkeys(words) if word and word.casefold().startswith(wanted)][:MOST]


def _tables(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _configs(ctx: typer.Context) -> Iterator[tuple[Path, dict[str, Any]]]:
    named = ctx.params.get("config") or os.environ.get("DIGEST_CONFIG", "config.toml").split(os.pathsep)
    for path in map(Path, named):
        for file in sorted(path.glob("*.toml")) if path.is_dir() else [path]:
            try:
                yield file, tomllib.loads(file.read_text(encoding="utf-8-sig"))
            except (OSError, ValueError):
                continue


def _lists(ctx: typer.Context) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each config and its [list]."""
    for _, config in _configs(ctx):
        if isinstance(table := config.get("list"), dict):
            yield config, table


def _rows(ctx: typer.Context, statement: str, incomplete: str) -> Iterator[tuple[Any, ...]]:
    """What the databases answer, each read without being changed, created or waited for."""
    databases = set()
    for file, config in _configs(ctx):
        store = config.get("store")
        url = str(store.get("url", "")) if isinstance(store, dict) else "sqlite:///digest.db"
        if not url.startswith("sqlite:///"):
            continue  # a server may be far away
        databases.add((file.parent / url.removeprefix("sqlite:///").partition("?")[0]).resolve())
    for path in sorted(databases):
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.2)) as connection:
                yield from connection.execute(statement, (incomplete, MOST)).fetchall()
        except sqlite3.Error:
            continue
