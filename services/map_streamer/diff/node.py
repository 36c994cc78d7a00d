"""Compares two records of one node: nothing to send, a patch of some fields, or the whole node.

Client behaviour that forces the rules (protocol.md 4.6; `tailcfg.PeerChange`, `control/controlclient/map.go`):
a patch cannot clear a home DERP region, a disco key or an expiry; a whole node whose home region went away, and
nothing else, changes nothing in the client.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

from services.map_streamer.snapshot import NodeRecord
from services.map_streamer.snapshot.records import ZERO_KEY


class Patch(msgspec.Struct, frozen=True):
    """The changed fields of a node that a `PeerChange` can carry."""

    fields: frozenset[str]


class _Whole(Enum):
    WHOLE = "whole"


WHOLE: Final = _Whole.WHOLE
"""The node must be sent whole."""

Change = Patch | _Whole

_SHOWN = (
    "stable_id",
    "machine_key",
    "user_id",
    "tags",
    "given_name",
    "ipv4",
    "ipv6",
    "hostinfo",
    "created",
    "expired",
)
"""Fields that clients are sent but no patch can carry. Routes and capabilities are compared by visibility instead."""

_STUN = (2, 4)
"""Endpoint types that STUN found (`tailcfg.EndpointSTUN`, `EndpointSTUN4LocalPort`)."""


def _fixed(node: NodeRecord) -> frozenset[str]:
    """Return the endpoints that STUN did not find."""
    types = node.endpoint_types
    return frozenset(
        endpoint for number, endpoint in enumerate(node.endpoints) if number >= len(types) or types[number] not in _STUN
    )


def endpoints_worth_sending(old: NodeRecord, new: NodeRecord) -> bool:
    """Return whether changed endpoints are worth a message to all peers.

    A moved NAT mapping (STUN) is not: the next disco `CallMeMaybe` carries it to the peers that need it. Gaining the
    first or losing the last STUN endpoint is, because it decides whether peers try a direct path.
    """
    if old.endpoints == new.endpoints:
        return False
    fixed_old, fixed_new = _fixed(old), _fixed(new)
    if fixed_old != fixed_new:
        return True
    return (len(old.endpoints) > len(fixed_old)) != (len(new.endpoints) > len(fixed_new))


def compare(old: NodeRecord, new: NodeRecord) -> Change | None:  # noqa: C901  (one test per field)
    """Compare two records. Returns the change to send to peers that have the old one, or None."""
    if any(getattr(old, name) != getattr(new, name) for name in _SHOWN):
        return WHOLE
    if new.expiry is None and old.expiry is not None:
        return WHOLE
    fields = set()
    if old.node_key != new.node_key:
        fields.add("node_key")
    if old.expiry != new.expiry:
        fields.add("expiry")
    if old.cap_version != new.cap_version and new.cap_version:
        fields.add("cap_version")
    if old.home_derp != new.home_derp and new.home_derp:
        fields.add("home_derp")
    if old.online != new.online:
        fields.add("online")
    if not new.online and old.last_seen != new.last_seen and new.last_seen is not None:
        fields.add("last_seen")
    if not new.expired:
        if endpoints_worth_sending(old, new):
            fields.add("endpoints")
        if old.disco_key != new.disco_key:
            if new.disco_key == ZERO_KEY:
                return WHOLE
            fields.add("disco_key")
    return Patch(frozenset(fields)) if fields else None


def concerns_self(change: Change | None) -> bool:
    """Return whether to send the node its own record: it knows its own endpoints, keys and presence."""
    return change is WHOLE or (isinstance(change, Patch) and "expiry" in change.fields)
