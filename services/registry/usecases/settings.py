"""The rules that a deployment chooses, in the registry's own words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from services.registry.model.address import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """How this tailnet is run."""

    v4: Pool | None
    v6: Pool | None
    random_addresses: bool = False
    base_domain: str = ""
    node_expiry: timedelta = timedelta(0)
    """Default lifetime of an admitted key; zero: it never ends."""
    ephemeral_timeout: timedelta = timedelta(seconds=120)
    grace: timedelta = timedelta(seconds=10)
    """How long a node without a session still counts as online."""
    router_grace: timedelta = timedelta(seconds=2)
    """The same for a node whose routes another node can take over: enough for a client that only reconnects."""
    gateway_lapse: timedelta = timedelta(seconds=45)
    """A gateway that is not heard for so long has lost its sessions."""
    relay_lapse: timedelta = timedelta(hours=1)
    """Time without an announcement after which a relay is removed from the DERP map."""
    log_keep: int = 10_000
    """Records that are kept whatever their age."""
    log_age: timedelta = timedelta(hours=1)
    """Records that are younger are kept too, up to `log_at_most`."""
    log_at_most: int = 100_000
