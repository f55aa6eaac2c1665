"""Sentence vectors, so that each text is embedded once."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Creates `vectors`."""
    op.create_table(
        "vectors",
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("text_key", sa.LargeBinary(16), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("used_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("model", "text_key", name=op.f("pk_vectors")),
    )
    op.create_index(op.f("ix_vectors_used_on"), "vectors", ["used_on"], unique=False)
