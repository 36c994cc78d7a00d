"""The kernel's view of the other end of a TCP connection (Linux `TCP_INFO`), and its keep-alive. Decides nothing.

Offsets in `struct tcp_info` (Linux `include/uapi/linux/tcp.h`):

    24  4  tcpi_unacked         segments sent and not acknowledged
    56  4  tcpi_last_ack_recv   milliseconds since a segment was acknowledged
   140  4  tcpi_segs_in         segments received, Linux 4.2

A keep-alive probe of the other end advances only `tcpi_segs_in`: its sequence number is old, so the kernel answers and
drops it before it counts as an acknowledgement.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Protocol

_SIZE = 144
_UNACKED = struct.Struct("=24xI28xI")
_SEGMENTS = struct.Struct("=140xI")
_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)


class TcpSocket(Protocol):
    """The part of a socket that is used here."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        """Return a socket option."""
        ...

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        """Set a socket option."""
        ...


@dataclass(frozen=True, slots=True)
class TcpSigns:
    """One reading."""

    unacked: int
    """Segments that wait for an acknowledgement."""
    since_ack: float
    """Seconds since the other end last acknowledged data."""
    segments: int
    """Segments received so far, keep-alive probes included."""


def read_tcp_signs(sock: TcpSocket | None) -> TcpSigns | None:
    """Read the state of a connection. Returns None where the system does not offer it or the socket has closed."""
    if sock is None or _TCP_INFO is None:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _SIZE)
    except (OSError, ValueError):
        return None
    if len(info) < _SIZE:
        return None
    unacked, since_ack = _UNACKED.unpack_from(info)
    (segments,) = _SEGMENTS.unpack_from(info)
    return TcpSigns(unacked, since_ack / 1000, segments)


def enable_keepalive(sock: TcpSocket, idle: int, interval: int, count: int) -> bool:
    """Have the kernel probe the other end after `idle` seconds of silence, and end the connection after `count` misses.

    Returns False where the system does not offer it or the socket has closed.
    """
    options = (
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", None), idle),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", None), interval),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", None), count),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    )
    try:
        for level, option, value in options:
            if option is None:
                return False
            sock.setsockopt(level, option, value)
    except (OSError, ValueError):
        return False
    return True
