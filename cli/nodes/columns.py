"""The columns of `nodes list`: Headscale's own, and those that say what a client is and how it is connected."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cli.frame.errors import CommandError
from cli.frame.output import when


class Column(NamedTuple):
    """One column; `cell` takes the node and, where `described`, what its client says of itself."""

    head: str
    cell: Callable[[Any, Any], str]
    described: bool = False


def chosen(names: Sequence[str], wide: bool) -> list[Column]:
    """The columns to show.

    Raises:
        CommandError: there is none of a name.
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


def _system(said: Any) -> str:
    if said is None:
        return "-"
    return " ".join(filter(None, (said.os, said.distribution or said.os_version))) or "-"


def _connectivity(said: Any) -> str:
    """How peers reach it: its relay, its direct endpoints, and what stands in the way."""
    if said is None:
        return "-"
    parts = [f"derp {said.home_derp}"] if said.home_derp else []
    if said.endpoints:
        parts.append(f"{len(said.endpoints)} endpoint{'s' if len(said.endpoints) > 1 else ''}")
    network = said.network
    if network.HasField("udp") and not network.udp:
        parts.append("no udp")
    if network.ipv6:
        parts.append("ipv6")
    if network.varying_mappings:
        parts.append("hard nat")
    parts.extend(network.port_mapping)
    return ", ".join(parts) or "-"


_MACHINE_KEY = Column("MachineKey", lambda node, _: _short(node.machine_key))
_NODE_KEY = Column("NodeKey", lambda node, _: _short(node.node_key))
_TAGS = Column("Tags", lambda node, _: ",".join(node.tags))
_EPHEMERAL = Column("Ephemeral", lambda node, _: "true" if node.pre_auth_key.ephemeral else "false")
_EXPIRATION = Column("Expiration", lambda node, _: when(node.expiry, absent="never"))
_HOSTNAME = Column("Hostname", lambda node, _: node.name)
_LAST_SEEN = Column("Last seen", lambda node, _: when(node.last_seen))

USUAL = (
    Column("ID", lambda node, _: str(node.id)),
    _HOSTNAME,
    Column("Name", lambda node, _: node.given_name),
    _MACHINE_KEY,
    _NODE_KEY,
    Column("User", lambda node, _: node.user.name),
    _TAGS,
    Column("IP addresses", lambda node, _: ", ".join(node.ip_addresses)),
    _EPHEMERAL,
    _LAST_SEEN,
    _EXPIRATION,
    Column("Connected", lambda node, _: "online" if node.online else "offline"),
    Column("Expired", lambda node, _: _expired(node)),
)
"""Those of Headscale, in its order."""

WIDE = (
    Column("Version", lambda _, said: (said and said.client_version.partition("-")[0]) or "-", described=True),
    Column("System", lambda _, said: _system(said), described=True),
    Column("Connectivity", lambda _, said: _connectivity(said), described=True),
)
"""What else is known."""

SPARE = (_MACHINE_KEY, _NODE_KEY, _EPHEMERAL, _HOSTNAME, _EXPIRATION, _TAGS, _LAST_SEEN)
"""Left out first where the terminal is narrow."""
