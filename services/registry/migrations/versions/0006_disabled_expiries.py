"""The expiry of a node's key from before it was disabled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.shared.db.database import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("registry_nodes", sa.Column("disabled_expiry", UtcDateTime))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("registry_nodes", "disabled_expiry")
