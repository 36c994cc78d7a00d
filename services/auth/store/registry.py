"""Protocols of what this service asks of the registry, one for each kind of caller."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from services.auth.model.node import AdmittedNode, FoundNodes, KnownLink, KnownNode, KnownUser, NodeAdmission
from services.auth.model.oidc.identity import ProviderIdentity
from services.auth.model.rights import RecordedRightsChange
from services.shared.ids import NodeId, UserId
from services.shared.keys import MachineKey, NodeKey


class Registry(Protocol):
    """The service that owns users and nodes. Its refusals come as `RefusedError`, its silence as `UnavailableError`."""

    async def find(self, machine_key: MachineKey, node_key: NodeKey, old_node_key: NodeKey) -> FoundNodes:
        """What is known under these keys."""
        ...

    async def admit(self, admission: NodeAdmission) -> AdmittedNode:
        """Let a node in; idempotent on (machine key, node key)."""
        ...

    async def log_out(self, node: KnownNode, expiry: datetime | None) -> None:
        """End a node's key now, or shorten its life."""
        ...

    async def user(self, user_id: UserId) -> KnownUser | None:
        """A user by id."""
        ...


class UserDirectory(Protocol):
    """The registry's side of people who sign in."""

    async def sign_in(
        self, person: ProviderIdentity, names: tuple[str, ...], email: str, namespace: str, *, create: bool
    ) -> KnownUser | None:
        """The person's user, refreshed; None when there is none and none may be made."""
        ...


class UserDetails(Protocol):
    """The registry's side of who is who."""

    async def user_details(self, user_id: UserId) -> tuple[KnownUser, tuple[KnownLink, ...]]:
        """A user and their identities, the one that signed in last first; `NotFoundError` when there is none."""
        ...


class RightsRegistry(Protocol):
    """The registry's side of people's rights."""

    async def user(self, user_id: UserId) -> KnownUser | None:
        """A user by id."""
        ...

    async def change_rights(self, change: RecordedRightsChange) -> KnownUser:
        """Make a change; a late or repeated one does nothing. `NotFoundError` when the user is gone."""
        ...


class SshNodes(Protocol):
    """The registry's side of SSH sessions."""

    async def node(self, node_id: NodeId) -> tuple[KnownNode, KnownUser | None] | None:
        """A node and its owner; None when there is no such node."""
        ...
