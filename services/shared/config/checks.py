"""What makes no sense together, though each value alone is right; and what the rest follows from."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.shared.config.errors import Problem
from services.shared.config.login_checks import login_doubts, login_faults
from services.shared.config.model import DEFAULT_STATE_DIR, Config

DEFAULT_V4 = "100.64.0.0/10"
DEFAULT_V6 = "fd7a:115c:a1e0::/48"
DEFAULT_DOMAIN = "tailnet.internal"

_MOST_PER_SECOND = 1_000_000
_MOST_WORKERS = 64
_SHORTEST_EPHEMERAL = timedelta(seconds=65)
_DOMAIN = re.compile(r"(?=.{1,251}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")
_HEX64 = re.compile(r"[0-9a-fA-F]{64}\Z")

Given = Callable[[str], bool]
Found = tuple[str, str, str]
"""Key, what, remedy."""


def complete(config: Config, given: Given) -> Config:
    """Fill in what follows from the rest: places under the state folder, prefixes, relays, names."""
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
            base_domain=(dns.base_domain if given("dns.base_domain") else DEFAULT_DOMAIN).strip(".").lower(),
            override_local_dns=bool(dns.nameservers.global_)
            if dns.override_local_dns is None
            else dns.override_local_dns,
        ),
    )


def check(config: Config, where: Callable[[str], str]) -> tuple[list[Problem], list[str]]:
    """Find contradictions in a completed configuration: those that forbid a start, and those worth a warning."""
    problems = [
        Problem(where(key), key, what, remedy)
        for part in (
            _urls,
            _addresses,
            _prefixes,
            _database,
            _dns,
            _tls,
            _derp,
            _lifetimes,
            _limits,
            _workers,
            login_faults,
            _processes,
        )
        for key, what, remedy in part(config)
    ]
    if problems:
        return problems, []
    return [], [f"{where(key)}: {key} {what} — {remedy}" for key, what, remedy in _doubts(config)]


def _or(path: Path, default: Path) -> Path:
    return default if path == Path() else path


def _urls(config: Config) -> Iterator[Found]:
    if not config.server_url:
        yield "server_url", "is missing", "set the URL that clients reach, as in https://headscale.example.com"
        return
    try:
        url = urlsplit(config.server_url)
        good = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        good = False
    if not good:
        yield "server_url", "is no http:// or https:// URL with a host", "write it as in https://headscale.example.com"
    elif url.query or url.fragment or url.path.strip("/"):
        yield "server_url", "has more than a host and a port", "clients ask at the root; remove what follows the host"


def _addresses(config: Config) -> Iterator[Found]:
    named: dict[str, str] = {
        "listen_addr": config.listen_addr,
        "metrics_listen_addr": config.metrics_listen_addr,
        "grpc_listen_addr": config.grpc_listen_addr,
        "derp.server.listen_addr": config.derp.server.listen_addr,
        "derp.server.http_listen_addr": config.derp.server.http_listen_addr,
        "derp.server.stun_listen_addr": config.derp.server.stun_listen_addr,
    }
    for key, address in named.items():
        if address and not is_listen_address(address):
            yield key, "is no address to listen on", "write host:port or :port"
    if not config.listen_addr:
        yield "listen_addr", "is empty", "write host:port"
    for proxy in config.trusted_proxies:
        try:
            network = ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            yield "trusted_proxies", "holds something that is no address or prefix", "write addresses of your proxies"
            continue
        if network.prefixlen == 0:
            yield "trusted_proxies", "trusts everybody", "write the addresses of your proxies only"
    for text in config.metrics_allowed_networks:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            yield "metrics_allowed_networks", "holds something that is no address or prefix", "write CIDRs"


def is_listen_address(address: str) -> bool:
    """Whether this is `host:port` with a numeric port; the host may be empty."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        return False
    return ":" not in host or (host.startswith("[") and host.endswith("]"))


def _prefixes(config: Config) -> Iterator[Found]:
    for key, text, version in (("prefixes.v4", config.prefixes.v4, 4), ("prefixes.v6", config.prefixes.v6, 6)):
        if not text:
            continue
        try:
            good = ipaddress.ip_network(text).version == version
        except ValueError:
            good = False
        if not good:
            yield key, f"is no IPv{version} prefix", f"write {DEFAULT_V4 if version == 4 else DEFAULT_V6}"
    if not config.prefixes.v4 and not config.prefixes.v6:
        yield "prefixes", "has neither v4 nor v6", f"set prefixes.v4 to {DEFAULT_V4}"


