"""The relay's gRPC service: its identity and its counters. Translates messages; decides nothing."""

from __future__ import annotations

from collections.abc import Callable

from grpc.aio import ServicerContext
from smartscale.derp.v1 import derp_pb2, derp_pb2_grpc
from smartscale.types.v1.relay_pb2 import Relay

from services.derp.mesh import Mesh
from services.derp.server import DerpServer


class DerpServicer(derp_pb2_grpc.DerpServiceServicer):
    """Implements DerpService, for operators."""

    def __init__(self, server: DerpServer, mesh: Mesh, record: Callable[[], Relay]) -> None:
        self._server = server
        self._mesh = mesh
        self._record = record

    async def GetStatus(
        self,
        request: derp_pb2.GetStatusRequest,
        context: ServicerContext[derp_pb2.GetStatusRequest, derp_pb2.GetStatusResponse],
    ) -> derp_pb2.GetStatusResponse:
        """Return the identity and the counters of the relay."""
        record, counters = self._record(), self._server.relay.counters
        return derp_pb2.GetStatusResponse(
            public_key=self._server.identity.public.raw,
            region_id=record.region_id,
            name=record.name,
            cert_name=record.cert_name,
            clients=len(self._server.relay),
            mesh_peers=len(self._mesh),
            packets=counters.packets_sent + counters.packets_forwarded_out,
            dropped=counters.dropped_unknown_destination + counters.dropped_queue_head + counters.dropped_mesh,
        )
