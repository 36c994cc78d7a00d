"""One Noise + HTTP/2 connection as an asyncio protocol, and all of them together."""

from __future__ import annotations

from gateway.edge.settings import EdgeCounts, EdgeSettings
from gateway.exchange import Handler
from services.shared.keys import MachineKey, PrivateKey


class Tunnels:
    """All tunnels of this process: the control key, the handler, the limits and the graceful end."""

    def __init__(self, control_key: PrivateKey, handler: Handler, settings: EdgeSettings | None = None) -> None:
        raise NotImplementedError

    @property
    def control_key(self) -> MachineKey:
        """The public Noise key, as `/key` publishes it."""
        raise NotImplementedError

    @property
    def counts(self) -> EdgeCounts:
        """What was counted, for metrics."""
        raise NotImplementedError

    async def close(self, grace: float = 5.0) -> None:
        """Say GOAWAY to all, end their streams spread over `grace` seconds, then close."""
        raise NotImplementedError
