"""Nodes as administrators read them, one or many: reads parts from the registry, so that no list is in memory twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

from headscale.v1 import node_pb2
from smartscale.auth.v1 import auth_pb2
from smartscale.registry.v1 import registry_pb2
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from gateway.admin.calls import convert
from gateway.admin.context import CallContext
from gateway.admin.services import Services

USUAL_PAGE = 500
MAX_PAGE = 1000
MAX_PAGE_BYTES = 2 << 20
"""Of the registry's records; the answer is smaller, and stays below gRPC's customary 4 MiB per message."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some nodes of a list, in its order."""

    nodes: list[node_pb2.Node]
    total: int
    """Number of nodes that match the request's filters, in all parts."""


class NodeLists:
    """Reads nodes from the registry, with their owners, pre-auth keys and the routes that they serve."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def parts(self, call: CallContext, wanted: registry_pb2.ListNodesRequest) -> AsyncGenerator[Part]:
        """Yield the nodes that match, in parts of at most 500; at least one part, which may be empty."""
        served = await self.served(call)
        owners: dict[int, user_types.User] = {}
        keys: dict[int, auth_pb2.PreAuthKey] | None = None
        async for part in call.ask_for_parts(self._services.registry.ListNodes, wanted):
            owners.update(convert.by_id(part.users))
            if keys is None and any(node.pre_auth_key_id for node in part.nodes):
                keys = await self._services.keys(call)
            nodes = [convert.node(node, owners, keys, served.get(node.id, ())) for node in part.nodes]
            yield Part(nodes, part.total)

    async def page(self, call: CallContext, wanted: registry_pb2.ListNodesRequest) -> Part:
        """Return one page of the nodes that match."""
        nodes: list[node_pb2.Node] = []
        size = total = 0
        async with aclosing(self.parts(call, page_request(wanted))) as parts:
            async for part in parts:
                nodes += part.nodes
                total = part.total
                size += sum(node.ByteSize() for node in part.nodes)
                if size > MAX_PAGE_BYTES:
                    break
        return Part(nodes, total)

    async def records(
        self, call: CallContext, wanted: registry_pb2.ListNodesRequest
    ) -> tuple[list[node_types.Node], int]:
        """Return one page of the registry's own records, and how many match in this page and the following ones."""
        nodes: list[node_types.Node] = []
        size = total = 0
        async for part in call.ask_for_parts(self._services.registry.ListNodes, page_request(wanted)):
            nodes += part.nodes
            total = part.total
            size += part.ByteSize()
            if size > MAX_PAGE_BYTES:
                break
        return nodes, total

    async def served(self, call: CallContext) -> Mapping[int, list[str]]:
        """Return the routes that each router of the tailnet serves, by node id."""
        routers: list[node_types.Subject] = []
        request = registry_pb2.ListSubjectsRequest(routers_only=True)
        async for part in call.ask_for_parts(self._services.registry.ListSubjects, request):
            routers += part.subjects
        return convert.served(routers, datetime.now(UTC))

    async def one(self, call: CallContext, text: str) -> node_pb2.Node:
        """Return the node with an id or a given name.

        Raises:
            grpc.aio.AioRpcError: NOT_FOUND when there is none.
        """
        found = await self._services.node_named(call, text, "given_name")
        node = found.node
        served = await self.served(call) if node.advertised_routes else {}
        keys = await self._services.keys(call) if node.pre_auth_key_id else None
        owners = {found.user.id: found.user} if found.HasField("user") else {}
        return convert.node(node, owners, keys, served.get(node.id, ()))


def page_request(wanted: registry_pb2.ListNodesRequest) -> registry_pb2.ListNodesRequest:
    """Return the request with a limit that fits into one answer."""
    bounded = registry_pb2.ListNodesRequest()
    bounded.CopyFrom(wanted)
    bounded.limit = min(wanted.limit or USUAL_PAGE, MAX_PAGE)
    return bounded
