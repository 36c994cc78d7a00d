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
    """The limits on pending logins."""

    total: int
    per_network: int
    """Maximum pending logins of one network, as `services.shared.rate.network_of` names it."""


@dataclass(frozen=True, slots=True)
class OpenedLogin:
    """A stored login, and those that it displaced."""

    login: Login
    """The new login, or the pending one of the same keys."""
    displaced: tuple[AuthId, ...] = ()


class LoginStore(Protocol):
    """The table of pending logins."""

    async def open(self, login: Login, network: str, room: LoginLimits) -> OpenedLogin | None:
        """Insert a login in the place of the machine's last one. Returns None if it is refused.

        A login with the same auth id, or the machine's for the same node key while it is pending or approved, is
        returned instead. Expired logins are deleted. If the network is at its limit or the table is full, a login is
        displaced as `model.fair_shares` decides.
        """
        ...

    async def get(self, auth_id: AuthId) -> Login | None:
        """Return a login, expired or not, or None."""
        ...

    async def of_machine(self, machine_key: MachineKey) -> Login | None:
        """Return the login of a machine, expired or not, or None."""
        ...

    async def list(self, now: datetime) -> tuple[Login, ...]:
        """List the logins that have not expired, oldest first."""
        ...

    async def pending(self, auth_ids: Collection[AuthId], now: datetime) -> frozenset[AuthId]:
        """Return those of at most 500 logins that are pending and have not expired."""
        ...

    async def replace(self, before: Login, after: Login) -> bool:
        """Update a login if its state is still that of `before`. Returns False if it is not."""
        ...

    async def forget(self, machine_key: MachineKey, node_key: NodeKey) -> AuthId | None:
        """Delete the login of these keys and return its auth id, or None."""
        ...


class NodeLoginStore(Protocol):
    """The table of logins that admitted nodes."""

    async def put(self, login: NodeLogin) -> None:
        """Insert or replace the login that admitted a node."""
        ...

    async def of_identity(self, issuer: str, subject: str, sid: str = "") -> tuple[NodeLogin, ...]:
        """List the logins of an identity, or of one session of it, ordered by node."""
        ...
