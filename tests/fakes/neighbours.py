"""The neighbours of auth in memory, with the registry's rules of admission and with faults on demand."""

from __future__ import annotations

from typing import Any

import grpc
from smartscale.policy.v1 import policy_pb2, policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.registry.v1 import registry_pb2_grpc
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from services.shared.access.compiled import CompiledPolicy
from services.shared.keys import MachineKey
from services.shared.rpc import machine_key_of
from services.shared.runtime.clock import Clock


class FakeRegistry(registry_pb2_grpc.RegistryServiceServicer):
    """Users and nodes in dictionaries; one node per machine key and owner."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.users: dict[int, user_types.User] = {}
        self.nodes: dict[int, node_types.Node] = {}
        self.rights: dict[int, int] = {}
        """The number of the last change of each user's rights."""
        self.away = False
        """Whether changes of rights and look-ups of nodes are not answered."""
        self.sign_ins: list[pb.UpsertLoginRequest] = []
        self.admissions: list[pb.AdmitNodeRequest] = []
        self.fail_before: list[tuple[grpc.StatusCode, str]] = []
        """Statuses that the next admissions end with, before anything is done."""
        self.fail_after: list[tuple[grpc.StatusCode, str]] = []
        """Statuses that the next admissions end with, although the node is in."""
        self._last = 0

    def add_user(self, name: str, **fields: Any) -> int:
        """Create a user."""
        number = len(self.users) + 1
        self.users[number] = user_types.User(id=number, tailnet_id="default", name=name, role="member", **fields)
        return number

    def node_of(self, machine: MachineKey) -> node_types.Node:
        """The only node of a machine."""
        (node,) = [node for node in self.nodes.values() if node.machine_key == machine.raw]
        return node

    async def ListUsers(self, request: pb.ListUsersRequest, context: Any) -> pb.ListUsersResponse:
        """By id, or all."""
        return pb.ListUsersResponse(users=[u for u in self.users.values() if request.id in (0, u.id)])

    async def UpsertLogin(self, request: pb.UpsertLoginRequest, context: Any) -> pb.UpsertLoginResponse:
        """By identity alone."""
        self.sign_ins.append(request)
        identity = f"{request.issuer}/{request.subject}"
        known = next((user for user in self.users.values() if user.provider_id == identity), None)
        if known is None and not request.create:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no user has this identity")
        if known is None:
            known = self.users[self.add_user(request.names[0] if request.names else request.subject)]
            known.provider_id = identity
        known.email = request.email
        known.groups[:] = request.groups
        return pb.UpsertLoginResponse(user=known)

    async def ChangeRights(self, request: pb.ChangeRightsRequest, context: Any) -> pb.ChangeRightsResponse:
        """Suspends and restores; takes no change twice and none late."""
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the registry is away")
        user = self.users.get(request.user_id)
        if user is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "user not found")
            raise AssertionError
        if request.number > self.rights.get(user.id, 0):
            self.rights[user.id] = request.number
            user.suspended = request.standing == pb.STANDING_SUSPENDED
        return pb.ChangeRightsResponse(user=user)

    async def GetNode(self, request: pb.GetNodeRequest, context: Any) -> pb.GetNodeResponse:
        """By id, with its owner."""
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the registry is away")
        node = self.nodes.get(request.id)
        if node is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "node not found")
            raise AssertionError
        return pb.GetNodeResponse(node=node, user=self.users.get(node.user_id))

    async def FindNode(self, request: pb.FindNodeRequest, context: Any) -> pb.FindNodeResponse:
        """By keys."""
        machine = machine_key_of(context).raw
        by_key, by_old = self._by_key(request.node_key), self._by_key(request.old_node_key)
        if by_old is not None and by_old.machine_key != machine:
            by_old = None
        return pb.FindNodeResponse(
            by_node_key=by_key,
            by_old_node_key=by_old,
            of_machine=[node for node in self.nodes.values() if node.machine_key == machine],
            users=self.users.values(),
        )

    async def CheckAddresses(self, request: pb.CheckAddressesRequest, context: Any) -> pb.CheckAddressesResponse:
        """Free unless a node has it."""
        if any(request.ipv4 == node.ipv4 for node in self.nodes.values() if request.ipv4):
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "ipv4: another node has this address")
        return pb.CheckAddressesResponse()

    async def AdmitNode(self, request: pb.AdmitNodeRequest, context: Any) -> pb.AdmitNodeResponse:
        """Create, rotate or confirm."""
        machine = machine_key_of(context).raw
        if self.fail_before:
            await context.abort(*self.fail_before.pop(0))
        if not request.tags and request.user_id not in self.users:
            await context.abort(grpc.StatusCode.NOT_FOUND, "user not found")
        if request.user_id in self.users and self.users[request.user_id].suspended:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "this user is suspended; ask the administrator")
        by_key = self._by_key(request.node_key)
        if by_key is not None and by_key.machine_key != machine:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "the node key belongs to another machine")
        self.admissions.append(request)
        owner = 0 if request.tags else request.user_id
        node = self._known(request, machine, owner)
        if node is None:
            self._last += 1
            node = self.nodes[self._last] = node_types.Node(id=self._last, tailnet_id="default", machine_key=machine)
        node.node_key = request.node_key
        node.user_id = owner
        node.tags[:] = request.tags
        node.ephemeral = request.ephemeral
        node.register_method = request.register_method
        node.pre_auth_key_id = request.pre_auth_key_id
        node.hostinfo = request.hostinfo
        node.ipv4, node.ipv6 = request.ipv4 or node.ipv4, request.ipv6 or node.ipv6
        node.expired = False
        node.ClearField("expiry")
        if request.HasField("expiry"):
            node.expiry.CopyFrom(request.expiry)
        if self.fail_after:
            await context.abort(*self.fail_after.pop(0))
        return pb.AdmitNodeResponse(node=node, user=self.users.get(owner))

    async def LogOutNode(self, request: pb.LogOutNodeRequest, context: Any) -> pb.LogOutNodeResponse:
        """Expire, shorten or delete."""
        node = self._by_key(request.node_key)
        if node is None or node.machine_key != machine_key_of(context).raw:
            await context.abort(grpc.StatusCode.NOT_FOUND, "node not found")
        if request.HasField("expiry"):
            node.expiry.CopyFrom(request.expiry)
        elif node.ephemeral:
            del self.nodes[node.id]
        else:
            node.expiry.FromDatetime(self._clock.now())
            node.expired = True
        return pb.LogOutNodeResponse()

    def _by_key(self, raw: bytes) -> node_types.Node | None:
        return next((node for node in self.nodes.values() if raw and node.node_key == raw), None)

    def _known(self, request: pb.AdmitNodeRequest, machine: bytes, owner: int) -> node_types.Node | None:
        mine = [node for node in self.nodes.values() if node.machine_key == machine]
        named = [node for node in mine if node.node_key in (request.node_key, request.old_node_key)]
        if request.tags:
            return next(iter(named or mine), None)
        return next((node for node in (*named, *mine) if node.user_id == owner), None)


class FakePolicy(policy_pb2_grpc.PolicyServiceServicer):
    """One compiled policy that a test sets."""

    def __init__(self) -> None:
        self.compiled = CompiledPolicy(allow_all=True)

    async def GetCompiled(self, request: policy_pb2.GetCompiledRequest, context: Any) -> policy_pb2.GetCompiledResponse:
        """The policy in force."""
        return policy_pb2.GetCompiledResponse(seq=1, compiled=self.compiled.to_bytes())
