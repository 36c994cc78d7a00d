"""smartscale.admin.v1: users with their identities at sign-in providers."""

from __future__ import annotations

import asyncio

import grpc.aio
from smartscale.admin.v1 import user_pb2 as pb
from smartscale.auth.v1 import auth_pb2
from smartscale.registry.v1 import registry_pb2

from gateway.admin.calls.groups import load_memberships
from gateway.admin.calls.memberships import last_login, summary
from gateway.admin.context import CallContext
from gateway.admin.services import Services
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)


class Identities:
    """Calls about identities of users."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ShowUser(self, request: pb.ShowUserRequest, call: CallContext) -> pb.ShowUserResponse:
        """Return a user with identities, groups, standing, nodes and history."""
        named = await self._services.user_named(call, request.user)
        found = await call.ask(self._services.registry.GetPerson, registry_pb2.GetPersonRequest(user_id=named.id))
        judged = await self._judged(call, named.id)
        logins = {login.node_id: login for login in judged.node_logins}
        answer = pb.ShowUserResponse(
            user=found.user,
            links=found.links,
            last_login=last_login(found.links),
            groups=await asyncio.to_thread((await load_memberships(self._services, call)).of, named.id),
            verdicts=judged.evaluations,
            nodes=[summary(node, logins.get(node.id)) for node in found.nodes],
            history=found.history,
        )
        if found.HasField("standing"):
            answer.standing.CopyFrom(found.standing)
        return answer

    async def LinkUser(self, request: pb.LinkUserRequest, call: CallContext) -> pb.LinkUserResponse:
        """Link an identity to a user."""
        user = await self._services.user_named(call, request.user)
        wanted = registry_pb2.LinkUserRequest(
            user_id=user.id, issuer=request.issuer, subject=request.subject, actor=call.caller.actor
        )
        return pb.LinkUserResponse(user=(await call.ask(self._services.registry.LinkUser, wanted)).user)

    async def UnlinkUser(self, request: pb.UnlinkUserRequest, call: CallContext) -> pb.UnlinkUserResponse:
        """Unlink an identity from its user."""
        wanted = registry_pb2.UnlinkUserRequest(issuer=request.issuer, subject=request.subject, actor=call.caller.actor)
        return pb.UnlinkUserResponse(user=(await call.ask(self._services.registry.UnlinkUser, wanted)).user)

    async def RelinkUser(self, request: pb.RelinkUserRequest, call: CallContext) -> pb.RelinkUserResponse:
        """Move the identities and nodes of one user to another."""
        old, new = (
            await self._services.user_named(call, request.user),
            await self._services.user_named(call, request.to),
        )
        wanted = registry_pb2.RelinkUserRequest(from_user_id=old.id, to_user_id=new.id, actor=call.caller.actor)
        moved = await call.ask(self._services.registry.RelinkUser, wanted)
        return pb.RelinkUserResponse(user=moved.user, links=moved.links, nodes=moved.nodes, left=moved.left)

    async def _judged(self, call: CallContext, user_id: int) -> auth_pb2.EvaluateAccessResponse:
        """Return the verdicts of auth; empty while it does not answer, because the other parts are still useful."""
        try:
            request = auth_pb2.EvaluateAccessRequest(user_id=user_id)
            answer: auth_pb2.EvaluateAccessResponse = await call.ask(self._services.auth.EvaluateAccess, request)
        except grpc.aio.AioRpcError as error:
            log.warning("entry rules not evaluated for a user", code=error.code().name)
            return auth_pb2.EvaluateAccessResponse()
        return answer
