"""Handover of accepted connections inside one process: the gateway's listener to the relay, or to its forwarder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

Adopt = Callable[[asyncio.Transport, tuple[str, int], bytes], bool]
"""Take over a connection: its transport, the peer's address and port, and all bytes read so far, from the request
line on. Returns False at the limit of connections; then the caller keeps it."""


class Handovers:
    """The handover functions of the services in this process; unset where each has its own process."""

    __slots__ = ("relay", "together")

    def __init__(self, *, together: bool = False) -> None:
        self.together = together
        """`together` is whether all services run in this process."""
        self.relay: Adopt | None = None
        """Takes connections that request `/derp` or another path of the relay."""
