"""Sockets that listen: for this process alone, or shared with others that listen on the same address."""

from __future__ import annotations

import socket

BACKLOG = 4096
"""Connections that may wait for accept: all clients come back at once after a restart."""


def listen(address: str, *, shared: bool = False) -> socket.socket:
    """Return a listening socket on `host:port`; no host means all addresses of both families.

    Among shared ones the kernel gives each connection to one of them, by a hash of its addresses and ports.

    Raises:
        OSError: the address is in use or not one.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not port.isdigit():
        raise OSError(f"listen_addr: {address!r} has no port")
    where = (host, int(port))
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(
            where, family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG, reuse_port=shared
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server(where, family=family, backlog=BACKLOG, reuse_port=shared)
