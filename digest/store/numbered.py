"""Rows by their numbers: many are read or changed with one statement, whose text is the same however many they are.

A statement that is the same every time is compiled once by SQLAlchemy and prepared once by the driver, and a row costs
what the database does for it. So numbers come as one parameter, and on PostgreSQL what differs from row to row comes
as one JSON text; SQLite, which is in this process, runs a prepared statement for each row. Called by `outbox.py`.
Sources: postgresql.org/docs/current/functions-json.html (json_to_recordset), sqlite.org/json1.html (json_each).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from digest.model import Delivery, DeliveryId, EditionId
from digest.store import schema
from digest.store.database import POSTGRESQL
from digest.store.times import utc_text

table = schema.deliveries

Change = Mapping[str, object]
"""Columns of a delivery and what they become."""


def is_among(dialect: str, column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    """The condition that a whole number is one of those in the parameter `ids`, which `numbers` makes."""
    given = sa.bindparam("ids", type_=sa.Text)
    if dialect == POSTGRESQL:
        return column == sa.any_(sa.cast(given, ARRAY(sa.BigInteger)))
    each = sa.func.json_each(given).table_valued("value")
    return column.in_(sa.select(each.c.value))


def numbers(dialect: str, ids: Iterable[int]) -> str:
    """The parameter `ids`."""
    joined = ",".join(map(str, ids))
    return f"{{{joined}}}" if dialect == POSTGRESQL else f"[{joined}]"


def by_edition(deliveries: Iterable[tuple[EditionId, DeliveryId]]) -> list[tuple[EditionId, list[DeliveryId]]]:
    """Numbers of deliveries by edition, ascending: whoever takes rows in this order waits for nobody in a circle."""
    found: dict[EditionId, list[DeliveryId]] = {}
    for edition, number in sorted(set(deliveries)):
        found.setdefault(edition, []).append(number)
    return list(found.items())


def is_in(dialect: str) -> sa.ColumnElement[bool]:
    """The condition that deliveries have the numbers `ids`, all of the edition `of`."""
    here = is_among(dialect, table.c.id)
    # The edition says which part of the table they are in; SQLite has no parts, and might look all the edition through.
    if dialect == POSTGRESQL:
        return sa.and_(here, table.c.edition_id == sa.bindparam("of", type_=sa.Integer))
    return here


def change(connection: sa.Connection, changes: Mapping[DeliveryId, tuple[Delivery, Change]]) -> None:
    """Changes deliveries: one statement for all of an edition of which the same columns change."""
    alike: dict[tuple[EditionId, tuple[str, ...]], list[tuple[DeliveryId, Change]]] = {}
    for number, (delivery, columns) in sorted(changes.items()):
        alike.setdefault((delivery.edition_id, tuple(columns)), []).append((number, columns))
    for (edition, names), rows in sorted(alike.items()):
        if connection.dialect.name != POSTGRESQL:
            connection.execute(_one(names), [{"number": number, **columns} for number, columns in rows])
            continue
        first = rows[0][1]
        differ = tuple(name for name in names if any(columns[name] != first[name] for _, columns in rows))
        same = {name: first[name] for name in names if name not in differ}
        listed = [{"id": number} | {name: _plain(columns[name]) for name in differ} for number, columns in rows]
        given = {"given": json.dumps(listed, ensure_ascii=False), "of": edition} | same
        connection.execute(_all(tuple(same), differ), given)


@cache
def _one(names: Sequence[str]) -> sa.Update:
    values: dict[str, Any] = {name: sa.bindparam(name) for name in names}
    return sa.update(table).where(table.c.id == sa.bindparam("number")).values(values)


@cache
def _all(same: Sequence[str], differ: Sequence[str]) -> sa.Update:
    columns = [sa.column(name, table.c[name].type) for name in ("id", *differ)]
    listed = sa.cast(sa.bindparam("given", type_=sa.Text), sa.JSON)
    given = sa.func.json_to_recordset(listed).table_valued(*columns).render_derived("given", with_types=True)
    values: dict[str, Any] = {name: sa.bindparam(name) for name in same} | {name: given.c[name] for name in differ}
    here = sa.and_(table.c.id == given.c.id, table.c.edition_id == sa.bindparam("of", type_=sa.Integer))
    return sa.update(table).where(here).values(values)


def _plain(value: object) -> object:
    """A value of a column as it is kept."""
    return utc_text(value) if isinstance(value, datetime) else value
