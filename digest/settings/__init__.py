"""Config files and environment, read and checked: the only importer of pydantic and pydantic-settings.

`load` is all that others call; what it returns (`installation.py`) is plain frozen values. The way of one file:
`document.py` (TOML, with lines) → `sources.py` (environment over secret files over TOML, into `models.py`) →
`explain.py`, `contradictions.py`, `files.py`, `people.py`, `signing.py` (every mistake, in words) → `remarks.py` →
`build.py`.
Nothing here writes, prints or connects. Importing this takes a quarter of a second: import it where it is used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from digest.errors import ConfigError, Problem
from digest.settings.build import list_config
from digest.settings.contradictions import contradictions
from digest.settings.document import Document, config_files, read_document
from digest.settings.explain import Places, explain, nameless_variables, table_label, unknown_variables
from digest.settings.files import missing_extras, missing_files
from digest.settings.installation import ConfiguredSubscriber, Installation, ListConfig
from digest.settings.people import read_people
from digest.settings.remarks import remarks
from digest.settings.signing import read_signing
from digest.settings.sources import read
from digest.subscribe.values import show

__all__ = ["ConfiguredSubscriber", "Installation", "ListConfig", "load"]


def load(paths: Sequence[Path], environ: Mapping[str, str] | None = None) -> Installation:
    """Read the lists of `paths`, each a config file or a folder of them; `environ` is `os.environ` by default.

    Raises ConfigError with all problems of all files, in the order of files and lines.
    """
    environ = os.environ if environ is None else environ
    found, problems = config_files(paths)
    lists: list[ListConfig] = []
    documents: list[Document] = []
    for path in found:
        try:
            document = read_document(path)
            documents.append(document)
            lists.append(_load_one(document, environ))
        except ConfigError as error:
            problems += [p for p in error.problems if isinstance(p, Problem)]
    problems += _same_ids(documents)
    problems += unknown_variables(environ)
    if not paths:
        raise ConfigError("no config is named; `digest init` writes one")
    if problems:
        # The environment's mistakes show in every file of an installation: once is enough.
        raise ConfigError(*dict.fromkeys(problems))
    return Installation(tuple(lists))


def _load_one(document: Document, environ: Mapping[str, str]) -> ListConfig:
    reading = read(document, environ)
    if nameless := nameless_variables(document, reading.environment):
        raise ConfigError(*nameless)
    places = Places(document, reading.environment)
    people = read_people(reading.merged, places)
    signing = read_signing(reading.merged, places)
    problems = [
        *explain(reading.errors, places),
        *(places.problem(path, text) for path, text in contradictions(reading.merged)),
        *(places.problem(path, text) for path, text in missing_files(reading.merged, document.folder)),
        *(places.problem(path, text) for path, text in missing_extras(reading.merged)),
        *(places.problem(path, f"`{path[-1]}` of {table_label(path[:-1])} {why}") for path, why in reading.unreadable),
        *people.problems,
        *signing.problems,
    ]
    if problems or reading.settings is None:
        raise ConfigError(*_in_file_order(problems, document.path))
    warnings = _in_file_order(remarks(reading.merged, people, places), document.path)
    return list_config(document, reading.settings, people, signing, [str(warning) for warning in warnings], environ)


def _in_file_order(problems: Sequence[Problem], config: Path) -> list[Problem]:
    """The config's own by line, then those of files that it names, then the environment's."""
    return sorted(problems, key=lambda p: (p.file is None, p.file != config, str(p.file), p.line or 0))


def _same_ids(documents: Sequence[Document]) -> list[Problem]:
    """The ledger hangs on a list's id: two files with one id would take each other's editions for their own."""
    first: dict[str, str] = {}
    problems = []
    for document in documents:
        table = document.data.get("list")
        identifier = table.get("id") if isinstance(table, dict) else None
        if not isinstance(identifier, str):
            continue
        places = Places(document, {})
        if earlier := first.get(identifier.casefold()):
            message = f"`id` of [list] {show(identifier)} is taken by {earlier}: each list needs its own"
            problems.append(places.problem(("list", "id"), message))
        first.setdefault(identifier.casefold(), places.where(("list", "id")))
    return problems
