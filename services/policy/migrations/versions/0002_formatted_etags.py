"""Entity tags over the canonical layout of a policy, as GitOps programs compute them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.policy.model.version import etag_of

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_VERSIONS = sa.table(
    "policy_versions",
    sa.column("tailnet_id", sa.String),
    sa.column("number", sa.BigInteger),
    sa.column("etag", sa.String),
    sa.column("text", sa.Text),
)


def upgrade() -> None:
    """Compute every entity tag again."""
    connection = op.get_bind()
    rows = connection.execute(sa.select(_VERSIONS.c.tailnet_id, _VERSIONS.c.number)).all()
    for tailnet, number in rows:
        this = sa.and_(_VERSIONS.c.tailnet_id == tailnet, _VERSIONS.c.number == number)
        text = connection.execute(sa.select(_VERSIONS.c.text).where(this)).scalar_one()
        connection.execute(sa.update(_VERSIONS).where(this).values(etag=etag_of(text)))


def downgrade() -> None:
    """Leave them: earlier releases take any text as an entity tag."""
