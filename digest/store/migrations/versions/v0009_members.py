"""How members came and what they chose, their votes, the letters to them, and who was erased."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Adds to `subscribers` what is unknown of those who are there, and `votes`, `letters` and `erasures`, empty."""
    op.add_column("subscribers", sa.Column("signed_up", sa.Boolean(), nullable=False, server_default=sa.text("0")))
    op.add_column("subscribers", sa.Column("has_chosen", sa.Boolean(), nullable=False, server_default=sa.text("0")))
    op.add_column("subscribers", sa.Column("frequency", sa.String()))
    op.add_column("subscribers", sa.Column("hour", sa.Integer()))
    op.add_column("subscribers", sa.Column("paused_until", sa.Date()))
    op.add_column("subscribers", sa.Column("created_at", sa.String(32)))
    op.add_column("subscribers", sa.Column("confirmed_at", sa.String(32)))
    op.create_index("ix_subscribers_list_id_id", "subscribers", ["list_id", "id"])
    op.create_table(
        "votes",
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("paper_id", sa.String(), nullable=False),
        sa.Column("ballot", sa.String(), nullable=False),
        sa.Column("cast_at", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["subscriber_id"], ["subscribers.id"], name="fk_votes_subscriber_id"),
        sa.PrimaryKeyConstraint("subscriber_id", "paper_id", name="pk_votes"),
    )
    op.create_table(
        "letters",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("list_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("address_key", sa.String(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("written_at", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("next_attempt_at", sa.String(32)),
        sa.Column("reply", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_letters"),
    )
    op.create_index("ix_letters_list_id_next_attempt_at", "letters", ["list_id", "next_attempt_at"])
    op.create_index("ix_letters_list_id_address_key", "letters", ["list_id", "address_key"])
    op.create_table(
        "erasures",
        sa.Column("address_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("erased_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("address_hash", name="pk_erasures"),
    )
