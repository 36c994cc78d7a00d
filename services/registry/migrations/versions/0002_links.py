"""Identities at providers, and the users they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.shared.db.database import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "registry_links",
        sa.Column("tailnet_id", sa.Text, primary_key=True),
        sa.Column("issuer", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("last_login", UtcDateTime, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("groups", sa.Text),
    )
    op.create_index("ix_registry_links_user", "registry_links", ["tailnet_id", "user_id"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("registry_links")
