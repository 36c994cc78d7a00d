"""Calls to the registry that the tunnel and the open web need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import grpc.aio
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.registry.v1 import registry_pb2_grpc as pb_grpc

from gateway.clients.failure import raise_failure
from services.shared.keys import DiscoKey, MachineKey, NodeKey
from services.shared.rpc.identity import with_machine_key

UPDATE_DEADLINE = 10.0
REPORT_DEADLINE = 5.0
VERIFY_DEADLINE = 4.0
"""A relay waits five seconds for an admission."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """What a client reports of itself."""

    node_key: NodeKey
    disco_key: DiscoKey
    endpoints: Sequence[str]
    endpoint_types: Sequence[int]
    hostinfo: bytes = field(repr=False)
    cap_version: int
    order: int


class RegistryClient:
    """The registry, as the gateway sees it."""

    def __init__(self, channel: grpc.aio.Channel, gateway_id: str) -> None:
        """`gateway_id` is unique per run: numbers of reports and sessions mean something only within it."""
        self._gateway_id = gateway_id
        self._stub = pb_grpc.RegistryServiceStub(channel)

    async def update_node(self, machine: MachineKey, state: NodeState) -> bool:
        """Store what a client reports; whether anything was new.

        Raises:
            ServiceError: unknown node, another machine's, or no answer.
        """
        request = pb.UpdateNodeRequest(
            node_key=state.node_key.raw,
            disco_key=state.disco_key.raw,
            endpoints=state.endpoints,
            endpoint_types=state.endpoint_types,
            hostinfo=state.hostinfo,
            cap_version=state.cap_version,
            order=state.order,
            gateway_id=self._gateway_id,
        )
        try:
            response = await self._stub.UpdateNode(
                request, timeout=UPDATE_DEADLINE, metadata=with_machine_key(machine), wait_for_ready=True
            )
        except grpc.aio.AioRpcError as error:
            raise_failure(error)
        return bool(response.changed)

    async def report_sessions(
        self,
        opened: Mapping[int, int],
        closed: Mapping[int, int],
        *,
        complete: bool,
        stopping: bool,
    ) -> bool:
        """Report map sessions (session id to node id); whether the registry wants to hear all of them.

        Raises:
            ServiceError: no answer.
        """
        request = pb.ReportSessionsRequest(
            gateway_id=self._gateway_id,
            opened=[pb.MapSession(session_id=session, node_id=node) for session, node in opened.items()],
            closed=[pb.MapSession(session_id=session, node_id=node) for session, node in closed.items()],
            complete=complete,
            stopping=stopping,
        )
        try:
            response = await self._stub.ReportSessions(request, timeout=REPORT_DEADLINE)
        except grpc.aio.AioRpcError as error:
            raise_failure(error)
        return bool(response.resend)

    async def may_relay(self, node: NodeKey) -> bool:
        """Whether a node key may use the relays.

        Raises:
            ServiceError: no answer.
        """
        try:
            response = await self._stub.VerifyNodeKey(
                pb.VerifyNodeKeyRequest(node_key=node.raw), timeout=VERIFY_DEADLINE
            )
        except grpc.aio.AioRpcError as error:
            raise_failure(error)
        return bool(response.allow)
