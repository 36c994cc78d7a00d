"""The registry's tables as SQLAlchemy sees them. Migrations create them; no other service reads them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from services.shared.db.database import UtcDateTime

metadata = MetaData()

tailnets = Table(
    "registry_tailnets",
    metadata,
    Column("tailnet_id", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),  # number of the newest change; the row is the tailnet's lock
)

counters = Table(
    "registry_counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("last", BigInteger, nullable=False),  # the last id assigned; ids are never reused
)

users = Table(
    "registry_users",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("tailnet_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("provider_id", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("profile_pic_url", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("groups", Text, nullable=False),  # JSON list
    Column("suspended", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("tailnet_id", "name", name="uq_registry_users_name"),
)

links = Table(
    "registry_links",
    metadata,
    Column("tailnet_id", Text, primary_key=True),
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_login", UtcDateTime, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("groups", Text),  # JSON list; null: never reported
    Column("since", Text, nullable=False, server_default="{}"),  # JSON object: group to time
    Column("namespace", Text, nullable=False, server_default=""),
    Index("ix_registry_links_user", "tailnet_id", "user_id"),
)

standings = Table(
    "registry_standings",
    metadata,
    Column("tailnet_id", Text, primary_key=True),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),  # number of the last change applied; late ones are ignored
    Column("since", UtcDateTime, nullable=False),
    Column("source", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

history = Table(
    "registry_history",
    metadata,
    Column("tailnet_id", Text, primary_key=True),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3 for each person
    Column("at", UtcDateTime, nullable=False),
    Column("attribute", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("source", Text, nullable=False),
)

nodes = Table(
    "registry_nodes",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("tailnet_id", Text, nullable=False),
    Column("stable_id", Text, nullable=False, unique=True),
    Column("machine_key", LargeBinary, nullable=False),
    Column("node_key", LargeBinary, nullable=False),
    Column("disco_key", LargeBinary, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("hostname", Text, nullable=False),
    Column("given_name", Text, nullable=False),
    Column("given_name_fixed", Boolean, nullable=False),
    Column("ipv4", Text),  # NULL where there is none, so that the unique constraint ignores it
    Column("ipv6", Text),
    Column("tags", Text, nullable=False),  # JSON list
    Column("hostinfo", LargeBinary, nullable=False),
    Column("endpoints", Text, nullable=False),  # JSON list
    Column("endpoint_types", Text, nullable=False),  # JSON list
    Column("home_derp", Integer, nullable=False),
    Column("cap_version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expiry", UtcDateTime),
    Column("expired", Boolean, nullable=False),
    Column("last_seen", UtcDateTime),
    Column("online", Boolean, nullable=False),
    Column("ephemeral", Boolean, nullable=False),
    Column("register_method", Integer, nullable=False),
    Column("pre_auth_key_id", BigInteger, nullable=False),
    Column("advertised_routes", Text, nullable=False),  # JSON list
    Column("approved_routes", Text, nullable=False),  # JSON list
    Column("requested_tags", Text, nullable=False),  # JSON list
    Column("reported_by", Text, nullable=False),
    Column("report_order", BigInteger, nullable=False),
    Column("disabled_expiry", UtcDateTime),
    Column("primary_terms", Text, nullable=False, server_default="[]"),  # JSON list of [since, reason, former, routes]
    Column("preferred_routes", Text, nullable=False, server_default="[]"),  # JSON list
    Column("healthy_since", UtcDateTime),
    Column(
        "custom_attributes", Text, nullable=False, server_default="[]"
    ),  # JSON list of [key, value, expiry, comment]
    UniqueConstraint("tailnet_id", "node_key", name="uq_registry_nodes_node_key"),
    UniqueConstraint("tailnet_id", "given_name", name="uq_registry_nodes_given_name"),
    UniqueConstraint("tailnet_id", "ipv4", name="uq_registry_nodes_ipv4"),
    UniqueConstraint("tailnet_id", "ipv6", name="uq_registry_nodes_ipv6"),
)

gateways = Table(
    "registry_gateways",
    metadata,
    Column("tailnet_id", Text, primary_key=True),
    Column("gateway_id", Text, primary_key=True),
    Column("heard_at", UtcDateTime, nullable=False),
    Column("complete", Boolean, nullable=False),
)

sessions = Table(
    "registry_sessions",
    metadata,
    Column("tailnet_id", Text, primary_key=True),
    Column("gateway_id", Text, primary_key=True),
    Column("session_id", BigInteger, primary_key=True, autoincrement=False),
    Column("node_id", BigInteger, nullable=False),
    Index("ix_registry_sessions_node", "tailnet_id", "node_id"),
)

absences = Table(
    "registry_absences",
    metadata,
    Column("tailnet_id", Text, primary_key=True),
    Column("node_id", BigInteger, primary_key=True, autoincrement=False),
    Column("since", UtcDateTime, nullable=False),
)

relays = Table(
    "registry_relays",
    metadata,
    Column("tailnet_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("region_id", BigInteger, nullable=False),
    Column("region_code", Text, nullable=False),
    Column("region_name", Text, nullable=False),
    Column("host_name", Text, nullable=False),
    Column("cert_name", Text, nullable=False),
    Column("ipv4", Text, nullable=False),
    Column("ipv6", Text, nullable=False),
    Column("derp_port", Integer, nullable=False),
    Column("stun_port", Integer, nullable=False),
)

relays_heard = Table(
    "registry_relays_heard",
    metadata,
    Column("tailnet_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("heard_at", UtcDateTime, nullable=False),
)

settings = Table(
    "registry_settings",
    metadata,
    Column("tailnet_id", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),  # JSON of TailnetSettings
)

changes = Table(
    "registry_changes",
    metadata,
    Column("tailnet_id", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("time", UtcDateTime, nullable=False),
    Column("payload", LargeBinary, nullable=False),
)

departures = Table(
    "registry_departures",
    metadata,
    Column("tailnet_id", Text, primary_key=True),
    Column("ipv4", Text, primary_key=True),
    Column("ipv6", Text, primary_key=True),
    Column("node_id", BigInteger, nullable=False),
    Column("machine_key", LargeBinary, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("tags", Text, nullable=False),  # JSON list
    Column("hostname", Text, nullable=False),
    Column("given_name", Text, nullable=False),
    Column("given_name_fixed", Boolean, nullable=False),
    Column("reason", Integer, nullable=False),
    Column("departed_at", UtcDateTime, nullable=False),
)
