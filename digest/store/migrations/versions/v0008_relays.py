"""Which relay a delivery went to, how many messages a relay had on a day, and which lists are paused."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Adds `deliveries.relay`, unknown for those before, and `pauses` and `relay_days`, empty."""
    op.add_column("deliveries", sa.Column("relay", sa.String(), nullable=False, server_default=""))
    op.create_table(
        "pauses",
        sa.Column("list_id", sa.String(), nullable=False),
        sa.Column("since", sa.String(32), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("list_id", name="pk_pauses"),
    )
    op.create_table(
        "relay_days",
        sa.Column("relay", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("relay", "day", name="pk_relay_days"),
    )
