"""Keys of the processes: databases, bus, listeners, limits, logs and the command line. Owns names, types and bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from services.shared.config.bounds import Count, Max, Min, Port
from services.shared.config.secret import secret

Rate = Annotated[float, Min(0), Max(1_000_000)]
"""Events a second; zero means no limit."""
_TOO_FAST = "people need longer to sign in; write 15m"
Interval = Annotated[timedelta, Min(timedelta(seconds=1))]


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteConfig:
    """`database.sqlite`."""

    path: Path = Path()
    """The database file."""
    write_ahead_log: bool = True
    """`false`: without SQLite's write-ahead log, which is slower."""
    wal_autocheckpoint: int = 1000
    """Pages of that log after which they go into the file; zero means never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresConfig:
    """`database.postgres`."""

    host: str = "localhost"
    """Server, or the folder of its socket."""
    port: Port = 5432
    """Its port; not for a socket."""
    name: str = ""
    """Database."""
    user: str = ""
    """Role."""
    password: str = secret("pass")
    """The role's password."""
    ssl: str = field(default="disable", metadata={"bools": {True: "require", False: "disable"}})
    """`disable`, `prefer`, `require`, `verify-ca`, `verify-full`; the file may say true or false."""
    max_open_conns: Count = 10
    """Maximum number of connections of one process."""
    max_idle_conns: int = 10
    """Connections that are kept while they are not in use."""
    conn_max_idle_time_secs: int = 3600
    """Age in seconds at which a connection is replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GormConfig:
    """`database.gorm`: taken for old files; nothing here reads it."""

    prepare_stmt: bool = True
    """No effect: there is no GORM here."""
    parameterized_queries: bool = True
    """No effect: there is no GORM here."""
    skip_err_record_not_found: bool = True
    """No effect: there is no GORM here."""
    slow_threshold: int = 1000
    """No effect: there is no GORM here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseConfig:
    """`database`: one database for all services, each with tables of its own."""

    type: Literal["sqlite", "postgres"] = field(
        default="sqlite", metadata={"same": {"sqlite3": "sqlite", "postgresql": "postgres"}}
    )
    """`sqlite` or `postgres`."""
    debug: bool = False
    """Log every statement."""
    sqlite: SqliteConfig = SqliteConfig()
    postgres: PostgresConfig = PostgresConfig()
    gorm: GormConfig = GormConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class BusConfig:
    """`bus`: empty means in memory (one process); else `redis://…`, `rediss://…` or `unix://…`."""

    url: str = secret()
    """`redis://…`, `rediss://…` or `unix://…`; empty: in memory, for one process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """One of `services.*`: where it listens, and where the others find its replicas."""

    listen_addr: str = ""
    """Where this process answers the others: `host:port` or `unix:PATH`."""
    addresses: tuple[str, ...] = ()
    """Where the others find its replicas, each `host:port` or `unix:PATH`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesTlsConfig:
    """`services.tls`: mutual TLS between our processes; all three or none."""

    ca_path: Path | None = None
    """Authority of all our processes' certificates: mutual TLS in place of `services.token`."""
    cert_path: Path | None = None
    """This process's certificate."""
    key_path: Path | None = None
    """Its private key."""
    server_name: str = ""
    """Name in the peers' certificates when it is not the dialled host."""

    @property
    def enabled(self) -> bool:
        """True if certificates are configured."""
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
    token: str = secret()
    """Shared by all processes of a deployment, at least 16 characters; needed unless `services.tls` is given."""
    tls: ServicesTlsConfig = ServicesTlsConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """`gateway`: bounds of the only door."""

    workers: Annotated[int, Min(1), Max(64)] = 1
    """Processes that share the ports of `serve gateway`, one for each core; every other limit here is each one's."""
    relay_address: str = ""
    """Where `/derp` on `listen_addr` is passed on to: `host:port` of the relay's `derp.server.http_listen_addr`, where
    that is another process. Empty: answered only where everything is one process."""
    max_connections: Count = 65536
    """Maximum number of tunnels, and of relayed connections that are passed on."""
    max_connections_per_address: Annotated[int, Min(0)] = 0
    """Maximum connections from one address; zero means no limit, as behind a proxy all come from one."""
    handshakes_per_second: Rate = 1000.0
    """Handshakes that one address may ask for each second, ten times as many at once; zero means no limit."""
    reconnects_per_second: Rate = 2.0
    """Tunnels, map sessions and registrations, each, that one machine may open a second, fifteen times as many at
    once; five times as many questions about SSH sessions; zero means no limit."""
    reports_per_second: Rate = 2.0
    """Reports of endpoints and hostinfo of one machine that are stored each second, ten times as many at once; one of
    several 4 KiB counts as several. More wait, and the newest replaces those before it. Zero means no limit."""
    max_handshakes: Count = 4096
    """Connections that have not finished their handshake; older ones go first."""
    handshake_timeout: Interval = timedelta(seconds=10)
    """Time within which a connection must complete its handshake."""
    max_request_body: Count = 1 << 20
    """Bytes of a request body inside the tunnel."""
    max_answer_body: int = 32 << 20
    """Bytes of what a node answers to a question of ours, such as for its whole netmap."""
    check_interval: Interval = timedelta(seconds=60)
    """Interval of the checks of a tunnel: a silent peer gets a PING, and is dropped at the next check."""
    idle_timeout: timedelta = timedelta(seconds=300)
    """Time after which a tunnel without a request is closed."""
    keepalive_interval: Interval = timedelta(seconds=50)
    """Silence in a map session after which the server speaks."""
    high_water: Count = 64 << 10
    """Unsent bytes at which a map session is paused."""
    initial_map_bytes: int = 64 << 20
    """Bytes of full maps in flight at once."""
    login_wait: timedelta = timedelta(minutes=10)
    """Maximum wait of a Followup request, or of one about an SSH session."""
    drain_timeout: timedelta = timedelta(seconds=10)
    """Maximum time of a planned stop; in its first half the clients are disconnected one after the other."""
    admin_calls_per_second: Count = 50
    """Calls that one API key, and one address, may make each second over TCP; four times as many at once."""
    admin_wrong_keys: Count = 20
    """Wrong API keys that one address may send at once; after that one every two seconds."""
    worker: int = field(default=0, metadata={"internal": True})
    """Which of the workers this process is, from 1; 0 where the gateway is one process."""


