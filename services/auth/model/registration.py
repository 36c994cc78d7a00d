"""What a client asks for with POST /machine/register, and what follows from what is known: the state table, pure.

Order matters and is the clients' (`control/controlclient/direct.go`): whose key it is, then logout, then a known node,
then the auth key, then a person.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.auth.model.device import Device
from services.auth.model.errors import NotPermittedError, RefusedError
from services.auth.model.node import FoundNodes, KnownNode
from services.shared.keys import MachineKey, NodeKey


@dataclass(frozen=True, slots=True)
class Registration:
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
    device: Device
    ephemeral: bool
    remote_address: str


@dataclass(frozen=True, slots=True)
class LogOut:
    """End this node's key, if there is one."""

    node: KnownNode | None


@dataclass(frozen=True, slots=True)
class Welcome:
    """It is in already; its auth key, if any, need not be looked at, but may turn it into a tagged node."""

    node: KnownNode


@dataclass(frozen=True, slots=True)
class Shorten:
    """End this node's key sooner."""

    node: KnownNode
    expiry: datetime


@dataclass(frozen=True, slots=True)
class NoLengthening:
    """A client may only shorten the life of its key."""


@dataclass(frozen=True, slots=True)
class Redeem:
    """Let it in by its auth key; a known node is one whose key has expired."""

    expired: KnownNode | None


@dataclass(frozen=True, slots=True)
class NewKeyNeeded:
    """The client must come back with another node key. Only ever said of a key that we knew."""


@dataclass(frozen=True, slots=True)
class AskPerson:
    """A person must sign in or approve."""


Decision = LogOut | Welcome | Shorten | NoLengthening | Redeem | NewKeyNeeded | AskPerson


def decide(registration: Registration, found: FoundNodes, now: datetime) -> Decision:
    """Say what follows.

    Raises:
        NotPermittedError: the node key is another machine's.
        RefusedError: it asks for tags that are none.
    """
    node = found.by_node_key
    if node is not None and node.machine_key != registration.machine_key:
        raise NotPermittedError("node key belongs to another machine")
    wish = registration.expiry
    if wish is not None and wish <= now:
        return LogOut(node)
    if registration.device.tag_problem:
        raise RefusedError(registration.device.tag_problem)
    if node is not None and not node.is_expired(now):
        return _wish(node, wish)
    if registration.unverified_auth_key:
        return Redeem(node)
    return AskPerson() if node is None else NewKeyNeeded()


def _wish(node: KnownNode, wish: datetime | None) -> Decision:
    if wish is None or node.tags or wish == node.expiry:
        return Welcome(node)  # a tagged node's key never ends
    if node.expiry is not None and wish > node.expiry:
        return NoLengthening()
    return Shorten(node, wish)


def first_expiry(wish: datetime | None, lifetime: timedelta, now: datetime) -> datetime | None:
    """When a new node's key ends by the client's wish; None leaves it to the default, because a wish only shortens."""
    if wish is None or wish <= now:
        return None
    if lifetime and wish >= now + lifetime:
        return None
    return wish