def _database(config: Config) -> Iterator[Found]:
    if config.database.type == "postgres":
        if not config.database.postgres.name:
            yield "database.postgres.name", "is missing", "name the database"
        if config.database.postgres.ssl not in ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"):
            yield "database.postgres.ssl", "is no sslmode", "write true, false, or an sslmode such as verify-full"
        if not 1 <= config.database.postgres.port <= 65535:
            yield "database.postgres.port", "is no port", "write 5432"
        if config.database.postgres.max_open_conns < 1:
            yield "database.postgres.max_open_conns", "leaves no connection", "write 10"


def _dns(config: Config) -> Iterator[Found]:
    dns = config.dns
    if dns.base_domain and not _DOMAIN.match(dns.base_domain):
        yield "dns.base_domain", "is no domain name", "write lower-case labels with dots between them"
    if dns.magic_dns and not dns.base_domain:
        yield "dns.base_domain", "is empty while dns.magic_dns is on", f"set it, as in {DEFAULT_DOMAIN}"
    if dns.base_domain and dns.base_domain == (urlsplit(config.server_url).hostname or "").lower():
        yield "dns.base_domain", "is the server's own name", "choose another domain for the nodes"
    if dns.override_local_dns and not dns.nameservers.global_:
        yield (
            "dns.override_local_dns",
            "is on without dns.nameservers.global",
            "add a nameserver or write dns.override_local_dns: false",
        )
    if dns.extra_records and dns.extra_records_path is not None:
        yield "dns.extra_records_path", "is given together with dns.extra_records", "keep one of them"
    for record in dns.extra_records:
        if record.type not in ("A", "AAAA"):
            yield "dns.extra_records", "holds a record that is neither A nor AAAA", "clients know only these two"
            continue
        try:
            good = ipaddress.ip_address(record.value).version == (4 if record.type == "A" else 6)
        except ValueError:
            good = False
        if not good:
            yield "dns.extra_records", "holds a value that is no address of its type", "write an IP address"


def _tls(config: Config) -> Iterator[Found]:
    for section, pair in (("", config), ("derp.server.", config.derp.server)):
        cert, key = getattr(pair, "tls_cert_path", None), getattr(pair, "tls_key_path", None)
        if (cert is None) is not (key is None):
            yield f"{section}tls_cert_path", "needs its key, and the key needs it", "set both or none"
    if config.tls_letsencrypt_hostname:
        if config.tls_cert_path is not None:
            yield "tls_letsencrypt_hostname", "is given together with tls_cert_path", "keep one of them"
        tls_alpn = config.tls_letsencrypt_challenge_type == "TLS-ALPN-01"
        if tls_alpn and not config.listen_addr.endswith(":443"):
            yield (
                "tls_letsencrypt_challenge_type",
                "TLS-ALPN-01 needs listen_addr on port 443",
                "use HTTP-01 or port 443",
            )
    tls = config.services.tls
    given = [path is not None for path in (tls.ca_path, tls.cert_path, tls.key_path)]
    if any(given) and not all(given):
        yield "services.tls", "has some of ca_path, cert_path and key_path", "set all three or none"


def _derp(config: Config) -> Iterator[Found]:
    server = config.derp.server
    if not server.enabled and not config.derp.urls and not config.derp.paths:
        yield "derp", "names no relay at all", "set derp.server.enabled: true, or derp.urls, or derp.paths"
    if not server.enabled:
        return
    if not server.stun_listen_addr:
        yield "derp.server.stun_listen_addr", "is empty while the relay is on", "write 0.0.0.0:3478"
    if not server.listen_addr and not server.http_listen_addr:
        yield "derp.server.listen_addr", "is empty, and http_listen_addr too", "write 0.0.0.0:8443"
    if not 1 <= server.region_id < 1 << 31:
        yield "derp.server.region_id", "is out of range", "write 999"
    if server.mesh_key and not _HEX64.match(server.mesh_key):
        yield "derp.server.mesh_key", "is not 64 hex digits", "make one with `openssl rand -hex 32`"
    if server.mesh_with and not server.mesh_key:
        yield "derp.server.mesh_with", "needs derp.server.mesh_key", "set the same key on every relay of the region"
    for key, text, version in (("ipv4", server.ipv4, 4), ("ipv6", server.ipv6, 6)):
        try:
            good = not text or ipaddress.ip_address(text).version == version
        except ValueError:
            good = False
        if not good:
            yield f"derp.server.{key}", f"is no IPv{version} address", "write the relay's public address, or nothing"


def _lifetimes(config: Config) -> Iterator[Found]:
    if config.node.ephemeral.inactivity_timeout <= _SHORTEST_EPHEMERAL:
        yield "node.ephemeral.inactivity_timeout", "is not above 65s", "clients need that long between signs of life"
    ha = config.node.routes.ha
    if ha.probe_interval < timedelta(seconds=2):
        yield "node.routes.ha.probe_interval", "is below 2s", "write 10s"
    if not timedelta(0) < ha.probe_timeout < ha.probe_interval:
        yield "node.routes.ha.probe_timeout", "is not between 0 and probe_interval", "write 5s"
    if config.tuning.register_cache_max_entries < 1:
        yield "tuning.register_cache_max_entries", "leaves no room for a login", "write 1024"
    if config.tuning.register_cache_expiration < timedelta(seconds=30):
        yield "tuning.register_cache_expiration", "is below 30s", "nobody signs in that fast; write 15m"


