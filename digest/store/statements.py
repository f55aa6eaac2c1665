"""Statements that both databases understand."""

import sqlalchemy as sa

# SQLite took ON CONFLICT over from PostgreSQL, and SQLAlchemy's form for PostgreSQL compiles for both.
from sqlalchemy.dialects.postgresql import insert

__all__ = ["insert", "overwrite"]


def overwrite(connection: sa.Connection) -> None:
    """Has SQLite overwrite what this connection deletes from now on: else it stays in the file's free pages.

    PostgreSQL has nothing of the kind: VACUUM makes room for what is to come, and that lies over it some time.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
