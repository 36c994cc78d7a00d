"""smartscale.admin.v1: roles of users, and their suspension."""

from __future__ import annotations

from smartscale.admin.v1 import user_pb2 as pb
from smartscale.auth.v1 import auth_pb2
from smartscale.registry.v1 import registry_pb2

from gateway.admin.context import DEADLINE, CallContext
from gateway.admin.services import Services

RIGHTS_DEADLINE = 2 * DEADLINE
"""Seconds: longer than auth waits for the registry, so that the text of its refusal arrives."""


class UserRights:
    """Calls about roles and suspension."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListUsers(self, request: pb.ListUsersRequest, call: CallContext) -> pb.ListUsersResponse:
        """List users with their roles."""
        answer = await call.ask(
            self._services.registry.ListUsers,
            registry_pb2.ListUsersRequest(id=request.id, name=request.name, email=request.email),
        )
        return pb.ListUsersResponse(users=[user for user in answer.users if request.role in ("", user.role)])

    async def SetRole(self, request: pb.SetRoleRequest, call: CallContext) -> pb.SetRoleResponse:
        """Set a user's role."""
        user = await self._services.user_named(call, request.user)
        answer = await call.ask(
            self._services.registry.SetUserRole,
            registry_pb2.SetUserRoleRequest(id=user.id, role=request.role, actor=call.caller.actor),
        )
        return pb.SetRoleResponse(user=answer.user)

    async def SuspendUser(self, request: pb.SuspendUserRequest, call: CallContext) -> pb.SuspendUserResponse:
        """Suspend a user: their nodes lose access."""
        user = await self._services.user_named(call, request.user)
        wanted = auth_pb2.SuspendUserRequest(user_id=user.id, actor=call.caller.actor, reason=request.reason)
        answer = await call.ask(self._services.auth.SuspendUser, wanted, RIGHTS_DEADLINE)
        return pb.SuspendUserResponse(user=answer.user)

    async def RestoreUser(self, request: pb.RestoreUserRequest, call: CallContext) -> pb.RestoreUserResponse:
        """Restore a suspended user."""
        user = await self._services.user_named(call, request.user)
        wanted = auth_pb2.RestoreUserRequest(user_id=user.id, actor=call.caller.actor, reason=request.reason)
        answer = await call.ask(self._services.auth.RestoreUser, wanted, RIGHTS_DEADLINE)
        return pb.RestoreUserResponse(user=answer.user)
