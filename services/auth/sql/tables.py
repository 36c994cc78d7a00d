"""The tables for SQLAlchemy. Migrations create them; a test compares both."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    true,
)

from services.shared.db.database import UtcDateTime

VERSION_TABLE = "auth_alembic_version"

metadata = MetaData()

_ID = BigInteger().with_variant(Integer, "sqlite")

tailnets = Table(
    "auth_tailnets",
    metadata,
    Column("tailnet_id", String(64), primary_key=True),
    Column("logins_opened", BigInteger, nullable=False),
)
"""One row for each tailnet; the row lock serialises transactions that count before they insert."""

preauth_keys = Table(
    "auth_preauth_keys",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("tailnet_id", String(64), nullable=False),
    Column("prefix", String(32), nullable=False, unique=True),
    Column("digest", String(128), nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("reusable", Boolean, nullable=False),
    Column("ephemeral", Boolean, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expiration", UtcDateTime),
    Column("used", Boolean, nullable=False),
    Column("claim_machine_key", LargeBinary(32)),
    Column("claim_node_key", LargeBinary(32)),
    Column("claim_at", UtcDateTime),
    Column("description", Text, nullable=False, server_default=""),
    Column("creator", Text, nullable=False, server_default=""),
    Column("preauthorized", Boolean, nullable=False, server_default=true()),
    Column("ipv4", Text, nullable=False, server_default=""),
    Column("ipv6", Text, nullable=False, server_default=""),
    Index("auth_preauth_keys_tailnet_user", "tailnet_id", "user_id"),
    sqlite_autoincrement=True,
)

api_keys = Table(
    "auth_api_keys",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("tailnet_id", String(64), nullable=False),
    Column("prefix", String(32), nullable=False, unique=True),
    Column("digest", String(128), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expiration", UtcDateTime),
    Column("last_seen", UtcDateTime),
    Column("description", Text, nullable=False, server_default=""),
    Column("creator", Text, nullable=False, server_default=""),
    Column("scopes", JSON, nullable=False, server_default='["all"]'),
    Column("tags", JSON, nullable=False, server_default="[]"),
    sqlite_autoincrement=True,
)

oauth_clients = Table(
    "auth_oauth_clients",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("tailnet_id", String(64), nullable=False),
    Column("prefix", String(32), nullable=False, unique=True),
    Column("digest", String(128), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("description", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    sqlite_autoincrement=True,
)

access_tokens = Table(
    "auth_access_tokens",
    metadata,
    Column("prefix", String(32), primary_key=True),
    Column("tailnet_id", String(64), nullable=False),
    Column("digest", String(128), nullable=False),
    Column("client_id", String(32), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("auth_access_tokens_client", "tailnet_id", "client_id"),
    Index("auth_access_tokens_expires", "tailnet_id", "expires_at"),
)
"""Tokens of OAuth clients; a token without its client is worth nothing."""

audit_calls = Table(
    "auth_audit_calls",
    metadata,
    Column("tailnet_id", String(64), primary_key=True),
    Column("event_id", String(32), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""Administration calls without a result."""

