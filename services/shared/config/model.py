"""Every configuration key as a typed value with its default. Owns names and types; refuses to read files.

Names are Headscale's (`config-example.yaml` of its releases) wherever Headscale has the key; the rest is ours. A field
with `secret()` also takes its value from the file that `HEADSCALE_<KEY>_FILE` names, and stays out of `repr`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from services.shared.config.login import OidcConfig, OidcPkceConfig, ProviderConfig

__all__ = ["Config", "OidcConfig", "OidcPkceConfig", "ProviderConfig"]

DEFAULT_STATE_DIR = Path("/var/lib/headscale")
DEFAULT_SOCKET = Path("/var/run/headscale/headscale.sock")


def _secret(default: str = "") -> Any:
    return field(default=default, repr=False, metadata={"secret": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseConfig:
    """`noise`: the control key that clients pin."""

    private_key_path: Path = Path()


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixesConfig:
    """`prefixes`: where node addresses come from; an empty one means that family is off."""

    v4: str = ""
    v6: str = ""
    allocation: Literal["sequential", "random"] = "sequential"


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteConfig:
    """`database.sqlite`."""

    path: Path = Path()
    write_ahead_log: bool = True
    wal_autocheckpoint: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresConfig:
    """`database.postgres`."""

    host: str = "localhost"
    port: int = 5432
    name: str = ""
    user: str = ""
    password: str = field(default="", repr=False, metadata={"secret": True, "key": "pass"})
    ssl: str = field(default="disable", metadata={"bools": {True: "require", False: "disable"}})
    """`disable`, `prefer`, `require`, `verify-ca`, `verify-full`; the file may say true or false."""
    max_open_conns: int = 10
    max_idle_conns: int = 10
    conn_max_idle_time_secs: int = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class GormConfig:
    """`database.gorm`: accepted for old files; only `slow_threshold` (milliseconds) means something here."""

    prepare_stmt: bool = True
    parameterized_queries: bool = True
    skip_err_record_not_found: bool = True
    slow_threshold: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseConfig:
    """`database`: one database for all services, each with tables of its own."""

    type: Literal["sqlite", "postgres"] = field(
        default="sqlite", metadata={"same": {"sqlite3": "sqlite", "postgresql": "postgres"}}
    )
    debug: bool = False
    sqlite: SqliteConfig = SqliteConfig()
    postgres: PostgresConfig = PostgresConfig()
    gorm: GormConfig = GormConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraRecord:
    """One record of `dns.extra_records`."""

    name: str = ""
    type: str = "A"
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameserversConfig:
    """`dns.nameservers`: for every name, and for single domains."""

    global_: tuple[str, ...] = field(default=(), metadata={"key": "global"})
    split: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsConfig:
    """`dns`: what clients are told about names."""

    magic_dns: bool = True
    base_domain: str = ""
    override_local_dns: bool | None = None
    """Unset means: yes if there are global nameservers."""
    nameservers: NameserversConfig = NameserversConfig()
    search_domains: tuple[str, ...] = ()
    extra_records: tuple[ExtraRecord, ...] = ()
    extra_records_path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DerpStunConfig:
    """`derp.server.stun`: accepted for old files."""

    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DerpServerConfig:
    """`derp.server`: our own relay and STUN server."""

    enabled: bool = True
    """In the file unset means: yes if neither `derp.urls` nor `derp.paths` names another relay."""
    region_id: int = 999
    region_code: str = "headscale"
    region_name: str = "Headscale Embedded DERP"
    verify_clients: bool = True
    verify_clients_fail_open: bool = False
    """Whether clients come in while the registry does not answer."""
    stun_listen_addr: str = "0.0.0.0:3478"
    private_key_path: Path = Path()
    automatically_add_embedded_derp_region: bool = True
    ipv4: str = ""
    ipv6: str = ""
    stun: DerpStunConfig = DerpStunConfig()
    listen_addr: str = "0.0.0.0:8443"
    """Relay over TLS; what clients use. Empty turns it off."""
    http_listen_addr: str = ""
    """Relay without TLS, for development and for reverse proxies. Empty turns it off."""
    hostname: str = ""
    """Name or address that clients dial; empty means the host of `server_url`."""
    name: str = ""
    """Name of this relay inside its region; empty means one made of region and host name."""
    mesh_key: str = _secret()
    """64 hex digits that relays of one region share; empty means no mesh."""
    mesh_with: tuple[str, ...] = ()
    """Base URLs of the other relays of the region."""
    tls_cert_path: Path | None = None
    """Own certificate; unset means a self-signed one, made at first start and pinned in the DERP map."""
    tls_key_path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DerpConfig:
    """`derp`: which relays clients learn of."""

    server: DerpServerConfig = DerpServerConfig()
    urls: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    auto_update_enabled: bool = False
    update_frequency: timedelta = timedelta(hours=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class EphemeralConfig:
    """`node.ephemeral`."""

    inactivity_timeout: timedelta = timedelta(seconds=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class HaConfig:
    """`node.routes.ha`: how a lost subnet router is noticed."""

    probe_interval: timedelta = timedelta(seconds=10)
    probe_timeout: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutesConfig:
    """`node.routes`."""

    ha: HaConfig = HaConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """`node`: lifetimes."""

    expiry: timedelta = timedelta(0)
    """How long a node key stays valid; zero means for ever."""
    ephemeral: EphemeralConfig = EphemeralConfig()
    routes: RoutesConfig = RoutesConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreAuthKeysConfig:
    """`preauth_keys`."""

    revoked_retention: timedelta = timedelta(hours=168)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """`log`."""

    level: Literal["panic", "fatal", "error", "warn", "info", "debug", "trace", "disabled"] = "info"
    format: Literal["text", "json"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """`policy`: where the policy document lives; no path in mode `file` means allow-all."""

    mode: Literal["file", "database"] = "file"
    path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchConfig:
    """A section that is only on or off: `logtail`, `auto_update`."""

    enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaildropConfig:
    """`taildrop`."""

    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CliConfig:
    """`cli`: how the command reaches a server elsewhere; no address means the unix socket."""

    address: str = ""
    api_key: str = _secret()
    timeout: timedelta = timedelta(seconds=5)
    insecure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningConfig:
    """`tuning`."""

    notifier_send_timeout: timedelta = timedelta(milliseconds=800)
    batch_change_delay: timedelta = timedelta(milliseconds=800)
    node_mapsession_buffered_chan_size: int = 30
    batcher_workers: int = 0
    register_cache_cleanup: timedelta = timedelta(minutes=20)
    register_cache_expiration: timedelta = timedelta(minutes=15)
    """How long a pending login lives."""
    register_cache_max_entries: int = 1024
    """How many pending logins may wait at once."""
    node_store_batch_size: int = 100
    node_store_batch_timeout: timedelta = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusConfig:
    """`bus`: empty means in memory (one process); else `redis://…`, `rediss://…` or `unix://…`."""

    url: str = _secret()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """One of `services.*`: where it listens, and where the others find its replicas."""

    listen_addr: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesTlsConfig:
    """`services.tls`: mutual TLS between our processes; all three or none."""

    ca_path: Path | None = None
    cert_path: Path | None = None
    key_path: Path | None = None
    server_name: str = ""
    """Name in the peers' certificates when it is not the dialled host."""

    @property
    def enabled(self) -> bool:
        """Whether certificates are configured."""
        return self.cert_path is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesConfig:
    """`services`: our processes, when each runs alone."""

    registry: ServiceConfig = ServiceConfig(listen_addr="127.0.0.1:50051", addresses=("127.0.0.1:50051",))
    policy: ServiceConfig = ServiceConfig(listen_addr="127.0.0.1:50052", addresses=("127.0.0.1:50052",))
    auth: ServiceConfig = ServiceConfig(listen_addr="127.0.0.1:50053", addresses=("127.0.0.1:50053",))
    map_streamer: ServiceConfig = ServiceConfig(listen_addr="127.0.0.1:50054", addresses=("127.0.0.1:50054",))
    derp: ServiceConfig = ServiceConfig(listen_addr="127.0.0.1:50055", addresses=("127.0.0.1:50055",))
    gateway: ServiceConfig = ServiceConfig(listen_addr="127.0.0.1:50056", addresses=("127.0.0.1:50056",))
    token: str = _secret()
    """Shared by all processes of a deployment; needed unless `services.tls` is given."""
    tls: ServicesTlsConfig = ServicesTlsConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """`gateway`: bounds of the only door."""

    workers: int = 1
    """Processes that share the ports of `serve gateway`, one for each core; every other limit here is each one's."""
    max_connections: int = 65536
    """Tunnels held at once."""
    max_connections_per_address: int = 0
    """Connections from one address; zero means no limit, as behind a proxy or an office all come from one."""
    handshakes_per_second: float = 1000.0
    """Handshakes that one address may ask for each second, ten times as many at once; zero means no limit."""
    reconnects_per_second: float = 2.0
    """Tunnels, map sessions and registrations, each, that one machine may open a second; fifteen times as many at
    once; zero means no limit."""
    reports_per_second: float = 2.0
    """Reports of endpoints and hostinfo that are stored of one machine each second, ten times as many at once; more
    wait, and the newest takes the place of those before it. Zero means no limit."""
    max_handshakes: int = 4096
    """Connections that have not finished their handshake; older ones go first."""
    handshake_timeout: timedelta = timedelta(seconds=10)
    max_request_body: int = 1 << 20
    """Bytes of a request body inside the tunnel."""
    max_answer_body: int = 32 << 20
    """Bytes of what a node answers to a question of ours, such as for its whole netmap."""
    check_interval: timedelta = timedelta(seconds=60)
    """Time between two looks at a tunnel: a silent peer gets a PING, and is dropped at the next look."""
    idle_timeout: timedelta = timedelta(seconds=300)
    """How long a tunnel without any request may stay."""
    keepalive_interval: timedelta = timedelta(seconds=50)
    high_water: int = 64 << 10
    """Unsent bytes at which a map session is paused."""
    initial_map_bytes: int = 64 << 20
    """Bytes of full maps in flight at once."""
    login_wait: timedelta = timedelta(minutes=10)
    """How long a Followup request is held."""
    drain_timeout: timedelta = timedelta(seconds=10)
    """How long a planned stop may take; in the first half of it the clients are let go, one after the other."""
    admin_calls_per_second: int = 50
    """Calls that one API key, and one address, may make each second over TCP; four times as many at once."""
    admin_wrong_keys: int = 20
    """Wrong API keys that one address may send at once; after that one every two seconds."""
    worker: int = field(default=0, metadata={"internal": True})
    """Which of the workers this process is, from 1; 0 where the gateway is one process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryConfig:
    """`telemetry`: where spans go; empty means nowhere, unless OTEL_EXPORTER_OTLP_ENDPOINT is set."""

    otlp_endpoint: str = ""
    sample_ratio: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration of a deployment; every process reads the same file."""

    server_url: str = ""
    listen_addr: str = "127.0.0.1:8080"
    metrics_listen_addr: str = "127.0.0.1:9090"
    """Metrics and debug pages of each process. Empty means off."""
    metrics_allowed_networks: tuple[str, ...] = ()
    """CIDRs that may read there besides loopback and private addresses."""
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
    noise: NoiseConfig = NoiseConfig()
    prefixes: PrefixesConfig = PrefixesConfig()
    derp: DerpConfig = DerpConfig()
    node: NodeConfig = NodeConfig()
    preauth_keys: PreAuthKeysConfig = PreAuthKeysConfig()
    database: DatabaseConfig = DatabaseConfig()
    log: LogConfig = LogConfig()
    policy: PolicyConfig = PolicyConfig()
    dns: DnsConfig = DnsConfig()
    oidc: OidcConfig = field(default_factory=OidcConfig)
    logtail: SwitchConfig = SwitchConfig()
    taildrop: TaildropConfig = TaildropConfig()
    auto_update: SwitchConfig = SwitchConfig()
    cli: CliConfig = CliConfig()
    tuning: TuningConfig = TuningConfig()
    bus: BusConfig = BusConfig()
    services: ServicesConfig = ServicesConfig()
    gateway: GatewayConfig = GatewayConfig()
    telemetry: TelemetryConfig = TelemetryConfig()
    source: Path | None = field(default=None, metadata={"internal": True})
    """The file this was read from."""
    warnings: tuple[str, ...] = field(default=(), metadata={"internal": True})
    """Deprecations and doubts found while loading, to be logged once."""
    places: Mapping[str, str] = field(default_factory=dict, repr=False, metadata={"internal": True})
    """Where each key that was given was given: `file:line`, or the environment."""
