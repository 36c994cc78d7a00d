"""What a client asks for with POST /machine/register, and what follows from what is known: the state table, pure.

Order matters and is the clients' (`control/controlclient/direct.go`): whose key it is, then logout, then a known node,
then the auth key, then a person.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.auth.model.device import DeviceDescription
from services.auth.model.errors import NotPermittedError, RefusedError
from services.auth.model.node import FoundNodes, KnownNode
from services.shared.keys import MachineKey, NodeKey


@dataclass(frozen=True, slots=True)
class RegistrationRequest:
    """One request to join, checked for form."""

    machine_key: MachineKey
    node_key: NodeKey
    old_node_key: NodeKey
    version: int
    unverified_auth_key: str = field(repr=False)
    """Empty: none."""
    expiry: datetime | None
    """None: no wish."""
    hostinfo: bytes = field(repr=False)
    device: DeviceDescription
    ephemeral: bool
    remote_address: str


@dataclass(frozen=True, slots=True)
class LogOutNode:
    """End this node's key, if there is one."""

    node: KnownNode | None


@dataclass(frozen=True, slots=True)
class AlreadyRegistered:
    """It is in already; its auth key, if any, need not be looked at, but may turn it into a tagged node."""

    node: KnownNode


@dataclass(frozen=True, slots=True)
class ReduceExpiry:
    """End this node's key sooner."""

    node: KnownNode
    expiry: datetime


@dataclass(frozen=True, slots=True)
class ExtensionRefused:
    """A client may only shorten the life of its key."""


@dataclass(frozen=True, slots=True)
class RedeemAuthKey:
    """Let it in by its auth key; a known node is one whose key has expired."""

    expired: KnownNode | None


@dataclass(frozen=True, slots=True)
class NewNodeKeyRequired:
    """The client must come back with another node key. Only ever said of a key that we knew."""


@dataclass(frozen=True, slots=True)
class LoginRequired:
    """A person must sign in or approve."""


Decision = (
    LogOutNode
    | AlreadyRegistered
    | ReduceExpiry
    | ExtensionRefused
    | RedeemAuthKey
    | NewNodeKeyRequired
    | LoginRequired
)


def decide(registration: RegistrationRequest, found: FoundNodes, now: datetime) -> Decision:
    """Say what follows.

    Raises:
        NotPermittedError: the node key is another machine's.
        RefusedError: it asks for tags that are none.
    """
    node = found.by_node_key
    if node is not None and node.machine_key != registration.machine_key:
        raise NotPermittedError("node key belongs to another machine")
    requested = registration.expiry
    if requested is not None and requested <= now:
        return LogOutNode(node)
    if registration.device.tag_problem:
        raise RefusedError(registration.device.tag_problem)
    if node is not None and not node.is_expired(now):
        return _decide_registered(node, requested)
    if registration.unverified_auth_key:
        return RedeemAuthKey(node)
    return LoginRequired() if node is None else NewNodeKeyRequired()


def _decide_registered(node: KnownNode, requested: datetime | None) -> Decision:
    if requested is None or node.tags or requested == node.expiry:
        return AlreadyRegistered(node)  # a tagged node's key never ends
    if node.expiry is not None and requested > node.expiry:
        return ExtensionRefused()
    return ReduceExpiry(node, requested)


def first_expiry(requested: datetime | None, lifetime: timedelta, now: datetime) -> datetime | None:
    """When a new node's key ends by the client's wish; None leaves it to the default, because a wish only shortens."""
    if requested is None or requested <= now:
        return None
    if lifetime and requested >= now + lifetime:
        return None
    return requested
