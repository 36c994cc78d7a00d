"""Calls that stream a whole tailnet, or what changed in it since a position."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from grpc.aio import ServicerContext
from smartscale.common.v1 import common_pb2
from smartscale.registry.v1 import registry_pb2 as pb

from services.registry import wire
from services.registry.rpc import requests
from services.registry.rpc.calls import STATUS, Calls
from services.shared.ids import UserId
from services.shared.rpc import answers
from services.shared.rpc.parts import parts


@answers(STATUS)
class ListCalls(Calls):
    """Lists, snapshots and the change log."""

    async def ListNodes(
        self, request: pb.ListNodesRequest, context: ServicerContext[pb.ListNodesRequest, pb.ListNodesResponse]
    ) -> AsyncIterator[pb.ListNodesResponse]:
        """Stream nodes ordered by id."""
        found = await self._cases.listings.nodes(requests.node_filter(request))
        seen: set[UserId] = set()
        for part in parts(found.nodes, wire.node_size) if found.nodes else [[]]:
            owners = sorted({node.user_id for node in part if node.user_id in found.users} - seen)
            seen.update(owners)
            users = [self._user(found.users[owner]) for owner in owners]
            yield pb.ListNodesResponse(nodes=self._nodes(part), users=users, total=found.total)
            await asyncio.sleep(0)  # a large tailnet must not hold up the others' calls

    async def ListSubjects(
        self, request: pb.ListSubjectsRequest, context: ServicerContext[pb.ListSubjectsRequest, pb.ListSubjectsResponse]
    ) -> AsyncIterator[pb.ListSubjectsResponse]:
        """Stream the users and nodes as policies see them, at one position."""
        self._check_tailnet(request.tailnet_id)
        found = await self._cases.listings.subjects(routers_only=request.routers_only)
        yield pb.ListSubjectsResponse(seq=found.position)
        for people in parts(() if request.routers_only else found.users, wire.user_size):
            yield pb.ListSubjectsResponse(seq=found.position, users=map(self._user, people))
            await asyncio.sleep(0)
        for part in parts(found.nodes, wire.subject_size):
            subjects = [wire.subject_to_proto(node, node.id in found.suspended) for node in part]
            yield pb.ListSubjectsResponse(seq=found.position, subjects=subjects)
            await asyncio.sleep(0)

    async def GetSnapshot(
        self,
        request: pb.GetSnapshotRequest,
        context: ServicerContext[pb.GetSnapshotRequest, pb.GetSnapshotResponse],
    ) -> AsyncIterator[pb.GetSnapshotResponse]:
        """Stream all users, nodes and relays, at one position."""
        self._check_tailnet(request.tailnet_id)
        snapshot = await self._cases.feed.snapshot()
        yield pb.GetSnapshotResponse(
            seq=snapshot.position,
            relays=map(wire.relay_to_proto, snapshot.relays),
            settings=snapshot.settings.to_bytes(),
        )
        for people in parts(snapshot.users, wire.user_size):
            yield pb.GetSnapshotResponse(seq=snapshot.position, users=map(self._user, people))
        for part in parts(snapshot.nodes, wire.node_size):
            yield pb.GetSnapshotResponse(seq=snapshot.position, nodes=self._nodes(part))
            await asyncio.sleep(0)  # a large tailnet must not hold up the others' calls

    async def GetChanges(
        self,
        request: pb.GetChangesRequest,
        context: ServicerContext[pb.GetChangesRequest, pb.GetChangesResponse],
    ) -> pb.GetChangesResponse:
        """Return the records after a position."""
        self._check_tailnet(request.tailnet_id)
        page = await self._cases.feed.changes(min(request.after, requests.MAX_ID))
        records = [common_pb2.LogRecord(seq=record.seq, payload=record.payload) for record in page.records]
        return pb.GetChangesResponse(records=records, reset=page.reset, last=page.last)
