"""Calls to the registry that the tunnel and the open web need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import grpc.aio
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.registry.v1 import registry_pb2_grpc as pb_grpc

from gateway.clients.failure import raise_failure
from services.shared.keys import MachineKey, NodeKey
from services.shared.rpc.identity import with_machine_key
from services.shared.rpc.presence import SessionsDigest
from services.shared.tailcfg.requests import MapRequest

UPDATE_DEADLINE = 10.0
REPORT_DEADLINE = 5.0
DEPARTURE_DEADLINE = 5.0
VERIFY_DEADLINE = 4.0
"""A relay waits five seconds for an admission."""


@dataclass(frozen=True, slots=True)
class PresenceReport:
    """Changes of the map sessions since the last report; session ids with their node ids."""

    opened: Mapping[int, int]
    closed: Mapping[int, int]
    complete: bool = False
    """True: `opened` lists every session, so all others of this gateway have ended."""
    stopping: bool = False
    """True: this gateway stops and will not come back under this id."""
    lost: frozenset[int] = frozenset()
    """Ended sessions whose client no longer answered: their nodes are offline without a grace."""
    digest: SessionsDigest | None = None
    """All sessions after this report; None: not compared."""


@dataclass(frozen=True, slots=True)
class PresenceAnswer:
    """The answer to a report."""

    resend: bool
    """True: the next report must be complete."""
    probe: frozenset[int] | None = None
    """Nodes to probe from now on; None: as before."""


class RegistryClient:
    """Calls the registry for nodes, presence and relays."""

    def __init__(self, channel: grpc.aio.Channel, gateway_id: str) -> None:
        """`gateway_id` is unique per run: numbers of reports and sessions mean something only within it."""
        self._gateway_id = gateway_id
        self._stub = pb_grpc.RegistryServiceStub(channel)

    async def update_node(self, machine: MachineKey, report: MapRequest, order: int) -> bool:
        """Store a client's report of its node. Returns whether anything in it was new.

        `order` rises with each report of this gateway, in order of arrival.

        Raises:
            ServiceError: unknown node, another machine's, or no answer.
        """
        request = pb.UpdateNodeRequest(
            node_key=report.node_key.raw,
            disco_key=report.disco_key.raw,
            endpoints=report.endpoints,
            endpoint_types=report.endpoint_types,
            hostinfo=report.hostinfo.json if report.has_hostinfo else b"",
            cap_version=report.version,
            order=order,
            gateway_id=self._gateway_id,
        )
        try:
            response = await self._stub.UpdateNode(
                request, timeout=UPDATE_DEADLINE, metadata=with_machine_key(machine), wait_for_ready=True
            )
        except grpc.aio.AioRpcError as error:
            raise_failure(error)
        return bool(response.changed)

    async def report_sessions(self, report: PresenceReport) -> PresenceAnswer:
        """Report map sessions.

        Raises:
            ServiceError: no answer.
        """
        request = pb.ReportSessionsRequest(
            gateway_id=self._gateway_id,
            opened=[pb.MapSession(session_id=session, node_id=node) for session, node in report.opened.items()],
            closed=[pb.MapSession(session_id=session, node_id=node) for session, node in report.closed.items()],
            complete=report.complete,
            stopping=report.stopping,
            lost=report.lost,
        )
        if report.digest is not None:
            request.digest.count, request.digest.checksum = report.digest.count, report.digest.checksum
        try:
            response = await self._stub.ReportSessions(request, timeout=REPORT_DEADLINE)
        except grpc.aio.AioRpcError as error:
            raise_failure(error)
        # A registry of the version before names them in answers to reports with a digest alone.
        named = response.names_probed or report.digest is not None
        probe = frozenset(response.probe_node_ids) if named else None
        return PresenceAnswer(resend=response.resend, probe=probe)

    async def departure(self, machine: MachineKey) -> pb.GetDepartureResponse | None:
        """Return why and when the last node of a machine was removed; None if that is not known.

        Raises:
            ServiceError: no answer.
        """
        try:
            response: pb.GetDepartureResponse = await self._stub.GetDeparture(
                pb.GetDepartureRequest(), timeout=DEPARTURE_DEADLINE, metadata=with_machine_key(machine)
            )
        except grpc.aio.AioRpcError as error:
            # UNIMPLEMENTED: a registry of the release before.
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED):
                return None
            raise_failure(error)
        return response

    async def may_relay(self, node: NodeKey) -> bool:
        """Return whether a node key may use the relays.

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
