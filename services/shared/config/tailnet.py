"""Keys of the tailnet: addresses, names, relays, lifetimes and policy. Owns names, types and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from services.shared.config.bounds import Max, Min
from services.shared.config.secret import secret


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseConfig:
    """`noise`: the control key that clients pin."""

    private_key_path: Path = Path()
    """The control key that clients pin; made at the first start. Keep it: clients refuse another one until they
    restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixesConfig:
    """`prefixes`: where node addresses come from; an empty one means that family is off."""

    v4: str = ""
    """Inside 100.64.0.0/10; empty: no IPv4."""
    v6: str = ""
    """Inside fd7a:115c:a1e0::/48; empty: no IPv6."""
    allocation: Literal["sequential", "random"] = "sequential"
    """`sequential` or `random`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraRecord:
    """One record of `dns.extra_records`."""

    name: str = ""
    type: str = "A"
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameserversConfig:
    """`dns.nameservers`: global resolvers, and resolvers of single domains."""

    global_: tuple[str, ...] = field(default=(), metadata={"key": "global"})
    """Resolvers for every name."""
    split: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Resolvers for single domains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsConfig:
    """`dns`: the DNS configuration of clients."""

    magic_dns: bool = True
    """Clients answer names of nodes themselves."""
    base_domain: str = ""
    """Nodes are `NAME.BASE_DOMAIN`."""
    override_local_dns: bool | None = None
    """Unset means: yes if there are global nameservers."""
    nameservers: NameserversConfig = NameserversConfig()
    search_domains: tuple[str, ...] = ()
    """After the base domain."""
    extra_records: tuple[ExtraRecord, ...] = ()
    """A and AAAA records: name, type, value."""
    extra_records_path: Path | None = None
    """The same from a JSON file that may change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DerpStunConfig:
    """`derp.server.stun`: accepted for old files."""

    enabled: bool = True
    """`false`: no STUN, whatever `stun_listen_addr` says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DerpServerConfig:
    """`derp.server`: our own relay and STUN server."""

    enabled: bool = True
    """In the file unset means: yes if neither `derp.urls` nor `derp.paths` names another relay."""
    region_id: Annotated[int, Min(1), Max((1 << 31) - 1)] = 999
    """900 to 999 by convention."""
    region_code: str = "headscale"
    """Short name of the region."""
    region_name: str = "Headscale Embedded DERP"
    """Name for people."""
    verify_clients: bool = True
    """Only nodes of this tailnet may relay; deleted and expired nodes and those of suspended users are
    disconnected at once."""
    verify_clients_fail_open: bool = False
    """Admit clients while the registry does not answer."""
    stun_listen_addr: str = "0.0.0.0:3478"
    """UDP; empty: no STUN."""
    private_key_path: Path = Path()
    """The relay's own key; made at the first start."""
    automatically_add_embedded_derp_region: bool = True
    """Add this relay to the DERP map; `false` leaves that to `derp.paths`, `derp.urls` or the policy."""
    ipv4: str = ""
    """Address in the DERP map; empty: clients resolve the name."""
    ipv6: str = ""
    """Address in the DERP map; empty: clients resolve the name."""
    stun: DerpStunConfig = DerpStunConfig()
    listen_addr: str = ""
    """Relay over TLS on a listener of its own. Empty: `/derp` on `listen_addr` under the name of an https `server_url`
    where everything is one process, else `0.0.0.0:8443`."""
    http_listen_addr: str = ""
    """Relay without TLS, for development and for reverse proxies."""
    port: Annotated[int, Min(0), Max(65535)] = 0
    """TCP port that clients dial, where something forwards it; zero: that of the listener or of `server_url`."""
    hostname: str = ""
    """Name or address that clients dial; empty means the host of `server_url`."""
    name: str = ""
    """Name of this relay inside its region; empty means one made of region and host name."""
    mesh_key: str = secret()
    """64 hex digits that relays of one region share; empty means no mesh."""
    mesh_with: tuple[str, ...] = ()
    """Base URLs of the other relays of the region."""
    allow_unpinned_old_clients: bool = True
    """Clients before 1.82 cannot read pinned certificates. They are sent relays that have one with any certificate
    accepted, so what passes stays encrypted but the relay's identity is not proven to them; `false`: they connect to no
    such relay."""
    tls_cert_path: Path | None = None
    """Own certificate; unset means a self-signed one, made at first start and pinned in the DERP map."""
    tls_key_path: Path | None = None
    """Its private key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DerpConfig:
    """`derp`: which relays clients learn of."""

    server: DerpServerConfig = DerpServerConfig()
    urls: tuple[str, ...] = ()
    """DERP maps to merge, as JSON."""
    paths: tuple[Path, ...] = ()
    """DERP maps to merge, from files."""
    auto_update_enabled: bool = False
    """Fetch `derp.urls` again after `derp.update_frequency`; else only at the start."""
    update_frequency: timedelta = timedelta(hours=3)
    """At least a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EphemeralConfig:
    """`node.ephemeral`."""

    inactivity_timeout: timedelta = timedelta(seconds=120)
    """Ephemeral nodes are deleted so long after they were last connected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HaConfig:
    """`node.routes.ha`: detection of lost routers with routes that another node can take over."""

    probe_interval: Annotated[timedelta, Min(timedelta(seconds=2))] = timedelta(seconds=4)
    """Time between two probes of one router. Headscale has 10s, which would take 15s to notice a cut link."""
    probe_timeout: timedelta = timedelta(seconds=3)
    """Time for the answer; without one the router is offline and another takes over."""
    takeback: timedelta | None = field(default=None, metadata={"none": "never"})
    """How long an older router must be healthy again before it takes its routes back from the one that took over, or
    `never`, as in Headscale: connections through the one that serves now break when another takes over, so a router
    that comes and goes must not move them. A router that an administrator prefers takes its routes back in any case:
    after this time, or after a minute with `never`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutesConfig:
    """`node.routes`."""

    ha: HaConfig = HaConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """`node`: lifetimes."""

    expiry: timedelta = timedelta(0)
    """Validity of a node key; zero means no expiry."""
    address_quarantine: Annotated[timedelta, Min(timedelta(0)), Max(timedelta(days=30))] = timedelta(minutes=10)
    """How long an address that a node gave up is given to no other node, so that what still knows the former one does
    not reach the new one. A device that joins again gets its address back at once."""
    ephemeral: EphemeralConfig = EphemeralConfig()
    routes: RoutesConfig = RoutesConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesConfig:
    """`messages`: what clients show to the people at the devices."""

    contact: str = ""
    """Whom people ask, such as an address or a channel; it is part of the messages. Empty: "the administrator"."""
    key_expiry: Annotated[timedelta, Min(timedelta(0))] = timedelta(days=7)
    """How long before its key expires a device reminds its owner to log in again; zero: not at all."""
    oldest_clients: Mapping[str, str] = field(default_factory=dict)
    """Oldest versions of the client that are not asked to update, by operating system (`linux`, `windows`, `macos`,
    `ios`, `android`); `default` holds for the others. No other server is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreAuthKeysConfig:
    """`preauth_keys`."""

    revoked_retention: timedelta = timedelta(hours=168)
    """No effect: revoked keys stay until `headscale preauthkeys delete`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """`policy`: where the policy document lives; no path in mode `file` means allow-all."""

    mode: Literal["file", "database"] = "file"
    """`file` or `database`. Unset and without `policy.path`: `database`."""
    path: Path | None = None
    """The policy document in mode `file`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchConfig:
    """A section that is only on or off: `logtail`, `auto_update`."""

    enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaildropConfig:
    """`taildrop`."""

    enabled: bool = True
    """Nodes may send each other files."""
