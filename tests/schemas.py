"""Databases as each schema had them, written from the migrations themselves: `python -m tests.schemas`.

One SQL file a version in `data/schemas`, with invented rows in every table that there was. A version that is released
is never written again: `test_migrations.py` tells where a migration would make another one today.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from digest import store
from digest.store.schema import APPLICATION_ID, SCHEMA_VERSION

FOLDER = Path(__file__).parent / "data" / "schemas"
AT = "2026-06-08T07:00:00.000000+00:00"
LATER = "2026-06-08T07:05:00.000000+00:00"
PAPER = (
    '{"abstract":"We invent paper 1. It generates video by diffusion.","authors":["Ada Example"],'
    '"categories":["cs.CV"],"id":"arxiv:2606.90001","primary_category":"cs.CV","title":"Invented paper number 1",'
    '"version":1}'
)
WAITING = PAPER.replace("90001", "90002").replace("paper 1", "paper 2").replace("number 1", "number 2")
PICKS = (
    '[{"paper_id":"arxiv:2606.90001","reasons":[{"kind":"topic","text":"video: diffusion","weight":0.5}],'
    '"relevance":0.5,"score":0.5,"trend":0.0}]'
)
SOURCES = '[{"expected":4,"fresh":1,"received":3,"source":"arxiv"}]'
PROFILE = '{"topics":[{"name":"video","text":"video generation by diffusion"}]}'

Rows = tuple[dict[str, Any], ...]


def _delivery(number: int, **changes: Any) -> dict[str, Any]:
    row = {
        "id": number,
        "edition_id": 1,
        "subscriber_id": number,
        "address": f"reader{number}@example.org",
        "status": "sent",
        "message_id": f"<{number}@example.org>",
        "picks": PICKS,
        "beside": "{}",
        "queued_at": AT,
        "attempts": 1,
        "reply": "250 2.0.0 queued",
        "settled_at": LATER,
        "relay": "smtp.example.org",
    }
    return row | changes


ROWS: dict[str, Rows] = {
    "editions": (
        {
            "id": 1,
            "list_id": "lab",
            "number": 1,
            "due_on": "2026-06-08",
            "cutoff": AT,
            "sources": SOURCES,
            "recipients": 3,
            "recipients_frozen_at": AT,
        },
    ),
    "papers": (
        {"id": "arxiv:2606.90001", "paper": PAPER, "first_seen_at": AT},
        {"id": "arxiv:2606.90002", "paper": WAITING, "first_seen_at": LATER},
    ),
    "signals": ({"paper_id": "arxiv:2606.90001", "name": "upvotes", "observed_at": AT, "value": 12.0},),
    "subscribers": tuple(
        {
            "id": n,
            "list_id": "lab",
            "address": f"Reader{n}@example.org",
            "address_key": f"reader{n}@example.org",
            "name": f"Reader {n}",
            "timezone": "Europe/Berlin",
            "language": "de",
            "profile": PROFILE,
            "subscription": "confirmed" if n < 3 else "unsubscribed",
            "listed": n < 3,
            "signed_up": n == 2,
            "has_chosen": n == 2,
            "created_at": AT,
            "confirmed_at": AT,
        }
        for n in (1, 2, 3)
    ),
    "suppressions": ({"address_key": "gone@example.org", "reason": "550 5.1.1 no such user", "suppressed_at": AT},),
    "announcements": (
        {
            "id": 1,
            "list_id": "lab",
            "source": "arxiv",
            "paper_id": "arxiv:2606.90001",
            "announce_type": "new",
            "version": 1,
            "announced_on": "2026-06-08",
            "paper": PAPER,
            "first_seen_at": AT,
            "edition_id": 1,
        },
        {
            "id": 2,
            "list_id": "lab",
            "source": "arxiv",
            "paper_id": "arxiv:2606.90002",
            "announce_type": "new",
            "version": 1,
            "paper": WAITING,
            "first_seen_at": LATER,
        },
    ),
    "deliveries": (
        _delivery(1),
        _delivery(2, status="deferred", reply="451 4.3.0 try later", settled_at=None, next_attempt_at=LATER),
        _delivery(3, status="unknown", reply="connection lost after the final dot"),
    ),
    "edition_papers": (
        {
            "edition_id": 1,
            "position": 0,
            "paper_id": "arxiv:2606.90001",
            "candidate": f'{{"paper":{PAPER},"sightings":[{{"announce_type":"new","announced_on":"2026-06-08",'
            '"source":"arxiv"}]}',
        },
    ),
    "fetches": (
        {
            "url": "https://rss.example.org/cs.CV",
            "etag": '"one"',
            "last_modified": "",
            "content_type": "application/rss+xml",
            "body": b"x\x9cK\x04\x00\x00b\x00b",
            "fetched_at": AT,
            "used_at": AT,
        },
    ),
    "paper_keys": ({"key": "arxiv:2606.90001", "paper_id": "arxiv:2606.90001"},),
    "source_health": (
        {
            "list_id": "lab",
            "source": "arxiv",
            "position": 0,
            "pulled_at": AT,
            "good_at": AT,
            "summary": SOURCES[1:-1],
        },
    ),
    "vectors": ({"model": "mini", "text_key": b"\1" * 16, "vector": b"\2" * 768, "used_on": "2026-06-08"},),
    "secrets": ({"name": "signing key", "value": b"an invented key of 32 bytes long", "created_at": AT},),
    "bounces": (
        {
            "delivery_id": 1,
            "kind": "soft",
            "enhanced_code": "4.2.2",
            "diagnostic": "mailbox full",
            "recorded_at": LATER,
        },
    ),
    "mailboxes": ({"list_id": "lab", "name": "imap", "uid_validity": 7, "uid": 42, "read_at": AT},),
    "pauses": ({"list_id": "club", "since": AT, "by": "ada@host", "reason": "holidays"},),
    "relay_days": ({"relay": "smtp.example.org", "day": "2026-06-08", "messages": 3},),
    "votes": ({"subscriber_id": 1, "paper_id": "arxiv:2606.90001", "ballot": "more", "cast_at": LATER},),
    "letters": (
        {
            "id": 1,
            "list_id": "lab",
            "kind": "sign-up",
            "address": "new@example.org",
            "address_key": "new@example.org",
            "message": b"Subject: please confirm\r\n\r\n",
            "written_at": AT,
            "next_attempt_at": AT,
        },
    ),
    "erasures": ({"address_hash": b"\3" * 32, "erased_at": AT},),
    "runs": ({"list_id": "lab", "done_until": LATER},),
    "received": (
        {
            "edition_id": 1,
            "first": 7,
            "last": 7,
            "readers": 1,
            "arrived": 1,
            "papers": b"x\x9c\x8b\x8e6\x88\xd5\x89\x06\x12@26\x16\x00\x1f\xd0\x04Q",
        },
    ),
    "shards": ({"edition_id": 1, "first": 1, "last": 3, "state": "done", "tries": 1, "worker": "host/1"},),
    "relay_turns": ({"relay": "smtp.example.org", "domain": "", "free_at": 1780902000.5},),
}
"""What stands in each table, in every schema that has it, as far as it has the columns."""


def script(version: int) -> str:
    """A database of that schema as SQL."""
    config = Config()
    config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digest.db"
        engine = sa.create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, f"{version:04}")
        engine.dispose()
        with closing(sqlite3.connect(path)) as raw, raw:
            for table in tables(raw):
                for row in rows(raw, table):
                    names, marks = ", ".join(row), ", ".join("?" * len(row))
                    raw.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))
            lines = "\n".join(raw.iterdump())
    return f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {version};\n{lines}\n"


def tables(connection: sqlite3.Connection) -> list[str]:
    """The tables of a database that rows are written for."""
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'alembic_version'")
    return [name for (name,) in found]


def rows(connection: sqlite3.Connection, table: str) -> Rows:
    """The rows of a table, in the columns that it has."""
    columns = {column[1] for column in connection.execute(f"PRAGMA table_info({table})")}
    return tuple({name: value for name, value in row.items() if name in columns} for row in ROWS[table])


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in range(1, SCHEMA_VERSION + 1):
        file = FOLDER / f"schema_{each}.sql"
        if not file.exists():
            file.write_text(script(each), encoding="utf-8")
