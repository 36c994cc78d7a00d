"""Which module declares which command: a new noun is one line here and one file with `declare(nouns)`.

Only the module of the command that was typed is imported; help, completion and manual import all.
"""

from __future__ import annotations

MODULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("cli.server", ("serve", "version", "configtest", "health", "generate", "gen")),
    ("cli.users", ("users", "user", "namespace", "namespaces", "ns")),
    ("cli.nodes", ("nodes", "node", "machine", "machines", "auth")),
    ("cli.routes", ("routes", "route")),
    ("cli.preauthkeys", ("preauthkeys", "preauthkey", "authkey", "pre", "apikeys", "apikey", "api")),
    ("cli.policy", ("policy", "acls", "acl")),
)
"""In the order of the help: a module, and every name and alias that it declares."""
