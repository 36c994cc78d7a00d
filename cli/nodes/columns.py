"""The columns of `nodes list`: Headscale's own, and those that describe a client and its connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cli.frame.errors import CommandError
from cli.frame.output import when


class Row(NamedTuple):
    """A node, what its client reports of itself (None: not asked for), and whether its user is suspended."""

    node: Any
    client: Any
    suspended: bool


class Column(NamedTuple):
    """A column; `described` ones need what the client reports of itself."""

    head: str
    cell: Callable[[Row], str]
    described: bool = False


def chosen(names: Sequence[str], wide: bool) -> list[Column]:
    """Return the columns to show; none named: the usual ones, and with `wide` all.

    Raises:
        CommandError: a name is no column.
    """
    if not names:
        return [*USUAL, *WIDE] if wide else list(USUAL)
    known = {_plain(column.head): column for column in (*USUAL, *WIDE)}
    for name in names:
        if _plain(name) not in known:
            heads = ", ".join(column.head for column in known.values())
            raise CommandError(f"no such column: {name!r}", f"there are: {heads}", status=2)
    return [known[_plain(name)] for name in names]


def _plain(name: str) -> str:
    return name.lower().replace(" ", "").replace("_", "").replace("-", "")


def _short(key: str) -> str:
    prefix, _, digits = key.partition(":")
    return f"[{digits[:5]}]" if prefix else key


def _expired(node: Any) -> str:
    return "yes" if node.HasField("expiry") and node.expiry.seconds <= time.time() else "no"


def _version(client: Any) -> str:
    return (client and client.client_version.partition("-")[0]) or "-"


def _system(client: Any) -> str:
    if client is None:
        return "-"
    return " ".join(filter(None, (client.os, client.distribution or client.os_version))) or "-"


def _connectivity(client: Any) -> str:
    """Return how peers reach a node: its relay, its direct endpoints, and what hinders them."""
    if client is None:
        return "-"
    parts = [f"derp {client.home_derp}"] if client.home_derp else []
    if client.endpoints:
        parts.append(f"{len(client.endpoints)} endpoint{'s' if len(client.endpoints) > 1 else ''}")
    network = client.network
    if network.HasField("udp") and not network.udp:
        parts.append("no udp")
    if network.ipv6:
        parts.append("ipv6")
    if network.varying_mappings:
        parts.append("hard nat")
    parts.extend(network.port_mapping)
    return ", ".join(parts) or "-"


_MACHINE_KEY = Column("MachineKey", lambda row: _short(row.node.machine_key))
_NODE_KEY = Column("NodeKey", lambda row: _short(row.node.node_key))
_TAGS = Column("Tags", lambda row: ",".join(row.node.tags))
_EPHEMERAL = Column("Ephemeral", lambda row: "true" if row.node.pre_auth_key.ephemeral else "false")
_EXPIRATION = Column("Expiration", lambda row: when(row.node.expiry, absent="never"))
_HOSTNAME = Column("Hostname", lambda row: row.node.name)
_LAST_SEEN = Column("Last seen", lambda row: when(row.node.last_seen))

_EXPIRED = Column("Expired", lambda row: _expired(row.node))

USUAL = (
    Column("ID", lambda row: str(row.node.id)),
    _HOSTNAME,
    Column("Name", lambda row: row.node.given_name),
    _MACHINE_KEY,
    _NODE_KEY,
    Column("User", lambda row: row.node.user.name + (" (suspended)" if row.suspended else "")),
    _TAGS,
    Column("IP addresses", lambda row: ", ".join(row.node.ip_addresses)),
    _EPHEMERAL,
    _LAST_SEEN,
    _EXPIRATION,
    Column("Connected", lambda row: "online" if row.node.online else "offline"),
    _EXPIRED,
)
"""The columns of Headscale, in its order."""

WIDE = (
    Column("Version", lambda row: _version(row.client), described=True),
    Column("System", lambda row: _system(row.client), described=True),
    Column("Connectivity", lambda row: _connectivity(row.client), described=True),
)
"""Columns shown with `--wide`, of what clients report."""

SPARE = (_MACHINE_KEY, _NODE_KEY, _EPHEMERAL, _HOSTNAME, _EXPIRATION, _TAGS, _LAST_SEEN, _EXPIRED)
"""Dropped first where the terminal is narrow."""
