"""How one of our processes lives: what it is handed, how it starts alone, how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import grpc.aio

from services.shared.bus import Bus
from services.shared.clock import Clock
from services.shared.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Deps:
    """What every service is handed by whoever starts it."""

    clock: Clock
    bus: Bus
    channels: Mapping[str, grpc.aio.Channel]
    """By service name: "registry", "policy", "auth", "map_streamer"."""
    telemetry: Telemetry = field(default_factory=Telemetry)


class Service(Protocol):
    """One of our services, the same object embedded and alone."""

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register its servicers."""
        ...

    async def start(self) -> None:
        """Begin its background work; returns when ready to answer."""
        ...

    async def stop(self) -> None:
        """End its work and give back what it holds; safe to call once after any start."""
        ...
