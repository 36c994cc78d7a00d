"""Scopes, descriptions and creators of keys; OAuth clients and access tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.shared.db.database import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add the columns and the tables. API keys that exist have every scope."""
    for table in ("auth_preauth_keys", "auth_api_keys"):
        op.add_column(table, sa.Column("description", sa.Text, nullable=False, server_default=""))
        op.add_column(table, sa.Column("creator", sa.Text, nullable=False, server_default=""))
    op.add_column("auth_preauth_keys", sa.Column("preauthorized", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("auth_api_keys", sa.Column("scopes", sa.JSON, nullable=False, server_default='["all"]'))
    op.add_column("auth_api_keys", sa.Column("tags", sa.JSON, nullable=False, server_default="[]"))
    op.create_table(
        "auth_oauth_clients",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("tailnet_id", sa.String(64), nullable=False),
        sa.Column("prefix", sa.String(32), nullable=False, unique=True),
        sa.Column("digest", sa.String(128), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("creator", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime),
        sa.Column("last_used_at", UtcDateTime),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "auth_access_tokens",
        sa.Column("prefix", sa.String(32), primary_key=True),
        sa.Column("tailnet_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(128), nullable=False),
        sa.Column("client_id", sa.String(32), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
    )
    op.create_index("auth_access_tokens_client", "auth_access_tokens", ["tailnet_id", "client_id"])
    op.create_index("auth_access_tokens_expires", "auth_access_tokens", ["tailnet_id", "expires_at"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("auth_access_tokens")
    op.drop_table("auth_oauth_clients")
    for name in ("tags", "scopes"):
        op.drop_column("auth_api_keys", name)
    op.drop_column("auth_preauth_keys", "preauthorized")
    for table in ("auth_preauth_keys", "auth_api_keys"):
        op.drop_column(table, "creator")
        op.drop_column(table, "description")
