"""Base class of a transport on top of another one: the methods that pass through. Does not transform bytes."""

from __future__ import annotations

import asyncio
from typing import Any


class StackedTransport(asyncio.Transport):
    """A transport on top of another; a subclass transforms the bytes. All methods are safe to call after close."""

    __slots__ = ("_closing", "_protocol", "_socket")

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol: asyncio.BaseProtocol | None = protocol
        self._socket: asyncio.Transport | None = None
        self._closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the value of the socket's transport."""
        return self._socket.get_extra_info(name, default) if self._socket is not None else default

    def is_closing(self) -> bool:
        """Return whether the transport is closing or closed."""
        return self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Set the protocol of the connection."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol of the connection."""
        assert self._protocol is not None
        return self._protocol

    def is_reading(self) -> bool:
        """Return whether the socket is being read."""
        return self._socket is not None and self._socket.is_reading()

    def pause_reading(self) -> None:
        """Stop reading from the socket; data already read has been passed on."""
        if not self._closing and self._socket is not None:
            self._socket.pause_reading()

    def resume_reading(self) -> None:
        """Read from the socket again."""
        if not self._closing and self._socket is not None:
            self._socket.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the limits of `pause_writing` and `resume_writing`, in bytes on the wire."""
        if self._socket is not None:
            self._socket.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high limit, in bytes."""
        return self._socket.get_write_buffer_limits() if self._socket is not None else (0, 0)

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes queued for the socket."""
        return self._socket.get_write_buffer_size() if self._socket is not None else 0

    def can_write_eof(self) -> bool:
        """Return False: half-closed connections are not supported."""
        return False
