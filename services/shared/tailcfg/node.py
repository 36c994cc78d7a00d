"""The node of a map response (`tailcfg.Node`), typed, and its only encoder. `map_streamer.render` chooses the values.

For each field: what absent, null and empty mean to a client, and since which capability version where that differs
among clients from 113 (v1.80) on. An absent member keeps Go's zero value, since a client decodes each node into a new
one; only `PeerChange` is a delta. Unless stated otherwise null equals absent. tailscale-rs has no defaults for most
members and fails on null, so required members are always sent, and no member is ever sent as null.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NotRequired, TypedDict

import orjson

_OPTIONS = orjson.OPT_UTC_Z


class MapNode(TypedDict):
    """A node as its own client or a peer is sent it."""

    ID: int
    """Positive and stable: absent or 0 makes clients confuse nodes. Deltas name a node by it."""
    StableID: str
    """Identifies a node in exit-node selection and SSH principals; empty: it can be selected in neither."""
    Name: str
    """Fully qualified, with a trailing dot. All after the first label of the own node is the MagicDNS suffix."""
    User: int
    """Owner, who must be in UserProfiles; for a tagged node the user "tagged-devices". 0: shown without an owner."""
    Key: str
    """`nodekey:` and 64 hex digits. All zero: no WireGuard peer."""
    Machine: str
    """`mkey:`; may be zero for peers, never absent for tailscale-rs."""
    DiscoKey: str
    """`discokey:`. Zero: the peer does not speak disco, so only the relay and plain endpoints reach it."""
    Addresses: Sequence[str]
    """/32 and /128, IPv4 first, since tailscale-rs reads them by position. Empty: a client waits for an address."""
    AllowedIPs: Sequence[str]
    """Addresses, and routes that the viewer may use. Absent or null: Addresses, but nothing for clients below 112;
    empty: nothing."""
    Hostinfo: orjson.Fragment | dict[str, object]
    """The node's own description; empty: no operating system, services or routes are shown. tailscale-rs needs it."""
    Created: datetime | str
    """Absent is year 1; tailscale-rs needs it."""
    MachineAuthorized: bool
    """Of the own node. Absent or false: it waits for approval. Clients ignore it for peers."""
    KeyExpiry: NotRequired[datetime | str]
    """Absent: never. In the past for the own node: it logs out; for a peer: it is shown as expired."""
    Expired: NotRequired[bool]
    """Absent: the client judges by KeyExpiry and its own clock. May only become true."""
    Endpoints: NotRequired[Sequence[str]]
    """`ip:port`. Absent or empty: none are known, so the peer is reached over the relay until disco finds some."""
    HomeDERP: NotRequired[int]
    """Region of its home relay, read since 111. Absent or 0: unknown, and the peer cannot be reached over a relay."""
    DERP: NotRequired[str]
    """`127.3.3.40:REGION`, the same for clients below 111; newer ones ignore it beside HomeDERP."""
    Cap: NotRequired[int]
    """The node's own capability version, not the viewer's. Absent: 0, as of the oldest clients; from 26 on a peer is
    taken to proxy DNS as an exit node."""
    Tags: NotRequired[Sequence[str]]
    """Absent or empty: the node belongs to its user."""
    PrimaryRoutes: NotRequired[Sequence[str]]
    """Subnet routes that it serves now, for display and health; traffic follows AllowedIPs. Absent: none."""
    CapMap: NotRequired[orjson.Fragment]
    """Capabilities with their values; a value of null or [] is a flag. Absent: none."""
    Online: NotRequired[bool]
    """Absent: unknown, and a client does not notice a later change to true. Always sent therefore."""
    LastSeen: NotRequired[datetime]
    """When it went offline. Absent: never seen, or online."""


def encode_node(node: MapNode) -> bytes:
    """Encode a node as JSON; times in UTC with `Z`."""
    return orjson.dumps(node, option=_OPTIONS)
