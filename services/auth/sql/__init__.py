"""Implements the protocols of `store` on SQLite and PostgreSQL. Only this package knows SQLAlchemy."""

from services.auth.sql.api_keys import SqlApiKeys as SqlApiKeys
from services.auth.sql.audit import SqlAudit as SqlAudit
from services.auth.sql.flows import SqlFlows as SqlFlows
from services.auth.sql.logins import SqlLogins as SqlLogins
from services.auth.sql.node_logins import SqlNodeLogins as SqlNodeLogins
from services.auth.sql.oauth import SqlOAuth as SqlOAuth
from services.auth.sql.preauth_keys import SqlPreAuthKeys as SqlPreAuthKeys
from services.auth.sql.rights import SqlRights as SqlRights
from services.auth.sql.ssh_checks import SqlSshChecks as SqlSshChecks
