"""Pre-auth keys, API keys and pending logins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.shared.db.database import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "auth_tailnets",
        sa.Column("tailnet_id", sa.String(64), primary_key=True),
        sa.Column("logins_opened", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "auth_preauth_keys",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("tailnet_id", sa.String(64), nullable=False),
        sa.Column("prefix", sa.String(32), nullable=False, unique=True),
        sa.Column("digest", sa.String(128), nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("reusable", sa.Boolean, nullable=False),
        sa.Column("ephemeral", sa.Boolean, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expiration", UtcDateTime),
        sa.Column("used", sa.Boolean, nullable=False),
        sa.Column("claim_machine_key", sa.LargeBinary(32)),
        sa.Column("claim_node_key", sa.LargeBinary(32)),
        sa.Column("claim_at", UtcDateTime),
        sqlite_autoincrement=True,
    )
    op.create_index("auth_preauth_keys_tailnet_user", "auth_preauth_keys", ["tailnet_id", "user_id"])
    op.create_table(
        "auth_api_keys",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("tailnet_id", sa.String(64), nullable=False),
        sa.Column("prefix", sa.String(32), nullable=False, unique=True),
        sa.Column("digest", sa.String(128), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expiration", UtcDateTime),
        sa.Column("last_seen", UtcDateTime),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "auth_logins",
        sa.Column("auth_id", sa.String(38), primary_key=True),
        sa.Column("tailnet_id", sa.String(64), nullable=False),
        sa.Column("machine_key", sa.LargeBinary(32), nullable=False),
        sa.Column("node_key", sa.LargeBinary(32), nullable=False),
        sa.Column("old_node_key", sa.LargeBinary(32), nullable=False),
        sa.Column("hostinfo", sa.LargeBinary, nullable=False),
        sa.Column("hostname", sa.Text, nullable=False),
        sa.Column("os", sa.Text, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("ephemeral", sa.Boolean, nullable=False),
        sa.Column("remote_address", sa.String(64), nullable=False),
        sa.Column("network", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("wanted_expiry", UtcDateTime),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("method", sa.Integer, nullable=False),
        sa.Column("node_id", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("auth_logins_machine", "auth_logins", ["tailnet_id", "machine_key"], unique=True)
    op.create_index("auth_logins_network", "auth_logins", ["tailnet_id", "network", "created_at"])
    op.create_index("auth_logins_expires", "auth_logins", ["tailnet_id", "expires_at"])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("auth_logins", "auth_api_keys", "auth_preauth_keys", "auth_tailnets"):
        op.drop_table(table)
