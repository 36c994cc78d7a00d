"""Protocols of the registry as auth uses it, one for each kind of caller."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from services.auth.model.node import AdmittedNode, FoundNodes, KnownLink, KnownNode, KnownUser, NodeToAdmit
from services.auth.model.oidc.identity import ProviderIdentity
from services.auth.model.rights import RecordedRightsChange
from services.shared.ids import NodeId, UserId
from services.shared.keys import MachineKey, NodeKey


class Registry(Protocol):
    """Nodes and users of the registry. Methods raise `RefusedError` for refusals, `UnavailableError` for no answer."""

    async def find(self, machine_key: MachineKey, node_key: NodeKey, old_node_key: NodeKey) -> FoundNodes:
        """Return the nodes that the registry has under these keys."""
        ...

    async def admit(self, admission: NodeToAdmit) -> AdmittedNode:
        """Admit a node; idempotent on (machine key, node key)."""
        ...

    async def check_addresses(self, ipv4: str, ipv6: str) -> None:
        """Raise RefusedError, with the reason, if a new node cannot have one of the addresses; empty: not checked."""
        ...

    async def log_out(self, node: KnownNode, expiry: datetime | None) -> None:
        """Expire a node's key now, or at an earlier time than before."""
        ...

    async def user(self, user_id: UserId) -> KnownUser | None:
        """Return a user by id, or None."""
        ...


class UserDirectory(Protocol):
    """Users of the registry who sign in."""

    async def sign_in(
        self, person: ProviderIdentity, names: tuple[str, ...], email: str, namespace: str, *, create: bool
    ) -> KnownUser | None:
        """Return the identity's user, updated, or None if there is none and `create` is false."""
        ...


class UserDetails(Protocol):
    """Users and their identities in the registry."""

    async def user_details(self, user_id: UserId) -> tuple[KnownUser, tuple[KnownLink, ...]]:
        """Return a user and their identities, the latest sign-in first. Raises `NotFoundError` if there is none."""
        ...


class RightsRegistry(Protocol):
    """User rights in the registry."""

    async def user(self, user_id: UserId) -> KnownUser | None:
        """Return a user by id, or None."""
        ...

    async def change_rights(self, change: RecordedRightsChange) -> KnownUser:
        """Apply a change; a late or repeated one does nothing. Raises `NotFoundError` if the user is gone."""
        ...


class SshNodes(Protocol):
    """Nodes of the registry that take part in SSH sessions."""

    async def node(self, node_id: NodeId) -> tuple[KnownNode, KnownUser | None] | None:
        """Return a node and its owner, or None if there is no such node."""
        ...
