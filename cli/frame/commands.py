"""The table of nouns and the modules that declare them: a new noun is one line here and one file with `declare(nouns)`.

Only the module of the command that was typed is imported; help, completion and manual import all.
"""

from __future__ import annotations

MODULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("cli.server.server", ("serve", "version", "health")),
    ("cli.server.configtest", ("configtest",)),
    ("cli.moving.importing", ("import",)),
    ("cli.moving.backups", ("backup", "db")),
    ("cli.users.users", ("users", "user", "namespace", "namespaces", "ns")),
    ("cli.users.groups", ("groups", "group")),
    ("cli.nodes.nodes", ("nodes", "node", "machine", "machines")),
    ("cli.keys.logins", ("auth",)),
    ("cli.nodes.routes", ("routes", "route", "r")),
    ("cli.keys.preauthkeys", ("preauthkeys", "preauthkey", "authkey", "pre")),
    ("cli.keys.apikeys", ("apikeys", "apikey", "api")),
    ("cli.oidc.oidc", ("oidc",)),
    ("cli.doctor.doctor", ("doctor",)),
    ("cli.policy.policy", ("policy", "acls", "acl")),
    ("cli.keys.oauth_clients", ("oauth-clients", "oauth-client", "oauthclients", "oauthclient", "oauth")),
    ("cli.server.dns", ("dns",)),
    ("cli.server.audit", ("audit",)),
    ("cli.keys.generate", ("generate", "gen")),
    ("cli.server.debug", ("debug",)),
    ("cli.server.dump", ("dumpConfig", "dump-config")),
    ("cli.oidc.mockoidc", ("mockoidc",)),
    ("cli.frame.completion", ("completion",)),
    ("cli.frame.manual", ("help", "man")),
)
"""In the order of the help: a module, and every name and alias that it declares."""