_POSITIVE = (
    "max_connections",
    "max_handshakes",
    "max_request_body",
    "high_water",
    "admin_calls_per_second",
    "admin_wrong_keys",
)


def _limits(config: Config) -> Iterator[Found]:
    gateway = config.gateway
    for key in _POSITIVE:
        if getattr(gateway, key) < 1:
            yield f"gateway.{key}", "is below 1", "write a positive number, or remove it for the default"
    for key in ("handshakes_per_second", "reconnects_per_second", "reports_per_second"):
        if not 0 <= getattr(gateway, key) <= _MOST_PER_SECOND:
            yield f"gateway.{key}", "is no number from 0 to 1000000", "write a rate, or 0 for no limit"
    if gateway.max_connections_per_address < 0:
        yield "gateway.max_connections_per_address", "is negative", "write 0 for no limit"
    if gateway.max_answer_body < gateway.max_request_body:
        yield "gateway.max_answer_body", "is below gateway.max_request_body", "write 33554432"
    for key in ("check_interval", "keepalive_interval", "handshake_timeout"):
        if getattr(gateway, key) < timedelta(seconds=1):
            yield f"gateway.{key}", "is below 1s", "remove it for the default"
    if gateway.idle_timeout < gateway.check_interval:
        yield "gateway.idle_timeout", "is below gateway.check_interval", "write 5m"


def _workers(config: Config) -> Iterator[Found]:
    workers = config.gateway.workers
    if not 1 <= workers <= _MOST_WORKERS:
        yield "gateway.workers", f"is no number from 1 to {_MOST_WORKERS}", "write the number of cores to use, or 1"
        return
    if workers == 1:
        return
    shared = {
        "listen_addr": config.listen_addr,
        "grpc_listen_addr": config.grpc_listen_addr,
        "services.gateway.listen_addr": config.services.gateway.listen_addr,
    }
    for key, address in shared.items():
        if address.endswith(":0"):
            yield key, "has port 0 while gateway.workers is above 1", "write the port that the workers share"
    _, _, port = config.metrics_listen_addr.rpartition(":")
    if port.isdigit() and int(port) <= 65535 < int(port) + workers - 1:
        yield "metrics_listen_addr", "leaves no port for each of gateway.workers", "write a lower port"


def _processes(config: Config) -> Iterator[Found]:
    if config.bus.url and not config.bus.url.startswith(("redis://", "rediss://", "unix://")):
        yield "bus.url", "is no Redis URL", "write redis://host:6379/0, or nothing for one process"
    for name in ("registry", "policy", "auth", "map_streamer", "derp", "gateway"):
        service: Any = getattr(config.services, name)
        if not is_listen_address(service.listen_addr) and not service.listen_addr.startswith("unix:"):
            yield f"services.{name}.listen_addr", "is no address to listen on", "write host:port"
        for address in service.addresses:
            if not address.startswith("unix:") and not is_listen_address(address):
                yield f"services.{name}.addresses", "holds something that is no host:port", "write host:port"
    if not 0 <= config.telemetry.sample_ratio <= 1:
        yield "telemetry.sample_ratio", "is not between 0 and 1", "write 1.0 for all"


def _doubts(config: Config) -> Iterator[Found]:
    yield from login_doubts(config)
    for key, text, whole in (
        ("prefixes.v4", config.prefixes.v4, DEFAULT_V4),
        ("prefixes.v6", config.prefixes.v6, DEFAULT_V6),
    ):
        inner, outer = (ipaddress.ip_network(text) if text else None), ipaddress.ip_network(whole)
        if inner is not None and not inner.subnet_of(outer):  # type: ignore[arg-type]
            yield key, f"is outside of {whole}", "clients treat only that range as the tailnet's"
    host = (urlsplit(config.server_url).hostname or "").lower()
    if config.dns.base_domain and host.endswith("." + config.dns.base_domain):
        yield (
            "dns.base_domain",
            "contains the server's own name",
            "nodes resolve names below it by MagicDNS; the server's name is served there too, other names are not",
        )
    if config.database.type == "postgres" and config.database.postgres.ssl == "disable":
        host = config.database.postgres.host
        if host not in ("localhost", "127.0.0.1", "::1", "") and not host.startswith("/"):
            yield "database.postgres.ssl", "is off for another host", "write require or verify-full"
