"""Editions of other frequencies than their list's, and up to when each list's runs have been dealt with."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Adds `frequency` to `editions`, empty for those that are there: they are their lists' own. Adds `runs`, empty.

    SQLite changes no constraint of a table, so `editions` is made anew; who refers to it goes by its name.
    """
    with op.batch_alter_table("editions") as table:
        table.add_column(sa.Column("frequency", sa.String(), nullable=False, server_default=""))
        table.drop_constraint("uq_editions_list_id_due_on", type_="unique")
        table.create_unique_constraint("uq_editions_list_id_frequency_due_on", ["list_id", "frequency", "due_on"])
    op.create_table(
        "runs",
        sa.Column("list_id", sa.String(), nullable=False),
        sa.Column("done_until", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("list_id", name="pk_runs"),
    )
