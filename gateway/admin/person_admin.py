"""smartscale.admin.v1: all that is known of a user, who is who at which provider, and groups. Joins three services."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
from smartscale.admin.v1 import user_pb2 as pb
from smartscale.auth.v1 import auth_pb2
from smartscale.policy.v1 import policy_pb2
from smartscale.registry.v1 import registry_pb2

from gateway.admin import author
from gateway.admin.groups import Groups, in_short, last_login
from gateway.admin.stubs import DEADLINE, Refused, Services
from services.shared.access.compiled import CompiledPolicy
from services.shared.ids import DEFAULT_TAILNET
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)


class PersonCalls:
    """The calls, against registry, policy and auth."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ShowUser(self, request: pb.ShowUserRequest) -> pb.ShowUserResponse:
        """Return all that is known of a user."""
        named = await self._services.user_named(request.user)
        found = await self._services.registry.GetPerson(
            registry_pb2.GetPersonRequest(user_id=named.id), timeout=DEADLINE
        )
        judged = await self._judged(named.id)
        logins = {login.node_id: login for login in judged.node_logins}
        answer = pb.ShowUserResponse(
            user=found.user,
            links=found.links,
            last_login=last_login(found.links),
            groups=await asyncio.to_thread((await self._groups()).of, named.id),
            verdicts=judged.verdicts,
            nodes=[in_short(node, logins.get(node.id)) for node in found.nodes],
            history=found.history,
        )
        if found.HasField("standing"):
            answer.standing.CopyFrom(found.standing)
        return answer

    async def LinkUser(self, request: pb.LinkUserRequest) -> pb.LinkUserResponse:
        """Make an identity a user's."""
        user = await self._services.user_named(request.user)
        wanted = registry_pb2.LinkUserRequest(
            user_id=user.id, issuer=request.issuer, subject=request.subject, actor=author.current()
        )
        return pb.LinkUserResponse(user=(await self._services.registry.LinkUser(wanted, timeout=DEADLINE)).user)

    async def UnlinkUser(self, request: pb.UnlinkUserRequest) -> pb.UnlinkUserResponse:
        """Make an identity nobody's."""
        wanted = registry_pb2.UnlinkUserRequest(issuer=request.issuer, subject=request.subject, actor=author.current())
        return pb.UnlinkUserResponse(user=(await self._services.registry.UnlinkUser(wanted, timeout=DEADLINE)).user)

    async def RelinkUser(self, request: pb.RelinkUserRequest) -> pb.RelinkUserResponse:
        """Make a user's identities and nodes another's."""
        old, new = await self._services.user_named(request.user), await self._services.user_named(request.to)
        wanted = registry_pb2.RelinkUserRequest(from_user_id=old.id, to_user_id=new.id, actor=author.current())
        moved = await self._services.registry.RelinkUser(wanted, timeout=DEADLINE)
        return pb.RelinkUserResponse(user=moved.user, links=moved.links, nodes=moved.nodes, left=moved.left)

    async def ListGroups(self, request: pb.ListGroupsRequest) -> pb.ListGroupsResponse:
        """List the groups that anybody knows."""
        groups = await self._groups()
        return pb.ListGroupsResponse(groups=await asyncio.to_thread(groups.all))

    async def GetGroup(self, request: pb.GetGroupRequest) -> pb.GetGroupResponse:
        """Return a group and its members."""
        name = request.name.removeprefix("group:")
        groups = await self._groups()
        if name not in groups.names():
            raise Refused(grpc.StatusCode.NOT_FOUND, "group not found: neither the policy nor a provider knows it")
        return await asyncio.to_thread(groups.whole, name)

    async def _groups(self) -> Groups:
        compiled = await self._services.policy.GetCompiled(
            policy_pb2.GetCompiledRequest(tailnet_id=DEFAULT_TAILNET), timeout=DEADLINE
        )
        links = await self._services.registry.ListLinks(registry_pb2.ListLinksRequest(), timeout=DEADLINE)
        users = (await self._services.users()).values()
        return Groups(CompiledPolicy.from_bytes(compiled.compiled), users, links.links)

    async def _judged(self, user_id: int) -> auth_pb2.JudgeUserResponse:
        """What auth says; nothing while it does not answer, because the rest is worth showing."""
        try:
            request = auth_pb2.JudgeUserRequest(user_id=user_id)
            answer: auth_pb2.JudgeUserResponse = await self._services.auth.JudgeUser(request, timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            log.warning("no verdict on a user", code=error.code().name)
            return auth_pb2.JudgeUserResponse()
        return answer
