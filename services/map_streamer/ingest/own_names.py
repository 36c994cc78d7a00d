"""Resolves the server's own names below the base domain, for `sources` to add them to the extra DNS records.

Clients answer every name of that domain themselves and know only nodes and extra records there (net/dns/resolver in the
client's source: `resolveLocal` answers NXDOMAIN for the rest). So clients could not find the server unless its
addresses are among the extra records. They are looked up periodically; while a lookup fails, the last ones stay.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from services.shared.config.model import Config
from services.shared.telemetry import get_logger

log = get_logger(__name__)

Record = tuple[str, str, str]
"""Name, type, address."""

LOOKUP_INTERVAL = 60.0
"""Seconds between lookups."""
LOOKUP_TIMEOUT = 5.0


def own_names(config: Config) -> tuple[str, ...]:
    """Return the names of gateway and relay that clients could not resolve without an extra record."""
    base = config.dns.base_domain.strip(".").lower()
    if not base or not config.dns.magic_dns:
        return ()
    hosts = [urlsplit(config.server_url).hostname or ""]
    if config.derp.server.enabled:
        hosts.append(config.derp.server.hostname)
    names = dict.fromkeys(host.strip(".").lower() for host in hosts)
    configured = {record.name.strip(".").lower() for record in config.dns.extra_records}
    return tuple(name for name in names if name.endswith("." + base) and name not in configured)


async def look_up(names: Sequence[str]) -> tuple[Record, ...] | None:
    """Resolve all names. Returns None if one has no address now, or only loopback and link-local ones."""
    found: list[Record] = []
    for name in names:
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                answers = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except OSError as error:
            log.warning("own name not resolved, nodes cannot resolve it", name=name, error=type(error).__name__)
            return None
        texts = sorted({str(answer[4][0]).partition("%")[0] for answer in answers})
        addresses = [ip for ip in map(ipaddress.ip_address, texts) if not (ip.is_loopback or ip.is_link_local)]
        if not addresses:
            log.warning("own name has no address, nodes cannot resolve it", name=name)
            return None
        found += [(name, "A" if ip.version == 4 else "AAAA", str(ip)) for ip in addresses]
    return tuple(found)
