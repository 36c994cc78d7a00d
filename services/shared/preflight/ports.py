"""Checks that an address can be listened on, by binding it briefly; else returns the reason."""

from __future__ import annotations

import errno
import os
import socket

from services.shared.preflight.occupant import occupant

_LOCAL = "write an IP address of this machine, or :PORT for all"
_ALL_HOSTS = ("", "0.0.0.0", "[::]")  # noqa: S104  compared, not bound


def unbindable(address: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> tuple[str, str] | None:
    """Why `host:port` cannot be listened on, and the remedy; None where it can."""
    host, _, port = address.rpartition(":")
    try:
        family, _, _, _, where = socket.getaddrinfo(
            host.strip("[]") or None, int(port), type=kind, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        return (
            f"{address} does not resolve to an address of this machine",
            _LOCAL,
        )
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
            if kind == socket.SOCK_STREAM:
                probe.listen(1)
        except OSError as error:
            return describe(address, kind, error)
    return None


def overlaps(one: str, other: str) -> bool:
    """Return whether two addresses cannot be listened on at once: the same port, of the same host or of all."""
    (host, _, port), (other_host, _, other_port) = one.rpartition(":"), other.rpartition(":")
    if port != other_port or port == "0":
        return False
    return host == other_host or not {host, other_host}.isdisjoint(_ALL_HOSTS)


def describe(address: str, kind: socket.SocketKind, error: OSError) -> tuple[str, str]:
    """Return why an address cannot be bound, and the remedy."""
    match error.errno:
        case errno.EADDRINUSE:
            return _taken(address, kind)
        case errno.EACCES | errno.EPERM:
            what = f"{address}: uid {os.geteuid()} may not listen on ports below 1024"
            return what, "give the process CAP_NET_BIND_SERVICE, or choose a higher port"
        case errno.EADDRNOTAVAIL:
            return (
                f"{address} is not an address of this machine",
                _LOCAL,
            )
    return f"{address} cannot be listened on: {(error.strerror or str(error)).lower()}", "choose another address"


def _taken(address: str, kind: socket.SocketKind) -> tuple[str, str]:
    """Return by which program an address is in use, and how to end that."""
    port = address.rpartition(":")[2]
    found = occupant(int(port), kind)
    if found is not None:
        what = f"{address} is in use by {found.name} (process {found.process})"
        return what, f"end it (kill {found.process}), or choose another port"
    flag = "t" if kind == socket.SOCK_STREAM else "u"
    what = f"{address} is in use by another program"
    return what, f"end that program (as root, `ss -ln{flag}p 'sport = :{port}'` shows it), or choose another port"
