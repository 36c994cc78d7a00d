"""Addresses that a single-use pre-auth key gives its node."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_KEYS = "auth_preauth_keys"


def upgrade() -> None:
    """Add the columns."""
    for name in ("ipv4", "ipv6"):
        op.add_column(_KEYS, sa.Column(name, sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    """Drop them."""
    for name in ("ipv6", "ipv4"):
        op.drop_column(_KEYS, name)
