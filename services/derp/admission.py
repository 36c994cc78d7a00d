"""RelayAdmission of clients: the interface that a connection calls, and the implementation that admits everyone."""

from __future__ import annotations

from typing import Protocol

from services.shared.keys import NodeKey


class RelayAdmission(Protocol):
    """Decides whether a client that proved its node key may come in."""

    async def allowed(self, node_key: NodeKey, source: str) -> bool:
        """Whether the key may use this relay; `source` is the address it comes from. Never raises."""
        ...


class OpenAdmission:
    """Lets everyone in: `derp.server.verify_clients: false`."""

    async def allowed(self, node_key: NodeKey, source: str) -> bool:
        """Yes."""
        return True
