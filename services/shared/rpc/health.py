"""The health service of all gRPC servers: the library's, with the List call that it lacks."""

from __future__ import annotations

import grpc.aio
from grpc.aio import ServicerContext
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

MAX_LISTED = 100
"""Maximum number of listed services by the protocol; our servers have far fewer."""


class HealthServicer(health.aio.HealthServicer):  # type: ignore[misc]
    """Statuses by service name; the empty name stands for the whole server."""

    async def List(
        self,
        request: health_pb2.HealthListRequest,
        context: ServicerContext[health_pb2.HealthListRequest, health_pb2.HealthListResponse],
    ) -> health_pb2.HealthListResponse:
        """List every status."""
        known = list(self._server_status.items())[:MAX_LISTED]
        return health_pb2.HealthListResponse(
            statuses={name: health_pb2.HealthCheckResponse(status=status) for name, status in known}
        )


def add_to(server: grpc.aio.Server) -> HealthServicer:
    """Register a health service and return it, to set statuses."""
    servicer = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    return servicer
