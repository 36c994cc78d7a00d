"""What the use cases need from outside, as protocols: tables, the registry, tag ownership, and news of logins."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from services.auth.model.api_key import ApiKey
from services.auth.model.login import AuthId, Login
from services.auth.model.node import Admission, Admitted, FoundNodes, KnownLink, KnownNode, KnownUser
from services.auth.model.node_login import NodeLogin
from services.auth.model.oidc.discovery import Metadata
from services.auth.model.oidc.flow import Flow
from services.auth.model.oidc.keys import KeySet
from services.auth.model.oidc.person import Person
from services.auth.model.oidc.refusal import Reason
from services.auth.model.preauth_key import Claim, PreAuthKey
from services.auth.model.rights import RightsChange
from services.auth.model.ssh_check import SshCheck, SshWord
from services.shared.ids import NodeId, UserId
from services.shared.keys import MachineKey, NodeKey


class PreAuthKeyStore(Protocol):
    """The table of pre-auth keys."""

    async def add(self, key: PreAuthKey, digest: str) -> PreAuthKey | None:
        """Store a new key and number it; None when the prefix is taken."""
        ...

    async def list(self, user_id: UserId | None) -> tuple[PreAuthKey, ...]:
        """All, or those of one user, ordered by id."""
        ...

    async def by_prefix(self, prefix: str) -> tuple[PreAuthKey, str] | None:
        """A key and the digest of its secret."""
        ...

    async def expire(self, key_id: int, now: datetime) -> bool:
        """End a key now, unless it has ended; False when there is none."""
        ...

    async def delete(self, key_id: int) -> bool:
        """Forget a key; False when there is none."""
        ...

    async def claim(self, key_id: int, before: Claim | None, claim: Claim) -> bool:
        """Begin to spend an unused key if its claim is still what it was; exactly one of several wins."""
        ...

    async def release(self, key_id: int, claim: Claim) -> None:
        """Give back an unused key that this claim holds."""
        ...

    async def mark_used(self, key_id: int) -> None:
        """Write down that a node was admitted with it."""
        ...


class ApiKeyStore(Protocol):
    """The table of API keys."""

    async def add(self, key: ApiKey, digest: str) -> ApiKey | None:
        """Store a new key and number it; None when the prefix is taken."""
        ...

    async def list(self) -> tuple[ApiKey, ...]:
        """All, ordered by id."""
        ...

    async def by_prefix(self, prefix: str) -> tuple[ApiKey, str] | None:
        """A key and the digest of its secret."""
        ...

    async def expire(self, which: int | str, now: datetime) -> bool:
        """End a key, named by id or prefix, now, unless it has ended; False when there is none."""
        ...

    async def delete(self, which: int | str) -> bool:
        """Forget a key, named by id or prefix; False when there is none."""
        ...

    async def touch(self, key_id: int, now: datetime) -> None:
        """Write down when a key was used."""
        ...


@dataclass(frozen=True, slots=True)
class Room:
    """How many logins may wait."""

    total: int
    per_network: int
    """Of one client network, so that one cannot fill the table."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A login was stored, perhaps in the place of others."""

    login: Login
    """The given one, or the one that was waiting already."""
    displaced: tuple[AuthId, ...] = ()


class LoginStore(Protocol):
    """The table of pending logins."""

    async def open(self, login: Login, network: str, room: Room) -> Opened | None:
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

    async def replace(self, before: Login, after: Login) -> bool:
        """Store a new state if the old one still holds."""
        ...

    async def forget(self, machine_key: MachineKey, node_key: NodeKey) -> AuthId | None:
        """Drop the login of these keys and say which it was."""
        ...


class Registry(Protocol):
    """The service that owns users and nodes. Its refusals come as `RefusedError`, its silence as `UnavailableError`."""

    async def find(self, machine_key: MachineKey, node_key: NodeKey, old_node_key: NodeKey) -> FoundNodes:
        """What is known under these keys."""
        ...

    async def admit(self, admission: Admission) -> Admitted:
        """Let a node in; idempotent on (machine key, node key)."""
        ...

    async def log_out(self, node: KnownNode, expiry: datetime | None) -> None:
        """End a node's key now, or shorten its life."""
        ...

    async def user(self, user_id: UserId) -> KnownUser | None:
        """A user by id."""
        ...


class TagOwners(Protocol):
    """The policy's word on who may give nodes a tag."""

    async def may_own(self, user: KnownUser, tags: tuple[str, ...]) -> bool:
        """Whether a user may own all of them."""
        ...


class RightsStore(Protocol):
    """The table of changes of people's rights."""

    async def write_down(self, change: RightsChange) -> RightsChange:
        """Store a new change and number it."""
        ...

    async def undone(self) -> tuple[RightsChange, ...]:
        """Those that are not carried out, the oldest first; perhaps not all."""
        ...

    async def strike_off(self, change: RightsChange, now: datetime) -> None:
        """Note that a change was carried out."""
        ...

    async def refuse_logins(self, user_id: UserId, reason: Reason, text: str) -> tuple[AuthId, ...]:
        """Turn away what a person approved or is about to confirm, and forget their word for SSH sessions.

        Returns the logins and SSH checks whose devices must be told.
        """
        ...


