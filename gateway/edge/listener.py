"""The HTTP/1.1 listener of uvicorn that hands `/ts2021` over to a tunnel."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.edge.tunnel import Tunnels


def listener_class(tunnels: Tunnels) -> type[HttpToolsProtocol]:
    """The class for `uvicorn.Config(http=…, loop="uvloop")`; everything but `/ts2021` goes to the ASGI application."""
    raise NotImplementedError
