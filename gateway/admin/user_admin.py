"""smartscale.admin.v1: the roles of users."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
from smartscale.admin.v1 import user_pb2 as pb
from smartscale.admin.v1 import user_pb2_grpc
from smartscale.registry.v1 import registry_pb2

from gateway.admin import answering
from gateway.admin.stubs import DEADLINE, Services

SERVICE = pb.DESCRIPTOR.services_by_name["UserAdminService"]
NAME = SERVICE.full_name


class UserAdmin:
    """The calls, against the registry."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def SetRole(self, request: pb.SetRoleRequest) -> pb.SetRoleResponse:
        """Give a user another role."""
        user = await self._services.user_named(request.user)
        answer = await self._services.registry.SetUserRole(
            registry_pb2.SetUserRoleRequest(id=user.id, role=request.role), timeout=DEADLINE
        )
        return pb.SetRoleResponse(user=answer.user)


def add_to(server: grpc.aio.Server, calls: UserAdmin) -> None:
    """Register the service; every failure becomes a status with a text for people."""
    servicer: Any = answering.fill(user_pb2_grpc.UserAdminServiceServicer(), SERVICE, calls)
    user_pb2_grpc.add_UserAdminServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
