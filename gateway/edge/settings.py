"""The limits of the edge as one value, and what it counts. Owns no behaviour."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.proxies import Network


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """Bounds on what clients may cost us; each has a default that suits one process.

    Zero means "no limit" for `max_connections_per_address` only: behind a reverse proxy all come from one address.
    """

    minimum_capability_version: int = 113
    send_early_payload: bool = True
    head_deadline: float = 10.0
    """Seconds for a request (head and body) on a plain connection, and for the first record of a tunnel."""
    check_interval: float = 60.0
    """Seconds between two looks at a tunnel: silent peers get a PING, and are dropped at the next look."""
    idle_timeout: float = 300.0
    """Seconds a tunnel without any request may stay."""
    max_connections: int = 20_000
    max_half_open: int = 4_096
    """Connections that proved nothing yet; when full the oldest of them gives way to the new one."""
    max_connections_per_address: int = 0
    handshakes_per_second: float = 1000.0
    """Handshakes that one address may ask for each second, ten times as many at once; zero: no limit."""
    reconnects_per_second: float = 2.0
    """Tunnels that one machine key may open each second, fifteen times as many at once; zero: no limit."""
    trusted_proxies: tuple[Network, ...] = ()
    """Who may say for whom it speaks."""
    max_body: int = 1 << 20
    high_water: int = 64 << 10


@dataclass(slots=True)
class EdgeCounts:
    """Counted since the start, except the first three, which are the numbers of now."""

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
