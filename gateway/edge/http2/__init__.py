"""The server side of HTTP/2, sans-IO: bytes in, events out, and buffers to send when asked.

Written for small requests, answers that are small or stay open for days, and thousands of idle connections. Follows
RFC 9113 in everything that a peer can observe; priorities are ignored.
"""

from gateway.edge.http2.connection import Connection
from gateway.edge.http2.errors import ErrorCode, ProtocolError
from gateway.edge.http2.events import Event, GoingAway, Pong, RequestReceived, RequestRefused, StreamReset
from gateway.edge.http2.limits import Limits

__all__ = [
    "Connection",
    "ErrorCode",
    "Event",
    "GoingAway",
    "Limits",
    "Pong",
    "ProtocolError",
    "RequestReceived",
    "RequestRefused",
    "StreamReset",
]