class RightsKeeper(Protocol):
    """The registry's side of people's rights."""

    async def user(self, user_id: UserId) -> KnownUser | None:
        """A user by id."""
        ...

    async def change_rights(self, change: RightsChange) -> KnownUser:
        """Make a change; a late or repeated one does nothing. `NotFoundError` when the user is gone."""
        ...


class Dossiers(Protocol):
    """The registry's side of who is who."""

    async def dossier(self, user_id: UserId) -> tuple[KnownUser, tuple[KnownLink, ...]]:
        """A user and their identities, the one that signed in last first; `NotFoundError` when there is none."""
        ...


class NodeLoginStore(Protocol):
    """The table of logins that nodes are in by."""

    async def put(self, login: NodeLogin) -> None:
        """Note by which login a node is in, in the place of the one before."""
        ...

    async def of_identity(self, issuer: str, subject: str, sid: str = "") -> tuple[NodeLogin, ...]:
        """Those of an identity, or of one session of it, ordered by node."""
        ...


class FlowStore(Protocol):
    """The table of sign-ins on their way."""

    async def add(self, flow: Flow, at_most: int) -> None:
        """Store a new one and forget those that have ended; of one login, only the newest `at_most` stay."""
        ...

    async def get(self, flow_id: str) -> Flow | None:
        """One, whatever its age."""
        ...

    async def replace(self, before: Flow, after: Flow) -> bool:
        """Store a new state if the old one still holds; exactly one of several wins."""
        ...


@dataclass(frozen=True, slots=True)
class CheckRoom:
    """How many SSH sessions may wait."""

    total: int
    per_destination: int
    """To one node, so that none can fill the table."""
    per_source: int
    """From one node, likewise."""
    per_pair: int
    """From one node to one other."""


@dataclass(frozen=True, slots=True)
class OpenedCheck:
    """A check was stored, perhaps in the place of another."""

    check: SshCheck
    """The given one, or the one that waited for the same word already."""
    displaced: tuple[AuthId, ...] = ()


class SshCheckStore(Protocol):
    """The tables of SSH sessions that wait for a person, and of the words that people gave."""

    async def open(self, check: SshCheck, room: CheckRoom) -> OpenedCheck | None:
        """Store a check; None when there is no room.

        One that waits for the same word, and for half of its time yet, is returned instead, unless the policy wants a
        word for each session. Checks that have ended are forgotten; when the two nodes, the source or the destination
        have their share or the table is full, one of theirs goes: one that was decided, or else the oldest.
        """
        ...

    async def get(self, auth_id: AuthId) -> SshCheck | None:
        """One check, whatever its age."""
        ...

    async def list(self, now: datetime) -> tuple[SshCheck, ...]:
        """Those that nobody has decided and that have not ended, oldest first."""
        ...

    async def approve(self, check: SshCheck, by: str, now: datetime) -> tuple[AuthId, ...] | None:
        """Write a person's word down, in one step with the check's end; None when the check was decided before.

        Returns the other checks of the same source, which the word may end too.
        """
        ...

    async def reject(self, check: SshCheck, by: str, reason: str) -> bool:
        """Write down that a session may not begin; False when the check was decided before."""
        ...

    async def given(self, word: SshWord) -> bool:
        """Whether a person gave such a word."""
        ...


class SshNodes(Protocol):
    """The registry's side of SSH sessions."""

    async def node(self, node_id: NodeId) -> tuple[KnownNode, KnownUser | None] | None:
        """A node and its owner; None when there is no such node."""
        ...


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a provider gives for a code; nothing of it is proven."""

    unverified_id_token: str = field(repr=False)
    access_token: str = field(repr=False)


class Provider(Protocol):
    """An OpenID provider. What fails comes as `SignInError`."""

    async def metadata(self) -> Metadata:
        """Its description."""
        ...

    async def keys(self, *, unknown: bool = False) -> KeySet:
        """Its keys; with `unknown`, newer ones if it is time to look."""
        ...

    async def redeem(self, code: str, verifier: str, redirect_uri: str) -> Tokens:
        """Trade a code for tokens."""
        ...

    async def userinfo(self, access_token: str) -> dict[str, Any] | str | None:
        """What it says of the person: an object, a signed token, or None where it has no such endpoint."""
        ...


class People(Protocol):
    """The registry's side of people who sign in."""

    async def sign_in(
        self, person: Person, names: tuple[str, ...], email: str, namespace: str, *, create: bool
    ) -> KnownUser | None:
        """The person's user, refreshed; None when there is none and none may be made."""
        ...


class LoginWatch(Protocol):
    """One who waits for news of a login."""

    async def news(self, seconds: float) -> None:
        """Return at news, or when the time is over; news since the watch began counts."""
        ...


class LoginNews(Protocol):
    """Wakes whoever waits for a login, in any instance. News may be lost: look again now and then."""

    def watch(self, auth_id: AuthId, at_most: int = ...) -> AbstractContextManager[LoginWatch]:
        """Begin to watch a login or SSH check; refuses with `TooManyError` when too many wait for any.

        Of more than `at_most` that watch the same, the oldest goes.
        """
        ...

    async def announce(self, auth_id: AuthId) -> None:
        """Tell all instances that a login changed."""
        ...
