"""smartscale.admin.v1: the roles and the rights of users."""

from __future__ import annotations

import grpc
import grpc.aio
from smartscale.admin.v1 import user_pb2 as pb
from smartscale.auth.v1 import auth_pb2
from smartscale.registry.v1 import registry_pb2

from gateway.admin import answering, author
from gateway.admin.person_admin import PersonCalls
from gateway.admin.stubs import DEADLINE

SERVICE = pb.DESCRIPTOR.services_by_name["UserAdminService"]
NAME = SERVICE.full_name

RIGHTS_DEADLINE = 2 * DEADLINE
"""Seconds: longer than auth waits for the registry, so that its own words arrive."""


class UserAdmin(PersonCalls):
    """The calls, against registry and auth."""

    async def ListUsers(self, request: pb.ListUsersRequest) -> pb.ListUsersResponse:
        """List users with their roles."""
        answer = await self._services.registry.ListUsers(
            registry_pb2.ListUsersRequest(id=request.id, name=request.name, email=request.email), timeout=DEADLINE
        )
        return pb.ListUsersResponse(users=[user for user in answer.users if request.role in ("", user.role)])

    async def SetRole(self, request: pb.SetRoleRequest) -> pb.SetRoleResponse:
        """Give a user another role."""
        user = await self._services.user_named(request.user)
        answer = await self._services.registry.SetUserRole(
            registry_pb2.SetUserRoleRequest(id=user.id, role=request.role, actor=author.current()), timeout=DEADLINE
        )
        return pb.SetRoleResponse(user=answer.user)

    async def SuspendUser(self, request: pb.SuspendUserRequest) -> pb.SuspendUserResponse:
        """End the access of a user."""
        user = await self._services.user_named(request.user)
        wanted = auth_pb2.SuspendUserRequest(user_id=user.id, actor=author.current(), reason=request.reason)
        answer = await self._services.auth.SuspendUser(wanted, timeout=RIGHTS_DEADLINE)
        return pb.SuspendUserResponse(user=answer.user)

    async def RestoreUser(self, request: pb.RestoreUserRequest) -> pb.RestoreUserResponse:
        """Take a suspension back."""
        user = await self._services.user_named(request.user)
        wanted = auth_pb2.RestoreUserRequest(user_id=user.id, actor=author.current(), reason=request.reason)
        answer = await self._services.auth.RestoreUser(wanted, timeout=RIGHTS_DEADLINE)
        return pb.RestoreUserResponse(user=answer.user)


def add_to(server: grpc.aio.Server, calls: UserAdmin) -> None:
    """Register the service; every failure becomes a status with a text for people."""
    answering.add_to(server, SERVICE, calls)
