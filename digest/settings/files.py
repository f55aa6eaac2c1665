"""What a config names and does not hold: where files and folders lie, and whether what must be there is.

A path is relative to the folder of the config file that names it. `load` and `build.py` call this module.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from digest.settings import addresses, checks
from digest.settings.contradictions import each_table
from digest.settings.explain import table_label
from digest.settings.toml_lines import KeyPath
from digest.subscribe.values import WrongValue, show

T = TypeVar("T")
POSTGRES = "pip install 'papers-digest[postgres]'"


def absolute(folder: Path, name: str) -> Path:
    """A path in a config as an absolute one without `..`. A link keeps its own name."""
    path = folder / name
    return path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name


_NAMED = (("list", "templates", True), ("smtp", "ca_file", False), ("mailbox", "ca_file", False))
"""Tables and their keys that name what must be there, and whether it is a folder."""


def missing_files(merged: Mapping[str, Any], folder: Path) -> Iterator[tuple[KeyPath, str]]:
    """Files and folders that a config needs from the start. A source's may be missing: it fails when pulled."""
    for label, key, is_folder in _NAMED:
        for path, table in each_table(label, merged.get(label)):
            name = table.get(key)
            if not isinstance(name, str) or not name.strip():
                continue
            place = absolute(folder, name)
            if not (place.is_dir() if is_folder else place.is_file()):
                kind = "folder" if is_folder else "file"
                yield (*path, key), f"`{key}` of {table_label(path)} must be a {kind}, {show(name)} is none: {place}"


def public_keys(merged: Mapping[str, Any], folder: Path) -> Iterator[tuple[KeyPath, str]]:
    """Keys that sign, in files that everybody on this machine may read."""
    for path, table in each_table("dkim", merged.get("dkim")):
        place = absolute(folder, table["key_file"])
        if is_public(place):
            advice = f"`chmod 600 {place}`, or `digest check --fix`"
            text = (
                f"`key_file` of {table_label(path)}: everybody on this machine may read it and sign with it; {advice}"
            )
            yield (*path, "key_file"), text


def is_public(path: Path) -> bool:
    """Whether everybody on this machine may read the file. Windows has other rights, which are not looked at."""
    try:
        return os.name == "posix" and bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def missing_extras(merged: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Extras of this program that a config needs and that are not installed."""
    if _says(merged.get("list"), "semantic", checks.flag):
        from digest.rank.embedding import INSTALL, available

        if not available():
            yield ("list", "semantic"), f"`semantic = true` of [list] needs an extra that is not installed: `{INSTALL}`"
    store = str(_says(merged.get("store"), "url", addresses.store_url))
    if store.startswith("postgresql") and not find_spec("psycopg"):
        yield ("store", "url"), f"a postgresql:// `url` of [store] needs an extra that is not installed: `{POSTGRES}`"


def _says(table: object, key: str, check: Callable[[object], T]) -> T | None:
    """What a table says, if it says anything that can be read."""
    try:
        return check(table[key]) if isinstance(table, Mapping) and key in table else None
    except WrongValue:
        return None


def source_url(folder: Path, written: str) -> str:
    """The address of a source; a path becomes a file:// address."""
    return written if "://" in written else absolute(folder, written).as_uri()


def store_url(folder: Path, written: str, password: str | None) -> str:
    """An address of SQLite with an absolute path, or one of PostgreSQL with its password."""
    scheme, _, rest = written.partition("://")
    if scheme == "postgresql":
        from sqlalchemy import make_url

        url = make_url(written)
        return (url.set(password=password) if password else url).render_as_string(hide_password=False)
    name, question, options = rest[1:].partition("?")
    return f"{scheme}:///{absolute(folder, name)}{question}{options}"
