"""What pulling remembers: answers to ask again conditionally, keys of papers, and how each source is."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Creates `fetches`, `paper_keys` and `source_health`, and an index for the newest announcements of a list."""
    op.create_table(
        "fetches",
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("etag", sa.String(), nullable=False),
        sa.Column("last_modified", sa.String(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("fetched_at", sa.String(32), nullable=False),
        sa.Column("used_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("url", name=op.f("pk_fetches")),
    )
    op.create_table(
        "paper_keys",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("paper_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key", "paper_id", name=op.f("pk_paper_keys")),
    )
    op.create_index(op.f("ix_paper_keys_paper_id"), "paper_keys", ["paper_id"], unique=False)
    op.create_table(
        "source_health",
        sa.Column("list_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("pulled_at", sa.String(32), nullable=False),
        sa.Column("good_at", sa.String(32), nullable=True),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("list_id", "source", name=op.f("pk_source_health")),
    )
    op.create_index(
        "ix_announcements_list_id_first_seen_at", "announcements", ["list_id", "first_seen_at"], unique=False
    )
