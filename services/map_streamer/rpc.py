"""The gRPC service: translates between messages and the tailnet. Decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import orjson
from grpc.aio import ServicerContext
from smartscale.common.v1 import common_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb
from smartscale.map_streamer.v1 import map_streamer_pb2_grpc

from services.map_streamer import inspection
from services.map_streamer.session import Gateway
from services.map_streamer.tailnet import SessionAdmission, Tailnet, find_ssh_check
from services.shared.rpc import answers, machine_key_of
from services.shared.runtime.clock import Clock, SystemClock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

HELLO_DEADLINE = 10.0


class _NotReadyError(Exception):
    """The answer is not known yet: the first snapshot is missing, or a service did not answer."""


class _NoCheckError(Exception):
    """No rule of the policy checks such a session."""


@answers({_NotReadyError: grpc.StatusCode.UNAVAILABLE, _NoCheckError: grpc.StatusCode.NOT_FOUND})
class MapStreamerServicer(map_streamer_pb2_grpc.MapStreamerServiceServicer):
    """Implements `smartscale.map_streamer.v1.MapStreamerService`."""

    def __init__(self, tailnet: Tailnet, admission: SessionAdmission, clock: Clock | None = None) -> None:
        self._tailnet = tailnet
        self._admission = admission
        self._clock = clock or SystemClock()

    async def Attach(
        self,
        request_iterator: AsyncIterator[pb.AttachRequest],
        context: ServicerContext[pb.AttachRequest, pb.AttachResponse],
    ) -> AsyncIterator[pb.AttachResponse]:
        """Serve the stream of one gateway until either side ends it."""
        requests = aiter(request_iterator)
        try:
            async with asyncio.timeout(HELLO_DEADLINE):
                first = await anext(requests)
        except (StopAsyncIteration, TimeoutError):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first message must be hello")
        if first.WhichOneof("message") != "hello" or not first.hello.gateway_id:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first message must be hello")
        tailnet = self._tailnet
        broadcaster = tailnet.broadcaster
        gateway = tailnet.roster.attach(first.hello.gateway_id, broadcaster.build_full, broadcaster.on_relief)
        log.info("gateway attached", gateway_id=gateway.id)
        reader = asyncio.get_running_loop().create_task(self._read(gateway, requests))
        try:
            while (response := await gateway.outbox.next()) is not None:
                yield response
        finally:
            reader.cancel()
            sessions = len(gateway.sessions)
            tailnet.roster.detach(gateway)
            log.info("gateway detached", gateway_id=gateway.id, sessions=sessions)

    async def _read(self, gateway: Gateway, requests: AsyncIterator[pb.AttachRequest]) -> None:
        try:
            async for request in requests:
                self._handle(gateway, request)
        except (grpc.aio.AioRpcError, grpc.RpcError):
            log.debug("gateway stream broke", gateway_id=gateway.id)
        except Exception:
            log.exception("gateway stream failed", gateway_id=gateway.id)
        finally:
            gateway.outbox.close()

    def _handle(self, gateway: Gateway, request: pb.AttachRequest) -> None:
        match request.WhichOneof("message"):
            case "opened":
                self._admission.open(gateway, request.opened)
            case "closed":
                self._admission.close(gateway, request.closed.session_id)
            case "paused":
                self._admission.pause(gateway, request.paused.session_id)
            case "dropped":
                gateway.outbox.drop_frames(request.dropped.frame_ids)
            case other:
                log.warning("unexpected message of a gateway", gateway_id=gateway.id, kind=other or "unknown")

    async def FindSshCheck(
        self,
        request: pb.FindSshCheckRequest,
        context: ServicerContext[pb.FindSshCheckRequest, pb.FindSshCheckResponse],
    ) -> pb.FindSshCheckResponse:
        """Return the check that the policy asks for before an SSH session."""
        machine = machine_key_of(context)
        if not self._tailnet.ready.is_set():
            raise _NotReadyError("the first snapshot has not arrived yet")
        try:
            found = await find_ssh_check(
                self._tailnet, machine, request.source_id, request.destination_id, request.local_user
            )
        except TimeoutError:
            raise _NotReadyError("registry or policy did not answer") from None
        if found is None:
            raise _NoCheckError("no rule of the policy checks such a session")
        return pb.FindSshCheckResponse(
            period_seconds=found.period, everywhere=found.everywhere, action=orjson.dumps(found.action)
        )

    async def GetStatus(
        self, request: pb.GetStatusRequest, context: ServicerContext[pb.GetStatusRequest, pb.GetStatusResponse]
    ) -> pb.GetStatusResponse:
        """Return the position of this replica and the sizes of its tables."""
        view, roster = self._tailnet.view, self._tailnet.roster
        return pb.GetStatusResponse(
            cursor=common_pb2.Cursor(registry=view.cursor.registry, policy=view.cursor.policy),
            nodes=len(view.snapshot.nodes),
            sessions=len(roster),
            gateways=len(tuple(roster.gateways())),
        )

    async def ShowNodes(
        self, request: pb.ShowNodesRequest, context: ServicerContext[pb.ShowNodesRequest, pb.ShowNodesResponse]
    ) -> pb.ShowNodesResponse:
        """Return what is computed for nodes: peers, packet filter, SSH policy, capabilities."""
        now = self._clock.now()
        return inspection.nodes(self._tailnet, list(request.node_ids), now, with_map=request.with_map)

    async def ShowDerpMap(
        self,
        request: pb.ShowDerpMapRequest,
        context: ServicerContext[pb.ShowDerpMapRequest, pb.ShowDerpMapResponse],
    ) -> pb.ShowDerpMapResponse:
        """Return the DERP map as it is sent to clients."""
        return pb.ShowDerpMapResponse(derp_map=self._tailnet.renderer.derp_json())

    async def ShowSessions(
        self,
        request: pb.ShowSessionsRequest,
        context: ServicerContext[pb.ShowSessionsRequest, pb.ShowSessionsResponse],
    ) -> pb.ShowSessionsResponse:
        """Return the sessions and queues of every attached gateway."""
        return inspection.sessions(self._tailnet)
