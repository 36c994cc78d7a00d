"""Defaults that depend on other keys: paths under the state folder, prefixes, relays, names. Refuses nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from services.shared.config.model import DEFAULT_STATE_DIR, Config

DEFAULT_V4 = "100.64.0.0/10"
DEFAULT_V6 = "fd7a:115c:a1e0::/48"
DEFAULT_DOMAIN = "tailnet.internal"

Given = Callable[[str], bool]


def complete(config: Config, given: Given) -> Config:
    """Fill in the defaults that depend on other keys."""
    state = config.state_dir
    if not given("unix_socket") and state != DEFAULT_STATE_DIR:
        config = replace(config, unix_socket=state / "headscale.sock")
    if not (config.prefixes.v4 or config.prefixes.v6 or given("prefixes.v4") or given("prefixes.v6")):
        config = replace(config, prefixes=replace(config.prefixes, v4=DEFAULT_V4, v6=DEFAULT_V6))
    if config.policy.path is None and not given("policy.mode"):
        # No file, so nothing but a database could take the policy of `headscale acls set`.
        config = replace(config, policy=replace(config.policy, mode="database"))
    derp, server = config.derp, config.derp.server
    if not given("derp.server.enabled"):
        server = replace(server, enabled=not (derp.urls or derp.paths))
    server = replace(
        server,
        private_key_path=_or(server.private_key_path, state / "derp_server_private.key"),
        hostname=server.hostname or urlsplit(config.server_url).hostname or "",
    )
    dns = config.dns
    return replace(
        config,
        noise=replace(config.noise, private_key_path=_or(config.noise.private_key_path, state / "noise_private.key")),
        database=replace(
            config.database,
            sqlite=replace(config.database.sqlite, path=_or(config.database.sqlite.path, state / "db.sqlite")),
        ),
        derp=replace(derp, server=server),
        dns=replace(
            dns,
            base_domain=dns.base_domain if given("dns.base_domain") else DEFAULT_DOMAIN,
            override_local_dns=bool(dns.nameservers.global_)
            if dns.override_local_dns is None
            else dns.override_local_dns,
        ),
    )


def _or(path: Path, default: Path) -> Path:
    return default if path == Path() else path
