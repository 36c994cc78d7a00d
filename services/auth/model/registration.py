"""Decides on a POST /machine/register from the client's request and the registry's nodes. Executes nothing.

The order is that of clients (`control/controlclient/direct.go`): the key's machine, then logout, then a known node,
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
    """A checked request to join."""

    machine_key: MachineKey
    node_key: NodeKey
    old_node_key: NodeKey
    version: int
    unverified_auth_key: str = field(repr=False)
    """Empty: none."""
    expiry: datetime | None
    """The expiry that the client requests; None: none."""
    hostinfo: bytes = field(repr=False)
    device: DeviceDescription
    ephemeral: bool
    remote_address: str


@dataclass(frozen=True, slots=True)
class LogOutNode:
    """Expire this node's key, if there is a node."""

    node: KnownNode | None


@dataclass(frozen=True, slots=True)
class AlreadyRegistered:
    """The node is registered. Its auth key, if any, can only turn it into a tagged node."""

    node: KnownNode


@dataclass(frozen=True, slots=True)
class ReduceExpiry:
    """Expire this node's key earlier."""

    node: KnownNode
    expiry: datetime


@dataclass(frozen=True, slots=True)
class ExtensionRefused:
    """A client may only request an earlier expiry."""


@dataclass(frozen=True, slots=True)
class RedeemAuthKey:
    """Admit the node by its auth key; `expired` is an existing node with an expired key."""

    expired: KnownNode | None


@dataclass(frozen=True, slots=True)
class NewNodeKeyRequired:
    """The client must register with a new node key; only for node keys that are known."""


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
    """Decide on a registration.

    Raises:
        NotPermittedError: the node key is another machine's.
        RefusedError: its tags are malformed.
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
        return AlreadyRegistered(node)  # a tagged node's key does not expire
    if node.expiry is not None and requested > node.expiry:
        return ExtensionRefused()
    return ReduceExpiry(node, requested)


def first_expiry(requested: datetime | None, lifetime: timedelta, now: datetime) -> datetime | None:
    """Return the expiry of a new node's key as the client requests it; None if that is not earlier than the default."""
    if requested is None or requested <= now:
        return None
    if lifetime and requested >= now + lifetime:
        return None
    return requested
