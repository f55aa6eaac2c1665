"""In which language a subscriber reads."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Adds `subscribers.language`, empty: the list's."""
    op.add_column("subscribers", sa.Column("language", sa.String()))
