"""Ports of this machine that nobody has now; whoever takes one does it at once."""

from __future__ import annotations

import socket
from contextlib import suppress


def free_ports(count: int) -> list[int]:
    """So many, no two alike."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for made in sockets:
            made.bind(("127.0.0.1", 0))
        return [int(made.getsockname()[1]) for made in sockets]
    finally:
        for made in sockets:
            made.close()


def free_port() -> int:
    """One."""
    (port,) = free_ports(1)
    return port


def free_pair() -> list[int]:
    """One whose next one is free too."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            with suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return [port, port + 1]
