"""The whole configuration as one typed value with its defaults. Owns the top level; refuses to read files.

Names are Headscale's (`config-example.yaml` of its releases) wherever Headscale has the key; the rest is ours. The
sections are in `tailnet` (what it is), `login` (who signs in, and where) and `processes` (how ours run).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from services.shared.config.login import OidcConfig, OidcPkceConfig, ProviderConfig
from services.shared.config.processes import (
    BusConfig,
    CliConfig,
    DatabaseConfig,
    GatewayConfig,
    GormConfig,
    LogConfig,
    PostgresConfig,
    ServiceConfig,
    ServicesConfig,
    ServicesTlsConfig,
    SqliteConfig,
    TelemetryConfig,
    TuningConfig,
)
from services.shared.config.tailnet import (
    DerpConfig,
    DerpServerConfig,
    DerpStunConfig,
    DnsConfig,
    EphemeralConfig,
    ExtraRecord,
    HaConfig,
    NameserversConfig,
    NodeConfig,
    NoiseConfig,
    PolicyConfig,
    PreAuthKeysConfig,
    PrefixesConfig,
    RoutesConfig,
    SwitchConfig,
    TaildropConfig,
)

__all__ = [
    "BusConfig",
    "CliConfig",
    "Config",
    "DatabaseConfig",
    "DerpConfig",
    "DerpServerConfig",
    "DerpStunConfig",
    "DnsConfig",
    "EphemeralConfig",
    "ExtraRecord",
    "GatewayConfig",
    "GormConfig",
    "HaConfig",
    "LogConfig",
    "NameserversConfig",
    "NodeConfig",
    "NoiseConfig",
    "OidcConfig",
    "OidcPkceConfig",
    "PolicyConfig",
    "PostgresConfig",
    "PreAuthKeysConfig",
    "PrefixesConfig",
    "ProviderConfig",
    "RoutesConfig",
    "ServiceConfig",
    "ServicesConfig",
    "ServicesTlsConfig",
    "SqliteConfig",
    "SwitchConfig",
    "TaildropConfig",
    "TelemetryConfig",
    "TuningConfig",
]

DEFAULT_STATE_DIR = Path("/var/lib/headscale")
DEFAULT_SOCKET = Path("/var/run/headscale/headscale.sock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration of a deployment; every process reads the same file."""

    server_url: str = ""
    listen_addr: str = "127.0.0.1:8080"
    metrics_listen_addr: str = "127.0.0.1:9090"
    """Metrics and debug pages of each process. Empty means off."""
    metrics_allowed_networks: tuple[str, ...] = ()
    """CIDRs that may read there besides loopback and private addresses."""
    metrics_allowed_hosts: tuple[str, ...] = ()
    """Names in public DNS under which they are read, besides that of `server_url`."""
    grpc_listen_addr: str = "127.0.0.1:50443"
    grpc_allow_insecure: bool = False
    trusted_proxies: tuple[str, ...] = ()
    unix_socket: Path = DEFAULT_SOCKET
    unix_socket_permission: int = field(default=0o770, metadata={"mode": True})
    state_dir: Path = DEFAULT_STATE_DIR
    """Where keys, the SQLite database and certificates live unless a key names another place."""
    disable_check_updates: bool = False
    acme_url: str = "https://acme-v02.api.letsencrypt.org/directory"
    acme_email: str = ""
    tls_letsencrypt_hostname: str = ""
    tls_letsencrypt_cache_dir: Path = Path("/var/www/.cache")
    tls_letsencrypt_challenge_type: Literal["HTTP-01", "TLS-ALPN-01"] = "HTTP-01"
    tls_letsencrypt_listen: str = ":http"
    tls_cert_path: Path | None = None
    tls_key_path: Path | None = None
    randomize_client_port: bool = False
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    prefixes: PrefixesConfig = field(default_factory=PrefixesConfig)
    derp: DerpConfig = field(default_factory=DerpConfig)
    node: NodeConfig = field(default_factory=NodeConfig)
    preauth_keys: PreAuthKeysConfig = field(default_factory=PreAuthKeysConfig)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    log: LogConfig = field(default_factory=LogConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    dns: DnsConfig = field(default_factory=DnsConfig)
    oidc: OidcConfig = field(default_factory=OidcConfig)
    logtail: SwitchConfig = field(default_factory=SwitchConfig)
    taildrop: TaildropConfig = field(default_factory=TaildropConfig)
    auto_update: SwitchConfig = field(default_factory=SwitchConfig)
    cli: CliConfig = field(default_factory=CliConfig)
    tuning: TuningConfig = field(default_factory=TuningConfig)
    bus: BusConfig = field(default_factory=BusConfig)
    services: ServicesConfig = field(default_factory=ServicesConfig)
    gateway: GatewayConfig = field(default_factory=GatewayConfig)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    source: Path | None = field(default=None, metadata={"internal": True})
    """The file this was read from."""
    warnings: tuple[str, ...] = field(default=(), metadata={"internal": True})
    """Deprecations and doubts found while loading, to be logged once."""
    places: Mapping[str, str] = field(default_factory=dict, repr=False, metadata={"internal": True})
    """Where each key that was given was given: `file:line`, or the environment."""
