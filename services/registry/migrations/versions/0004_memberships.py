"""Since when an identity is in each of its groups."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("registry_links", sa.Column("since", sa.Text, nullable=False, server_default="{}"))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("registry_links", "since")
