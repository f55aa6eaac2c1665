"""What stays of deliveries after their time: which papers each reader had, and how many of which status there were."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Adds `received`, empty, and `editions.final_counts`: the deliveries of every edition are there."""
    op.create_table(
        "received",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("readers", sa.Integer(), nullable=False),
        sa.Column("arrived", sa.Integer(), nullable=False),
        sa.Column("papers", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["edition_id"], ["editions.id"], name="fk_received_edition_id"),
        sa.PrimaryKeyConstraint("edition_id", "first", name="pk_received"),
    )
    op.add_column("editions", sa.Column("final_counts", sa.Text()))
