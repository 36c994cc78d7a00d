"""Departures: freed addresses, and the devices that had them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.shared.db.database import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table. Addresses that were freed before are free at once, as they were."""
    op.create_table(
        "registry_departures",
        sa.Column("tailnet_id", sa.Text, primary_key=True),
        sa.Column("ipv4", sa.Text, primary_key=True),
        sa.Column("ipv6", sa.Text, primary_key=True),
        sa.Column("node_id", sa.BigInteger, nullable=False),
        sa.Column("machine_key", sa.LargeBinary, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("hostname", sa.Text, nullable=False),
        sa.Column("given_name", sa.Text, nullable=False),
        sa.Column("given_name_fixed", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Integer, nullable=False),
        sa.Column("departed_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("registry_departures")
