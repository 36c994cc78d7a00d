"""Protocols of the tables of pending logins and of the logins that admitted nodes, and the limits on pending ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.auth.model.login import AuthId, Login
from services.auth.model.node_login import NodeLogin
from services.shared.keys import MachineKey, NodeKey


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """How many logins may wait."""

    total: int
    per_network: int
    """Of one client network, so that one cannot fill the table."""


@dataclass(frozen=True, slots=True)
class OpenedLogin:
    """A login was stored, perhaps in the place of others."""

    login: Login
    """The given one, or the one that was waiting already."""
    displaced: tuple[AuthId, ...] = ()


class LoginStore(Protocol):
    """The table of pending logins."""

    async def open(self, login: Login, network: str, room: LoginLimits) -> OpenedLogin | None:
        """Store a login in place of the machine's last one; None when there is no room.

        A login with the same auth id, or the machine's for the same node key while it is pending or approved, is
        returned instead. Logins that have ended are forgotten; when the network has its share or the table is full,
        the network's own oldest goes.
        """
        ...

    async def get(self, auth_id: AuthId) -> Login | None:
        """One login, whatever its age."""
        ...

    async def of_machine(self, machine_key: MachineKey) -> Login | None:
        """The login of a machine, whatever its age."""
        ...

    async def list(self, now: datetime) -> tuple[Login, ...]:
        """Those that have not ended, oldest first."""
        ...

    async def pending(self, auth_ids: Collection[AuthId], now: datetime) -> frozenset[AuthId]:
        """Those of these logins, at most 500, that are pending and have not ended."""
        ...

    async def replace(self, before: Login, after: Login) -> bool:
        """Store a new state if the old one still holds."""
        ...

    async def forget(self, machine_key: MachineKey, node_key: NodeKey) -> AuthId | None:
        """Drop the login of these keys and say which it was."""
        ...


class NodeLoginStore(Protocol):
    """The table of logins that nodes are in by."""

    async def put(self, login: NodeLogin) -> None:
        """Note by which login a node is in, in the place of the one before."""
        ...

    async def of_identity(self, issuer: str, subject: str, sid: str = "") -> tuple[NodeLogin, ...]:
        """Those of an identity, or of one session of it, ordered by node."""
        ...
