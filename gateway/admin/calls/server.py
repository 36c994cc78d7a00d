"""headscale.v1 and smartscale.admin.v1: the running server: health, configuration, sign-in."""

from __future__ import annotations

import grpc
import grpc.aio
from headscale.v1 import headscale_pb2
from smartscale.admin.v1 import server_pb2 as pb
from smartscale.auth.v1 import auth_pb2
from smartscale.registry.v1 import registry_pb2

from gateway.admin.context import CallContext
from gateway.admin.services import Services

PATIENCE = 45.0
"""Seconds: a provider that is new in the configuration may have to answer first."""


class Server:
    """Calls about the running server."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ReloadConfiguration(
        self, request: pb.ReloadConfigurationRequest, call: CallContext
    ) -> pb.ReloadConfigurationResponse:
        """Reload the configuration in every process."""
        answer = await call.ask(
            self._services.auth.ReloadConfiguration, auth_pb2.ReloadConfigurationRequest(), PATIENCE
        )
        return pb.ReloadConfigurationResponse(
            problems=answer.problems,
            changed=answer.changed,
            needs_restart=answer.needs_restart,
            warnings=answer.warnings,
        )

    async def GetSignInHealth(
        self, request: pb.GetSignInHealthRequest, call: CallContext
    ) -> pb.GetSignInHealthResponse:
        """Report the state of the sign-in providers and recent failures."""
        answer = await call.ask(self._services.auth.GetSignInHealth, auth_pb2.GetSignInHealthRequest(), PATIENCE)
        return pb.GetSignInHealthResponse(providers=answer.providers, failures=answer.failures, notices=answer.notices)

    async def Health(self, request: headscale_pb2.HealthRequest, call: CallContext) -> headscale_pb2.HealthResponse:
        """Report whether the database answers."""
        try:
            await call.ask(
                self._services.registry.VerifyNodeKey,
                registry_pb2.VerifyNodeKeyRequest(node_key=bytes(31) + b"\1"),
                3.0,
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                return headscale_pb2.HealthResponse(database_connectivity=False)
        return headscale_pb2.HealthResponse(database_connectivity=True)
