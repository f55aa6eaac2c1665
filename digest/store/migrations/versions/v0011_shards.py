"""The parts of an edition that any worker may take on, and what workers share of relays."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Adds `shards` and `relay_turns`, empty."""
    op.create_table(
        "shards",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("due_at", sa.String(32)),
        sa.Column("tries", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("ranked_at", sa.String(32)),
        sa.Column("unsettled", sa.Integer()),
        sa.Column("error", sa.Text(), nullable=False, server_default=""),
        sa.Column("worker", sa.String(), nullable=False, server_default=""),
        sa.Column("begun_at", sa.String(32)),
        sa.Column("ended_at", sa.String(32)),
        sa.ForeignKeyConstraint(["edition_id"], ["editions.id"], name="fk_shards_edition_id"),
        sa.PrimaryKeyConstraint("edition_id", "first", name="pk_shards"),
    )
    op.create_table(
        "relay_turns",
        sa.Column("relay", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("free_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("relay", "domain", name="pk_relay_turns"),
    )
