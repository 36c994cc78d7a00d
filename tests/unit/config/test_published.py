"""Files as modules, charts, roles and guides write them: each is read, and says what it does not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.shared.config import Config, load
from services.shared.config.load import load_client

NIXPKGS = """
acme_email: ''
acme_url: https://acme-v02.api.letsencrypt.org/directory
database:
  postgres: {host: /var/run/postgresql, name: headscale, password_file: null, port: null, user: headscale}
  sqlite: {path: /var/lib/headscale/db.sqlite, write_ahead_log: true}
  type: postgres
derp:
  auto_update_enabled: true
  paths: [/run/secrets/derp.yaml]
  server: {private_key_path: /var/lib/headscale/derp_server_private.key}
  update_frequency: 24h
  urls: []
disable_check_updates: true
dns:
  base_domain: tail.example.net
  extra_records: []
  magic_dns: true
  nameservers: {global: [1.1.1.3, 1.0.0.3], split: {example.net: [192.168.10.215]}}
  override_local_dns: true
  search_domains: []
ephemeral_node_inactivity_timeout: 30m
listen_addr: 127.0.0.1:8080
log: {format: text, level: info}
metrics_listen_addr: 127.0.0.1:9090
noise: {private_key_path: /var/lib/headscale/noise_private.key}
oidc:
  allowed_domains: []
  allowed_groups: []
  allowed_users: []
  client_id: headscale
  client_secret_path: /run/secrets/oidc
  extra_params: {}
  issuer: https://auth.example.net/oauth2/openid/headscale
  only_start_if_oidc_is_available: false
  pkce: {enabled: true, method: S256}
  scope: [openid, profile, email]
