"""Each thing that the checks look at is refused, at its own key and with a remedy, where it makes no sense."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from services.shared.config import ConfigError
from tests.unit.config.reading import from_file

CONFIG = Path(__file__).parents[3] / "services" / "shared" / "config"
POSTGRES = {"database.type": "postgres", "database.postgres.name": "n"}

# what is written, the key that is named, and a part of what is said of it
CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"server_url": ""}, "server_url", "is missing"),
    ({"server_url": "ftp://a.example"}, "server_url", "is not an http://"),
    ({"server_url": "https://a.example:x"}, "server_url", "is not an http://"),
    ({"server_url": "https://a.example/control"}, "server_url", "more than scheme, host"),
    ({"metrics_listen_addr": "9090"}, "metrics_listen_addr", "is not an address"),
    ({"derp.server.stun_listen_addr": "::1:3478"}, "derp.server.stun_listen_addr", "is not an address"),
    ({"listen_addr": ""}, "listen_addr", "is empty"),
    ({"trusted_proxies": ["proxy"]}, "trusted_proxies", "contains 'proxy', which is not an IP address or prefix"),
    ({"trusted_proxies": ["::/0"]}, "trusted_proxies", "trusts every address"),
    ({"metrics_allowed_networks": ["here"]}, "metrics_allowed_networks", "which is not an IP address or prefix"),
    ({"database.type": "postgres"}, "database.postgres.name", "is missing"),
    ({**POSTGRES, "database.postgres.ssl": "maybe"}, "database.postgres.ssl", "is not an sslmode"),
    ({**POSTGRES, "database.postgres.port": 0}, "database.postgres.port", "is below 1"),
    ({**POSTGRES, "database.postgres.max_open_conns": 0}, "database.postgres.max_open_conns", "is below 1"),
    ({"messages.contact": "x" * 121}, "messages.contact", "is not one line of at most "),
    ({"messages.contact": "a\nb"}, "messages.contact", "is not one line of at most "),
    ({"messages.oldest_clients": {"linux": "new"}}, "messages.oldest_clients.linux", "is not a version: "),
    ({"messages.oldest_clients": {"amiga": "1.90"}}, "messages.oldest_clients.amiga", "names no operating system of"),
    ({"tls_key_path": "/k"}, "tls_key_path", "is set without tls_cert_path"),
    ({"derp.server.tls_cert_path": "/c"}, "derp.server.tls_cert_path", "is set without derp.server.tls_key_path"),
    (
        {"tls_letsencrypt_hostname": "a", "tls_cert_path": "/c", "tls_key_path": "/k"},
        "tls_letsencrypt_hostname",
        "is set together",
    ),
    (
        {"tls_letsencrypt_hostname": "a", "tls_letsencrypt_challenge_type": "TLS-ALPN-01"},
        "tls_letsencrypt_challenge_type",
        "port 443",
    ),
    ({"oidc": {"issuer": "http://i.lan", "client_id": "c", "client_secret": "s"}}, "oidc.issuer", "is http:// on"),
    ({"services.tls.ca_path": "/ca"}, "services.tls", "sets only some of"),
    *(
        ({f"gateway.{key}": 0}, f"gateway.{key}", "is below 1")
        for key in ("max_connections", "max_handshakes", "max_request_body", "high_water", "admin_calls_per_second",
                    "admin_wrong_keys")
    ),
    ({"gateway.handshakes_per_second": -1}, "gateway.handshakes_per_second", "is below 0"),
    ({"gateway.reports_per_second": 2_000_000}, "gateway.reports_per_second", "is above 1000000"),
    ({"gateway.max_connections_per_address": -1}, "gateway.max_connections_per_address", "is below 0"),
    ({"gateway.max_answer_body": 5}, "gateway.max_answer_body", "is below gateway.max_request_body"),
    ({"gateway.keepalive_interval": "100ms"}, "gateway.keepalive_interval", "is below 1s"),
    ({"gateway.idle_timeout": "10s"}, "gateway.idle_timeout", "is below gateway.check_interval"),
    ({"gateway.workers": 0}, "gateway.workers", "is below 1"),
    ({"gateway.workers": 65}, "gateway.workers", "is above 64"),
    ({"gateway.workers": 2, "listen_addr": "a:0"}, "listen_addr", "has port 0"),
    ({"gateway.workers": 2, "grpc_listen_addr": "a:0"}, "grpc_listen_addr", "has port 0"),
    ({"gateway.workers": 2, "services.gateway.listen_addr": "a:0"}, "services.gateway.listen_addr", "has port 0"),
    ({"gateway.workers": 3, "metrics_listen_addr": ":65534"}, "metrics_listen_addr", "leaves no port"),
    ({"unix_socket": ""}, "unix_socket", "is not the path of a file"),
    ({"bus.url": "redis://a:port"}, "bus.url", "is not the URL of a Redis server"),
    ({"bus.url": "redis://:0"}, "bus.url", "is not the URL of a Redis server"),
    ({"bus.url": "redis://[::1"}, "bus.url", "is not the URL of a Redis server"),
    ({"bus.url": "http://a"}, "bus.url", "is not the URL of a Redis server"),
    ({"services.auth.listen_addr": "x"}, "services.auth.listen_addr", "is not an address"),
    ({"services.policy.addresses": ["x"]}, "services.policy.addresses", "not host:port"),
    ({"telemetry.sample_ratio": 1.5}, "telemetry.sample_ratio", "is above 1"),
    ({"prefixes.v6": "100.64.0.0/10"}, "prefixes.v6", "is not an IPv6 prefix"),
    ({"prefixes.v4": "", "prefixes.v6": ""}, "prefixes", "contains neither"),
    ({"dns.base_domain": "a b"}, "dns.base_domain", "is not a domain name"),
    ({"dns.base_domain": ""}, "dns.base_domain", "is empty while"),
    ({"dns.base_domain": "headscale.example.com"}, "dns.base_domain", "own name"),
    ({"dns.override_local_dns": True}, "dns.override_local_dns", "is on without"),
    (
        {"dns.extra_records": [{"name": "a", "value": "1.2.3.4"}], "dns.extra_records_path": "/r"},
        "dns.extra_records_path",
        "is set together",
    ),
    ({"derp.server.enabled": False}, "derp", "configures no relay"),
    ({"derp.server.stun_listen_addr": ""}, "derp.server.stun_listen_addr", "is empty while"),
    ({"derp.server.region_id": 0}, "derp.server.region_id", "is below 1"),
    ({"derp.server.mesh_key": "ab"}, "derp.server.mesh_key", "is not 64 hex digits"),
    ({"derp.server.mesh_with": ["https://a"]}, "derp.server.mesh_with", "needs derp.server.mesh_key"),
    ({"derp.server.ipv4": "::1"}, "derp.server.ipv4", "is not an IPv4 address"),
    ({"node.ephemeral.inactivity_timeout": "65s"}, "node.ephemeral.inactivity_timeout", "is not above 65s"),
    ({"node.routes.ha.probe_interval": "1s"}, "node.routes.ha.probe_interval", "is below 2s"),
    ({"node.routes.ha.probe_timeout": "10s"}, "node.routes.ha.probe_timeout", "is not between"),
    ({"tuning.register_cache_max_entries": 0}, "tuning.register_cache_max_entries", "is below 1"),
    ({"tuning.register_cache_expiration": "5s"}, "tuning.register_cache_expiration", "is below 30s"),
]  # fmt: skip


WARNINGS: list[tuple[dict[str, Any], str]] = [
    (
        {"tls_letsencrypt_hostname": "a.example", "listen_addr": ":443"},
        "tls_letsencrypt_hostname is a.example, and clients dial headscale.example.com — write the name of server_url",
    ),
    (
        {"server_url": "http://10.0.0.5", "listen_addr": "127.0.0.1:80"},
        "listen_addr is 127.0.0.1:80, which only this machine reaches, and clients dial http://10.0.0.5 — "
        "write 0.0.0.0:80, unless a proxy on this machine passes clients on",
    ),
    (
        {"server_url": "http://10.0.0.5", "listen_addr": "0.0.0.0:8080"},
        "listen_addr has port 8080, and clients dial http://10.0.0.5, which is port 80 — "
        "write 0.0.0.0:80, unless something forwards that port",
    ),
    (
        {"server_url": "http://headscale.example.com:8080", "listen_addr": ":8080"},
        "server_url is http:// with a public name (headscale.example.com) — "
        "pages and API keys can be read on the way; write https://",
    ),
    (
        {"server_url": "http://a.lan", "listen_addr": ":80", "tls_cert_path": "/c", "tls_key_path": "/k"},
        "server_url is http://, and listen_addr answers https only — write https://",
    ),
    (
        {"server_url": "https://a.example", "listen_addr": ":443"},
        "listen_addr answers plain http on port 443, which clients dial with https — "
        "set tls_cert_path and tls_key_path, or tls_letsencrypt_hostname",
    ),
    (
        {"derp.server.stun_listen_addr": "127.0.0.1:3478"},
        "derp.server.stun_listen_addr is 127.0.0.1:3478, which only this machine reaches, and clients dial "
        "headscale.example.com — write 0.0.0.0:3478",
    ),
    (
        {"derp.server.listen_addr": "localhost:8443"},
        "derp.server.listen_addr is localhost:8443, which only this machine reaches, and clients dial "
        "headscale.example.com — write 0.0.0.0:8443",
    ),
    (
        {"prefixes.v4": "10.0.0.0/8"},
        "prefixes.v4 is outside of 100.64.0.0/10 — clients treat only that range as the tailnet's",
    ),
    (
        {"dns.base_domain": "example.com"},
        "dns.base_domain contains the server's own name — "
        "nodes resolve names below it by MagicDNS; the server's name is served there too, other names are not",
    ),
    (
        {**POSTGRES, "database.postgres.host": "db.example", "database.postgres.ssl": "disable"},
        "database.postgres.ssl is off for another host — write require or verify-full",
    ),
]
FITTING: list[dict[str, Any]] = [
    {"server_url": "http://10.0.0.5:8080", "listen_addr": "0.0.0.0:8080"},
    {"server_url": "http://localhost:8080"},
    {"server_url": "http://[::1]:8080", "listen_addr": "[::1]:8080"},
    {"server_url": "https://a.example", "listen_addr": "127.0.0.1:443"},
    {"server_url": "https://a.example", "listen_addr": ":8080"},
    {"server_url": "http://nas.lan:8080", "listen_addr": ":8080"},
]


@pytest.mark.parametrize(("flat", "said"), WARNINGS, ids=[said[:40] for _, said in WARNINGS])
def test_what_will_not_fit_together_for_clients_is_a_warning(tmp_path: Path, flat: dict[str, Any], said: str) -> None:
    assert [line.partition(": ")[2] for line in from_file(tmp_path, flat).warnings] == [said]


@pytest.mark.parametrize("flat", FITTING, ids=[str(flat["server_url"]) for flat in FITTING])
def test_what_fits_together_is_no_warning(tmp_path: Path, flat: dict[str, Any]) -> None:
    assert from_file(tmp_path, flat).warnings == ()


def spellings() -> dict[str, int]:
    """How often each check says what it says: the constant parts, by module and line."""
    found: dict[str, int] = {}
    for module in ("process_checks", "tailnet_checks"):
        for function in ast.parse((CONFIG / f"{module}.py").read_text()).body:
            if isinstance(function, ast.FunctionDef) and not function.name.endswith("_warnings"):
                for node in ast.walk(function):
                    if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
                        what = node.value.elts[1]
                        parts = what.values if isinstance(what, ast.JoinedStr) else [what]
                        text = next(str(part.value) for part in parts if isinstance(part, ast.Constant))
                        found[text] = node.lineno
    return found


@pytest.mark.parametrize(("flat", "key", "said"), CASES, ids=[f"{key} {said}" for _, key, said in CASES])
def test_what_makes_no_sense_is_refused_at_its_key(tmp_path: Path, flat: dict[str, Any], key: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_file(tmp_path, flat)
    (problem,) = [one for one in caught.value.problems if one.key == key and said in one.what]
    assert problem.remedy and problem.where.startswith(str(tmp_path))


def test_every_check_has_a_case() -> None:
    said = [part for _, _, part in CASES]
    assert [text for text in spellings() if not any(text.strip() in part or part in text for part in said)] == []
