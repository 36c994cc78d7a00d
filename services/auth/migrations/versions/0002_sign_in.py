"""Sign-ins on their way, and when the key of a node ends that came in by one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.shared.db.database import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and the column."""
    op.add_column("auth_logins", sa.Column("key_end", UtcDateTime))
    op.create_table(
        "auth_flows",
        sa.Column("flow_id", sa.String(24), primary_key=True),
        sa.Column("tailnet_id", sa.String(64), nullable=False),
        sa.Column("auth_id", sa.String(38), nullable=False),
        sa.Column("state_hash", sa.String(64), nullable=False),
        sa.Column("browser_hash", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("changed_at", UtcDateTime),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("user_text", sa.Text, nullable=False),
        sa.Column("key_end", UtcDateTime),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("final", sa.Boolean, nullable=False),
    )
    op.create_index("auth_flows_login", "auth_flows", ["tailnet_id", "auth_id", "flow_id"])
    op.create_index("auth_flows_expires", "auth_flows", ["tailnet_id", "expires_at"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("auth_flows")
    op.drop_column("auth_logins", "key_end")
