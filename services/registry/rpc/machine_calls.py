"""Calls of gateways for clients and relays: admission, reports, logout, verification."""

from __future__ import annotations

from grpc.aio import ServicerContext
from smartscale.registry.v1 import registry_pb2 as pb

from services.registry import wire
from services.registry.rpc import requests
from services.registry.rpc.calls import STATUS, Calls
from services.shared.keys import NodeKey
from services.shared.rpc import answers, machine_key_of


@answers(STATUS)
class MachineCalls(Calls):
    """Nodes as their own machines and relays report them."""

    async def FindNode(
        self, request: pb.FindNodeRequest, context: ServicerContext[pb.FindNodeRequest, pb.FindNodeResponse]
    ) -> pb.FindNodeResponse:
        """Find the nodes that a registering client may be."""
        found = await self._cases.admission.find(
            machine_key_of(context),
            requests.read_key(NodeKey, "node_key", request.node_key),
            requests.read_optional_key(NodeKey, "old_node_key", request.old_node_key),
        )
        return pb.FindNodeResponse(
            by_node_key=self._optional_node(found.by_node_key),
            by_old_node_key=self._optional_node(found.by_old_node_key),
            of_machine=self._nodes(found.of_machine),
            users=map(self._user, found.users),
        )

    async def AdmitNode(
        self, request: pb.AdmitNodeRequest, context: ServicerContext[pb.AdmitNodeRequest, pb.AdmitNodeResponse]
    ) -> pb.AdmitNodeResponse:
        """Admit a node."""
        node, owner = await self._cases.admission.admit(requests.admit_request(request, machine_key_of(context)))
        return pb.AdmitNodeResponse(node=self._node(node), user=self._optional_user(owner))

    async def LogOutNode(
        self,
        request: pb.LogOutNodeRequest,
        context: ServicerContext[pb.LogOutNodeRequest, pb.LogOutNodeResponse],
    ) -> pb.LogOutNodeResponse:
        """Expire a client's own key."""
        await self._cases.nodes.log_out(
            machine_key_of(context),
            requests.read_key(NodeKey, "node_key", request.node_key),
            requests.read_instant("expiry", request.expiry) if request.HasField("expiry") else None,
        )
        return pb.LogOutNodeResponse()

    async def UpdateNode(
        self,
        request: pb.UpdateNodeRequest,
        context: ServicerContext[pb.UpdateNodeRequest, pb.UpdateNodeResponse],
    ) -> pb.UpdateNodeResponse:
        """Store a client's report."""
        changed = await self._cases.updates.report(requests.report(request, machine_key_of(context)))
        return pb.UpdateNodeResponse(changed=changed)

    async def ReportSessions(
        self,
        request: pb.ReportSessionsRequest,
        context: ServicerContext[pb.ReportSessionsRequest, pb.ReportSessionsResponse],
    ) -> pb.ReportSessionsResponse:
        """Store a gateway's report of its sessions."""
        answer = await self._cases.presence.report(requests.session_report(request))
        return pb.ReportSessionsResponse(
            resend=answer.resend, probe_node_ids=sorted(answer.probe or ()), names_probed=answer.probe is not None
        )

    async def GetDeparture(
        self,
        request: pb.GetDepartureRequest,
        context: ServicerContext[pb.GetDepartureRequest, pb.GetDepartureResponse],
    ) -> pb.GetDepartureResponse:
        """Say why the caller's machine has no node any more."""
        found = await self._cases.nodes.departure(machine_key_of(context))
        reason = pb.DepartureReason.ValueType(int(found.reason))
        return pb.GetDepartureResponse(reason=reason, at=wire.to_timestamp(found.at))

    async def VerifyNodeKey(
        self,
        request: pb.VerifyNodeKeyRequest,
        context: ServicerContext[pb.VerifyNodeKeyRequest, pb.VerifyNodeKeyResponse],
    ) -> pb.VerifyNodeKeyResponse:
        """Return whether a node key may use the relays."""
        key = requests.read_key(NodeKey, "node_key", request.node_key)
        node = await self._cases.nodes.may_relay(key)
        return pb.VerifyNodeKeyResponse(allow=node is not None, node_id=node or 0)

    async def AnnounceRelay(
        self,
        request: pb.AnnounceRelayRequest,
        context: ServicerContext[pb.AnnounceRelayRequest, pb.AnnounceRelayResponse],
    ) -> pb.AnnounceRelayResponse:
        """Store a relay's announcement."""
        await self._cases.relays.announce(wire.relay_from_proto(request.relay))
        return pb.AnnounceRelayResponse()