policy: {mode: file, path: null}
prefixes: {allocation: random, v4: 100.64.0.0/10, v6: 'fd7a:115c:a1e0::/48'}
server_url: https://headscale.example.net:443
tls_cert_path: null
tls_key_path: null
tls_letsencrypt_cache_dir: /var/lib/headscale/.cache
tls_letsencrypt_challenge_type: HTTP-01
tls_letsencrypt_hostname: ''
tls_letsencrypt_listen: ':http'
unix_socket: /run/headscale/headscale.sock
"""
NIX_OF_0_22 = """
server_url: https://hs.example.net
db_type: sqlite3
db_path: /var/lib/headscale/db.sqlite
ip_prefixes: [100.64.0.0/10]
log: {level: debug}
dns_config: {override_local_dns: true, base_domain: headnet.ts, domains: [headnet.ts]}
"""
CHART_OF_0_22 = """
server_url: http://headscale.example.net
listen_addr: "0.0.0.0:8080"
metrics_listen_addr: "127.0.0.1:9090"
ephemeral_node_inactivity_timeout: "30m"
acl_policy_path: /etc/headscale/acl.policy
private_key_path: /var/lib/headscale/private.key
noise: {private_key_path: /var/lib/headscale/noise_private.key}
grpc_listen_addr: "0.0.0.0:50443"
grpc_allow_insecure: true
ip_prefixes: [fd7a:115c:a1e0::/48, 100.64.0.0/10]
derp:
  server: {enabled: false}
  urls: [https://controlplane.tailscale.com/derpmap/default]
  paths: []
  auto_update_enabled: true
  update_frequency: 24h
disable_check_updates: true
node_update_check_interval: 10s
db_type: postgres
db_host: postgres
db_port: "5432"
db_name: headscale
db_user: headscale
db_pass: secret
db_ssl: "false"
tls_letsencrypt_hostname: ""
tls_cert_path: ""
tls_key_path: ""
dns_config:
  override_local_dns: true
  nameservers: [1.1.1.1]
  restricted_nameservers: {}
  domains: []
  magic_dns: true
  base_domain: example.net
  extra_records: []
unix_socket: /var/run/headscale/headscale.sock
unix_socket_permission: "0770"
logtail: {enabled: false}
randomize_client_port: false
"""
KEYCLOAK_OF_0_17 = """
server_url: https://hs.example.net
noise: {private_key_path: /n}
oidc:
  client_id: headscale
  client_secret: xxxxxxxxxx
  enabled: true
  issuer: https://keycloak.example.net/realms/headscale
  only_start_if_oidc_is_available: true
  scope: [openid, profile, email]
  strip_email_domain: true
  allowed_groups: [/headscale]
"""
ROLE = """
server_url: https://hs.example.net
listen_addr: 0.0.0.0:8080
grpc_listen_addr: 127.0.0.1:50443
grpc_allow_insecure: no
prefixes: {v4: 100.64.0.0/10, v6: fd7a:115c:a1e0::/48, allocation: sequential}
derp:
  server:
    enabled: false
    region_id: 999
    region_code: "headscale"
    region_name: "Headscale Embedded DERP"
    stun_listen_addr: "0.0.0.0:3478"
    private_key_path: /var/lib/headscale/derp_server_private.key
    automatically_add_embedded_derp_region: true
    ipv4: 1.2.3.4
    ipv6: 2001:db8::1
  urls: [https://controlplane.tailscale.com/derpmap/default]
  paths: []
database:
  type: sqlite
  debug: false
  gorm: {prepare_stmt: true, parameterized_queries: true, skip_err_record_not_found: true, slow_threshold: 1000}
  sqlite: {path: /var/lib/headscale/db.sqlite, write_ahead_log: true, wal_autocheckpoint: 1000}
dns:
  magic_dns: true
  base_domain: tail.example.com
  nameservers: {global: [100.64.0.1], split: {}}
  search_domains: []
  extra_records: []
policy: {mode: database, path: ""}
"""

FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "nixpkgs today": (NIXPKGS, ("ephemeral_node_inactivity_timeout is now node.ephemeral.inactivity_timeout",)),
    "nixpkgs of 0.22": (
        NIX_OF_0_22,
        ("dns_config.override_local_dns is ignored: there is no name server", "db_type is now database.type"),
    ),
    "chart of 0.22": (CHART_OF_0_22, ("acl_policy_path is now policy.path", "db_ssl is now database.postgres.ssl")),
    "Keycloak of 0.17": (KEYCLOAK_OF_0_17, ('oidc.strip_email_domain is now oidc.namespace_format: "{email_local}"',)),
    "role of 0.26": (ROLE, ()),
}


def read(folder: Path, text: str) -> Config:
    file = folder / "config.yaml"
    file.write_text(text)
    return load(file, {})


@pytest.mark.parametrize("name", FILES)
def test_a_published_file_is_read_and_says_what_moved(tmp_path: Path, name: str) -> None:
    text, lines = FILES[name]
    config = read(tmp_path, text)
    for line in lines:
        assert any(line in warning for warning in config.warnings), config.warnings
    assert config.server_url.startswith(("https://h", "http://headscale.example.net"))


def test_their_values_arrive(tmp_path: Path) -> None:
    nix = read(tmp_path, NIXPKGS)
    assert (nix.database.type, nix.database.postgres.host) == ("postgres", "/var/run/postgresql")
    assert nix.dns.nameservers.split == {"example.net": ("192.168.10.215",)} and nix.prefixes.allocation == "random"
    chart = read(tmp_path, CHART_OF_0_22)
    assert (chart.database.postgres.port, chart.database.postgres.ssl) == (5432, "disable")
    assert chart.dns.nameservers.global_ == ("1.1.1.1",) and chart.dns.override_local_dns is True
    assert read(tmp_path, KEYCLOAK_OF_0_17).oidc.allowed_groups == ("/headscale",)
    assert read(tmp_path, NIX_OF_0_22).dns.search_domains == ("headnet.ts",)


def test_a_file_for_commands_needs_no_server(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("disable_check_updates: true\nunix_socket: /run/headscale/headscale.sock\n")
    assert str(load_client(file, {}).unix_socket) == "/run/headscale/headscale.sock"
