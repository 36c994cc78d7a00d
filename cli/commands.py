"""Which module declares which command: a new noun is one line here and one file with `declare(nouns)`.

Only the module of the command that was typed is imported; help, completion and manual import all.
"""

from __future__ import annotations

MODULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("cli.server", ("serve", "version", "configtest", "health")),
    ("cli.users", ("users", "user", "namespace", "namespaces", "ns")),
    ("cli.groups", ("groups", "group")),
    ("cli.nodes", ("nodes", "node", "machine", "machines")),
    ("cli.logins", ("auth",)),
    ("cli.routes", ("routes", "route", "r")),
    ("cli.preauthkeys", ("preauthkeys", "preauthkey", "authkey", "pre")),
    ("cli.apikeys", ("apikeys", "apikey", "api")),
    ("cli.oidc", ("oidc",)),
    ("cli.policy", ("policy", "acls", "acl")),
    ("cli.oauth_clients", ("oauth-clients", "oauth-client", "oauthclients", "oauthclient", "oauth")),
    ("cli.generate", ("generate", "gen")),
    ("cli.debug", ("debug",)),
    ("cli.dump", ("dumpConfig", "dump-config")),
    ("cli.mockoidc", ("mockoidc",)),
    ("cli.completion", ("completion",)),
    ("cli.manual", ("help", "man")),
)
"""In the order of the help: a module, and every name and alias that it declares."""
