"""How one service of a process takes over a connection that another one accepted. Knows no service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

Adopt = Callable[[asyncio.Transport, tuple[str, int], bytes], bool]
"""Take a connection over: its transport, the peer's address and port, and all bytes that were read, from the request
line on. False where there is no room; then it stays the caller's."""


class Handovers:
    """What services of this process take over, by name; empty where each runs in a process of its own."""

    __slots__ = ("relay", "together")

    def __init__(self, *, together: bool = False) -> None:
        self.together = together
        """Whether all services run in this process."""
        self.relay: Adopt | None = None
        """Connections for `/derp` and its neighbours."""
