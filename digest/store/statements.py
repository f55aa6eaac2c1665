"""Statements that both databases understand."""

# SQLite took ON CONFLICT over from PostgreSQL, and SQLAlchemy's form for PostgreSQL compiles for both.
from sqlalchemy.dialects.postgresql import insert

__all__ = ["insert"]
