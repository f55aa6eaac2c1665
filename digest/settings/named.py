"""Files and folders that a config names, also where they are not there yet: what `digest check` looks at and makes.

Reads the file's own words without asking whether the config is right: a missing key file is why it is not. Nothing here
writes; `digest/check/fixing.py` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from digest.settings import files
from digest.settings.contradictions import each_table
from digest.settings.document import read_document
from digest.settings.models import StoreTable
from digest.settings.sources import read


class Holds(Enum):
    """What is in a file or folder that a config names."""

    DKIM_KEY = "DKIM key"
    LINK_SECRET = "key of links"  # noqa: S105
    PASSWORD = "password"  # noqa: S105
    TEMPLATES = "templates"
    DATABASE = "database"
    CONFIG = "config with a password in it"


@dataclass(frozen=True, slots=True)
class Named:
    """One file or folder, and the key that names it: "`key_file` of [dkim]"."""

    holds: Holds
    path: Path
    key: str
    selector: str = ""
    """Of a DKIM key."""


_KEYS = (
    ("dkim", "key_file", Holds.DKIM_KEY),
    ("list", "secret_file", Holds.LINK_SECRET),
    ("smtp", "password_file", Holds.PASSWORD),
    ("mailbox", "password_file", Holds.PASSWORD),
    ("store", "password_file", Holds.PASSWORD),
    ("list", "templates", Holds.TEMPLATES),
)
_IN_CLEAR = (("smtp", "password"), ("mailbox", "password"), ("list", "secret"), ("store", "password"))


def named_files(path: Path, environ: Mapping[str, str]) -> tuple[Named, ...]:
    """All of one config file's, the config itself among them if it holds a secret. Raises ConfigError: no TOML."""
    document = read_document(path)
    merged = read(document, environ).merged
    found = list(_named(merged, document.folder))
    if any(
        isinstance(t.get(key), str) for label, key in _IN_CLEAR for _, t in each_table(label, document.data.get(label))
    ):
        found.append(Named(Holds.CONFIG, path.resolve(), "the config"))
    return tuple(found)


def _named(merged: Mapping[str, Any], folder: Path) -> Iterator[Named]:
    for label, key, holds in _KEYS:
        for _, table in each_table(label, merged.get(label)):
            name = table.get(key)
            if isinstance(name, str) and name.strip():
                selector = str(table.get("selector", ""))
                yield Named(holds, files.absolute(folder, name), f"`{key}` of [{label}]", selector)
    store = merged.get("store")
    url = store.get("url") if isinstance(store, Mapping) else None
    url = url if isinstance(url, str) else StoreTable().url
    if url.startswith("sqlite:///"):
        place = files.store_url(folder, url, None).removeprefix("sqlite:///").partition("?")[0]
        yield Named(Holds.DATABASE, Path(place), "`url` of [store]")
