"""The registry's first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.shared.db.database import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and start the counters of ids."""
    op.create_table(
        "registry_tailnets",
        sa.Column("tailnet_id", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    counters = op.create_table(
        "registry_counters",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counters, [{"name": "node", "last": 0}, {"name": "user", "last": 0}])
    op.create_table(
        "registry_users",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tailnet_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("provider_id", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("profile_pic_url", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("groups", sa.Text, nullable=False),
        sa.Column("suspended", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("tailnet_id", "name", name="uq_registry_users_name"),
    )
    _create_nodes()
    _create_presence()
    op.create_table(
        "registry_relays",
        sa.Column("tailnet_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("region_id", sa.BigInteger, nullable=False),
        sa.Column("region_code", sa.Text, nullable=False),
        sa.Column("region_name", sa.Text, nullable=False),
        sa.Column("host_name", sa.Text, nullable=False),
        sa.Column("cert_name", sa.Text, nullable=False),
        sa.Column("ipv4", sa.Text, nullable=False),
        sa.Column("ipv6", sa.Text, nullable=False),
        sa.Column("derp_port", sa.Integer, nullable=False),
        sa.Column("stun_port", sa.Integer, nullable=False),
    )
    op.create_table(
        "registry_relays_heard",
        sa.Column("tailnet_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("heard_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "registry_changes",
        sa.Column("tailnet_id", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("time", UtcDateTime, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )


def _create_nodes() -> None:
    op.create_table(
        "registry_nodes",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tailnet_id", sa.Text, nullable=False),
        sa.Column("stable_id", sa.Text, nullable=False, unique=True),
        sa.Column("machine_key", sa.LargeBinary, nullable=False),
        sa.Column("node_key", sa.LargeBinary, nullable=False),
        sa.Column("disco_key", sa.LargeBinary, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("hostname", sa.Text, nullable=False),
        sa.Column("given_name", sa.Text, nullable=False),
        sa.Column("given_name_fixed", sa.Boolean, nullable=False),
        sa.Column("ipv4", sa.Text),
        sa.Column("ipv6", sa.Text),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("hostinfo", sa.LargeBinary, nullable=False),
        sa.Column("endpoints", sa.Text, nullable=False),
        sa.Column("endpoint_types", sa.Text, nullable=False),
        sa.Column("home_derp", sa.Integer, nullable=False),
        sa.Column("cap_version", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expiry", UtcDateTime),
        sa.Column("expired", sa.Boolean, nullable=False),
        sa.Column("last_seen", UtcDateTime),
        sa.Column("online", sa.Boolean, nullable=False),
        sa.Column("ephemeral", sa.Boolean, nullable=False),
        sa.Column("register_method", sa.Integer, nullable=False),
        sa.Column("pre_auth_key_id", sa.BigInteger, nullable=False),
        sa.Column("advertised_routes", sa.Text, nullable=False),
        sa.Column("approved_routes", sa.Text, nullable=False),
        sa.Column("requested_tags", sa.Text, nullable=False),
        sa.Column("reported_by", sa.Text, nullable=False),
        sa.Column("report_order", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("tailnet_id", "node_key", name="uq_registry_nodes_node_key"),
        sa.UniqueConstraint("tailnet_id", "given_name", name="uq_registry_nodes_given_name"),
        sa.UniqueConstraint("tailnet_id", "ipv4", name="uq_registry_nodes_ipv4"),
        sa.UniqueConstraint("tailnet_id", "ipv6", name="uq_registry_nodes_ipv6"),
    )


def _create_presence() -> None:
    op.create_table(
        "registry_gateways",
        sa.Column("tailnet_id", sa.Text, primary_key=True),
        sa.Column("gateway_id", sa.Text, primary_key=True),
        sa.Column("heard_at", UtcDateTime, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
    )
    op.create_table(
        "registry_sessions",
        sa.Column("tailnet_id", sa.Text, primary_key=True),
        sa.Column("gateway_id", sa.Text, primary_key=True),
        sa.Column("session_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("node_id", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_registry_sessions_node", "registry_sessions", ["tailnet_id", "node_id"])
    op.create_table(
        "registry_absences",
        sa.Column("tailnet_id", sa.Text, primary_key=True),
        sa.Column("node_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("since", UtcDateTime, nullable=False),
    )