_NUMBERED = {str(n): name for n, name in enumerate(("trace", "debug", "info", "warn", "error", "fatal", "panic"), -1)}
"""Log levels as the library of Headscale numbers them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """`log`."""

    level: Literal["panic", "fatal", "error", "warn", "info", "debug", "trace", "disabled"] = field(
        default="info", metadata={"same": {"warning": "warn", "err": "error", "critical": "fatal", **_NUMBERED}}
    )
    """panic, fatal, error, warn, info, debug, trace, disabled."""
    format: Literal["text", "json"] = "text"
    """`text` on standard error, `json` on standard output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryConfig:
    """`telemetry`: where spans go; empty means nowhere, unless OTEL_EXPORTER_OTLP_ENDPOINT is set."""

    otlp_endpoint: str = ""
    """OTLP/gRPC address that spans go to; empty: `OTEL_EXPORTER_OTLP_ENDPOINT`, or nowhere."""
    sample_ratio: Annotated[float, Min(0), Max(1)] = 1.0
    """Share of the traces that begin here, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CliConfig:
    """`cli`: how the command reaches a server elsewhere; no address means the unix socket."""

    address: str = ""
    """Server to administer, `host:port`; empty: the unix socket."""
    api_key: str = secret()
    """The key that `headscale apikeys create` printed."""
    timeout: timedelta = timedelta(seconds=5)
    """For each call."""
    insecure: bool = False
    """Do without TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningConfig:
    """`tuning`."""

    notifier_send_timeout: timedelta = timedelta(milliseconds=800)
    """No effect: windows and queues follow the load."""
    batch_change_delay: timedelta = timedelta(milliseconds=800)
    """No effect: windows and queues follow the load."""
    node_mapsession_buffered_chan_size: int = 30
    """No effect: windows and queues follow the load."""
    batcher_workers: int = 0
    """No effect: windows and queues follow the load."""
    register_cache_cleanup: timedelta = timedelta(minutes=20)
    """No effect: a pending login goes when it ends."""
    register_cache_expiration: Annotated[
        timedelta, Min(timedelta(seconds=30), "people need longer to sign in; write 15m")
    ] = timedelta(minutes=15)
    """Lifetime of a pending login or SSH session."""
    register_cache_max_entries: Count = 1024
    """Maximum number of pending logins, and of waiting SSH sessions."""
    node_store_batch_size: int = 100
    """No effect: windows and queues follow the load."""
    node_store_batch_timeout: timedelta = timedelta(milliseconds=500)
    """No effect: windows and queues follow the load."""
