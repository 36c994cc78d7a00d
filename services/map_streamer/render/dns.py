"""Renders the `DNSConfig` from the `dns` configuration, extra records and, for NextDNS, a node's capabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson

from services.map_streamer.snapshot import NodeRecord

_NEXTDNS = "https://dns.nextdns.io"


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """The part of the `dns` configuration that clients are sent."""

    magic_dns: bool = True
    base_domain: str = ""
    override_local_dns: bool = False
    nameservers: tuple[str, ...] = ()
    split: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    search_domains: tuple[str, ...] = ()
    extra_records: tuple[tuple[str, str, str], ...] = ()
    """Name, type (A or AAAA) and address of each."""

    @property
    def per_node(self) -> bool:
        """Return whether the configuration differs between nodes."""
        return any(server.startswith(_NEXTDNS) for server in self.nameservers)


def _covered(name: str, suffixes: list[str]) -> bool:
    return any(name == suffix or name.endswith("." + suffix) for suffix in suffixes)


def dns_config(
    settings: DnsSettings, more: Sequence[tuple[str, str, str]] = (), resolvers: tuple[str, ...] | None = None
) -> bytes:
    """Return the `DNSConfig` as JSON. `more` adds extra records; `resolvers` replaces the configured global ones."""
    servers = [{"Addr": server} for server in (settings.nameservers if resolvers is None else resolvers)]
    config: dict[str, Any] = {}
    if servers:
        config["Resolvers" if settings.override_local_dns else "FallbackResolvers"] = servers
    routes: dict[str, list[dict[str, str]]] = {
        suffix.strip("."): [{"Addr": server} for server in addresses] for suffix, addresses in settings.split.items()
    }
    base = settings.base_domain.strip(".")
    served = [base] if base and settings.magic_dns else []
    records = []
    for name, kind, value in (*settings.extra_records, *more):
        plain = name.strip(".").lower()
        records.append({"Name": plain, "Type": kind, "Value": value})
        if not _covered(plain, [*served, *routes]):
            routes[plain] = []
    if routes:
        config["Routes"] = routes
    domains = [base] if base else []
    domains += [domain.strip(".") for domain in settings.search_domains if domain.strip(".") not in domains]
    if domains:
        config["Domains"] = domains
    if settings.magic_dns:
        config["Proxied"] = True
    if records:
        config["ExtraRecords"] = records
    return orjson.dumps(config)


def nextdns_resolvers(settings: DnsSettings, own_caps: bytes, node: NodeRecord) -> tuple[str, ...]:
    """Return a node's global resolvers: NextDNS is sent the device, and a `nextdns:` attribute selects the profile."""
    names = list(orjson.loads(own_caps))
    profile = next((name.removeprefix("nextdns:") for name in names if _is_profile(name)), "")
    query = "" if "nextdns:no-device-info" in names else "?" + urlencode(_device(node))
    out = []
    for server in settings.nameservers:
        if not server.startswith(_NEXTDNS):
            out.append(server)
            continue
        out.append((f"{_NEXTDNS}/{profile}" if profile else server.partition("?")[0]) + query)
    return tuple(out)


def _is_profile(name: str) -> bool:
    return name.startswith("nextdns:") and name != "nextdns:no-device-info"


def _device(node: NodeRecord) -> dict[str, str]:
    system = dict(node.attributes).get("node:os", "")
    device = {"device_name": node.given_name, "device_model": system, "device_ip": node.ipv4 or node.ipv6}
    return {name: value for name, value in device.items() if value}
