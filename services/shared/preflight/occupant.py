"""The process that listens on a port, found in /proc. Sees only what this user may see, and changes nothing."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TABLES = {socket.SOCK_STREAM: ("tcp", "tcp6"), socket.SOCK_DGRAM: ("udp", "udp6")}
_LISTEN = "0A"
"""TCP_LISTEN in `st` of /proc/net/tcp (proc(5)). A bound UDP socket has any state."""
_INIT = 1
"""It listens for services that it starts on demand, and must not be ended."""


@dataclass(frozen=True, slots=True)
class Occupant:
    """A process by name and number."""

    name: str
    process: int


def occupant(port: int, kind: socket.SocketKind) -> Occupant | None:
    """Return the process that listens on a port; None if there is none, or it belongs to another user."""
    inodes = {f"socket:[{inode}]" for table in _TABLES[kind] for inode in _listening(_PROC / "net" / table, port, kind)}
    if not inodes:
        return None
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and int(folder.name) > _INIT and _has_one_of(folder / "fd", inodes):
            with suppress(OSError):
                return Occupant(_name(folder), int(folder.name))
    return None


def _listening(table: Path, port: int, kind: socket.SocketKind) -> list[str]:
    """Return the inodes of the sockets of a port."""
    try:
        lines = table.read_text("ascii").splitlines()[1:]
    except OSError:  # not Linux, or no IPv6
        return []
    rows = (line.split() for line in lines)
    return [
        row[9]
        for row in rows
        if int(row[1].rpartition(":")[2], 16) == port and (kind == socket.SOCK_DGRAM or row[3] == _LISTEN)
    ]


def _has_one_of(folder: Path, wanted: set[str]) -> bool:
    with suppress(OSError):  # it has ended, or is another user's
        for name in os.listdir(folder):  # noqa: PTH208  the process may have many
            with suppress(OSError):
                if os.readlink(folder / name) in wanted:  # noqa: PTH115  no path, but a name of the kernel's
                    return True
    return False


def _name(folder: Path) -> str:
    """Return the name of a program, which may set it to anything."""
    name = (folder / "comm").read_text("utf-8", "replace").strip()
    return "".join(letter for letter in name if letter.isprintable()) or "a program"
