"""Selection of the bus by configuration; the only module that knows both implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.shared.bus.port import Bus

if TYPE_CHECKING:
    from services.shared.telemetry.setup import Telemetry


async def connect_bus(url: str, telemetry: Telemetry | None = None, token: str = "") -> Bus:
    """Return the bus for a Redis URL, or the bus in memory where `url` is empty. It connects when first used.

    Its records are signed with a key derived from the deployment token.
    """
    if not url:
        from services.shared.bus.memory import MemoryBus

        return MemoryBus()
    from services.shared.bus.redis import RedisBus

    return RedisBus(url, telemetry, token=token)
