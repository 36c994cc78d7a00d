"""A transport that stands on another one. Owns what it hands through unchanged; knows not what it does to the bytes."""

from __future__ import annotations

import asyncio
from typing import Any


class Upper(asyncio.Transport):
    """What a protocol sees of a connection that is changed on its way; after its end all of it is harmless."""

    __slots__ = ("_closing", "_protocol", "_socket")

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol: asyncio.BaseProtocol | None = protocol
        self._socket: asyncio.Transport | None = None
        self._closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the socket's transport says."""
        return self._socket.get_extra_info(name, default) if self._socket is not None else default

    def is_closing(self) -> bool:
        """Whether the end has begun."""
        return self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection over."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whose connection it is."""
        assert self._protocol is not None
        return self._protocol

    def is_reading(self) -> bool:
        """Whether bytes are taken from the socket."""
        return self._socket is not None and self._socket.is_reading()

    def pause_reading(self) -> None:
        """Take no bytes from the socket; what was taken has been handed on."""
        if not self._closing and self._socket is not None:
            self._socket.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again."""
        if not self._closing and self._socket is not None:
            self._socket.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When to call the protocol's `pause_writing` and `resume_writing`, in bytes on the wire."""
        if self._socket is not None:
            self._socket.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Those limits, low and high."""
        return self._socket.get_write_buffer_limits() if self._socket is not None else (0, 0)

    def get_write_buffer_size(self) -> int:
        """Bytes that wait for the socket."""
        return self._socket.get_write_buffer_size() if self._socket is not None else 0

    def can_write_eof(self) -> bool:
        """No: one direction alone cannot be ended."""
        return False
