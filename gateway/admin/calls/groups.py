"""smartscale.admin.v1: groups of users."""

from __future__ import annotations

import asyncio

import grpc
from smartscale.admin.v1 import user_pb2 as pb
from smartscale.policy.v1 import policy_pb2
from smartscale.registry.v1 import registry_pb2

from gateway.admin.calls.memberships import Memberships
from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused
from gateway.admin.services import Services
from services.shared.access.compiled import CompiledPolicy
from services.shared.ids import DEFAULT_TAILNET


class Groups:
    """Calls about groups."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListGroups(self, request: pb.ListGroupsRequest, call: CallContext) -> pb.ListGroupsResponse:
        """List the groups of the policy and of all providers."""
        groups = await load_memberships(self._services, call)
        return pb.ListGroupsResponse(groups=await asyncio.to_thread(groups.all))

    async def GetGroup(self, request: pb.GetGroupRequest, call: CallContext) -> pb.GetGroupResponse:
        """Return a group and its members."""
        name = request.name.removeprefix("group:")
        groups = await load_memberships(self._services, call)
        if name not in groups.names():
            raise Refused(grpc.StatusCode.NOT_FOUND, "group not found: neither the policy nor a provider knows it")
        return await asyncio.to_thread(groups.whole, name)


async def load_memberships(services: Services, call: CallContext) -> Memberships:
    """Read policy, users and identities, and join them."""
    compiled = await call.ask(services.policy.GetCompiled, policy_pb2.GetCompiledRequest(tailnet_id=DEFAULT_TAILNET))
    links = await call.ask(services.registry.ListLinks, registry_pb2.ListLinksRequest())
    users = (await services.users(call)).values()
    return Memberships(CompiledPolicy.from_bytes(compiled.compiled), users, links.links)
