"""What readers had of editions whose deliveries are let go of: which papers, and whether they arrived.

A row of `received` is about a range of readers, by their ids. It takes some twenty bytes for each, where a delivery
takes kilobytes: a paper goes by its place among the edition's candidates, a reader by how far her id is from the one
before, and all of it is compressed. `condensing.py` writes it. Where an edition has `final_counts`, this is what
counts, and not its deliveries, whatever rows of them are still there.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa
from msgspec import Struct
from msgspec.json import Decoder, Encoder

from digest.model import BounceKind, DeliveryStatus, EditionId, ListId, PaperId, SubscriberId
from digest.store import schema
from digest.store.codec import decode
from digest.store.damaged import tell
from digest.store.papers import in_groups

editions, table = schema.editions, schema.received

Place = int | str
"""Of a paper among the edition's candidates; one that is not among them goes by its id."""


class Had(NamedTuple):
    """What an edition had for one reader, best first, and whether it arrived."""

    papers: tuple[Place, ...]
    arrived: bool


class _Range(Struct, array_like=True, gc=False):
    """What is kept in a row, as JSON and compressed (zlib). Lists of a kind compress better than readers one by one."""

    steps: list[int]
    """From each reader's id to the next one's, the first from the row's `first`."""
    papers: list[tuple[Place, ...]]
    never_arrived: list[int]
    """Who of them, by their places here."""


_encoder, _decoder = Encoder(), Decoder(_Range)


@dataclass(frozen=True, slots=True)
class FinalCounts:
    """What an edition's deliveries had come to when they were let go of."""

    deliveries: Mapping[DeliveryStatus, int] = field(default_factory=dict)
    came_back: Mapping[BounceKind, int] = field(default_factory=dict)


def final_counts(edition_id: int, text: str | None) -> FinalCounts | None:
    """What `editions.final_counts` holds, in the order of statuses and kinds; None where deliveries are still rows."""
    if text is None:
        return None
    try:
        found = decode(text, FinalCounts)
    except ValueError as error:
        tell(f"how many deliveries edition {edition_id} had", "it counts as none", error)
        return FinalCounts()
    deliveries = {status: found.deliveries[status] for status in DeliveryStatus if status in found.deliveries}
    return FinalCounts(deliveries, {kind: found.came_back[kind] for kind in BounceKind if kind in found.came_back})


def let_go() -> sa.ColumnElement[bool]:
    """The condition that an edition's deliveries are let go of."""
    return editions.c.final_counts.is_not(None)


def is_let_go(connection: sa.Connection, edition_id: EditionId) -> bool:
    """Whether this edition's are."""
    return connection.execute(sa.select(let_go()).where(editions.c.id == edition_id)).scalar_one()


def packed(readers: Mapping[SubscriberId, Had]) -> bytes:
    """Readers, in the order of their ids, as a row whose `first` is the first of them."""
    ids = list(readers)
    steps = [after - before for before, after in zip([ids[0], *ids], ids, strict=False)]
    missed = [place for place, had in enumerate(readers.values()) if not had.arrived]
    return zlib.compress(_encoder.encode(_Range(steps, [had.papers for had in readers.values()], missed)))


def unpacked(first: int, papers: bytes) -> dict[SubscriberId, Had]:
    """The readers of a row. Raises ValueError where it is damaged."""
    try:
        found = _decoder.decode(zlib.decompress(papers))
    except zlib.error as error:
        raise ValueError(str(error)) from error
    missed = frozenset(found.never_arrived)
    readers: dict[SubscriberId, Had] = {}
    reader = first
    for place, (step, had) in enumerate(zip(found.steps, found.papers, strict=True)):
        reader += step
        readers[SubscriberId(reader)] = Had(had, place not in missed)
    return readers


