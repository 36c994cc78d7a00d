"""The registry's settings, reduced from the configuration by `wiring`: prefixes, lifetimes, graces, log retention."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from services.registry.model.address import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """Settings of one tailnet."""

    v4: Pool | None
    v6: Pool | None
    random_addresses: bool = False
    base_domain: str = ""
    node_expiry: timedelta = timedelta(0)
    """Default lifetime of an admitted key; zero: it never expires."""
    ephemeral_timeout: timedelta = timedelta(seconds=120)
    grace: timedelta = timedelta(seconds=10)
    """Time during which a node without a session still counts as online."""
    router_grace: timedelta = timedelta(seconds=2)
    """The same for a node with routes that another node can take over: enough for a client that only reconnects."""
    takeback: timedelta | None = None
    """Time for which an older router must be healthy to take a route back; None: it never does."""
    gateway_lapse: timedelta = timedelta(seconds=45)
    """Time without a beat after which a gateway's sessions are removed."""
    relay_lapse: timedelta = timedelta(hours=1)
    """Time without an announcement after which a relay is removed from the DERP map."""
    address_quarantine: timedelta = timedelta(minutes=10)
    """Time for which an address that became free is not given to another node."""
    departure_age: timedelta = timedelta(days=30)
    """Time for which a device that joins again gets back the addresses that it had, if they are still free."""
    departures_at_most: int = 10_000
    """Number of departures kept; the oldest are dropped first, and their addresses are free."""
    log_keep: int = 10_000
    """Number of records kept whatever their age."""
    log_age: timedelta = timedelta(hours=1)
    """Age up to which further records are kept, at most `log_at_most`."""
    log_at_most: int = 100_000
