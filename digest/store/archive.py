"""What a list's editions have brought, for the pages: by day, by paper, by words. Reads only, and nothing of people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from digest.model import Candidate, Edition, ListId, PaperId
from digest.store import schema
from digest.store.codec import decode
from digest.store.damaged import readable
from digest.store.database import Database
from digest.store.rounds import OWN, edition_of

editions, held = schema.editions, schema.edition_papers


class Archive:
    """The past editions of one list, without round-ups: what is in those was in one of its own."""

    def __init__(self, database: Database, list_id: ListId):
        self._database = database
        self._list_id = list_id

    def days(self) -> tuple[date, ...]:
        """The days of all editions, newest first."""
        query = sa.select(editions.c.due_on).where(self._here()).order_by(editions.c.due_on.desc())
        with self._database.read() as connection:
            return tuple(connection.execute(query).scalars())

    def between(self, first: date, last: date) -> tuple[Edition, ...]:
        """The editions of these days, both included, newest first."""
        days = editions.c.due_on.between(first, last)
        query = sa.select(editions).where(self._here(), days).order_by(editions.c.due_on.desc())
        with self._database.read() as connection:
            return tuple(map(edition_of, connection.execute(query)))

    def around(self, first: date, last: date) -> tuple[date | None, date | None]:
        """The day of the last edition before these days, and of the first after them."""
        before = sa.select(sa.func.max(editions.c.due_on)).where(self._here(), editions.c.due_on < first)
        after = sa.select(sa.func.min(editions.c.due_on)).where(self._here(), editions.c.due_on > last)
        with self._database.read() as connection:
            return connection.execute(before).scalar_one(), connection.execute(after).scalar_one()

    def paper(self, paper_id: PaperId) -> tuple[Candidate, tuple[date, ...]] | None:
        """A paper as the newest edition had it, and the days of all that had it, newest first."""
        query = self._brought().where(held.c.paper_id == paper_id)
        with self._database.read() as connection:
            found = list(readable("candidate", connection.execute(query), _brought))
        return (found[0][0], tuple(day for _, day in found)) if found else None

    def search(self, words: Sequence[str], limit: int) -> tuple[tuple[Candidate, date], ...]:
        """Papers that have all the words in title, abstract, authors or categories, newest first, each once."""
        query = self._brought()
        for word in words:
            # Finds the rows worth reading; the names of fields are in them too, so each is looked at again.
            query = query.where(held.c.candidate.ilike(_pattern(word), escape="/"))
        wanted = [word.casefold() for word in words]
        found: dict[PaperId, tuple[Candidate, date]] = {}
        with self._database.read() as connection:
            for candidate, day in readable("candidate", connection.execute(query), _brought):
                paper = candidate.paper
                text = "\n".join((paper.title, paper.abstract, *paper.authors, *paper.categories)).casefold()
                if all(word in text for word in wanted):
                    found.setdefault(paper.id, (candidate, day))
                    if len(found) == limit:
                        break
        return tuple(found.values())

    def _brought(self) -> sa.Select[Any]:
        return (
            sa.select(held.c.paper_id, held.c.candidate, editions.c.due_on)
            .join_from(held, editions, held.c.edition_id == editions.c.id)
            .where(self._here())
            .order_by(editions.c.due_on.desc(), held.c.position)
        )

    def _here(self) -> sa.ColumnElement[bool]:
        return sa.and_(editions.c.list_id == self._list_id, editions.c.frequency == OWN)


def _brought(row: sa.Row[Any]) -> tuple[Candidate, date]:
    return decode(row.candidate, Candidate), row.due_on


def _pattern(word: str) -> str:
    """What LIKE finds the word by, and more: databases know the two cases of ASCII letters alone."""
    return "%" + re.sub(r"[^\x00-\x7f]", "_", re.sub(r"[/%_]", r"/\g<0>", word)) + "%"
