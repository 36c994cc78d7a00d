"""By which login each node is in, and changes of rights that carry groups."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.shared.db.database import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and the columns."""
    op.add_column("auth_flows", sa.Column("subject", sa.Text, nullable=False, server_default=""))
    op.add_column("auth_flows", sa.Column("sid", sa.Text, nullable=False, server_default=""))
    op.add_column("auth_rights", sa.Column("login", sa.JSON))
    op.create_table(
        "auth_node_logins",
        sa.Column("tailnet_id", sa.String(64), primary_key=True),
        sa.Column("node_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("sid", sa.Text, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("checked_at", UtcDateTime, nullable=False),
        sa.Column("ends_at", UtcDateTime),
    )
    op.create_index("auth_node_logins_identity", "auth_node_logins", ["tailnet_id", "issuer", "subject"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("auth_node_logins")
    op.drop_column("auth_rights", "login")
    for name in ("sid", "subject"):
        op.drop_column("auth_flows", name)
