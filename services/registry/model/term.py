"""Terms of primary routers: routes that a node serves since one election. Knows neither nodes nor candidates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from services.shared.ids import NodeId

NO_NODE = NodeId(0)


class ElectionReason(IntEnum):
    """Why a router became the primary of routes; the numbers are those of `smartscale.types.v1.ElectionReason`."""

    UNKNOWN = 0
    FIRST = 1
    OFFLINE = 2
    KEY_EXPIRED = 3
    SUSPENDED = 4
    WITHDRAWN = 5
    DELETED = 6
    TAKEBACK = 7
    PREFERRED = 8
    IMPORTED = 9
    STANDING_IN = 10

    @property
    def label(self) -> str:
        """The name in logs and metrics."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class PrimaryTerm:
    """Routes of which a node has been the primary router since one election."""

    since: datetime
    reason: ElectionReason
    routes: tuple[str, ...]
    """Sorted; never empty."""
    former: NodeId = NO_NODE
    """The primary before; 0 for none. With `STANDING_IN` the imported one, which takes over when it connects."""
