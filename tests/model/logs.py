"""The registry and the bus of the model: real in what they promise, and as unreliable as they may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import grpc
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from services.shared.access.compiled import CompiledPolicy
from services.shared.bus.memory import MemoryBus
from services.shared.rpc import machine_key_of
from tests.fakes.change_logs import FakePolicy, FakeRegistry, changed

GRACE = 10.0
LAPSE = 45.0
"""As the registry has them: seconds until a node without sessions is offline, and a silent gateway given up."""


class WeakBus(MemoryBus):
    """Loses and delays what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.lose: dict[str, int] = {}
        """How many of the next messages of a topic get lost, by a word in its name."""
        self.delay = 0.0

    async def publish(self, topic: str, payload: bytes) -> None:
        """Deliver, late, or not at all."""
        for word, left in self.lose.items():
            if word in topic and left:
                self.lose[word] = left - 1
                return
        if self.delay:
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(self.delay, self._later, topic, payload)
        else:
            await super().publish(topic, payload)

    def _later(self, topic: str, payload: bytes) -> None:
        self._task = asyncio.ensure_future(super().publish(topic, payload))


class ModelRegistry(FakeRegistry):
    """Keeps every state by its number; takes reports of nodes and of sessions as the real one does."""

    def __init__(self, bus: WeakBus, now: Callable[[], datetime]) -> None:
        super().__init__(bus)
        self._now = now
        self.states: dict[int, tuple[dict[int, node_types.Node], dict[int, user_types.User]]] = {0: ({}, {})}
        self._sessions: dict[str, dict[int, int]] = {}
        self._heard: dict[str, float] = {}
        self._orders: dict[tuple[str, int], int] = {}

    async def put_node(self, *nodes: node_types.Node) -> None:
        for node in nodes:
            self.nodes[node.id] = node
            await self._logged(pb.Change(node_put=node))

    async def remove_node(self, node_id: int) -> None:
        del self.nodes[node_id]
        await self._logged(pb.Change(node_removed=node_id))

    async def put_user(self, user: user_types.User) -> None:
        self.users[user.id] = user
        await self._logged(pb.Change(user_put=user))

    async def _logged(self, change: pb.Change) -> None:
        self.states[self.log.last + 1] = dict(self.nodes), dict(self.users)
        await self.log.append(change)

    # What gateways say

    async def UpdateNode(self, request: pb.UpdateNodeRequest, context: Any) -> pb.UpdateNodeResponse:
        """Store a report, unless a later one of the same gateway is stored."""
        node = next((node for node in self.nodes.values() if node.node_key == request.node_key), None)
        if node is None or node.machine_key != machine_key_of(context).raw:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown node")
            raise AssertionError
        order = self._orders.get((request.gateway_id, node.id), 0)
        if request.order < order:
            return pb.UpdateNodeResponse()
        self._orders[request.gateway_id, node.id] = request.order
        kinds = list(request.endpoint_types) or [1] * len(request.endpoints)
        await self.put_node(changed(node, endpoints=list(request.endpoints), endpoint_types=kinds))
        return pb.UpdateNodeResponse(changed=True)

    async def ReportSessions(self, request: pb.ReportSessionsRequest, context: Any) -> pb.ReportSessionsResponse:
        """Who is there, according to one gateway."""
        loop = asyncio.get_running_loop()
        known = request.gateway_id in self._sessions
        if not known and not request.complete and not request.stopping:
            return pb.ReportSessionsResponse(resend=True)
        before = self._sessions.get(request.gateway_id, {})
        after = {} if request.complete or request.stopping else dict(before)
        for one in request.closed:
            after.pop(one.session_id, None)
        if not request.stopping:
            after.update({one.session_id: one.node_id for one in request.opened})
        self._heard[request.gateway_id] = loop.time()
        self._sessions[request.gateway_id] = after
        loop.call_later(LAPSE + 1, self._forget_silent, request.gateway_id)
        await self._settle({*before.values(), *after.values()})
        return pb.ReportSessionsResponse()

    def _present(self, node_id: int) -> bool:
        return any(node_id in sessions.values() for sessions in self._sessions.values())

    async def _settle(self, node_ids: set[int]) -> None:
        for node_id in node_ids:
            node = self.nodes.get(node_id)
            if node is None:
                continue
            if not self._present(node_id):
                asyncio.get_running_loop().call_later(GRACE, self._leave_later, node_id)
            elif not node.online:
                await self.put_node(changed(node, online=True))

    def _leave_later(self, node_id: int) -> None:
        node = self.nodes.get(node_id)
        if node is not None and node.online and not self._present(node_id):
            away = changed(node, online=False, last_seen=self._now().astimezone(UTC))
            self._task = asyncio.ensure_future(self.put_node(away))

    def _forget_silent(self, gateway_id: str) -> None:
        if asyncio.get_running_loop().time() - self._heard.get(gateway_id, 0.0) < LAPSE:
            return
        gone = self._sessions.pop(gateway_id, {})
        self._task = asyncio.ensure_future(self._settle(set(gone.values())))


class ModelPolicy(FakePolicy):
    """Keeps every policy by its number."""

    def __init__(self, bus: WeakBus) -> None:
        super().__init__(bus)
        self.states: dict[int, CompiledPolicy] = {0: self.compiled}

    async def put(self, compiled: CompiledPolicy) -> None:
        self.states[self.log.last + 1] = compiled
        await super().put(compiled)
