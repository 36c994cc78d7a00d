"""Renders the `DNSConfig` from the DNS configuration in force, extra records and, for NextDNS, a node's caps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson

from services.map_streamer.snapshot import NodeRecord
from services.shared.tailnet_settings import DnsParts, Resolver, Resolvers

_NEXTDNS = "https://dns.nextdns.io"


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """What clients are sent about DNS: parts that administrators may replace, and those of the configuration alone."""

    parts: DnsParts = field(default_factory=DnsParts)
    base_domain: str = ""
    extra_records: tuple[tuple[str, str, str], ...] = ()
    """Name, type (A or AAAA) and address of each."""

    @property
    def per_node(self) -> bool:
        """Return whether the configuration differs between nodes."""
        return any(server.address.startswith(_NEXTDNS) for server in self.parts.nameservers)


def _covered(name: str, suffixes: list[str]) -> bool:
    return any(name == suffix or name.endswith("." + suffix) for suffix in suffixes)


def dns_config(
    settings: DnsSettings, more: Sequence[tuple[str, str, str]] = (), resolvers: Resolvers | None = None
) -> bytes:
    """Return the `DNSConfig` as JSON. `more` adds extra records; `resolvers` replaces the configured global ones."""
    parts = settings.parts
    servers = list(map(_resolver, parts.nameservers if resolvers is None else resolvers))
    config: dict[str, Any] = {}
    if servers:
        config["Resolvers" if parts.override_local_dns else "FallbackResolvers"] = servers
    routes: dict[str, list[dict[str, Any]]] = {
        suffix.strip("."): list(map(_resolver, addresses)) for suffix, addresses in parts.split.items()
    }
    base = settings.base_domain.strip(".")
    served = [base] if base and parts.magic_dns else []
    records = []
    for name, kind, value in (*settings.extra_records, *more):
        plain = name.strip(".").lower()
        records.append({"Name": plain, "Type": kind, "Value": value})
        if not _covered(plain, [*served, *routes]):
            routes[plain] = []
    if routes:
        config["Routes"] = routes
    domains = [base] if base else []
    domains += [domain.strip(".") for domain in parts.search_paths if domain.strip(".") not in domains]
    if domains:
        config["Domains"] = domains
    if parts.magic_dns:
        config["Proxied"] = True
    if records:
        config["ExtraRecords"] = records
    return orjson.dumps(config)


def nextdns_resolvers(settings: DnsSettings, own_caps: bytes, node: NodeRecord) -> Resolvers:
    """Return a node's global resolvers: NextDNS is sent the device, and a `nextdns:` attribute selects the profile."""
    names = list(orjson.loads(own_caps))
    profile = next((name.removeprefix("nextdns:") for name in names if _is_profile(name)), "")
    query = "" if "nextdns:no-device-info" in names else "?" + urlencode(_device(node))
    out = []
    for server in settings.parts.nameservers:
        address = server.address
        if address.startswith(_NEXTDNS):
            address = (f"{_NEXTDNS}/{profile}" if profile else address.partition("?")[0]) + query
        out.append(Resolver(address, server.use_with_exit_node))
    return tuple(out)


def _resolver(server: Resolver) -> dict[str, Any]:
    """Return a `dnstype.Resolver`; clients since capability version 125 know `UseWithExitNode`, others ignore it."""
    return {"Addr": server.address, "UseWithExitNode": True} if server.use_with_exit_node else {"Addr": server.address}


def _is_profile(name: str) -> bool:
    return name.startswith("nextdns:") and name != "nextdns:no-device-info"


def _device(node: NodeRecord) -> dict[str, str]:
    system = dict(node.attributes).get("node:os", "")
    device = {"device_name": node.given_name, "device_model": system, "device_ip": node.ipv4 or node.ipv6}
    return {name: value for name, value in device.items() if value}
