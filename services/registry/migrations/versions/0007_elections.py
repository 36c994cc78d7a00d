"""Elections of primary routers: terms, preferences, and since when a router is healthy."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.shared.db.database import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NODES = "registry_nodes"


def upgrade() -> None:
    """Add the columns; the registry holds the first elections when it starts."""
    op.add_column(_NODES, sa.Column("primary_terms", sa.Text, nullable=False, server_default="[]"))
    op.add_column(_NODES, sa.Column("preferred_routes", sa.Text, nullable=False, server_default="[]"))
    op.add_column(_NODES, sa.Column("healthy_since", UtcDateTime, nullable=True))


def downgrade() -> None:
    """Drop them."""
    for name in ("healthy_since", "preferred_routes", "primary_terms"):
        op.drop_column(_NODES, name)
