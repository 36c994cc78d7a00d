"""The limits of the edge in the units that it computes with, and its counters. Owns no default and no behaviour.

Every value comes from `GatewayConfig`, which alone knows the defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.proxies import Network
from services.shared.config.processes import GatewayConfig


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """`GatewayConfig` as the edge reads it: durations in seconds."""

    head_deadline: float
    """Seconds for a request (head and body) on a plain connection, and for the first record of a tunnel."""
    check_interval: float
    """Seconds between two checks of a tunnel; a silent peer gets a PING, and is dropped at the following check."""
    idle_timeout: float
    """Seconds a tunnel without any request may stay."""
    max_connections: int
    max_half_open: int
    """Connections that have not authenticated."""
    max_connections_per_address: int
    """Zero: no limit, because behind a reverse proxy all connections come from one address."""
    handshakes_per_second: float
    """Of one network; zero: no limit."""
    reconnects_per_second: float
    """Tunnels of one machine key; zero: no limit."""
    max_body: int
    high_water: int
    trusted_proxies: tuple[Network, ...]
    """Networks whose forwarding headers are believed."""

    @classmethod
    def of(cls, config: GatewayConfig, trusted_proxies: Sequence[Network] = ()) -> EdgeSettings:
        """Read the configuration section `gateway`."""
        return cls(
            head_deadline=config.handshake_timeout.total_seconds(),
            check_interval=config.check_interval.total_seconds(),
            idle_timeout=config.idle_timeout.total_seconds(),
            max_connections=config.max_connections,
            max_half_open=config.max_handshakes,
            max_connections_per_address=config.max_connections_per_address,
            handshakes_per_second=config.handshakes_per_second,
            reconnects_per_second=config.reconnects_per_second,
            max_body=config.max_request_body,
            high_water=config.high_water,
            trusted_proxies=tuple(trusted_proxies),
        )


@dataclass(slots=True)
class EdgeCounts:
    """Counters since the start; the first three are current numbers."""

    tunnels: int = 0
    half_open: int = 0
    connections: int = 0
    handshakes: int = 0
    handshakes_refused: int = 0
    tunnels_failed: int = 0
    peers_lost: int = 0
    requests: int = 0
    requests_refused: int = 0
    refused_full: int = 0
    refused_address: int = 0
    refused_address_rate: int = 0
    refused_machine_rate: int = 0
    half_open_dropped: int = 0
    upgrades_refused: int = 0
    tls_failed: int = 0
