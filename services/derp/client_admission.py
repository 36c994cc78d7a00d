"""Admission of relay clients: the interface that `session` calls, implemented here and by `registry_client`."""

from __future__ import annotations

from typing import Protocol

from services.shared.keys import NodeKey


class RelayAdmission(Protocol):
    """Decides whether a client that proved its node key may use the relay."""

    async def allowed(self, node_key: NodeKey, source: str) -> bool:
        """Return whether the node key may use this relay; `source` is the client's address. Never raises."""
        ...


class OpenAdmission:
    """Admits every client: `derp.server.verify_clients: false`."""

    async def allowed(self, node_key: NodeKey, source: str) -> bool:
        """Return True."""
        return True