audit_log = Table(
    "auth_audit_log",
    metadata,
    Column("tailnet_id", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("hash", String(64), nullable=False),
    Index("auth_audit_log_at", "tailnet_id", "at"),
)
"""Administration calls with their results. `hash` covers the row and that of the row before."""

audit_heads = Table(
    "auth_audit_heads",
    metadata,
    Column("tailnet_id", String(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("pruned_seq", BigInteger, nullable=False),
    Column("pruned_hash", String(64), nullable=False),
)
"""Of each tailnet's log: the newest entry, and the newest of the entries removed because of their age."""

logins = Table(
    "auth_logins",
    metadata,
    Column("auth_id", String(38), primary_key=True),
    Column("tailnet_id", String(64), nullable=False),
    Column("machine_key", LargeBinary(32), nullable=False),
    Column("node_key", LargeBinary(32), nullable=False),
    Column("old_node_key", LargeBinary(32), nullable=False),
    Column("hostinfo", LargeBinary, nullable=False),
    Column("hostname", Text, nullable=False),
    Column("os", Text, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("version", Integer, nullable=False),
    Column("ephemeral", Boolean, nullable=False),
    Column("remote_address", String(64), nullable=False),
    Column("network", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("wanted_expiry", UtcDateTime),
    Column("state", String(16), nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("method", Integer, nullable=False),
    Column("node_id", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("key_end", UtcDateTime),
    Index("auth_logins_machine", "tailnet_id", "machine_key", unique=True),
    Index("auth_logins_network", "tailnet_id", "network", "created_at"),
    Index("auth_logins_expires", "tailnet_id", "expires_at"),
)

rights = Table(
    "auth_rights",
    metadata,
    Column("number", _ID, primary_key=True),
    Column("tailnet_id", String(64), nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("source", String(32), nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
    Column("login", JSON),
    Index("auth_rights_undone", "tailnet_id", "done_at", "number"),
    sqlite_autoincrement=True,
)
"""Changes of user rights, recorded before they are applied."""

flows = Table(
    "auth_flows",
    metadata,
    Column("flow_id", String(24), primary_key=True),
    Column("tailnet_id", String(64), nullable=False),
    Column("auth_id", String(38), nullable=False),
    Column("state_hash", String(64), nullable=False),
    Column("browser_hash", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("changed_at", UtcDateTime),
    Column("user_id", BigInteger, nullable=False),
    Column("user_text", Text, nullable=False),
    Column("key_end", UtcDateTime),
    Column("reason", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("final", Boolean, nullable=False),
    Column("provider", String(32), nullable=False, server_default=""),
    Column("issuer", Text, nullable=False, server_default=""),
    Column("narrowed", Boolean, nullable=False, server_default=false()),
    Column("subject", Text, nullable=False, server_default=""),
    Column("sid", Text, nullable=False, server_default=""),
    Column("kind", String(16), nullable=False, server_default="login"),
    Column("notices", JSON, nullable=False, server_default="[]"),
    Index("auth_flows_login", "tailnet_id", "auth_id", "flow_id"),
    Index("auth_flows_expires", "tailnet_id", "expires_at"),
)
"""Sign-ins in progress. They contain no secret that could finish one."""

node_logins = Table(
    "auth_node_logins",
    metadata,
    Column("tailnet_id", String(64), primary_key=True),
    Column("node_id", BigInteger, primary_key=True, autoincrement=False),
    Column("provider", String(32), nullable=False),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("sid", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("checked_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime),
    Index("auth_node_logins_identity", "tailnet_id", "issuer", "subject"),
)
"""The login that admitted each node: one row for each node that was admitted by a sign-in."""

ssh_checks = Table(
    "auth_ssh_checks",
    metadata,
    Column("auth_id", String(38), primary_key=True),
    Column("tailnet_id", String(64), nullable=False),
    Column("source_id", BigInteger, nullable=False),
    Column("destination_id", BigInteger, nullable=False),
    Column("source_key", LargeBinary(32), nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("source_name", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("destination_name", Text, nullable=False),
    Column("local_user", Text, nullable=False),
    Column("everywhere", Boolean, nullable=False),
    Column("each_time", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("auth_ssh_checks_source", "tailnet_id", "source_id"),
    Index("auth_ssh_checks_destination", "tailnet_id", "destination_id", "created_at"),
    Index("auth_ssh_checks_expires", "tailnet_id", "expires_at"),
)
"""Pending SSH checks."""

ssh_approvals = Table(
    "auth_ssh_approvals",
    metadata,
    Column("tailnet_id", String(64), primary_key=True),
    Column("source_id", BigInteger, primary_key=True, autoincrement=False),
    Column("destination_id", BigInteger, primary_key=True, autoincrement=False),
    Column("everywhere", Boolean, primary_key=True),
    Column("source_key", LargeBinary(32), nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("approved_at", UtcDateTime, nullable=False),
    Column("approved_by", Text, nullable=False),
    Index("auth_ssh_approvals_user", "tailnet_id", "user_id"),
)
"""The newest approval for two nodes, one for rules with their own period and one for all others."""
