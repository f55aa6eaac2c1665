"""A list's members as CSV, for spreadsheets and for `importing.py`: what the one writes, the other reads.

Pure, but for the file that it is given. What a table cannot hold (votes, deliveries, a topic's keywords) is in the JSON
of `Membership.held`. `digest/commands/people.py` calls it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import date
from typing import TextIO
from unicodedata import category

from digest.members import Member
from digest.model import Topic
from digest.subscribe.cells import escaped, joined
from digest.subscribe.importing import MEMBERS_COLUMNS


def write_members(file: TextIO, members: Iterable[Member], topics: Sequence[Topic], today: date) -> int:
    """Writes a header and a row a member, every cell in quotation marks (RFC 4180). Returns how many members."""
    writer = csv.DictWriter(file, MEMBERS_COLUMNS, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writeheader()
    names = {topic.name for topic in topics}
    count = 0
    for member in members:
        writer.writerow({column: escaped(cell) for column, cell in _row(member, names, today).items()})
        count += 1
    return count


def _row(member: Member, names: set[str], today: date) -> dict[str, str]:
    chosen, profile = member.preferences, member.preferences.profile
    own = [topic.text or " ".join(topic.keywords) for topic in profile.topics if topic.name not in names]
    return {
        "email": member.address,
        "name": _line(chosen.name),
        "topics": joined(_line(topic.name) for topic in profile.topics if topic.name in names),
        "authors": joined(map(_line, profile.authors)),
        "categories": joined(profile.categories),
        "examples": joined(example for example in profile.examples if not example.startswith("title:")),
        "timezone": chosen.timezone or "",
        "language": chosen.language or "",
        "frequency": chosen.frequency or "",
        "interests": joined(map(_line, own)),
        "hour": "" if chosen.hour is None else str(chosen.hour),
        "paused_until": chosen.paused_until.isoformat() if chosen.paused_until else "",
        "state": member.standing(today),
    }


def _line(text: str) -> str:
    """On one line: a text of the config may have several."""
    return " ".join("".join(" " if category(c) == "Cc" else c for c in text).split())