def had(
    connection: sa.Connection, edition_ids: Iterable[int], readers: Sequence[SubscriberId]
) -> Iterator[tuple[EditionId, SubscriberId, Had | None]]:
    """What editions had for readers, in the order of editions; None for all of a range that cannot be read.

    No range is read but those in which somebody is.
    """
    asked = sorted(readers)
    here: dict[tuple[int, int], list[SubscriberId]] = {}
    for some in in_groups(sorted(edition_ids)) if asked else ():
        ranges = sa.select(table.c.edition_id, table.c.first, table.c.last).where(
            table.c.edition_id.in_(some), table.c.first <= asked[-1], table.c.last >= asked[0]
        )
        for edition_id, first, last in connection.execute(ranges).all():
            if some_of_them := asked[bisect_left(asked, first) : bisect_left(asked, last + 1)]:
                here[edition_id, first] = some_of_them
    for row in _rows(connection, here):
        edition_id, some_of_them = EditionId(row.edition_id), here[row.edition_id, row.first]
        try:
            found = unpacked(row.first, row.papers)
        except ValueError as error:
            _tell(row, "nobody knows", error)
            yield from ((edition_id, reader, None) for reader in some_of_them)
        else:
            yield from ((edition_id, reader, found[reader]) for reader in some_of_them if reader in found)


def ids_at(connection: sa.Connection, edition_id: int) -> Callable[[Place], PaperId]:
    """Which paper is meant by a place."""
    held = schema.edition_papers
    query = sa.select(held.c.position, held.c.paper_id).where(held.c.edition_id == edition_id)
    at = {row.position: row.paper_id for row in connection.execute(query)}
    return lambda place: PaperId(place if isinstance(place, str) else at[place])


def all_had(connection: sa.Connection, list_id: ListId, reader: SubscriberId) -> Iterator[dict[str, Any]]:
    """All that is kept of a reader's deliveries, in the order of editions, as plain JSON values."""
    of_list = sa.select(editions.c.id, editions.c.number, editions.c.due_on).where(editions.c.list_id == list_id)
    dated = {number: rest for number, *rest in connection.execute(of_list.where(let_go()))}
    for edition_id, _, of_her in had(connection, dated, [reader]):
        if of_her:
            number, due_on = dated[edition_id]
            papers = list(map(ids_at(connection, edition_id), of_her.papers))
            yield {"number": number, "due_on": due_on.isoformat(), "arrived": of_her.arrived, "papers": papers}


def forget(connection: sa.Connection, reader: SubscriberId) -> None:
    """Has no papers stand for her in any edition, as after an erasure none stand in her deliveries."""
    begins = sa.select(sa.func.max(table.c.first)).where(table.c.edition_id == editions.c.id, table.c.first <= reader)
    found = connection.execute(sa.select(editions.c.id, begins.scalar_subquery()))
    for row in _rows(connection, {(edition_id, first) for edition_id, first in found if first is not None}):
        try:
            readers = unpacked(row.first, row.papers)
        except ValueError as error:
            _tell(row, "it stays", error)
            continue
        if reader in readers:
            readers[reader] = readers[reader]._replace(papers=())
            here = sa.and_(table.c.edition_id == row.edition_id, table.c.first == row.first)
            connection.execute(sa.update(table).where(here).values(papers=packed(readers)))


def _rows(connection: sa.Connection, keys: Collection[tuple[int, int]]) -> Iterator[sa.Row[*tuple[Any, ...]]]:
    """The rows of these editions that begin there, in the order of editions."""
    for some in in_groups(sorted(keys)):
        # Column by column: SQLite would look all of an index through for pairs.
        of_them = [column.in_({key[n] for key in some}) for n, column in enumerate((table.c.edition_id, table.c.first))]
        rows = connection.execute(sa.select(table).where(*of_them).order_by(table.c.edition_id, table.c.first)).all()
        wanted = set(some)
        yield from (row for row in rows if (row.edition_id, row.first) in wanted)


def _tell(row: sa.Row[Any], instead: str, error: ValueError) -> None:
    tell(f"what edition {row.edition_id} had for subscribers {row.first} to {row.last}", instead, error)
