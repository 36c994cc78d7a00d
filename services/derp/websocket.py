"""DERP inside WebSocket messages (RFC 6455): a byte stream in, a byte stream out. Knows no socket and no DERP frame.

Message boundaries have no meaning; no extension is negotiated, so nothing is compressed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsproto import events


class WebSocketError(Exception):
    """The peer closed or violated the WebSocket protocol; `reply` is to be sent before closing the connection."""

    def __init__(self, text: str, reply: bytes = b"") -> None:
        super().__init__(text)
        self.reply = reply


class MessageStream:
    """The server side of one WebSocket after its upgrade."""

    __slots__ = ("_connection", "pongs")

    def __init__(self) -> None:
        from wsproto.connection import Connection, ConnectionType  # late: only browsers relay over WebSocket

        self._connection = Connection(ConnectionType.SERVER)
        self.pongs = b""
        """Pongs for the pings of the last `receive`, to be sent if the connection is writable."""

    def receive(self, data: bytes) -> bytes:
        """Process received bytes and return the payload of the binary messages in them.

        Raises:
            WebSocketError: the connection must be closed.
        """
        from wsproto import events

        self.pongs = b""
        content = bytearray()
        self._connection.receive_data(data)
        for event in self._connection.events():
            match event:
                case events.BytesMessage():
                    content += event.data
                case events.Ping():
                    self.pongs += self._connection.send(event.response())
                case events.TextMessage():
                    reply = self._connection.send(events.CloseConnection(code=1003))
                    raise WebSocketError("a text message came where DERP frames were expected", reply)
                case events.CloseConnection():
                    raise WebSocketError("the websocket was closed", self._close_reply(event))
        return bytes(content)

    def _close_reply(self, event: events.CloseConnection) -> bytes:
        try:
            return self._connection.send(event.response())
        except Exception:  # wsproto refuses to answer close codes that may not travel
            return b""


def binary_message(data: bytes) -> bytes:
    """Return an unmasked binary message, as a server sends it."""
    size = len(data)
    if size < 126:
        return bytes((0x82, size)) + data
    if size < 1 << 16:
        return b"\x82\x7e" + size.to_bytes(2) + data
    return b"\x82\x7f" + size.to_bytes(8) + data
