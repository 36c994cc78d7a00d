"""At which provider a sign-in began, and whether it was asked for fewer scopes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the columns."""
    op.add_column("auth_flows", sa.Column("provider", sa.String(32), nullable=False, server_default=""))
    op.add_column("auth_flows", sa.Column("issuer", sa.Text, nullable=False, server_default=""))
    op.add_column("auth_flows", sa.Column("narrowed", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Drop them."""
    for name in ("narrowed", "issuer", "provider"):
        op.drop_column("auth_flows", name)
