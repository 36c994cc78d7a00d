"""The tables as SQLAlchemy sees them. Migrations create them; a test compares both."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, String, Table, Text

from services.shared.db.database import UtcDateTime

VERSION_TABLE = "policy_alembic_version"

metadata = MetaData()

tailnets = Table(
    "policy_tailnets",
    metadata,
    Column("tailnet_id", String(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("newest", BigInteger, nullable=False),
    Column("in_force", BigInteger, nullable=False),
    Column("compiled", LargeBinary, nullable=False),
)
"""One row a tailnet: the position of its log, its newest version, and what is in force. Its lock orders all writes."""

versions = Table(
    "policy_versions",
    metadata,
    Column("tailnet_id", String(64), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("etag", String(64), nullable=False),
    Column("text", Text, nullable=False),
)

changes = Table(
    "policy_changes",
    metadata,
    Column("tailnet_id", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("time", UtcDateTime, nullable=False),
    Column("payload", LargeBinary, nullable=False),
)
