"""Clients of the services that auth calls: the registry for nodes and users, the policy for tag ownership.

A refusal with a reason for people becomes `RefusedError`; no answer, or none now, becomes
`UnavailableError`. It is unknown then whether the call had an effect, so every caller must be able to repeat it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp
from smartscale.policy.v1 import policy_pb2, policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from services.auth.model.errors import AuthError, NotFoundError, RefusedError, UnavailableError
from services.auth.model.login import NO_KEY_EXPIRY
from services.auth.model.node import AdmittedNode, FoundNodes, KnownLink, KnownNode, KnownUser, NodeToAdmit
from services.auth.model.oidc.identity import ProviderIdentity
from services.auth.model.rights import RecordedRightsChange, RightsKind
from services.shared.access.compiled import CompiledPolicy
from services.shared.access.evaluator import Access
from services.shared.ids import NodeId, TailnetId, UserId
from services.shared.inventory import access_user
from services.shared.keys import MachineKey, NodeKey
from services.shared.rpc import with_machine_key

TIMEOUT = 10.0
"""Seconds for each call; `model.preauth_key.CLAIM_LEASE` must stay well above."""

_REFUSALS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)

_T = TypeVar("_T")


class AuthRegistryClient:
    """The registry of one tailnet, over a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = registry_pb2_grpc.RegistryServiceStub(channel)

    async def find(self, machine_key: MachineKey, node_key: NodeKey, old_node_key: NodeKey) -> FoundNodes:
        """Return the nodes that the registry has under these keys."""
        request = registry_pb2.FindNodeRequest(node_key=node_key.raw, old_node_key=_optional(old_node_key))
        answer = await _ask(self._stub.FindNode(request, metadata=with_machine_key(machine_key), timeout=TIMEOUT))
        users = {UserId(user.id): KnownUser(user) for user in answer.users}
        return FoundNodes(
            by_node_key=KnownNode(answer.by_node_key) if answer.HasField("by_node_key") else None,
            by_old_node_key=KnownNode(answer.by_old_node_key) if answer.HasField("by_old_node_key") else None,
            of_machine=tuple(KnownNode(node) for node in answer.of_machine),
            users=users,
        )

    async def admit(self, admission: NodeToAdmit) -> AdmittedNode:
        """Admit a node; idempotent on (machine key, node key)."""
        request = registry_pb2.AdmitNodeRequest(
            node_key=admission.node_key.raw,
            old_node_key=_optional(admission.old_node_key),
            user_id=admission.user_id,
            tags=admission.tags,
            ephemeral=admission.ephemeral,
            expiry=None if admission.expiry == NO_KEY_EXPIRY else _timestamp(admission.expiry),
            no_expiry=admission.expiry == NO_KEY_EXPIRY,
            hostinfo=admission.hostinfo,
            cap_version=admission.version,
            register_method=node_types.RegisterMethod.ValueType(admission.method),
            pre_auth_key_id=admission.pre_auth_key_id,
            ipv4=admission.ipv4,
            ipv6=admission.ipv6,
        )
        metadata = with_machine_key(admission.machine_key)
        answer = await _ask(self._stub.AdmitNode(request, metadata=metadata, timeout=TIMEOUT))
        return AdmittedNode(KnownNode(answer.node), KnownUser(answer.user) if answer.HasField("user") else None)

    async def check_addresses(self, ipv4: str, ipv6: str) -> None:
        """Raise RefusedError, with the reason, if a new node cannot have one of the addresses; empty: not checked."""
        request = registry_pb2.CheckAddressesRequest(ipv4=ipv4, ipv6=ipv6)
        await _ask(self._stub.CheckAddresses(request, timeout=TIMEOUT))

    async def log_out(self, node: KnownNode, expiry: datetime | None) -> None:
        """Expire a node's key now, or at an earlier time than before."""
        request = registry_pb2.LogOutNodeRequest(node_key=node.node_key.raw, expiry=_timestamp(expiry))
        metadata = with_machine_key(node.machine_key)
        await _ask(self._stub.LogOutNode(request, metadata=metadata, timeout=TIMEOUT))

    async def node(self, node_id: NodeId) -> tuple[KnownNode, KnownUser | None] | None:
        """Return a node and its owner, or None if there is no such node."""
        try:
            answer = await self._stub.GetNode(registry_pb2.GetNodeRequest(id=node_id), timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise translated(error) from None
        return KnownNode(answer.node), KnownUser(answer.user) if answer.HasField("user") else None

    async def user(self, user_id: UserId) -> KnownUser | None:
        """Return a user by id, or None."""
        if not user_id:
            return None
        answer = await _ask(self._stub.ListUsers(registry_pb2.ListUsersRequest(id=user_id), timeout=TIMEOUT))
        return next((KnownUser(user) for user in answer.users if user.id == user_id), None)

    async def user_details(self, user_id: UserId) -> tuple[KnownUser, tuple[KnownLink, ...]]:
        """Return a user and their identities, the latest sign-in first.

        Raises:
            NotFoundError: there is no such user.
        """
        request = registry_pb2.GetPersonRequest(user_id=user_id)
        try:
            answer = await self._stub.GetPerson(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise NotFoundError("user not found") from None
            raise translated(error) from None
        return KnownUser(answer.user), tuple(map(read_link, answer.links))

    async def change_rights(self, change: RecordedRightsChange) -> KnownUser:
        """Apply a change of a user's rights; a late or repeated one does nothing.

        Raises:
            NotFoundError: there is no such user.
        """
        standing = {
            RightsKind.SUSPEND: registry_pb2.STANDING_SUSPENDED,
            RightsKind.RESTORE: registry_pb2.STANDING_GOOD,
            RightsKind.GROUPS: registry_pb2.STANDING_UNSPECIFIED,
        }
        login = change.login
        request = registry_pb2.ChangeRightsRequest(
            user_id=change.user_id,
            number=change.number,
            standing=standing[change.kind],
            source=change.source.value,
            actor=change.actor,
            reason=change.reason,
            groups=None
            if login is None
            else registry_pb2.LoginGroups(issuer=login.issuer, subject=login.subject, names=login.names),
        )
        try:
            return KnownUser((await self._stub.ChangeRights(request, timeout=TIMEOUT)).user)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise NotFoundError("user not found") from None
            raise translated(error) from None

    async def sign_in(
        self, person: ProviderIdentity, names: tuple[str, ...], email: str, namespace: str, *, create: bool
    ) -> KnownUser | None:
        """Return the identity's user, updated, or None if there is none and `create` is false."""
        request = registry_pb2.UpsertLoginRequest(
            issuer=person.issuer,
            subject=person.subject,
            names=names,
            display_name=person.name,
            email=email,
            profile_pic_url=person.picture,
            groups=person.groups or (),
            groups_unknown=person.groups is None,
            create=create,
            namespace=namespace,
        )
        try:
            return KnownUser((await self._stub.UpsertLogin(request, timeout=TIMEOUT)).user)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise translated(error) from None


class PolicyTagOwners:
    """Tag ownership by the policy in force."""

    def __init__(self, channel: grpc.aio.Channel, tailnet: TailnetId) -> None:
        self._stub = policy_pb2_grpc.PolicyServiceStub(channel)
        self._tailnet = tailnet

    async def may_own(self, user: KnownUser, tags: tuple[str, ...]) -> bool:
        """Return whether a user may give nodes all of these tags."""
        request = policy_pb2.GetCompiledRequest(tailnet_id=self._tailnet)
        answer = await _ask(self._stub.GetCompiled(request, timeout=TIMEOUT))
        try:
            policy = CompiledPolicy.from_bytes(answer.compiled)
        except ValueError as error:
            raise UnavailableError("the policy in force cannot be read") from error
        access = Access(policy, [access_user(user.record)], [])
        return not user.suspended and all(access.may_own_tag(user.id, tag) for tag in tags)


def read_link(link: user_types.Link) -> KnownLink:
    """Convert an identity, with the fields that decisions here use."""
    return KnownLink(
        issuer=link.issuer,
        subject=link.subject,
        signed_in=link.HasField("last_login"),
        email=link.email,
        groups=tuple(group.name for group in link.groups) if link.groups_known else None,
    )


async def _ask(call: Awaitable[_T]) -> _T:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise translated(error) from None


def translated(error: grpc.aio.AioRpcError) -> AuthError:
    """Translate a gRPC status into an error of the use cases."""
    text = error.details() or "refused"
    if error.code() in _REFUSALS:
        return RefusedError(text)
    return UnavailableError(f"{error.code().name.lower().replace('_', ' ')}: {text}")


def _optional(key: NodeKey) -> bytes:
    return b"" if key.is_zero else key.raw


def _timestamp(instant: datetime | None) -> Timestamp | None:
    if instant is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(instant)
    return stamp
