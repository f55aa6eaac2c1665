"""What stands beside a delivery's picks: near misses, what trends, follow-ups, the week."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds `deliveries.beside`."""
    op.add_column("deliveries", sa.Column("beside", sa.Text(), nullable=False, server_default="{}"))
