"""smartscale.admin.v1: the running server itself: its configuration, and how sign-in does."""

from __future__ import annotations

import grpc.aio
from smartscale.admin.v1 import server_pb2 as pb
from smartscale.auth.v1 import auth_pb2

from gateway.admin import answering
from gateway.admin.stubs import Services

SERVICE = pb.DESCRIPTOR.services_by_name["ServerAdminService"]
NAME = SERVICE.full_name

PATIENCE = 45.0
"""A provider that is new in the configuration may be asked, and each may be slow."""


class ServerAdmin:
    """The calls, against the auth service."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ReloadConfiguration(self, request: pb.ReloadConfigurationRequest) -> pb.ReloadConfigurationResponse:
        """Read the configuration again, in every process."""
        answer = await self._services.auth.ReloadConfiguration(auth_pb2.ReloadConfigurationRequest(), timeout=PATIENCE)
        return pb.ReloadConfigurationResponse(
            problems=answer.problems,
            changed=answer.changed,
            needs_restart=answer.needs_restart,
            warnings=answer.warnings,
        )

    async def GetSignInHealth(self, request: pb.GetSignInHealthRequest) -> pb.GetSignInHealthResponse:
        """How sign-in does."""
        answer = await self._services.auth.GetSignInHealth(auth_pb2.GetSignInHealthRequest(), timeout=PATIENCE)
        return pb.GetSignInHealthResponse(providers=answer.providers, failures=answer.failures)


def add_to(server: grpc.aio.Server, calls: ServerAdmin) -> None:
    """Register the service; every failure becomes a status with a text for people."""
    answering.add_to(server, SERVICE, calls)
