"""SSH sessions that wait for a person, the words that people gave, and sign-ins for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.shared.db.database import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and the column."""
    op.add_column("auth_flows", sa.Column("kind", sa.String(16), nullable=False, server_default="login"))
    op.create_table(
        "auth_ssh_checks",
        sa.Column("auth_id", sa.String(38), primary_key=True),
        sa.Column("tailnet_id", sa.String(64), nullable=False),
        sa.Column("source_id", sa.BigInteger, nullable=False),
        sa.Column("destination_id", sa.BigInteger, nullable=False),
        sa.Column("source_key", sa.LargeBinary(32), nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("source_name", sa.Text, nullable=False),
        sa.Column("user_name", sa.Text, nullable=False),
        sa.Column("destination_name", sa.Text, nullable=False),
        sa.Column("local_user", sa.Text, nullable=False),
        sa.Column("everywhere", sa.Boolean, nullable=False),
        sa.Column("each_time", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("auth_ssh_checks_source", "auth_ssh_checks", ["tailnet_id", "source_id"])
    op.create_index("auth_ssh_checks_destination", "auth_ssh_checks", ["tailnet_id", "destination_id", "created_at"])
    op.create_index("auth_ssh_checks_expires", "auth_ssh_checks", ["tailnet_id", "expires_at"])
    op.create_table(
        "auth_ssh_approvals",
        sa.Column("tailnet_id", sa.String(64), primary_key=True),
        sa.Column("source_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("destination_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("everywhere", sa.Boolean, primary_key=True),
        sa.Column("source_key", sa.LargeBinary(32), nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("approved_at", UtcDateTime, nullable=False),
        sa.Column("approved_by", sa.Text, nullable=False),
    )
    op.create_index("auth_ssh_approvals_user", "auth_ssh_approvals", ["tailnet_id", "user_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("auth_ssh_approvals")
    op.drop_table("auth_ssh_checks")
    op.drop_column("auth_flows", "kind")
