"""The bus between processes: Redis pub/sub."""

from __future__ import annotations

from services.shared.bus.memory import MemoryBus


class RedisBus(MemoryBus):
    """Being written."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
