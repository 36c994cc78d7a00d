"""The whole configuration as one typed value with its defaults. Owns the top level; refuses to read files.

Names are Headscale's (`config-example.yaml` of its releases) wherever Headscale has the key; the rest is ours. The
sections are in `tailnet`, `login` (sign-in providers) and `processes` (databases, listeners, limits).
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
    MessagesConfig,
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
    "MessagesConfig",
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
    """URL that clients connect to and pages link to; `http://` or `https://`."""
    listen_addr: str = "127.0.0.1:8080"
    """Where the gateway listens for clients and browsers."""
    metrics_listen_addr: str = "127.0.0.1:9090"
    """`/metrics` and `/debug/` of each process. Empty means off."""
    metrics_allowed_networks: tuple[str, ...] = ()
    """CIDRs that may read there besides loopback and private addresses; what a proxy says of its client only ever
    closes."""
    metrics_allowed_hosts: tuple[str, ...] = ()
    """Names in public DNS under which metrics and debug pages are read, besides addresses, unqualified and private
    names, and the host of `server_url`. Requests to other names are refused (DNS rebinding)."""
    grpc_listen_addr: str = "127.0.0.1:50443"
    """Administration over TCP with API keys; opened only with TLS, or with `grpc_allow_insecure`."""
    grpc_allow_insecure: bool = False
    """Open it without TLS, for a network that is trusted otherwise."""
    trusted_proxies: tuple[str, ...] = ()
    """CIDRs of proxies; only their `X-Forwarded-For`, `X-Real-IP` and `True-Client-IP` are used."""
    unix_socket: Path = DEFAULT_SOCKET
    """Administration on this machine, without a key."""
    unix_socket_permission: int = field(default=0o770, metadata={"mode": True})
    """Its mode: who may write to it may administer."""
    state_dir: Path = DEFAULT_STATE_DIR
    """Where keys, the SQLite database and certificates live unless a key names another place."""
    disable_check_updates: bool = False
    """No effect: nothing here asks for updates."""
    acme_url: str = "https://acme-v02.api.letsencrypt.org/directory"
    """Directory of the ACME authority that `tls_letsencrypt_hostname` orders from."""
    acme_email: str = ""
    """Where the authority writes to, if it does."""
    tls_letsencrypt_hostname: str = ""
    """The name that a certificate is ordered for, and renewed when a third of its life is left; see
    [HTTPS](https.md)."""
    tls_letsencrypt_cache_dir: Path = Path("/var/www/.cache")
    """Account, certificate and open challenges; replicas that serve one name share it."""
    tls_letsencrypt_challenge_type: Literal["HTTP-01", "TLS-ALPN-01"] = "HTTP-01"
    """`HTTP-01`, for which port 80 of the name leads to `tls_letsencrypt_listen`, or `TLS-ALPN-01`, for which port 443
    leads to `listen_addr`."""
    tls_letsencrypt_listen: str = ":http"
    """Where `HTTP-01` is answered; other requests there are sent to `server_url`."""
    tls_cert_path: Path | None = None
    """Certificate chain of the gateway, read again when it changes and on SIGHUP; unset: plain HTTP, for a proxy that
    ends TLS."""
    tls_key_path: Path | None = None
    """Its private key."""
    randomize_client_port: bool = False
    """Every client uses a random UDP port, as with `randomizeClientPort` in the policy, which is the newer place."""
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    prefixes: PrefixesConfig = field(default_factory=PrefixesConfig)
    derp: DerpConfig = field(default_factory=DerpConfig)
    node: NodeConfig = field(default_factory=NodeConfig)
    messages: MessagesConfig = field(default_factory=MessagesConfig)
    preauth_keys: PreAuthKeysConfig = field(default_factory=PreAuthKeysConfig)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    log: LogConfig = field(default_factory=LogConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    dns: DnsConfig = field(default_factory=DnsConfig)
    oidc: OidcConfig = field(default_factory=OidcConfig)
    logtail: SwitchConfig = field(default_factory=SwitchConfig)
    """`false`: clients send no logs to their vendor."""
    taildrop: TaildropConfig = field(default_factory=TaildropConfig)
    auto_update: SwitchConfig = field(default_factory=SwitchConfig)
    """Clients update themselves by default."""
    cli: CliConfig = field(default_factory=CliConfig)
    tuning: TuningConfig = field(default_factory=TuningConfig)
    bus: BusConfig = field(default_factory=BusConfig)
    services: ServicesConfig = field(default_factory=ServicesConfig)
    gateway: GatewayConfig = field(default_factory=GatewayConfig)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    source: Path | None = field(default=None, metadata={"internal": True})
    """The file this was read from."""
    warnings: tuple[str, ...] = field(default=(), metadata={"internal": True})
    """Deprecations and other warnings of loading, to be logged once."""
    places: Mapping[str, str] = field(default_factory=dict, repr=False, metadata={"internal": True})
    """Where each key that was given was given: `file:line`, or the environment."""
