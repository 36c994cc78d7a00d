"""Changes of user rights, recorded before they are applied."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.shared.db.database import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "auth_rights",
        sa.Column("number", _ID, primary_key=True),
        sa.Column("tailnet_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("done_at", UtcDateTime),
        sqlite_autoincrement=True,
    )
    op.create_index("auth_rights_undone", "auth_rights", ["tailnet_id", "done_at", "number"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("auth_rights")
