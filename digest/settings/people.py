"""The people of one list: `[[subscribers]]`, the CSV of `subscribers_file`, their libraries.

Works on the raw, merged mapping, so that mistakes in a CSV show together with those of the TOML. Reads the files that
the config names, through `digest.subscribe.importing`. `load` calls it; `build.py` uses what it gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from digest.errors import Problem
from digest.model import Paper
from digest.settings.contradictions import unknown_topic
from digest.settings.explain import Places
from digest.subscribe.importing import SubscriberRow, read_subscribers
from digest.subscribe.libraries import read_library
from digest.subscribe.values import WrongValue, email_address, same_mailbox, show


@dataclass
class People:
    """What the files about people gave. `libraries` has the papers of each library by its name in the config."""

    rows: tuple[SubscriberRow, ...] = ()
    csv: Path | None = None
    libraries: dict[str, tuple[Paper, ...]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def beside(path: Path, name: str) -> Path:
    """A file named in a config, in the form in which messages name the config itself."""
    return path.parent / name


def read_people(merged: Mapping[str, Any], places: Places) -> People:
    """Read the CSV and the libraries that a config names, and look for an address that is there twice."""
    people = People()
    topics = merged.get("topics")
    name = merged.get("subscribers_file")
    if isinstance(name, str) and name.strip():
        _read_csv(people, beside(places.document.path, name), topics if isinstance(topics, Mapping) else {}, places)
    found = merged.get("subscribers")
    persons = [p if isinstance(p, Mapping) else {} for p in found] if isinstance(found, list | tuple) else []
    _find_doubles(people, persons, places)
    for number, person in enumerate(persons):
        library = person.get("library")
        if isinstance(library, str) and library.strip() and library not in people.libraries:
            _read_library(people, library, number, places)
    return people


def _read_csv(people: People, path: Path, topics: Mapping[str, Any], places: Places) -> None:
    read = read_subscribers(path)
    people.rows, people.csv = read.items, path
    for problem in read.problems:
        if problem.line is None:  # no file at all: the mistake is in the config
            message = f"`subscribers_file` {show(str(path))}: {problem.message}"
            people.problems.append(places.problem(("subscribers_file",), message))
        else:
            people.problems.append(problem)
    for row in read.items:
        for topic in row.topics:
            if topic not in topics:
                people.problems.append(Problem(path, row.line, "topics", unknown_topic(topic, topics)))
        if not topics and not (row.topics or row.authors or row.categories or row.examples):
            message = "has nothing to choose by: fill in a cell, or write a [topics.NAME] table in the config for all"
            people.problems.append(Problem(path, row.line, "topics", message))


def _find_doubles(people: People, persons: list[Mapping[str, Any]], places: Places) -> None:
    """One person gets one email: an address is there once, in the TOML and the CSV together."""
    first: dict[str, str] = {}
    for number, person in enumerate(persons):
        path = ("subscribers", number, "email")
        try:
            address = email_address(person["email"])
        except (KeyError, WrongValue, TypeError, AttributeError):
            continue
        if earlier := first.get(same_mailbox(address)):
            message = f"`email` of [[subscribers]] {show(address)} is there twice, first at {earlier}: keep one of them"
            people.problems.append(places.problem(path, message))
        first.setdefault(same_mailbox(address), places.where(path))
    for row in people.rows:
        if earlier := first.get(same_mailbox(row.address)):
            message = f"`email` {show(row.address)} is there twice, first at {earlier}: keep one of them"
            people.problems.append(Problem(people.csv, row.line, "email", message))
        first.setdefault(same_mailbox(row.address), f"{people.csv}:{row.line}")


def _read_library(people: People, name: str, number: int, places: Places) -> None:
    path = beside(places.document.path, name)
    read = read_library(path)
    people.libraries[name] = read.items
    if read.items:
        people.warnings += [Problem(p.file, p.line, p.key, f"{p.message}: left out") for p in read.problems]
        return
    why = (
        read.problems[0].message if read.problems and read.problems[0].line is None else "has no entry that can be used"
    )
    message = f"`library` of [[subscribers]] {show(str(path))}: {why}"
    people.problems.append(places.problem(("subscribers", number, "library"), message))
